/** A machine running the cluster service. Branded so that it is never mistaken for a group or an account. */
export type NodeId = string & { readonly __brand: 'NodeId' }
export const nodeId = (text: string): NodeId => text as NodeId

/** `data` may own groups, `witness` votes and listens only, `standby-site` has no vote and never takes over by itself. */
export type NodeRole = 'data' | 'witness' | 'standby-site'

/** What the cluster database holds about a node (key `nodes/<id>`). */
export interface NodeConfig {
  readonly id: NodeId
  readonly role: NodeRole
  /** Random, made at the node's first start and kept in its data directory: two machines with one name are told apart by it. */
  readonly identity: string
  /** Address of this node on each network, by network name. */
  readonly addresses: Readonly<Record<string, string>>
  /** Names of the networks on which clients come (roles `public` and `mixed`). */
  readonly clientNetworks: readonly string[]
  readonly heartbeatPort: number
  /** Where this node's PostgreSQL copies can be reached by other nodes, host part only (the private network's address). */
  readonly replicationHost: string
  /** A paused node keeps what it owns and its copies, but takes nothing over. */
  readonly paused: boolean
}

/** Does this role count for a majority? */
export const votes = (role: NodeRole): boolean => role === 'data' || role === 'witness'
