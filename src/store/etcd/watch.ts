import type { IEvent, IRangeResponse, IWatchResponse } from 'etcd3/lib/rpc.js'
import { monotonicMs } from '../../host/clock.ts'
import type { Entry, Snapshot, WatchEvent } from '../store.ts'
import type { DuplexCall, Endpoint } from './endpoint.ts'
import { endOfPrefix, toEntry } from './wire.ts'

export interface EtcdWatchOptions {
  readonly endpoints: readonly Endpoint[]
  readonly read: () => Promise<Snapshot>
  readonly prefix: string
  readonly from: bigint
  readonly listener: (event: WatchEvent) => void
}

const checkMs = 250
const silenceMs = 1000

type End = 'move' | 'reset'

/**
 * One watch over as many streams as it takes. What it has told is one number, `next`; every stream begins there, so there is no gap.
 *
 * A stream that is silent says nothing about the store: its member may be frozen, cut off from here, or cut off from the majority.
 * So four times a second the stream is asked for a sign, and the same member for a linearizable read; without both the watch moves on.
 */
export class EtcdWatch {
  private readonly options: EtcdWatchOptions
  private next: bigint
  private closed = false
  private stop: (end: End) => void = () => {}

  constructor(options: EtcdWatchOptions) {
    this.options = options
    this.next = options.from
    void this.run()
  }

  close(): void {
    this.closed = true
    this.stop('move')
  }

  private async run(): Promise<void> {
    let end: End = this.next <= 0n ? 'reset' : 'move'
    for (let turn = 0; !this.closed; turn += 1) {
      if (end === 'reset' && !(await this.reset())) continue
      end = await this.follow(this.choose(turn))
    }
  }

  private choose(turn: number): Endpoint {
    const { endpoints } = this.options
    const good = endpoints.filter((endpoint) => endpoint.connected && endpoint.healthy)
    return good[0] ?? endpoints[turn % endpoints.length]!
  }

  private async reset(): Promise<boolean> {
    try {
      const { revision, entries } = await this.options.read()
      if (this.closed) return false
      this.next = revision + 1n
      this.options.listener({ kind: 'reset', revision, entries })
      return true
    } catch {
      return false // it has waited for its deadline
    }
  }

  /** One stream, to its end. */
  private async follow(endpoint: Endpoint): Promise<End> {
    let heardMs = monotonicMs()
    let stream: DuplexCall<unknown, IWatchResponse> | null = null
    let check: NodeJS.Timeout | undefined
    const ended = new Promise<End>((resolve) => (this.stop = resolve))
    const { stop } = this
    let over = false
    const onData = (response: IWatchResponse): void => {
      if (over || this.closed) return
      heardMs = monotonicMs()
      if (BigInt(response.compact_revision || 0) > 0n) return stop('reset')
      if (response.canceled) return stop('move')
      for (const event of byRevision(response.events ?? [])) {
        if (event.revision < this.next) continue
        this.next = event.revision + 1n
        this.options.listener(event)
      }
    }
    const onEnd = (): void => {
      if (!over) endpoint.suspect()
      stop('move')
    }
    // Without a leader for some time, the member ends the stream by itself (etcd, `WithRequireLeader`).
    const started = await endpoint.stream<unknown, IWatchResponse>(
      'Watch',
      'watch',
      { onData, onEnd, metadata: { hasleader: 'true' } },
      { deadlineMs: monotonicMs() + 300 },
    )
    if (typeof started === 'string') {
      endpoint.suspect()
      // A failure at once must not make a tight loop.
      await new Promise((resolve) => setTimeout(resolve, 50).unref())
      return 'move'
    }
    stream = started
    if (!this.closed) {
      stream.write({
        create_request: { key: Buffer.from(this.options.prefix), range_end: endOfPrefix(this.options.prefix), start_revision: this.next.toString() },
      })
      check = setInterval(() => {
        stream?.write({ progress_request: {} })
        void this.checkMember(endpoint, () => heardMs, stop)
      }, checkMs)
    } else stop('move')
    const end = await ended
    over = true
    clearInterval(check)
    stream.cancel()
    return end
  }

  private async checkMember(endpoint: Endpoint, heardMs: () => number, stop: (end: End) => void): Promise<void> {
    const askedMs = monotonicMs()
    const result = await endpoint.call<IRangeResponse>(
      'KV',
      'range',
      { key: Buffer.from(this.options.prefix), count_only: true },
      { deadlineMs: askedMs + silenceMs },
    )
    if (this.closed || stop !== this.stop) return
    if (result.kind === 'failure' || monotonicMs() - heardMs() > silenceMs) {
      endpoint.suspect()
      return stop('move')
    }
    // Behind what was told here already: another database answers under these addresses.
    if (BigInt(result.value.header.revision) + 1n < this.next) return stop('reset')
    if (heardMs() >= askedMs - checkMs) this.options.listener({ kind: 'contact' })
  }
}

type ChangeEvent = Extract<WatchEvent, { kind: 'change' }>

/** etcd never splits a revision over two responses unless it is asked to (WatchCreateRequest.fragment). */
function byRevision(events: readonly IEvent[]): ChangeEvent[] {
  const changes = new Map<string, { puts: Entry[]; deletes: { key: string; modRevision: bigint }[] }>()
  for (const { type, kv } of events) {
    let change = changes.get(kv.mod_revision)
    if (change === undefined) changes.set(kv.mod_revision, (change = { puts: [], deletes: [] }))
    if (type === 'Delete' || (type as string) === 'DELETE') change.deletes.push({ key: kv.key.toString('utf8'), modRevision: BigInt(kv.mod_revision) })
    else change.puts.push(toEntry(kv))
  }
  return [...changes].map(([revision, change]) => ({ kind: 'change', revision: BigInt(revision), ...change }))
}
