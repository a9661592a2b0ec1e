import { defaultLiveness, type Heartbeat, type HeartbeatPayload, Liveness, type LivenessPeer } from '../cluster/liveness.ts'
import type { GroupId } from '../groups/group.ts'
import type { GroupDeadline } from '../supervisor/ports.ts'
import type { SimNode } from './node.ts'
import type { World } from './world.ts'

/** How often the agent is told about the peers when nothing urgent happens. */
const tellEveryMs = 50

/** The guardian of one boot: sends and judges heartbeats with the real `Liveness`, and enforces the deadlines it was given last. */
export class SimGuardian {
  readonly node: SimNode
  private readonly world: World
  private readonly liveness: Liveness
  private readonly deadlines = new Map<GroupId, GroupDeadline>()
  private released: { group: string; epoch: number }[] = []
  private wakeDue = Number.POSITIVE_INFINITY
  private tellDue = Number.POSITIVE_INFINITY
  private lastAsks = 0
  private readonly urgency = new Map<string, string>()

  constructor(world: World, node: SimNode) {
    this.world = world
    this.node = node
    const now = node.monotonic()
    this.liveness = new Liveness({ ...defaultLiveness, self: node.id, boot: `${node.id}-${node.boot}` }, now)
    const peers: LivenessPeer[] = world.nodes
      .filter((peer) => peer !== node)
      .map((peer) => ({ node: peer.id, role: peer.config.role, addresses: peer.config.addresses }))
    this.liveness.setPeers(peers, now)
    this.wake()
    this.tell(tellEveryMs)
  }

  private later(delay: number, task: () => void): void {
    this.node.after('guardian', delay, task)
  }

  private wake(): void {
    const due = Math.max(this.world.queue.now + 0.05, this.node.trueTime(this.liveness.nextWake()))
    if (due >= this.wakeDue - 0.001) return
    this.wakeDue = due
    this.later(due - this.world.queue.now, () => {
      if (this.wakeDue > due) return
      this.wakeDue = Number.POSITIVE_INFINITY
      this.send()
    })
  }

  private send(): void {
    const { world, node } = this
    const before = this.judgement()
    const heartbeat = this.liveness.due(node.monotonic(), node.wall())
    if (heartbeat !== null) {
      for (const peer of world.nodes) {
        if (peer === node) continue
        for (let network = 0; network < world.network.names.length; network++)
          world.network.datagram(network, node.index, peer.index, () => {
            if (peer.up) peer.when('guardian', () => world.guardian(peer)?.receive(network, node, heartbeat))
          })
      }
    }
    const after = this.judgement()
    if (after !== '') world.checkers.judged(node, after.trim().split(' '))
    if (after !== before) this.tell(0.1)
    this.wake()
  }

  private judgement(): string {
    return this.liveness.judgement()
  }

  private receive(network: number, from: SimNode, heartbeat: Heartbeat): void {
    const { node, world } = this
    this.liveness.received(node.monotonic(), world.network.names[network] as string, from.id, heartbeat, node.wall())
    const payload = heartbeat.payload
    const said = `${heartbeat.silent.length} ${heartbeat.released.length} ${payload?.asks.length} ${payload?.promises.length} ${payload?.serving.length}`
    if (this.urgency.get(from.id) !== said) {
      this.urgency.set(from.id, said)
      this.tell(0.1)
    }
    this.wake()
  }

  private tell(delay: number): void {
    const due = this.world.queue.now + delay
    if (due >= this.tellDue - 0.001) return
    this.tellDue = due
    this.later(delay, () => {
      if (this.tellDue > due) return
      this.tellDue = Number.POSITIVE_INFINITY
      const agent = this.world.agent(this.node)
      const reports = this.liveness.report(this.node.monotonic())
      agent?.later(0.05, () => agent.peers(reports))
      this.tell(tellEveryMs)
    })
  }

  publish(payload: HeartbeatPayload): void {
    this.later(0.1, () => {
      const asks = payload.asks.length + payload.promises.length + payload.serving.length
      this.liveness.setPayload(payload, this.node.monotonic())
      if (asks !== this.lastAsks) this.liveness.hurry()
      this.lastAsks = asks
      this.wake()
    })
  }

  agentSeen(): void {
    if (!this.node.isFrozen('guardian')) this.liveness.agentSeen(this.node.monotonic())
  }

  /** The whole set each time. A message that was written before its sender died still arrives. */
  guard(deadlines: readonly GroupDeadline[]): void {
    this.later(0.1, () => {
      this.deadlines.clear()
      const now = this.node.monotonic()
      for (const entry of deadlines) {
        this.deadlines.set(entry.group, entry)
        if (entry.deadline === Number.POSITIVE_INFINITY) continue
        this.later(this.node.trueTime(Math.max(now, entry.deadline)) - this.world.queue.now + 0.01, () => this.enforce())
      }
      const held = this.released.filter((gone) => !deadlines.some((entry) => entry.group === gone.group && entry.deadline > now))
      if (held.length !== this.released.length) this.setReleased(held)
    })
  }

  private enforce(): void {
    const now = this.node.monotonic()
    for (const entry of [...this.deadlines.values()]) {
      if (entry.deadline > now) continue
      this.deadlines.delete(entry.group)
      this.world.takeDown(this.node, entry.group, 'its deadline has passed')
      this.setReleased([...this.released.filter((gone) => gone.group !== entry.group), { group: entry.group, epoch: entry.epoch }])
    }
  }

  private setReleased(released: { group: string; epoch: number }[]): void {
    this.released = released
    this.liveness.setReleased(released)
    this.wake()
  }
}
