import { randomUUID } from 'node:crypto'
import { domainToASCII } from 'node:url'
import { bodyOf } from '../mailbox/body.ts'
import { againWhenSwept } from '../mailbox/swept.ts'
import type { Mount } from '../mount/mount.ts'
import type { Queries } from '../mount/target.ts'
import type { Claim, DueRecipient, NewMessage, Outcome, QueueChange, QueueEntry } from './queue.ts'

/** After a restart: what was about to end may still be told to end for so long (Q2), and as long again for the receiver to store it. */
const unknownOutcomeWait = '10 seconds'
const keptFor = '7 days'

/** What one outcome changes, as it was decided. */
export interface Settlement extends Outcome {
  /** Until the next attempt, when it was deferred. */
  readonly waitMs: number | null
  readonly delayTold: boolean
}

/** Resolves when the message is on every in-sync copy. Given again under its key, it is not queued again. */
export async function enqueue(mount: Mount, message: NewMessage): Promise<{ readonly id: number }> {
  return againWhenSwept(() => mount.write(`outbound ${message.key}`, (db) => enqueueIn(db, message)))
}

/** The same as part of a transaction, before any mailbox is changed in it. */
export async function enqueueIn(db: Queries, message: NewMessage): Promise<{ readonly id: number }> {
  const known = await db.query<{ id: number }>('select id from mail.outbound where key = $1', [message.key])
  if (known.rows[0]) return { id: known.rows[0].id }
  const body = bodyOf(message.content)
  const kept = await db.query<{ id: number }>(
    'select mail.keep_body($1, $2, $3, $4) as id',
    [body.hash, body.content, body.structure, body.version],
    'mail.keep-body',
  )
  return { id: await insert(db, message, kept.rows[0]?.id ?? 0) }
}

async function insert(db: Queries, message: NewMessage, bodyId: number): Promise<number> {
  const { rows } = await db.query<{ id: number }>(
    'insert into mail.outbound (key, body_id, return_path, envid, ret, require_tls) values ($1, $2, $3, $4, $5, $6) returning id',
    [message.key, bodyId, message.returnPath, message.envid ?? null, message.ret ?? null, message.requireTls ?? false],
  )
  const id = rows[0]?.id ?? 0
  for (const [index, recipient] of message.recipients.entries())
    await db.query('insert into mail.outbound_recipient (outbound_id, number, address, domain, notify, orcpt) values ($1, $2, $3, $4, $5, $6)', [
      id,
      index + 1,
      recipient.address,
      domainOf(recipient.address),
      recipient.notify ?? null,
      recipient.orcpt ?? null,
    ])
  return id
}

/** Lower case, A-labels; an address literal as it is. */
export function domainOf(address: string): string {
  const domain = address.slice(address.lastIndexOf('@') + 1)
  return domain.startsWith('[') ? domain : domainToASCII(domain) || domain.toLowerCase()
}

interface ClaimedRow extends DueRecipient {
  readonly attempt: string
  readonly id: number
  readonly domain: string
  readonly returnPath: string
  readonly envid: string | null
  readonly ret: 'FULL' | 'HDRS' | null
  readonly requireTls: boolean
  readonly queuedForMs: number
}

