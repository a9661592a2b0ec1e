import type { HeartbeatPayload, PeerReport } from '../cluster/liveness.ts'
import type { Action } from '../groups/action.ts'
import type { RejoinOutcome, Step } from '../groups/decision.ts'
import type { GroupId } from '../groups/group.ts'
import type { ServiceState } from '../groups/view.ts'
import type { InstanceState } from '../replication/instance.ts'

/**
 * Everything that the supervisor needs from the world. Production (`src/daemons/`) and the simulator (`src/sim/`) implement
 * it; nothing else differs between the two. No call may act back in the same turn: results come through `done` or `input`.
 */
export interface Ports {
  /** Carry out an action. `done` is called exactly once, later; an action of the record lane may report that its outcome is unknown. */
  perform(action: Action, done: (outcome: Outcome) => void): void
  /** Renew this node's session, or begin one; answers within `renewEveryMs`. */
  renewSession(done: (result: { readonly ok: true; readonly ttlMs: number } | { readonly ok: false; readonly why: string }) => void): void
  /** Read one ownership record linearizably; answers with an input of kind `store`, then `done`. */
  readRecord(group: GroupId, done: (ok: boolean) => void): void
  /** Look at the instance; answers with an input of kind `instance`. */
  observe(group: GroupId): void
  /** What the next heartbeats carry. */
  publish(payload: HeartbeatPayload): void
  /** The deadlines that the guardian enforces from now on; the whole set each time. */
  guard(deadlines: readonly GroupDeadline[]): void
  /** Something that an operator may want to know. */
  tell(event: ClusterEvent): void
  /** Complete the decision record of a change of owner; best effort, after the fact. */
  amendDecision(group: GroupId, epoch: number, patch: DecisionPatch): void
}

export interface GroupDeadline {
  readonly group: GroupId
  readonly epoch: number
  /** Monotonic ms; Infinity when nobody else could take the group over. */
  readonly deadline: number
}

export interface DecisionPatch {
  readonly steps?: readonly (Omit<Step, 'atMs'> & { readonly atWallMs: number })[]
  readonly promotedLsn?: string
  readonly rejoin?: RejoinOutcome
}

export interface ClusterEvent {
  readonly level: 'info' | 'warning' | 'error'
  readonly code: string
  readonly group: GroupId | null
  readonly message: string
}

export type Outcome =
  | {
      readonly ok: true
      /** Record lane: the revision of the new record. */
      readonly revision?: bigint
      /** Instance lane: what the instance is now. */
      readonly state?: InstanceState
      readonly service?: ServiceState
      readonly addressesHeld?: boolean
      readonly patch?: DecisionPatch
    }
  | {
      readonly ok: false
      readonly code: string
      readonly message: string
      /** Record lane: it may have happened. The same swap is tried again until the answer is certain. */
      readonly unknown?: boolean
      /** Record lane: a compare did not hold, so this swap will never be carried out any more. */
      readonly compared?: boolean
    }

/** What the world tells the supervisor. Queued, never acted on inside the callback. */
export type Input =
  | {
      readonly kind: 'store'
      /** The whole content: whatever is not in `puts` is gone. */
      readonly reset: boolean
      readonly puts: readonly { readonly key: string; readonly value: string; readonly modRevision: bigint }[]
      readonly deletes: readonly { readonly key: string; readonly modRevision: bigint }[]
    }
  | { readonly kind: 'storeFollowed'; readonly followed: boolean }
  | { readonly kind: 'peers'; readonly reports: readonly PeerReport[] }
  /** `asOf`: monotonic ms at which the look began; a look that began before the last action ended is out of date. `exit`: the process has ended, which is never out of date. */
  | { readonly kind: 'instance'; readonly group: GroupId; readonly state: InstanceState; readonly asOf: number; readonly exit?: boolean }
  | { readonly kind: 'service'; readonly group: GroupId; readonly state: ServiceState }
  | { readonly kind: 'addresses'; readonly group: GroupId; readonly held: boolean }
  | { readonly kind: 'sick'; readonly group: GroupId; readonly why: string | null }
