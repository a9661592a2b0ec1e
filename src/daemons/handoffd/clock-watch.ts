import type { PeerReport } from '../../cluster/liveness.ts'
import type { ClusterEvent } from '../../supervisor/ports.ts'

/** Heartbeats carry the sender's wall clock; delivery takes milliseconds, so this is no accident. */
const farMs = 2000

/** Tells once when a peer's clock is far from this node's, and once when it is near again. Nothing is decided by wall clocks. */
export class ClockWatch {
  private readonly far = new Set<string>()
  private readonly tell: (event: ClusterEvent) => void

  constructor(tell: (event: ClusterEvent) => void) {
    this.tell = tell
  }

  look(reports: readonly PeerReport[]): void {
    for (const { node, silent, clockSkewMs } of reports) {
      if (silent || clockSkewMs === null) continue
      const isFar = Math.abs(clockSkewMs) > (this.far.has(node) ? farMs / 2 : farMs)
      if (isFar === this.far.has(node)) continue
      const direction = clockSkewMs > 0 ? 'ahead of' : 'behind'
      const message = isFar
        ? `the clock of ${node} is ${(Math.abs(clockSkewMs) / 1000).toFixed(1)} s ${direction} this node's: set up time synchronisation (chrony) on both`
        : `the clock of ${node} agrees with this node's again`
      if (isFar) this.far.add(node)
      else this.far.delete(node)
      this.tell({ level: isFar ? 'warning' : 'info', code: 'CLOCK_SKEW', group: null, message })
    }
  }
}
