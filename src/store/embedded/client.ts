import { HandoffError } from '../../errors.ts'
import { monotonicMs } from '../../host/clock.ts'
import type { Entry, Lease, Snapshot, Store, Transaction, TransactResult, Watch, WatchEvent } from '../store.ts'
import { Connection, type Reply } from './connection.ts'
import { type Address, contactMs, parseAddress, type Replies, type Request, type ServerEvent } from './protocol.ts'
import type { StoredEntry } from './state.ts'

export interface EmbeddedStoreOptions {
  /** `host:port`, or the path of a Unix socket. */
  readonly endpoint: string
  /** Within this time every call has its answer, or its failure. */
  readonly timeoutMs?: number
}

interface ActiveWatch {
  readonly prefix: string
  next: number
  readonly listener: (event: WatchEvent) => void
  /** On the present connection. */
  id: number | null
}

const reconnectMs = 50
const connectTimeoutMs = 300

/** A client of the embedded store. Connects when it is first needed and again whenever the connection ends. */
export class EmbeddedStore implements Store {
  private readonly endpoint: string
  private readonly address: Address
  private readonly timeoutMs: number
  private readonly watches = new Set<ActiveWatch>()
  private readonly check: NodeJS.Timeout
  private connection: Connection | null = null
  private connecting: Promise<void> | null = null
  private lastFault = 'not connected yet'
  private closed = false

  constructor(options: EmbeddedStoreOptions) {
    this.endpoint = options.endpoint
    this.address = parseAddress(options.endpoint)
    this.timeoutMs = options.timeoutMs ?? 1000
    this.check = setInterval(() => this.checkSilence(), contactMs)
    this.check.unref()
  }

  async read(prefix: string): Promise<Snapshot> {
    const { revision, entries } = await this.query({ op: 'read', prefix })
    return { revision: BigInt(revision), entries: entries.map(toEntry) }
  }

  async get(key: string): Promise<Entry | null> {
    const { entry } = await this.query({ op: 'get', key })
    return entry === null ? null : toEntry(entry)
  }

  async transact(transaction: Transaction): Promise<TransactResult> {
    const { ok, revision } = await this.command({
      op: 'transact',
      compare: transaction.compare.map(({ key, modRevision }) => ({ key, modRevision: Number(modRevision) })),
      put: transaction.put,
      delete: transaction.delete,
    })
    return { ok, revision: BigInt(revision) }
  }

  async grant(ttlMs: number): Promise<Lease> {
    // Sent again without harm: a lease that nobody knows of runs out.
    const granted = await this.query({ op: 'grant', ttlMs })
    return { id: granted.lease, ttlMs: granted.ttlMs }
  }

  async keepAlive(lease: string): Promise<{ readonly ttlMs: number } | null> {
    const { ttlMs } = await this.query({ op: 'keepAlive', lease })
    return ttlMs === null ? null : { ttlMs }
  }

  async revoke(lease: string): Promise<void> {
    await this.query({ op: 'revoke', lease })
  }

  watch(prefix: string, fromRevision: bigint, listener: (event: WatchEvent) => void): Watch {
    const watch: ActiveWatch = { prefix, next: Number(fromRevision), listener, id: null }
    this.watches.add(watch)
    if (this.connection?.usable) this.begin(this.connection, watch)
    else void this.connect()
    return {
      close: () => {
        this.watches.delete(watch)
        if (watch.id !== null) this.connection?.unwatch(watch.id)
      },
    }
  }

  async close(): Promise<void> {
    this.closed = true
    clearInterval(this.check)
    this.watches.clear()
    this.connection?.destroy('closed')
    await this.connecting
    await this.connection?.ended
  }

  /** A request that may be carried out twice: sent again while there is time. */
  private async query<R extends Exclude<Request, { op: 'watch' | 'unwatch' | 'transact' }>>(request: R): Promise<Replies[R['op']]> {
    const deadlineMs = monotonicMs() + this.timeoutMs
    for (;;) {
      const reply = await this.attempt(request, deadlineMs)
      if (reply.kind === 'none' && monotonicMs() < deadlineMs && !this.closed) continue
      if (reply.kind === 'none') throw this.unreachable(request, reply.why)
      return result(reply) as Replies[R['op']]
    }
  }

