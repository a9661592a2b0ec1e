import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { handoffdSocket } from '../../config/paths.ts'
import { type ApiClient, apiClient } from '../client.ts'

export interface DemoNode {
  readonly name: string
  readonly address: string
  readonly role: 'data' | 'witness'
}

/** Two data nodes and a witness, each on a loopback address of its own; Linux answers for all of 127.0.0.0/8, so nothing has to be set up. */
export const demoNodes: readonly DemoNode[] = [
  { name: 'node1', address: '127.0.71.1', role: 'data' },
  { name: 'node2', address: '127.0.71.2', role: 'data' },
  { name: 'witness', address: '127.0.71.3', role: 'witness' },
]
export const demoAddress = '127.0.71.10'
export const demoPorts = { smtp: 2525, submission: 2587, submissions: 2465, lmtp: 2424, imap: 2143, imaps: 2993, sieve: 4190, http: 2080, https: 2443 }
const postgresPort = 25432

/** The nodes of the demo as processes, and what belongs to them on disk. */
export class DemoCluster {
  readonly directory: string
  private readonly id = randomBytes(4).toString('hex')
  private readonly children = new Map<string, ChildProcess>()

  constructor(directory: string) {
    this.directory = directory
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true })
    // PostgreSQL runs as an unprivileged user when this is run as root, and must be able to reach its directory.
    chmodSync(directory, 0o755)
    writeFileSync(join(directory, 'secret'), `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
    for (const node of demoNodes) writeFileSync(join(directory, `${node.name}.yaml`), this.configuration(node))
  }

  configFile(node: string): string {
    return join(this.directory, `${node}.yaml`)
  }

  mark(node: string): string {
    return `${this.id}-${node}`
  }

  api(node: string): ApiClient {
    return apiClient(handoffdSocket(join(this.directory, node)))
  }

  mailApi(node: string): ApiClient {
    return apiClient(join(this.directory, node, 'mailbox.sock'), 'MAILBOX_SERVICE_UNREACHABLE')
  }

  start(node: string): void {
    const log = openSync(join(this.directory, `${node}.log`), 'a')
    const child = spawn(process.execPath, [fileURLToPath(new URL('../../daemons/handoffd.js', import.meta.url)), '--config', this.configFile(node)], {
      stdio: ['ignore', log, log],
      env: { ...process.env, HANDOFF_DEMO_NODE: this.mark(node) },
      detached: true,
    })
    this.children.set(node, child)
  }

  /** Orderly end of every node that still runs. */
  async stop(): Promise<void> {
    await Promise.all([...this.children.values()].map((child) => ended(child)))
  }

  private configuration(node: DemoNode): string {
    const store = demoNodes.find((candidate) => candidate.role === 'witness') as DemoNode
    return [
      'cluster: demo',
      `node: ${node.name}`,
      `role: ${node.role}`,
      `dataDirectory: ${join(this.directory, node.name)}`,
      `secretFile: ${join(this.directory, 'secret')}`,
      'networks:',
      `  - { name: loopback, role: mixed, address: ${node.address} }`,
      `store: { kind: embedded, endpoint: "${store.address}:7801", serve: ${node.role === 'witness'} }`,
      `postgres: { listen: ["${node.address}"] }`,
      'mailbox: { workers: 1 }',
      '',
    ].join('\n')
  }

  async create(): Promise<void> {
    const api = this.api('node1')
    await eventually(() => api.post('/cluster', { name: 'demo' }))
    await eventually(() => api.post('/storage-groups', { name: 'sg1', nodes: ['node1', 'node2'], port: postgresPort }))
    await eventually(() => api.post('/databases', { name: 'mail', storageGroup: 'sg1' }))
    await eventually(() => api.post('/servers', { name: 'mail1', nodes: ['node1', 'node2'], addresses: [demoAddress], databases: ['mail'], ports: demoPorts }))
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

/** Tries again until it succeeds: daemons are starting. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  const started = performance.now()
  for (;;) {
    try {
      return await attempt()
    } catch (failure) {
      if (performance.now() - started > timeoutMs) throw failure
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
