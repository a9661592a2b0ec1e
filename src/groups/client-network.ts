import type { NodeId } from '../cluster/node.ts'
import type { Evidence } from './decision.ts'
import type { GroupView, View } from './view.ts'

/** An observation of a third node that is older than this says nothing about now. */
const heardLatelyMs = 1000
/** So long after its start a cluster service cannot tell a dead network from one on which nobody has been heard yet. */
const settlingMs = 3000

/**
 * Have the networks on which clients come left this owner, while the others have them? Null when not, or when nothing can be said:
 * a node that hears nobody at all is judged by the others (R1), and a switch that is dead for all is no reason to move.
 * The answer says who has been seen to have a client network by a third node.
 */
export function lostClients(
  view: View,
  group: GroupView,
  now: number,
): { readonly evidence: readonly Evidence[]; readonly reachable: ReadonlySet<NodeId> } | null {
  const networks = view.nodes.get(view.self)?.clientNetworks ?? []
  if (group.config.addresses.length === 0 || networks.length === 0 || now - view.startedAt < settlingMs) return null
  const peers = [...view.peers.values()]
  if (!peers.some((peer) => !peer.silent)) return null
  if (peers.some((peer) => networks.some((name) => peer.networks[name]?.state === 'up' && peer.networks[name]?.hearsUs === true))) return null
  const reachable = new Map<NodeId, NodeId>()
  for (const peer of peers) {
    const third = peers.find((other) => other.node !== peer.node && hearsOnClientNetwork(view, peer.node, other.node))
    if (third !== undefined) reachable.set(peer.node, third.node)
  }
  if (reachable.size === 0) return null
  return {
    evidence: [
      { node: view.self, saw: `heard by nobody on ${networks.join(', ')}`, ageMs: 0 },
      ...[...reachable].map(([node, third]) => ({ node, saw: `hears ${third} there`, ageMs: Math.round(view.peers.get(node)?.itsJudgementAgeMs ?? 0) })),
    ],
    reachable: new Set(reachable.keys()),
  }
}

function hearsOnClientNetwork(view: View, node: NodeId, third: NodeId): boolean {
  const peer = view.peers.get(node)
  if (peer === undefined || peer.silent) return false
  return (view.nodes.get(node)?.clientNetworks ?? []).some(
    (name) => (peer.itsHeardMs[third]?.[name] ?? Number.POSITIVE_INFINITY) + peer.itsJudgementAgeMs <= heardLatelyMs,
  )
}
