import type { MessageRoot } from '../message/part.ts'
import { parseMessage } from '../message/structure.ts'
import type { Queries } from '../mount/target.ts'
import { type AccountContext, change, isId, unknownMailbox } from './account-context.ts'
import type { AccountMail, Changes, FlagChange, FlagState, MessageContent, MessageEntry, OpenedMailbox } from './account-mail.ts'
import { bodyOf, isCurrent, type KeptStructure } from './body.ts'
import { canonicalFlags, changedFlags, sameFlags } from './flags.ts'
import { againWhenSwept } from './swept.ts'

interface MailboxRow {
  readonly uid_validity: number
  readonly uid_next: number
  readonly highest_modseq: number
}

async function mailboxRow(db: Queries, { accountId }: AccountContext, mailboxId: string): Promise<MailboxRow> {
  const sql = 'select uid_validity, uid_next, highest_modseq from mail.mailbox where id = $1 and account_id = $2'
  const { rows } = isId(mailboxId) ? await db.query<MailboxRow>(sql, [mailboxId, accountId], 'mail.mailbox') : { rows: [] }
  if (!rows[0]) throw unknownMailbox(mailboxId)
  return rows[0]
}

/** Locks the mailbox for this transaction and gives it its next mod-sequence: mod-sequences become visible in their order. */
export async function nextModseq(db: Queries, { accountId }: AccountContext, mailboxId: string, uids = 0): Promise<MailboxRow> {
  const sql = `update mail.mailbox set highest_modseq = highest_modseq + 1, uid_next = uid_next + $3 where id = $1 and account_id = $2
    returning uid_validity, uid_next, highest_modseq`
  const { rows } = isId(mailboxId) ? await db.query<MailboxRow>(sql, [mailboxId, accountId, uids], 'mail.next-modseq') : { rows: [] }
  if (!rows[0]) throw unknownMailbox(mailboxId)
  return rows[0]
}

export function openMailbox(context: AccountContext, mailboxId: string): Promise<OpenedMailbox> {
  return context.mount.snapshot(async (db) => {
    const row = await mailboxRow(db, context, mailboxId)
    const { rows } = await db.query<FlagState>('select uid, modseq, flags from mail.message where mailbox_id = $1 order by uid', [mailboxId], 'mail.open')
    return { uidValidity: row.uid_validity, uidNext: row.uid_next, highestModseq: row.highest_modseq, messages: rows }
  })
}

export async function changesSince(context: AccountContext, mailboxId: string, modseq: number): Promise<Changes> {
  // Most looks find nothing new, and this one row tells.
  const now = await context.mount.read((db) => mailboxRow(db, context, mailboxId))
  if (now.highest_modseq === modseq) return { highestModseq: modseq, uidNext: now.uid_next, changed: [], vanished: [] }
  return context.mount.snapshot(async (db) => {
    const row = await mailboxRow(db, context, mailboxId)
    const changed = await db.query<FlagState>(
      'select uid, modseq, flags from mail.message where mailbox_id = $1 and modseq > $2 order by uid',
      [mailboxId, modseq],
      'mail.changed',
    )
    const gone = await db.query<{ uid: number }>(
      'select uid from mail.expunged where mailbox_id = $1 and modseq > $2 order by uid',
      [mailboxId, modseq],
      'mail.gone',
    )
    return { highestModseq: row.highest_modseq, uidNext: row.uid_next, changed: changed.rows, vanished: gone.rows.map(({ uid }) => uid) }
  })
}

export async function claimRecent(context: AccountContext, mailboxId: string): Promise<number> {
  // Nothing new is the common case, and must not cost a commit.
  const { rows } = await context.mount.read((db) =>
    db.query<{ recent_from: number; uid_next: number }>(
      'select recent_from, uid_next from mail.mailbox where id = $1 and account_id = $2',
      [mailboxId, context.accountId],
      'mail.recent',
    ),
  )
  if (!rows[0]) throw unknownMailbox(mailboxId)
  if (rows[0].recent_from === rows[0].uid_next) return rows[0].uid_next
  return change(context, [], async (db) => {
    const claimed = await db.query<{ was: number }>(
      `update mail.mailbox b set recent_from = b.uid_next from (select id, recent_from from mail.mailbox where id = $1 for no key update) old
       where b.id = old.id returning old.recent_from as was`,
      [mailboxId],
    )
    return claimed.rows[0]?.was ?? 1
  })
}

const entrySql = `select m.uid, m.modseq, m.flags, m.internal_date as "internalDate", m.size as "sizeBytes", 'M' || m.email_id as "emailId", 'T' || m.thread_id as "threadId"
  from mail.message m join mail.mailbox b on b.id = m.mailbox_id and b.account_id = $2
  where m.mailbox_id = $1 and m.uid = any ($3) order by m.uid`

export async function messages(context: AccountContext, mailboxId: string, uids: readonly number[]): Promise<readonly MessageEntry[]> {
  if (uids.length === 0 || !isId(mailboxId)) return []
  return (await context.mount.read((db) => db.query<MessageEntry>(entrySql, [mailboxId, context.accountId, uids], 'mail.entries'))).rows
}

