import type { PeerReport } from '../cluster/liveness.ts'
import type { NodeConfig, NodeId } from '../cluster/node.ts'
import type { InstanceState } from '../replication/instance.ts'
import type { GroupConfig, GroupId } from './group.ts'
import type { OperatorRequest, OwnershipRecord } from './ownership.ts'

/** Everything that one node knows at one moment. The only input of `decide` besides the time. */
export interface View {
  readonly self: NodeId
  /** Monotonic ms at which this cluster service started: it has forgotten the promises that it gave before. */
  readonly startedAt: number
  readonly wallMs: number
  /** Monotonic ms until which this node's session is certain to last, counted from before its last renewal was sent. Null until the first. */
  readonly sessionDeadline: number | null
  /** Has the cluster database been read since the start, and is the view following it? */
  readonly storeFollowed: boolean
  readonly nodes: ReadonlyMap<NodeId, NodeConfig>
  /** Nodes whose session key is in the cluster database. */
  readonly sessions: ReadonlySet<NodeId>
  readonly peers: ReadonlyMap<NodeId, PeerReport>
  readonly groups: readonly GroupView[]
  readonly timing: Timing
}

/** Intervals in ms; see docs/design/decide.md for the relations between them. */
export interface Timing {
  readonly sessionTtlMs: number
  readonly renewEveryMs: number
  /** How long before its deadline a node begins to take its groups down. */
  readonly stopMarginMs: number
  readonly promiseMs: number
  /** An in-sync copy whose walreceiver is gone for so long is dropped. */
  readonly dropDisconnectedAfterMs: number
  /** An in-sync copy that is connected but does not flush is dropped after so long. */
  readonly dropStalledAfterMs: number
  /** An owner that hears no majority of voters drops a silent copy only after so long: they may be well and taking over, and have the clients. */
  readonly dropWhenAloneAfterMs: number
  /** A dropped copy may come back after so long, so that a flapping link does not flap the record. */
  readonly rejoinSetAfterMs: number
  /** A former owner keeps a virtual address for at most so long after the change, so that clients meet a refusal instead of silence. */
  readonly addressLingerMs: number
  /** A standby that does not stream from a serving owner for so long is rebuilt. */
  readonly rebuildAfterMs: number
}

export const defaultTiming: Timing = {
  sessionTtlMs: 2000,
  renewEveryMs: 500,
  stopMarginMs: 250,
  promiseMs: 1500,
  dropDisconnectedAfterMs: 300,
  dropStalledAfterMs: 1000,
  dropWhenAloneAfterMs: 2000,
  rejoinSetAfterMs: 1000,
  addressLingerMs: 250,
  rebuildAfterMs: 4000,
}

/** The listeners of a server on this node. */
export type ServiceState = { readonly kind: 'absent' } | { readonly kind: 'warm' } | { readonly kind: 'serving'; readonly epoch: number }

export interface Failure {
  readonly action: string
  readonly code: string
  readonly message: string
  readonly at: number
  readonly count: number
}

export interface GroupView {
  readonly config: GroupConfig
  /** Null until the cluster database has been read, or when it has none. */
  readonly record: OwnershipRecord | null
  readonly revision: bigint
  /** Monotonic ms at which this node learnt of the present epoch. */
  readonly epochSeenAt: number
  /** A swap of the record that is under way, or whose outcome is unknown: what the record may be already. */
  readonly pendingRecord: OwnershipRecord | null
  readonly request: OperatorRequest | null
  readonly requestRevision: bigint
  /** Storage groups only; a server has `null`. */
  readonly instance: InstanceState | null
  /** The action that runs on the instance, if any. */
  readonly instanceBusy: string | null
  readonly instanceFailure: Failure | null
  /** Set while the probe of this copy (a real write and read on its volumes) fails. */
  readonly sick: string | null
  /** Servers only. */
  readonly service: ServiceState | null
  readonly addressesHeld: boolean
  /** Has this node served the group in the life of this cluster service? */
  readonly served: boolean
  /** The group was offline or failed, and its instance has not run here as a primary since: it is to start where it was. */
  readonly takenOffline: boolean
  /** Since when an in-sync copy has been without a walreceiver, or without progress (monotonic ms). */
  readonly disconnectedSince: ReadonlyMap<NodeId, number>
  /** When the instance was looked at last (monotonic ms): an instance that does not answer says nothing about its standbys. */
  readonly instanceSeenAt: number
  readonly stalledSince: ReadonlyMap<NodeId, number>
  readonly droppedAt: ReadonlyMap<NodeId, number>
  /** Since when the own standby has not been streaming (monotonic ms), null while it is. */
  readonly notStreamingSince: number | null
  /** This node has promised not to take over in that epoch before that time. */
  readonly promiseGiven: { readonly epoch: number; readonly until: number } | null
  /** Promises of other members for the present epoch: monotonic ms until which each holds. */
  readonly promisesReceived: ReadonlyMap<NodeId, number>
}

export const groupOf = (view: View, group: GroupId): GroupView | undefined => view.groups.find((candidate) => candidate.config.name === group)
