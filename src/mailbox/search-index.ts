import { searchText, searchTextVersion } from '../message/search-text.ts'
import type { MessageRoot } from '../message/part.ts'
import { parseMessage } from '../message/structure.ts'
import type { AccountContext } from './account-context.ts'
import { isCurrent, type KeptStructure } from './body.ts'

/** Contents read at a time: bounds memory, with the larger of the two. */
const batch = 50
const batchBytes = 16 * 1024 * 1024

interface Row extends KeptStructure {
  readonly id: number
  readonly content: Buffer
}

/** Decodes what a search will compare for those messages of the mailbox that no search has met before. Kept for all later ones. */
export async function keepTexts({ mount, accountId }: AccountContext, mailboxId: string): Promise<void> {
  for (;;) {
    const { rows: pending } = await mount.read((db) =>
      db.query<{ id: number; size: number }>(
        `select distinct c.id, c.size from mail.message m join mail.mailbox b on b.id = m.mailbox_id and b.account_id = $2 join mail.body c on c.id = m.body_id
         where m.mailbox_id = $1 and not exists (select from mail.body_text t where t.body_id = c.id and t.version = $3) order by c.id limit $4`,
        [mailboxId, accountId, searchTextVersion, batch],
        'mail.texts-missing',
      ),
    )
    if (pending.length === 0) return
    let bytes = 0
    const ids = pending.filter(({ size }, i) => (bytes += size) <= batchBytes || i === 0).map(({ id }) => id)
    const { rows } = await mount.read((db) => db.query<Row>('select id, content, structure, structure_version from mail.body where id = any ($1)', [ids]))
    const texts = rows.map((row) => ({ id: row.id, ...searchText(row.content, rootOf(row)) }))
    await mount.idempotent((db, epoch) =>
      db.query(
        `insert into mail.body_text (body_id, version, fields, headers, content, sent_day)
         select t.id, $2, t.fields, t.headers, t.content, t.sent_day
         from handoff.check_epoch($1), unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::int[]) as t(id, fields, headers, content, sent_day)
         join mail.body c on c.id = t.id
         on conflict (body_id) do update set version = excluded.version, fields = excluded.fields, headers = excluded.headers,
           content = excluded.content, sent_day = excluded.sent_day`,
        [
          epoch,
          searchTextVersion,
          texts.map((t) => t.id),
          texts.map((t) => t.fields),
          texts.map((t) => t.headers),
          texts.map((t) => t.content),
          texts.map((t) => t.sentDay ?? null),
        ],
      ),
    )
  }
}

function rootOf(row: Row): MessageRoot {
  return isCurrent(row) ? row.structure : parseMessage(row.content)
}
