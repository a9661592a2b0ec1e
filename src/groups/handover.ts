import { mayFailOver } from './failover-limit.ts'
import type { NodeId } from '../cluster/node.ts'
import { formatLsn, parseLsn } from '../replication/lsn.ts'
import type { Action } from './action.ts'
import type { DecisionRecord, Evidence } from './decision.ts'
import { lostClients } from './client-network.ts'
import { type Cause, type OperatorRequest, type OwnershipRecord, withOwner } from './ownership.ts'
import { heard } from './silence.ts'
import type { GroupView, View } from './view.ts'

/** How many past failovers a record keeps: enough for any policy that is allowed (threshold at most 100). */
const keepFailovers = 100

export const ruleText: Readonly<Record<Cause, string>> = {
  created: 'the group was created with this owner',
  'majority-silence': 'R1: a majority of voters reported the owner silent on every network for longer than the threshold',
  'session-expired': "R2: the owner's session had run out in the cluster database, so its own deadline had passed",
  'owner-released': "R3: the owner's guardian reported that it had taken the group down",
  'instance-exited': 'the owner saw its instance exit (PostgreSQL, or the mailbox service) and handed over to a healthy in-sync node',
  'is-alive-failed': "the owner's copy failed its probe and it handed over to a healthy in-sync copy",
  'clients-lost': 'the networks on which clients come had left the owner while another in-sync node had them, and it handed over',
  'cold-start': "the owner's instance was not running when its node came up; a healthy in-sync copy was",
  planned: 'an operator asked for the move',
}

/** Why a possible owner cannot be chosen now, or null when it can. */
export function objection(view: View, group: GroupView, record: OwnershipRecord, node: NodeId): string | null {
  if (!group.config.nodes.includes(node)) return 'not a possible owner'
  if (view.nodes.get(node)?.role !== 'data') return 'not a data node'
  if (view.nodes.get(node)?.paused === true) return 'paused'
  if (!record.inSync.includes(node)) return 'not in the in-sync set: it may lack acknowledged commits'
  if (!heard(view, node)) return 'silent'
  if (!view.sessions.has(node)) return 'has no session in the cluster database: it could not begin to serve'
  const report = view.peers.get(node)
  if (node !== view.self && (report === undefined || report.agentAgeMs === null || report.agentAgeMs > 1000)) return 'its cluster service does not answer'
  const copy = report?.payload?.copies.find((candidate) => candidate.group === record.group)
  if (node !== view.self && (copy === undefined || copy.state !== 'standby' || !copy.ready)) return `its copy is ${copy?.state ?? 'unknown'}`
  return null
}

/** The best other in-sync copy: the one with most log, then the preferred. */
export function successor(view: View, group: GroupView, record: OwnershipRecord, among: ReadonlySet<NodeId> | null = null): NodeId | null {
  const able = group.config.nodes.filter((node) => node !== view.self && (among?.has(node) ?? true) && objection(view, group, record, node) === null)
  const received = (node: NodeId): bigint => parseLsn(view.peers.get(node)?.payload?.copies.find((copy) => copy.group === record.group)?.receivedLsn ?? '0/0')
  return able.reduce<NodeId | null>((best, node) => (best === null || received(node) > received(best) ? node : best), null)
}

/** The owner itself writes a healthy in-sync copy into the record. Null when there is none. */
export function handover(view: View, group: GroupView, record: OwnershipRecord, cause: Cause): Action[] | null {
  const saw =
    cause === 'is-alive-failed'
      ? `probe failed: ${group.sick}`
      : group.instance === null
        ? `service ${group.service?.kind ?? 'absent'}`
        : `instance ${group.instance.kind}`
  return handOverTo(view, group, record, cause, { evidence: [{ node: view.self, saw, ageMs: 0 }], among: null })
}

