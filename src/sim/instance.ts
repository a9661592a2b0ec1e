import type { NodeId } from '../cluster/node.ts'
import type { GroupId } from '../groups/group.ts'
import type { InstanceState } from '../replication/instance.ts'
import { type Lsn, lsn } from '../replication/lsn.ts'
import type { SimNode } from './node.ts'
import type { World } from './world.ts'
import { WalReceiver } from './wal-receiver.ts'

/** Bytes of log that one entry stands for. */
const entryBytes = 8192n
export const lsnOf = (position: number): Lsn => lsn(BigInt(position) * entryBytes)

/** A commit that a client asked for. `outcome` is what the client was told. */
export interface Write {
  readonly id: number
  readonly insertedAt: number
  readonly epoch: number
  acknowledged: boolean
  shown: boolean
  readonly answer: (ok: boolean) => void
}

export interface StandbyRow {
  streaming: boolean
  flush: number
}

type Running = 'none' | 'starting' | 'standby' | 'promoting' | 'primary'

/**
 * One copy of a storage group: a PostgreSQL instance at the level of what the cluster service can do to it and see of it.
 * The log is a list of entry numbers; an entry is written once, after one certain predecessor, so two logs that agree at a
 * position agree before it. What is on disk outlives a crash of the node; what was only written does not.
 */
export class SimInstance {
  readonly world: World
  readonly node: SimNode
  readonly group: GroupId
  // On disk.
  present = false
  systemId = ''
  wasPrimary = false
  log: number[] = []
  flushed = 0
  epoch = 0
  timeline = 1
  upstream: NodeId | null = null
  failure: string | null = null
  // Of the process.
  running: Running = 'none'
  /** Grows whenever the process starts, ends or changes its role. */
  incarnation = 0
  gate: 'open' | 'closed' = 'closed'
  /** What commits wait for in truth; while a change is on its way, some wait for the old set and some for the new. */
  inForce: readonly NodeId[] = []
  coming: readonly NodeId[] | null = null
  /** What `setSynchronous` has proven. */
  proven: readonly NodeId[] = []
  synchronousSince = 0
  tail: number | null = null
  /** Log position up to which commits are visible to readers. */
  visible = 0
  quiesced: { target: NodeId; position: number } | null = null
  readonly standbys = new Map<NodeId, StandbyRow>()
  readonly receivers = new Set<WalReceiver>()
  receiver: WalReceiver | null = null
  private readonly waiting: { position: number; write: Write }[] = []
  private flushing = false
  private syncChange = 0

  constructor(world: World, node: SimNode, group: GroupId) {
    this.world = world
    this.node = node
    this.group = group
  }

  get serving(): boolean {
    return this.running === 'primary' && this.gate === 'open'
  }

  state(): InstanceState {
    if (!this.present) return { kind: 'absent' }
    if (this.running === 'standby' || this.running === 'promoting')
      return {
        kind: 'standby',
        systemId: this.systemId,
        upstream: this.upstream,
        streaming: this.receiver?.connected === true,
        receivedLsn: lsnOf(this.flushed),
        replayedLsn: lsnOf(this.flushed),
        timeline: this.timeline,
      }
    if (this.running === 'primary')
      return {
        kind: 'primary',
        systemId: this.systemId,
        epoch: this.epoch,
        gate: this.gate,
        synchronous: this.proven,
        configured: this.coming ?? this.inForce,
        synchronousSince: lsnOf(this.synchronousSince),
        tailLsn: this.tail === null ? null : lsnOf(this.tail),
        currentLsn: lsnOf(this.flushed),
        timeline: this.timeline,
        standbys: [...this.standbys].map(([node, row]) => ({ node, streaming: row.streaming, flushLsn: lsnOf(row.flush) })),
        quiesced: this.quiesced === null ? null : { target: this.quiesced.target, lsn: lsnOf(this.quiesced.position) },
      }
    return { kind: 'stopped', systemId: this.systemId, wasPrimary: this.wasPrimary, ...(this.failure === null ? {} : { failure: this.failure }) }
  }

  /** The process ends, whatever it was doing. `power`: the machine with it, so that what was not flushed is gone. */
  crash(how: 'power' | 'process', why: string): void {
    if (this.running === 'none') return
    this.world.note(this.node, `${this.group} postgres ends: ${why} (${this.running}, log ${this.log.length}, flushed ${this.flushed})`)
    const kept = how === 'power' ? this.flushed : this.flushed + this.world.random.below(this.log.length - this.flushed + 1)
    this.log.length = kept
    this.flushed = kept
    this.changeRole('none')
    for (const { write } of this.waiting.splice(0)) write.answer(false)
    this.world.instanceExited(this)
  }

  private changeRole(role: Running): void {
    this.running = role
    this.incarnation++
    this.receiver?.close()
    this.receiver = null
    for (const receiver of [...this.receivers]) receiver.upstreamEnded()
    this.receivers.clear()
    this.standbys.clear()
    this.gate = 'closed'
    this.quiesced = null
    this.coming = null
    this.flushing = false
    this.syncChange++
  }

