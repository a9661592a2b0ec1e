import type { NodeId } from '../cluster/node.ts'
import type { Action } from '../groups/action.ts'
import type { GroupConfig } from '../groups/group.ts'
import type { OwnershipRecord } from '../groups/ownership.ts'
import type { Failure, GroupView, ServiceState } from '../groups/view.ts'
import type { InstanceState } from '../replication/instance.ts'
import type { Outcome } from './ports.ts'
import type { StoreImage } from './store-image.ts'

export type Lane = Exclude<Action['lane'], 'promise'>

interface Running {
  readonly action: Action
  readonly token: number
  /** Record lane: an attempt may have been carried out, or may yet be. */
  doubted?: true
}

/** What this node has observed of one group, and what it is doing about it. Folded from inputs; nothing here is a decision. */
export class GroupState {
  config: GroupConfig
  instance: InstanceState | null
  service: ServiceState | null
  addressesHeld = false
  sick: string | null = null
  served = false
  takenOffline = false
  instanceSeenAt = Number.NEGATIVE_INFINITY
  epochSeen = 0
  epochSeenAt = 0
  readonly running = new Map<Lane, Running>()
  readonly failures = new Map<Lane, Failure>()
  /** Monotonic ms at which the last instance action ended: observations that began before are out of date. */
  instanceChangedAt = Number.NEGATIVE_INFINITY
  readonly promisesReceived = new Map<NodeId, number>()
  promiseGiven: { epoch: number; until: number; to: NodeId; seq: number; ms: number } | null = null
  readonly disconnectedSince = new Map<NodeId, number>()
  readonly stalledSince = new Map<NodeId, number>()
  readonly droppedAt = new Map<NodeId, number>()
  notStreamingSince: number | null = null
  private lastPrimary: Extract<InstanceState, { kind: 'primary' }> | null = null

  constructor(config: GroupConfig) {
    this.config = config
    this.instance = config.kind === 'storage-group' ? { kind: 'unknown' } : null
    this.service = config.kind === 'server' ? { kind: 'absent' } : null
  }

  /** The swap under way, or of unknown outcome. */
  get pendingRecord(): OwnershipRecord | null {
    const action = this.running.get('record')?.action
    return action?.kind === 'swapRecord' ? action.next : null
  }

  /** Follows the record: promises are for one epoch, and a copy that left the set waits before it comes back. */
  observeRecord(record: OwnershipRecord, before: OwnershipRecord | undefined, now: number): void {
    if (record.state !== 'online') this.takenOffline = true
    for (const node of before?.inSync ?? []) if (!record.inSync.includes(node)) this.droppedAt.set(node, now)
    if (record.epoch === this.epochSeen) return
    this.epochSeen = record.epoch
    this.epochSeenAt = now
    this.promisesReceived.clear()
    this.droppedAt.clear()
  }

  observeInstance(state: InstanceState, now: number): void {
    this.instance = state
    this.instanceSeenAt = now
    this.notStreamingSince = state.kind === 'standby' && !state.streaming ? (this.notStreamingSince ?? now) : null
    if (state.kind !== 'primary') {
      this.lastPrimary = null
      this.disconnectedSince.clear()
      this.stalledSince.clear()
      return
    }
    this.served = true
    this.takenOffline = false
    this.followStandbys(state, now)
    this.lastPrimary = state
  }

  observeService(state: ServiceState): void {
    this.service = state
    if (state.kind === 'serving') this.served = true
  }

  /** Since when is each other copy without a walreceiver, or without having flushed what was current at the last look? */
  private followStandbys(state: Extract<InstanceState, { kind: 'primary' }>, now: number): void {
    for (const node of this.config.nodes) {
      const row = state.standbys.find((standby) => standby.node === node)
      if (row?.streaming === true) this.disconnectedSince.delete(node)
      else if (!this.disconnectedSince.has(node)) this.disconnectedSince.set(node, now)
      const before = this.lastPrimary?.standbys.find((standby) => standby.node === node)
      const behind = row !== undefined && this.lastPrimary !== null && row.flushLsn < this.lastPrimary.currentLsn
      const moved = row !== undefined && before !== undefined && row.flushLsn > before.flushLsn
      if (!behind || moved) this.stalledSince.delete(node)
      else if (!this.stalledSince.has(node)) this.stalledSince.set(node, now)
    }
  }

  begin(action: Action, lane: Lane, token: number): void {
    this.running.set(lane, { action, token })
    // From now on only those count as waited for whom neither the old set nor the new one leaves out, whatever becomes of the change.
    if (action.kind === 'setSynchronous' && this.instance?.kind === 'primary')
      this.instance = { ...this.instance, synchronous: this.instance.synchronous.filter((node) => action.nodes.includes(node)) }
  }

  doubt(lane: Lane, token: number): void {
    const running = this.running.get(lane)
    if (running?.token === token) running.doubted = true
  }

  doubted(lane: Lane): boolean {
    return this.running.get(lane)?.doubted === true
  }

  /** Folds the outcome of an action in. False when the action had been overtaken by a stop. */
  end(lane: Lane, token: number, action: Action, outcome: Outcome, now: number): boolean {
    if (this.running.get(lane)?.token !== token) return false
    this.running.delete(lane)
    if (lane === 'instance') this.instanceChangedAt = now
    if (!outcome.ok) {
      const count = (this.failures.get(lane)?.action === action.kind ? (this.failures.get(lane)?.count ?? 0) : 0) + 1
      this.failures.set(lane, { action: action.kind, code: outcome.code, message: outcome.message, at: now, count })
      return true
    }
    this.failures.delete(lane)
    if (outcome.state !== undefined) this.observeInstance(outcome.state, now)
    if (outcome.service !== undefined) this.observeService(outcome.service)
    if (outcome.addressesHeld !== undefined) this.addressesHeld = outcome.addressesHeld
    return true
  }

  forgetFailure(lane: Lane, action: Action['kind']): void {
    if (this.failures.get(lane)?.action === action) this.failures.delete(lane)
  }

  view(store: StoreImage): GroupView {
    const name = this.config.name
    const owner = store.owners.get(name)
    const request = store.requests.get(name)
    return {
      config: this.config,
      record: owner?.value ?? null,
      revision: owner?.revision ?? 0n,
      epochSeenAt: this.epochSeenAt,
      pendingRecord: this.pendingRecord,
      request: request?.value ?? null,
      requestRevision: request?.revision ?? 0n,
      instance: this.instance,
      instanceBusy: this.running.get('instance')?.action.kind ?? null,
      instanceFailure: this.failures.get('instance') ?? null,
      sick: this.sick,
      service: this.service,
      addressesHeld: this.addressesHeld,
      served: this.served,
      takenOffline: this.takenOffline,
      disconnectedSince: this.disconnectedSince,
      instanceSeenAt: this.instanceSeenAt,
      stalledSince: this.stalledSince,
      droppedAt: this.droppedAt,
      notStreamingSince: this.notStreamingSince,
      promiseGiven: this.promiseGiven,
      promisesReceived: this.promisesReceived,
    }
  }
}
