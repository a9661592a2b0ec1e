import { randomBytes } from 'node:crypto'
import { Liveness, defaultLiveness } from '../cluster/liveness.ts'
import { datagramKey, decodeHeartbeat, encodeHeartbeat } from '../heartbeat/datagram.ts'
import { HeartbeatSockets } from '../heartbeat/sockets.ts'
import { urgentHeartbeat, urgentPayload } from '../heartbeat/urgency.ts'
import { monotonicMs } from '../host/clock.ts'
import { Deadlines } from './deadlines.ts'
import { gone, killServing, removeAddresses } from './enforce.ts'
import {
  type Enforcement,
  type FromGuardian,
  type GuardedGroup,
  type GuardedPeer,
  type GuardianConfig,
  type GuardianTraffic,
  type ToGuardian,
  configMark,
} from './protocol.ts'

const reportEveryMs = 100
/** A killed process that is still there after this is told as a failure; the group is not released. */
const killedWithinMs = 2000
const retryMs = 500

type Expired = GuardedGroup & { readonly deadlineMs: number }
type Kills = ReturnType<typeof killServing>

export interface GuardianOutput {
  /** To the present handoffd, if there is one. */
  tell(message: FromGuardian): void
  log(event: string, fields?: Readonly<Record<string, unknown>>): void
  end(): void
}

/**
 * The guardian of one node: sends and judges heartbeats, and takes a group down when its deadline passes.
 *
 * Whatever wakes it, deadlines come first: after a freeze the datagrams in the sockets and the heartbeat that is due wait until
 * everything has been killed whose deadline passed meanwhile. So no heartbeat says "alive" of a node that serves beyond its deadline.
 */
export class Guardian {
  private readonly config: GuardianConfig
  private readonly output: GuardianOutput
  private readonly boot = randomBytes(9).toString('base64url')
  private readonly liveness: Liveness
  private readonly deadlines = new Deadlines()
  private readonly sockets: HeartbeatSockets
  private readonly key: ReturnType<typeof datagramKey>
  private readonly refused: Record<string, number> = {}
  private readonly saidByPeer = new Map<string, string>()
  private peers: readonly GuardedPeer[] = []
  private payloadSaid = ''
  private judgement = ''
  private timer: NodeJS.Timeout | null = null
  private turnPlanned = false
  private reportDue = 0
  private tooLargeSaid = false
  /** Groups whose deadline has passed and that are not down yet. */
  private takingDown = 0
  private ended = false

  constructor(config: GuardianConfig, output: GuardianOutput) {
    this.config = config
    this.output = output
    this.key = datagramKey(Buffer.from(config.heartbeatKey, 'hex'), config.cluster)
    this.liveness = new Liveness(
      { ...defaultLiveness, intervalMs: config.intervalMs, threshold: config.threshold, self: config.self, boot: this.boot },
      monotonicMs(),
    )
    this.sockets = new HeartbeatSockets({ own: config.own, port: config.port, onMessage: (network, message) => this.received(network, message) })
    this.plan()
  }

  /** May a watchdog be fed? */
  get wellKept(): boolean {
    return this.takingDown === 0 && this.deadlines.next() > monotonicMs()
  }

  greet(): void {
    this.output.tell({ type: 'welcome', boot: this.boot, pid: process.pid, mark: configMark(this.config) })
    this.report()
  }

  command(message: ToGuardian): void {
    this.enforce()
    if (this.ended) return
    const now = monotonicMs()
    this.liveness.agentSeen(now)
    switch (message.type) {
      case 'hello':
      case 'alive':
        return
      case 'peers':
        this.peers = message.peers
        this.liveness.setPeers(message.peers, now)
        break
      case 'payload': {
        this.liveness.setPayload(message.payload, now)
        const said = urgentPayload(message.payload)
        if (said !== this.payloadSaid) this.liveness.hurry()
        this.payloadSaid = said
        break
      }
      case 'deadlines': {
        const before = this.deadlines.releasedGroups
        this.deadlines.set(message.groups, now)
        if (this.deadlines.releasedGroups.length !== before.length) this.liveness.setReleased(this.deadlines.releasedGroups)
        this.enforce()
        break
      }
      case 'stop':
        this.end()
        this.output.end()
        return
    }
    this.turnSoon()
  }

  /** Guards something: then only handoffd ends this process. */
  get guards(): boolean {
    return this.takingDown > 0 || this.deadlines.size > 0
  }

  /** After a failure in the middle of a turn, which may have lost the timer. */
  goOn(): void {
    this.turnPlanned = false
    this.plan()
  }

  end(): void {
    this.ended = true
    if (this.timer !== null) clearTimeout(this.timer)
    this.sockets.close()
  }

