import type { ErrorCode } from '../../errors.ts'
import { errorRegister } from '../../errors.ts'
import type { ClusterEvent } from '../../supervisor/ports.ts'

export interface LastingTroubleOptions {
  readonly code: ErrorCode
  /** Shorter ones are part of every start and every failover. */
  readonly afterMs: number
  readonly tell: (event: ClusterEvent) => void
}

/** Tells of a trouble that is tried again by itself: once when it has lasted, with its remedy, and once when it is over. */
export class LastingTrouble {
  private readonly options: LastingTroubleOptions
  private readonly since = new Map<string, { readonly at: number; told: boolean }>()

  constructor(options: LastingTroubleOptions) {
    this.options = options
  }

  /**
   * @param what is troubled: an address, a listener
   * @param trouble what is wrong with it now; null when nothing is
   */
  look(what: string, trouble: string | null, now: number): void {
    const { code, afterMs, tell } = this.options
    const former = this.since.get(what)
    if (trouble === null) {
      this.since.delete(what)
      if (former?.told === true) tell({ level: 'info', code, group: null, message: `${what}: works again` })
      return
    }
    const state = former ?? { at: now, told: false }
    this.since.set(what, state)
    if (state.told || now - state.at < afterMs) return
    state.told = true
    tell({ level: 'error', code, group: null, message: `${what}: ${trouble}. ${errorRegister[code].remedy}` })
  }
}
