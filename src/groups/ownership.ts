import type { NodeId } from '../cluster/node.ts'
import type { GroupConfig, GroupId } from './group.ts'

/** Why a group changed its owner, or would have. */
export type Cause =
  | 'created' // first owner of a new group
  | 'majority-silence' // rule R1: a majority of voters had not heard the owner for longer than the threshold
  | 'session-expired' // rule R2: the owner's session had run out in the cluster database
  | 'owner-released' // rule R3: the owner's guardian had taken the group down
  | 'instance-exited' // the owner handed over: its PostgreSQL had exited
  | 'is-alive-failed' // the owner handed over: its probe had failed
  | 'clients-lost' // the owner handed over: its clients' network had left it and another node had it
  | 'cold-start' // the owner handed over: its instance was not running when the node came up, a healthy copy was
  | 'planned' // an operator's request

/** Failovers by fault count against the policy; planned moves and cold starts do not. */
export const countsAsFailover: Readonly<Record<Cause, boolean>> = {
  created: false,
  'majority-silence': true,
  'session-expired': true,
  'owner-released': true,
  'instance-exited': true,
  'is-alive-failed': true,
  'clients-lost': true,
  'cold-start': false,
  planned: false,
}

/**
 * Who owns a group (key `owners/<group>`). Changed only by compare-and-swap on the key's revision; the epoch grows by one
 * with every change of owner (invariant 1).
 */
export interface OwnershipRecord {
  readonly group: GroupId
  readonly owner: NodeId
  readonly epoch: number
  /** Copies that hold every acknowledged commit (storage group), or nodes ready to serve (server). Contains the owner. Nobody else is ever activated automatically. */
  readonly inSync: readonly NodeId[]
  readonly state: 'online' | 'offline' | 'failed'
  /** PostgreSQL's system identifier, null until the first owner has initialised the instance. */
  readonly systemId: string | null
  readonly cause: Cause
  /** Wall-clock ms of the owner change. For people only; no decision but the failover policy's count uses it. */
  readonly sinceWallMs: number
  /** Recent failovers, oldest first, at most as many as the policy can look at. */
  readonly failovers: readonly { readonly atWallMs: number; readonly cause: Cause; readonly from: NodeId }[]
}

/** An operator's request (key `requests/<group>`): names the world it was made in and is refused if that has passed. */
export interface OperatorRequest {
  readonly id: string
  readonly group: GroupId
  readonly kind: 'move'
  readonly to: NodeId
  readonly by: string
  readonly reason: string
  readonly epoch: number
  readonly owner: NodeId
  readonly expiresWallMs: number
}

/** Failovers that still count at a time. */
export function recentFailovers(record: OwnershipRecord, config: GroupConfig, wallMs: number): number {
  return record.failovers.filter((failover) => wallMs - failover.atWallMs < config.failover.periodMs).length
}

/** The record after a change of owner. The caller swaps it in under the revision it has seen. */
export function withOwner(
  record: OwnershipRecord,
  change: { readonly owner: NodeId; readonly cause: Cause; readonly wallMs: number; readonly keep: number },
): OwnershipRecord {
  const failovers = countsAsFailover[change.cause]
    ? [...record.failovers, { atWallMs: change.wallMs, cause: change.cause, from: record.owner }]
    : record.failovers
  return {
    ...record,
    owner: change.owner,
    epoch: record.epoch + 1,
    // The new owner acknowledges alone until a copy has joined again: the others have not followed its timeline yet.
    inSync: [change.owner],
    cause: change.cause,
    sinceWallMs: change.wallMs,
    failovers: failovers.slice(-change.keep),
  }
}
