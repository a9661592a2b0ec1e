import { HandoffError } from '../errors.ts'
import type { Queries } from '../mount/target.ts'
import { type AccountContext, change, isId, unknownMailbox } from './account-context.ts'
import type { MailboxEntry, MailboxStatus } from './account-mail.ts'
import { moveIn } from './copying.ts'

const separator = '/'

const listSql = `select b.id::text as id, coalesce(b.name, s.name) as name, s.name is not null as subscribed, b.special_use as "specialUse",
    b.id is not null as exists, b.object_id::text as "objectId"
  from (select * from mail.mailbox where account_id = $1) b full join (select name from mail.subscription where account_id = $1) s on s.name = b.name
  order by 2`

type ListRow = { readonly [K in keyof MailboxEntry]: MailboxEntry[K] | null }

export async function listMailboxes({ mount, accountId }: AccountContext): Promise<readonly MailboxEntry[]> {
  const { rows } = await mount.read((db) => db.query<ListRow>(listSql, [accountId], 'mail.list'))
  return rows.map((row) => ({
    id: row.id ?? '',
    name: row.name ?? '',
    subscribed: row.subscribed === true,
    specialUse: row.specialUse ?? undefined,
    exists: row.exists === true,
    objectId: row.objectId ?? undefined,
  }))
}

export async function createMailbox(context: AccountContext, name: string): Promise<{ readonly mailboxId: string }> {
  return change(context, [], async (db) => {
    await createLevelsAbove(db, context, name)
    return { mailboxId: await insertMailbox(db, context, name) }
  })
}

/** @throws HandoffError MAILBOX_EXISTS */
async function insertMailbox(db: Queries, { accountId }: AccountContext, name: string): Promise<string> {
  const { rows } = await db.query<{ id: string }>('insert into mail.mailbox (account_id, name) values ($1, $2) on conflict do nothing returning id::text', [
    accountId,
    name,
  ])
  if (!rows[0]) throw mailboxExists(name)
  return rows[0].id
}

export async function createLevelsAbove(db: Queries, { accountId }: Pick<AccountContext, 'accountId'>, name: string): Promise<void> {
  const levels = name.split(separator)
  const above = levels.slice(1).map((_level, i) => levels.slice(0, i + 1).join(separator))
  if (above.length > 0) await db.query('insert into mail.mailbox (account_id, name) select $1, unnest($2::text[]) on conflict do nothing', [accountId, above])
}

export async function removeMailbox(context: AccountContext, mailbox: MailboxEntry): Promise<void> {
  if (mailbox.name === 'INBOX') throw new HandoffError('MAILBOX_FIXED', 'INBOX cannot be deleted')
  if (!isId(mailbox.id)) throw unknownMailbox(mailbox.name)
  await change(context, [mailbox.id], async (db) => {
    const { rowCount } = await db.query("delete from mail.mailbox where id = $1 and account_id = $2 and name <> 'INBOX'", [mailbox.id, context.accountId])
    if (rowCount === 0) throw unknownMailbox(mailbox.id)
  })
}

export async function renameMailbox(context: AccountContext, mailbox: MailboxEntry, to: string): Promise<void> {
  const { accountId } = context
  if (!isId(mailbox.id)) throw unknownMailbox(mailbox.name)
  await change(context, [mailbox.id], async (db) => {
    const { rows } = await db.query<{ name: string }>('select name from mail.mailbox where id = $1 and account_id = $2 for no key update', [
      mailbox.id,
      accountId,
    ])
    const from = rows[0]?.name
    if (from === undefined) throw unknownMailbox(mailbox.id)
    await createLevelsAbove(db, context, to)
    if (from === 'INBOX') return renameInbox(db, context, { inbox: mailbox.id, to })
    const taken = await db.query('select from mail.mailbox where account_id = $1 and name = $2', [accountId, to])
    if (taken.rowCount > 0) throw mailboxExists(to)
    try {
      await db.query(
        `update mail.mailbox set name = $3 || substr(name, length($2) + 1) where account_id = $1 and (name = $2 or starts_with(name, $2 || '${separator}'))`,
        [accountId, from, to],
      )
    } catch (cause) {
      if ((cause as { readonly code?: unknown }).code === '23505') throw mailboxExists(to)
      throw cause
    }
  })
}

async function renameInbox(db: Queries, context: AccountContext, { inbox, to }: { readonly inbox: string; readonly to: string }): Promise<void> {
  const target = await insertMailbox(db, context, to)
  const { rows } = await db.query<{ uid: number }>('select uid from mail.message where mailbox_id = $1', [inbox])
  await moveIn(db, context, { from: inbox, uids: rows.map(({ uid }) => uid), to: target })
}

export async function setSubscribed(context: AccountContext, name: string, subscribed: boolean): Promise<void> {
  const sql = subscribed
    ? 'insert into mail.subscription (account_id, name) values ($1, $2) on conflict do nothing'
    : 'delete from mail.subscription where account_id = $1 and name = $2'
  await change(context, [], (db) => db.query(sql, [context.accountId, name]).then(() => null))
}

const statusSql = `select b.id::text as id, b.uid_next as "uidNext", b.uid_validity as "uidValidity", b.highest_modseq as "highestModseq",
    count(m.uid) as messages, count(m.uid) filter (where m.uid >= b.recent_from) as recent,
    count(m.uid) filter (where not '\\Seen' = any (m.flags)) as unseen, count(m.uid) filter (where '\\Deleted' = any (m.flags)) as deleted,
    coalesce(sum(m.size), 0)::bigint as "sizeBytes"
  from mail.mailbox b left join mail.message m on m.mailbox_id = b.id
  where b.account_id = $1 and b.id = any ($2) group by b.id`

export async function statusOf({ mount, accountId }: AccountContext, mailboxIds: readonly string[]): Promise<ReadonlyMap<string, MailboxStatus>> {
  const ids = mailboxIds.filter(isId)
  if (ids.length === 0) return new Map()
  const { rows } = await mount.read((db) => db.query<MailboxStatus & { readonly id: string }>(statusSql, [accountId, ids], 'mail.status'))
  return new Map(rows.map(({ id, ...status }) => [id, status]))
}

function mailboxExists(name: string): HandoffError {
  return new HandoffError('MAILBOX_EXISTS', `a mailbox "${name}" exists`)
}
