import { type NodeConfig, type NodeId, nodeId, type NodeRole, votes } from '../cluster/node.ts'
import type { DecisionRecord } from '../groups/decision.ts'
import { type GroupConfig, type GroupId, groupId } from '../groups/group.ts'
import type { OwnershipRecord } from '../groups/ownership.ts'
import { defaultTiming, type ServiceState, type Timing } from '../groups/view.ts'
import { SimAgent } from './agent.ts'
import { Checkers } from './checkers.ts'
import { SimClient } from './clients.ts'
import { EventQueue } from './event-queue.ts'
import { SimGuardian } from './guardian.ts'
import { SimInstance, type Write } from './instance.ts'
import { SimNetwork } from './network.ts'
import { SimNode } from './node.ts'
import { Random } from './random.ts'
import { SimStore } from './store.ts'
import { Trace } from './trace.ts'

/** Instants between two steps that depend on each other. */
export type Moment = 'joined' | 'left' | 'owner changed' | 'promotion' | 'restart' | 'setting' | 'promise' | 'late change'

export interface WorldOptions {
  readonly seed: number
  readonly traceKeep: number
}

interface Topology {
  readonly roles: readonly NodeRole[]
  /** Data nodes of each group, by index; the first owns it at the start. */
  readonly groups: readonly { readonly kind: GroupConfig['kind']; readonly nodes: readonly number[] }[]
}

const copies = (...nodes: number[]): Topology['groups'][number] => ({ kind: 'storage-group', nodes })
const server = (...nodes: number[]): Topology['groups'][number] => ({ kind: 'server', nodes })

const topologies: readonly { readonly weight: number; readonly topology: Topology }[] = [
  { weight: 8, topology: { roles: ['data', 'data', 'witness'], groups: [copies(0, 1)] } },
  { weight: 4, topology: { roles: ['data', 'data', 'witness'], groups: [copies(0, 1), server(0, 1)] } },
  { weight: 2, topology: { roles: ['data', 'data', 'witness'], groups: [copies(0, 1), copies(1, 0), server(1, 0)] } },
  { weight: 4, topology: { roles: ['data', 'data', 'data'], groups: [copies(0, 1, 2)] } },
  { weight: 2, topology: { roles: ['data', 'data', 'data'], groups: [copies(0, 1, 2), server(0, 1, 2)] } },
  { weight: 1, topology: { roles: ['data', 'data', 'data', 'witness', 'witness'], groups: [copies(0, 1), copies(1, 2), copies(2, 0, 1)] } },
  { weight: 2, topology: { roles: ['data', 'data'], groups: [copies(0, 1)] } },
]

/** Everything there is, and the only thing that knows all of it. Made anew for each seed. */
export class World {
  readonly options: WorldOptions
  readonly queue = new EventQueue()
  readonly random: Random
  readonly trace: Trace
  readonly timing: Timing = defaultTiming
  readonly nodes: readonly SimNode[]
  readonly groups: readonly GroupConfig[]
  readonly network: SimNetwork
  readonly store: SimStore
  readonly checkers: Checkers
  /** Is the store's quorum made of this cluster's voters, or is it a service elsewhere? */
  readonly managedStore: boolean
  readonly faults = new Map<string, number>()
  readonly lastAcknowledged = new Map<GroupId, number>()
  written = 0
  steps = 0
  private readonly instances = new Map<string, SimInstance>()
  private readonly services = new Map<NodeId, Map<GroupId, ServiceState>>()
  private readonly addresses = new Map<NodeId, Map<GroupId, boolean>>()
  private readonly agents = new Map<NodeId, SimAgent>()
  private readonly guardians = new Map<NodeId, SimGuardian>()
  private readonly records = new Map<GroupId, OwnershipRecord>()
  private readonly publicCut: number[]
  readonly storeCut: number[]
  /** Nodes that the store's answers do not reach. */
  readonly storeDeaf: number[]
  private readonly readTo = new Map<SimInstance, { incarnation: number; position: number }>()
  /** Node whose agent dies after so many more port calls, in the middle of a step. */
  readonly killAfter = new Map<NodeId, number>()
  /** Told of the moments at which a fault hurts most; see `planAmbushes`. */
  onMoment: (moment: Moment, node: SimNode) => void = () => undefined
  private entries = 0
  private writes = 0
  private requests = 0

