import type { NodeId } from '../cluster/node.ts'

/** A unit of failover: what moves together. Branded so that it is never mistaken for a node or an account. */
export type GroupId = string & { readonly __brand: 'GroupId' }
export const groupId = (text: string): GroupId => text as GroupId

/** How often a group may fail over by itself before it is left `failed` on the last node (invariant 5). */
export interface FailoverPolicy {
  /** Number of failovers allowed within the period. */
  readonly threshold: number
  readonly periodMs: number
}

/** Windows Server 2003's numbers; a failover without loss is cheap, so the smaller count of 2008 would park a group too early. */
export const defaultFailoverPolicy: FailoverPolicy = { threshold: 10, periodMs: 6 * 3600 * 1000 }

/** What the cluster database holds about a group (key `groups/<name>`). */
export interface GroupConfig {
  readonly name: GroupId
  /** `storage-group`: one replicated PostgreSQL instance. `server`: a clustered mailbox server (listeners), which has no data of its own. */
  readonly kind: 'storage-group' | 'server'
  /** Possible owners, the preferred first. */
  readonly nodes: readonly NodeId[]
  /** Virtual addresses that move with the group. */
  readonly addresses: readonly string[]
  /** For a server: the mailbox databases that it serves. */
  readonly databases: readonly string[]
  /** For a server: the DNS name of its virtual address, which clients are told. */
  readonly hostName?: string
  /** For a server: the ports of its listeners. */
  readonly ports: Readonly<Record<string, number>>
  readonly failover: FailoverPolicy
}
