import type { GroupId } from '../groups/group.ts'
import type { OperatorRequest } from '../groups/ownership.ts'
import { SimNode, type ProcessName } from './node.ts'
import type { Random } from './random.ts'
import type { Moment, World } from './world.ts'

type Fault = (world: World, random: Random, victim?: SimNode) => void

/** Draws the faults of a seed and lets them happen between `from` and `until`. */
export function planFaults(world: World, random: Random, from: number, until: number): void {
  const count = 1 + random.below(9)
  // Several faults close together are what designs forget.
  const burst = random.chance(0.4) ? random.between(from, until - 1500) : null
  for (let index = 0; index < count; index++) {
    const own = random.fork()
    const at = burst !== null && own.chance(0.7) ? burst + own.between(0, 1500) : own.between(from, until)
    const [, fault] = pickWeighted(own)
    world.queue.at(at, () => fault(world, own))
  }
}

/** Faults that wait for the moments between two dependent steps, on the node where it happens or on another. */
export function planAmbushes(world: World, random: Random, from: number, until: number): void {
  const ambushes = Array.from({ length: random.below(4) }, () => ({
    moment: random.pick<Moment>(['joined', 'joined', 'left', 'owner changed', 'promotion', 'restart', 'setting', 'promise', 'late change', 'late change']),
    skip: random.below(3),
    delay: random.pick([random.between(0, 5), random.between(0, 60), random.between(0, 600)]),
    here: random.chance(0.7),
    random: random.fork(),
  }))
  world.onMoment = (moment, node) => {
    if (world.queue.now < from || world.queue.now > until) return
    for (const ambush of ambushes) {
      if (ambush.moment !== moment || ambush.skip-- !== 0) continue
      const victim = ambush.here ? node : ambush.random.pick(world.nodes)
      const fault = ambush.random.pick<Fault>([crash, crash, crashPostgres, crashPostgres, killAgent, isolate, freeze, disk, storeCutOne, cutPair])
      world.queue.at(Math.min(until - 1, world.queue.now + ambush.delay), () => fault(world, ambush.random, victim))
    }
  }
}

/** Ends every fault: all machines up, everything connected. */
export function endFaults(world: World): void {
  world.note(null, '** faults end')
  world.network.heal()
  world.store.slow = 0
  world.store.stopped = false
  for (const node of world.nodes) {
    while (world.publicCuts(node) > 0) world.cutPublic(node, -1)
    world.storeCut[node.index] = 0
    world.storeDeaf[node.index] = 0
    world.powerOn(node)
    const processes: ProcessName[] = ['guardian', 'agent', 'postgres']
    while (processes.some((process) => node.isFrozen(process))) node.thaw(processes)
    node.disk.latency = 1
    healDisk(world, node)
    world.killAfter.delete(node.id)
    world.startAgent(node)
    setPaused(world, node, false)
  }
}

const anyNode = (world: World, random: Random): SimNode => random.pick(world.nodes)

/** Mostly somebody who matters: the owner of a group. */
function target(world: World, random: Random): SimNode {
  if (random.chance(0.25)) return anyNode(world, random)
  const record = world.record(random.pick(world.groups).name)
  const wanted = random.chance(0.7) ? record.owner : random.pick(record.inSync)
  return world.nodes.find((node) => node.id === wanted) ?? anyNode(world, random)
}

const duration = (random: Random): number => random.pick([random.between(50, 600), random.between(500, 2500), random.between(2000, 7000)])

function mayBeInSync(world: World, node: SimNode, group: GroupId): boolean {
  if (world.record(group).inSync.includes(node.id)) return true
  return world.nodes.some((other) =>
    world
      .agent(other)
      ?.supervisor.view()
      .groups.some((view) => view.config.name === group && view.pendingRecord?.inSync.includes(node.id)),
  )
}