/** Takes what is due into an attempt each: at most `max` pairs of message and domain, of no domain in `busy`. */
export async function claim(mount: Mount, given: { readonly max: number; readonly busy: readonly string[] }): Promise<readonly Claim[]> {
  // Most looks find nothing, and must not cost a commit.
  const due = await mount.read((db) =>
    db.query('select from mail.outbound_recipient where state = $1 and next_at <= now() and domain <> all ($2) limit 1', ['waiting', given.busy]),
  )
  if (due.rowCount === 0) return []
  const rows = await mount.write(randomUUID(), async (db) => {
    const claimed = await db.query<ClaimedRow>(
      `with due as (
         select outbound_id, domain, row_number() over (partition by domain order by min(next_at)) as turn, min(next_at) as at, gen_random_uuid() as attempt
         from mail.outbound_recipient where state = 'waiting' and next_at <= now() and domain <> all ($1)
         group by outbound_id, domain order by turn, at limit $2),
       claimed as (
         update mail.outbound_recipient r set state = 'trying', attempt = due.attempt, attempts = r.attempts + 1, at = now()
         from due where r.outbound_id = due.outbound_id and r.domain = due.domain and r.state = 'waiting' and r.next_at <= now()
         returning r.*)
       select c.attempt, c.outbound_id as id, c.domain, c.number, c.address, c.notify, c.orcpt, c.attempts, c.delay_told as "delayTold",
         o.return_path as "returnPath", o.envid, o.ret, o.require_tls as "requireTls",
         (extract(epoch from now() - o.queued_at) * 1000)::float8 as "queuedForMs"
       from claimed c join mail.outbound o on o.id = c.outbound_id order by c.outbound_id, c.domain, c.number`,
      [given.busy, given.max],
    )
    return claimed.rows
  })
  return grouped(rows)
}

function grouped(rows: readonly ClaimedRow[]): readonly Claim[] {
  const claims = new Map<string, Claim & { readonly recipients: DueRecipient[] }>()
  for (const { attempt, id, domain, returnPath, envid, ret, requireTls, queuedForMs, ...recipient } of rows) {
    const found = claims.get(attempt)
    if (found) found.recipients.push(recipient)
    else claims.set(attempt, { attempt, id, domain, returnPath, envid, ret, requireTls, queuedForMs, recipients: [recipient] })
  }
  return [...claims.values()]
}

export async function contentOf(mount: Mount, id: number): Promise<Buffer | null> {
  const sql = 'select b.content from mail.outbound o join mail.body b on b.id = o.body_id where o.id = $1'
  return (await mount.read((db) => db.query<{ content: Buffer }>(sql, [id]))).rows[0]?.content ?? null
}

/** Q2. False when the attempt no longer owns them all: the end of the content must not be sent. */
export async function beginEnding(
  mount: Mount,
  owned: { readonly attempt: string; readonly id: number; readonly numbers: readonly number[] },
): Promise<boolean> {
  const count = await mount.write(randomUUID(), async (db) => {
    const { rowCount } = await db.query(
      "update mail.outbound_recipient set state = 'ending', at = now() where attempt = $1 and outbound_id = $2 and number = any ($3) and state = 'trying'",
      [owned.attempt, owned.id, owned.numbers],
    )
    return rowCount
  })
  return count === owned.numbers.length
}

/**
 * Q4. Writes what an attempt came to, and queues the notifications that it makes due, in one transaction.
 * @returns false when the attempt no longer owned the rows: another one decides about them
 */
export async function settle(
  mount: Mount,
  given: { readonly claim: Pick<Claim, 'attempt' | 'id'>; readonly settlements: readonly Settlement[]; readonly notifications: readonly NewMessage[] },
): Promise<boolean> {
  const { attempt, id } = given.claim
  const bodies = given.notifications.map((notification) => bodyOf(notification.content))
  return againWhenSwept(() =>
    mount.write(randomUUID(), async (db) => {
      const owned = await db.query(
        "select from mail.outbound_recipient where attempt = $1 and outbound_id = $2 and number = any ($3) and state in ('trying', 'ending') for update",
        [attempt, id, given.settlements.map(({ number }) => number)],
      )
      if (owned.rowCount !== given.settlements.length) return false
      const bodyIds: number[] = []
      for (const body of bodies) {
        const { rows } = await db.query<{ id: number }>('select mail.keep_body($1, $2, $3, $4) as id', [body.hash, body.content, body.structure, body.version])
        bodyIds.push(rows[0]?.id ?? 0)
      }
      for (const { number, state, reply, host, waitMs, delayTold } of given.settlements) {
        await db.query(
          `update mail.outbound_recipient set state = $3, reply = $4, host = $5, at = now(), attempt = null,
             next_at = now() + make_interval(secs => $6 / 1000.0), delay_told = delay_told or $7
           where outbound_id = $1 and number = $2`,
          [id, number, state === 'deferred' ? 'waiting' : state, reply, host, waitMs ?? 0, delayTold],
        )
      }
      for (const [index, notification] of given.notifications.entries()) await insert(db, notification, bodyIds[index] ?? 0)
      return true
    }),
  )
}

