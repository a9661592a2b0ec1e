import type { Queries } from '../mount/target.ts'
import type { AccountContext } from './account-context.ts'
import { type Body, bodyOf } from './body.ts'
import { canonicalFlags } from './flags.ts'
import { createLevelsAbove } from './mailboxes.ts'
import { againWhenSwept } from './swept.ts'

/** Where a copy of a message goes. A mailbox that is not there is made, or else the copy goes to INBOX. */
export interface Place {
  readonly mailbox: string
  readonly flags: readonly string[]
  readonly create: boolean
  /** For a mailbox that is made (RFC 6154). */
  readonly specialUse?: string | undefined
}

export interface Filing {
  readonly raw: Buffer
  /** The same for every attempt: filed once for each key. */
  readonly key: string
  readonly places: readonly Place[]
  /** Done first in the same transaction. */
  readonly also: (db: Queries) => Promise<void>
}

/** Puts a message into mailboxes of one account, and whatever else is to happen with it, all of it or nothing. */
export async function fileMessage(context: AccountContext, filing: Filing): Promise<void> {
  const body = filing.places.length === 0 ? undefined : bodyOf(filing.raw)
  await againWhenSwept(async () => {
    const ids = await context.mount.write(`filing ${context.accountId} ${filing.key}`, async (db) => {
      // First: it may keep bodies, which are locked before mailboxes.
      await filing.also(db)
      return body === undefined ? [] : await placeAll(db, context.accountId, filing, body)
    })
    context.feed.announce(ids)
  })
}

async function placeAll(db: Queries, accountId: string, filing: Filing, body: Body): Promise<string[]> {
  const sql = 'select mail.keep_body($1, $2, $3, $4) as id'
  await db.query(sql, [body.hash, body.content, body.structure, body.version], 'mail.keep-body')
  const flagsOf = new Map<string, string[]>()
  for (const place of filing.places) {
    const id = await mailboxFor(db, accountId, place)
    flagsOf.set(id, canonicalFlags([...(flagsOf.get(id) ?? []), ...place.flags]))
  }
  // All writers lock mailboxes in this order.
  const ids = [...flagsOf.keys()].sort((a, b) => Number(a) - Number(b))
  for (const id of ids) await place(db, { id, flags: flagsOf.get(id) ?? [], key: filing.key, body })
  return ids
}

async function place(db: Queries, given: { readonly id: string; readonly flags: readonly string[]; readonly key: string; readonly body: Body }): Promise<void> {
  const { id, flags, key, body } = given
  // The transaction is done once for its key; this row tells an offer of the message that comes much later.
  const { rowCount } = await db.query(
    'insert into mail.delivery (mailbox_id, key, uid) select id, $2, uid_next from mail.mailbox where id = $1 on conflict do nothing',
    [id, key],
  )
  if (rowCount === 0) return
  await db.query(
    `with box as (update mail.mailbox set uid_next = uid_next + 1, highest_modseq = highest_modseq + 1 where id = $1 returning id, uid_next - 1 as uid, highest_modseq)
     insert into mail.message (mailbox_id, uid, modseq, internal_date, size, body_id, thread_id, flags)
     select box.id, box.uid, box.highest_modseq, now(), b.size, b.id, $3, $4 from box, mail.body b where b.hash = $2`,
    [id, body.hash, body.threadId, flags],
  )
}

async function mailboxFor(db: Queries, accountId: string, place: Place): Promise<string> {
  const find = async (name: string) =>
    (await db.query<{ id: string }>('select id::text from mail.mailbox where account_id = $1 and name = $2', [accountId, name])).rows[0]?.id
  const found = await find(place.mailbox)
  if (found !== undefined) return found
  if (!place.create) return (await find('INBOX')) ?? ''
  await createLevelsAbove(db, { accountId }, place.mailbox)
  const { rows } = await db.query<{ id: string }>(
    `insert into mail.mailbox (account_id, name, special_use)
     values ($1, $2, (select $3::text where not exists (select from mail.mailbox where account_id = $1 and special_use = $3)))
     on conflict (account_id, name) do update set name = excluded.name returning id::text`,
    [accountId, place.mailbox, place.specialUse ?? null],
  )
  return rows[0]?.id ?? ''
}
