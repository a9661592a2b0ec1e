import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { until } from './fixture.ts'
import { type Copy, makeCopies, makePair, primary, streaming } from './pair.ts'
import { order } from './synchronous-set.ts'

// "Acknowledged" (DESIGN.md): what synchronous PostgreSQL shows or confirms without its copy having it, and the rules that close this.

let remove: () => Promise<void> = async () => {}
afterEach(() => remove())

async function copies(...names: string[]): Promise<readonly Copy[]> {
  const made = await makeCopies(names, { fsync: 'off' })
  remove = made.remove
  return made.copies
}

async function pair(): Promise<readonly [Copy, Copy]> {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  await makePair(a, b)
  const client = await a.client()
  await client.query('create table seen (n int primary key)')
  await client.end()
  return [a, b]
}

const numbers = async (client: pg.Client): Promise<number[]> => (await client.query<{ n: number }>('select n from seen order by n')).rows.map((row) => row.n)

/** Writes in a loop, one after the other, through whatever copy it is told to use; keeps what was acknowledged. */
function writer(connect: () => Promise<pg.Client>): { readonly acknowledged: number[]; stop(): Promise<void>; readonly gaps: () => number } {
  const acknowledged: number[] = []
  let stopped = false
  let gap = 0
  let last = performance.now()
  const done = (async () => {
    let client: pg.Client | null = null
    for (let n = 1; !stopped; n++) {
      try {
        client ??= await connect()
        await client.query('insert into seen values ($1)', [n])
        acknowledged.push(n)
        gap = Math.max(gap, performance.now() - last)
        last = performance.now()
      } catch {
        await client?.end().catch(() => {})
        client = null
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await client?.end().catch(() => {})
  })()
  return {
    acknowledged,
    gaps: () => gap,
    stop: async () => {
      stopped = true
      await done
    },
  }
}

test('a crash and a promotion under a writing client lose nothing acknowledged', async () => {
  const [a, b] = await pair()
  let active = a
  const load = writer(() => active.client())
  await until(() => load.acknowledged.length > 100)
  await a.instance.stop({ mode: 'kill' })
  const before = load.acknowledged.length
  const promoted = await b.instance.promote({ epoch: 2 })
  active = b
  const written = b.instance.firstWrite(20_000)
  await until(() => load.acknowledged.length > before + 50)
  const firstWriteAt = (await written) ?? 0
  expect(firstWriteAt).toBeGreaterThan(promoted.beganWallMs)
  expect(firstWriteAt).toBeLessThan(Date.now())
  await load.stop()
  const client = await b.client()
  const there = new Set(await numbers(client))
  await client.end()
  expect(load.acknowledged.filter((n) => !there.has(n))).toEqual([])
  expect(promoted.steps.map((step) => step.step)).toEqual(['settings written', 'promotion requested', 'promoted'])
})

test('a planned handoff under a writing client loses nothing and ends with an equal log', async () => {
  const [a, b] = await pair()
  let active = a
  const load = writer(() => active.client())
  await until(() => load.acknowledged.length > 100)
  const quiesced = primary(await a.instance.quiesce({ target: b.node, timeoutMs: 2000 }))
  expect(quiesced).toMatchObject({ gate: 'closed', quiesced: { target: 'b' } })
  const before = load.acknowledged.length
  await b.instance.promote({ epoch: 2 })
  active = b
  await until(() => load.acknowledged.length > before + 50)
  await load.stop()
  const client = await b.client()
  const there = new Set(await numbers(client))
  await client.end()
  expect(load.acknowledged.filter((n) => !there.has(n))).toEqual([])
})

test('a quiesce whose target does not confirm in time opens the gate again', async () => {
  const [a, b] = await pair()
  const postmaster = b.instance.pids().find((process) => process.pid > 0)
  const receivers = b.instance.pids().filter((process) => process.pid !== postmaster?.pid)
  for (const process_ of receivers) process.kill(process_.pid, 'SIGSTOP')
  try {
    await expect(a.instance.quiesce({ target: b.node, timeoutMs: 200 })).rejects.toMatchObject({ code: 'POSTGRES_TIMEOUT' })
  } finally {
    for (const process_ of receivers) process.kill(process_.pid, 'SIGCONT')
  }
  expect(await a.instance.observe()).toMatchObject({ kind: 'primary', gate: 'open', quiesced: null })
  const client = await a.client()
  await client.query('insert into seen values (1)')
  await client.end()
})

test('from `synchronousSince` on, no commit returns before every member has flushed it, while the set grows under load', async () => {
  const [a, b, c] = (await copies('a', 'b', 'c')) as [Copy, Copy, Copy]
  await makePair(a, b)
  const setup = await a.client()
  await setup.query('create table seen (n int primary key)')
  const load = writer(() => a.client())
  await c.instance.seed({ upstream: a.upstream })
  await streaming(a, c)
  const grown = primary(await a.instance.setSynchronous([b.node, c.node], 1))
  expect([...grown.synchronous].sort()).toEqual(['b', 'c'])
  // Freeze c: nothing may be acknowledged any more.
  for (const process_ of c.instance.pids()) process.kill(process_.pid, 'SIGSTOP')
  await until(
    async () =>
      (await setup.query<{ waiting: number }>(`select count(*)::int as waiting from pg_stat_activity where wait_event = 'SyncRep'`)).rows[0]?.waiting === 1,
  )
  const frozenAt = load.acknowledged.length
  for (const process_ of c.instance.pids()) process.kill(process_.pid, 'SIGCONT')
  await until(() => load.acknowledged.length > frozenAt)
  // Shrinking releases who waits.
  for (const process_ of c.instance.pids()) process.kill(process_.pid, 'SIGSTOP')
  try {
    await until(
      async () =>
        (await setup.query<{ waiting: number }>(`select count(*)::int as waiting from pg_stat_activity where wait_event = 'SyncRep'`)).rows[0]?.waiting === 1,
    )
    const begun = performance.now()
    const waiting = load.acknowledged.length
    const shrunk = a.instance.setSynchronous([b.node], 1)
    await until(() => load.acknowledged.length > waiting)
    expect(performance.now() - begun).toBeLessThan(500)
    expect(await shrunk).toMatchObject({ synchronous: ['b'] })
  } finally {
    for (const process_ of c.instance.pids()) process.kill(process_.pid, 'SIGCONT')
  }
  await load.stop()
  await setup.end()
})

test('the list of synchronous standbys gives everybody who stays another place', () => {
  expect(order(['a', 'b'], ['a', 'b', 'c'])).toEqual(['c', 'a', 'b'])
  expect(order([], ['a'])).toEqual(['a'])
  expect(order(['-', 'a'], ['a'])).toEqual(['a'])
})

test('control, stock settings: a cancelled wait shows a row that the failover then loses', async () => {
  const [a, b] = await pair()
  await b.instance.stop({ mode: 'immediate' })
  const shown = await cancelledWrite(a)
  expect(shown).toEqual([1]) // any reader of the old primary sees it, and the writer got a success with a warning
  await a.instance.stop({ mode: 'kill' })
  await b.instance.startStandby({ upstream: a.upstream })
  await b.instance.promote({ epoch: 2 })
  const client = await b.client()
  expect(await numbers(client)).toEqual([]) // gone
  await client.end()
})

async function cancelledWrite(a: Copy): Promise<number[]> {
  const client = await a.client()
  const other = await a.client()
  const writing = client.query('insert into seen values (1)')
  await until(
    async () =>
      (await other.query<{ waiting: number }>(`select count(*)::int as waiting from pg_stat_activity where wait_event = 'SyncRep'`)).rows[0]?.waiting === 1,
  )
  await other.query(`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`)
  await writing // PostgreSQL: "The transaction has already committed locally, but might not have been replicated to the standby."
  const shown = await numbers(other)
  await client.end()
  await other.end()
  return shown
}

test('control, stock settings: a primary restarted with its gate open shows its unconfirmed tail, which the failover then loses', async () => {
  const [a, b] = await pair()
  await unconfirmedWrite(a, b)
  await a.instance.stop({ mode: 'kill' })
  await a.instance.startPrimary({ epoch: 1, synchronous: [b.node] })
  await a.instance.openGate() // what stock PostgreSQL does
  const reader = await a.client()
  expect(await numbers(reader)).toEqual([7])
  await reader.end()
  await a.instance.stop({ mode: 'kill' })
  await b.instance.startStandby({ upstream: a.upstream })
  await b.instance.promote({ epoch: 2 })
  const client = await b.client()
  expect(await numbers(client)).toEqual([])
  await client.end()
})

test('with the rules: a restarted primary is closed until its tail is on the in-sync copy, and is not shown before', async () => {
  const [a, b] = await pair()
  await unconfirmedWrite(a, b)
  await a.instance.stop({ mode: 'kill' })
  const restarted = primary(await a.instance.startPrimary({ epoch: 1, synchronous: [b.node] }))
  expect(restarted).toMatchObject({ gate: 'closed', synchronous: ['b'], standbys: [] })
  const tail = restarted.tailLsn
  if (tail === null) throw new Error('no tail')
  await expect(a.client()).rejects.toThrow(/pg_hba/)
  await b.instance.startStandby({ upstream: a.upstream })
  await until(async () => primary(await a.instance.observe()).standbys.some((entry) => entry.node === b.node && entry.flushLsn >= tail))
  await a.instance.openGate()
  const reader = await a.client()
  expect(await numbers(reader)).toEqual([7])
  await reader.end()
  await a.instance.stop({ mode: 'kill' })
  await b.instance.promote({ epoch: 2 })
  const client = await b.client()
  expect(await numbers(client)).toEqual([7]) // shown, and still there
  await client.end()
})

/** A write that waits for a copy that is away when the primary dies: durable there, confirmed to nobody. */
async function unconfirmedWrite(a: Copy, b: Copy): Promise<void> {
  await b.instance.stop({ mode: 'immediate' })
  const client = await a.client()
  const watcher = await a.client()
  client.query('insert into seen values (7)').catch(() => {})
  await until(
    async () =>
      (await watcher.query<{ waiting: number }>(`select count(*)::int as waiting from pg_stat_activity where wait_event = 'SyncRep'`)).rows[0]?.waiting === 1,
  )
  expect(await numbers(watcher)).toEqual([])
}

test('with the rules: a writer of a newer epoch is refused by an old active that knows nothing yet', async () => {
  const [a, b] = await pair()
  await b.instance.promote({ epoch: 2 }) // a is "frozen": it still runs, open, with epoch 1
  const write = async (copy: Copy, epoch: number): Promise<number> => {
    const client = await copy.client()
    try {
      await client.query("set statement_timeout = '2s'")
      const { rowCount } = await client.query(`insert into seen select 9 where current_setting('handoff.epoch')::bigint = $1`, [epoch])
      return rowCount ?? 0
    } finally {
      await client.end()
    }
  }
  expect(await write(a, 2)).toBe(0)
  expect(await write(b, 1)).toBe(0)
  expect(await write(b, 2)).toBe(1)
})
