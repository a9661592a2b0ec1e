import type { NodeId } from '../cluster/node.ts'
import type { DecisionRecord } from './decision.ts'
import type { GroupId } from './group.ts'
import type { OwnershipRecord } from './ownership.ts'

/**
 * What `decide` can ask for. Plain values; the supervisor runs at most one per lane and group at a time.
 * The order is a contract: the record is swapped *before* whatever depends on it is done, because `decide` asks for the
 * dependent action only once it sees the new record.
 */
export type Action = RecordAction | InstanceAction | AddressAction | ServiceAction | PromiseAction

export type RecordAction =
  | {
      readonly lane: 'record'
      readonly kind: 'swapRecord'
      readonly group: GroupId
      readonly expected: { readonly revision: bigint }
      readonly next: OwnershipRecord
      /** Present exactly when the owner changes (invariant 6). */
      readonly decision: DecisionRecord | null
      /** Compare also that this node has no session: the evidence of rule `session-expired`. */
      readonly absentSession: NodeId | null
      /** Delete the request in the same transaction. */
      readonly clearRequest: boolean
      readonly why: string
    }
  | {
      readonly lane: 'record'
      readonly kind: 'refuseRequest'
      readonly group: GroupId
      readonly id: string
      readonly requestRevision: bigint
      readonly why: string
    }

export type InstanceAction = { readonly lane: 'instance'; readonly group: GroupId } & (
  | { readonly kind: 'initialize'; readonly epoch: number }
  | { readonly kind: 'startPrimary'; readonly epoch: number; readonly synchronous: readonly NodeId[] }
  | { readonly kind: 'startStandby'; readonly upstream: NodeId }
  | { readonly kind: 'follow'; readonly upstream: NodeId }
  | { readonly kind: 'promote'; readonly epoch: number }
  | { readonly kind: 'setSynchronous'; readonly nodes: readonly NodeId[]; readonly epoch: number }
  | { readonly kind: 'openGate' }
  | { readonly kind: 'quiesce'; readonly target: NodeId }
  | { readonly kind: 'unquiesce' }
  | { readonly kind: 'stop'; readonly mode: 'immediate' | 'fast'; readonly why: string }
  | { readonly kind: 'seed'; readonly upstream: NodeId }
  | { readonly kind: 'rejoin'; readonly upstream: NodeId; readonly epoch: number }
)

export type AddressAction = { readonly lane: 'address'; readonly group: GroupId } & ({ readonly kind: 'claim' } | { readonly kind: 'release' })

export type ServiceAction = { readonly lane: 'service'; readonly group: GroupId } & (
  | { readonly kind: 'serve'; readonly epoch: number }
  /** `politely`: finish the command in progress and say goodbye; `at-once`: close. */
  | { readonly kind: 'drain'; readonly manner: 'politely' | 'at-once' }
)

/** Promise `to` not to take the group over in this epoch before `ms` from now. Binding from the moment it is performed. */
export interface PromiseAction {
  readonly lane: 'promise'
  readonly kind: 'promise'
  readonly group: GroupId
  readonly epoch: number
  readonly to: NodeId
  /** Sequence number of the heartbeat that asked; the owner counts from when it sent it. */
  readonly seq: number
  readonly ms: number
}
