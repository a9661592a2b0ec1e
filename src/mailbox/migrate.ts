import { HandoffError } from '../errors.ts'
import type { Mount } from '../mount/mount.ts'
import type { Queries } from '../mount/target.ts'
import { WrongInstance } from '../mount/transient.ts'
import { mail } from './migrations/001-mail.ts'
import { outbound } from './migrations/004-outbound.ts'
import { filter } from './migrations/007-filter.ts'
import { signing } from './migrations/008-signing.ts'

export interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
}

const migrations: readonly Migration[] = [mail, outbound, filter, signing]

/** Of all processes that bring a schema up to date, one at a time: the advisory lock ends with the transaction. */
const lockKey = 4_711_240_823

/**
 * Applies what is missing, each in a transaction of its own that records it. Done twice it does nothing the second time, so a lost
 * connection just means to look again.
 */
export async function migrate(mount: Mount): Promise<void> {
  await mount.idempotent(async (db, epoch) => {
    await db.query(`begin; select pg_advisory_xact_lock(${lockKey}); create schema if not exists handoff;
      create table if not exists handoff.migration (number int primary key, name text not null, at timestamptz not null default now()); commit`)
    const newest = migrations.at(-1)?.number ?? 0
    const { rows } = await db.query<{ number: number }>('select number from handoff.migration order by number')
    const known = rows.at(-1)?.number ?? 0
    if (known > newest) throw new HandoffError('DATABASE_TOO_NEW', `the schema of "${mount.name}" has migration ${known}, this program knows ${newest}`)
    for (const migration of migrations) await apply(db, epoch, migration)
  })
}

async function apply(db: Queries, epoch: number, migration: Migration): Promise<void> {
  await db.query(`begin; select pg_advisory_xact_lock(${lockKey})`)
  const { rows } = await db.query<{ done: boolean; epoch: string | null }>(
    "select exists (select from handoff.migration where number = $1) as done, current_setting('handoff.epoch', true) as epoch",
    [migration.number],
  )
  if (rows[0]?.done) {
    await db.query('rollback')
    return
  }
  if (epoch !== 0 && Number(rows[0]?.epoch) !== epoch) throw new WrongInstance(`the instance has epoch "${rows[0]?.epoch}", wanted ${epoch}`)
  await db.query(migration.sql)
  await db.query('insert into handoff.migration (number, name) values ($1, $2)', [migration.number, migration.name])
  await db.query('commit')
}