const keptSql = (columns: string) => `select m.uid, c.structure, c.structure_version${columns}
  from mail.message m join mail.mailbox b on b.id = m.mailbox_id and b.account_id = $2 join mail.body c on c.id = m.body_id
  where m.mailbox_id = $1 and m.uid = any ($3)`

export async function structures(context: AccountContext, mailboxId: string, uids: readonly number[]): Promise<ReadonlyMap<number, MessageRoot>> {
  if (uids.length === 0 || !isId(mailboxId)) return new Map()
  const { rows } = await context.mount.read((db) =>
    db.query<KeptStructure & { readonly uid: number }>(keptSql(''), [mailboxId, context.accountId, uids], 'mail.structures'),
  )
  const found = new Map<number, MessageRoot>()
  for (const row of rows) {
    const root = isCurrent(row) ? row.structure : (await content(context, mailboxId, row.uid))?.root
    if (root) found.set(row.uid, root)
  }
  return found
}

export async function content(context: AccountContext, mailboxId: string, uid: number): Promise<MessageContent | undefined> {
  if (!isId(mailboxId)) return undefined
  const { rows } = await context.mount.read((db) =>
    db.query<KeptStructure & { readonly content: Buffer }>(keptSql(', c.content'), [mailboxId, context.accountId, [uid]], 'mail.content'),
  )
  const row = rows[0]
  return row && { bytes: row.content, root: isCurrent(row) ? row.structure : parseMessage(row.content) }
}

export function appendMessage(context: AccountContext, mailboxId: string, message: Parameters<AccountMail['append']>[1]): ReturnType<AccountMail['append']> {
  const body = bodyOf(message.bytes)
  const flags = canonicalFlags(message.flags)
  return againWhenSwept(() =>
    change(context, [mailboxId], async (db) => {
      const kept = await db.query<{ id: number }>(
        'select mail.keep_body($1, $2, $3, $4) as id',
        [body.hash, body.content, body.structure, body.version],
        'mail.keep-body',
      )
      const row = await nextModseq(db, context, mailboxId, 1)
      const uid = row.uid_next - 1
      await db.query(
        `insert into mail.message (mailbox_id, uid, modseq, internal_date, size, body_id, thread_id, flags) values ($1, $2, $3, coalesce($4, now()), $5, $6, $7, $8)`,
        [mailboxId, uid, row.highest_modseq, message.internalDate ?? null, body.content.length, kept.rows[0]?.id, body.threadId, flags],
        'mail.append',
      )
      return { uidValidity: row.uid_validity, uid }
    }),
  )
}

export function storeFlags(
  context: AccountContext,
  given: { readonly mailboxId: string; readonly uids: readonly number[]; readonly change: FlagChange },
): ReturnType<AccountMail['storeFlags']> {
  const { mailboxId, uids } = given
  const { unchangedSince } = given.change
  return change(context, [mailboxId], async (db) => {
    const { highest_modseq: modseq } = await nextModseq(db, context, mailboxId)
    const { rows } = await db.query<FlagState>(
      'select uid, modseq, flags from mail.message where mailbox_id = $1 and uid = any ($2) order by uid',
      [mailboxId, uids],
      'mail.flags',
    )
    const failed = unchangedSince === undefined ? [] : rows.filter((row) => row.modseq > unchangedSince).map((row) => row.uid)
    const passed = rows.filter((row) => unchangedSince === undefined || row.modseq <= unchangedSince)
    const updated = passed.map((row) => {
      const flags = changedFlags(row.flags, given.change)
      // A flag that is set already is no change, and gets no new mod-sequence.
      return sameFlags(flags, row.flags) ? row : { uid: row.uid, flags, modseq }
    })
    const changed = updated.filter((row, i) => row !== passed[i])
    if (changed.length > 0)
      await db.query(
        `update mail.message m set flags = string_to_array(c.flags, ' '), modseq = $2 from unnest($3::bigint[], $4::text[]) as c(uid, flags)
         where m.mailbox_id = $1 and m.uid = c.uid`,
        [mailboxId, modseq, changed.map((row) => row.uid), changed.map((row) => row.flags.join(' '))],
        'mail.store',
      )
    return { updated, unchangedSinceFailed: failed }
  })
}

export async function expunge(context: AccountContext, mailboxId: string, uids: readonly number[]): Promise<void> {
  await change(context, [mailboxId], async (db) => {
    const { highest_modseq: modseq } = await nextModseq(db, context, mailboxId)
    await removeMessages(db, { mailboxId, uids, modseq, only: "and '\\Deleted' = any (flags)" })
  })
}

export async function removeMessages(
  db: Queries,
  given: { readonly mailboxId: string; readonly uids: readonly number[]; readonly modseq: number; readonly only?: string },
): Promise<void> {
  await db.query(
    `with gone as (delete from mail.message where mailbox_id = $1 and uid = any ($2) ${given.only ?? ''} returning uid)
     insert into mail.expunged (mailbox_id, modseq, uid) select $1, $3, uid from gone`,
    [given.mailboxId, given.uids, given.modseq],
  )
}
