import type { Mount } from '../mount/mount.ts'
import type { AccountMail } from './account-mail.ts'
import type { Filing } from './filing.ts'

/** The mail in one mounted database. */
export interface MailStore {
  readonly mount: Mount
  /** Brings the schema up to date. Several processes may ask at once; waits while the database is held. */
  migrate(): Promise<void>
  /** INBOX and the special-use mailboxes are made with the account (`Directory.createAccount`), so this only binds. */
  account(accountId: string): AccountMail
  /** One transaction and one round trip for all recipients; resolves when the commit is on every in-sync copy. */
  deliver(delivery: Delivery): Promise<readonly DeliveredMessage[]>
  /** A delivery to one account whose places are known. */
  file(accountId: string, filing: Filing): Promise<void>
  /** Fired after own commits; to be told to the other processes, which pass it to `hear`. */
  onChange(listener: (change: MailboxChange) => void): () => void
  hear(change: MailboxChange): void
  /** Looks whether watched mailboxes have changed without anybody saying so (another node's process): to be called every few seconds. */
  poll(): Promise<void>
  /** Forgets what is no longer needed: old operation and delivery keys, bodies that no message refers to. In the background; one process suffices. */
  sweep(): Promise<void>
}

export interface Delivery {
  readonly recipients: readonly string[]
  readonly raw: Buffer
  /** The same for every attempt: one message for each key and mailbox, however often it is delivered. */
  readonly deliveryKey: string
  readonly receivedAt: Date
  readonly mailbox?: string
  readonly flags?: readonly string[]
}

export interface DeliveredMessage {
  readonly accountId: string
  readonly mailboxId: string
  readonly uid: number
  /** It had been delivered before, under the same key. */
  readonly duplicate: boolean
}

/** JSON-able: travels between processes. */
export interface MailboxChange {
  readonly mailboxIds: readonly string[]
}
