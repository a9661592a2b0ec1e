import { join } from 'node:path'
import type { Logger } from 'pino'
import { type NodeConfig, nodeId } from '../../cluster/node.ts'
import type { Config } from '../../config/config.ts'
import { etcdDirectory } from '../../config/paths.ts'
import { EmbeddedServer } from '../../store/embedded/server.ts'
import { keepLeaderOff } from '../../store/etcd/leader.ts'
import { EtcdMember } from '../../store/etcd/member.ts'
import { readCredentials } from '../../store/etcd/options.ts'
import type { openStore } from '../../store/open.ts'

/** What this node runs of the cluster database itself: the embedded store, or a managed etcd member; nothing when it uses one that exists. */
export class OwnStore {
  private readonly config: Config
  private readonly log: Logger
  private embedded: EmbeddedServer | null = null
  private member: EtcdMember | null = null

  constructor(config: Config, log: Logger) {
    this.config = config
    this.log = log
  }

  /** @throws HandoffError STORE_ADDRESS_IN_USE, STORE_DIRECTORY_IN_USE, ETCD_MISSING, ETCD_PORT_IN_USE, ETCD_FOREIGN_DATA, ETCD_START_FAILED */
  async start(): Promise<void> {
    const { store, dataDirectory, node, cluster } = this.config
    if (store.kind === 'embedded' && store.serve)
      this.embedded = await EmbeddedServer.open({ dataDirectory: join(dataDirectory, 'store'), listen: store.endpoint })
    if (store.kind !== 'etcd' || !store.managed) return
    const own = store.members.find((member) => member.name === node)
    if (own === undefined) return
    this.member = new EtcdMember({
      name: node,
      directory: etcdDirectory(dataDirectory),
      peerUrl: own.peerUrl,
      clientUrl: own.clientUrl,
      members: store.members,
      cluster,
      heartbeatMs: store.heartbeatMs,
      electionMs: store.electionMs,
      tls: store.tls,
      onTrouble: (trouble) => this.log.error({ code: trouble.code }, trouble.message),
    })
    await this.member.start()
  }

  /** Losing the leader of the cluster database together with an active copy would make a failover wait for an election. */
  async keepLeaderElsewhere(nodes: ReadonlyMap<string, NodeConfig>): Promise<void> {
    const { store, node, role } = this.config
    if (store.kind !== 'etcd' || this.member === null || role !== 'data') return
    const prefer = store.members.filter((member) => nodes.get(nodeId(member.name))?.role === 'witness')
    const own = store.members.find((member) => member.name === node)
    if (own === undefined || prefer.length === 0) return
    await keepLeaderOff(
      { off: own.clientUrl, prefer: prefer.map((member) => member.clientUrl) },
      readCredentials({ tls: store.tls, user: store.user, passwordFile: store.passwordFile }),
    ).catch(() => undefined)
  }

  /** The embedded store lives in this process and ends with it; an etcd member goes on for the next handoffd when this one detaches. */
  async end(how: 'stop' | 'detach'): Promise<void> {
    await this.embedded?.close()
    if (how === 'stop') await this.member?.stop()
    else this.member?.detach()
  }
}

/** How this node reaches the cluster database. */
export function storeOptions(config: Config): Parameters<typeof openStore>[0] {
  const { store } = config
  if (store.kind === 'embedded') return { kind: 'embedded', endpoint: store.endpoint }
  return {
    kind: 'etcd',
    endpoints: ownFirst(store.endpoints, store.members.find((member) => member.name === config.node)?.clientUrl),
    ...(store.tls === undefined ? {} : { tls: store.tls }),
    ...(store.user === undefined ? {} : { user: store.user }),
    ...(store.passwordFile === undefined ? {} : { passwordFile: store.passwordFile }),
  }
}

/** The member on this node is the nearest, and lives when this node does. */
function ownFirst(endpoints: readonly string[], own: string | undefined): string[] {
  const isOwn = (endpoint: string): boolean => own?.endsWith(endpoint) === true
  return [...endpoints].sort((left, right) => Number(isOwn(right)) - Number(isOwn(left)))
}
