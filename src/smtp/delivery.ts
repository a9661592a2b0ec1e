import type { MailParameters, RecipientParameters } from './parameters.ts'

/**
 * What the SMTP half needs from the rest of the mail server, handed in by the daemon: who is local, who may submit, and a
 * delivery whose promise resolves only when the commit is on every in-sync copy.
 */
export interface LocalRecipient {
  /** The address as the client gave it, for replies and the log. */
  readonly address: string
  readonly accountId: string
  /** The mailbox database that holds the account's mailboxes. */
  readonly database: string
  /** A script of theirs decides what becomes of the mail. */
  readonly filtered?: boolean
}

/** Somebody whose mail goes to another server: it is queued, and sent from there. */
export interface RemoteRecipient {
  readonly address: string
  readonly accountId?: undefined
  /** The mailbox database that keeps the message until it is sent: the submitter's. */
  readonly database: string
}

export type Recipient = LocalRecipient | RemoteRecipient

export interface Submitter {
  readonly accountId: string
  readonly address: string
  /** The mailbox database that holds the account. */
  readonly database: string
}

export interface DeliveryRequest {
  /** The same for every attempt at this transaction: the store delivers once per key and recipient, however often it is asked. */
  readonly deliveryKey: string
  /** Reverse path; '' is the null sender. */
  readonly from: string
  /** Trace headers and content. The final delivery adds Return-Path (RFC 5321 §4.4). */
  readonly message: Buffer
  readonly recipients: readonly Recipient[]
  /** What the client asked for in MAIL, and in RCPT for each recipient, in order. */
  readonly mail: MailParameters
  readonly recipientParameters: readonly RecipientParameters[]
  /** Each recipient has a reply of its own: one can be refused without the others. */
  readonly repliesForEach: boolean
}

/** `queued`: it is ours to send now. `refused`: by the recipient's own script. */
export type DeliveryOutcome =
  | { readonly kind: 'delivered' | 'queued' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: unknown }

export interface LocalDelivery {
  findRecipient(address: string): Promise<LocalRecipient | undefined>
  /** RFC 5321 §4.5.1: who gets the mail for `<postmaster>`, without a domain. */
  findPostmaster(): Promise<LocalRecipient | undefined>
  /** Is this one of the domains that have mailboxes here? Mail for others is sent on. */
  isLocalDomain(domain: string): Promise<boolean>
  authenticate(username: string, password: string): Promise<Submitter | undefined>
  /** DKIM-Signature lines for a message of somebody of this domain; '' when it has no keys (RFC 6376). */
  sign(domain: string, message: Buffer): Promise<string>
  /** One outcome per recipient, in order. Does not throw: an error of the whole is an outcome of each. */
  deliver(request: DeliveryRequest): Promise<readonly DeliveryOutcome[]>
}
