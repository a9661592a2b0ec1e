import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { until } from './fixture.ts'
import { Instance } from './instance.ts'
import { type Copy, makeCopies, makePair, primary, streaming } from './pair.ts'

let remove: () => Promise<void> = async () => {}
afterEach(() => remove())

async function pair(settings: Readonly<Record<string, string>> = {}): Promise<readonly [Copy, Copy]> {
  const made = await makeCopies(['a', 'b'], { fsync: 'off', ...settings })
  remove = made.remove
  const [a, b] = made.copies as [Copy, Copy]
  await makePair(a, b)
  const client = await a.client()
  await client.query('create table seen (n int primary key)')
  await client.query('insert into seen select generate_series(1, 100)')
  await client.end()
  return [a, b]
}

/** Cuts the standby off, and has the old active write what nobody else will have. */
async function writeDivergentTail(a: Copy): Promise<void> {
  const client = await a.client()
  await client.query('set synchronous_commit = local')
  await client.query('insert into seen values (1001)')
  await client.query('insert into seen values (1002)')
  await client.end()
}

async function rows(copy: Copy): Promise<number> {
  const client = await copy.client()
  const { rows: found } = await client.query<{ n: number }>('select count(*)::int as n from seen')
  await client.end()
  return found[0]?.n ?? -1
}

test('an old active whose log ends before the fork is just started', async () => {
  const [a, b] = await pair()
  const quiesced = primary(await a.instance.quiesce({ target: b.node, timeoutMs: 2000 })).quiesced
  expect(quiesced?.target).toBe('b')
  await a.instance.stop({ mode: 'kill' })
  await b.instance.promote({ epoch: 2 })
  const back = await a.instance.rejoin({ upstream: b.upstream, upstreamEpoch: 2 })
  expect(back.rejoin).toMatchObject({ way: 'started', divergentBytes: 0, savedTo: null })
  expect(back.state).toMatchObject({ kind: 'standby', upstream: 'b', streaming: true })
  await b.instance.setSynchronous([a.node], 2)
})

test('a divergent tail is saved and the copy rewound', async () => {
  const [a, b] = await pair()
  await b.instance.stop({ mode: 'immediate' })
  await writeDivergentTail(a)
  await a.instance.stop({ mode: 'immediate' })
  await b.instance.startStandby({ upstream: a.upstream })
  await b.instance.promote({ epoch: 2 })
  const client = await b.client()
  await client.query('insert into seen values (2001)')
  await client.end()

  const back = await a.instance.rejoin({ upstream: b.upstream, upstreamEpoch: 2 })
  expect(back.rejoin).toMatchObject({ way: 'rewound', savedTo: join(a.directory, 'divergent', '2') })
  expect(back.rejoin.divergentBytes).toBeGreaterThan(0)
  const summary = JSON.parse(readFileSync(join(a.directory, 'divergent', '2', 'summary.json'), 'utf8')) as {
    commits: number
    transactions: string[]
    bytes: number
    segments: string[]
  }
  expect(summary).toMatchObject({ commits: 2, bytes: back.rejoin.divergentBytes })
  expect(summary.transactions).toHaveLength(2)
  for (const segment of summary.segments) expect(existsSync(join(a.directory, 'divergent', '2', segment))).toBe(true)

  await b.instance.setSynchronous([a.node], 2)
  await b.instance.stop({ mode: 'immediate' })
  await a.instance.promote({ epoch: 3 })
  expect(await rows(a)).toBe(101)
})

test('a tail written after a checkpoint, and a promotion that nobody else saw, are rewound, too', async () => {
  const [a, b] = await pair()
  // b is promoted for epoch 2, writes, and is lost; a goes on in epoch 3 as if b had never been there.
  await a.instance.stop({ mode: 'immediate' })
  await b.instance.promote({ epoch: 2 })
  const client = await b.client()
  await client.query('insert into seen values (3001)')
  await client.query('checkpoint')
  await client.query('insert into seen values (3002)')
  await client.end()
  await b.instance.stop({ mode: 'kill' })
  await a.instance.startPrimary({ epoch: 3, synchronous: [] })
  await a.instance.openGate()
  const back = await b.instance.rejoin({ upstream: a.upstream, upstreamEpoch: 3 })
  expect(back.rejoin.way).not.toBe('started')
  expect(back.state).toMatchObject({ kind: 'standby', streaming: true })
  await a.instance.stop({ mode: 'immediate' })
  await b.instance.promote({ epoch: 4 })
  expect(await rows(b)).toBe(100)
})

