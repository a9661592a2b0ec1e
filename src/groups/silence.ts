import { type NodeId, votes } from '../cluster/node.ts'
import type { Evidence } from './decision.ts'
import type { View } from './view.ts'

/** A judgement that is older than this says nothing about now. */
const judgementFreshMs = 400

export interface Silence {
  readonly majority: boolean
  readonly voters: number
  readonly agreeing: readonly NodeId[]
  readonly evidence: readonly Evidence[]
}

/**
 * Do a majority of voters, this node included, report `owner` silent on every network?
 * Voters that are themselves silent count against: their last word is old. The owner counts as a voter that disagrees.
 */
export function silenceOf(view: View, owner: NodeId): Silence {
  const voters = [...view.nodes.values()].filter((node) => votes(node.role))
  const own = view.peers.get(owner)
  const agreeing: NodeId[] = []
  const evidence: Evidence[] = []
  const selfVotes = voters.some((node) => node.id === view.self)
  if (own?.silent === true) {
    if (selfVotes) agreeing.push(view.self)
    evidence.push({ node: view.self, saw: `${owner} silent on every network for ${Math.round(own.silentForMs)} ms`, ageMs: 0 })
  }
  for (const voter of voters) {
    if (voter.id === owner || voter.id === view.self) continue
    const report = view.peers.get(voter.id)
    if (report === undefined || report.silent) {
      evidence.push({ node: voter.id, saw: 'not heard itself', ageMs: Math.round(report?.silentForMs ?? 0) })
      continue
    }
    const saysSilent = report.itsSilent.includes(owner) && report.itsJudgementAgeMs <= judgementFreshMs
    if (saysSilent) agreeing.push(voter.id)
    evidence.push({ node: voter.id, saw: saysSilent ? `${owner} silent` : `${owner} heard`, ageMs: Math.round(report.itsJudgementAgeMs) })
  }
  return { majority: own?.silent === true && selfVotes && agreeing.length * 2 > voters.length, voters: voters.length, agreeing, evidence }
}

/** A voter not heard for so long may be about to be silent, too: a cut is noticed for one peer a little before the others. */
const surelyHeardMs = 250

/** Are so many voters unheard here that they may be a majority among themselves, which takes over from this node that they do not hear? */
export function othersMayDecide(view: View): boolean {
  const voters = [...view.nodes.values()].filter((node) => votes(node.role))
  const unheard = voters.filter((voter) => voter.id !== view.self && (view.peers.get(voter.id)?.silentForMs ?? Number.POSITIVE_INFINITY) > surelyHeardMs)
  return unheard.length * 2 > voters.length
}

/** Is a peer there: heard on some network? This node itself always is. */
export const heard = (view: View, node: NodeId): boolean => node === view.self || view.peers.get(node)?.silent === false
