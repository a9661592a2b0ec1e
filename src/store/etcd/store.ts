import { randomBytes } from 'node:crypto'
import type { ILeaseGrantResponse, IRangeResponse, ITxnResponse } from 'etcd3/lib/rpc.js'
import { HandoffError } from '../../errors.ts'
import { monotonicMs } from '../../host/clock.ts'
import type { Entry, Lease, Snapshot, Store, Transaction, TransactResult, Watch, WatchEvent } from '../store.ts'
import { type CallResult, Endpoint, grpcStatus } from './endpoint.ts'
import { hedged, type HedgeResult } from './hedge.ts'
import { renewLease } from './lease.ts'
import { type EtcdStoreOptions, readCredentials } from './options.ts'
import { EtcdWatch } from './watch.ts'
import { decodeEntry, encodeValue, endOfPrefix, type MarkedEntry, toEntry } from './wire.ts'

type Service = Parameters<Endpoint['call']>[0]

/** The cluster database in etcd. Every call is bounded, and goes around members that are dead, cut off or frozen. */
export class EtcdStore implements Store {
  private readonly endpoints: readonly Endpoint[]
  private readonly timeoutMs: number
  private readonly keepAliveTimeoutMs: number
  private readonly hedgeMs: number
  private readonly watches = new Set<EtcdWatch>()

  /** @throws HandoffError STORE_CREDENTIALS_UNREADABLE */
  constructor(options: EtcdStoreOptions) {
    const credentials = readCredentials(options)
    this.endpoints = options.endpoints.map((url) => new Endpoint(url, credentials))
    this.timeoutMs = options.timeoutMs ?? 1000
    this.keepAliveTimeoutMs = options.keepAliveTimeoutMs ?? 400
    this.hedgeMs = options.hedgeMs ?? 75
    // All at once, so that a call that goes around a dead member finds the next one connected.
    for (const endpoint of this.endpoints) void endpoint.connect(monotonicMs() + this.timeoutMs)
  }

  async read(prefix: string): Promise<Snapshot> {
    const response = await this.query<IRangeResponse>('KV', 'range', { key: Buffer.from(prefix), range_end: endOfPrefix(prefix) })
    return { revision: BigInt(response.header.revision), entries: response.kvs.map(toEntry) }
  }

  async get(key: string): Promise<Entry | null> {
    const [pair] = (await this.query<IRangeResponse>('KV', 'range', { key: Buffer.from(key) })).kvs
    return pair === undefined ? null : toEntry(pair)
  }

  async transact(transaction: Transaction): Promise<TransactResult> {
    const deadlineMs = monotonicMs() + this.timeoutMs
    const mark = randomBytes(9).toString('base64url')
    const written = new Set([...transaction.put.map((put) => put.key), ...transaction.delete])
    // A key that had a revision never has it again: such a transaction passes its compare once at most, however often it is sent.
    const guard = transaction.compare.find((compare) => compare.modRevision > 0n && written.has(compare.key))
    const result = await this.hedge<ITxnResponse>({
      service: 'KV',
      method: 'txn',
      payload: txnRequest(transaction, mark),
      repeatable: guard !== undefined,
      deadlineMs,
    })
    if (result.kind !== 'answer') throw failure(result, 'a change')
    const { value, doubt } = result
    const revision = BigInt(value.header.revision)
    if (value.succeeded) return { ok: true, revision }
    return doubt && guard !== undefined
      ? this.whichCounted({ key: guard.key, expected: guard.modRevision, mark, revision, deadlineMs })
      : { ok: false, revision }
  }

  async grant(ttlMs: number): Promise<Lease> {
    // Sent twice without harm: a lease that nobody knows of runs out.
    const response = await this.query<ILeaseGrantResponse>('Lease', 'leaseGrant', { TTL: Math.ceil(ttlMs / 1000), ID: 0 })
    return { id: response.ID, ttlMs: Number(response.TTL) * 1000 }
  }

  async keepAlive(lease: string): Promise<{ readonly ttlMs: number } | null> {
    const deadlineMs = monotonicMs() + this.keepAliveTimeoutMs
    const result = await hedged({
      endpoints: this.endpoints,
      deadlineMs,
      hedgeMs: this.hedgeMs,
      repeatable: true,
      attempt: (endpoint, signal, onSent) => renewLease(endpoint, lease, { deadlineMs, connectDeadlineMs: monotonicMs() + this.hedgeMs, signal, onSent }),
    })
    if (result.kind !== 'answer') throw failure({ ...result, kind: 'none', sent: false }, 'the renewal of a lease')
    return result.value.ttlSeconds <= 0 ? null : { ttlMs: result.value.ttlSeconds * 1000 }
  }

