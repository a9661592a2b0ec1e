import type { PeerReport } from '../cluster/liveness.ts'
import type { GroupId } from '../groups/group.ts'
import { type Input, type Ports } from '../supervisor/ports.ts'
import { Supervisor } from '../supervisor/supervisor.ts'
import { InstanceOperations } from './instance-operations.ts'
import type { SimInstance } from './instance.ts'
import type { SimNode } from './node.ts'
import { simPorts } from './sim-ports.ts'
import { StoreSession } from './store-session.ts'
import type { World } from './world.ts'

/** One life of a cluster service: the real supervisor, with simulated ports. */
export class SimAgent {
  readonly world: World
  readonly node: SimNode
  readonly supervisor: Supervisor
  readonly session: StoreSession
  readonly operations: InstanceOperations
  alive = true
  private stepDue = Number.POSITIVE_INFINITY

  constructor(world: World, node: SimNode) {
    this.world = world
    this.node = node
    this.session = new StoreSession(this)
    this.operations = new InstanceOperations(this)
    const ports: Ports = simPorts(this)
    this.supervisor = new Supervisor({ self: node.id, timing: world.timing, startedAt: node.monotonic(), observeEveryMs: 100 }, ports)
    for (const instance of world.instancesOf(node)) instance.adopted()
    this.later(2, () => {
      for (const [group, state] of world.servicesOf(node)) this.input({ kind: 'service', group, state })
      for (const [group, held] of world.addressesOf(node)) this.input({ kind: 'addresses', group, held })
    })
    this.wake(0.1)
  }

  /** Runs as this process, in this life. */
  later(delay: number, task: () => void): void {
    this.node.after('agent', delay, () => {
      if (this.alive) task()
    })
  }

  input(input: Input): void {
    if (!this.alive) return
    this.supervisor.input(input)
    this.wake(0.05)
  }

  peers(reports: readonly PeerReport[]): void {
    this.input({ kind: 'peers', reports })
  }

  wake(delay: number): void {
    const due = this.world.queue.now + delay
    if (due >= this.stepDue - 0.001) return
    this.stepDue = due
    this.later(delay, () => {
      if (this.stepDue > due) return
      this.stepDue = Number.POSITIVE_INFINITY
      this.step()
    })
  }

  private step(): void {
    // Now and then the event loop is late.
    this.world.steps++
    this.supervisor.step(this.node.monotonic(), this.node.wall())
    if (!this.alive) return
    this.world.guardian(this.node)?.agentSeen()
    const wait = this.node.trueTime(this.supervisor.nextWake()) - this.world.queue.now
    this.wake(Math.max(0.2, wait) + (this.world.random.chance(0.002) ? this.world.random.between(1, 80) : 0))
  }

  instanceExited(instance: SimInstance): void {
    const asOf = this.node.monotonic()
    const state = instance.state()
    this.later(this.world.random.between(0.3, 3), () => this.input({ kind: 'instance', group: instance.group, state, asOf, exit: true }))
  }

  sick(group: GroupId, why: string | null): void {
    this.later(1, () => this.input({ kind: 'sick', group, why }))
  }

  kill(): void {
    this.alive = false
    this.session.end()
  }
}
