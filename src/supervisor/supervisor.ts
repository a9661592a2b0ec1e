import type { HeartbeatPayload, PeerReport } from '../cluster/liveness.ts'
import type { NodeId } from '../cluster/node.ts'
import type { Action } from '../groups/action.ts'
import { serveUntil } from '../groups/deadline.ts'
import { decide, heartbeatPayload } from '../groups/decide.ts'
import type { GroupId } from '../groups/group.ts'
import type { GroupView, Timing, View } from '../groups/view.ts'
import { GroupState } from './group-state.ts'
import type { GroupDeadline, Input, Outcome, Ports } from './ports.ts'
import { StoreImage } from './store-image.ts'

const earlyMax = 1000
/** Between two attempts of a swap whose outcome is not known yet, or of the read after it. */
const retryMs = 20

type SwapAction = Extract<Action, { kind: 'swapRecord' }>

export interface SupervisorOptions {
  readonly self: NodeId
  readonly timing: Timing
  /** Monotonic ms of the start. */
  readonly startedAt: number
  /** How often each running instance is looked at, in ms. */
  readonly observeEveryMs: number
}

/**
 * The loop around `decide`: observe, decide, perform, observe. Synchronous and without any I/O of its own; inputs are queued
 * and folded in by `step`. Production and the simulator drive the same class.
 *
 * At most one action runs in each lane of a group; a stop overtakes whatever runs on the instance. A swap of the record
 * whose outcome is unknown stays pending and is tried again, unchanged, until the answer is certain: meanwhile the node
 * behaves as if either record might be the true one.
 */
export class Supervisor {
  private readonly options: SupervisorOptions
  private readonly ports: Ports
  private readonly store = new StoreImage()
  private readonly groups = new Map<GroupId, GroupState>()
  private peers: ReadonlyMap<NodeId, PeerReport> = new Map()
  private readonly queue: Input[] = []
  private readonly completions: (() => void)[] = []
  private retries: { readonly at: number; readonly attempt: () => void }[] = []
  /** What was told about groups before the cluster database told of them: it is told only once. Bounded; the last word of each counts. */
  private early: Input[] = []
  private storeFollowed = false
  private sessionDeadline: number | null = null
  private renewing = false
  private renewAt: number
  private readonly observedAt = new Map<GroupId, number>()
  private token = 0
  private now = 0
  private wallMs = 0
  private lastPayload = ''
  private lastGuard = ''

  constructor(options: SupervisorOptions, ports: Ports) {
    this.options = options
    this.ports = ports
    this.renewAt = options.startedAt
  }

  input(input: Input): void {
    this.queue.push(input)
  }

  /** Folds what has come in, decides, and performs. */
  step(now: number, wallMs: number): void {
    this.now = now
    this.wallMs = wallMs
    this.drain()
    this.retry()
    if (!this.renewing && now >= this.renewAt) this.renew()
    const view = this.view()
    for (const action of decide(view, now)) this.consider(action)
    this.observe()
    this.announce()
  }

  /** Monotonic ms at which `step` is due if nothing comes in before. */
  nextWake(): number {
    return Math.min(this.now + 50, this.renewing ? Number.POSITIVE_INFINITY : this.renewAt, ...this.retries.map((entry) => entry.at))
  }

  /** Renews the session at the next step, whenever the last renewal was. */
  renewNow(): void {
    this.renewAt = Number.NEGATIVE_INFINITY
  }

  view(): View {
    return {
      self: this.options.self,
      startedAt: this.options.startedAt,
      wallMs: this.wallMs,
      sessionDeadline: this.sessionDeadline,
      storeFollowed: this.storeFollowed,
      nodes: this.store.nodes,
      sessions: this.store.sessions,
      peers: this.peers,
      groups: [...this.groups.values()].map((group) => group.view(this.store)),
      timing: this.options.timing,
    }
  }

  private drain(): void {
    for (const complete of this.completions.splice(0)) complete()
    for (const input of this.queue.splice(0)) this.fold(input)
  }

  private retry(): void {
    const due = this.retries.filter((entry) => entry.at <= this.now)
    this.retries = this.retries.filter((entry) => entry.at > this.now)
    for (const { attempt } of due) attempt()
  }

  private fold(input: Input): void {
    switch (input.kind) {
      case 'store':
        return this.foldStore(input)
      case 'storeFollowed':
        this.storeFollowed = input.followed
        return
      case 'peers':
        this.peers = new Map(input.reports.map((report) => [report.node, report]))
        return this.receivePromises()
      case 'instance': {
        const group = this.groups.get(input.group)
        if (group === undefined) return
        const current = !group.running.has('instance') && input.asOf >= group.instanceChangedAt
        if (current || input.exit === true) group.observeInstance(input.state, this.now)
        return
      }
      case 'service': {
        const group = this.groups.get(input.group)
        if (group === undefined) this.early.push(input)
        else if (!group.running.has('service')) group.observeService(input.state)
        return
      }
      case 'addresses': {
        const group = this.groups.get(input.group)
        if (group === undefined) this.early.push(input)
        else if (!group.running.has('address')) group.addressesHeld = input.held
        return
      }
      case 'sick': {
        const group = this.groups.get(input.group)
        if (group === undefined) this.early.push(input)
        else group.sick = input.why
        return
      }
    }
  }

