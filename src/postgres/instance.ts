import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import type { InstanceState } from '../replication/instance.ts'
import { parseLsn } from '../replication/lsn.ts'
import { readControlData } from './control-data.ts'
import { readPart } from './adoption.ts'
import { closeGate, confirmedEnd, openGate, refuseFarBehind } from './gate.ts'
import { initialize, quoteName } from './initialize.ts'
import { contextOf, type InstanceOptions, type Promoted, type RejoinResult } from './instance-options.ts'
import { endProcesses, launch } from './launch.ts'
import { type Layout, layoutOf } from './layout.ts'
import { type Known, nothingKnown, observe } from './observation.ts'
import { firstWrite, nextTransaction } from './first-write.ts'
import { isRunning, type ProcessId, signalProcess } from '../host/processes.ts'
import { findPostmaster, processesOf } from './postmaster.ts'
import { probe, type Verdict } from './probe.ts'
import { beginningOfLog, promote } from './promotion.ts'
import { rejoinData } from './rejoin.ts'
import { seedData } from './seed.ts'
import { Server, type ServerContext } from './server.ts'
import { type NodeId, type Part, renderStandbyNames, type Upstream } from './settings.ts'
import { withSession } from './session.ts'
import { SlotKeeper } from './slots.ts'
import { checkpointed, growSynchronousSet, shrinkSynchronousSet } from './synchronous-set.ts'
import { waitFor } from './wait.ts'

type PrimaryPart = Extract<Part, { kind: 'primary' }>

const farBehindBytes = 64n * 1024n * 1024n
const readyTimeoutMs = 10 * 60_000

/**
 * One copy of a storage group on this node. One action runs at a time; a stop overtakes it. Each action is idempotent: asked for what
 * is so already, it does nothing. What can be read from PostgreSQL is read; only what it cannot be asked for is kept (`Known`).
 */
export class Instance {
  private readonly options: InstanceOptions
  private readonly context: ServerContext
  private readonly layout: Layout
  private server: Server | null = null
  private part: Part = { kind: 'standby', upstream: null }
  private known: Known = nothingKnown
  /** The first transaction number after the last promotion. */
  private firstTransaction: bigint | null = null
  private systemId: string | null = null
  private failure: string | null = null
  private current: { readonly abort: AbortController; readonly done: Promise<unknown> } | null = null
  private background = new AbortController()
  private readonly slots: SlotKeeper
  private readonly exitListeners: (() => void)[] = []

  constructor(options: InstanceOptions) {
    this.options = options
    this.layout = layoutOf(options.directory, options.port)
    this.context = contextOf(options, this.layout)
    this.slots = new SlotKeeper(options.peers, (failure) =>
      options.log?.warn({ group: options.group, failure: failure.message }, 'replication slots could not be tended'),
    )
  }

  /** Called within milliseconds when the postmaster has ended, whoever ended it. */
  onExit(listener: () => void): void {
    this.exitListeners.push(listener)
  }

  /** What is there: adopts a postmaster that runs. Changes nothing. */
  async inspect(): Promise<InstanceState> {
    if (this.server?.running === true) return this.observe()
    if (!existsSync(join(this.layout.data, 'PG_VERSION')) || existsSync(this.layout.unfinishedMark)) return { kind: 'absent' }
    const found = findPostmaster(this.layout.data)
    if (found !== null) return this.adopt(found)
    return this.stoppedState()
  }

  /** A cheap look. @throws HandoffError POSTGRES_TIMEOUT when the instance does not answer */
  async observe(options: { readonly timeoutMs?: number } = {}): Promise<InstanceState> {
    const server = this.server
    if (server === null || !server.running) return this.inspect()
    const seen = await observe(server, this.known, options.timeoutMs ?? 3000)
    this.systemId = seen.state.systemId
    this.slots.tend(server, seen.state.kind, seen.slots)
    return seen.state
  }

  /** Is the postmaster there? Costs nothing; the end of the process is reported by `onExit` anyway. */
  looksAlive(): boolean {
    return this.server?.running === true
  }

  /** A bounded, durable write and read on each volume, and a query when it runs. */
  async isAlive(options: { readonly timeoutMs: number }): Promise<Verdict> {
    return probe(this.context, this.server?.running === true ? this.server : null, options.timeoutMs)
  }

  /** The processes of this copy, for whoever must be able to kill them without asking us. */
  pids(): readonly ProcessId[] {
    return existsSync(this.layout.data) ? processesOf(this.layout.data) : []
  }

