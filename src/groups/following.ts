import type { InstanceState } from '../replication/instance.ts'
import type { Action } from './action.ts'
import type { OwnershipRecord } from './ownership.ts'
import { takeDown } from './small-actions.ts'
import { heard } from './silence.ts'
import { takeover } from './takeover.ts'
import type { GroupView, View } from './view.ts'

/** What a possible owner does that does not own the group: give up what is left of an older ownership, keep a healthy copy, take over when a rule says so. */
export function following(view: View, group: GroupView, record: OwnershipRecord, now: number): Action[] {
  const actions = [...giveUp(view, group, record, now), ...takeover(view, group, record, now)]
  if (group.instance !== null) actions.push(...keepCopy(view, group, record, group.instance, now))
  return actions
}

/** The address stays for a moment, so that clients meet a refusal at once and not silence while the new owner announces it. */
function giveUp(view: View, group: GroupView, record: OwnershipRecord, now: number): Action[] {
  const actions: Action[] = []
  if (group.service?.kind === 'serving') actions.push(...takeDown({ ...group, addressesHeld: false }, 'immediate', 'another node owns the group'))
  const lingers = !ownerServes(view, record) && now - group.epochSeenAt < view.timing.addressLingerMs
  if (group.addressesHeld && !lingers) actions.push({ lane: 'address', kind: 'release', group: record.group })
  return actions
}

/** Does the owner say, in a fresh heartbeat, that it serves the group in this epoch? */
export function ownerServes(view: View, record: OwnershipRecord): boolean {
  const owner = view.peers.get(record.owner)
  return owner !== undefined && !owner.silent && (owner.payload?.serving.some((entry) => entry.group === record.group && entry.epoch === record.epoch) ?? false)
}

function keepCopy(view: View, group: GroupView, record: OwnershipRecord, instance: InstanceState, now: number): Action[] {
  const name = record.group
  const upstream = record.owner
  switch (instance.kind) {
    case 'unknown':
      return []
    case 'absent':
      return ownerServes(view, record) && record.systemId !== null ? [{ lane: 'instance', kind: 'seed', group: name, upstream }] : []
    case 'stopped':
      // What ran as a primary may have a log of its own; it waits for the rightful active copy and is compared with it.
      if (instance.wasPrimary || instance.failure !== undefined)
        return ownerServes(view, record) ? [{ lane: 'instance', kind: 'rejoin', group: name, upstream, epoch: record.epoch }] : []
      return [{ lane: 'instance', kind: 'startStandby', group: name, upstream }]
    case 'standby':
      if (instance.upstream !== upstream && heard(view, upstream)) return [{ lane: 'instance', kind: 'follow', group: name, upstream }]
      if (
        group.notStreamingSince !== null &&
        now - group.notStreamingSince >= view.timing.rebuildAfterMs &&
        ownerServes(view, record) &&
        !record.inSync.includes(view.self)
      )
        return [{ lane: 'instance', kind: 'rejoin', group: name, upstream, epoch: record.epoch }]
      return []
    case 'primary':
      return [{ lane: 'instance', kind: 'stop', group: name, mode: 'immediate', why: `${record.owner} owns the group since epoch ${record.epoch}` }]
  }
}
