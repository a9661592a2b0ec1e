import type { NodeId } from '../../cluster/node.ts'
import { HandoffError } from '../../errors.ts'
import { StoreKey } from '../../store/keys.ts'
import type { Store } from '../../store/store.ts'

/**
 * This node's session: a key in the cluster database that lives as long as its lease is renewed. Every change of an ownership
 * record compares it, so that one sent by an earlier life of this cluster service that is carried out late fails.
 */
export class Session {
  private readonly store: Store
  private readonly key: string
  private readonly nodeKey: string
  private readonly identity: string
  private readonly value: string
  private readonly ttlMs: number
  private lease: string | null = null
  private revision = 0n

  constructor(store: Store, options: { readonly cluster: string; readonly node: NodeId; readonly identity: string; readonly ttlMs: number }) {
    this.store = store
    this.key = StoreKey.session(options.cluster, options.node)
    this.nodeKey = StoreKey.node(options.cluster, options.node)
    this.identity = options.identity
    this.value = JSON.stringify({ node: options.node, identity: options.identity, pid: process.pid })
    this.ttlMs = options.ttlMs
  }

  /** What a change of this node compares. A node without a session compares a revision that no key has any more, and changes nothing. */
  get compare(): { readonly key: string; readonly modRevision: bigint } {
    return { key: this.key, modRevision: this.revision }
  }

  /**
   * One renewal, or a new session when the last one has run out. The caller counts from before the call.
   * @throws HandoffError NODE_NAME_TAKEN: the other machine's session is left as it is
   */
  async renew(): Promise<{ ttlMs: number }> {
    if (this.lease !== null) {
      const renewed = await this.store.keepAlive(this.lease)
      if (renewed !== null) return { ttlMs: Math.min(renewed.ttlMs, this.ttlMs) }
      this.lease = null
    }
    // A new session replaces exactly what was read: a late second copy of this request must not replace it again.
    const [found, node] = await Promise.all([this.store.get(this.key), this.store.get(this.nodeKey)])
    // Replaced by a second machine of this name, the session of the first would not let it change anything any more.
    for (const entry of [found, node])
      if (entry !== null && (JSON.parse(entry.value) as { identity: string }).identity !== this.identity)
        throw new HandoffError('NODE_NAME_TAKEN', `this node cannot join under its name: "${entry.key}" in the cluster database is another machine's`)
    const granted = await this.store.grant(this.ttlMs)
    const made = await this.store.transact({
      compare: [{ key: this.key, modRevision: found?.modRevision ?? 0n }],
      put: [{ key: this.key, value: this.value, lease: granted.id }],
      delete: [],
    })
    if (!made.ok) throw new HandoffError('STORE_OUTCOME_UNKNOWN', `the session of this node changed while it was made`)
    this.lease = granted.id
    this.revision = made.revision
    return { ttlMs: Math.min(granted.ttlMs, this.ttlMs) }
  }

  /** Ends the session at once: this node has taken everything down in order. */
  async end(): Promise<void> {
    if (this.lease === null) return
    const lease = this.lease
    this.lease = null
    await this.store.revoke(lease)
  }
}
