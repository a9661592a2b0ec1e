import type { HeartbeatPayload } from '../cluster/liveness.ts'
import { formatLsn } from '../replication/lsn.ts'
import type { Action } from './action.ts'
import { mustAsk } from './deadline.ts'
import { following } from './following.ts'
import { owning } from './owning.ts'
import { promises } from './promise.ts'
import type { GroupView, View } from './view.ts'

/**
 * What this node should do now. Pure and total: no clock, no chance, no I/O; called again after every observation, so an
 * answer may be repeated until what it asks for can be observed.
 * docs/design/decide.md has the states, the rules and what enforces each invariant.
 */
export function decide(view: View, now: number): Action[] {
  if (!view.storeFollowed && view.sessionDeadline === null) return []
  return view.groups.flatMap((group) => [...promises(view, group, now), ...decideGroup(view, group, now)])
}

function decideGroup(view: View, group: GroupView, now: number): Action[] {
  if (group.record === null || !group.config.nodes.includes(view.self)) return []
  return group.record.owner === view.self ? owning(view, group, group.record, now) : following(view, group, group.record, now)
}

/** What the next heartbeats say about this node's groups, besides the promises, which the supervisor adds as it gives them. */
export function heartbeatPayload(view: View, now: number): Omit<HeartbeatPayload, 'promises'> {
  const groups = view.groups.filter((group) => group.record !== null && group.config.nodes.includes(view.self))
  return {
    // Nothing is said of a copy that has not been looked at yet, so that a restart of this cluster service does not look like a loss.
    copies: groups.filter((group) => group.instance?.kind !== 'unknown').map((group) => copyReport(group)),
    asks: mustAsk(view, now)
      ? groups.flatMap((group) =>
          group.record?.owner === view.self && canAcknowledge(view, group, now) ? [{ group: group.config.name, epoch: group.record.epoch }] : [],
        )
      : [],
    serving: groups.flatMap((group) => (group.record !== null && isServing(view, group) ? [{ group: group.config.name, epoch: group.record.epoch }] : [])),
  }
}

/**
 * Can this owner still acknowledge writes? Cut off from the cluster database *and* from the log of an in-sync copy it cannot: it may not
 * drop the copy. It then asks for no promises, so that its deadline passes and the copy may take over, instead of both waiting for ever.
 */
function canAcknowledge(view: View, group: GroupView, now: number): boolean {
  return (group.record?.inSync ?? []).every((node) => {
    const stalled = Math.min(group.stalledSince.get(node) ?? now, group.disconnectedSince.get(node) ?? now)
    return node === view.self || now - stalled < view.timing.dropStalledAfterMs
  })
}

/** Is this node the owner, and is the group's service up here in the record's epoch? */
export function isServing(view: View, group: GroupView): boolean {
  if (group.record?.owner !== view.self) return false
  if (group.instance !== null) return group.instance.kind === 'primary' && group.instance.epoch === group.record.epoch
  return group.service?.kind === 'serving'
}

function copyReport(group: GroupView): HeartbeatPayload['copies'][number] {
  const base = {
    group: group.config.name,
    epochSeen: group.record?.epoch ?? 0,
    streaming: false,
    upstream: null,
    receivedLsn: '0/0',
    replayedLsn: '0/0',
    ready: false,
  }
  const instance = group.instance
  if (instance === null)
    return { ...base, state: group.service?.kind === 'serving' ? 'primary' : 'standby', ready: group.service !== null && group.service.kind !== 'absent' }
  const busy = group.instanceBusy
  if (busy === 'seed') return { ...base, state: 'seeding' }
  if (busy === 'rejoin') return { ...base, state: 'rejoining' }
  switch (instance.kind) {
    case 'unknown':
    case 'absent':
      return { ...base, state: 'absent' }
    case 'stopped':
      return { ...base, state: instance.failure === undefined ? 'stopped' : 'failed' }
    case 'standby':
      return {
        ...base,
        state: 'standby',
        streaming: instance.streaming,
        upstream: instance.upstream,
        receivedLsn: formatLsn(instance.receivedLsn),
        replayedLsn: formatLsn(instance.replayedLsn),
        ready: group.sick === null,
      }
    case 'primary':
      return {
        ...base,
        state: 'primary',
        receivedLsn: formatLsn(instance.currentLsn),
        replayedLsn: formatLsn(instance.currentLsn),
        ready: instance.gate === 'open',
      }
  }
}
