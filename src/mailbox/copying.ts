import type { Queries } from '../mount/target.ts'
import { type AccountContext, change, isId, unknownMailbox } from './account-context.ts'
import type { CopyResult } from './account-mail.ts'
import { nextModseq, removeMessages } from './messages.ts'

export interface Copying {
  readonly from: string
  readonly uids: readonly number[]
  readonly to: string
}

/** All or none (RFC 9051 §6.4.7). Flags, dates and object ids go along; contents are not touched. */
export function copyMessages(context: AccountContext, copying: Copying): Promise<CopyResult> {
  return change(context, [copying.to], (db) => copyIn(db, context, copying))
}

/** RFC 6851: nobody ever sees a message in both or in neither. */
export function moveMessages(context: AccountContext, copying: Copying): Promise<CopyResult> {
  return change(context, [copying.from, copying.to], (db) => moveIn(db, context, copying))
}

export async function moveIn(db: Queries, context: AccountContext, copying: Copying): Promise<CopyResult> {
  const result = await copyIn(db, context, copying)
  const { highest_modseq: modseq } = await nextModseq(db, context, copying.from)
  await removeMessages(db, { mailboxId: copying.from, uids: result.pairs.map(([uid]) => uid), modseq })
  return result
}

async function copyIn(db: Queries, context: AccountContext, { from, uids, to }: Copying): Promise<CopyResult> {
  await lockMailboxes(db, context, [from, to])
  const { rows } = await db.query<{ uid: number }>('select uid from mail.message where mailbox_id = $1 and uid = any ($2) order by uid', [from, uids])
  const target = await nextModseq(db, context, to, rows.length)
  const first = target.uid_next - rows.length
  const pairs = rows.map(({ uid }, i) => [uid, first + i] as const)
  await db.query(
    `insert into mail.message (mailbox_id, uid, modseq, internal_date, size, body_id, email_id, thread_id, flags)
     select $1, c.to_uid, $2, m.internal_date, m.size, m.body_id, m.email_id, m.thread_id, m.flags
     from unnest($4::bigint[], $5::bigint[]) as c(uid, to_uid) join mail.message m on m.mailbox_id = $3 and m.uid = c.uid`,
    [to, target.highest_modseq, from, pairs.map(([uid]) => uid), pairs.map(([, uid]) => uid)],
  )
  return { uidValidity: target.uid_validity, pairs }
}

/** Always in the order of their ids: two sessions that move messages to and fro must not wait for each other in a circle. */
async function lockMailboxes(db: Queries, { accountId }: AccountContext, ids: readonly string[]): Promise<void> {
  const wanted = [...new Set(ids)]
  const { rows } = wanted.every(isId)
    ? await db.query<{ id: string }>('select id::text from mail.mailbox where id = any ($1) and account_id = $2 order by mailbox.id for no key update', [
        wanted,
        accountId,
      ])
    : { rows: [] }
  const missing = wanted.find((id) => !rows.some((row) => row.id === id))
  if (missing !== undefined) throw unknownMailbox(missing)
}
