import type { Logger } from 'pino'
import type { NodeConfig, NodeId } from '../../cluster/node.ts'
import type { Config } from '../../config/config.ts'
import { copyDirectory } from '../../config/paths.ts'
import type { InstanceAction } from '../../groups/action.ts'
import type { GroupConfig, GroupId } from '../../groups/group.ts'
import { monotonicMs } from '../../host/clock.ts'
import { Instance } from '../../postgres/instance.ts'
import { formatLsn } from '../../replication/lsn.ts'
import type { Input, Outcome } from '../../supervisor/ports.ts'
import type { Secrets } from './secrets.ts'

export interface CopiesOptions {
  readonly config: Config
  readonly self: NodeId
  readonly secrets: Secrets
  readonly nodes: () => ReadonlyMap<NodeId, NodeConfig>
  /** The storage group's system identifier, null until it is initialised. */
  readonly systemId: (group: GroupId) => string | null
  readonly input: (input: Input) => void
  readonly progress: (group: GroupId, text: string) => void
  readonly log: Logger
}

const probeEveryMs = 2000
const probeTimeoutMs = 4000
const firstWriteWithinMs = 600_000

/** This node's copies of storage groups: one PostgreSQL instance each. Carries instance actions out and reports what it sees. */
export class Copies {
  private readonly options: CopiesOptions
  private readonly instances = new Map<GroupId, { readonly instance: Instance; readonly config: GroupConfig }>()
  private readonly looking = new Set<GroupId>()
  private readonly probing = new Set<GroupId>()

  constructor(options: CopiesOptions) {
    this.options = options
  }

  instance(group: GroupId): Instance | undefined {
    return this.instances.get(group)?.instance
  }

  get all(): readonly { readonly instance: Instance; readonly config: GroupConfig }[] {
    return [...this.instances.values()]
  }

  /** Begins to look after a copy: what is there, and what runs, is found out and reported. */
  async add(config: GroupConfig): Promise<void> {
    if (this.instances.has(config.name)) return
    const { config: node, secrets, self } = this.options
    const instance = new Instance({
      group: config.name,
      node: self,
      directory: copyDirectory(node.dataDirectory, config.name),
      binDirectory: node.postgres.binDirectory,
      port: config.ports.postgres ?? 5432,
      listenAddresses: node.postgres.listen,
      peers: config.nodes.filter((peer) => peer !== self),
      replicationPassword: secrets.replicationPassword,
      handoffPassword: secrets.postgresPassword,
      clients: { networks: node.postgres.clientNetworks, method: node.postgres.clientMethod },
      settings: node.postgres.settings,
      expectedSystemId: () => this.options.systemId(config.name),
      log: this.options.log,
    })
    this.instances.set(config.name, { instance, config })
    instance.onExit(() => void this.exited(config.name))
    const asOf = monotonicMs()
    this.options.input({ kind: 'instance', group: config.name, state: await instance.inspect(), asOf })
  }

  private async exited(group: GroupId): Promise<void> {
    const state = await this.instances.get(group)?.instance.inspect()
    if (state !== undefined) this.options.input({ kind: 'instance', group, state, asOf: monotonicMs(), exit: true })
  }

  observe(group: GroupId): void {
    const entry = this.instances.get(group)
    if (entry === undefined || this.looking.has(group)) return
    this.looking.add(group)
    const asOf = monotonicMs()
    entry.instance
      .observe()
      .then((state) => this.options.input({ kind: 'instance', group, state, asOf }))
      .catch((failure: Error) => this.options.log.debug({ group, failure: failure.message }, 'observation failed'))
      .finally(() => this.looking.delete(group))
  }

  /** A real, bounded, durable write and read on each volume of each running copy. */
  probe(): void {
    for (const [group, { instance }] of this.instances) {
      if (this.probing.has(group)) continue
      this.probing.add(group)
      instance
        .isAlive({ timeoutMs: probeTimeoutMs })
        .then((verdict) => this.options.input({ kind: 'sick', group, why: verdict.alive ? null : verdict.why }))
        .catch((failure: Error) => this.options.input({ kind: 'sick', group, why: failure.message }))
        .finally(() => this.probing.delete(group))
    }
  }

  /** When the first write after the promotion was committed (wall-clock ms); null when none comes for a long time. */
  async firstWrite(group: GroupId): Promise<number | null> {
    return (await this.instances.get(group)?.instance.firstWrite(firstWriteWithinMs)) ?? null
  }

  startProbing(): NodeJS.Timeout {
    return setInterval(() => this.probe(), probeEveryMs)
  }

  async perform(action: InstanceAction): Promise<Outcome> {
    const instance = this.instances.get(action.group)?.instance
    if (instance === undefined) return { ok: false, code: 'GROUP_UNKNOWN', message: `this node has no copy of "${action.group}"` }
    const upstream = (node: NodeId): { node: NodeId; host: string; port: number } => ({
      node,
      host: this.options.nodes().get(node)?.replicationHost ?? '',
      port: this.instances.get(action.group)?.config.ports.postgres ?? 5432,
    })
    switch (action.kind) {
      case 'initialize':
        return { ok: true, state: await instance.initialize({ epoch: action.epoch }) }
      case 'startPrimary':
        return { ok: true, state: await instance.startPrimary({ epoch: action.epoch, synchronous: action.synchronous }) }
      case 'startStandby':
        return { ok: true, state: await instance.startStandby({ upstream: upstream(action.upstream) }) }
      case 'follow':
        return { ok: true, state: await instance.follow({ upstream: upstream(action.upstream) }) }
      case 'promote': {
        const promoted = await instance.promote({ epoch: action.epoch })
        return {
          ok: true,
          state: promoted.state,
          patch: { steps: promoted.steps.map((step) => ({ ...step, atWallMs: promoted.beganWallMs + step.atMs })), promotedLsn: formatLsn(promoted.lsn) },
        }
      }
      case 'setSynchronous':
        return { ok: true, state: await instance.setSynchronous(action.nodes, action.epoch) }
      case 'openGate':
        return { ok: true, state: await instance.openGate() }
      case 'quiesce':
        return { ok: true, state: await instance.quiesce({ target: action.target, timeoutMs: 5000 }) }
      case 'unquiesce':
        return { ok: true, state: await instance.unquiesce() }
      case 'stop':
        return { ok: true, state: await instance.stop({ mode: action.mode }) }
      case 'seed':
        return {
          ok: true,
          state: await instance.seed({ upstream: upstream(action.upstream), onProgress: (text) => this.options.progress(action.group, text) }),
        }
      case 'rejoin': {
        const outcome = await instance.rejoin({ upstream: upstream(action.upstream), upstreamEpoch: action.epoch })
        return { ok: true, state: outcome.state, patch: { rejoin: { ...outcome.rejoin, node: this.options.self, atWallMs: Date.now() } } }
      }
    }
  }
}
