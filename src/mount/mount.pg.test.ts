import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { type DatabaseAddress, startThrowaway, type Throwaway, until } from '../postgres/fixture.ts'
import { asUser, postgresOsUser } from '../postgres/os-user.ts'
import { createMount, type Mount } from './mount.ts'

const schema = `create schema handoff;
  create table handoff.operation (key text primary key, result json not null, confirmations int not null default 0, at timestamptz not null default now());
  create table counter (n int not null); insert into counter values (0);
  create table done (call int not null)`

const ends: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function instance(settings: Record<string, string> = {}): Promise<{ readonly postgres: Throwaway; readonly address: DatabaseAddress }> {
  const postgres = await startThrowaway({
    settings,
    prepareTemplate: async (address) => {
      const client = new pg.Client(address)
      await client.connect()
      await client.query(schema)
      await client.end()
    },
  })
  ends.push(() => postgres.stop())
  return { postgres, address: await postgres.database('mail') }
}

function mounted(address: DatabaseAddress, epoch = 0, held = false): Mount {
  const mount = createMount({ name: 'mail', waitMsMax: 30_000 })
  ends.push(() => mount.close())
  mount.target({ ...address, epoch, held })
  return mount
}

async function admin(address: DatabaseAddress): Promise<pg.Client> {
  const client = new pg.Client(address)
  client.on('error', () => {})
  await client.connect()
  ends.push(() => client.end().catch(() => {}))
  return client
}

const call = (mount: Mount, n: number, key = `call ${n}`) =>
  mount.write(key, async (db) => {
    await db.query('insert into done values ($1)', [n])
    const { rows } = await db.query<{ n: number }>('update counter set n = n + 1 returning n')
    return rows[0]?.n ?? 0
  })

async function stateOf(mount: Mount): Promise<{ readonly counter: number; readonly calls: number; readonly different: number; readonly operations: number }> {
  const sql = `select (select n from counter) as counter, (select count(*) from done) as calls, (select count(distinct call) from done) as different,
    (select count(*) from handoff.operation) as operations`
  const { rows } = await mount.read((db) => db.query<{ counter: number; calls: number; different: number; operations: number }>(sql))
  return rows[0] as { counter: number; calls: number; different: number; operations: number }
}

/** Ends the postmaster in the way given and starts one again in the same place, as the cluster service would. */
async function restart(postgres: Throwaway, pid: number, signal: 'SIGQUIT' | 'SIGKILL'): Promise<number> {
  const data = join(postgres.socketDirectory, 'data')
  process.kill(pid, signal)
  await until(() => !existsSync(`/proc/${pid}`) || /State:\s+Z/.test(readFileSync(`/proc/${pid}/status`, 'utf8')))
  for (;;) {
    // Until the orphaned backends are gone, the shared memory is in use and the start is refused.
    const log = openSync(join(postgres.socketDirectory, 'log'), 'a')
    const child = spawn('/usr/lib/postgresql/15/bin/postgres', ['-D', data], { ...asUser(postgresOsUser()), cwd: '/', stdio: ['ignore', log, log] })
    closeSync(log)
    let exited = false
    const end = new Promise<void>((resolve) => child.once('exit', () => resolve())).then(() => {
      exited = true
    })
    const pidFile = join(data, 'postmaster.pid')
    const isReady = () => existsSync(pidFile) && readFileSync(pidFile, 'utf8').startsWith(`${child.pid}\n`) && /^ready/m.test(readFileSync(pidFile, 'utf8'))
    await until(() => exited || isReady())
    if (exited) continue
    ends.push(() => {
      if (!exited) child.kill('SIGQUIT')
      return end
    })
    return child.pid as number
  }
}

test('a postmaster that is killed again and again under concurrent writes: each is answered, and has happened once', async () => {
  const { postgres, address } = await instance()
  const mount = mounted(address)
  const results: number[] = []
  let calls = 0
  let stop = false
  const writer = async () => {
    while (!stop) results.push(await call(mount, calls++))
  }
  const writers = Promise.all(Array.from({ length: 12 }, writer))
  let pid = postgres.pid
  for (const signal of ['SIGQUIT', 'SIGKILL', 'SIGQUIT', 'SIGKILL'] as const) {
    const before = results.length
    await until(() => results.length > before + 100)
    pid = await restart(postgres, pid, signal)
  }
  const before = results.length
  await until(() => results.length > before + 20)
  stop = true
  await writers
  expect(await stateOf(mount)).toEqual({ counter: calls, calls, different: calls, operations: calls })
  // Also the results of those whose first answer was lost are the recorded ones: each value once.
  expect(results.toSorted((a, b) => a - b)).toEqual(Array.from({ length: calls }, (_, i) => i + 1))
})

test('backends that are terminated in the middle of writes cost a retry, not an error and not a second execution', async () => {
  const { address } = await instance()
  const mount = mounted(address)
  const killer = await admin(address)
  let answered = 0
  const calls = Promise.all(Array.from({ length: 300 }, (_, i) => call(mount, i).then(() => answered++)))
  for (let killed = 0; killed < 40; killed++) {
    await killer.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'handoff-mailbox' order by state = 'idle', random() limit 1",
    )
    const before = answered
    await until(() => answered === 300 || answered > before)
  }
  await calls
  expect(await stateOf(mount)).toEqual({ counter: 300, calls: 300, different: 300, operations: 300 })
})

