import { randomUUID } from 'node:crypto'
import { HandoffError } from '../errors.ts'
import type { Mount } from '../mount/mount.ts'
import type { Queries } from '../mount/target.ts'
import type { ChangeFeed } from './change-feed.ts'

/** What every operation on an account's mail works with. */
export interface AccountContext {
  readonly mount: Mount
  readonly feed: ChangeFeed
  readonly accountId: string
}

/** One exactly-once transaction; who watches the mailboxes is told when it has been committed. */
export async function change<T>(context: AccountContext, mailboxIds: readonly string[], fn: (db: Queries) => Promise<T>): Promise<T> {
  const result = await context.mount.write(randomUUID(), fn)
  context.feed.announce(mailboxIds)
  return result
}

export function unknownMailbox(id: string): HandoffError {
  return new HandoffError('MAILBOX_UNKNOWN', `mailbox ${id} does not exist, or no longer`)
}

/** Ids come from us, but also from requests: what is no number is no mailbox. */
export function isId(id: string): boolean {
  return /^[1-9]\d{0,17}$/.test(id)
}