  /** Runs `task` as this process, unless it has ended or changed its role meanwhile. */
  later(delay: number, task: () => void): void {
    const incarnation = this.incarnation
    this.node.after('postgres', delay, () => {
      if (this.incarnation === incarnation) task()
    })
  }

  initialize(epoch: number, systemId: string): void {
    Object.assign(this, { present: true, systemId, wasPrimary: true, log: [this.world.nextEntry()], flushed: 1, timeline: 1, failure: null })
    this.becomePrimary(epoch, [], null)
    this.gate = 'open'
  }

  /** Starts what was a primary as one again, its gate closed. */
  startPrimary(epoch: number, synchronous: readonly NodeId[]): void {
    const tail = this.log.length
    this.world.onMoment('restart', this.node)
    this.log.push(this.world.nextEntry())
    this.becomePrimary(epoch, synchronous, tail)
    this.flush()
  }

  private becomePrimary(epoch: number, synchronous: readonly NodeId[], tail: number | null): void {
    this.changeRole('primary')
    this.wasPrimary = true
    this.epoch = epoch
    this.inForce = synchronous
    this.proven = synchronous
    this.tail = tail
    this.synchronousSince = this.log.length
    this.visible = this.log.length
  }

  startStandby(upstream: NodeId): void {
    this.wasPrimary = false
    this.failure = null
    this.upstream = upstream
    this.changeRole('standby')
    this.connect()
  }

  follow(upstream: NodeId): void {
    this.upstream = upstream
    this.receiver?.close()
    this.receiver = null
    this.connect()
  }

  private connect(): void {
    this.receiver = new WalReceiver(this)
    this.receiver.start()
  }

  /** The walreceiver ends here: nothing that is written at the old active from now on reaches this copy. */
  beginPromotion(epoch: number): void {
    this.world.promotionBegins(this, epoch)
    this.changeRole('promoting')
  }

  finishPromotion(epoch: number): void {
    this.timeline++
    this.log.push(this.world.nextEntry())
    this.flushed = this.log.length
    this.becomePrimary(epoch, [], null)
    this.gate = 'open'
    this.world.checkers.becameActive(this)
  }

  /** The setting is written and signalled; each backend and walsender takes it up in its own time. */
  changeSynchronous(nodes: readonly NodeId[], inForceAfter: number): void {
    const change = ++this.syncChange
    this.world.onMoment('setting', this.node)
    if (this.coming !== null) this.inForce = this.inForce.filter((node) => this.coming?.includes(node))
    this.coming = nodes
    this.proven = this.proven.filter((node) => nodes.includes(node))
    this.later(inForceAfter, () => {
      if (this.syncChange !== change) return
      this.inForce = nodes
      this.coming = null
      this.release()
    })
  }

  proveSynchronous(nodes: readonly NodeId[]): boolean {
    if (this.running !== 'primary' || this.coming !== null || !same(this.inForce, nodes)) return false
    this.proven = nodes
    this.synchronousSince = this.log.length
    return true
  }

  /** A new cluster service knows nothing that only its predecessor had proven; a tail to be confirmed is at most what is there now. */
  adopted(): void {
    this.proven = []
    if (this.running === 'primary' && this.gate === 'closed') this.tail = this.log.length
    this.quiesced = null
  }

  insert(write: Write): void {
    this.log.push(write.id)
    this.waiting.push({ position: this.log.length, write })
    this.flush()
  }

  /** One flush at a time; commits that come meanwhile share the next one. */
  flush(): void {
    if (this.flushing || this.flushed >= this.log.length) return
    this.flushing = true
    const upTo = this.log.length
    this.world.diskWrite(this, () => {
      this.flushing = false
      this.flushed = Math.max(this.flushed, upTo)
      for (const receiver of this.receivers) receiver.pump()
      this.release()
      this.receiver?.flushedUpTo(this.flushed)
      this.flush()
    })
  }

  /** Ends the wait of each commit that has reached everyone it waits for, in log order. */
  release(): void {
    if (this.running !== 'primary') return
    let position = this.flushed
    const set = this.coming !== null && this.world.random.chance(0.5) ? this.coming : this.inForce
    for (const node of set) {
      const row = this.standbys.get(node)
      position = Math.min(position, row?.streaming === true ? row.flush : 0)
    }
    if (position <= this.visible) return
    this.visible = position
    while (this.waiting.length > 0 && (this.waiting[0]?.position ?? 0) <= position) {
      const next = this.waiting.shift()
      if (next !== undefined) this.world.acknowledge(this, next.write, next.position)
    }
  }

  hasPrefixOf(other: SimInstance): boolean {
    return this.log.length <= other.flushed && (this.log.length === 0 || other.log[this.log.length - 1] === this.log[this.log.length - 1])
  }

  /** First position at which the logs differ. */
  forkWith(other: SimInstance): number {
    let low = 0
    let high = Math.min(this.log.length, other.log.length)
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.log[middle - 1] === other.log[middle - 1]) low = middle
      else high = middle - 1
    }
    return low
  }
}

const same = (left: readonly NodeId[], right: readonly NodeId[]): boolean => left.length === right.length && left.every((node) => right.includes(node))
