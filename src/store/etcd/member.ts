import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HandoffError } from '../../errors.ts'
import { pidText, readPidFile } from '../../host/pid-file.ts'
import { isRunning, type ProcessId, signalProcess } from '../../host/processes.ts'
import { checkPortFree, checkProgram, launchEtcd, type LaunchOptions, logSince, sizeOf } from './launch.ts'
import type { EtcdTlsFiles } from './options.ts'

export interface EtcdMemberOptions {
  readonly name: string
  /** Holds the data, the log and the pid file of the member. The way to it must be open to the user that etcd runs as. */
  readonly directory: string
  readonly peerUrl: string
  readonly clientUrl: string
  readonly members: readonly { readonly name: string; readonly peerUrl: string }[]
  /** Name of the Handoff cluster. */
  readonly cluster: string
  readonly heartbeatMs?: number
  readonly electionMs?: number
  readonly quotaBytes?: number
  readonly tls?: EtcdTlsFiles | undefined
  readonly program?: string
  /** The member ended and is being started again, or cannot be. */
  readonly onTrouble?: (trouble: HandoffError) => void
}

const backoffMs = { first: 200, most: 5000, steadyAfter: 10_000 }

/**
 * The etcd member of this node: started detached, so that it outlives `handoffd`; found again by its pid file; started again when it ends.
 */
export class EtcdMember {
  private readonly options: EtcdMemberOptions
  private readonly launch: LaunchOptions
  private readonly pidFile: string
  private process: ProcessId | null = null
  private watching: NodeJS.Timeout | null = null
  private restart: NodeJS.Timeout | null = null
  private startedAtMs = 0
  private logPosition = 0
  private delayMs = backoffMs.first
  private supervising = false

  constructor(options: EtcdMemberOptions) {
    this.options = options
    this.pidFile = join(options.directory, 'etcd.pid')
    this.launch = {
      program: options.program ?? '/usr/bin/etcd',
      name: options.name,
      dataDirectory: join(options.directory, 'data'),
      logFile: join(options.directory, 'etcd.log'),
      peerUrl: options.peerUrl,
      clientUrl: options.clientUrl,
      members: options.members,
      token: `handoff-${options.cluster}`,
      heartbeatMs: options.heartbeatMs ?? 30,
      electionMs: options.electionMs ?? 300,
      quotaBytes: options.quotaBytes ?? 1024 * 1024 * 1024,
      tls: options.tls,
    }
  }

  get pid(): number | null {
    return this.process !== null && isRunning(this.process) ? this.process.pid : null
  }

  /**
   * Takes over the member that runs, or starts it. It answers when a majority of members does: that is not waited for.
   * @throws HandoffError ETCD_MISSING, ETCD_PORT_IN_USE, ETCD_FOREIGN_DATA, ETCD_START_FAILED
   */
  async start(): Promise<void> {
    if (this.supervising) return
    checkProgram(this.launch.program)
    this.claimDirectory()
    const running = this.find()
    if (running === null) await this.spawn()
    else this.process = running
    this.supervising = true
    this.logPosition = running === null ? this.logPosition : sizeOf(this.launch.logFile)
    this.watching = setInterval(() => this.check(), 100)
  }

  /** Ends supervision and leaves the member running, for the next `handoffd` to take over. */
  detach(): void {
    this.supervising = false
    if (this.watching !== null) clearInterval(this.watching)
    if (this.restart !== null) clearTimeout(this.restart)
    this.watching = this.restart = null
  }

  /** Stops the member; settles when it has ended. */
  async stop(): Promise<void> {
    this.detach()
    const member = this.process ?? this.find()
    if (member === null) return
    const begunMs = Date.now()
    let signal: NodeJS.Signals = 'SIGTERM'
    signalProcess(member, signal)
    while (isRunning(member)) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (signal === 'SIGTERM' && Date.now() - begunMs > 5000) signalProcess(member, (signal = 'SIGKILL'))
    }
    rmSync(this.pidFile, { force: true })
    this.process = null
  }

  private check(): void {
    if (this.restart !== null || this.pid !== null) return
    const steady = Date.now() - this.startedAtMs > backoffMs.steadyAfter
    this.delayMs = steady ? backoffMs.first : Math.min(this.delayMs * 2, backoffMs.most)
    this.options.onTrouble?.(this.explain())
    this.restart = setTimeout(() => {
      this.restart = null
      this.spawn().catch((failure: unknown) => {
        if (failure instanceof HandoffError) this.options.onTrouble?.(failure)
      })
    }, this.delayMs)
  }

  private async spawn(): Promise<void> {
    await checkPortFree(this.options.peerUrl, 'peer')
    await checkPortFree(this.options.clientUrl, 'client')
    this.logPosition = sizeOf(this.launch.logFile)
    this.startedAtMs = Date.now()
    const started = launchEtcd(this.launch)
    this.process = started
    writeFileSync(this.pidFile, pidText(started), { mode: 0o600 })
  }

  /** The process of the pid file, if it still is that process and runs on our data. */
  private find(): ProcessId | null {
    const candidate = readPidFile(this.pidFile)
    if (candidate === null || !isRunning(candidate)) return null
    try {
      const args = readFileSync(`/proc/${candidate.pid}/cmdline`, 'utf8').split('\0')
      return args[args.indexOf('--data-dir') + 1] === this.launch.dataDirectory ? candidate : null
    } catch {
      return null
    }
  }

  private claimDirectory(): void {
    const { name, cluster, directory } = this.options
    const file = join(directory, 'member.json')
    const own = JSON.stringify({ name, cluster })
    mkdirSync(directory, { recursive: true, mode: 0o711 })
    if (existsSync(file)) {
      const found = readFileSync(file, 'utf8')
      if (found === own) return this.makeData()
      throw new HandoffError('ETCD_FOREIGN_DATA', `"${directory}" holds the etcd member ${found}, and this one is ${own}`)
    }
    if (existsSync(join(this.launch.dataDirectory, 'member')))
      throw new HandoffError('ETCD_FOREIGN_DATA', `"${this.launch.dataDirectory}" holds an etcd member that was not made by Handoff`)
    this.makeData()
    writeFileSync(file, own, { mode: 0o600 })
  }

  private makeData(): void {
    mkdirSync(this.launch.dataDirectory, { recursive: true, mode: 0o700 })
    // etcd refuses a data directory that others may read.
    chmodSync(this.launch.dataDirectory, 0o700)
  }

  private explain(): HandoffError {
    const text = logSince(this.launch.logFile, this.logPosition)
    const last = text.trim().split('\n').slice(-3).join(' | ').slice(-1500)
    if (/cluster ID mismatch|member .* has already been bootstrapped|couldn't find local name|does not match/.test(text))
      return new HandoffError('ETCD_FOREIGN_DATA', `etcd member "${this.options.name}" does not fit its cluster: ${last}`)
    if (/address already in use/.test(text)) return new HandoffError('ETCD_PORT_IN_USE', `etcd member "${this.options.name}" cannot listen: ${last}`)
    return new HandoffError('ETCD_START_FAILED', `etcd member "${this.options.name}" ended${last === '' ? ', and its log says nothing' : `: ${last}`}`)
  }
}