test('where rewind cannot, the copy is seeded anew, its tail saved', async () => {
  const [a, b] = await pair()
  await b.instance.stop({ mode: 'immediate' })
  await writeDivergentTail(a)
  await a.instance.stop({ mode: 'immediate' })
  await b.instance.startStandby({ upstream: a.upstream })
  await b.instance.promote({ epoch: 2 })
  // A lost file that the target's recovery needs: pg_rewind gives up.
  rmSync(join(a.directory, 'data', 'global', 'pg_filenode.map'))
  const back = await a.instance.rejoin({ upstream: b.upstream, upstreamEpoch: 2 })
  expect(back.rejoin).toMatchObject({ way: 'reseeded', savedTo: join(a.directory, 'divergent', '2') })
  expect(back.state).toMatchObject({ kind: 'standby', streaming: true })
  expect(readdirSync(a.directory)).not.toContain('data.replaced')
})

test('a data directory whose log cannot be read is seeded anew, and all of its log is kept', async () => {
  const [a, b] = await pair()
  await a.instance.stop({ mode: 'immediate' })
  await b.instance.promote({ epoch: 2 })
  rmSync(join(a.directory, 'data', 'global', 'pg_control'))
  const back = await a.instance.rejoin({ upstream: b.upstream, upstreamEpoch: 2 })
  expect(back.rejoin).toMatchObject({ way: 'reseeded', logEndLsn: null, savedTo: join(a.directory, 'divergent', '2') })
  expect(readdirSync(join(a.directory, 'divergent', '2', 'pg_wal')).length).toBeGreaterThan(0)
})

test('a tail that cannot be saved is not deleted', async () => {
  const [a, b] = await pair()
  await b.instance.stop({ mode: 'immediate' })
  await writeDivergentTail(a)
  await a.instance.stop({ mode: 'immediate' })
  await b.instance.startStandby({ upstream: a.upstream })
  await b.instance.promote({ epoch: 2 })
  rmSync(join(a.directory, 'divergent'), { recursive: true })
  writeFileSync(join(a.directory, 'divergent'), 'in the way')
  await expect(a.instance.rejoin({ upstream: b.upstream, upstreamEpoch: 2 })).rejects.toThrow(/cannot be saved/)
  expect(await a.instance.inspect()).toMatchObject({ kind: 'stopped', wasPrimary: true })
})

test('a rewind that was interrupted counts as no copy at all', async () => {
  const [a, b] = await pair()
  await a.instance.stop({ mode: 'immediate' })
  await b.instance.promote({ epoch: 2 })
  writeFileSync(join(a.directory, 'rewind.unfinished'), '')
  expect(await new Instance(a.options).inspect()).toEqual({ kind: 'absent' })
  expect(await a.instance.seed({ upstream: b.upstream })).toMatchObject({ kind: 'standby' })
  expect(await new Instance(a.options).inspect()).toMatchObject({ kind: 'standby' })
})

test('an upstream of another epoch is refused, and nothing is changed', async () => {
  const [a, b] = await pair()
  await b.instance.stop({ mode: 'immediate' })
  await expect(b.instance.rejoin({ upstream: a.upstream, upstreamEpoch: 9 })).rejects.toMatchObject({ code: 'POSTGRES_UPSTREAM_UNREACHABLE' })
  expect(await b.instance.inspect()).toMatchObject({ kind: 'stopped', wasPrimary: false })
})