const crash: Fault = (world, random, victim) => {
  const node = victim ?? target(world, random)
  world.fault('node crash', node)
  const lost = random.chance(0.1)
  world.powerOff(node)
  if (lost) {
    // The directory of a copy is lost with the machine; not that of an in-sync copy, which might be the only one before it is noticed.
    for (const instance of world.instancesOf(node)) {
      if (mayBeInSync(world, node, instance.group)) continue
      Object.assign(instance, { present: false, log: [], flushed: 0 })
      world.fault('copy lost', node, instance.group)
    }
  }
  world.queue.after(random.between(300, 6000), () => world.powerOn(node))
}

const killAgent: Fault = (world, random, victim) => {
  const node = victim ?? target(world, random)
  if (node.isFrozen('guardian')) return
  world.fault('agent killed', node)
  if (random.chance(0.5)) world.killAfter.set(node.id, 1 + random.below(4))
  else world.killAgent(node)
  const away = random.chance(0.5) ? random.between(50, 1000) : random.between(1000, 5000)
  world.queue.after(away, () => {
    if (world.killAfter.has(node.id)) world.killAgent(node)
    node.when('agent', () => world.startAgent(node))
  })
}

const crashPostgres: Fault = (world, random, victim) => {
  const node = victim ?? target(world, random)
  for (const instance of world.instancesOf(node)) {
    if (instance.running === 'none' || random.chance(0.3)) continue
    world.fault('postgres crash', node, instance.group)
    instance.crash('process', 'crashed')
  }
}

/** Is there an agent that would stop what its node serves by itself? One that has never had a session in its life leaves that to the guardian. */
const holdsDeadlines = (world: World, node: SimNode): boolean =>
  !world.killAfter.has(node.id) && (world.agent(node)?.supervisor.view().sessionDeadline ?? null) !== null

const freeze: Fault = (world, random, victim) => {
  const node = victim ?? target(world, random)
  if (!node.up || node.isFrozen('agent') || node.isFrozen('guardian')) return
  const [kind, processes] = random.pick<[string, ProcessName[]]>([
    ['node frozen', ['guardian', 'agent', 'postgres']],
    ['node frozen', ['guardian', 'agent', 'postgres']],
    ['agent frozen', ['agent']],
    // Without an agent beside it a frozen guardian leaves nobody to hold the deadline: that is for a watchdog.
    ['guardian frozen', !holdsDeadlines(world, node) ? ['agent'] : ['guardian']],
  ])
  const length = duration(random)
  world.fault(kind, node, `${length.toFixed(0)} ms`)
  node.freeze(processes)
  const { boot } = node
  world.queue.after(length, () => {
    if (node.boot === boot && processes.some((process) => node.isFrozen(process))) {
      world.note(node, 'thaws')
      node.thaw(processes)
    }
  })
}

/** Cuts directed links until the time is over; `heal` may have come first. */
function cut(world: World, links: readonly (readonly [network: number, from: number, to: number])[], length: number): void {
  for (const [network, from, to] of links) world.network.link(network, from, to).cuts++
  world.queue.after(length, () => {
    for (const [network, from, to] of links) {
      const link = world.network.link(network, from, to)
      link.cuts = Math.max(0, link.cuts - 1)
    }
  })
}

const isolate: Fault = (world, random, victim) => {
  const node = victim ?? target(world, random)
  const length = duration(random)
  const networks = random.chance(0.7) ? [0, 1] : [random.below(2)]
  world.fault(networks.length === 2 ? 'node cut off' : 'one network cut', node, `${length.toFixed(0)} ms, networks ${networks.join()}`)
  const links = networks.flatMap((network) =>
    world.nodes.filter((peer) => peer !== node).flatMap((peer) => [[network, node.index, peer.index] as const, [network, peer.index, node.index] as const]),
  )
  cut(world, links, length)
  const alsoStore = !world.managedStore && networks.length === 2 && random.chance(0.7)
  if (alsoStore) cutStore(world, node, length)
  if (networks.includes(1) && random.chance(0.8)) {
    world.cutPublic(node, 1)
    world.queue.after(length, () => {
      if (world.publicCuts(node) > 0) world.cutPublic(node, -1)
    })
  }
}

