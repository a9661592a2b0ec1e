import type { NodeId, NodeRole } from './node.ts'

/** One copy of a storage group (or one node of a server), as its own node tells it in heartbeats. Log positions are text, `X/Y`. */
export interface CopyReport {
  readonly group: string
  /** The epoch of the ownership record that the node knows. */
  readonly epochSeen: number
  readonly state: 'standby' | 'primary' | 'stopped' | 'seeding' | 'rejoining' | 'failed' | 'absent'
  readonly streaming: boolean
  readonly upstream: NodeId | null
  readonly receivedLsn: string
  readonly replayedLsn: string
  readonly ready: boolean
}

/** What `handoffd` has the guardian say in its heartbeats. */
export interface HeartbeatPayload {
  readonly copies: readonly CopyReport[]
  /** Groups whose owner cannot reach the cluster database and asks for promises. */
  readonly asks: readonly { readonly group: string; readonly epoch: number }[]
  /** "I do not take this group over in this epoch before `ms` from now"; `seq` is the number of the heartbeat that asked. */
  readonly promises: readonly { readonly group: string; readonly epoch: number; readonly to: NodeId; readonly seq: number; readonly ms: number }[]
  readonly serving: readonly { readonly group: string; readonly epoch: number }[]
}

/** The body of a heartbeat. */
export interface Heartbeat {
  readonly from: NodeId
  /** Random, made at the guardian's start. */
  readonly boot: string
  readonly seq: number
  readonly sentWallMs: number
  /** What was heard last from each peer: it proves that this heartbeat was sent after that one. */
  readonly echo: Readonly<Record<string, { readonly boot: string; readonly seq: number }>>
  /** The sender's own judgement. */
  readonly silent: readonly NodeId[]
  /** Ms since the sender heard each peer on each network. */
  readonly heardMs: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Ms since handoffd last spoke to this guardian; null when it never did. */
  readonly agentAgeMs: number | null
  readonly payload: HeartbeatPayload | null
  /** Groups that this guardian itself has taken down because their deadline had passed. */
  readonly released: readonly { readonly group: string; readonly epoch: number }[]
}

export interface LivenessPeer {
  readonly node: NodeId
  readonly role: NodeRole
  /** Address by network. */
  readonly addresses: Readonly<Record<string, string>>
}

export interface LivenessOptions {
  readonly self: NodeId
  readonly boot: string
  readonly intervalMs: number
  /** Intervals without a datagram before a peer counts as silent. */
  readonly threshold: number
  /** The most by which lateness seen lately can widen the threshold. */
  readonly capMs: number
  /** Lateness seen counts half after so long. */
  readonly halfLifeMs: number
  /** A wake that comes so much later than planned means that this node itself was not running. */
  readonly ownPauseMs: number
}

export const defaultLiveness = { intervalMs: 100, threshold: 5, capMs: 1000, halfLifeMs: 30_000, ownPauseMs: 250 } as const

export interface PeerReport {
  readonly node: NodeId
  readonly boot: string | null
  readonly silent: boolean
  /** Ms since the last datagram on any network (or since this guardian's start). */
  readonly silentForMs: number
  readonly networks: Readonly<Record<string, { readonly heardMsAgo: number | null; readonly state: 'up' | 'unreachable'; readonly hearsUs: boolean | null }>>
  /** Its own judgement of others, and how old that is. */
  readonly itsSilent: readonly NodeId[]
  readonly itsJudgementAgeMs: number
  /** Ms since it heard each node on each network, at the time of its judgement. */
  readonly itsHeardMs: Heartbeat['heardMs']
  readonly payload: HeartbeatPayload | null
  readonly released: readonly { readonly group: string; readonly epoch: number }[]
  readonly agentAgeMs: number | null
  /** Its last sequence number heard here. */
  readonly lastSeq: number
  /** The number of ours that it says it heard last; null when it has not heard us. */
  readonly echoedSeq: number | null
  /** When this node sent its own recent sequence numbers that this peer's promises refer to (monotonic ms by number). */
  readonly sentAt: Readonly<Record<number, number>>
  readonly clockSkewMs: number | null
}

interface Heard {
  last: Heartbeat
  at: number
  skewMs: number
}

/** What became of a datagram: `fresh` counts as heard, `repeated` came on another network already, `stale` is a repetition or of a former boot. */
export type Reception = 'fresh' | 'repeated' | 'stale' | 'unknown'

interface PeerState {
  peer: LivenessPeer
  heard: Heard | null
  /** The last datagram by network that was newer than all before it on that network. */
  readonly byNetwork: Map<string, { readonly at: number; readonly seq: number }>
  /** Boots that have been followed by another one: a datagram of theirs is late or played back, unless it proves the contrary. */
  readonly formerBoots: Set<string>
  /** Our own last sequence number when the boot that counts now was taken for the peer's. */
  bootTakenAtSeq: number
  /** From when silence is counted if nothing comes: last datagram, our start, or the end of our own pause. */
  since: number
  lateMs: number
  lateAt: number
  silent: boolean
}

