/**
 * The cluster database: what is small and must agree. Keys are text, values are JSON text. Every change has a revision; revisions
 * only grow, so they order everything that ever happened here.
 *
 * Failures are HandoffErrors. Two of them every caller must tell apart:
 * STORE_UNREACHABLE: surely not applied. STORE_OUTCOME_UNKNOWN: it may have been applied, or may yet be.
 */
export interface Entry {
  readonly key: string
  readonly value: string
  /** Revision of the last change of this key: what a compare names. */
  readonly modRevision: bigint
  /** Revision at which the key came into being. */
  readonly createRevision: bigint
  /** The lease that the key dies with. */
  readonly lease?: string
}

export interface Snapshot {
  /** Everything up to this revision is in `entries`; watch from the next one. */
  readonly revision: bigint
  readonly entries: readonly Entry[]
}

export interface Compare {
  readonly key: string
  /** The key's revision as it was read; 0n: the key is absent. */
  readonly modRevision: bigint
}

export interface Put {
  readonly key: string
  readonly value: string
  readonly lease?: string
}

/** The most compares, and the most writes, that one transaction may have: etcd's default (`--max-txn-ops`). */
export const transactionOperationsMax = 128

/** All of it or nothing: applied when every compare holds. A key may be written once. */
export interface Transaction {
  readonly compare: readonly Compare[]
  readonly put: readonly Put[]
  readonly delete: readonly string[]
}

/** `revision`: of the change, or of the store when a compare did not hold. */
export type TransactResult = { readonly ok: true; readonly revision: bigint } | { readonly ok: false; readonly revision: bigint }

export interface Lease {
  readonly id: string
  /** What was granted; a store may round up. */
  readonly ttlMs: number
}

export type WatchEvent =
  /** One revision, whole. In order, none missing, none twice. */
  | {
      readonly kind: 'change'
      readonly revision: bigint
      readonly puts: readonly Entry[]
      readonly deletes: readonly { readonly key: string; readonly modRevision: bigint }[]
    }
  /** Changes were missed that the store no longer has: this is the whole content, to rebuild from. */
  | { readonly kind: 'reset'; readonly revision: bigint; readonly entries: readonly Entry[] }
  /** The store was heard just now and, as far as it knows, nothing had been missed. Comes several times a second while it answers. */
  | { readonly kind: 'contact' }

export interface Watch {
  close(): void
}

export interface Store {
  /** Everything under the prefix, ordered by key. Linearizable: not older than any change acknowledged before the call. */
  read(prefix: string): Promise<Snapshot>
  get(key: string): Promise<Entry | null>
  /** @throws HandoffError STORE_UNREACHABLE, STORE_OUTCOME_UNKNOWN, STORE_LEASE_EXPIRED (a put names a lease that is gone), STORE_REFUSED */
  transact(transaction: Transaction): Promise<TransactResult>
  grant(ttlMs: number): Promise<Lease>
  /** One renewal. A deadline built on it counts from before the call. null: the lease is gone, and its keys with it. */
  keepAlive(lease: string): Promise<{ readonly ttlMs: number } | null>
  /** Ends a lease and deletes its keys; no failure when it is gone already. */
  revoke(lease: string): Promise<void>
  /**
   * Tells every change under the prefix from `fromRevision` on (that revision included), over any number of disconnects, until closed.
   * 0n: begin with a `reset` of the present content. The listener is called in order and must not throw.
   */
  watch(prefix: string, fromRevision: bigint, listener: (event: WatchEvent) => void): Watch
  close(): Promise<void>
}