  /** Makes a new storage group, and runs it as primary with the gate closed. */
  initialize(options: { readonly epoch: number }): Promise<InstanceState> {
    return this.act(async (signal) => {
      if (existsSync(this.layout.data)) await this.refuseUnlessPrimary('initialize')
      else this.systemId = await initialize(this.context, { binDirectory: this.options.binDirectory, client: this.options.clientRole ?? null, signal })
      return this.runPrimary({ epoch: options.epoch, synchronous: [] }, signal)
    })
  }

  /** Restarts what was the primary, in place: the gate stays closed, and `tailLsn` tells what the in-sync copies must have before it opens. */
  startPrimary(options: { readonly epoch: number; readonly synchronous: readonly NodeId[] }): Promise<InstanceState> {
    return this.act((signal) => this.runPrimary(options, signal))
  }

  /** Starts as a standby what was one. A former primary is compared with the active copy first: `rejoin`. */
  startStandby(options: { readonly upstream: Upstream }): Promise<InstanceState> {
    return this.act((signal) => this.runStandby(options.upstream, signal))
  }

  /** Follows another copy from now on, without a restart. */
  follow(options: { readonly upstream: Upstream }): Promise<InstanceState> {
    return this.act(async (signal) => {
      if (this.server?.running !== true) return this.runStandby(options.upstream, signal)
      this.expectPart('standby', 'follow another copy')
      this.part = this.standbyPart(options.upstream)
      this.server.apply(this.part)
      await this.server.reloaded({ 'handoff.upstream': this.part.upstream?.node ?? '' }, signal)
      return this.observe()
    })
  }

  promote(options: { readonly epoch: number }): Promise<Promoted> {
    return this.act(async (signal) => {
      const server = this.runningServer('promote')
      if (this.part.kind === 'primary') {
        const state = await this.observe()
        if (state.kind === 'primary' && state.epoch === options.epoch) return { state, beganWallMs: Date.now(), steps: [], lsn: await beginningOfLog(server) }
        if (state.kind === 'primary')
          throw new HandoffError(
            'POSTGRES_WRONG_STATE',
            `cannot promote ${this.options.group} for epoch ${options.epoch}: it is the primary of epoch ${state.epoch}`,
          )
      }
      // The new active acknowledges alone until others have joined: the record of the new epoch has only this copy in sync.
      const part: PrimaryPart = { kind: 'primary', epoch: options.epoch, gate: 'open', standbyNames: '' }
      this.known = nothingKnown
      this.part = part
      const beganWallMs = Date.now()
      const steps = await promote(server, part, signal)
      this.firstTransaction = await nextTransaction(server)
      const [state, promotedLsn] = await Promise.all([this.observe(), beginningOfLog(server)])
      this.known = { ...this.known, timelineBegin: promotedLsn }
      // pg_rewind of the old active needs the new timeline in our control file (PostgreSQL manual, pg_rewind, "Notes").
      this.inBackground('checkpoint after the promotion', async (stop) => void (await checkpointed(server, stop)))
      return { state, beganWallMs, steps, lsn: promotedLsn }
    })
  }

  /** Wall-clock ms of the first commit after the last promotion; null when nothing is written for `timeoutMs`, or the instance ends before. */
  async firstWrite(timeoutMs: number): Promise<number | null> {
    const { server, firstTransaction } = this
    if (server === null || firstTransaction === null) return null
    return firstWrite(server, firstTransaction, { timeoutMs, signal: this.background.signal }).catch(() => null)
  }

  /** Every commit waits for these copies; with new ones among them, resolves when that is proven (`synchronousSince`). */
  setSynchronous(nodes: readonly NodeId[], epoch: number): Promise<InstanceState> {
    return this.act(async (signal) => {
      const server = this.runningServer('change the synchronous set')
      const part = this.primaryPart(epoch)
      if (nodes.every((node) => this.known.synchronous.includes(node))) {
        this.known = { ...this.known, synchronous: nodes }
        this.part = shrinkSynchronousSet(server, part, nodes)
        await server.reloaded({ synchronous_standby_names: this.part.standbyNames }, signal)
        return this.observe()
      }
      const kept = this.known.synchronous.filter((node) => nodes.includes(node))
      const proven = this.known.synchronous
      this.known = { ...this.known, synchronous: kept }
      const grown = await growSynchronousSet(server, part, nodes, proven, signal, (written) => {
        this.part = written
      })
      this.known = { ...this.known, synchronous: nodes, synchronousSince: grown.since }
      return this.observe()
    })
  }