/**
 * Who is heard, by one node. Pure: time comes in as an argument (monotonic ms), datagrams go out as values. The guardian runs it in
 * production and the simulator runs the same code.
 *
 * A peer is silent when nothing fresh came from it on any network for `threshold` intervals plus the lateness seen lately.
 * The judgement is about the peer only while this node itself was running: after an own pause every peer gets a fresh threshold.
 */
export class Liveness {
  private readonly options: LivenessOptions
  private readonly peers = new Map<NodeId, PeerState>()
  private seq: number
  private nextSendAt: number
  private lastWake: number
  private plannedWake: number
  private judgementChanged = false
  /** When the last pause of this node itself ended. */
  private resumedAt: number
  private readonly sent = new Map<number, number>()
  private payload: HeartbeatPayload | null = null
  private agentAt: number | null = null
  private released: readonly { readonly group: string; readonly epoch: number }[] = []

  constructor(options: LivenessOptions, now: number) {
    this.options = options
    // Numbers of a former guardian of this machine are never used again, so a promise that echoes one cannot be taken for a later one's:
    // fewer than 1000 heartbeats are sent in a second.
    this.seq = Math.floor(now)
    this.nextSendAt = now
    this.lastWake = now
    this.resumedAt = now
    this.plannedWake = now + options.intervalMs
  }

  /** The whole set of peers; those that stay keep what was heard of them. */
  setPeers(peers: readonly LivenessPeer[], now: number): void {
    for (const id of [...this.peers.keys()]) if (!peers.some((peer) => peer.node === id)) this.peers.delete(id)
    for (const peer of peers) {
      const state = this.peers.get(peer.node)
      if (state !== undefined) state.peer = peer
      else if (peer.node !== this.options.self)
        this.peers.set(peer.node, {
          peer,
          heard: null,
          byNetwork: new Map(),
          formerBoots: new Set(),
          bootTakenAtSeq: 0,
          since: now,
          lateMs: 0,
          lateAt: now,
          silent: false,
        })
    }
  }

  /** What handoffd wants said; also the sign that it lives. */
  setPayload(payload: HeartbeatPayload, now: number): void {
    this.payload = payload
    this.agentAt = now
  }

  agentSeen(now: number): void {
    this.agentAt = now
  }

  setReleased(released: readonly { readonly group: string; readonly epoch: number }[]): void {
    this.released = released
    this.judgementChanged = true
  }

  /** Sends at once instead of at the next interval: something in the payload cannot wait. */
  hurry(): void {
    this.judgementChanged = true
  }

  received(now: number, network: string, from: NodeId, body: Heartbeat, wallMs: number): Reception {
    const state = this.peers.get(from)
    if (state === undefined) return 'unknown'
    this.wake(now)
    const former = state.heard?.last
    if (former?.boot !== body.boot) {
      if (former !== undefined && !this.isLaterBoot(state, body)) return 'stale'
      this.takeBoot(state, body.boot)
    }
    const sameBoot = former?.boot === body.boot
    const onNetwork = state.byNetwork.get(network)
    if (onNetwork !== undefined && sameBoot && body.seq <= onNetwork.seq) return 'stale'
    state.byNetwork.set(network, { at: now, seq: body.seq })
    const fresh = former === undefined || !sameBoot || body.seq > former.seq
    if (fresh) {
      const late = state.heard === null || !sameBoot ? 0 : now - Math.max(state.heard.at, this.resumedAt) - this.options.intervalMs
      if (!state.silent && late > this.lateness(state, now)) {
        state.lateMs = Math.min(late, this.options.capMs)
        state.lateAt = now
      }
      state.heard = { last: body, at: now, skewMs: body.sentWallMs - wallMs }
      state.since = now
    }
    this.judge(state, now)
    return fresh ? 'fresh' : 'repeated'
  }

  /** The heartbeat to send now to every peer on every network, or null when none is due. */
  due(now: number, wallMs: number): Heartbeat | null {
    this.wake(now)
    for (const state of this.peers.values()) this.judge(state, now)
    if (now < this.nextSendAt && !this.judgementChanged) return null
    this.judgementChanged = false
    if (now >= this.nextSendAt) this.nextSendAt = Math.max(this.nextSendAt + this.options.intervalMs, now + this.options.intervalMs / 2)
    this.seq += 1
    this.sent.set(this.seq, now)
    this.sent.delete(this.seq - 100)
    return {
      from: this.options.self,
      boot: this.options.boot,
      seq: this.seq,
      sentWallMs: wallMs,
      echo: Object.fromEntries([...this.peers].flatMap(([id, { heard }]) => (heard === null ? [] : [[id, { boot: heard.last.boot, seq: heard.last.seq }]]))),
      silent: [...this.peers.values()].filter((state) => state.silent).map((state) => state.peer.node),
      heardMs: Object.fromEntries(
        [...this.peers].map(([id, state]) => [id, Object.fromEntries([...state.byNetwork].map(([network, { at }]) => [network, Math.round(now - at)]))]),
      ),
      agentAgeMs: this.agentAt === null ? null : Math.round(now - this.agentAt),
      payload: this.payload,
      released: this.released,
    }
  }

