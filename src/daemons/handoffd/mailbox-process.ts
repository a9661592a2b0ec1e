import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../config/config.ts'
import { logDirectory, mailboxDirectory, mailboxSocket, mountsSocket } from '../../config/paths.ts'

/**
 * Keeps the mailbox service of this node running: started ahead, adopted after a restart of the cluster service (it answers on its
 * control socket), replaced at once when it ends.
 */
export class MailboxProcess {
  private readonly config: Config
  private readonly onExit: (code: number | null) => void
  private child: ChildProcess | null = null
  private stopping = false
  private startedAt = 0

  constructor(config: Config, onExit: (code: number | null) => void) {
    this.config = config
    this.onExit = onExit
  }

  async startOrAdopt(): Promise<void> {
    if (await answers(mailboxSocket(this.config.dataDirectory))) return
    this.start()
  }

  /** Called now and then: starts it when neither a child nor an adopted service is there. */
  async check(): Promise<void> {
    if (this.stopping || this.child !== null || (await answers(mailboxSocket(this.config.dataDirectory)))) return
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
      logLevel,
      ...(mailbox.certFile === undefined || mailbox.keyFile === undefined ? {} : { tls: { certificateFile: mailbox.certFile, keyFile: mailbox.keyFile } }),
    }
    writeFileSync(file, `${JSON.stringify(options, null, 2)}\n`, { mode: 0o600 })
    const log = openSync(join(logDirectory(dataDirectory), 'handoff-mailbox.log'), 'a')
    const program = fileURLToPath(new URL('../handoff-mailbox.js', import.meta.url))
    this.startedAt = performance.now()
    const child = spawn(process.execPath, [program, '--config', file], { detached: true, stdio: ['ignore', log, log] })
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
    const child = this.child
    if (child === null || child.exitCode !== null) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      child.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
      child.kill('SIGTERM')
    })
  }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request({ socketPath, path: '/health', timeout: 1000 }, (response) => {
      response.resume()
      resolve((response.statusCode ?? 500) < 500)
    })
    probe.on('timeout', () => probe.destroy())
    probe.on('error', () => resolve(false))
    probe.end()
  })
}