  openGate(): Promise<InstanceState> {
    return this.act(async (signal) => {
      this.part = await openGate(this.runningServer('open the gate'), this.primaryPart(), signal)
      this.known = { ...this.known, quiesced: null }
      return this.observe()
    })
  }

  closeGate(): Promise<InstanceState> {
    return this.act(async (signal) => {
      this.part = await closeGate(this.runningServer('close the gate'), this.primaryPart(), { graceMs: 0, signal })
      return this.observe()
    })
  }

  /** No more writes, and the target has the last one on its disk. Fails with the gate open again when it has not in time. */
  quiesce(options: { readonly target: NodeId; readonly timeoutMs: number }): Promise<InstanceState> {
    return this.act(async (signal) => {
      const server = this.runningServer('quiesce')
      const before = this.primaryPart()
      if (this.known.quiesced?.target === options.target) return this.observe()
      await refuseFarBehind(server, options.target, farBehindBytes)
      // Dirty pages go out while clients still work; the recovery of a target that crashes right after has less to do, too.
      await checkpointed(server, signal)
      try {
        this.part = { ...before, gate: 'closed' }
        await closeGate(server, before, { graceMs: 50, signal })
        const end = await confirmedEnd(server, options.target, { timeoutMs: options.timeoutMs, signal })
        this.known = { ...this.known, quiesced: { target: options.target, lsn: end } }
      } catch (error) {
        if (!signal.aborted && server.running) this.part = await openGate(server, before, AbortSignal.timeout(3000))
        throw error
      }
      return this.observe()
    })
  }

  unquiesce(): Promise<InstanceState> {
    return this.openGate()
  }

  /**
   * `immediate`: as after a crash, never waits for a standby; what is left after 500 ms is killed. `fast`: with a last checkpoint,
   * at most `timeoutMs`, then immediate. `kill`: SIGKILL to everything. Overtakes whatever runs.
   */
  async stop(options: { readonly mode: 'immediate' | 'fast' | 'kill'; readonly timeoutMs?: number }): Promise<InstanceState> {
    this.background.abort()
    this.background = new AbortController()
    const overtaken = this.current
    overtaken?.abort.abort(new HandoffError('POSTGRES_WRONG_STATE', `overtaken by a stop of ${this.options.group}`))
    const end = async (): Promise<void> => {
      const postmaster = this.server?.process ?? findPostmaster(this.layout.data)
      if (postmaster !== null && options.mode === 'fast') await this.endBy(postmaster, 'SIGINT', options.timeoutMs ?? 10_000)
      if (postmaster !== null && options.mode !== 'kill') await this.endBy(postmaster, 'SIGQUIT', 500)
      if (existsSync(this.layout.data)) await endProcesses(this.layout.data, 5000, postmaster ?? undefined)
    }
    await end()
    if (overtaken !== null) {
      await overtaken.done.catch(() => {})
      await end()
    }
    this.server?.close()
    this.server = null
    this.known = nothingKnown
    return this.inspect()
  }

  /** Brings a whole copy from the active one and starts it as standby. */
  seed(options: { readonly upstream: Upstream; readonly onProgress?: (text: string) => void }): Promise<InstanceState> {
    return this.act(async (signal) => {
      if (this.server?.running === true) throw new HandoffError('POSTGRES_WRONG_STATE', `cannot seed ${this.options.group}: its copy here runs; stop it first`)
      await this.seedFrom(options.upstream, options.onProgress, signal)
      return this.runStandby(options.upstream, signal)
    })
  }

  /**
   * Makes a passive copy out of whatever is here: a former primary, or a standby that cannot follow any more. Its log beyond the point
   * where the timelines part is saved first. Ends in a running standby, or throws what prevented it.
   */
  rejoin(options: { readonly upstream: Upstream; readonly upstreamEpoch: number; readonly onProgress?: (text: string) => void }): Promise<RejoinResult> {
    return this.act(async (signal) => {
      await this.endServer()
      const result = await rejoinData(this.context, {
        binDirectory: this.options.binDirectory,
        upstream: options.upstream,
        upstreamEpoch: options.upstreamEpoch,
        signal,
        seed: () => this.seedFrom(options.upstream, options.onProgress, signal),
        start: async (timeline) => {
          await this.runStandby(options.upstream, signal)
          await this.streams(timeline, signal)
        },
        stop: () => this.endServer(),
        onFallback: (why) => this.options.log?.warn({ group: this.options.group, failure: why }, 'the copy is seeded anew'),
      })
      return { state: await this.observe(), rejoin: result }
    })
  }