  constructor(options: WorldOptions) {
    this.options = options
    const seed = new Random(options.seed)
    this.random = seed.fork()
    this.trace = new Trace(options.traceKeep)
    const topology = pickTopology(seed)
    this.managedStore = topology.roles.length > 2 && seed.chance(0.6)
    this.network = new SimNetwork(this.queue, seed.fork(), ['private', 'public'], topology.roles.length)
    this.nodes = topology.roles.map(
      (role, index) =>
        new SimNode(this.queue, index, nodeConfig(role, index), {
          offset: seed.between(0, 100_000),
          rate: 1 + seed.between(-200e-6, 200e-6),
          wallOffset: seed.between(-50, 50),
        }),
    )
    this.publicCut = this.nodes.map(() => 0)
    this.storeCut = this.nodes.map(() => 0)
    this.storeDeaf = this.nodes.map(() => 0)
    const failover = { threshold: seed.pick([1, 2, 3, 10, 10, 10]), periodMs: 6 * 3600 * 1000 }
    this.groups = topology.groups.map((group, index) => ({
      name: groupId(`${group.kind === 'server' ? 'srv' : 'sg'}${index + 1}`),
      kind: group.kind,
      nodes: group.nodes.map((node) => (this.nodes[node] as SimNode).id),
      addresses: seed.chance(0.5) ? [`10.0.0.${index + 1}`] : [],
      databases: [],
      ports: {},
      failover,
    }))
    this.store = new SimStore(this.queue, seed.fork(), { reachable: (from) => this.storeReachable(from), hears: (from) => this.storeHears(from) })
    this.checkers = new Checkers(this)
    this.store.onDelayed = (from) => this.onMoment('late change', this.nodes[from] as SimNode)
    this.store.onCommit = (transaction, events, before) => {
      this.checkers.committed(transaction, events, before)
      for (const event of events)
        if (event.key.startsWith('owners/') && event.value !== null) this.recordChanged(groupId(event.key.slice(7)), JSON.parse(event.value) as OwnershipRecord)
      if (this.options.traceKeep > 0) for (const event of events) this.noteCommit(event.key, event.value)
    }
    this.furnish()
    const clients = seed.fork()
    for (const group of this.groups) {
      if (group.kind === 'server') continue
      for (const home of [null, null, ...this.dataNodes(group.name)]) new SimClient(this, group.name, home, clients.fork())
    }
    this.queue.after(500, () => this.sweep())
  }

  private furnish(): void {
    this.store.apply({
      by: nodeId('setup'),
      compares: [],
      puts: this.nodes.map((node) => ({ key: `nodes/${node.id}`, value: JSON.stringify(node.config) })),
      deletes: [],
    })
    for (const config of this.groups) {
      const owner = config.nodes[0] as NodeId
      const record: OwnershipRecord = {
        group: config.name,
        owner,
        epoch: 1,
        inSync: [owner],
        state: 'online',
        systemId: null,
        cause: 'created',
        sinceWallMs: 0,
        failovers: [],
      }
      const decision: DecisionRecord = {
        group: config.name,
        epoch: 1,
        from: owner,
        to: owner,
        cause: 'created',
        rule: '',
        decidedBy: owner,
        atWallMs: 0,
        evidence: [],
        compared: { revision: '0', epoch: 0, inSync: [] },
        candidates: [],
        positions: { oldOwnerLsn: null, newOwnerReceivedLsn: null, promotedLsn: null, argument: '' },
        request: null,
        steps: [],
        rejoin: null,
      }
      const puts = [
        { key: `groups/${config.name}`, value: JSON.stringify(config) },
        { key: `owners/${config.name}`, value: JSON.stringify(record) },
        { key: `decisions/${config.name}/1`, value: JSON.stringify(decision) },
      ]
      this.store.apply({ by: nodeId('setup'), compares: [{ key: `owners/${config.name}`, modRevision: 0 }], puts, deletes: [] })
      for (const id of config.nodes) {
        const node = this.nodes.find((candidate) => candidate.id === id) as SimNode
        if (config.kind === 'storage-group') this.instances.set(`${id} ${config.name}`, new SimInstance(this, node, config.name))
        else this.services.set(id, (this.services.get(id) ?? new Map<GroupId, ServiceState>()).set(config.name, { kind: 'absent' }))
        if (config.addresses.length > 0) this.addresses.set(id, (this.addresses.get(id) ?? new Map<GroupId, boolean>()).set(config.name, false))
      }
    }
    for (const node of this.nodes) this.queue.after(this.random.between(0, 300), () => this.powerOn(node))
  }

