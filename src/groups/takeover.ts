import { mayFailOver } from './failover-limit.ts'
import { parseLsn } from '../replication/lsn.ts'
import type { Action } from './action.ts'
import type { Evidence } from './decision.ts'
import { changeOwner, objection } from './handover.ts'
import type { Cause, OwnershipRecord } from './ownership.ts'
import { promises } from './promise.ts'
import { silenceOf } from './silence.ts'
import type { GroupView, View } from './view.ts'

/**
 * Takes a group over from an owner that is gone. Safe without waiting for the owner's deadline because the swap of the record
 * is what fences it: its synchronous peer is this copy, and it cannot drop this copy from `inSync` any more.
 */
export function takeover(view: View, group: GroupView, record: OwnershipRecord, now: number): Action[] {
  if (record.state !== 'online' || !eligible(view, group, record, now)) return []
  const rule = firedRule(view, record)
  if (rule === null) return []
  if (!mayFailOver(view, group, record)) return [parked(group, record, rule.cause)]
  return [
    changeOwner(view, group, record, {
      to: view.self,
      cause: rule.cause,
      evidence: rule.evidence,
      request: null,
      absentSession: rule.cause === 'session-expired' ? record.owner : null,
    }),
  ]
}

/** May this node take the group at all? */
function eligible(view: View, group: GroupView, record: OwnershipRecord, now: number): boolean {
  if (!view.storeFollowed || objection(view, group, record, view.self) !== null || group.sick !== null) return false
  // Promises given before a restart of the cluster service are forgotten, so the longest of them is waited for.
  if (now - view.startedAt < view.timing.promiseMs) return false
  if (group.promiseGiven !== null && group.promiseGiven.epoch === record.epoch && now < group.promiseGiven.until) return false
  // An owner that asks is answered with a promise in this very pass.
  if (promises(view, group, now).length > 0) return false
  // An owner without a session cannot promote: it would have to stop again at once.
  if (view.sessionDeadline === null || view.sessionDeadline - now <= view.timing.stopMarginMs) return false
  if (group.instance !== null)
    return group.instance.kind === 'standby' && (group.instanceBusy === null || group.instanceBusy === 'follow') && isFirst(view, group, record)
  return group.service !== null && group.service.kind !== 'absent' && isFirst(view, group, record)
}

/** Among several able copies the one with most log goes first, then the preferred; the others leave it the way while it is heard. */
function isFirst(view: View, group: GroupView, record: OwnershipRecord): boolean {
  const received = (node: string): bigint => {
    if (node === view.self) return group.instance?.kind === 'standby' ? group.instance.receivedLsn : 0n
    return parseLsn(view.peers.get(node as never)?.payload?.copies.find((copy) => copy.group === record.group)?.receivedLsn ?? '0/0')
  }
  const able = group.config.nodes.filter((node) => node !== record.owner && objection(view, group, record, node) === null)
  const best = able.reduce((first, node) => (received(node) > received(first) ? node : first), able[0] ?? view.self)
  return best === view.self
}

interface FiredRule {
  readonly cause: Cause
  readonly evidence: readonly Evidence[]
}

function firedRule(view: View, record: OwnershipRecord): FiredRule | null {
  const owner = view.peers.get(record.owner)
  const silence = silenceOf(view, record.owner)
  if (silence.majority) return { cause: 'majority-silence', evidence: silence.evidence }
  if (owner?.released.some((entry) => entry.group === record.group && entry.epoch === record.epoch))
    return {
      cause: 'owner-released',
      evidence: [{ node: record.owner, saw: `guardian took ${record.group} down in epoch ${record.epoch}`, ageMs: Math.round(owner.silentForMs) }],
    }
  if (!view.sessions.has(record.owner))
    return {
      cause: 'session-expired',
      evidence: [{ node: view.self, saw: `no session of ${record.owner} in the cluster database`, ageMs: 0 }, ...silence.evidence],
    }
  return null
}

function parked(group: GroupView, record: OwnershipRecord, cause: Cause): Action {
  return {
    lane: 'record',
    kind: 'swapRecord',
    group: record.group,
    expected: { revision: group.revision },
    next: { ...record, state: 'failed' },
    decision: null,
    absentSession: null,
    clearRequest: false,
    why: `${cause}: more than ${group.config.failover.threshold} failovers within ${group.config.failover.periodMs} ms; left failed on ${record.owner}`,
  }
}