  private received(network: string, message: Buffer): void {
    this.enforce()
    if (this.ended) return
    const heartbeat = decodeHeartbeat(message, this.key)
    if (typeof heartbeat === 'string') return this.count(heartbeat)
    const reception = this.liveness.received(monotonicMs(), network, heartbeat.from, heartbeat, Date.now())
    if (reception === 'stale' || reception === 'unknown') return this.count(reception)
    if (reception === 'fresh') {
      const said = urgentHeartbeat(heartbeat)
      if (said !== this.saidByPeer.get(heartbeat.from)) this.reportDue = 0
      this.saidByPeer.set(heartbeat.from, said)
    }
    this.turnSoon()
  }

  private count(reason: string): void {
    this.refused[reason] = (this.refused[reason] ?? 0) + 1
  }

  /** One turn for everything that has come in: datagrams that already lie in the sockets are read before anybody is judged. */
  private turnSoon(): void {
    if (this.turnPlanned) return
    this.turnPlanned = true
    setImmediate(() => {
      this.turnPlanned = false
      this.turn()
    })
  }

  private turn(): void {
    this.enforce()
    if (this.ended) return
    const heartbeat = this.liveness.due(monotonicMs(), Date.now())
    if (heartbeat !== null) this.send(heartbeat)
    const judgement = this.liveness.judgement()
    if (judgement !== this.judgement) {
      this.output.log('judgement', { silent: judgement.trim(), before: this.judgement.trim() })
      this.judgement = judgement
      this.reportDue = 0
    }
    if (monotonicMs() >= this.reportDue) this.report()
    this.plan()
  }

  private send(heartbeat: Parameters<typeof encodeHeartbeat>[0]): void {
    let message: Buffer
    try {
      message = encodeHeartbeat(heartbeat, this.key)
    } catch (failure) {
      // Silence would be taken for death: what cannot be said in full is said in part.
      if (!this.tooLargeSaid) this.output.log('heartbeat too large, sent without copies', { failure: (failure as Error).message })
      this.tooLargeSaid = true
      message = encodeHeartbeat({ ...heartbeat, heardMs: {}, payload: heartbeat.payload === null ? null : { ...heartbeat.payload, copies: [] } }, this.key)
    }
    for (const peer of this.peers) this.sockets.send(peer.addresses, peer.port, message)
  }

  private report(): void {
    const now = monotonicMs()
    this.reportDue = now + reportEveryMs
    this.output.tell({ type: 'report', atMs: now, peers: this.liveness.report(now), traffic: this.traffic() })
  }

  private traffic(): GuardianTraffic {
    return { networks: this.sockets.counters(), refused: { ...this.refused } }
  }

  /** Sets the timer to the next moment at which something happens by itself. */
  private plan(): void {
    if (this.ended) return
    if (this.timer !== null) clearTimeout(this.timer)
    const wake = Math.min(this.liveness.nextWake(), this.deadlines.next(), this.reportDue)
    // A timer may fire a fraction of a millisecond early; the next one then comes a millisecond later.
    this.timer = setTimeout(
      () => {
        this.enforce()
        this.turnSoon()
      },
      Math.min(1000, Math.max(0, Math.ceil(wake - monotonicMs()))),
    )
  }

  private enforce(): void {
    for (const group of this.deadlines.takeExpired(monotonicMs())) {
      const began = monotonicMs()
      this.takingDown += 1
      const kills = killServing(group)
      this.finish(group, began, kills).catch((failure: Error) => this.output.log('enforcement failed', { group: group.group, failure: failure.message }))
    }
  }

  private async finish(group: Expired, began: number, kills: Kills): Promise<void> {
    for (;;) {
      const [addresses, dead] = await Promise.all([removeAddresses(group.addresses), gone(kills.killed, killedWithinMs)])
      const failed = [...kills.failed, ...addresses.failed, ...(dead ? [] : ['a killed process is still there'])]
      // handoffd tells all deadlines again whenever one changes; what is down already is looked at and nothing is said.
      const did = kills.did.length + addresses.did.length > 0
      if (did || failed.length > 0 || !this.deadlines.isReleased(group.group, group.epoch))
        this.tellEnforced({
          group: group.group,
          epoch: group.epoch,
          deadlineMs: group.deadlineMs,
          atMs: monotonicMs(),
          lateMs: began - group.deadlineMs,
          did: [...kills.did, ...addresses.did],
          failed,
        })
      if (failed.length === 0) break
      // What could not be taken down is not called released, and the watchdog, if there is one, goes hungry. It is tried again.
      await new Promise((resolve) => setTimeout(resolve, retryMs))
      if (this.ended || this.deadlines.has(group.group)) {
        this.takingDown -= 1
        return
      }
      kills = killServing(group)
    }
    this.takingDown -= 1
    this.deadlines.released(group.group, group.epoch)
    this.liveness.setReleased(this.deadlines.releasedGroups)
    this.turnSoon()
  }

  private tellEnforced(enforcement: Enforcement): void {
    this.output.log('enforced', { ...enforcement })
    this.output.tell({ type: 'enforced', ...enforcement })
  }
}
