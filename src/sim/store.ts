import type { NodeId } from '../cluster/node.ts'
import type { EventQueue } from './event-queue.ts'
import type { Random } from './random.ts'

export interface StoreEvent {
  readonly key: string
  /** Null: deleted. */
  readonly value: string | null
  readonly modRevision: number
}

export interface Compare {
  readonly key: string
  /** 0: the key must not exist. */
  readonly modRevision: number
}

export interface Transaction {
  readonly by: NodeId
  readonly compares: readonly Compare[]
  readonly puts: readonly { readonly key: string; readonly value: string; readonly lease?: number }[]
  readonly deletes: readonly string[]
}

export type Answer<T> = { readonly kind: 'answer'; readonly value: T } | { readonly kind: 'unknown' | 'unsent' }

/** How the world reaches the store from a node at this moment, and how long that takes. */
export interface StorePath {
  /** Both ways: the answer comes back, too. */
  reachable(from: number): boolean
  /** The request gets there. */
  hears(from: number): boolean
}

interface Entry {
  readonly value: string
  readonly modRevision: number
  readonly lease: number
}

interface Lease {
  expiresAt: number
  readonly ttl: number
}

const deafMs = 1500

/**
 * The cluster database: linearizable, with revisions, leases and watches. A call that times out has an unknown outcome: it was
 * lost, or it was applied and the answer was lost, or it is applied later. Leases run by the store's clock.
 */
export class SimStore {
  revision = 1
  /** Outages under way that end by themselves. */
  down = 0
  /** Stopped until somebody starts it. */
  stopped = false
  slow = 0
  readonly entries = new Map<string, Entry>()
  readonly watchers = new Set<(event: StoreEvent) => void>()
  /** Called on each applied transaction, before anybody else learns of it. */
  onCommit: (transaction: Transaction | null, events: readonly StoreEvent[], before: (key: string) => string | undefined) => void = () => undefined
  /** A change that will be carried out late, if at all, has been sent from this node. */
  onDelayed: (from: number) => void = () => undefined
  private readonly leases = new Map<number, Lease>()
  private nextLease = 1
  private readonly answeredAt = new Map<number, number>()
  private readonly queue: EventQueue
  private readonly random: Random
  private readonly path: StorePath

  constructor(queue: EventQueue, random: Random, path: StorePath) {
    this.queue = queue
    this.random = random
    this.path = path
  }

  available(from: number): boolean {
    return this.working && this.path.reachable(from)
  }

  private get working(): boolean {
    return this.down === 0 && !this.stopped
  }

  /** Where only the answers are cut off, what a connection still takes gets there for a while: without acknowledgements its window fills. */
  private takes(from: number): boolean {
    if (this.available(from)) {
      this.answeredAt.set(from, this.queue.now)
      return true
    }
    return this.working && this.path.hears(from) && this.queue.now - (this.answeredAt.get(from) ?? 0) < deafMs && this.random.chance(0.5)
  }

  /** One request and its answer. `apply` runs at the store at one instant. */
  call<T>(from: number, options: { readonly timeoutMs: number; readonly delayedOften?: boolean }, apply: () => T, done: (answer: Answer<T>) => void): void {
    let answered = false
    const finish = (answer: Answer<T>): void => {
      if (answered) return
      answered = true
      done(answer)
    }
    const unsent = !this.available(from) && this.random.chance(0.3)
    this.queue.after(unsent ? this.random.between(5, options.timeoutMs) : options.timeoutMs, () => finish({ kind: unsent ? 'unsent' : 'unknown' }))
    if (unsent) return
    // A request may lie in a buffer through a cut, or for no reason that its sender knows, and be carried out long after it has been given up.
    const stuck = this.random.chance(0.3) ? this.random.between(100, 3000) : 0
    const delayed = this.random.chance(options.delayedOften === true ? 0.1 : 0.01) ? this.random.between(100, 5000) : 0
    if (delayed > 0 && options.delayedOften === true) this.onDelayed(from)
    const attempt = (last: boolean): void => {
      if (!this.takes(from)) {
        if (!last && stuck > 0) this.queue.after(stuck, () => attempt(true))
        return
      }
      const value = apply()
      this.queue.after(this.latency(), () => {
        if (this.path.reachable(from)) finish({ kind: 'answer', value })
      })
    }
    this.queue.after(delayed + this.latency(), () => attempt(false))
  }

  latency(): number {
    const base = 0.5 + 2 * this.random.next() + (this.random.chance(0.01) ? this.random.between(10, 100) : 0)
    return this.slow > 0 ? base + this.random.between(0, this.slow) : base
  }

  /** Null when a compare failed. */
  apply(transaction: Transaction): number | null {
    for (const compare of transaction.compares) if ((this.entries.get(compare.key)?.modRevision ?? 0) !== compare.modRevision) return null
    const events: StoreEvent[] = []
    const revision = ++this.revision
    const before = new Map([...transaction.puts.map((put) => put.key), ...transaction.deletes].map((key) => [key, this.entries.get(key)?.value]))
    for (const put of transaction.puts) {
      this.entries.set(put.key, { value: put.value, modRevision: revision, lease: put.lease ?? 0 })
      events.push({ key: put.key, value: put.value, modRevision: revision })
    }
    for (const key of transaction.deletes) {
      if (!this.entries.delete(key)) continue
      events.push({ key, value: null, modRevision: revision })
    }
    this.publish(transaction, events, (key) => before.get(key))
    return revision
  }

  grantLease(ttl: number): number {
    const lease = this.nextLease++
    this.leases.set(lease, { expiresAt: this.queue.now + ttl, ttl })
    this.expireLater(lease)
    return lease
  }

  keepAlive(lease: number): boolean {
    const found = this.leases.get(lease)
    if (found === undefined) return false
    found.expiresAt = Math.max(found.expiresAt, this.queue.now + found.ttl)
    return true
  }

  leaseOf(key: string): { readonly expiresAt: number } | undefined {
    return this.leases.get(this.entries.get(key)?.lease ?? 0)
  }

  /** A new leader does not know how old a lease is and gives each its whole length again. */
  changeLeader(electionMs: number): void {
    this.down++
    this.queue.after(electionMs, () => {
      this.down--
      for (const lease of this.leases.values()) lease.expiresAt = Math.max(lease.expiresAt, this.queue.now + lease.ttl)
    })
  }

  private expireLater(id: number): void {
    const lease = this.leases.get(id)
    if (lease === undefined) return
    this.queue.at(lease.expiresAt, () => {
      if (lease.expiresAt > this.queue.now) return this.expireLater(id)
      // Without a leader nothing expires.
      if (!this.working) {
        lease.expiresAt = this.queue.now + 20
        return this.expireLater(id)
      }
      this.leases.delete(id)
      const gone = [...this.entries].filter(([, entry]) => entry.lease === id).map(([key]) => key)
      if (gone.length === 0) return
      const revision = ++this.revision
      for (const key of gone) this.entries.delete(key)
      this.publish(
        null,
        gone.map((key) => ({ key, value: null, modRevision: revision })),
        () => undefined,
      )
    })
  }

  private publish(transaction: Transaction | null, events: readonly StoreEvent[], before: (key: string) => string | undefined): void {
    this.onCommit(transaction, events, before)
    for (const event of events) for (const watcher of this.watchers) watcher(event)
  }
}
