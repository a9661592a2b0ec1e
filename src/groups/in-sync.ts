import type { NodeId } from '../cluster/node.ts'
import type { InstanceState } from '../replication/instance.ts'
import type { Action } from './action.ts'
import { mayGrow } from './deadline.ts'
import { others, swap } from './small-actions.ts'
import type { OwnershipRecord } from './ownership.ts'
import { heard, othersMayDecide } from './silence.ts'
import type { GroupView, View } from './view.ts'

type Primary = Extract<InstanceState, { kind: 'primary' }>

/** A copy further behind than this is not yet waited for: every commit would have to wait until it has caught up. */
const joinWithinBytes = 1024n * 1024n

/**
 * Keeps the in-sync set and PostgreSQL's synchronous set together (invariant 3).
 * Leaving: the record first, then the setting, so that nothing is acknowledged without a copy that could still be activated.
 * Joining: the setting first, in force and caught up with, then the record.
 */
export function tendSynchronousSet(view: View, group: GroupView, record: OwnershipRecord, instance: Primary, now: number): Action[] {
  if (group.pendingRecord !== null) return []
  const members = others(record, view.self)
  const leaving = members.flatMap((node) => {
    const why = dropReason(view, group, node)
    return why === null ? [] : [{ node, why }]
  })
  if (leaving.length > 0) {
    const gone = leaving.map((entry) => entry.node)
    const next = { ...record, inSync: record.inSync.filter((node) => !gone.includes(node)) }
    return [swap(group, next, `in-sync copies dropped: ${leaving.map((entry) => `${entry.node} (${entry.why})`).join(', ')}`)]
  }
  const joiner = mayGrow(view, now) ? joining(view, group, record, instance, now) : null
  const wanted = joiner === null ? members : [...members, joiner]
  const settled = sameSet(instance.synchronous, wanted) && sameSet(instance.configured ?? wanted, wanted)
  if (!settled) return [{ lane: 'instance', kind: 'setSynchronous', group: record.group, nodes: wanted, epoch: record.epoch }]
  // A change of the set that is under way may be one that takes the joiner out again.
  if (joiner === null || group.instanceBusy !== null) return []
  const progress = instance.standbys.find((standby) => standby.node === joiner)
  if (progress === undefined || progress.flushLsn < instance.synchronousSince) return []
  return [swap(group, { ...record, inSync: [...record.inSync, joiner] }, `${joiner} has caught up and every commit waits for it`)]
}

/** A server has no data: its set are the nodes that are there and have the service warm, so that they could take it. */
export function tendReadySet(view: View, group: GroupView, record: OwnershipRecord, now: number): Action[] {
  if (group.pendingRecord !== null) return []
  const ready = group.config.nodes.filter((node) => {
    if (node === view.self) return true
    if (!record.inSync.includes(node) && !mayGrow(view, now)) return false
    const copy = view.peers.get(node)?.payload?.copies.find((candidate) => candidate.group === record.group)
    // A node that is heard but whose cluster service is away for a moment keeps its place: it cannot take over, nor can it be hurt.
    if (!heard(view, node)) return record.inSync.includes(node) && waitsAlone(view, node)
    return copy === undefined ? record.inSync.includes(node) : copy.ready
  })
  return sameSet(ready, record.inSync) ? [] : [swap(group, { ...record, inSync: ready }, `nodes ready to serve: ${ready.join(', ')}`)]
}

/** Why an in-sync copy must leave the set before anything more can be acknowledged, or null. */
function dropReason(view: View, group: GroupView, node: NodeId): string | null {
  if (!heard(view, node)) return waitsAlone(view, node) ? null : 'silent'
  const copy = view.peers.get(node)?.payload?.copies.find((candidate) => candidate.group === group.config.name)
  if (copy !== undefined && copy.state !== 'standby' && copy.epochSeen === group.record?.epoch) return `its copy is ${copy.state}`
  const disconnectedMs = group.instanceSeenAt - (group.disconnectedSince.get(node) ?? group.instanceSeenAt)
  if (disconnectedMs >= view.timing.dropDisconnectedAfterMs) return `not streaming for ${Math.round(disconnectedMs)} ms`
  const stalledMs = group.instanceSeenAt - (group.stalledSince.get(node) ?? group.instanceSeenAt)
  if (stalledMs >= view.timing.dropStalledAfterMs) return `has not flushed for ${Math.round(stalledMs)} ms`
  return null
}

/**
 * A silent node keeps its place for a while when a majority of voters may be with it: they have the clients then, and it is to
 * take over. A change that drops it could still get out where only the way in is cut.
 */
const waitsAlone = (view: View, node: NodeId): boolean => othersMayDecide(view) && (view.peers.get(node)?.silentForMs ?? 0) < view.timing.dropWhenAloneAfterMs

/** The next copy to wait for: streaming from here, nearly caught up, and not dropped a moment ago. One at a time. */
function joining(view: View, group: GroupView, record: OwnershipRecord, instance: Primary, now: number): NodeId | null {
  if (group.request !== null) return null
  const able = group.config.nodes.filter((node) => {
    if (record.inSync.includes(node) || view.nodes.get(node)?.role !== 'data' || !heard(view, node)) return false
    if (now - (group.droppedAt.get(node) ?? Number.NEGATIVE_INFINITY) < view.timing.rejoinSetAfterMs) return false
    if (group.stalledSince.has(node) || group.disconnectedSince.has(node)) return false
    const copy = view.peers.get(node)?.payload?.copies.find((candidate) => candidate.group === record.group)
    if (copy === undefined || copy.state !== 'standby' || copy.upstream !== view.self || copy.epochSeen !== record.epoch) return false
    const progress = instance.standbys.find((standby) => standby.node === node)
    return progress?.streaming === true && instance.currentLsn - progress.flushLsn <= joinWithinBytes
  })
  return able.find((node) => instance.synchronous.includes(node)) ?? able[0] ?? null
}

const sameSet = (left: readonly NodeId[], right: readonly NodeId[]): boolean => left.length === right.length && left.every((node) => right.includes(node))
