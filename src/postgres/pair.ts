import { rmSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { InstanceState } from '../replication/instance.ts'
import { cleanUpWithUs, freePort, makeTestDirectory, until } from './fixture.ts'
import { Instance } from './instance.ts'
import type { InstanceOptions } from './instance-options.ts'
import { postgresOsUser } from './os-user.ts'
import type { NodeId, Upstream } from './settings.ts'

/** For tests only: copies of one storage group on one machine, each with a directory and port of its own. */
export interface Copy {
  readonly instance: Instance
  readonly node: NodeId
  readonly upstream: Upstream
  readonly directory: string
  readonly options: InstanceOptions
  /** A client of plain SQL, over TCP, as the mailbox service is one. */
  client(): Promise<pg.Client>
}

export const handoffPassword = 'test-handoff'

export async function makeCopies(
  names: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<{ readonly copies: readonly Copy[]; remove(): Promise<void> }> {
  const root = makeTestDirectory(postgresOsUser())
  const cleaner = cleanUpWithUs(-1, root)
  const copies: Copy[] = []
  for (const name of names) {
    const node = name as NodeId
    const port = await freePort()
    const directory = join(root, name)
    const options: InstanceOptions = {
      group: 'sg1',
      node,
      directory,
      binDirectory: process.env['HANDOFF_TEST_PG_BIN'] ?? '/usr/lib/postgresql/15/bin',
      port,
      listenAddresses: ['127.0.0.1'],
      peers: names.filter((other) => other !== name).map((other) => other as NodeId),
      handoffPassword,
      replicationPassword: 'test-replicator',
      clients: { networks: ['127.0.0.1/32'], method: 'scram-sha-256' },
      settings: { shared_buffers: '16MB', max_connections: '40', ...settings },
    }
    copies.push({ instance: new Instance(options), node, directory, options, upstream: { node, host: '127.0.0.1', port }, client: () => connectClient(port) })
  }
  const remove = async (): Promise<void> => {
    for (const copy of copies) await copy.instance.stop({ mode: 'kill' }).catch(() => {})
    cleaner.disarm()
    rmSync(root, { recursive: true, force: true })
  }
  return { copies, remove }
}

async function connectClient(port: number): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'handoff', password: handoffPassword, database: 'postgres', connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** An open primary and a standby that every commit waits for. */
export async function makePair(first: Copy, second: Copy, epoch = 1): Promise<void> {
  await first.instance.initialize({ epoch })
  await first.instance.openGate()
  await second.instance.seed({ upstream: first.upstream })
  await streaming(first, second)
  await first.instance.setSynchronous([second.node], epoch)
}

export async function streaming(from: Copy, to: Copy): Promise<void> {
  await until(
    async () => primary(await from.instance.observe()).standbys.some((standby) => standby.node === to.node && standby.streaming),
    20_000,
    `${to.node} to stream from ${from.node}`,
  )
}

export function primary(state: InstanceState): Extract<InstanceState, { kind: 'primary' }> {
  if (state.kind !== 'primary')
    throw new Error(`wanted a primary, found ${JSON.stringify(state, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`)
  return state
}

export function standby(state: InstanceState): Extract<InstanceState, { kind: 'standby' }> {
  if (state.kind !== 'standby')
    throw new Error(`wanted a standby, found ${JSON.stringify(state, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`)
  return state
}
