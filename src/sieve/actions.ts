/**
 * What is to be done with the message, in the order in which the script said it. A list without `keep` and `fileInto` means that the message is not
 * stored; `track` is to be done only when everything else has been done (RFC 7352 §3).
 */
export type Action =
  | { readonly kind: 'keep'; readonly flags: readonly string[] }
  | FileInto
  | { readonly kind: 'redirect'; readonly address: string; readonly copy: boolean }
  | { readonly kind: 'discard' }
  | Reject
  | Vacation
  | Track

export interface FileInto {
  readonly kind: 'fileInto'
  /** When `:specialuse` found a mailbox, that one. */
  readonly mailbox: string
  readonly flags: readonly string[]
  readonly copy: boolean
  /** Make the mailbox when it is not there. */
  readonly create: boolean
  /** To be given to a mailbox that is made. */
  readonly specialUse: string | undefined
}

/** RFC 5429: `ereject` in the SMTP session and never by a message where that would hit bystanders; `reject` may always send an MDN. */
export interface Reject {
  readonly kind: 'reject'
  readonly form: 'reject' | 'ereject'
  readonly reason: string
}

/** A reply that RFC 5230 allows, unless one with the same `key` went to `to` within `seconds`: only who performs it knows. */
export interface Vacation {
  readonly kind: 'vacation'
  readonly to: string
  /** An address, with a name where the script gave one. */
  readonly from: string
  readonly subject: string
  /** `text`: UTF-8 text. `mime`: a MIME entity, with the header fields of its content in front (RFC 5230 §4.3). */
  readonly form: 'text' | 'mime'
  readonly reason: string
  /** Same handle, or without one the same words (RFC 5230 §4.2, §4.7). */
  readonly key: string
  readonly seconds: number
  readonly inReplyTo: string | undefined
  /** Message-IDs, the one replied to last. */
  readonly references: string | undefined
}

export interface Track {
  readonly kind: 'track'
  readonly key: string
  readonly seconds: number
}

export interface Outcome {
  readonly actions: readonly Action[]
  /** Why the script did not run to its end; the message is kept then. */
  readonly fault: string | undefined
  /** What the script asked for and the RFCs forbid for this message, for whoever wonders why no vacation reply was sent. */
  readonly withheld: readonly string[]
}
