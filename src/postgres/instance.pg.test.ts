import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { until } from './fixture.ts'
import { Instance } from './instance.ts'
import { type Copy, makeCopies, makePair, primary, standby, streaming } from './pair.ts'

let remove: () => Promise<void> = async () => {}
afterEach(() => remove())

async function copies(...names: string[]): Promise<readonly Copy[]> {
  const made = await makeCopies(names, { fsync: 'off' })
  remove = made.remove
  return made.copies
}

test('one copy is made, another is seeded, promoted and stopped', async () => {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  expect(await a.instance.inspect()).toEqual({ kind: 'absent' })
  const made = primary(await a.instance.initialize({ epoch: 1 }))
  expect(made).toMatchObject({ epoch: 1, gate: 'closed', synchronous: [], timeline: 1 })
  await expect(a.client()).rejects.toThrow(/pg_hba/)
  await a.instance.openGate()
  const client = await a.client()
  await client.query('create table seen (n int)')
  await client.query('insert into seen values (1)')
  expect((await client.query(`select current_setting('handoff.epoch') as epoch`)).rows[0]).toEqual({ epoch: '1' })

  const progress: string[] = []
  const seeded = standby(await b.instance.seed({ upstream: a.upstream, onProgress: (text) => progress.push(text) }))
  expect(seeded).toMatchObject({ systemId: made.systemId, upstream: 'a' })
  expect(progress.at(-1)).toMatch(/MB \(\d+%\)/)
  await streaming(a, b)
  expect(await a.instance.setSynchronous([b.node], 1)).toMatchObject({ synchronous: ['b'] })
  await client.query('insert into seen values (2)')

  await a.instance.stop({ mode: 'immediate' })
  expect(await a.instance.inspect()).toMatchObject({ kind: 'stopped', wasPrimary: true, systemId: made.systemId })
  const promoted = await b.instance.promote({ epoch: 2 })
  expect(promoted.state).toMatchObject({ kind: 'primary', epoch: 2, gate: 'open', timeline: 2, tailLsn: null })
  expect(promoted.lsn).toBeGreaterThan(0n)
  const after = await b.client()
  expect((await after.query('select n from seen order by n')).rows).toEqual([{ n: 1 }, { n: 2 }])
  await after.query('insert into seen values (3)')
  await after.end()
  expect(await b.instance.isAlive({ timeoutMs: 5000 })).toEqual({ alive: true })
  expect(await b.instance.stop({ mode: 'fast' })).toMatchObject({ kind: 'stopped', wasPrimary: true })
  expect(b.instance.pids()).toEqual([])
})

test('kill -9 of the postmaster is seen within 100 ms, also of one that was adopted', async () => {
  const [a] = (await copies('a')) as [Copy]
  await a.instance.initialize({ epoch: 1 })
  const seen = async (instance: Instance): Promise<number> => {
    const exited = new Promise<number>((resolve) => instance.onExit(() => resolve(performance.now())))
    const postmaster = Number(readFileSync(`${a.directory}/data/postmaster.pid`, 'utf8').split('\n')[0])
    const begun = performance.now()
    process.kill(postmaster, 'SIGKILL')
    return (await exited) - begun
  }
  expect(await seen(a.instance)).toBeLessThan(100)
  expect(await a.instance.inspect()).toMatchObject({ kind: 'stopped', wasPrimary: true })
  const restarted = primary(await a.instance.startPrimary({ epoch: 1, synchronous: [] }))
  expect(restarted.tailLsn).not.toBeNull()

  a.instance.detach()
  const adopter = new Instance(a.options)
  expect(await adopter.inspect()).toMatchObject({ kind: 'primary', epoch: 1, gate: 'closed' })
  expect(await seen(adopter)).toBeLessThan(100)
  await until(() => adopter.pids().length === 0)
})

test('a standby that is adopted still knows whom it follows', async () => {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  await makePair(a, b)
  b.instance.detach()
  const adopter = new Instance(b.options)
  expect(await adopter.inspect()).toMatchObject({ kind: 'standby', upstream: 'a', streaming: true })
  expect((await adopter.promote({ epoch: 2 })).state).toMatchObject({ kind: 'primary', epoch: 2 })
})