  private foldStore(input: Extract<Input, { kind: 'store' }>): void {
    const before = new Map([...this.store.owners].map(([name, entry]) => [name, entry.value]))
    this.store.apply(input)
    for (const [name, config] of this.store.groups) {
      const group = this.groups.get(name)
      if (group === undefined) this.groups.set(name, new GroupState(config))
      else group.config = config
    }
    for (const name of [...this.groups.keys()]) if (!this.store.groups.has(name)) this.groups.delete(name)
    if (this.early.length > 0 && this.groups.size > 0) for (const told of this.early.splice(0).slice(-earlyMax)) this.fold(told)
    for (const [name, group] of this.groups) {
      const record = this.store.owners.get(name)?.value
      if (record !== undefined) group.observeRecord(record, before.get(name), this.now)
    }
  }

  /** A promise counts from when this node *sent* the heartbeat that it answers, so it ends here before it ends there. */
  private receivePromises(): void {
    for (const report of this.peers.values()) {
      for (const promise of report.payload?.promises ?? []) {
        if (promise.to !== this.options.self) continue
        const group = this.groups.get(promise.group as GroupId)
        const sentAt = report.sentAt[promise.seq]
        if (group === undefined || sentAt === undefined || this.store.owners.get(group.config.name)?.value.epoch !== promise.epoch) continue
        const until = sentAt + promise.ms
        if (until > (group.promisesReceived.get(report.node) ?? 0)) group.promisesReceived.set(report.node, until)
      }
    }
  }

  private renew(): void {
    const sentAt = this.now
    this.renewing = true
    this.ports.renewSession((result) =>
      this.completions.push(() => {
        this.renewing = false
        if (result.ok) {
          this.sessionDeadline = Math.max(this.sessionDeadline ?? 0, sentAt + result.ttlMs)
          this.renewAt = Math.max(this.now, sentAt + this.options.timing.renewEveryMs)
        } else {
          this.renewAt = this.now + this.options.timing.renewEveryMs / 5
        }
      }),
    )
  }

  private consider(action: Action): void {
    const group = this.groups.get(action.group)
    if (group === undefined) return
    if (action.lane === 'promise') {
      if (group.pendingRecord !== null) return
      const until = this.now + action.ms
      if (group.promiseGiven?.seq === action.seq && group.promiseGiven.epoch === action.epoch) return
      group.promiseGiven = { epoch: action.epoch, until, to: action.to, seq: action.seq, ms: action.ms }
      return
    }
    const running = group.running.get(action.lane)
    const overtakes = action.lane === 'instance' && action.kind === 'stop' && running?.action.kind !== 'stop'
    if (running !== undefined && !overtakes) return
    if (!overtakes && this.backingOff(group, action)) return
    this.perform(group, action)
  }

  private backingOff(group: GroupState, action: Exclude<Action, { lane: 'promise' }>): boolean {
    const failure = group.failures.get(action.lane)
    if (failure === undefined || failure.action !== action.kind) return false
    return this.now - failure.at < Math.min(5000, 50 * 2 ** Math.min(failure.count, 8))
  }

  private perform(group: GroupState, action: Exclude<Action, { lane: 'promise' }>): void {
    const token = ++this.token
    group.begin(action, action.lane, token)
    // The guardian must know the deadline of what may be true in a moment before it can become true: if this process is
    // killed right after the swap has been sent, the guardian alone ends the service.
    if (action.kind === 'swapRecord') this.announce()
    if (action.lane === 'instance' || action.kind === 'swapRecord')
      this.ports.tell({ level: 'info', code: `ACTION_${action.kind}`, group: action.group, message: describe(action) })
    this.ports.perform(action, (outcome) => this.completions.push(() => this.complete(group, action, token, outcome)))
  }

  private complete(group: GroupState, action: Exclude<Action, { lane: 'promise' }>, token: number, outcome: Outcome): void {
    if (group.running.get(action.lane)?.token !== token) return
    if (action.kind === 'swapRecord' && !outcome.ok) return this.swapFailed(group, action, token, outcome)
    if (action.kind === 'swapRecord' && outcome.ok && outcome.revision !== undefined) {
      this.foldStore({
        kind: 'store',
        reset: false,
        puts: [{ key: `owners/${action.group}`, value: JSON.stringify(action.next), modRevision: outcome.revision }],
        deletes: [],
      })
    }
    group.end(action.lane, token, action, outcome, this.now)
    if (!outcome.ok) {
      this.ports.tell({ level: 'warning', code: outcome.code, group: action.group, message: `${describe(action)} failed: ${outcome.message}` })
      return
    }
    // The failure has been told with the refusal; the next request is judged afresh.
    if (action.kind === 'refuseRequest') group.forgetFailure('instance', 'quiesce')
    const record = this.store.owners.get(action.group)?.value
    if (outcome.patch !== undefined && record !== undefined) this.ports.amendDecision(action.group, record.epoch, outcome.patch)
  }

