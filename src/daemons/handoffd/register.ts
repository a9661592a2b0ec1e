import { type NodeConfig, nodeId } from '../../cluster/node.ts'
import type { KeyedStore } from '../../admin/cluster-admin.ts'
import type { Config } from '../../config/config.ts'
import { HandoffError } from '../../errors.ts'

/**
 * Writes this node into the cluster database, or brings its entry up to date.
 * @throws HandoffError NODE_NAME_TAKEN, NODE_ADDRESS_TAKEN; the entry of the other node is left as it is
 */
export async function registerNode(store: KeyedStore, config: Config, identity: string): Promise<void> {
  const key = `nodes/${config.node}`
  for (;;) {
    const entries = await store.read('nodes/')
    const own = entries.find((entry) => entry.key === key)
    const former = own === undefined ? null : (JSON.parse(own.value) as NodeConfig)
    if (former !== null && former.identity !== identity)
      throw new HandoffError(
        'NODE_NAME_TAKEN',
        `this node cannot join as "${config.node}": another machine with that name has joined from ${Object.values(former.addresses).join(', ')}`,
      )
    const addresses = Object.fromEntries(config.networks.map((network) => [network.name, network.address]))
    for (const entry of entries) {
      const other = JSON.parse(entry.value) as NodeConfig
      const clash = Object.values(addresses).find((address) => Object.values(other.addresses).includes(address))
      if (entry.key !== key && clash !== undefined)
        throw new HandoffError('NODE_ADDRESS_TAKEN', `node "${config.node}" cannot join with the address ${clash}: node "${other.id}" has it`)
    }
    const node: NodeConfig = {
      id: nodeId(config.node),
      role: config.role,
      identity,
      addresses,
      clientNetworks: config.networks.filter((network) => network.role !== 'private').map((network) => network.name),
      heartbeatPort: config.heartbeat.port,
      replicationHost: (config.networks.find((network) => network.role === 'private') ?? config.networks[0])?.address ?? '127.0.0.1',
      paused: former?.paused ?? false,
    }
    const value = JSON.stringify(node)
    if (own?.value === value) return
    if (await store.transact({ compare: [{ key, modRevision: own?.modRevision ?? 0n }], put: [{ key, value }] })) return
  }
}
