import { connect } from 'node:net'
import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import type { Layout } from './layout.ts'
import { writeOwnFile } from './layout.ts'
import type { OsUser } from './os-user.ts'
import { isRunning, type ProcessId, signalProcess } from '../host/processes.ts'
import type { ProcessExit } from './postmaster.ts'
import { ownSessionPrefix, Session, type SessionOptions } from './session.ts'
import { type CopySettings, type Part, renderConfig, renderHba } from './settings.ts'
import { pause, waitFor } from './wait.ts'

export interface ServerContext {
  readonly layout: Layout
  readonly settings: CopySettings
  readonly user: OsUser
  readonly handoffPassword: string
}

/** A running postmaster, started or adopted, with two sessions kept open: one to act, one to look. */
export class Server {
  readonly context: ServerContext
  readonly process: ProcessId
  readonly control: Session
  readonly observer: Session
  /** Settles when the postmaster has ended. */
  readonly exited: Promise<ProcessExit>
  private settle: (exit: ProcessExit) => void = () => {}
  private ended = false
  private closed = false
  private looking = false

  /** @param exited of a process that is our child; left out for an adopted one, whose end shows in its sessions and in /proc */
  constructor(context: ServerContext, process: ProcessId, exited?: Promise<ProcessExit>) {
    this.context = context
    this.process = process
    this.control = new Session(this.sessionOptions('control'), () => this.sessionLost())
    this.observer = new Session(this.sessionOptions('observer'), () => this.sessionLost())
    this.exited = new Promise((resolve) => {
      this.settle = resolve
    })
    if (exited === undefined) void this.watchAdopted()
    else void exited.then((exit) => this.end(exit))
  }

  get running(): boolean {
    return !this.ended && isRunning(this.process)
  }

  sessionOptions(purpose: string, database = 'postgres'): SessionOptions {
    const { layout, settings, handoffPassword } = this.context
    return { socketDirectory: layout.socketDirectory, port: settings.port, password: handoffPassword, database, name: `${ownSessionPrefix} ${purpose}` }
  }

  async openSessions(): Promise<void> {
    await Promise.all([this.control.connect(), this.observer.connect()])
  }

  /** Writes the settings of a part and has the postmaster read them. They are in force a moment later: see `reloaded`. */
  apply(part: Part): void {
    writePart(this.context, part)
    signalProcess(this.process, 'SIGHUP')
  }

  /**
   * Waits until a reload is in force. The own session shows the value: the postmaster has read the file. A connection was
   * accepted after that: the postmaster, which does one thing at a time, has signalled its children and read pg_hba.conf, too.
   */
  async reloaded(expected: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    const names = Object.keys(expected)
    let seen: readonly string[] = []
    await waitFor(
      async () => {
        const rows = await this.control.query<Record<string, string>>(
          `select ${names.map((name, index) => `current_setting('${name}', true) as s${index}`).join(', ')}`,
        )
        seen = names.map((_name, index) => rows[0]?.[`s${index}`] ?? '')
        return names.every((name, index) => seen[index] === expected[name])
      },
      { timeoutMs: 3000, signal, what: `the settings ${JSON.stringify(expected)} to be in force; an ALTER SYSTEM may override them` },
    )
    await acceptsConnection(join(this.context.layout.socketDirectory, `.s.PGSQL.${this.context.settings.port}`))
  }

  close(): void {
    this.closed = true
    this.control.close()
    this.observer.close()
  }

  private end(exit: ProcessExit): void {
    this.ended = true
    this.close()
    this.settle(exit)
  }

  private sessionLost(): void {
    if (!this.closed) void this.lookOften()
  }

  /** A lost session is the first sign of the end: backends notice the death of their postmaster through a pipe. */
  private async lookOften(): Promise<void> {
    if (this.looking) return
    this.looking = true
    const end = performance.now() + 1000
    while (!this.ended && performance.now() < end) {
      if (!isRunning(this.process)) this.end({ code: null, signal: null })
      else await pause(2)
    }
    this.looking = false
    if (!this.ended && !this.closed) await this.openSessions().catch(() => {}) // the next query tries again, and says why it failed
  }

  private async watchAdopted(): Promise<void> {
    while (!this.ended) {
      if (!isRunning(this.process)) return this.end({ code: null, signal: null })
      await new Promise((resolve) => setTimeout(resolve, 50).unref())
    }
  }
}

export function writePart(context: ServerContext, part: Part): void {
  const { layout, settings, user } = context
  writeOwnFile(layout.hbaFile, renderHba(settings, part.kind === 'primary' ? part.gate : 'closed'), user)
  writeOwnFile(layout.identFile, '# Written by Handoff: no mappings.\n', user)
  writeOwnFile(layout.configFile, renderConfig(settings, layout, part), user)
}

/** Opens a connection and gets the answer to an SSLRequest (PostgreSQL manual, "Message Formats"): a child was forked for it. */
export function acceptsConnection(socketPath: string, timeoutMs = 2000): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    const finish = (error?: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      if (error === undefined) resolve()
      else reject(new HandoffError('POSTGRES_TIMEOUT', `PostgreSQL accepts no connection on "${socketPath}": ${error.message}`, { cause: error }))
    }
    const timer = setTimeout(() => finish(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    socket.once('error', finish)
    socket.once('close', () => finish(new Error('connection closed')))
    socket.once('connect', () => socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])))
    socket.once('data', () => finish())
  })
}