  private recordChanged(group: GroupId, record: OwnershipRecord): void {
    const before = this.records.get(group)
    this.records.set(group, record)
    const owner = this.nodes.find((node) => node.id === record.owner)
    if (before === undefined || owner === undefined) return
    if (before.owner !== record.owner) this.onMoment('owner changed', owner)
    else if (before.inSync.length < record.inSync.length) this.onMoment('joined', owner)
    else if (before.inSync.length > record.inSync.length) this.onMoment('left', owner)
  }

  // Who is where.
  note(node: SimNode | null, text: string): void {
    if (this.options.traceKeep > 0) this.trace.add(this.queue.now, node?.id ?? '', text)
  }

  private noteCommit(key: string, value: string | null): void {
    if (key.startsWith('owners/') && value !== null) {
      const record = JSON.parse(value) as OwnershipRecord
      this.note(null, `store: ${key} owner ${record.owner} epoch ${record.epoch} inSync {${record.inSync.join()}} ${record.state} ${record.cause}`)
    } else if (!key.startsWith('decisions/')) this.note(null, `store: ${key} ${value === null ? 'gone' : 'put'}`)
  }

  config(group: GroupId): GroupConfig {
    return this.groups.find((config) => config.name === group) as GroupConfig
  }

  record(group: GroupId): OwnershipRecord {
    return this.records.get(group) as OwnershipRecord
  }

  dataNodes(group: GroupId): SimNode[] {
    return this.nodes.filter((node) => this.config(group).nodes.includes(node.id))
  }

  instance(node: NodeId, group: GroupId): SimInstance | undefined {
    return this.instances.get(`${node} ${group}`)
  }

  instancesOf(node: SimNode): SimInstance[] {
    return [...this.instances.values()].filter((instance) => instance.node === node)
  }

  allInstances(): Iterable<SimInstance> {
    return this.instances.values()
  }

  servicesOf(node: SimNode): Iterable<[GroupId, ServiceState]> {
    return this.services.get(node.id) ?? []
  }

  addressesOf(node: SimNode): Iterable<[GroupId, boolean]> {
    return this.addresses.get(node.id) ?? []
  }

  serviceOf(node: SimNode, group: GroupId): ServiceState | undefined {
    return this.services.get(node.id)?.get(group)
  }

  setService(node: SimNode, group: GroupId, state: ServiceState): void {
    this.services.get(node.id)?.set(group, state)
    this.note(node, `${group} service ${state.kind}`)
  }

  setAddress(node: SimNode, group: GroupId, held: boolean): void {
    this.addresses.get(node.id)?.set(group, held)
  }

  agent(node: SimNode): SimAgent | undefined {
    return this.agents.get(node.id)
  }

  guardian(node: SimNode): SimGuardian | undefined {
    return this.guardians.get(node.id)
  }

  publicCuts(node: SimNode): number {
    return this.publicCut[node.index] ?? 0
  }

  cutPublic(node: SimNode, by: 1 | -1): void {
    this.publicCut[node.index] = this.publicCuts(node) + by
  }

  // What happens to machines and processes.
  powerOn(node: SimNode): void {
    if (node.up) return
    node.powerOn()
    this.note(node, 'boots')
    this.guardians.set(node.id, new SimGuardian(this, node))
    node.after('agent', this.random.between(5, 400), () => this.startAgent(node))
    for (const [group] of this.servicesOf(node)) {
      node.after('postgres', this.random.between(100, 800), () => {
        this.setService(node, group, { kind: 'warm' })
        this.agent(node)?.input({ kind: 'service', group, state: { kind: 'warm' } })
      })
    }
  }

  powerOff(node: SimNode): void {
    if (!node.up) return
    this.note(node, 'loses power')
    this.killAgent(node)
    this.guardians.delete(node.id)
    node.powerOff()
    for (const instance of this.instancesOf(node)) instance.crash('power', 'power lost')
    for (const [group] of this.servicesOf(node)) this.services.get(node.id)?.set(group, { kind: 'absent' })
    for (const [group] of this.addressesOf(node)) this.addresses.get(node.id)?.set(group, false)
  }

  startAgent(node: SimNode): void {
    if (!node.up || this.agents.has(node.id)) return
    this.note(node, 'agent starts')
    this.agents.set(node.id, new SimAgent(this, node))
  }

  killAgent(node: SimNode): void {
    const agent = this.agents.get(node.id)
    if (agent === undefined) return
    this.note(node, 'agent ends')
    this.killAfter.delete(node.id)
    this.agents.delete(node.id)
    agent.kill()
    // A copy that was being seeded, and processes that were starting, are children of the work that has ended.
    for (const instance of this.instancesOf(node)) if (instance.running === 'starting') instance.crash('process', 'its start was broken off')
  }

