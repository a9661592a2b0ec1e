import type { NodeId } from '../cluster/node.ts'
import type { GroupId } from './group.ts'
import type { Cause, OwnershipRecord } from './ownership.ts'

/**
 * The account of one change of owner (key `decisions/<group>/<epoch>`), written in the same transaction as the change
 * (invariant 6) and completed by the new owner with what followed.
 */
export interface DecisionRecord {
  readonly group: GroupId
  readonly epoch: number
  readonly from: NodeId
  readonly to: NodeId
  readonly cause: Cause
  /** The rule in one sentence, for people. */
  readonly rule: string
  readonly decidedBy: NodeId
  readonly atWallMs: number
  /** What the deciding node knew when the rule fired. */
  readonly evidence: readonly Evidence[]
  /** What the transaction compared. */
  readonly compared: { readonly revision: string; readonly epoch: number; readonly inSync: readonly NodeId[] }
  /** Every possible owner, and why it was chosen or not. */
  readonly candidates: readonly { readonly node: NodeId; readonly verdict: string }[]
  readonly positions: Positions
  readonly request: { readonly by: string; readonly reason: string } | null
  readonly steps: readonly Step[]
  /** What became of the old owner's copy: started, rewound, reseeded, and its divergent tail. Null until it came back. */
  readonly rejoin: RejoinOutcome | null
}

export interface Evidence {
  readonly node: NodeId
  readonly saw: string
  /** How long before the decision this was learnt, in ms. */
  readonly ageMs: number
}

/** The proof about loss: log positions on both sides. */
export interface Positions {
  /** Last position that the old owner was known to have flushed; an upper bound of what it can have acknowledged with this copy in sync is what this copy received. */
  readonly oldOwnerLsn: string | null
  /** What the new owner's copy had flushed when it was chosen. */
  readonly newOwnerReceivedLsn: string | null
  /** Where the new timeline begins; null until promoted. */
  readonly promotedLsn: string | null
  /** Why nothing acknowledged can be missing. */
  readonly argument: string
}

export interface Step {
  readonly step: string
  /** ms after the decision was taken, by the wall clocks of the node that took it and the one that acts. */
  readonly atMs: number
  readonly tookMs: number | null
}

export interface RejoinOutcome {
  readonly node: NodeId
  readonly way: 'started' | 'rewound' | 'reseeded'
  readonly logEndLsn: string | null
  readonly forkLsn: string | null
  readonly divergentBytes: number
  readonly savedTo: string | null
  readonly atWallMs: number
}

/** Does a stored record tell of this change? Used to check that each change of owner has exactly one. */
export const describes = (decision: DecisionRecord, record: OwnershipRecord): boolean =>
  decision.group === record.group && decision.epoch === record.epoch && decision.to === record.owner
