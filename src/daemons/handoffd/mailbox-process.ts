import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { ServiceHealth } from '../../admin/mailbox-api.ts'
import type { Config } from '../../config/config.ts'
import { logDirectory, mailboxDirectory, mailboxLog, mailboxSocket, mountsSocket } from '../../config/paths.ts'
import { identify, isRunning, killProcess, type ProcessId } from '../../host/processes.ts'

const stopWithinMs = 5000

/**
 * Keeps the mailbox service of this node running: started ahead, adopted after a restart of the cluster service (it answers on its
 * control socket), replaced at once when it ends.
 */
export class MailboxProcess {
  private readonly config: Config
  private readonly onExit: (code: number | null) => void
  private readonly onHealth: (health: ServiceHealth) => void
  private child: ChildProcess | null = null
  /** A service that was running before this process. */
  private adopted: ProcessId | null = null
  private stopping = false
  private startedAt = 0

  constructor(config: Config, told: { readonly onExit: (code: number | null) => void; readonly onHealth: (health: ServiceHealth) => void }) {
    this.config = config
    this.onExit = told.onExit
    this.onHealth = told.onHealth
  }

  async startOrAdopt(): Promise<void> {
    const found = await health(mailboxSocket(this.config.dataDirectory))
    if (found === null) return this.start()
    this.adopted = found.pid === undefined ? null : identify(found.pid)
  }

  /** Called now and then: starts it when neither a child nor an adopted service is there. */
  async check(): Promise<void> {
    if (this.stopping) return
    const found = await health(mailboxSocket(this.config.dataDirectory))
    if (found !== null) return this.onHealth(found)
    if (!this.stopping && this.child === null) this.start()
  }

  private start(): void {
    const { dataDirectory, mailbox, logLevel } = this.config
    const directory = mailboxDirectory(dataDirectory)
    mkdirSync(directory, { recursive: true })
    mkdirSync(logDirectory(dataDirectory), { recursive: true })
    const file = join(directory, 'service.json')
    const options = {
      dataDirectory: directory,
      controlSocket: mailboxSocket(dataDirectory),
      mounts: { socket: mountsSocket(dataDirectory) },
      workers: mailbox.workers,
      clearTextLogin: mailbox.clearTextLogin,
      ...(mailbox.loginDomain === undefined ? {} : { loginDomain: mailbox.loginDomain }),
      ...(mailbox.relay === undefined ? {} : { outbound: { relay: relayOf(mailbox.relay) } }),
      inbound: {
        verify: mailbox.verify,
        trustedNetworks: ['127.0.0.0/8', '::1/128', ...mailbox.trustedNetworks],
        trustedSealers: mailbox.trustedSealers,
      },
      nameServers: mailbox.nameServers,
      logLevel,
      ...(mailbox.certFile === undefined || mailbox.keyFile === undefined ? {} : { tls: { certificateFile: mailbox.certFile, keyFile: mailbox.keyFile } }),
    }
    writeFileSync(file, `${JSON.stringify(options, null, 2)}\n`, { mode: 0o600 })
    const log = openSync(mailboxLog(dataDirectory), 'a')
    const program = fileURLToPath(new URL('../handoff-mailbox.js', import.meta.url))
    this.startedAt = performance.now()
    const child = spawn(process.execPath, [program, '--config', file], { detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    child.unref()
    this.child = child
    child.once('exit', (code) => {
      this.child = null
      if (this.stopping) return
      this.onExit(code)
      // A service that ends right after its start would be started in a tight loop.
      const wait = performance.now() - this.startedAt < 2000 ? 1000 : 0
      setTimeout(() => void this.check(), wait)
    })
  }

  async stop(): Promise<void> {
    this.stopping = true
    const service = this.child?.pid === undefined ? this.adopted : identify(this.child.pid)
    if (service === null || !isRunning(service)) return
    process.kill(service.pid, 'SIGTERM')
    const killAt = performance.now() + stopWithinMs
    while (isRunning(service)) {
      if (performance.now() > killAt) killProcess(service)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

/** What the service that listens there says of itself; null when nothing answers in time. */
function health(socketPath: string): Promise<ServiceHealth | null> {
  return new Promise((resolve) => {
    const probe = request({ socketPath, path: '/health', timeout: 1000 }, (response) => {
      text(response).then(
        (body) => resolve((response.statusCode ?? 500) < 500 ? (JSON.parse(body) as ServiceHealth) : null),
        () => resolve(null),
      )
    })
    probe.on('timeout', () => probe.destroy())
    probe.on('error', () => resolve(null))
    probe.end()
  })
}

/** @param text host:port, as the configuration's schema has checked */
function relayOf(text: string): { readonly host: string; readonly port: number } {
  const end = text.lastIndexOf(':')
  return { host: text.slice(0, end).replace(/^\[|\]$/g, ''), port: Number(text.slice(end + 1)) }
}
