/**
 * What an IMAP session needs of the account it has logged in to. Every promise of a change resolves only when the commit is on
 * every in-sync copy; a call that meets a held or lost database waits. Refusals are HandoffErrors.
 */
export interface AccountStore {
  mailboxes(): Promise<readonly MailboxEntry[]>
  create(name: string): Promise<{ readonly mailboxId: string }>
  remove(mailbox: MailboxEntry): Promise<void>
  rename(mailbox: MailboxEntry, to: string): Promise<void>
  setSubscribed(name: string, subscribed: boolean): Promise<void>
  status(mailboxIds: readonly string[]): Promise<ReadonlyMap<string, MailboxStatus>>
  /** All messages in one snapshot, ascending by UID. */
  open(mailboxId: string): Promise<OpenedMailbox>
  /** What happened after a state, in one snapshot: new and changed messages ascending by UID, and expunged UIDs. */
  changesSince(mailboxId: string, modseq: number): Promise<Changes>
  /** RFC 3501 \Recent: the first UID that no session was told of before, now told to the caller. */
  claimRecent(mailboxId: string): Promise<number>
  /** Those of the UIDs that still exist, ascending. */
  messages(mailboxId: string, uids: readonly number[]): Promise<readonly MessageEntry[]>
  /** The message itself; undefined when it has been expunged. */
  content(mailboxId: string, uid: number): Promise<MessageContent | undefined>
  append(
    mailboxId: string,
    message: { readonly bytes: Buffer; readonly flags: readonly string[]; readonly internalDate: Date | undefined },
  ): Promise<{ readonly uidValidity: number; readonly uid: number }>
  storeFlags(
    mailboxId: string,
    uids: readonly number[],
    change: FlagChange,
  ): Promise<{ readonly updated: readonly FlagState[]; readonly unchangedSinceFailed: readonly number[] }>
  /** Removes those of the UIDs that carry \Deleted. */
  expunge(mailboxId: string, uids: readonly number[]): Promise<void>
  copy(mailboxId: string, uids: readonly number[], toMailboxId: string): Promise<CopyResult>
  move(mailboxId: string, uids: readonly number[], toMailboxId: string): Promise<CopyResult>
  /** Says that something may have changed in the mailbox; may say so too often. */
  watch(mailboxId: string, changed: () => void): () => void
}

export interface MailboxEntry {
  readonly id: string
  readonly name: string
  readonly subscribed: boolean
  /** With backslash, as LIST shows it (RFC 6154). */
  readonly specialUse: string | undefined
  /** A name without a mailbox: subscribed to, but deleted. */
  readonly exists: boolean
}

export interface MailboxStatus {
  readonly messages: number
  readonly recent: number
  readonly unseen: number
  readonly deleted: number
  readonly sizeBytes: number
  readonly uidNext: number
  readonly uidValidity: number
  readonly highestModseq: number
}

export interface FlagState {
  readonly uid: number
  readonly flags: readonly string[]
  readonly modseq: number
}

export interface OpenedMailbox {
  readonly uidValidity: number
  readonly uidNext: number
  readonly highestModseq: number
  readonly messages: readonly FlagState[]
}

export interface Changes {
  readonly highestModseq: number
  readonly uidNext: number
  readonly changed: readonly FlagState[]
  readonly vanished: readonly number[]
}

export interface MessageEntry extends FlagState {
  readonly internalDate: Date
  readonly sizeBytes: number
}

export interface MessageContent {
  readonly bytes: Buffer
  readonly root: MessageRoot
}

export interface FlagChange {
  readonly mode: 'add' | 'remove' | 'replace'
  readonly flags: readonly string[]
  readonly unchangedSince: number | undefined
}

export interface CopyResult {
  readonly uidValidity: number
  /** Source and destination UID of each message that was there, ascending by source. */
  readonly pairs: readonly (readonly [number, number])[]
}

/** A message or a body part; offsets are into the bytes of the whole message. */
export interface MessagePart {
  readonly headerStart: number
  /** After the empty line that ends the header. */
  readonly bodyStart: number
  readonly bodyEnd: number
  readonly type: string
  readonly subtype: string
  readonly parameters: ReadonlyArray<readonly [string, string]>
  readonly id: string | undefined
  readonly description: string | undefined
  readonly encoding: string
  readonly md5: string | undefined
  readonly disposition: { readonly type: string; readonly parameters: ReadonlyArray<readonly [string, string]> } | undefined
  readonly language: readonly string[]
  readonly location: string | undefined
  readonly lines: number
  /** Of a multipart; empty otherwise. */
  readonly children: readonly MessagePart[]
  /** Of message/rfc822 and message/global. */
  readonly message: MessageRoot | undefined
}

export interface MessageRoot extends MessagePart {
  readonly envelope: MessageEnvelope
}

/** Raw strings, encoded words untouched (RFC 9051 §7.5.2). */
export interface MessageEnvelope {
  readonly date: string | undefined
  readonly subject: string | undefined
  readonly from: readonly EnvelopeAddress[]
  readonly sender: readonly EnvelopeAddress[]
  readonly replyTo: readonly EnvelopeAddress[]
  readonly to: readonly EnvelopeAddress[]
  readonly cc: readonly EnvelopeAddress[]
  readonly bcc: readonly EnvelopeAddress[]
  readonly inReplyTo: string | undefined
  readonly messageId: string | undefined
}

/** A group begins with a mailbox (its name) without host and ends with neither. */
export interface EnvelopeAddress {
  readonly name: string | undefined
  readonly mailbox: string | undefined
  readonly host: string | undefined
}
