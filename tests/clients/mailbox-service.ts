import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { ServiceHealth } from '../../src/admin/mailbox-api.ts'
import { type DatabaseMount, type ListenerProtocol, listenerProtocols, type MountsMessage } from '../../src/mount/mounts.ts'
import { until } from '../../src/postgres/fixture.ts'

/** The built mailbox service as a process of its own, under a handoffd that is this test: it tells the mounts. */
export interface RunningService {
  readonly pid: number
  readonly directory: string
  /** Tells the whole state; what is not named stays as it was. */
  tell(change: { readonly serving?: boolean; readonly database?: Partial<DatabaseMount> }): void
  /** handoffd goes away (and comes back). */
  cutMounts(): Promise<void>
  restoreMounts(): Promise<void>
  port(protocol: ListenerProtocol): Promise<number>
  health(): Promise<ServiceHealth>
  api<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<{ readonly status: number; readonly body: T }>
  logText(): Promise<string>
  stop(): Promise<void>
}

const program = resolve(import.meta.dirname, '../../dist/daemons/handoff-mailbox.js')

export async function startMailboxService(
  target: { readonly host: string; readonly port: number; readonly user: string; readonly password: string; readonly database: string },
  options: object = {},
): Promise<RunningService> {
  if (!existsSync(program)) throw new Error('build first: npm run build')
  const directory = await mkdtemp(join(tmpdir(), 'handoff-mailbox-'))
  const mountsPath = join(directory, 'mounts.sock')
  const controlSocket = join(directory, 'control.sock')
  const file = join(directory, 'service.json')
  await writeFile(file, JSON.stringify({ dataDirectory: directory, controlSocket, mounts: { socket: mountsPath }, clearTextLogin: 'allowed', ...options }))

  let mounts: MountsMessage = {
    type: 'mounts',
    servers: [
      {
        name: 'mail.example.org',
        address: ['127.0.0.1'],
        serving: true,
        databases: [target.database],
        ports: { smtp: 0, submission: 0, submissions: 0, lmtp: 0, imap: 0, imaps: 0, sieve: 0, http: 0, https: 0 },
      },
    ],
    databases: [
      { name: target.database, storageGroup: 'sg', epoch: 0, host: target.host, port: target.port, user: target.user, password: target.password, held: false },
    ],
  }
  const links = new Set<Socket>()
  const line = () => `${JSON.stringify(mounts)}\n`
  const listen = async () => {
    const server = createServer((socket) => {
      links.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => links.delete(socket))
      socket.write(line())
    })
    server.listen(mountsPath)
    await once(server, 'listening')
    return server
  }
  let server = await listen()
  const cut = async () => {
    const closed = once(server, 'close')
    server.close()
    for (const link of links) link.destroy()
    await closed
  }

  const child = spawn(process.execPath, [program, '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      log += chunk
    })
  const api = <T>(method: 'GET' | 'POST', path: string, body?: unknown) => call<T>(controlSocket, method, path, body)
  const health = async () => (await api<ServiceHealth>('GET', '/health')).body
  const service: RunningService = {
    pid: child.pid ?? -1,
    directory,
    tell(change) {
      mounts = {
        ...mounts,
        servers: mounts.servers.map((each) => ({ ...each, serving: change.serving ?? each.serving })),
        databases: mounts.databases.map((each) => ({ ...each, ...change.database })),
      }
      for (const link of links) link.write(line())
    },
    cutMounts: cut,
    async restoreMounts() {
      server = await listen()
    },
    async port(protocol) {
      const door = (await health()).listeners.find((each) => each.protocol === protocol && each.listening)
      if (!door) throw new Error(`${protocol} is not open`)
      return door.port
    },
    health,
    api,
    logText: async () => log,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit')
        child.kill('SIGTERM')
        const killer = setTimeout(() => child.kill('SIGKILL'), 10_000)
        await exited
        clearTimeout(killer)
      }
      await cut()
      await rm(directory, { recursive: true, force: true })
    },
  }
  try {
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`handoff-mailbox ended:\n${log}`)
        const now = await health().catch(() => undefined)
        return (
          now !== undefined &&
          now.status === 'ok' &&
          now.listeners.length === listenerProtocols.length &&
          now.workers.every((w) => w.ready) &&
          now.databases.every((d) => d.ready)
        )
      },
      20_000,
      'the mailbox service',
    )
  } catch (error) {
    await service.stop()
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${log}`)
  }
  return service
}

export async function createMailbox(service: RunningService, address: string, password = 'secret'): Promise<void> {
  const answer = await service.api('POST', '/api/v1/mailboxes', { address, password })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
}

function call<T>(socketPath: string, method: string, path: string, body: unknown): Promise<{ status: number; body: T }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' } }) }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as T }))
    })
    outgoing.on('error', reject)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** The processes whose parent is `pid`: the workers of a service. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text
    .trim()
    .split(/\s+/)
    .filter((each) => each !== '')
    .map(Number)
}
