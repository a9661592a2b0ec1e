import { randomBytes } from 'node:crypto'
import { HandoffError } from '../../errors.ts'
import { monotonicMs } from '../../host/clock.ts'
import { transactionOperationsMax } from '../store.ts'
import { lockDirectory } from './directory-lock.ts'
import type { Replies, Request, ServerEvent } from './protocol.ts'
import { RecordLog, type Sync } from './record-log.ts'
import { State, type LogRecord } from './state.ts'

export interface EngineOptions {
  readonly dataDirectory: string
  /** Revisions that a watcher may be behind without a reset. */
  readonly historyRevisionsMax?: number
  /** Length of the file at which it is begun anew with a snapshot. */
  readonly logBytesMax?: number
  readonly sync?: Sync
}

interface Waiting {
  readonly run: () => unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (failure: unknown) => void
}

export interface EngineWatch {
  close(): void
}

interface Watcher {
  readonly prefix: string
  next: number
  readonly listener: (event: ServerEvent) => void
}

/**
 * Carries out requests one after another. What has arrived meanwhile forms a batch: it is carried out in memory, its records are
 * written and synced, and only then are replies sent and watchers told. Reads wait with their batch, so nobody sees what a crash
 * could take back.
 */
export class Engine {
  /** Settles when the store can no longer be trusted: a write or sync failed. */
  readonly failed: Promise<Error>
  private readonly state: State
  private readonly log: RecordLog
  private readonly unlock: () => void
  private readonly logBytesMax: number
  private readonly deadlines = new Map<string, number>()
  private readonly watchers = new Set<Watcher>()
  private readonly expiry: NodeJS.Timeout
  private waiting: Waiting[] = []
  private staged: LogRecord[] = []
  private running: Promise<void> | null = null
  private fault: Error | null = null
  private fail: (failure: Error) => void = () => {}

  private constructor(state: State, log: RecordLog, unlock: () => void, logBytesMax: number) {
    this.state = state
    this.log = log
    this.unlock = unlock
    this.logBytesMax = logBytesMax
    this.failed = new Promise((resolve) => (this.fail = resolve))
    // As in etcd after a restart: how long the store was away is not counted against anybody.
    for (const [lease, { ttlMs }] of state.leases) this.deadlines.set(lease, monotonicMs() + ttlMs)
    this.expiry = setInterval(() => this.expire(), 25)
  }

  /** @throws HandoffError STORE_DIRECTORY_IN_USE, STORE_DAMAGED */
  static async open(options: EngineOptions): Promise<Engine> {
    const unlock = lockDirectory(options.dataDirectory)
    try {
      const state = new State({ historyRevisionsMax: options.historyRevisionsMax ?? 10_000 })
      const log = await RecordLog.open(options.dataDirectory, (record) => state.apply(record), options.sync)
      return new Engine(state, log, unlock, options.logBytesMax ?? 8 * 1024 * 1024)
    } catch (failure) {
      unlock()
      throw failure
    }
  }

  execute<R extends Exclude<Request, { op: 'watch' | 'unwatch' }>>(request: R): Promise<Replies[R['op']]> {
    return this.submit(() => this.carryOut(request)) as Promise<Replies[R['op']]>
  }

  /** Everything before this call has been carried out and is on disk; its revision. */
  barrier(): Promise<number> {
    return this.submit(() => this.state.revision) as Promise<number>
  }

  /** The first events come before the returned promise settles. */
  async watch(prefix: string, from: number, listener: (event: ServerEvent) => void): Promise<EngineWatch> {
    const watcher: Watcher = { prefix, next: from, listener }
    await this.submit(() => this.watchers.add(watcher))
    return { close: () => void this.watchers.delete(watcher) }
  }

  async close(): Promise<void> {
    clearInterval(this.expiry)
    this.fault ??= new Error('the embedded store is closed')
    await this.running
    await this.log.close()
    this.unlock()
  }

  private submit(run: () => unknown): Promise<unknown> {
    if (this.fault !== null) return Promise.reject(this.fault)
    return new Promise((resolve, reject) => {
      this.waiting.push({ run, resolve, reject })
      this.running ??= this.work()
    })
  }

