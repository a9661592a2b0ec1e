import type { NodeId } from '../../cluster/node.ts'
import { StoreKey } from '../../store/keys.ts'
import type { Store } from '../../store/store.ts'

/** This node's session: a key in the cluster database that lives as long as its lease is renewed. */
export class Session {
  private readonly store: Store
  private readonly key: string
  private readonly value: string
  private readonly ttlMs: number
  private lease: string | null = null

  constructor(store: Store, options: { readonly cluster: string; readonly node: NodeId; readonly identity: string; readonly ttlMs: number }) {
    this.store = store
    this.key = StoreKey.session(options.cluster, options.node)
    this.value = JSON.stringify({ node: options.node, identity: options.identity, pid: process.pid })
    this.ttlMs = options.ttlMs
  }

  /** One renewal, or a new session when the last one has run out. The caller counts from before the call. */
  async renew(): Promise<{ ttlMs: number }> {
    if (this.lease !== null) {
      const renewed = await this.store.keepAlive(this.lease)
      if (renewed !== null) return { ttlMs: Math.min(renewed.ttlMs, this.ttlMs) }
      this.lease = null
    }
    const granted = await this.store.grant(this.ttlMs)
    await this.store.transact({ compare: [], put: [{ key: this.key, value: this.value, lease: granted.id }], delete: [] })
    this.lease = granted.id
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
