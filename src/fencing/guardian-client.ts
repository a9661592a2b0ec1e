import { closeSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { HeartbeatPayload, PeerReport } from '../cluster/liveness.ts'
import { HandoffError } from '../errors.ts'
import { monotonicMs } from '../host/clock.ts'
import { lockHolder } from '../host/lock-file.ts'
import { readJsonLines, writeJsonLine } from '../host/json-lines.ts'
import { identify, killProcess, type ProcessId, spawnDetached } from '../host/processes.ts'
import {
  configMark,
  type Enforcement,
  type FromGuardian,
  type GuardedGroup,
  type GuardedPeer,
  type GuardianConfig,
  type GuardianTraffic,
  guardianLock,
  type ToGuardian,
} from './protocol.ts'

export interface GuardianClientOptions {
  readonly config: GuardianConfig
  readonly socketPath: string
  readonly logFile: string
  /** The compiled `daemons/guardian.js`. */
  readonly program?: string
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
}

export type ReportListener = (peers: readonly PeerReport[], traffic: GuardianTraffic) => void

/** A report that has waited longer in the socket (this process or the guardian was stopped) tells of the past; a newer one follows. */
const reportFreshMs = 500
const aliveEveryMs = 200
/** Turns of `aliveEveryMs` without a word before a guardian counts as hung and is replaced. */
const hungTurns = 10
const answerWithinMs = 5000
const retryMs = 10

/**
 * The guardian as handoffd sees it. What was told last (peers, payload, deadlines) is told again to every guardian that comes new,
 * so the callers never need to know that one died.
 */
export class GuardianClient {
  private readonly options: GuardianClientOptions
  private readonly reportListeners: ReportListener[] = []
  private readonly enforcedListeners: ((enforcement: Enforcement) => void)[] = []
  private socket: Socket | null = null
  private guardian: ProcessId | null = null
  private readonly told = new Map<ToGuardian['type'], ToGuardian>()
  private readonly aliveTimer: NodeJS.Timeout
  private quietTurns = 0
  private open = true

  /** Use `startOrAdoptGuardian`. */
  constructor(options: GuardianClientOptions) {
    this.options = options
    this.aliveTimer = setInterval(() => this.alive(), aliveEveryMs)
  }

  onReport(listener: ReportListener): void {
    this.reportListeners.push(listener)
  }

  onEnforced(listener: (enforcement: Enforcement) => void): void {
    this.enforcedListeners.push(listener)
  }

  setPeers(peers: readonly GuardedPeer[]): void {
    this.tell({ type: 'peers', peers })
  }

  publish(payload: HeartbeatPayload): void {
    this.tell({ type: 'payload', payload })
  }

  /** The whole set each time. */
  guard(groups: readonly GuardedGroup[]): void {
    this.tell({ type: 'deadlines', groups })
  }

  get pid(): number | null {
    return this.guardian?.pid ?? null
  }

  /** Orderly end: everything has been stopped, so nothing is left to guard. */
  async stop(): Promise<void> {
    const socket = this.socket
    this.forget()
    if (socket === null || socket.destroyed) return
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    writeJsonLine(socket, { type: 'stop' } satisfies ToGuardian)
    const late = setTimeout(() => socket.destroy(), 2000)
    await closed
    clearTimeout(late)
  }

  /** Leaves the guardian running, for the next handoffd to adopt. */
  detach(): void {
    const socket = this.socket
    this.forget()
    socket?.end()
  }

  /** @throws HandoffError GUARDIAN_START_FAILED */
  async begin(): Promise<'started' | 'adopted'> {
    let how: 'started' | 'adopted' = 'adopted'
    let spawned = Number.NEGATIVE_INFINITY
    const until = monotonicMs() + answerWithinMs
    while (this.open) {
      const socket = await connected(this.options.socketPath)
      const welcome = socket === null ? null : await this.greet(socket)
      if (!this.open) {
        socket?.destroy()
        break
      }
      if (socket !== null && welcome?.type === 'welcome') {
        if (welcome.mark === configMark(this.options.config)) {
          this.adopt(socket, welcome.pid)
          return how
        }
        // It was started with other addresses, another key or for another node: a new one takes its place.
        this.options.log.info({ guardian: welcome.pid }, 'the guardian has another configuration and is replaced')
        writeJsonLine(socket, { type: 'stop' } satisfies ToGuardian)
        await new Promise<void>((resolve) => socket.once('close', () => resolve()))
      } else if (socket !== null) {
        socket.destroy()
        this.replaceHung()
      } else if (monotonicMs() - spawned > 1000) {
        spawned = monotonicMs()
        how = 'started'
        this.spawn()
      }
      if (monotonicMs() > until)
        throw new HandoffError('GUARDIAN_START_FAILED', `the guardian does not answer on "${this.options.socketPath}"; its log is "${this.options.logFile}"`)
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
    return how
  }

  private async beginAgain(): Promise<void> {
    while (this.open) {
      try {
        await this.begin()
        return
      } catch (failure) {
        this.options.log.warn({ failure: (failure as Error).message }, 'the guardian could not be started again')
      }
    }
  }

  /** One that has the socket and does not answer, even after a second, hangs; its deadlines are told anew to the next one. */
  private replaceHung(): void {
    const holder = lockHolder(guardianLock(this.options.socketPath))
    if (holder === null) return
    this.options.log.warn({ guardian: holder.pid }, 'the guardian does not answer and is replaced')
    killProcess(holder)
  }

  private greet(socket: Socket): Promise<FromGuardian | null> {
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(null), 1000)
      socket.once('close', () => resolve(null))
      let first = true
      readJsonLines(socket, (value) => {
        const message = value as FromGuardian
        if (first) {
          first = false
          clearTimeout(late)
          resolve(message)
        } else if (this.socket === socket) this.received(message)
      })
      writeJsonLine(socket, { type: 'hello', pid: process.pid } satisfies ToGuardian)
    })
  }

  private adopt(socket: Socket, pid: number): void {
    this.socket = socket
    this.guardian = identify(pid)
    this.quietTurns = 0
    for (const type of ['peers', 'deadlines', 'payload'] as const) {
      const message = this.told.get(type)
      if (message !== undefined) writeJsonLine(socket, message)
    }
    socket.once('close', () => {
      if (this.socket !== socket || !this.open) return
      this.socket = null
      this.options.log.warn({ guardian: pid }, 'the guardian is gone and is started again')
      void this.beginAgain()
    })
  }

  private spawn(): void {
    const log = openSync(this.options.logFile, 'a', 0o600)
    try {
      const program = this.options.program ?? fileURLToPath(new URL('../daemons/guardian.js', import.meta.url))
      spawnDetached(process.execPath, [program, '--socket', this.options.socketPath, '--stdin'], { stdin: JSON.stringify(this.options.config), log })
    } finally {
      closeSync(log)
    }
  }

  private tell(message: ToGuardian): void {
    this.told.set(message.type, message)
    if (this.socket !== null) writeJsonLine(this.socket, message)
  }

  private received(message: FromGuardian): void {
    this.quietTurns = 0
    if (message.type === 'report' && monotonicMs() - message.atMs <= reportFreshMs)
      for (const listener of this.reportListeners) listener(message.peers, message.traffic)
    if (message.type === 'enforced') for (const listener of this.enforcedListeners) listener(message)
  }

  /** From this process's main loop, so that a handoffd that hangs is seen to. Counts own turns, so that an own pause is not held against the guardian. */
  private alive(): void {
    if (this.socket === null) {
      this.quietTurns += 1
      return
    }
    writeJsonLine(this.socket, { type: 'alive' } satisfies ToGuardian)
    this.quietTurns += 1
    if (this.quietTurns < hungTurns || this.guardian === null) return
    this.options.log.warn({ guardian: this.guardian.pid }, 'the guardian hangs and is replaced')
    killProcess(this.guardian)
    this.quietTurns = 0
  }

  private forget(): void {
    this.open = false
    this.socket = null
    clearInterval(this.aliveTimer)
  }
}

/**
 * This node's guardian: the one that runs, or a new one.
 * @throws HandoffError GUARDIAN_START_FAILED
 */
export async function startOrAdoptGuardian(
  options: GuardianClientOptions,
): Promise<{ readonly guardian: GuardianClient; readonly how: 'started' | 'adopted' }> {
  const guardian = new GuardianClient(options)
  try {
    return { guardian, how: await guardian.begin() }
  } catch (failure) {
    guardian.detach()
    throw failure
  }
}

function connected(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(socket))
    socket.once('error', () => resolve(null))
    socket.on('error', () => {}) // `close` follows
  })
}
