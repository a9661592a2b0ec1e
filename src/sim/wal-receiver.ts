import type { SimInstance, StandbyRow } from './instance.ts'

const retryMs = 100
const keepTryingMs = 50

/** The network that replication uses. */
export const replicationNetwork = 0

/** One streaming connection of a standby to its upstream: ordered bytes over a link that may stall, end, or lead nowhere. */
export class WalReceiver {
  connected = false
  private readonly standby: SimInstance
  private upstream: SimInstance | null = null
  private row: StandbyRow | null = null
  private closed = false
  /** Grows with each connection: what an ended one still had on the way is not delivered. */
  private connection = 0
  private sent = 0
  private lastArrival = 0
  private lastReply = 0
  private toReport = 0
  private stuckSince: number | null = null
  private readonly breakAfterMs: number

  constructor(standby: SimInstance) {
    this.standby = standby
    this.breakAfterMs = standby.world.random.pick([300, 1000, 2000])
  }

  start(): void {
    this.standby.later(this.standby.world.random.between(1, retryMs), () => this.attempt())
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.connected = false
    const { upstream, row } = this
    if (upstream === null || row === null) return
    upstream.receivers.delete(this)
    // The other end learns of it at once if the link carries the packet, else by its own timeout.
    const told = (): void => {
      row.streaming = false
    }
    if (this.linkUp() && this.standby.node.up) upstream.later(this.delay(false), told)
    else upstream.later(this.breakAfterMs, told)
  }

  /** The process at the other end has ended. */
  upstreamEnded(): void {
    if (this.closed) return
    // A process that ends says so; a machine that loses power does not.
    const noticed = this.upstream?.node.up === true ? this.standby.world.random.between(0.1, 2) : this.breakAfterMs
    this.upstream = null
    this.row = null
    this.standby.later(noticed, () => this.reconnect())
  }

  private reconnect(): void {
    if (this.closed) return
    this.connected = false
    if (this.upstream !== null) {
      this.upstream.receivers.delete(this)
      const row = this.row
      if (row !== null) this.upstream.later(0, () => (row.streaming = false))
    }
    this.upstream = null
    this.row = null
    this.standby.later(retryMs, () => this.attempt())
  }

  private attempt(): void {
    if (this.closed) return
    const { standby } = this
    const upstream = standby.upstream === null ? undefined : standby.world.instance(standby.upstream, standby.group)
    const reachable =
      upstream !== undefined &&
      upstream !== standby &&
      upstream.node.runs('postgres') &&
      this.up(upstream) &&
      (upstream.running === 'primary' || upstream.running === 'standby')
    if (!reachable || !standby.hasPrefixOf(upstream)) return standby.later(retryMs, () => this.attempt())
    this.upstream = upstream
    this.connection++
    this.connected = true
    this.sent = standby.log.length
    this.row = { streaming: true, flush: standby.flushed }
    this.stuckSince = null
    standby.timeline = Math.max(standby.timeline, upstream.timeline)
    upstream.standbys.set(standby.node.id, this.row)
    upstream.receivers.add(this)
    this.toReport = standby.flushed
    this.pump()
    this.tick()
  }

  private up(upstream: SimInstance): boolean {
    const { network } = this.standby.world
    return (
      network.up(replicationNetwork, upstream.node.index, this.standby.node.index) &&
      network.up(replicationNetwork, this.standby.node.index, upstream.node.index)
    )
  }

  private linkUp(): boolean {
    return this.upstream !== null && this.up(this.upstream)
  }

  private delay(down: boolean): number {
    const { standby, upstream } = this
    const other = upstream?.node.index ?? standby.node.index
    return down
      ? standby.world.network.delay(replicationNetwork, other, standby.node.index)
      : standby.world.network.delay(replicationNetwork, standby.node.index, other)
  }

  /** Retransmission and timeout of the connection. */
  private tick(): void {
    const upstream = this.upstream
    if (this.closed || upstream === null) return
    const { queue } = this.standby.world
    if (this.linkUp() && this.standby.node.up) this.stuckSince = null
    else this.stuckSince ??= queue.now
    if (this.stuckSince !== null && queue.now - this.stuckSince > this.breakAfterMs) return this.reconnect()
    this.pump()
    this.flushedUpTo(this.standby.flushed)
    const { standby, connection } = this
    const incarnation = standby.incarnation
    queue.after(keepTryingMs, () => {
      if (standby.incarnation === incarnation && this.connection === connection && standby.node.up) this.tick()
    })
  }

  /** Sends what is flushed at the upstream and not sent yet. */
  pump(): void {
    const upstream = this.upstream
    if (this.closed || upstream === null || upstream.flushed <= this.sent || !this.linkUp() || !upstream.node.runs('postgres')) return
    const { connection } = this
    const entries = upstream.log.slice(this.sent, upstream.flushed)
    this.sent = upstream.flushed
    const { standby } = this
    const { queue } = standby.world
    this.lastArrival = Math.max(this.lastArrival, queue.now + this.delay(true))
    standby.later(this.lastArrival - queue.now, () => {
      if (this.closed || this.upstream !== upstream || this.connection !== connection) return
      for (const entry of entries) standby.log.push(entry)
      standby.flush()
    })
  }

  /** Tells the upstream how far this copy is safe. */
  flushedUpTo(position: number): void {
    const { upstream, row } = this
    if (this.closed || upstream === null || row === null || position <= this.toReport || !this.linkUp() || !this.standby.node.runs('postgres')) return
    this.toReport = position
    const { queue } = this.standby.world
    this.lastReply = Math.max(this.lastReply, queue.now + this.delay(false))
    upstream.later(this.lastReply - queue.now, () => {
      if (!row.streaming) return
      row.flush = position
      upstream.release()
    })
  }
}