  /** A request that is sent once. */
  private async command(request: Extract<Request, { op: 'transact' }>): Promise<Replies['transact']> {
    const deadlineMs = monotonicMs() + this.timeoutMs
    for (;;) {
      const reply = await this.attempt(request, deadlineMs)
      if (reply.kind !== 'none') return result(reply) as Replies['transact']
      if (reply.sent)
        throw new HandoffError(
          'STORE_OUTCOME_UNKNOWN',
          `the embedded store at "${this.endpoint}" did not answer a change, which may have been made: ${reply.why}`,
        )
      if (monotonicMs() >= deadlineMs || this.closed) throw this.unreachable(request, reply.why)
    }
  }

  private unreachable(request: Request, why: string): HandoffError {
    return new HandoffError('STORE_UNREACHABLE', `the embedded store at "${this.endpoint}" did not answer (${request.op}) within ${this.timeoutMs} ms: ${why}`)
  }

  private async attempt(request: Request, deadlineMs: number): Promise<Reply> {
    if (!this.connection?.usable) {
      await within(this.connect(), deadlineMs - monotonicMs())
      if (!this.connection?.usable) return { kind: 'none', sent: false, why: this.lastFault }
    }
    const { connection } = this
    const reply = await connection.request(request, deadlineMs - monotonicMs())
    // No reply and not a sound since: the server is frozen or the way is cut. The next call must not wait on this connection.
    if (reply.kind === 'none' && reply.sent && connection.silentMs >= this.timeoutMs / 2) connection.destroy(reply.why)
    return reply
  }

  /** Settles when there is a connection, or the client is closed. */
  private connect(): Promise<void> {
    if (this.closed || this.connection?.usable) return Promise.resolve()
    this.connecting ??= this.connectOnce()
    return this.connecting
  }

  private async connectOnce(): Promise<void> {
    while (!this.closed && !this.connection?.usable) {
      const connection = new Connection(this.address, { connectTimeoutMs })
      if (await connection.opened) {
        this.connection = connection
        for (const watch of this.watches) this.begin(connection, watch)
        connection.ended.then((why) => this.lost(why)).catch(() => {})
        if (this.closed) connection.destroy('closed')
        break
      }
      this.lastFault = await connection.ended
      // Nobody waits for it: the next call begins again.
      await after(reconnectMs)
    }
    this.connecting = null
  }

  private lost(why: string): void {
    this.lastFault = why
    for (const watch of this.watches) watch.id = null
    if (this.watches.size > 0 && !this.closed) void this.connect()
  }

  private begin(connection: Connection, watch: ActiveWatch): void {
    watch.id = connection.watch(watch.prefix, watch.next, (event) => {
      if (!this.watches.has(watch)) return
      watch.next = Math.max(event.revision + 1, event.kind === 'reset' ? 0 : watch.next)
      watch.listener(toWatchEvent(event))
    })
  }

  private checkSilence(): void {
    if (this.watches.size > 0 && this.connection?.usable && this.connection.silentMs > 4 * contactMs) this.connection.destroy(`silent for ${4 * contactMs} ms`)
  }
}

function result(reply: Exclude<Reply, { kind: 'none' }>): unknown {
  if (reply.kind === 'error') throw new HandoffError(reply.code, reply.message)
  return reply.result
}

function toWatchEvent(event: ServerEvent): WatchEvent {
  switch (event.kind) {
    case 'change': {
      const revision = BigInt(event.revision)
      return { kind: 'change', revision, puts: event.puts.map(toEntry), deletes: event.deletes.map((key) => ({ key, modRevision: revision })) }
    }
    case 'reset':
      return { kind: 'reset', revision: BigInt(event.revision), entries: event.entries.map(toEntry) }
    case 'contact':
      return { kind: 'contact' }
  }
}

const toEntry = (entry: StoredEntry): Entry => ({ ...entry, modRevision: BigInt(entry.modRevision), createRevision: BigInt(entry.createRevision) })

/** Waits for the work, but no longer than that. */
function within(work: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, Math.max(0, ms))
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