test('slots are on the active copy only', async () => {
  const [a, b] = await pair()
  const slots = async (copy: Copy): Promise<number> => {
    const server = (copy.instance as unknown as { server: { observer: { query<T>(text: string): Promise<T[]> } } }).server
    return (await server.observer.query('select from pg_replication_slots')).length
  }
  expect(await slots(a)).toBe(1)
  await a.instance.quiesce({ target: b.node, timeoutMs: 2000 })
  await a.instance.stop({ mode: 'kill' })
  await b.instance.promote({ epoch: 2 })
  await a.instance.rejoin({ upstream: b.upstream, upstreamEpoch: 2 })
  await streaming(b, a)
  await until(async () => {
    await a.instance.observe()
    return (await slots(a)) === 0
  })
  expect(await slots(b)).toBe(1)
})

test('two copies promoted at one position to one timeline number are told apart', async () => {
  const made = await makeCopies(['a', 'b', 'c'], { fsync: 'off' })
  remove = made.remove
  const [a, b, c] = made.copies as [Copy, Copy, Copy]
  await makePair(a, b)
  await c.instance.seed({ upstream: a.upstream })
  await streaming(a, c)
  await a.instance.setSynchronous([b.node, c.node], 1)
  const client = await a.client()
  await client.query('create table seen (n int primary key)')
  await client.query('insert into seen select generate_series(1, 100)')
  await client.end()
  await a.instance.quiesce({ target: b.node, timeoutMs: 2000 })
  await a.instance.quiesce({ target: c.node, timeoutMs: 2000 })
  await a.instance.stop({ mode: 'kill' })
  await b.instance.promote({ epoch: 2 })
  const lost = await b.client()
  await lost.query('insert into seen values (4001)')
  await lost.end()
  await b.instance.stop({ mode: 'kill' })
  await c.instance.promote({ epoch: 3 })
  const kept = await c.client()
  await kept.query('insert into seen select generate_series(5001, 5100)')
  await kept.end()
  const back = await b.instance.rejoin({ upstream: c.upstream, upstreamEpoch: 3 })
  expect(back.rejoin).toMatchObject({ way: 'reseeded', savedTo: join(b.directory, 'divergent', '3') })
  await c.instance.stop({ mode: 'immediate' })
  await b.instance.promote({ epoch: 4 })
  expect(await rows(b)).toBe(200)
})

test('a copy that received more than the new active is not taken for one that follows, and is rewound', async () => {
  const made = await makeCopies(['a', 'b', 'c'], { fsync: 'off' })
  remove = made.remove
  const [a, b, c] = made.copies as [Copy, Copy, Copy]
  await makePair(a, b)
  await c.instance.seed({ upstream: a.upstream })
  await streaming(a, c)
  const client = await a.client()
  await client.query('create table seen (n int primary key)')
  await client.query('insert into seen select generate_series(1, 100)')
  await client.end()
  await b.instance.stop({ mode: 'immediate' })
  await writeDivergentTail(a)
  const end = primary(await a.instance.observe()).currentLsn
  await until(async () => primary(await a.instance.observe()).standbys.some((entry) => entry.node === c.node && entry.flushLsn >= end))
  await a.instance.stop({ mode: 'kill' })
  await b.instance.startStandby({ upstream: b.upstream })
  await b.instance.promote({ epoch: 2 })
  await c.instance.follow({ upstream: b.upstream })
  await until(() => /forked off current database system timeline/.test(readFileSync(join(c.directory, 'log', 'postgresql.log'), 'utf8')))
  for (let look = 0; look < 200; look++) {
    expect(await c.instance.observe()).toMatchObject({ kind: 'standby', streaming: false })
    for (const entry of primary(await b.instance.observe()).standbys) expect(entry.streaming).toBe(false)
  }
  const back = await c.instance.rejoin({ upstream: b.upstream, upstreamEpoch: 2 })
  expect(back.rejoin.way).toBe('rewound')
  await streaming(b, c)
  await b.instance.setSynchronous([c.node], 2)
  await b.instance.stop({ mode: 'kill' })
  await c.instance.promote({ epoch: 3 })
  expect(await rows(c)).toBe(100)
})
