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
}

export interface Submitter {
  readonly accountId: string
  readonly address: string
}

export interface DeliveryRequest {
  /** The same for every attempt at this transaction: the store delivers once per key and recipient, however often it is asked. */
  readonly deliveryKey: string
  /** Reverse path; '' is the null sender. */
  readonly from: string
  /** Trace headers and content, exactly the bytes to store. */
  readonly message: Buffer
  readonly recipients: readonly LocalRecipient[]
  /** What the client asked for in MAIL, and in RCPT for each recipient, in order. */
  readonly mail: MailParameters
  readonly recipientParameters: readonly RecipientParameters[]
}

export type DeliveryOutcome = { readonly kind: 'delivered' } | { readonly kind: 'failed'; readonly error: unknown }

export interface LocalDelivery {
  findRecipient(address: string): Promise<LocalRecipient | undefined>
  /** RFC 5321 §4.5.1: who gets the mail for `<postmaster>`, without a domain. */
  findPostmaster(): Promise<LocalRecipient | undefined>
  authenticate(username: string, password: string): Promise<Submitter | undefined>
  /** One outcome per recipient, in order. Does not throw: an error of the whole is an outcome of each. */
  deliver(request: DeliveryRequest): Promise<readonly DeliveryOutcome[]>
}