  private async work(): Promise<void> {
    await null // lets requests of the same turn of the event loop into the first batch
    while (this.waiting.length > 0) {
      const batch = this.waiting
      this.waiting = []
      const replies = batch.map(({ run, resolve, reject }) => {
        try {
          const result = run()
          return () => resolve(result)
        } catch (failure) {
          return () => reject(failure)
        }
      })
      try {
        const records = this.staged
        this.staged = []
        if (records.length > 0) await this.log.append(records)
      } catch (failure) {
        // After a failed write or sync the file's content is unknown (fsync(2), "Error reporting"): stop, and let a restart read it.
        return this.give(failure as Error, batch)
      }
      this.publish()
      for (const reply of replies) reply()
      if (this.log.bytes > this.logBytesMax + this.log.snapshotBytes) {
        try {
          await this.log.compact(this.state.snapshot())
        } catch (failure) {
          return this.give(failure as Error, [])
        }
      }
    }
    this.running = null
  }

  private give(failure: Error, batch: readonly Waiting[]): void {
    this.fault = failure
    for (const { reject } of [...batch, ...this.waiting]) reject(failure)
    this.waiting = []
    this.fail(failure)
  }

  private stage(record: LogRecord): void {
    this.state.apply(record)
    this.staged.push(record)
  }

  private carryOut(request: Exclude<Request, { op: 'watch' | 'unwatch' }>): unknown {
    switch (request.op) {
      case 'read':
        return { revision: this.state.revision, entries: this.state.read(request.prefix) }
      case 'get':
        return { entry: this.state.get(request.key) ?? null }
      case 'transact':
        return this.transact(request)
      case 'grant': {
        const lease = (randomBytes(8).readBigUInt64BE() >> 1n).toString()
        this.stage({ kind: 'grant', lease, ttlMs: request.ttlMs })
        this.deadlines.set(lease, monotonicMs() + request.ttlMs)
        return { lease, ttlMs: request.ttlMs }
      }
      case 'keepAlive': {
        const lease = this.state.leases.get(request.lease)
        if (lease === undefined) return { ttlMs: null }
        this.deadlines.set(request.lease, monotonicMs() + lease.ttlMs)
        return { ttlMs: lease.ttlMs }
      }
      case 'revoke':
        this.revoke(request.lease)
        return {}
    }
  }

  private transact(request: Extract<Request, { op: 'transact' }>): Replies['transact'] {
    const written = [...request.put.map((put) => put.key), ...request.delete]
    if (Math.max(written.length, request.compare.length) > transactionOperationsMax)
      throw new HandoffError(
        'STORE_REFUSED',
        `a transaction has ${Math.max(written.length, request.compare.length)} operations, more than ${transactionOperationsMax}`,
      )
    if (new Set(written).size !== written.length) throw new HandoffError('STORE_REFUSED', 'a transaction writes a key twice')
    for (const { key, modRevision } of request.compare) {
      if ((this.state.get(key)?.modRevision ?? 0) !== modRevision) return { ok: false, revision: this.state.revision }
    }
    for (const { key, lease } of request.put) {
      if (lease !== undefined && !this.state.leases.has(lease))
        throw new HandoffError('STORE_LEASE_EXPIRED', `"${key}" cannot be attached to lease ${lease}: it has run out`)
    }
    const deletes = request.delete.filter((key) => this.state.get(key) !== undefined)
    this.change(request.put, deletes)
    return { ok: true, revision: this.state.revision }
  }

  private change(puts: Extract<Request, { op: 'transact' }>['put'], deletes: readonly string[]): void {
    if (puts.length + deletes.length > 0) this.stage({ kind: 'change', revision: this.state.revision + 1, puts, deletes })
  }

  private revoke(lease: string): void {
    const held = this.state.leases.get(lease)
    this.deadlines.delete(lease)
    if (held === undefined) return
    this.change([], [...held.keys].sort())
    this.stage({ kind: 'revoke', lease })
  }

  private expire(): void {
    const now = monotonicMs()
    for (const [lease, deadline] of this.deadlines) {
      if (deadline > now) continue
      // Decided again in its turn: a renewal may be waiting before it.
      this.submit(() => {
        if ((this.deadlines.get(lease) ?? Number.POSITIVE_INFINITY) <= monotonicMs()) this.revoke(lease)
      }).catch(() => {})
    }
  }

  private publish(): void {
    for (const watcher of this.watchers) {
      const changes = watcher.next <= 0 ? null : this.state.changesFrom(watcher.next)
      if (changes === null) watcher.listener({ kind: 'reset', revision: this.state.revision, entries: this.state.read(watcher.prefix) })
      for (const { revision, puts, deletes } of changes ?? []) {
        const own = { puts: puts.filter(({ key }) => key.startsWith(watcher.prefix)), deletes: deletes.filter((key) => key.startsWith(watcher.prefix)) }
        if (own.puts.length + own.deletes.length > 0) watcher.listener({ kind: 'change', revision, ...own })
      }
      watcher.next = this.state.revision + 1
    }
  }
}
