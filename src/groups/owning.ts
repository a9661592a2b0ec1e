import { mayFailOver } from './failover-limit.ts'
import type { NodeId } from '../cluster/node.ts'
import type { InstanceState } from '../replication/instance.ts'
import type { Action } from './action.ts'
import { serveUntil } from './deadline.ts'
import { handover, handoverForClients } from './handover.ts'
import { tendReadySet, tendSynchronousSet } from './in-sync.ts'
import type { OwnershipRecord } from './ownership.ts'
import { planned } from './planned.ts'
import { claim, others, swap, takeDown } from './small-actions.ts'
import type { GroupView, View } from './view.ts'

/** What the owner of a group does. The deadline comes first: everything else supposes that this node may serve. */
export function owning(view: View, group: GroupView, record: OwnershipRecord, now: number): Action[] {
  const until = serveUntil(view, group)
  if (until === null) return []
  if (now >= until - view.timing.stopMarginMs) return takeDown(group, 'immediate', 'the deadline of this node is about to pass')
  if (record.state !== 'online') return takeDown(group, 'fast', `the group is ${record.state}`)
  return group.instance === null ? owningServer(view, group, record, now) : owningCopy(view, group, record, group.instance, now)
}

function owningServer(view: View, group: GroupView, record: OwnershipRecord, now: number): Action[] {
  const move = planned(view, group, record) ?? handoverForClients(view, group, record, now) ?? serverElsewhere(view, group, record)
  if (move !== null) return move
  const actions: Action[] = [...claim(group), ...tendReadySet(view, group, record, now)]
  const service = group.service
  if (service?.kind === 'warm' || (service?.kind === 'serving' && service.epoch !== record.epoch))
    actions.push({ lane: 'service', kind: 'serve', group: record.group, epoch: record.epoch })
  return actions
}

/** A service that ended takes longer to start than another node's warm one takes to open its listeners. In quick succession it is started in place. */
function serverElsewhere(view: View, group: GroupView, record: OwnershipRecord): Action[] | null {
  if (group.service?.kind !== 'absent' || !group.served) return null
  return mayFailOver(view, group, record) ? handover(view, group, record, 'instance-exited') : null
}

function owningCopy(view: View, group: GroupView, record: OwnershipRecord, instance: InstanceState, now: number): Action[] {
  switch (instance.kind) {
    case 'unknown':
      return []
    case 'absent':
      // Only a group that was never initialised may be made from nothing: an empty directory of a group with data is a lost copy.
      if (record.systemId === null) return [{ lane: 'instance', kind: 'initialize', group: record.group, epoch: record.epoch }]
      return handOverUnlessTooOften(view, group, record)
    case 'stopped':
      return restartOrHandOver(view, group, record, instance)
    case 'standby':
      return [...claim(group), { lane: 'instance', kind: 'promote', group: record.group, epoch: record.epoch }]
    case 'primary':
      // Elected while an older epoch's primary still runs here: impossible while every member of inSync is a standby. Serve nothing.
      if (instance.epoch !== record.epoch) return takeDown(group, 'immediate', `runs with epoch ${instance.epoch}, the record has ${record.epoch}`)
      return servingCopy(view, group, record, instance, now)
  }
}

/** A crashed active copy is not waited for: a healthy in-sync copy takes over at once; a restart in place is for when there is none. */
function restartOrHandOver(view: View, group: GroupView, record: OwnershipRecord, instance: Extract<InstanceState, { kind: 'stopped' }>): Action[] {
  // Brought online by an operator, it starts where it was; the other copy takes over only when that fails.
  const here = group.takenOffline && instance.wasPrimary && group.instanceFailure?.action !== 'startPrimary'
  const over = here ? [] : handOverUnlessTooOften(view, group, record)
  if (over.length > 0 || group.pendingRecord !== null) return over
  if (!instance.wasPrimary) return [{ lane: 'instance', kind: 'startStandby', group: record.group, upstream: view.self }]
  return [...claim(group), { lane: 'instance', kind: 'startPrimary', group: record.group, epoch: record.epoch, synchronous: others(record, view.self) }]
}

/** Empty when no other copy can take the group now, or a change is under way. */
function handOverUnlessTooOften(view: View, group: GroupView, record: OwnershipRecord): Action[] {
  if (group.pendingRecord !== null) return []
  const cause = group.served ? 'instance-exited' : 'cold-start'
  if (group.served && !mayFailOver(view, group, record)) return fail(group, record, cause)
  return handover(view, group, record, cause) ?? []
}

function servingCopy(view: View, group: GroupView, record: OwnershipRecord, instance: Extract<InstanceState, { kind: 'primary' }>, now: number): Action[] {
  if (record.systemId === null) return [swap(group, { ...record, systemId: instance.systemId }, 'the instance is initialised')]
  if (group.sick !== null) {
    const over = mayFailOver(view, group, record) ? handover(view, group, record, 'is-alive-failed') : null
    if (over !== null) return over
  }
  const elsewhere = handoverForClients(view, group, record, now)
  if (elsewhere !== null) return elsewhere
  const move = planned(view, group, record)
  if (move !== null) return [...claim(group), ...move]
  if (instance.quiesced !== null) return [{ lane: 'instance', kind: 'unquiesce', group: record.group }]
  return [...claim(group), ...tendSynchronousSet(view, group, record, instance, now), ...gate(record, instance, view.self)]
}

/**
 * Opens the gate once every commit waits for every in-sync copy and, after a restart, once each of them has the log tail that
 * was found: before, a commit might be visible here that nobody else has (DESIGN.md, "What acknowledged means").
 */
function gate(record: OwnershipRecord, instance: Extract<InstanceState, { kind: 'primary' }>, self: NodeId): Action[] {
  if (instance.gate === 'open') return []
  const waitsForAll = others(record, self).every((node) => instance.synchronous.includes(node))
  const tail = instance.tailLsn
  const tailConfirmed =
    tail === null || others(record, self).every((node) => instance.standbys.some((standby) => standby.node === node && standby.flushLsn >= tail))
  return waitsForAll && tailConfirmed ? [{ lane: 'instance', kind: 'openGate', group: record.group }] : []
}

function fail(group: GroupView, record: OwnershipRecord, cause: string): Action[] {
  return [
    swap(
      group,
      { ...record, state: 'failed' },
      `${cause}: more than ${group.config.failover.threshold} failovers within the period; left failed on ${record.owner}`,
    ),
  ]
}