/** Q1. Called before the first claim of a sender's life: whatever an earlier one had in hand is nobody's any more. `except`: attempts that are being made. */
export async function takeBack(mount: Mount, given: { readonly except: readonly string[] }): Promise<number> {
  return mount.write(randomUUID(), async (db) => {
    const { rowCount } = await db.query(
      `update mail.outbound_recipient set attempt = null, state = 'waiting',
         next_at = case state when 'ending' then now() + interval '${unknownOutcomeWait}' else now() end,
         reply = case state when 'ending' then 'the server failed over before the receiver had answered: it may have the message' else reply end
       where state in ('trying', 'ending') and attempt <> all ($1::uuid[])`,
      [given.except],
    )
    return rowCount
  })
}

/** ms until the next recipient is due; null when none waits. */
export async function nextDueMs(mount: Mount, busy: readonly string[]): Promise<number | null> {
  const sql = `select (extract(epoch from min(next_at) - now()) * 1000)::float8 as ms from mail.outbound_recipient where state = 'waiting' and domain <> all ($1)`
  const { rows } = await mount.read((db) => db.query<{ ms: number | null }>(sql, [busy]))
  return rows[0]?.ms ?? null
}

/** Forgets messages all of whose recipients have been over for days. */
export async function sweepQueue(mount: Mount): Promise<void> {
  await mount.write(randomUUID(), async (db) => {
    const { rowCount } = await db.query(
      `delete from mail.outbound o where not exists (select from mail.outbound_recipient r where r.outbound_id = o.id
         and (r.state not in ('delivered', 'failed') or r.at > now() - interval '${keptFor}'))`,
    )
    return rowCount
  })
}

const entrySql = `select r.outbound_id as id, r.number, o.return_path as "returnPath", r.address, r.state, r.attempts, o.queued_at as "queuedAt",
    case when r.state = 'waiting' then r.next_at end as "nextAt", r.reply, r.host, b.size as "sizeBytes"
  from mail.outbound_recipient r join mail.outbound o on o.id = r.outbound_id join mail.body b on b.id = o.body_id`

/** What is in the queue: of one message with everything that is over, too. */
export async function entries(mount: Mount, id?: number): Promise<readonly QueueEntry[]> {
  const where = id === undefined ? "where r.state not in ('delivered', 'failed')" : 'where r.outbound_id = $1'
  const { rows } = await mount.read((db) =>
    db.query<Omit<QueueEntry, 'queuedAt' | 'nextAt'> & { queuedAt: Date; nextAt: Date | null }>(
      `${entrySql} ${where} order by r.outbound_id, r.number`,
      id === undefined ? [] : [id],
    ),
  )
  return rows.map((row) => ({ ...row, queuedAt: row.queuedAt.toISOString(), nextAt: row.nextAt?.toISOString() ?? null }))
}

const byHand: Readonly<Record<QueueChange, string>> = {
  hold: "set state = 'held' where outbound_id = $1 and state = 'waiting'",
  release: "set state = 'waiting', next_at = now() where outbound_id = $1 and state = 'held'",
  retry: "set next_at = now() where outbound_id = $1 and state = 'waiting'",
  /** Nobody is told: the operator has decided so. */
  remove: "set state = 'failed', reply = 'removed by the operator', at = now() where outbound_id = $1 and state in ('waiting', 'held')",
}

/** @returns how many recipients it concerned; those of which an attempt is under way are left alone */
export async function change(mount: Mount, id: number, how: QueueChange): Promise<number> {
  return mount.write(randomUUID(), async (db) => (await db.query(`update mail.outbound_recipient ${byHand[how]}`, [id])).rowCount)
}