  /** An empty database, made durable as every commit is. Nothing when it exists. */
  async createDatabase(name: string): Promise<void> {
    const server = this.runningServer('create a database')
    await withSession({ ...server.sessionOptions('administration'), synchronousCommit: 'on' }, undefined, async (client) => {
      const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
      if (rowCount === 0) await client.query(`create database ${quoteName(name)}`)
    })
  }

  /** Lets go of a running instance without touching it: the cluster service ends, PostgreSQL goes on. */
  detach(): void {
    this.background.abort()
    this.current?.abort.abort(new HandoffError('POSTGRES_WRONG_STATE', 'the cluster service ends'))
    this.server?.close()
    this.server = null
  }

  private async act<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.current !== null) throw new HandoffError('POSTGRES_WRONG_STATE', `another action runs on ${this.options.group}`)
    const abort = new AbortController()
    const done = (async () => run(abort.signal))()
    this.current = { abort, done }
    try {
      return await done
    } finally {
      this.current = null
    }
  }

  private async runPrimary(options: { readonly epoch: number; readonly synchronous: readonly NodeId[] }, signal: AbortSignal): Promise<InstanceState> {
    if (this.server?.running === true) {
      await this.refuseUnlessPrimary('start as primary', options.epoch)
      return this.observe()
    }
    if (existsSync(join(this.layout.data, 'standby.signal')))
      throw new HandoffError('POSTGRES_WRONG_STATE', `${this.options.group} was a standby here: it is promoted, not started as primary`)
    const part: PrimaryPart = { kind: 'primary', epoch: options.epoch, gate: 'closed', standbyNames: renderStandbyNames(options.synchronous) }
    const server = await this.launch(part, signal)
    // Started with the set, every walsender has it; the checkpointer has been through its loop once it has done a checkpoint.
    const tail = (await server.control.query<{ position: string }>('select pg_current_wal_flush_lsn()::text as position'))[0]!.position
    const since = await checkpointed(server, signal)
    this.known = {
      ...nothingKnown,
      synchronous: options.synchronous,
      synchronousSince: since,
      tailLsn: parseLsn(tail),
      timelineBegin: await beginningOfLog(server),
    }
    return this.observe()
  }

  private async runStandby(upstream: Upstream, signal: AbortSignal): Promise<InstanceState> {
    if (this.server?.running === true) {
      this.expectPart('standby', 'start as standby')
      return this.observe()
    }
    if (!existsSync(join(this.layout.data, 'standby.signal')))
      throw new HandoffError(
        'POSTGRES_WRONG_STATE',
        `${this.options.group} ran as a primary here: it must be compared with the active copy before it can follow`,
        { remedy: 'This is done by itself as soon as the active copy is heard.' },
      )
    await this.launch(this.standbyPart(upstream), signal)
    return this.observe()
  }

  private async launch(part: Part, signal: AbortSignal): Promise<Server> {
    this.known = nothingKnown
    this.failure = null
    try {
      return await launch(this.context, part, {
        binDirectory: this.options.binDirectory,
        expectedSystemId: this.options.expectedSystemId?.() ?? null,
        signal,
        readyTimeoutMs,
        onStarted: (server) => this.take(server, part),
      })
    } catch (error) {
      if (!signal.aborted) this.failure = (error as Error).message
      throw error
    }
  }

  private take(server: Server, part: Part): void {
    this.server = server
    this.part = part
    void server.exited.then(() => {
      if (this.server === server) this.known = nothingKnown
      for (const listener of this.exitListeners) listener()
    })
  }

  private async adopt(process: ProcessId): Promise<InstanceState> {
    const server = new Server(this.context, process)
    try {
      const adopted = await readPart(server)
      this.take(server, adopted.part)
      this.known = { ...nothingKnown, ...adopted.known }
      return await this.observe()
    } catch (error) {
      if (this.server !== server) server.close()
      this.options.log?.warn({ group: this.options.group, pid: process.pid, failure: (error as Error).message }, 'a PostgreSQL that runs cannot be adopted yet')
      return isRunning(process) ? { kind: 'unknown' } : this.stoppedState()
    }
  }

  private async stoppedState(): Promise<InstanceState> {
    const wasPrimary = !existsSync(join(this.layout.data, 'standby.signal'))
    try {
      this.systemId ??= (await readControlData(this.options.binDirectory, this.layout.data, this.context.user)).systemId
    } catch (error) {
      return { kind: 'stopped', systemId: '', wasPrimary, failure: (error as Error).message }
    }
    return { kind: 'stopped', systemId: this.systemId, wasPrimary, ...(this.failure === null ? {} : { failure: this.failure }) }
  }

  private async seedFrom(upstream: Upstream, onProgress: ((text: string) => void) | undefined, signal: AbortSignal): Promise<void> {
    this.systemId = null
    await seedData(this.context, {
      binDirectory: this.options.binDirectory,
      upstream,
      expectedSystemId: this.options.expectedSystemId?.() ?? null,
      signal,
      onProgress: ({ doneBytes, totalBytes }) =>
        onProgress?.(
          `${megabytes(doneBytes)} of ${megabytes(totalBytes)} MB (${totalBytes === 0 ? 0 : Math.min(100, Math.floor((doneBytes * 100) / totalBytes))}%)`,
        ),
    })
    this.failure = null
  }

  private async endServer(): Promise<void> {
    const process = this.server?.process ?? findPostmaster(this.layout.data)
    if (process !== null) await this.endBy(process, 'SIGINT', 5000)
    if (existsSync(this.layout.data)) await endProcesses(this.layout.data, 5000, process ?? undefined)
    this.server?.close()
    this.server = null
  }

  private async endBy(process: ProcessId, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
    signalProcess(process, signal)
    await waitFor(() => !isRunning(process), { timeoutMs, what: 'PostgreSQL to end' }).catch(() => {})
  }

  private async streams(timeline: number, signal: AbortSignal): Promise<void> {
    await waitFor(
      async () => {
        const state = await this.observe()
        if (state.kind === 'stopped') throw new HandoffError('POSTGRES_START_FAILED', `PostgreSQL of ${this.options.group} ended while it began to follow`)
        return state.kind === 'standby' && state.streaming && state.timeline >= timeline
      },
      { timeoutMs: 15_000, everyMs: 20, signal, what: `the copy of ${this.options.group} to follow the active one` },
    )
  }

  private inBackground(what: string, run: (stop: AbortSignal) => Promise<void>): void {
    const { signal } = this.background
    void run(signal).catch((error: unknown) => {
      if (!signal.aborted && this.server?.running === true)
        this.options.log?.warn({ group: this.options.group, failure: (error as Error).message }, `${what} failed`)
    })
  }

  private runningServer(toDo: string): Server {
    if (this.server === null || !this.server.running)
      throw new HandoffError('POSTGRES_NOT_RUNNING', `cannot ${toDo}: the copy of ${this.options.group} on ${this.options.node} does not run`)
    return this.server
  }

  private primaryPart(epoch?: number): PrimaryPart {
    if (this.part.kind !== 'primary')
      throw new HandoffError('POSTGRES_WRONG_STATE', `the copy of ${this.options.group} on ${this.options.node} is a standby, wanted the primary`)
    if (epoch !== undefined && epoch !== this.part.epoch)
      throw new HandoffError('POSTGRES_WRONG_STATE', `the copy of ${this.options.group} runs with epoch ${this.part.epoch}, wanted ${epoch}`)
    return this.part
  }

  private expectPart(kind: Part['kind'], toDo: string): void {
    if (this.part.kind !== kind)
      throw new HandoffError('POSTGRES_WRONG_STATE', `cannot ${toDo}: the copy of ${this.options.group} on ${this.options.node} runs as ${this.part.kind}`)
  }

  private async refuseUnlessPrimary(toDo: string, epoch?: number): Promise<void> {
    const state = await this.inspect()
    const fits = (state.kind === 'stopped' && state.wasPrimary) || (state.kind === 'primary' && (epoch === undefined || state.epoch === epoch))
    if (!fits) throw new HandoffError('POSTGRES_WRONG_STATE', `cannot ${toDo}: the copy of ${this.options.group} on ${this.options.node} is ${state.kind}`)
  }

  /** A copy that is its own upstream follows nobody: an owner that starts from cold, before it is promoted. */
  private standbyPart(upstream: Upstream): Extract<Part, { kind: 'standby' }> {
    return { kind: 'standby', upstream: upstream.node === this.options.node ? null : upstream }
  }
}

const megabytes = (bytes: number): number => Math.round(bytes / 1024 / 1024)
