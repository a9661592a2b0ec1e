import { randomUUID } from 'node:crypto'
import type { Mount } from '../mount/mount.ts'

/** An unknown outcome is resolved within the time that a command waits; a redelivery comes within the days that senders try. */
const operationAge = '1 day'
const deliveryAge = '30 days'
const bodyAge = '1 hour'
const batch = 1000

/** In small transactions: no client waits for them, and the standbys' copy queue stays short. */
export async function sweep(mount: Mount): Promise<void> {
  await inBatches(
    mount,
    `delete from handoff.operation where key in (select key from handoff.operation where at < now() - interval '${operationAge}' limit ${batch})`,
  )
  await inBatches(
    mount,
    `delete from mail.delivery where (mailbox_id, key) in (select mailbox_id, key from mail.delivery where at < now() - interval '${deliveryAge}' limit ${batch})`,
  )
  for (const table of ['mail.vacation_reply', 'mail.sieve_seen'])
    await inBatches(mount, `delete from ${table} where ctid = any (array(select ctid from ${table} where expires_at < now() limit ${batch}))`)
  await inBatches(
    mount,
    `delete from mail.body where id in (select b.id from mail.body b where b.stored_at < now() - interval '${bodyAge}'
       and not exists (select from mail.message m where m.body_id = b.id)
       and not exists (select from mail.outbound o where o.body_id = b.id) limit ${batch} for update skip locked)`,
  )
}

async function inBatches(mount: Mount, sql: string): Promise<void> {
  let count: number
  do {
    try {
      count = await mount.write(randomUUID(), async (db) => (await db.query(sql)).rowCount)
    } catch (error) {
      // A body came into use again between our look and our delete: it stays, and the next sweep sees to the others.
      if ((error as { readonly constraint?: unknown }).constraint === 'message_body') return
      throw error
    }
  } while (count === batch)
}