  async revoke(lease: string): Promise<void> {
    const result = await this.hedge({
      service: 'Lease',
      method: 'leaseRevoke',
      payload: { ID: lease },
      repeatable: true,
      deadlineMs: monotonicMs() + this.timeoutMs,
    })
    if (result.kind === 'answer' || (result.kind === 'refused' && result.status === grpcStatus.notFound)) return
    throw failure(result, 'the end of a lease')
  }

  watch(prefix: string, fromRevision: bigint, listener: (event: WatchEvent) => void): Watch {
    const watch = new EtcdWatch({ endpoints: this.endpoints, read: () => this.read(prefix), prefix, from: fromRevision, listener })
    this.watches.add(watch)
    return {
      close: () => {
        watch.close()
        this.watches.delete(watch)
      },
    }
  }

  async close(): Promise<void> {
    for (const watch of this.watches) watch.close()
    for (const endpoint of this.endpoints) endpoint.close()
  }

  /**
   * The compare did not hold, and another attempt of the same transaction got no answer. Either that one was carried out, or somebody
   * else changed the key first. The key's history tells: every value bears the mark of its transaction.
   */
  private async whichCounted(question: {
    readonly key: string
    readonly expected: bigint
    readonly mark: string
    readonly revision: bigint
    readonly deadlineMs: number
  }): Promise<TransactResult> {
    let at: bigint | null = null
    for (;;) {
      const entry = await this.entryAt(question.key, at, question.deadlineMs)
      if (entry === 'unknown') break
      if (entry?.mark === question.mark) return { ok: true, revision: entry.modRevision }
      // Absent now: deleted, by whom cannot be told. Unchanged now: another compare failed, and the attempt without an answer may yet pass it.
      if (at === null && (entry === null || entry.modRevision === question.expected)) break
      if (entry === null || entry.modRevision <= question.expected) return { ok: false, revision: question.revision }
      at = entry.modRevision - 1n
    }
    throw new HandoffError('STORE_OUTCOME_UNKNOWN', `etcd did not answer a change of "${question.key}", which may have been made`)
  }

  private async entryAt(key: string, revision: bigint | null, deadlineMs: number): Promise<MarkedEntry | null | 'unknown'> {
    const payload = { key: Buffer.from(key), ...(revision === null ? {} : { revision: revision.toString() }) }
    const result = await this.hedge<IRangeResponse>({ service: 'KV', method: 'range', payload, repeatable: true, deadlineMs })
    if (result.kind !== 'answer') return 'unknown'
    const [pair] = result.value.kvs
    return pair === undefined ? null : decodeEntry(pair)
  }

  private async query<T>(service: Service, method: string, payload: unknown): Promise<T> {
    const result = await this.hedge<T>({ service, method, payload, repeatable: true, deadlineMs: monotonicMs() + this.timeoutMs })
    if (result.kind !== 'answer') throw failure(result.kind === 'none' ? { ...result, sent: false } : result, `"${method}"`)
    return result.value
  }

  private hedge<T>(call: {
    readonly service: Service
    readonly method: string
    readonly payload: unknown
    readonly repeatable: boolean
    readonly deadlineMs: number
  }): Promise<HedgeResult<T>> {
    const { deadlineMs, repeatable } = call
    return hedged({
      endpoints: this.endpoints,
      deadlineMs,
      hedgeMs: this.hedgeMs,
      repeatable,
      attempt: (endpoint, signal, onSent): Promise<CallResult<T>> =>
        endpoint.call(call.service, call.method, call.payload, { deadlineMs, connectDeadlineMs: monotonicMs() + this.hedgeMs, signal, onSent }),
    })
  }
}

function txnRequest(transaction: Transaction, mark: string): unknown {
  return {
    compare: transaction.compare.map(({ key, modRevision }) => ({
      key: Buffer.from(key),
      result: 'Equal',
      target: 'Mod',
      mod_revision: modRevision.toString(),
    })),
    success: [
      ...transaction.put.map(({ key, value, lease }) => ({ request_put: { key: Buffer.from(key), value: encodeValue(value, mark), lease: lease ?? 0 } })),
      ...transaction.delete.map((key) => ({ request_delete_range: { key: Buffer.from(key) } })),
    ],
    failure: [],
  }
}

function failure(result: Exclude<HedgeResult<unknown>, { kind: 'answer' }>, what: string): HandoffError {
  if (result.kind === 'none')
    return result.sent
      ? new HandoffError('STORE_OUTCOME_UNKNOWN', `etcd did not answer ${what}, which may have been made: ${result.why}`)
      : new HandoffError('STORE_UNREACHABLE', `etcd did not answer ${what} in time: ${result.why}`)
  if (result.status === grpcStatus.notFound && result.why.includes('lease'))
    return new HandoffError('STORE_LEASE_EXPIRED', `etcd refused ${what}: ${result.why}`)
  return new HandoffError('STORE_REFUSED', `etcd refused ${what}: ${result.why}`)
}
