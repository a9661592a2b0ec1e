/**
 * The content of the embedded store: a pure value with changes. Semantics are etcd's (etcd manual, "KV API guarantees"): one
 * revision for each transaction that writes, history of a bounded number of revisions, keys that die with their lease.
 */
export interface StoredEntry {
  readonly key: string
  readonly value: string
  readonly modRevision: number
  readonly createRevision: number
  readonly lease?: string
}

export interface Change {
  readonly kind: 'change'
  readonly revision: number
  readonly puts: readonly { readonly key: string; readonly value: string; readonly lease?: string }[]
  readonly deletes: readonly string[]
}

/** What the log holds. A file begins with a snapshot. */
export type LogRecord =
  | Change
  | { readonly kind: 'grant'; readonly lease: string; readonly ttlMs: number }
  | { readonly kind: 'revoke'; readonly lease: string }
  | {
      readonly kind: 'snapshot'
      readonly revision: number
      readonly entries: readonly StoredEntry[]
      readonly leases: readonly { readonly lease: string; readonly ttlMs: number }[]
    }

/** One revision as the watchers see it. */
export interface HistoryItem {
  readonly revision: number
  readonly puts: readonly StoredEntry[]
  readonly deletes: readonly string[]
}

export class State {
  revision = 0
  readonly leases = new Map<string, { readonly ttlMs: number; readonly keys: Set<string> }>()
  private readonly entries = new Map<string, StoredEntry>()
  private history: HistoryItem[] = []
  private readonly historyRevisionsMax: number

  constructor(options: { readonly historyRevisionsMax: number }) {
    this.historyRevisionsMax = options.historyRevisionsMax
  }

  get(key: string): StoredEntry | undefined {
    return this.entries.get(key)
  }

  read(prefix: string): StoredEntry[] {
    const found: StoredEntry[] = []
    for (const entry of this.entries.values()) if (entry.key.startsWith(prefix)) found.push(entry)
    return found.sort((left, right) => (left.key < right.key ? -1 : 1))
  }

  /** The changes from a revision on; null when some of them are no longer kept, or the revision is one that this store never had. */
  changesFrom(revision: number): readonly HistoryItem[] | null {
    if (revision > this.revision + 1) return null
    const missing = this.revision - this.history.length
    return revision <= missing ? null : this.history.slice(revision - missing - 1)
  }

  apply(record: LogRecord): void {
    switch (record.kind) {
      case 'change':
        return this.applyChange(record)
      case 'grant':
        this.leases.set(record.lease, { ttlMs: record.ttlMs, keys: new Set() })
        return
      case 'revoke':
        this.leases.delete(record.lease)
        return
      case 'snapshot':
        this.revision = record.revision
        for (const { lease, ttlMs } of record.leases) this.leases.set(lease, { ttlMs, keys: new Set() })
        for (const entry of record.entries) this.put(entry)
        return
    }
  }

  snapshot(): LogRecord {
    return {
      kind: 'snapshot',
      revision: this.revision,
      entries: [...this.entries.values()],
      leases: [...this.leases].map(([lease, { ttlMs }]) => ({ lease, ttlMs })),
    }
  }

  private applyChange(change: Change): void {
    this.revision = change.revision
    for (const key of change.deletes) this.remove(key)
    const puts = change.puts.map(({ key, value, lease }): StoredEntry => {
      const createRevision = this.entries.get(key)?.createRevision ?? change.revision
      return { key, value, modRevision: change.revision, createRevision, ...(lease === undefined ? {} : { lease }) }
    })
    for (const entry of puts) this.put(entry)
    this.history.push({ revision: change.revision, puts, deletes: change.deletes })
    // Dropped in lots, so that a full history does not cost a copy for each change.
    if (this.history.length > this.historyRevisionsMax * 1.25) this.history = this.history.slice(-this.historyRevisionsMax)
  }

  private put(entry: StoredEntry): void {
    this.remove(entry.key)
    this.entries.set(entry.key, entry)
    if (entry.lease !== undefined) this.leases.get(entry.lease)?.keys.add(entry.key)
  }

  private remove(key: string): void {
    const lease = this.entries.get(key)?.lease
    if (lease !== undefined) this.leases.get(lease)?.keys.delete(key)
    this.entries.delete(key)
  }
}
