import type { PromiseAction } from './action.ts'
import type { GroupView, View } from './view.ts'

/** An owner's cluster service that its guardian has not heard for so long is not the one that asks. */
const agentGoneMs = 1000

/**
 * Promises that an owner without the cluster database asks for in its heartbeats ("Losing the cluster database stops
 * nothing"). Given only by a member that could take over, for the epoch that it knows, and never while a change of the
 * record is under way here: its outcome may already be that this node owns the group.
 */
export function promises(view: View, group: GroupView): PromiseAction[] {
  const record = group.record
  if (record === null || record.owner === view.self || group.pendingRecord !== null) return []
  if (!record.inSync.includes(view.self)) return []
  const owner = view.peers.get(record.owner)
  const asks = owner?.payload?.asks.some((ask) => ask.group === record.group && ask.epoch === record.epoch) ?? false
  // Without its cluster service an owner's guardian repeats the last question for ever; nobody is served by an answer.
  if (owner === undefined || owner.silent || !asks || owner.agentAgeMs === null || owner.agentAgeMs > agentGoneMs) return []
  return [{ lane: 'promise', kind: 'promise', group: record.group, epoch: record.epoch, to: record.owner, seq: owner.lastSeq, ms: view.timing.promiseMs }]
}
