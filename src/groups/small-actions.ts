import type { NodeId } from '../cluster/node.ts'
import type { Action } from './action.ts'
import type { OwnershipRecord } from './ownership.ts'
import type { GroupView } from './view.ts'

/** Ends the service of a group on this node. `immediate` because a fast shutdown waits for an unreachable standby. */
export function takeDown(group: GroupView, mode: 'immediate' | 'fast', why: string): Action[] {
  const actions: Action[] = []
  if (group.instance !== null && (group.instance.kind === 'primary' || group.instanceBusy === 'startPrimary' || group.instanceBusy === 'promote'))
    actions.push({ lane: 'instance', kind: 'stop', group: group.config.name, mode, why })
  if (group.service?.kind === 'serving')
    actions.push({ lane: 'service', kind: 'drain', group: group.config.name, manner: mode === 'fast' ? 'politely' : 'at-once' })
  if (group.addressesHeld) actions.push({ lane: 'address', kind: 'release', group: group.config.name })
  return actions
}

export function claim(group: GroupView): Action[] {
  return group.addressesHeld || group.config.addresses.length === 0 ? [] : [{ lane: 'address', kind: 'claim', group: group.config.name }]
}

/** A change of the record that leaves the owner as it is. */
export function swap(group: GroupView, next: OwnershipRecord, why: string): Action {
  return {
    lane: 'record',
    kind: 'swapRecord',
    group: next.group,
    expected: { revision: group.revision },
    next,
    decision: null,
    absentSession: null,
    clearRequest: false,
    why,
  }
}

/** The members of the in-sync set besides this node. */
export const others = (record: OwnershipRecord, self: NodeId): NodeId[] => record.inSync.filter((node) => node !== self)
