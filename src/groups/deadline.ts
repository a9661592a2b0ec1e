import type { NodeId } from '../cluster/node.ts'
import type { GroupView, View } from './view.ts'

/** Members of the in-sync set besides this node that a change under way may have made eligible: everyone who could take over. */
export function otherMembers(view: View, group: GroupView): NodeId[] {
  const members = new Set([...(group.record?.inSync ?? []), ...(group.pendingRecord?.inSync ?? [])])
  members.delete(view.self)
  return [...members]
}

/**
 * Monotonic ms until which this node may serve a group that it owns: the later of its session's deadline and the earliest
 * promise of all other members (invariant 2 and its exception). With no other member nobody can take over, so nothing ends it.
 * Null when this cluster service has never had a session: it then touches nothing, and the guardian holds the deadline that its predecessor left.
 */
export function serveUntil(view: View, group: GroupView): number | null {
  if (view.sessionDeadline === null) return null
  const others = otherMembers(view, group)
  const promised = others.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...others.map((node) => group.promisesReceived.get(node) ?? 0))
  return Math.max(view.sessionDeadline, promised)
}

/**
 * May an owner let another node into the set? Only with a session that lasts: alone it serves without end, and from the
 * moment at which somebody else could take over its deadline counts, which must not have passed already.
 */
export function mayGrow(view: View, now: number): boolean {
  return view.sessionDeadline !== null && view.sessionDeadline - now > 2 * view.timing.stopMarginMs
}

/** Does this node have to ask the other members for promises? It asks as soon as a renewal is late, so that the first promise is there before the session ends. */
export function mustAsk(view: View, now: number): boolean {
  return view.sessionDeadline !== null && view.sessionDeadline - now < view.timing.sessionTtlMs - 1.6 * view.timing.renewEveryMs
}