test('a port in use, another cluster and a missing PostgreSQL are refused by name', async () => {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  await a.instance.initialize({ epoch: 1 })
  await a.instance.stop({ mode: 'immediate' })
  const elsewhere = new Instance({ ...b.options, port: a.options.port })
  await elsewhere.initialize({ epoch: 1 })
  await expect(a.instance.startPrimary({ epoch: 1, synchronous: [] })).rejects.toMatchObject({ code: 'POSTGRES_PORT_IN_USE' })
  await elsewhere.stop({ mode: 'immediate' })
  const strict = new Instance({ ...a.options, expectedSystemId: () => '42' })
  await expect(strict.startPrimary({ epoch: 1, synchronous: [] })).rejects.toMatchObject({
    code: 'POSTGRES_FOREIGN_DATA',
    message: expect.stringMatching(/^a refused: its data directory/) as string,
  })
  writeFileSync(join(a.directory, 'data', 'PG_VERSION'), '14\n')
  await expect(a.instance.startPrimary({ epoch: 1, synchronous: [] })).rejects.toMatchObject({ code: 'POSTGRES_VERSION_MISMATCH' })
  const missing = new Instance({ ...a.options, binDirectory: '/nowhere' })
  await expect(missing.startPrimary({ epoch: 1, synchronous: [] })).rejects.toMatchObject({ code: 'POSTGRES_MISSING' })
})

test('a stop overtakes a seed, and what is unfinished counts as absent', async () => {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  await a.instance.initialize({ epoch: 1 })
  const seeding = b.instance.seed({ upstream: a.upstream })
  seeding.catch(() => {})
  await b.instance.stop({ mode: 'immediate' })
  await expect(seeding).rejects.toThrow()
  expect(await b.instance.inspect()).toEqual({ kind: 'absent' })
  expect(await b.instance.seed({ upstream: a.upstream })).toMatchObject({ kind: 'standby' })
})

test('an adopted primary proves its synchronous set again, without being interrupted', async () => {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  await makePair(a, b)
  const client = await a.client()
  await client.query('create table seen (n int)')
  a.instance.detach()
  const adopter = new Instance(a.options)
  expect(await adopter.inspect()).toMatchObject({ kind: 'primary', epoch: 1, gate: 'open', synchronous: [] })
  const proven = primary(await adopter.setSynchronous([b.node], 1))
  expect(proven.synchronous).toEqual(['b'])
  expect(proven.synchronousSince).toBeGreaterThan(0n)
  await client.query('insert into seen values (1)')
  await client.end()
})

test('a setting left by ALTER SYSTEM is named when it stands in the way', async () => {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  await makePair(a, b)
  const client = await a.client()
  await client.query(`alter system set synchronous_standby_names = 'nobody'`)
  await client.end()
  await expect(a.instance.setSynchronous([], 1)).rejects.toThrow(/ALTER SYSTEM/)
  await a.instance.stop({ mode: 'immediate' })
  expect(await a.instance.startPrimary({ epoch: 1, synchronous: [b.node] })).toMatchObject({ synchronous: ['b'] })
  expect(await a.instance.setSynchronous([], 1)).toMatchObject({ synchronous: [] })
})

test('a database is made once, and is on the standby when it is there', async () => {
  const [a, b] = (await copies('a', 'b')) as [Copy, Copy]
  await makePair(a, b)
  await a.instance.createDatabase('mail-1')
  await a.instance.createDatabase('mail-1')
  await a.instance.stop({ mode: 'kill' })
  await b.instance.promote({ epoch: 2 })
  const client = await b.client()
  expect((await client.query(`select datname from pg_database where datname = 'mail-1'`)).rowCount).toBe(1)
  await client.end()
})

test('an instance that does not answer is reported as such in bounded time, and is killed all the same', async () => {
  const [a] = (await copies('a')) as [Copy]
  await a.instance.initialize({ epoch: 1 })
  for (const process_ of a.instance.pids()) process.kill(process_.pid, 'SIGSTOP')
  await expect(a.instance.observe({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'POSTGRES_TIMEOUT' })
  expect(await a.instance.isAlive({ timeoutMs: 300 })).toMatchObject({ alive: false })
  const begun = performance.now()
  await a.instance.stop({ mode: 'immediate' })
  expect(performance.now() - begun).toBeLessThan(1500)
  expect(a.instance.pids()).toEqual([])
})
