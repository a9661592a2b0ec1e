import { monotonicMs } from '../../host/clock.ts'
import type { Supervisor } from '../../supervisor/supervisor.ts'

/** Runs the supervisor: at once after an input, otherwise when it is due. Inputs of one turn are folded in together. */
export class Loop {
  private readonly supervisor: Supervisor
  private readonly afterStep: () => void
  private timer: NodeJS.Timeout | null = null
  private scheduled = false
  private running = true

  constructor(supervisor: Supervisor, afterStep: () => void) {
    this.supervisor = supervisor
    this.afterStep = afterStep
  }

  /** Something came in. */
  poke(): void {
    if (this.scheduled || !this.running) return
    this.scheduled = true
    setImmediate(() => this.step())
  }

  stop(): void {
    this.running = false
    if (this.timer !== null) clearTimeout(this.timer)
  }

  private step(): void {
    this.scheduled = false
    if (!this.running) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.supervisor.step(monotonicMs(), Date.now())
    this.afterStep()
    this.timer = setTimeout(() => this.poke(), Math.max(1, this.supervisor.nextWake() - monotonicMs()))
  }
}
