import { writeFileSync } from 'node:fs'
import { addressOf, type DataName } from './layout.ts'
import type { Rig } from './rig.ts'
import { until } from './wait.ts'

/** PostgreSQL as it comes, without a cluster service: to test the rig itself, and as the measure of what a cluster costs. */
const data = '/mnt/plain'

export type PlainOptions = { readonly settings?: Readonly<Record<string, string>> }

export async function startPlainPrimary(rig: Rig, host: DataName, options: PlainOptions = {}): Promise<void> {
  await prepare(rig, host)
  await rig.run(host, ['initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--wal-segsize=1', '--data-checksums', '-N'], {
    user: 'postgres',
  })
  writeFileSync(rig.pathOn(host, `${data}/pg_hba.conf`), 'local all all trust\nhost all all 10.0.0.0/8 trust\nhost replication all 10.0.0.0/8 trust\n')
  await start(rig, host, options)
}

/** A standby that streams over the private network from the other data host. */
export async function startPlainStandby(rig: Rig, host: DataName, from: DataName, options: PlainOptions = {}): Promise<void> {
  await prepare(rig, host)
  const source = `host=${addressOf(from, 'private')} port=${portOf(options)} user=postgres application_name=${host}`
  await rig.run(host, ['pg_basebackup', '-D', data, '-d', source, '-R', '-c', 'fast', '-X', 'stream'], { user: 'postgres', timeoutMs: 120_000 })
  await start(rig, host, options)
}

/** One statement through a host's socket or an address, as the superuser. @throws Error with what psql said */
export async function sql(
  rig: Rig,
  on: { readonly host: DataName | 'client'; readonly address?: string; readonly port?: number; readonly database?: string; readonly user?: string },
  statement: string,
): Promise<string> {
  const address = on.address ?? '/run/postgresql'
  const args = [
    'psql',
    '-h',
    address,
    '-p',
    String(on.port ?? 5432),
    '-U',
    on.user ?? 'postgres',
    '-d',
    on.database ?? 'postgres',
    '-XAtq',
    '-v',
    'ON_ERROR_STOP=1',
    '-c',
    statement,
  ]
  const result = await rig.exec(on.host, args, { timeoutMs: 60_000, environment: { PGCONNECT_TIMEOUT: '3' } })
  if (result.status !== 0) throw new Error(`${statement}: ${result.stderr.trim()}`)
  return result.stdout.trim()
}

const portOf = (options: PlainOptions): number => Number(options.settings?.['port'] ?? 5432)

async function prepare(rig: Rig, host: DataName): Promise<void> {
  await rig.run(host, ['install', '-d', '-o', 'postgres', '-g', 'postgres', '-m', '700', data])
}

async function start(rig: Rig, host: DataName, options: PlainOptions): Promise<void> {
  const settings = { listen_addresses: '*', 'rig.host': host, wal_level: 'replica', hot_standby: 'on', max_wal_senders: '10', ...options.settings }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  await rig.start(host, 'postgres', ['postgres', '-D', data, ...flags], 'postgres')
  await until(`PostgreSQL on ${host} to accept connections`, () => sql(rig, { host, port: portOf(options) }, 'select 1'), { timeoutMs: 60_000 })
}