/** An owner whose clients cannot reach it any more hands over to an in-sync node that they can reach. Null when all is well or there is none. */
export function handoverForClients(view: View, group: GroupView, record: OwnershipRecord, now: number): Action[] | null {
  if (!mayFailOver(view, group, record)) return null
  const lost = lostClients(view, group, now)
  return lost === null ? null : handOverTo(view, group, record, 'clients-lost', { evidence: lost.evidence, among: lost.reachable })
}

function handOverTo(
  view: View,
  group: GroupView,
  record: OwnershipRecord,
  cause: Cause,
  how: { readonly evidence: readonly Evidence[]; readonly among: ReadonlySet<NodeId> | null },
): Action[] | null {
  if (group.pendingRecord !== null) return []
  const to = successor(view, group, record, how.among)
  return to === null ? null : [changeOwner(view, group, record, { to, cause, evidence: how.evidence, request: null, absentSession: null })]
}

export interface OwnerChange {
  readonly to: NodeId
  readonly cause: Cause
  readonly evidence: readonly Evidence[]
  readonly request: OperatorRequest | null
  readonly absentSession: NodeId | null
}

/** The swap of a record for another owner, with its decision record. */
export function changeOwner(view: View, group: GroupView, record: OwnershipRecord, change: OwnerChange): Action {
  const next = withOwner(record, { owner: change.to, cause: change.cause, wallMs: view.wallMs, keep: keepFailovers })
  return {
    lane: 'record',
    kind: 'swapRecord',
    group: record.group,
    expected: { revision: group.revision },
    next,
    decision: decisionRecord(view, group, record, next, change),
    absentSession: change.absentSession,
    clearRequest: change.request !== null,
    why: ruleText[change.cause],
  }
}

function decisionRecord(view: View, group: GroupView, record: OwnershipRecord, next: OwnershipRecord, change: OwnerChange): DecisionRecord {
  const lsnOf = (node: NodeId): string | null => {
    if (node === view.self && group.instance?.kind === 'standby') return formatLsn(group.instance.receivedLsn)
    if (node === view.self && group.instance?.kind === 'primary') return formatLsn(group.instance.currentLsn)
    return view.peers.get(node)?.payload?.copies.find((copy) => copy.group === record.group)?.receivedLsn ?? null
  }
  const quiesced = group.instance?.kind === 'primary' ? group.instance.quiesced : null
  return {
    group: record.group,
    epoch: next.epoch,
    from: record.owner,
    to: next.owner,
    cause: change.cause,
    rule: ruleText[change.cause],
    decidedBy: view.self,
    atWallMs: view.wallMs,
    evidence: change.evidence,
    compared: { revision: group.revision.toString(), epoch: record.epoch, inSync: record.inSync },
    candidates: group.config.nodes
      .filter((node) => node !== record.owner)
      .map((node) => ({ node, verdict: node === next.owner ? 'chosen' : (objection(view, group, record, node) ?? 'able, but not the first') })),
    positions:
      group.instance === null
        ? { oldOwnerLsn: null, newOwnerReceivedLsn: null, promotedLsn: null, argument: 'the group has no data of its own' }
        : {
            oldOwnerLsn: quiesced === null ? lsnOf(record.owner) : formatLsn(quiesced.lsn),
            newOwnerReceivedLsn: quiesced === null ? lsnOf(next.owner) : formatLsn(quiesced.lsn),
            promotedLsn: null,
            argument:
              quiesced === null
                ? `${next.owner} was in the in-sync set {${record.inSync.join(', ')}} at revision ${group.revision}, so every commit acknowledged until then had been flushed there; ${record.owner} cannot acknowledge another without it, nor drop it from the set, because this change took that revision`
                : `${record.owner} had stopped writing at ${formatLsn(quiesced.lsn)} and ${next.owner} had flushed that position`,
          },
    request: change.request === null ? null : { by: change.request.by, reason: change.request.reason },
    steps: [],
    rejoin: null,
  }
}