  /**
   * The same swap again while its outcome is unknown: compared with the same revision, it can succeed at most once. Once one
   * attempt may have been carried out, only success or a lost compare tells: that a later attempt surely was not is no answer.
   */
  private swapFailed(group: GroupState, action: SwapAction, token: number, outcome: Extract<Outcome, { ok: false }>): void {
    if (outcome.unknown === true) group.doubt('record', token)
    if (!group.doubted('record') || outcome.compared === true) return this.readBeforeEnding(group, action, token, outcome)
    this.again(group, action.lane, token, () => this.ports.perform(action, (next) => this.completions.push(() => this.complete(group, action, token, next))))
  }

  /** Once more a little later, if the action still runs then. */
  private again(group: GroupState, lane: 'record', token: number, attempt: () => void): void {
    this.retries.push({
      at: this.now + retryMs,
      attempt: () => {
        if (group.running.get(lane)?.token === token) attempt()
      },
    })
  }

  /** A lost compare means that this node's picture is old: the record is read before anything else is decided about it. */
  private readBeforeEnding(group: GroupState, action: SwapAction, token: number, outcome: Outcome): void {
    this.ports.readRecord(action.group, (ok) =>
      this.completions.push(() => {
        if (group.running.get(action.lane)?.token !== token) return
        if (!ok) return this.again(group, action.lane, token, () => this.readBeforeEnding(group, action, token, outcome))
        this.completions.push(() => group.end(action.lane, token, action, outcome, this.now))
      }),
    )
  }

  private observe(): void {
    for (const [name, group] of this.groups) {
      if (group.instance === null || !group.config.nodes.includes(this.options.self)) continue
      if (group.running.has('instance')) continue
      const since = this.now - (this.observedAt.get(name) ?? Number.NEGATIVE_INFINITY)
      if (since < this.options.observeEveryMs) continue
      this.observedAt.set(name, this.now)
      this.ports.observe(name)
    }
  }

  /** Tells the guardian the deadlines and what the heartbeats carry, when either has changed. */
  private announce(): void {
    const view = this.view()
    const deadlines: GroupDeadline[] = view.groups.flatMap((group) => {
      if (group.record === null) return []
      if (group.record.owner !== this.options.self) {
        // What is left of a former ownership is guarded until it is seen to be down.
        const epoch = servedEpoch(group)
        return epoch === null || view.sessionDeadline === null ? [] : [{ group: group.config.name, epoch, deadline: view.sessionDeadline }]
      }
      const until = serveUntil(view, group)
      return until === null ? [] : [{ group: group.config.name, epoch: group.record.epoch, deadline: until }]
    })
    const promises = [...this.groups.values()].flatMap((group) => {
      const given = group.promiseGiven
      return given === null || given.until <= this.now ? [] : [{ group: group.config.name, epoch: given.epoch, to: given.to, seq: given.seq, ms: given.ms }]
    })
    const payload: HeartbeatPayload = { ...heartbeatPayload(view, this.now), promises }
    const guardText = deadlines.map((entry) => `${entry.group}:${entry.epoch}:${entry.deadline}`).join()
    if (guardText !== this.lastGuard && this.sessionDeadline !== null) {
      this.lastGuard = guardText
      this.ports.guard(deadlines)
    }
    const payloadText = JSON.stringify(payload)
    if (payloadText !== this.lastPayload) {
      this.lastPayload = payloadText
      this.ports.publish(payload)
    }
  }
}

/** The epoch in which something of the group still runs here, or null. */
function servedEpoch(group: GroupView): number | null {
  if (group.instance?.kind === 'primary') return group.instance.epoch
  return group.service?.kind === 'serving' ? group.service.epoch : null
}

function describe(action: Exclude<Action, { lane: 'promise' }>): string {
  switch (action.kind) {
    case 'swapRecord':
      return `record of ${action.group} to owner ${action.next.owner} epoch ${action.next.epoch} in-sync {${action.next.inSync.join(', ')}} ${action.next.state}: ${action.why}`
    case 'refuseRequest':
      return `request ${action.id} refused: ${action.why}`
    case 'stop':
      return `stop ${action.mode} ${action.group}: ${action.why}`
    case 'setSynchronous':
      return `synchronous set of ${action.group}: {${action.nodes.join(', ')}}`
    case 'startStandby':
    case 'follow':
    case 'seed':
    case 'rejoin':
      return `${action.kind} ${action.group} from ${action.upstream}`
    case 'quiesce':
      return `quiesce ${action.group} for ${action.target}`
    case 'promote':
    case 'initialize':
    case 'startPrimary':
    case 'serve':
      return `${action.kind} ${action.group} in epoch ${action.epoch}`
    case 'openGate':
    case 'unquiesce':
    case 'claim':
    case 'release':
    case 'drain':
      return `${action.kind} ${action.group}`
  }
}
