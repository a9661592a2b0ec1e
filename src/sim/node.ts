import type { NodeConfig, NodeId } from '../cluster/node.ts'
import type { EventQueue } from './event-queue.ts'

export type ProcessName = 'guardian' | 'agent' | 'postgres'

/** A machine: clocks, power, and which of its processes are stopped by a freeze. Work for a frozen process waits until the thaw. */
export class SimNode {
  readonly index: number
  readonly config: NodeConfig
  readonly id: NodeId
  up = false
  /** Grows with every boot: work begun before a crash is void. */
  boot = 0
  /** Local monotonic ms = offset + true ms x rate. */
  readonly clockOffset: number
  readonly clockRate: number
  wallOffset: number
  readonly disk = { latency: 1, hungUntil: 0 }
  thawedAt = Number.NEGATIVE_INFINITY
  /** Local monotonic ms until which its session lasts, as its renewals prove. Omniscient: kept across agents. */
  sessionDeadline = 0
  private readonly frozen: Record<ProcessName, number> = { guardian: 0, agent: 0, postgres: 0 }
  private backlog: { process: ProcessName; task: () => void }[] = []
  private readonly queue: EventQueue

  constructor(queue: EventQueue, index: number, config: NodeConfig, clock: { offset: number; rate: number; wallOffset: number }) {
    this.queue = queue
    this.index = index
    this.config = config
    this.id = config.id
    this.clockOffset = clock.offset
    this.clockRate = clock.rate
    this.wallOffset = clock.wallOffset
  }

  monotonic(trueTime = this.queue.now): number {
    return this.clockOffset + trueTime * this.clockRate
  }

  trueTime(monotonic: number): number {
    return (monotonic - this.clockOffset) / this.clockRate
  }

  wall(): number {
    return 1_700_000_000_000 + this.queue.now * this.clockRate + this.wallOffset
  }

  isFrozen(process: ProcessName): boolean {
    return this.frozen[process] > 0
  }

  runs(process: ProcessName): boolean {
    return this.up && !this.isFrozen(process)
  }

  /** Runs the task when the process next runs, in this life of the machine. */
  when(process: ProcessName, task: () => void): void {
    if (!this.up) return
    if (this.frozen[process] > 0) this.backlog.push({ process, task })
    else task()
  }

  after(process: ProcessName, delay: number, task: () => void): void {
    const boot = this.boot
    this.queue.after(delay, () => {
      if (this.boot === boot) this.when(process, task)
    })
  }

  freeze(processes: readonly ProcessName[]): void {
    for (const process of processes) this.frozen[process]++
  }

  thaw(processes: readonly ProcessName[]): void {
    if (!this.up) return
    for (const process of processes) if (this.frozen[process] > 0) this.frozen[process]--
    this.thawedAt = this.queue.now
    const waiting = this.backlog
    this.backlog = []
    for (const { process, task } of waiting) {
      if (this.frozen[process] > 0) this.backlog.push({ process, task })
      else this.after(process, 0.01, task)
    }
  }

  powerOn(): void {
    this.up = true
  }

  powerOff(): void {
    this.up = false
    this.boot++
    this.backlog = []
    this.frozen.guardian = 0
    this.frozen.agent = 0
    this.frozen.postgres = 0
    this.disk.hungUntil = 0
    this.disk.latency = 1
  }
}