const cutPair: Fault = (world, random, victim) => {
  const left = victim ?? target(world, random)
  const right = random.pick(world.nodes.filter((node) => node !== left))
  const length = duration(random)
  const networks = random.chance(0.7) ? [0, 1] : [0]
  const oneWay = random.chance(0.4)
  world.fault(oneWay ? 'one-way cut' : 'pair cut', left, `to ${right.id} ${length.toFixed(0)} ms, networks ${networks.join()}`)
  cut(
    world,
    networks.flatMap((network) => [[network, left.index, right.index] as const, ...(oneWay ? [] : [[network, right.index, left.index] as const])]),
    length,
  )
}

const oneWayIsolation: Fault = (world, random) => {
  const node = target(world, random)
  const length = duration(random)
  const outward = random.chance(0.5)
  world.fault('one-way isolation', node, `${outward ? 'sends nothing' : 'receives nothing'} ${length.toFixed(0)} ms`)
  cut(
    world,
    [0, 1].flatMap((network) =>
      world.nodes
        .filter((peer) => peer !== node)
        .map((peer) => (outward ? ([network, node.index, peer.index] as const) : ([network, peer.index, node.index] as const))),
    ),
    length,
  )
}

const badLinks: Fault = (world, random) => {
  const length = duration(random)
  const loss = random.chance(0.5) ? random.between(0.05, 0.7) : 0
  const extra = loss === 0 || random.chance(0.3) ? random.pick([20, 100, 400, 900]) : 0
  const node = random.chance(0.6) ? target(world, random) : null
  world.fault(loss > 0 ? 'loss' : 'delay', node, `loss ${loss.toFixed(2)} delay ${extra} for ${length.toFixed(0)} ms`)
  const links = [0, 1].flatMap((network) =>
    world.nodes.flatMap((from) =>
      world.nodes.filter((to) => to !== from && (node === null || from === node || to === node)).map((to) => world.network.link(network, from.index, to.index)),
    ),
  )
  for (const link of links) {
    link.loss = Math.min(0.9, link.loss + loss)
    link.extraDelay += extra
  }
  world.queue.after(length, () => {
    for (const link of links) {
      link.loss = Math.max(0, link.loss - loss)
      link.extraDelay = Math.max(0, link.extraDelay - extra)
    }
  })
}

const storeOutage: Fault = (world, random) => {
  const length = duration(random) * random.pick([1, 2])
  world.fault('store outage', null, `${length.toFixed(0)} ms`)
  world.store.down++
  world.queue.after(length, () => world.store.down--)
}

function cutStore(world: World, node: SimNode, length: number): void {
  const { storeCut } = world
  storeCut[node.index] = (storeCut[node.index] ?? 0) + 1
  world.queue.after(length, () => {
    storeCut[node.index] = Math.max(0, (storeCut[node.index] ?? 0) - 1)
  })
}

const storeCutOne: Fault = (world, random, victim) => {
  const node = victim ?? target(world, random)
  const length = duration(random)
  world.fault('store cut for one node', node, `${length.toFixed(0)} ms`)
  cutStore(world, node, length)
}

const storeSlow: Fault = (world, random) => {
  const length = duration(random)
  const slow = random.pick([100, 400, 1500])
  world.fault('store slow', null, `${slow} ms for ${length.toFixed(0)} ms`)
  world.store.slow += slow
  world.queue.after(length, () => {
    world.store.slow = Math.max(0, world.store.slow - slow)
  })
}

const storeLeader: Fault = (world, random) => {
  world.fault('store leader change', null)
  world.store.changeLeader(random.between(20, 1500))
}

function healDisk(world: World, node: SimNode): void {
  node.disk.hungUntil = world.queue.now
  for (const instance of world.instancesOf(node)) world.agent(node)?.sick(instance.group, null)
}

