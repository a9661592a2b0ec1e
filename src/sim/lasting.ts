import { votes } from '../cluster/node.ts'
import type { GroupConfig } from '../groups/group.ts'
import type { OwnershipRecord } from '../groups/ownership.ts'
import type { SimNode } from './node.ts'
import type { Random } from './random.ts'
import { Violation } from './trace.ts'
import type { World } from './world.ts'

/** Service must be back so long after a single fault that does not end. Freezes and hung disks included. */
const serviceBackMs = 12_000
/** After so long a node that is cut off from the store has no session in it any more. */
const sessionOverMs = 4000
/** A group serves when a write was acknowledged within the last so many ms. */
const servedWithinMs = 2000
const probeFailsMs = 1500

interface Stricken {
  readonly world: World
  readonly random: Random
  readonly owner: SimNode
  readonly passive: SimNode
  readonly bystander: SimNode
}

type LastingFault = (stricken: Stricken) => void

/** One fault that stays, on the owner of a group or beside it. Each leaves a majority of voters connected, so service has to come back while it lasts. */
const lasting: Readonly<Record<string, LastingFault>> = {
  'owner without power': ({ world, owner }) => world.powerOff(owner),
  'owner cut off': ({ world, owner }) => cutNode(world, owner, [0, 1], 'both'),
  'owner cut off on the private network, and from the store': ({ world, owner }) => {
    cutNode(world, owner, [0], 'both')
    cutStore(world, owner)
  },
  'owner cut off on the private network': ({ world, owner }) => cutNode(world, owner, [0], 'both'),
  'owner cut off on the public network': ({ world, owner }) => cutNode(world, owner, [1], 'both'),
  'owner hears nothing': ({ world, owner }) => {
    cutNode(world, owner, [0, 1], 'in')
    world.storeDeaf[owner.index] = 1
  },
  'owner is not heard': ({ world, owner }) => {
    cutNode(world, owner, [0, 1], 'out')
    cutStore(world, owner)
  },
  'owner and passive cut apart': ({ world, owner, passive }) => cutPair(world, owner, passive, [0, 1]),
  'owner and passive cut apart on the private network': ({ world, owner, passive }) => cutPair(world, owner, passive, [0]),
  'owner and bystander cut apart': ({ world, owner, bystander }) => cutPair(world, owner, bystander, [0, 1]),
  'owner without the store': ({ world, owner }) => cutStore(world, owner),
  'passive without the store': ({ world, passive }) => cutStore(world, passive),
  'passive without the store, then postgres of the owner crashes': ({ world, owner, passive }) => {
    cutStore(world, passive)
    world.queue.after(sessionOverMs, () => {
      for (const instance of world.instancesOf(owner)) instance.crash('process', 'crashed')
    })
  },
  'store stopped': ({ world }) => {
    world.store.stopped = true
  },
  'owner frozen': ({ owner }) => owner.freeze(['guardian', 'agent', 'postgres']),
  'agent of the owner killed': ({ world, owner }) => world.killAgent(owner),
  'agent of the owner frozen': ({ owner }) => owner.freeze(['agent']),
  'agent of the passive killed': ({ world, passive }) => world.killAgent(passive),
  'passive without power': ({ world, passive }) => world.powerOff(passive),
  'passive frozen': ({ passive }) => passive.freeze(['guardian', 'agent', 'postgres']),
  'disk of the owner hung': ({ world, owner }) => {
    owner.disk.hungUntil = Number.MAX_SAFE_INTEGER
    probeFails(world, owner)
  },
  'postgres of the owner frozen': ({ world, owner }) => freezePostgres(world, owner),
  'postgres of the passive frozen': ({ world, passive }) => freezePostgres(world, passive),
  'bystander without power': ({ world, bystander }) => world.powerOff(bystander),
}

/** Lets one lasting fault strike a quiet world, waits, and demands service from every group whose nodes it concerns. */
export function sufferLasting(world: World, random: Random, at: number): void {
  while (world.queue.step(at));
  const group = random.pick(world.groups)
  const record = world.record(group.name)
  const owner = nodeOf(world, record)
  const passive = world.nodes.find((node) => node !== owner && group.nodes.includes(node.id))
  const bystander = world.nodes.find((node) => node !== owner && node !== passive)
  if (passive === undefined || bystander === undefined) return
  const [name, strike] = random.pick(Object.entries(lasting))
  world.fault(`lasting: ${name}`, owner)
  strike({ world, random, owner, passive, bystander })
  while (world.queue.step(at + serviceBackMs));
  for (const each of world.groups) {
    const problem = unserved(world, each)
    if (problem !== null) throw new Violation(4, `${serviceBackMs} ms after "${name}" and while it lasts: ${problem}`)
  }
}

export const canSufferLasting = (world: World): boolean => world.nodes.filter((node) => votes(node.config.role)).length > 2

function unserved(world: World, group: GroupConfig): string | null {
  const record = world.record(group.name)
  const owner = nodeOf(world, record)
  if (record.state !== 'online') return `${group.name} is ${record.state}`
  if (group.addresses.length > 0 && world.publicCuts(owner) > 0) return `${group.name} is owned by ${owner.id}, which no client reaches`
  if (group.kind === 'server') {
    const service = world.serviceOf(owner, group.name)
    return service?.kind === 'serving' && service.epoch === record.epoch ? null : `${group.name} is not served by ${owner.id}`
  }
  const ago = world.queue.now - (world.lastAcknowledged.get(group.name) ?? 0)
  return ago <= servedWithinMs ? null : `${group.name} (owner ${owner.id}, epoch ${record.epoch}) has acknowledged nothing for ${ago.toFixed(0)} ms`
}

function freezePostgres(world: World, node: SimNode): void {
  node.freeze(['postgres'])
  probeFails(world, node)
}

/** The probe of a copy is a real write and read: it finds out. */
function probeFails(world: World, node: SimNode): void {
  world.queue.after(probeFailsMs, () => {
    for (const instance of world.instancesOf(node)) world.agent(node)?.sick(instance.group, 'a write did not return in time')
  })
}

const nodeOf = (world: World, record: OwnershipRecord): SimNode => world.nodes.find((node) => node.id === record.owner) as SimNode

function cutStore(world: World, node: SimNode): void {
  world.storeCut[node.index] = (world.storeCut[node.index] ?? 0) + 1
}

function cutNode(world: World, node: SimNode, networks: readonly number[], direction: 'in' | 'out' | 'both'): void {
  for (const network of networks)
    for (const peer of world.nodes) {
      if (peer === node) continue
      if (direction !== 'out') world.network.link(network, peer.index, node.index).cuts++
      if (direction !== 'in') world.network.link(network, node.index, peer.index).cuts++
    }
  if (networks.includes(1)) world.cutPublic(node, 1)
}

function cutPair(world: World, left: SimNode, right: SimNode, networks: readonly number[]): void {
  for (const network of networks) {
    world.network.link(network, left.index, right.index).cuts++
    world.network.link(network, right.index, left.index).cuts++
  }
}
