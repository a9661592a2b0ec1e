import { HandoffError } from '../errors.ts'
import type { Mount } from '../mount/mount.ts'
import type { AccountMail } from './account-mail.ts'
import { createAccountMail } from './account.ts'
import { bodyOf } from './body.ts'
import { ChangeFeed } from './change-feed.ts'
import { fileMessage } from './filing.ts'
import { canonicalFlags } from './flags.ts'
import { migrate } from './migrate.ts'
import type { DeliveredMessage, Delivery, MailboxChange, MailStore } from './store.ts'
import { sweep } from './sweep.ts'
import { againWhenSwept } from './swept.ts'

const deliverSql = 'select account_id::text, mailbox_id::text, uid, duplicate from mail.deliver($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)'

interface DeliveredRow {
  readonly account_id: string
  readonly mailbox_id: string
  readonly uid: number
  readonly duplicate: boolean
}

export function createMailStore(mount: Mount): MailStore {
  const feed = new ChangeFeed()
  const seen = new Map<string, number>()
  return {
    mount,
    migrate: () => migrate(mount),
    account: (accountId: string): AccountMail => createAccountMail({ mount, feed, accountId }),
    deliver: (delivery) => deliver(mount, feed, delivery),
    file: (accountId, filing) => fileMessage({ mount, feed, accountId }, filing),
    onChange: (listener) => feed.onChange(listener),
    hear: (change: MailboxChange) => feed.hear(change),
    poll: () => poll(mount, feed, seen),
    sweep: () => sweep(mount),
  }
}

async function deliver(mount: Mount, feed: ChangeFeed, delivery: Delivery): Promise<readonly DeliveredMessage[]> {
  const body = bodyOf(delivery.raw)
  const mailbox = delivery.mailbox ?? 'INBOX'
  const values = [mailbox, delivery.deliveryKey, body.hash, body.content, body.structure, body.version, delivery.receivedAt]
  const place = [...values, canonicalFlags(delivery.flags ?? []), body.threadId]
  const attempt = () => mount.idempotent((db, epoch) => db.query<DeliveredRow>(deliverSql, [epoch, delivery.recipients, ...place], 'mail.deliver'))
  const { rows } = await againWhenSwept(attempt)
  // A duplicate may be our own first attempt, whose answer was lost: nobody has been told of it yet.
  feed.announce(rows.map((row) => row.mailbox_id))
  const delivered = rows.map((row) => ({ accountId: row.account_id, mailboxId: row.mailbox_id, uid: row.uid, duplicate: row.duplicate }))
  const missing = delivery.recipients.find((recipient) => !delivered.some(({ accountId }) => accountId === recipient))
  // The others have theirs; delivering again gives them no second one.
  if (missing !== undefined) throw new HandoffError('MAILBOX_UNKNOWN', `cannot deliver to account ${missing}: it has no mailbox "${mailbox}"`)
  return delivered
}

/** By the one row that every change of a mailbox touches. LISTEN and NOTIFY would hold a database-wide lock while a commit waits for its standbys. */
async function poll(mount: Mount, feed: ChangeFeed, seen: Map<string, number>): Promise<void> {
  const ids = feed.watched
  for (const id of seen.keys()) if (!ids.includes(id)) seen.delete(id)
  if (ids.length === 0) return
  const sql = 'select id::text, highest_modseq as modseq from mail.mailbox where id = any ($1)'
  const { rows } = await mount.read((db) => db.query<{ id: string; modseq: number }>(sql, [ids], 'mail.poll'))
  const changed = rows.filter(({ id, modseq }) => seen.get(id) !== modseq)
  for (const { id, modseq } of changed) seen.set(id, modseq)
  feed.hear({ mailboxIds: changed.map(({ id }) => id) })
}
