import { join } from 'node:path'
import type { Logger } from 'pino'
import type { HeartbeatPayload, PeerReport } from '../../cluster/liveness.ts'
import { type NodeConfig, type NodeId, nodeId } from '../../cluster/node.ts'
import type { Config } from '../../config/config.ts'
import { copyDirectory, guardianLog, guardianSocket } from '../../config/paths.ts'
import { type GuardianClient, startOrAdoptGuardian } from '../../fencing/guardian-client.ts'
import type { GuardianTraffic } from '../../fencing/protocol.ts'
import { groupId } from '../../groups/group.ts'
import type { View } from '../../groups/view.ts'
import { monotonicMs } from '../../host/clock.ts'
import type { ClusterEvent, GroupDeadline, Input } from '../../supervisor/ports.ts'
import type { Addresses } from './addresses.ts'
import { ClockWatch } from './clock-watch.ts'
import { LastingTrouble } from './lasting-trouble.ts'

export interface GuardingOptions {
  readonly config: Config
  readonly heartbeatKey: Buffer
  readonly view: () => View
  readonly input: (input: Input) => void
  readonly tell: (event: ClusterEvent) => void
  readonly addresses: Addresses
  readonly log: Logger
}

/** This node's guardian as the cluster service uses it: what it is told of peers and deadlines, and what its reports lead to. */
export class Guarding {
  private readonly options: GuardingOptions
  private readonly clocks: ClockWatch
  private readonly unbound: LastingTrouble
  private guardian: GuardianClient | null = null
  private silentPeers: readonly NodeId[] = []
  private peersTold = ''

  constructor(options: GuardingOptions) {
    this.options = options
    this.clocks = new ClockWatch(options.tell)
    this.unbound = new LastingTrouble({ code: 'HEARTBEAT_NOT_BOUND', afterMs: 2000, tell: options.tell })
  }

  /** @throws HandoffError GUARDIAN_START_FAILED */
  async start(): Promise<void> {
    const { config, heartbeatKey, log } = this.options
    const { guardian, how } = await startOrAdoptGuardian({
      config: {
        cluster: config.cluster,
        self: nodeId(config.node),
        own: config.networks.map((network) => ({ network: network.name, address: network.address })),
        port: config.heartbeat.port,
        heartbeatKey: heartbeatKey.toString('hex'),
        intervalMs: config.heartbeat.intervalMs,
        threshold: config.heartbeat.threshold,
        ...(config.watchdog === undefined ? {} : { watchdog: config.watchdog }),
      },
      socketPath: guardianSocket(config.dataDirectory),
      logFile: guardianLog(config.dataDirectory),
      log,
    })
    this.guardian = guardian
    log.info({ how }, 'guardian')
    guardian.onReport((reports, traffic) => {
      this.reported(reports)
      this.lookAtNetworks(traffic)
    })
    guardian.onEnforced((enforcement) =>
      this.options.tell({
        level: 'error',
        code: 'GUARDIAN_ENFORCED',
        group: groupId(enforcement.group),
        message: 'the guardian took the group down at its deadline',
      }),
    )
  }

  publish(payload: HeartbeatPayload): void {
    this.guardian?.publish(payload)
  }

  setPeers(nodes: ReadonlyMap<string, NodeConfig>): void {
    const peers = [...nodes.values()].map((node) => ({ node: node.id, role: node.role, addresses: node.addresses, port: node.heartbeatPort }))
    const text = JSON.stringify(peers)
    if (text === this.peersTold || peers.length === 0) return
    this.peersTold = text
    this.guardian?.setPeers(peers)
  }

  guard(deadlines: readonly GroupDeadline[]): void {
    const { groups } = this.options.view()
    this.guardian?.guard(
      deadlines.map((entry) => ({
        group: entry.group,
        epoch: entry.epoch,
        deadlineMs: Number.isFinite(entry.deadline) ? entry.deadline : null,
        processes: [],
        directories: [{ path: join(copyDirectory(this.options.config.dataDirectory, entry.group), 'data'), program: 'postgres' }],
        addresses: groups.find((group) => group.config.name === entry.group)?.config.addresses.filter((address) => !address.startsWith('127.')) ?? [],
      })),
    )
  }

  async end(how: 'stop' | 'detach'): Promise<void> {
    if (how === 'stop') await this.guardian?.stop()
    else this.guardian?.detach()
  }

  private lookAtNetworks(traffic: GuardianTraffic): void {
    const { networks, heartbeat } = this.options.config
    for (const { name, address } of networks) {
      const seen = traffic.networks[name]
      if (seen === undefined) continue
      const why = Object.keys(seen.errors).filter((code) => code.startsWith('EADDR') || code === 'EACCES')
      this.unbound.look(
        `network "${name}"`,
        seen.bound ? null : `no heartbeats over it: cannot listen on ${address} UDP port ${heartbeat.port} (${why.join(', ') || 'not yet'})`,
        monotonicMs(),
      )
    }
  }

  private reported(reports: readonly PeerReport[]): void {
    this.options.input({ kind: 'peers', reports })
    this.clocks.look(reports)
    const silent = reports.filter((report) => report.silent).map((report) => report.node)
    const back = this.silentPeers.some((node) => !silent.includes(node))
    // After a pause of its own this node may have been taken over from: then the last word is the other's.
    if (back && (this.options.view().sessionDeadline ?? 0) > monotonicMs()) this.options.addresses.announceAll()
    this.silentPeers = silent
  }
}
