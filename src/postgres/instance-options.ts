import type { InstanceState } from '../replication/instance.ts'
import type { Lsn } from '../replication/lsn.ts'
import type { ClientRole } from './initialize.ts'
import type { Layout } from './layout.ts'
import { postgresOsUser } from './os-user.ts'
import type { PromotionStep } from './promotion.ts'
import type { Rejoined } from './rejoin.ts'
import type { ServerContext } from './server.ts'
import type { NodeId } from './settings.ts'

export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface InstanceOptions {
  readonly group: string
  readonly node: NodeId
  /** The copy's own directory, `<dataDirectory>/copies/<group>`. */
  readonly directory: string
  readonly binDirectory: string
  readonly port: number
  readonly listenAddresses: readonly string[]
  /** The other possible owners: each has a replication slot while this copy is active. */
  readonly peers: readonly NodeId[]
  readonly handoffPassword: string
  readonly replicationPassword: string
  /** Networks (CIDR) that plain SQL clients come from while the gate is open. */
  readonly clients?: { readonly networks: readonly string[]; readonly method: 'scram-sha-256' | 'trust' }
  readonly clientRole?: ClientRole
  /** Networks (CIDR or `all`) of the cluster's nodes. */
  readonly clusterNetworks?: readonly string[]
  readonly settings?: Readonly<Record<string, string>>
  readonly slotKeepSize?: string
  /** The storage group's system identifier by the cluster database; a directory with another one is refused. */
  readonly expectedSystemId?: () => string | null
  readonly log?: Log
}

export interface Promoted {
  readonly state: InstanceState
  /** When it was asked for; the steps count from there. */
  readonly beganWallMs: number
  readonly steps: readonly PromotionStep[]
  /** Where the new timeline begins. */
  readonly lsn: Lsn
}

export interface RejoinResult {
  readonly state: InstanceState
  readonly rejoin: Rejoined
}

/** The parts of the options that everything below works with. */
export const contextOf = (options: InstanceOptions, layout: Layout): ServerContext => ({
  layout,
  user: postgresOsUser(),
  handoffPassword: options.handoffPassword,
  settings: {
    group: options.group,
    node: options.node,
    port: options.port,
    listen: options.listenAddresses,
    clientRules: (options.clients?.networks ?? []).map((network) => `host all all ${network} ${options.clients?.method ?? 'scram-sha-256'}`),
    clusterNetworks: options.clusterNetworks ?? ['all'],
    replicatorPassword: options.replicationPassword,
    slotKeepSize: options.slotKeepSize ?? '4GB',
    extra: options.settings ?? {},
  },
})
