import type { EventQueue } from './event-queue.ts'
import type { Random } from './random.ts'

/** Conditions of one direction between two nodes on one network. */
export interface Link {
  /** Number of faults that cut it at present. */
  cuts: number
  /** ms added to every delivery. */
  extraDelay: number
  loss: number
}

/** Networks between nodes: datagrams may be lost, delayed, doubled and reordered; each direction of each network fails by itself. */
export class SimNetwork {
  readonly names: readonly string[]
  sent = 0
  private readonly queue: EventQueue
  private readonly random: Random
  private readonly links: Link[][][]
  private readonly baseDelay: number
  duplicate = 0.002

  constructor(queue: EventQueue, random: Random, names: readonly string[], nodes: number) {
    this.queue = queue
    this.random = random
    this.names = names
    this.baseDelay = random.pick([0.05, 0.2, 1, 5])
    this.links = names.map(() => Array.from({ length: nodes }, () => Array.from({ length: nodes }, () => ({ cuts: 0, extraDelay: 0, loss: 0 }))))
  }

  link(network: number, from: number, to: number): Link {
    return this.links[network]?.[from]?.[to] as Link
  }

  up(network: number, from: number, to: number): boolean {
    return from === to || this.link(network, from, to).cuts === 0
  }

  /** Can a request and its answer pass on some network? */
  any(from: number, to: number): boolean {
    return this.names.some((_, network) => this.up(network, from, to))
  }

  anyBothWays(left: number, right: number): boolean {
    return this.names.some((_, network) => this.up(network, left, right) && this.up(network, right, left))
  }

  delay(network: number, from: number, to: number): number {
    const base = this.baseDelay * (1 + this.random.next())
    // Rarely a packet takes far longer than usual: switches queue, kernels are busy.
    const spike = this.random.chance(0.003) ? this.random.between(5, 60) : 0
    return base + spike + (from === to ? 0 : this.link(network, from, to).extraDelay * (0.5 + this.random.next()))
  }

  datagram(network: number, from: number, to: number, deliver: () => void): void {
    this.sent++
    const link = this.link(network, from, to)
    if (link.cuts > 0 || (link.loss > 0 && this.random.chance(link.loss))) return
    this.queue.after(this.delay(network, from, to), deliver)
    if (this.random.chance(this.duplicate)) this.queue.after(this.delay(network, from, to) + this.random.between(0, 300), deliver)
  }

  heal(): void {
    for (const network of this.links) for (const row of network) for (const link of row) Object.assign(link, { cuts: 0, extraDelay: 0, loss: 0 })
  }
}
