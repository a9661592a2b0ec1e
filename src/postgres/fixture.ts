import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { asUser, type OsUser, postgresOsUser } from './os-user.ts'
import { lastLines, runProgram } from './program.ts'

/** For tests only: a throwaway PostgreSQL, without durability (fsync off) unless asked for. */
export interface ThrowawayOptions {
  /** Databases made at once, empty. */
  readonly databases?: readonly string[]
  /** Fills the database that `database()` clones, once: create the schema here. */
  readonly prepareTemplate?: (address: DatabaseAddress) => Promise<void>
  readonly settings?: Readonly<Record<string, string>>
}

/** What a `pg` client or pool takes as its configuration. */
export interface DatabaseAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export interface Throwaway {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly socketDirectory: string
  readonly pid: number
  /** A new database of its own for a test: a clone of the prepared template. */
  database(name?: string): Promise<DatabaseAddress>
  address(database: string): DatabaseAddress
  stop(): Promise<void>
}

const binDirectory = process.env['HANDOFF_TEST_PG_BIN'] ?? '/usr/lib/postgresql/15/bin'
const template = 'handoff_template'

/** Runs `test` with a throwaway PostgreSQL, stopped and removed whatever happens. */
export async function withPostgres<T>(test: (postgres: Throwaway) => Promise<T>, options: ThrowawayOptions = {}): Promise<T> {
  const postgres = await startThrowaway(options)
  try {
    return await test(postgres)
  } finally {
    await postgres.stop()
  }
}

/** Ready in about 0.3 s once the template of the data directory has been made on this machine (1 s). */
export async function startThrowaway(options: ThrowawayOptions = {}): Promise<Throwaway> {
  const user = postgresOsUser()
  const password = randomBytes(12).toString('hex')
  const directory = makeTestDirectory(user)
  const data = join(directory, 'data')
  const port = await freePort()
  await runProgram('cp', ['-a', '--reflink=auto', await dataTemplate(user), data], { user, timeoutMs: 30_000 })
  writeFileSync(join(data, 'postgresql.auto.conf'), renderSettings(directory, port, options.settings ?? {}))
  writeFileSync(join(data, 'pg_hba.conf'), 'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n')
  const logFile = join(directory, 'log')
  const log = openSync(logFile, 'a')
  const child = spawn(join(binDirectory, 'postgres'), ['-D', data], { ...asUser(user), cwd: '/', stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  const pid = child.pid ?? -1
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  child.unref()
  const cleaner = cleanUpWithUs(pid, directory)

  const address = (database: string): DatabaseAddress => ({ host: '127.0.0.1', port, user: 'handoff', password, database })
  const onSocket = (database: string): pg.ClientConfig => ({ host: directory, port, user: 'handoff', database })
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGQUIT')
    await exited
    cleaner.disarm()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await until(() => {
      if (child.exitCode !== null) throw new Error(`throwaway PostgreSQL ended: ${lastLines(readFileSync(logFile, 'utf8'), 5)}`)
      return existsSync(join(data, 'postmaster.pid')) && /^ready/.test(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[7] ?? '')
    })
    await query(onSocket('postgres'), `alter role handoff password '${password}'`)
    await query(onSocket('postgres'), `create database ${template}`)
    for (const name of options.databases ?? []) await query(onSocket('postgres'), `create database ${pg.escapeIdentifier(name)}`)
    await options.prepareTemplate?.(address(template))
  } catch (error) {
    await stop()
    throw error
  }
  let made = 0
  const database = async (name = `test_${++made}`): Promise<DatabaseAddress> => {
    await query(onSocket('postgres'), `create database ${pg.escapeIdentifier(name)} template ${template}`)
    return address(name)
  }
  return { host: '127.0.0.1', port, user: 'handoff', password, socketDirectory: directory, pid, database, address, stop }
}

function renderSettings(directory: string, port: number, settings: Readonly<Record<string, string>>): string {
  const all: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: directory,
    fsync: 'off',
    full_page_writes: 'off',
    shared_buffers: '32MB',
    max_connections: '100',
    max_wal_size: '256MB',
    min_wal_size: '8MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...settings,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('')
}

/** An initialised data directory, made once per machine and user and copied by every test: initdb takes most of a second. */
async function dataTemplate(user: OsUser): Promise<string> {
  const place = join(tmpdir(), `handoff-test-template-${user.uid}-15`)
  if (existsSync(join(place, 'PG_VERSION'))) return place
  const fresh = makeTestDirectory(user)
  const data = join(fresh, 'data')
  const args = [
    '-D',
    data,
    '--username=handoff',
    '--wal-segsize=1',
    '--data-checksums',
    '--encoding=UTF8',
    '--lc-collate=C',
    '--lc-ctype=C.UTF-8',
    '--auth=scram-sha-256',
    '--no-sync',
    '--no-instructions',
  ]
  const pwfile = join(fresh, 'password')
  writeFileSync(pwfile, 'unset', { mode: 0o644 })
  await runProgram(join(binDirectory, 'initdb'), [...args, `--pwfile=${pwfile}`], { user, timeoutMs: 60_000 })
  try {
    renameSync(data, place)
  } catch (error) {
    if (!existsSync(join(place, 'PG_VERSION'))) throw error // another test was faster
  }
  rmSync(fresh, { recursive: true, force: true })
  return place
}

/** A new directory that PostgreSQL's user owns, with a name short enough for a Unix socket in it. */
export function makeTestDirectory(user: OsUser): string {
  const directory = mkdtempSync(join(tmpdir(), 'handoff-pg-'))
  if (user.change) chownSync(directory, user.uid, user.gid)
  return directory
}

/** A shell that outlives this process for a moment: when the pipe from us closes, however we died, it ends what we started. */
export function cleanUpWithUs(pid: number, directory: string): { disarm(): void } {
  const script = 'if read -r word; then exit 0; fi; if tr "\\0" " " <"/proc/$1/cmdline" | grep -qF "$2"; then kill -QUIT "$1"; sleep 1; fi; rm -rf "$2"'
  const child = spawn('sh', ['-c', script, 'sh', String(pid), directory], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  child.unref()
  ;(child.stdin as typeof child.stdin & { unref?: () => void }).unref?.()
  child.stdin.on('error', () => {})
  return { disarm: () => void child.stdin.end('done\n') }
}

export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}

async function query(config: pg.ClientConfig, text: string): Promise<void> {
  const client = new pg.Client(config)
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

/** Waits for a condition, looking every few ms; for tests. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000, what = 'the condition'): Promise<void> {
  const end = performance.now() + timeoutMs
  for (;;) {
    if (await condition()) return
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