  maybeKillMidStep(agent: SimAgent): void {
    const left = this.killAfter.get(agent.node.id)
    if (left === undefined || !agent.alive) return
    if (left > 1) this.killAfter.set(agent.node.id, left - 1)
    else this.killAgent(agent.node)
  }

  /** The guardian's work: the active copy killed, the service stopped, the address gone. */
  takeDown(node: SimNode, group: GroupId, why: string): void {
    this.note(node, `guardian takes ${group} down: ${why}`)
    const instance = this.instance(node.id, group)
    if (
      instance !== undefined &&
      (instance.running === 'primary' || instance.running === 'promoting' || (instance.running === 'starting' && instance.wasPrimary))
    )
      instance.crash('process', why)
    if (this.serviceOf(node, group)?.kind === 'serving') {
      this.setService(node, group, { kind: 'warm' })
      this.agent(node)?.later(1, () => this.agent(node)?.input({ kind: 'service', group, state: { kind: 'warm' } }))
    }
    this.setAddress(node, group, false)
    this.agent(node)?.later(1, () => this.agent(node)?.input({ kind: 'addresses', group, held: false }))
  }

  instanceExited(instance: SimInstance): void {
    this.agent(instance.node)?.instanceExited(instance)
  }

  private storeReachable(from: number): boolean {
    return (this.storeDeaf[from] ?? 0) === 0 && this.storeHears(from, (member) => this.network.anyBothWays(from, member))
  }

  private storeHears(from: number, path: (member: number) => boolean = (member) => this.network.any(from, member)): boolean {
    if ((this.storeCut[from] ?? 0) > 0) return false
    if (!this.managedStore) return true
    const members = this.nodes.filter((node) => votes(node.config.role))
    return members.some((member) => {
      const direct = member.index === from ? member.up : path(member.index)
      if (!direct || !member.runs('postgres')) return false
      const followers = members.filter((other) => other.runs('postgres') && this.network.anyBothWays(member.index, other.index))
      return followers.length * 2 > members.length
    })
  }

  diskWrite(instance: SimInstance, done: () => void): void {
    const { disk } = instance.node
    const hung = disk.hungUntil - this.queue.now
    if (hung > 0) return instance.later(Math.min(hung, 100) + 0.1, () => this.diskWrite(instance, done))
    instance.later(disk.latency * (0.5 + this.random.next()), () => (disk.hungUntil > this.queue.now ? this.diskWrite(instance, done) : done()))
  }

  // The log and the clients.
  nextEntry(): number {
    return -++this.entries
  }

  nextWrite(): number {
    return ++this.writes
  }

  nextRequest(): number {
    return ++this.requests
  }

  promotionBegins(instance: SimInstance, epoch: number): void {
    this.note(instance.node, `${instance.group} is promoted with epoch ${epoch}, log ${instance.log.length}`)
    this.checkers.promotionBegins(instance, epoch)
    this.onMoment('promotion', instance.node)
  }

  acknowledge(instance: SimInstance, write: Write, position: number): void {
    this.checkers.acknowledge(instance, write, position)
    this.lastAcknowledged.set(instance.group, this.queue.now)
    write.answer(true)
  }

  read(instance: SimInstance): void {
    const mark = this.readTo.get(instance)
    this.checkers.read(instance, mark?.incarnation === instance.incarnation ? mark.position : 0)
    this.readTo.set(instance, { incarnation: instance.incarnation, position: instance.visible })
  }

  private sweep(): void {
    this.checkers.sweep()
    this.queue.after(20, () => this.sweep())
  }

  fault(kind: string, node: SimNode | null, text = ''): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1)
    this.note(node, `** ${kind} ${text}`)
  }
}

function pickTopology(random: Random): Topology {
  const total = topologies.reduce((sum, entry) => sum + entry.weight, 0)
  let left = random.below(total)
  for (const { weight, topology } of topologies) {
    if (left < weight) return topology
    left -= weight
  }
  throw new Error('unreachable')
}

function nodeConfig(role: NodeRole, index: number): NodeConfig {
  const id = nodeId(`n${index + 1}`)
  return {
    id,
    role,
    identity: `identity-${id}`,
    addresses: { private: `10.1.0.${index + 1}`, public: `10.2.0.${index + 1}` },
    clientNetworks: ['public'],
    heartbeatPort: 7400,
    replicationHost: `10.1.0.${index + 1}`,
    paused: false,
  }
}