test('a held database makes commands wait, and they are executed when it is resumed', async () => {
  const { address } = await instance()
  const mount = mounted(address, 0, true)
  let answered = false
  const write = call(mount, 1).finally(() => {
    answered = true
  })
  await expect(mount.write('impatient', async () => 0, { waitMsMax: 50 })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  await expect(mount.read(async () => 0, { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(answered).toBe(false)
  mount.target({ ...address, epoch: 0, held: false })
  expect(await write).toBe(1)
})

test('an instance of another epoch is not written to; the write is executed on the next target', async () => {
  const [old, next] = await Promise.all([instance({ 'handoff.epoch': '1' }), instance({ 'handoff.epoch': '2' })])
  const mount = mounted(old.address, 2)
  const write = call(mount, 1)
  await expect(mount.write('impatient', async () => 0, { waitMsMax: 200 })).rejects.toThrow('the instance has epoch "1", wanted 2')
  mount.target({ ...next.address, epoch: 2, held: false })
  await write
  const there = await admin(old.address)
  expect((await there.query('select n from counter')).rows).toEqual([{ n: 0 }])
})

test('a session that is open already finds out that the epoch has changed under it', async () => {
  const { postgres, address } = await instance({ 'handoff.epoch': '1' })
  const mount = mounted(address, 1)
  await call(mount, 1)
  const superuser = await admin(postgres.address('mail'))
  await superuser.query("alter database mail set handoff.epoch = '2'")
  await superuser.query("alter system set handoff.epoch = '2'")
  await superuser.query('select pg_reload_conf()')
  await until(
    async () =>
      (await mount
        .read((db) => db.query("select current_setting('handoff.epoch') as epoch"), { waitMsMax: 200 })
        .then(
          ({ rows }) => rows[0]?.epoch,
          () => '2',
        )) === '2',
  )
  await expect(mount.write('x', async () => 1, { waitMsMax: 100 })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  mount.target({ ...address, epoch: 2, held: false })
  expect(await call(mount, 2)).toBe(2)
})

test('a write that hangs on a lost instance is executed on the next one, once', async () => {
  const [old, next] = await Promise.all([instance({ 'handoff.epoch': '1' }), instance({ 'handoff.epoch': '2' })])
  const mount = mounted(old.address, 1)
  const blocker = await admin(old.address)
  await blocker.query('begin; lock table counter')
  const write = call(mount, 1)
  await until(async () => (await blocker.query('select from pg_locks where not granted')).rowCount === 1)
  mount.target({ ...next.address, epoch: 2, held: false })
  expect(await write).toBe(1)
  expect(await stateOf(mount)).toEqual({ counter: 1, calls: 1, different: 1, operations: 1 })
})

test('a commit whose wait for the standby is cut short is not acknowledged until it is confirmed, and is not executed twice', async () => {
  const { address } = await instance()
  const mount = mounted(address)
  const superuser = await admin(address)
  await superuser.query("alter system set synchronous_standby_names = 'nobody'")
  await superuser.query('select pg_reload_conf()')
  await until(async () => (await superuser.query('show synchronous_standby_names')).rows[0]?.synchronous_standby_names === 'nobody')
  // The flag that makes backends wait is the checkpointer's, which looks for new settings before a checkpoint.
  await superuser.query('checkpoint')
  await superuser.query('set synchronous_commit = local')
  let answered = false
  const write = call(mount, 1).finally(() => {
    answered = true
  })
  const waitingPid = async (): Promise<number | undefined> =>
    (await superuser.query("select pid from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'handoff-mailbox'")).rows[0]?.pid
  /** A session waits for the standby, and it is another than the one before: each attempt has a session of its own. */
  let last: number | undefined
  const nextWaits = async () => {
    await until(async () => ![undefined, last].includes(await waitingPid()))
    last = await waitingPid()
  }
  await nextWaits()
  expect((await superuser.query('select n from counter')).rows).toEqual([{ n: 0 }])
  await superuser.query('select pg_cancel_backend($1)', [last])
  await nextWaits()
  // Visible now, to everybody but the one who waits for the answer.
  expect((await superuser.query('select n from counter')).rows).toEqual([{ n: 1 }])
  await superuser.query('select pg_terminate_backend($1)', [last])
  await nextWaits()
  expect(answered).toBe(false)
  await superuser.query("alter system set synchronous_standby_names = ''")
  await superuser.query('select pg_reload_conf()')
  expect(await write).toBe(1)
  expect(await stateOf(mount)).toEqual({ counter: 1, calls: 1, different: 1, operations: 1 })
})

test("the database's own refusals are the caller's, and leave the mount usable", async () => {
  const { address } = await instance()
  const mount = mounted(address)
  await expect(mount.write('bad', (db) => db.query('insert into counter values (null)').then(() => null))).rejects.toMatchObject({ code: '23502' })
  await expect(mount.write('thrown', async () => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
  expect(await call(mount, 1)).toBe(1)
})
