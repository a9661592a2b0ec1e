import type { PromiseAction } from './action.ts'
import { mustAsk } from './deadline.ts'
import type { GroupView, View } from './view.ts'

/** An owner's cluster service that its guardian has not heard for so long is not the one that asks. */
const agentGoneMs = 1000

/**
 * Promises that an owner without the cluster database asks for in its heartbeats ("Losing the cluster database stops
 * nothing"). Given only by a member that could take over, for the epoch that it knows, and never while a change of the
 * record is under way here: its outcome may already be that this node owns the group.
 */
export function promises(view: View, group: GroupView, now: number): PromiseAction[] {
  const record = group.record
  if (record === null || record.owner === view.self || group.pendingRecord !== null) return []
  if (!record.inSync.includes(view.self)) return []
  const owner = view.peers.get(record.owner)
  const asks = owner?.payload?.asks.some((ask) => ask.group === record.group && ask.epoch === record.epoch) ?? false
  // Without its cluster service an owner's guardian repeats the last question for ever; nobody is served by an answer.
  if (owner === undefined || owner.silent || !asks || owner.agentAgeMs === null || owner.agentAgeMs > agentGoneMs) return []
  // A promise that cannot arrive helps nobody.
  if (!Object.values(owner.networks).some((network) => network.hearsUs === true)) return []
  // An owner that is down while this node has the cluster database is to be taken over from, not waited for. When nobody has it, the promise lets it start again.
  const serves = owner.payload?.serving.some((entry) => entry.group === record.group && entry.epoch === record.epoch) ?? false
  if (!serves && view.sessionDeadline !== null && view.sessionDeadline > now) return []
  // A server has no data to go on with: cut off from the cluster database by itself, it is of more use where that can be reached.
  if (group.instance === null && view.sessionDeadline !== null && !mustAsk(view, now)) return []
  return [{ lane: 'promise', kind: 'promise', group: record.group, epoch: record.epoch, to: record.owner, seq: owner.lastSeq, ms: view.timing.promiseMs }]
}