const disk: Fault = (world, random, victim) => {
  const node = victim ?? target(world, random)
  const length = duration(random)
  if (random.chance(0.5)) {
    world.fault('disk slow', node, `${length.toFixed(0)} ms`)
    node.disk.latency = random.between(20, 400)
    world.queue.after(length, () => {
      node.disk.latency = 1
    })
    return
  }
  world.fault('disk hung', node, `${length.toFixed(0)} ms`)
  const { boot } = node
  node.disk.hungUntil = world.queue.now + length
  const until = node.disk.hungUntil
  world.queue.after(1500, () => {
    if (node.boot === boot && node.disk.hungUntil === until && until > world.queue.now)
      for (const instance of world.instancesOf(node)) world.agent(node)?.sick(instance.group, 'a write did not return within 1.5 s')
  })
  world.queue.after(length, () => {
    if (node.boot === boot && node.disk.hungUntil === until) healDisk(world, node)
  })
}

const wallJump: Fault = (world, random) => {
  const node = target(world, random)
  const jump = random.pick([-3_600_000, -5000, 5000, 3_600_000])
  world.fault('wall clock jump', node, `${jump} ms`)
  node.wallOffset += jump
}

const move: Fault = (world, random) => {
  const config = random.pick(world.groups)
  const record = world.record(config.name)
  const stale = random.chance(0.15)
  const request: OperatorRequest = {
    id: `r${world.nextRequest()}`,
    group: config.name,
    kind: 'move',
    to: random.pick(config.nodes),
    by: 'operator',
    reason: 'test',
    epoch: stale ? record.epoch - 1 : record.epoch,
    owner: record.owner,
    expiresWallMs: 1_700_000_000_000 + world.queue.now + (random.chance(0.1) ? -1000 : 10_000),
  }
  world.fault(stale ? 'move asked, stale' : 'move asked', null, `${config.name} to ${request.to}`)
  if (world.store.down === 0) putRequest(world, config.name, request)
}

function putRequest(world: World, group: GroupId, request: OperatorRequest): void {
  world.store.apply({ by: request.owner, compares: [], puts: [{ key: `requests/${group}`, value: JSON.stringify(request) }], deletes: [] })
}

function setPaused(world: World, node: SimNode, paused: boolean): void {
  const key = `nodes/${node.id}`
  const value = JSON.stringify({ ...node.config, paused })
  if (world.store.entries.get(key)?.value !== value) world.store.apply({ by: node.id, compares: [], puts: [{ key, value }], deletes: [] })
}

const pause: Fault = (world, random) => {
  const node = target(world, random)
  world.fault('node paused', node)
  setPaused(world, node, true)
  world.queue.after(duration(random), () => setPaused(world, node, false))
}

const split: Fault = (world, random) => {
  const sides = world.nodes.map(() => random.chance(0.5))
  const length = duration(random)
  world.fault('partition', null, `${sides.map((side) => (side ? 'a' : 'b')).join('')} ${length.toFixed(0)} ms`)
  const links = [0, 1].flatMap((network) =>
    world.nodes.flatMap((from) => world.nodes.filter((to) => sides[from.index] !== sides[to.index]).map((to) => [network, from.index, to.index] as const)),
  )
  cut(world, links, length)
}

const weighted: readonly (readonly [weight: number, fault: Fault])[] = [
  [10, crash],
  [7, killAgent],
  [7, crashPostgres],
  [8, freeze],
  [7, isolate],
  [7, cutPair],
  [4, oneWayIsolation],
  [4, split],
  [6, badLinks],
  [5, storeOutage],
  [5, storeCutOne],
  [4, storeSlow],
  [4, storeLeader],
  [6, disk],
  [2, wallJump],
  [8, move],
  [1, pause],
]
const totalWeight = weighted.reduce((sum, [weight]) => sum + weight, 0)

function pickWeighted(random: Random): readonly [number, Fault] {
  let left = random.below(totalWeight)
  for (const entry of weighted) {
    if (left < entry[0]) return entry
    left -= entry[0]
  }
  throw new Error('unreachable')
}
