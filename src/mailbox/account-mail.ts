import type { MessageRoot } from '../message/part.ts'
import type { SearchTest } from './search.ts'

/**
 * The mail of one account. Every promise of a change resolves only when the commit is on every in-sync copy; a call that meets a
 * held or lost database waits. Refusals are HandoffErrors: MAILBOX_UNKNOWN, MAILBOX_EXISTS, MAILBOX_FIXED, DATABASE_UNAVAILABLE.
 * A mailbox of another account is unknown to it.
 */
export interface AccountMail {
  readonly accountId: string
  mailboxes(): Promise<readonly MailboxEntry[]>
  /** Makes the levels above it too where they are missing (RFC 9051 §6.3.4). */
  create(name: string): Promise<{ readonly mailboxId: string }>
  remove(mailbox: MailboxEntry): Promise<void>
  /** Mailboxes below it move along; of INBOX the messages move and INBOX stays (RFC 9051 §6.3.6). */
  rename(mailbox: MailboxEntry, to: string): Promise<void>
  setSubscribed(name: string, subscribed: boolean): Promise<void>
  status(mailboxIds: readonly string[]): Promise<ReadonlyMap<string, MailboxStatus>>
  /** All messages in one snapshot, ascending by UID. */
  open(mailboxId: string): Promise<OpenedMailbox>
  /** What happened after a state, in one snapshot: new and changed messages ascending by UID, and expunged UIDs. One cheap look when nothing did. */
  changesSince(mailboxId: string, modseq: number): Promise<Changes>
  /** RFC 3501 \Recent: the first UID that no session was told of before, now told to the caller. */
  claimRecent(mailboxId: string): Promise<number>
  /** Those of the UIDs that still exist, ascending. */
  messages(mailboxId: string, uids: readonly number[]): Promise<readonly MessageEntry[]>
  /** Structure with envelope as kept since delivery: for ENVELOPE and BODYSTRUCTURE no message is read or parsed. */
  structures(mailboxId: string, uids: readonly number[]): Promise<ReadonlyMap<number, MessageRoot>>
  /** The message itself, byte for byte as received; undefined when it has been expunged. */
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
  /** Done by the database: UIDs and mod-sequences of the messages that match, ascending. */
  search(mailboxId: string, test: SearchTest): Promise<readonly { readonly uid: number; readonly modseq: number }[]>
  /** Says that something may have changed in the mailbox; may say so too often. */
  watch(mailboxId: string, changed: () => void): () => void
}

export interface MailboxEntry {
  readonly id: string
  readonly name: string
  readonly subscribed: boolean
  /** With backslash, as LIST shows it (RFC 6154). */
  readonly specialUse: string | undefined
  /** False for a name without a mailbox: subscribed to, but deleted. */
  readonly exists: boolean
  /** MAILBOXID of RFC 8474; undefined for a name without a mailbox. */
  readonly objectId?: string | undefined
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
  /** RFC 8474: the same for copies of one message. */
  readonly emailId: string
  readonly threadId: string
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