  /** When something can change by itself: the next heartbeat, or the moment at which a peer becomes silent. */
  nextWake(): number {
    let wake = this.judgementChanged ? this.lastWake : this.nextSendAt
    for (const state of this.peers.values()) if (!state.silent) wake = Math.min(wake, this.silentAt(state))
    this.plannedWake = wake
    return wake
  }

  report(now: number): PeerReport[] {
    return [...this.peers.values()].map((state) => ({
      node: state.peer.node,
      boot: state.heard?.last.boot ?? null,
      silent: state.silent,
      silentForMs: now - state.since,
      networks: Object.fromEntries(Object.keys(state.peer.addresses).map((network) => [network, this.networkReport(state, network, now)])),
      itsSilent: state.heard?.last.silent ?? [],
      itsJudgementAgeMs: state.heard === null ? Number.MAX_SAFE_INTEGER : now - state.heard.at,
      itsHeardMs: state.heard?.last.heardMs ?? {},
      payload: state.heard?.last.payload ?? null,
      released: state.heard?.last.released ?? [],
      agentAgeMs: state.heard === null || state.heard.last.agentAgeMs === null ? null : state.heard.last.agentAgeMs + (now - state.heard.at),
      lastSeq: state.heard?.last.seq ?? 0,
      echoedSeq: state.heard === null ? null : this.echoIn(state.heard.last),
      sentAt: this.sentFor(state),
      clockSkewMs: state.heard?.skewMs ?? null,
    }))
  }

  /** The own judgement in a form that can be compared: who is silent. */
  judgement(): string {
    let text = ''
    for (const state of this.peers.values()) if (state.silent) text += `${state.peer.node} `
    return text
  }

  private sentFor(state: PeerState): Record<number, number> {
    const dates: Record<number, number> = {}
    for (const promise of state.heard?.last.payload?.promises ?? []) {
      const at = this.sent.get(promise.seq)
      if (promise.to === this.options.self && at !== undefined) dates[promise.seq] = at
    }
    return dates
  }

  private networkReport(state: PeerState, network: string, now: number): PeerReport['networks'][string] {
    const at = state.byNetwork.get(network)?.at
    const theirs = state.heard?.last.heardMs[this.options.self]
    const limit = this.thresholdMs(state, now)
    return {
      heardMsAgo: at === undefined ? null : now - at,
      state: at !== undefined && now - at < limit ? 'up' : 'unreachable',
      hearsUs: theirs === undefined ? null : (theirs[network] ?? Number.POSITIVE_INFINITY) < limit,
    }
  }

  /** Lateness that still counts: halved every half-life. */
  private lateness(state: PeerState, now: number): number {
    return state.lateMs * 2 ** (-(now - state.lateAt) / this.options.halfLifeMs)
  }

  private thresholdMs(state: PeerState, now: number): number {
    return this.options.threshold * this.options.intervalMs + Math.min(this.options.capMs, Math.max(0, this.lateness(state, now)))
  }

  /** The moment at which the peer becomes silent if nothing more comes. The lateness melts while it is waited for; two rounds find the moment to the microsecond. */
  private silentAt(state: PeerState): number {
    let at = state.since + this.thresholdMs(state, this.lastWake)
    for (let round = 0; round < 2; round += 1) at = state.since + this.thresholdMs(state, at)
    return at
  }

  /** The number of ours that a heartbeat says it was sent after; null when it does not know this guardian. */
  private echoIn(body: Heartbeat): number | null {
    const echo = body.echo[this.options.self]
    return echo?.boot === this.options.boot ? echo.seq : null
  }

  /**
   * Is a heartbeat of another boot than the peer's last one from after it, or a late one from before? It is from after it when it echoes
   * something that we sent after we heard that boot. Without such a proof a boot never seen may follow one that has gone silent.
   */
  private isLaterBoot(state: PeerState, body: Heartbeat): boolean {
    const echoed = this.echoIn(body)
    if (echoed !== null && echoed > state.bootTakenAtSeq) return true
    return state.silent && !state.formerBoots.has(body.boot)
  }

  /** The peer's guardian was started anew: its numbers begin anew on every network. */
  private takeBoot(state: PeerState, boot: string): void {
    if (state.heard !== null) state.formerBoots.add(state.heard.last.boot)
    state.formerBoots.delete(boot)
    const oldest = state.formerBoots.values().next().value
    if (state.formerBoots.size > 100 && oldest !== undefined) state.formerBoots.delete(oldest)
    state.byNetwork.clear()
    state.bootTakenAtSeq = this.seq
  }

  private judge(state: PeerState, now: number): void {
    const silent = now - state.since >= this.thresholdMs(state, now)
    if (silent === state.silent) return
    state.silent = silent
    this.judgementChanged = true
  }

  /** Was this node itself stopped? Then the gap says nothing about the others, and judging starts anew. */
  private wake(now: number): void {
    if (now - this.plannedWake > this.options.ownPauseMs && now - this.lastWake > this.options.ownPauseMs) {
      this.resumedAt = now
      for (const state of this.peers.values()) if (!state.silent) state.since = now
    }
    this.lastWake = now
    this.plannedWake = Math.max(this.plannedWake, now)
  }
}
