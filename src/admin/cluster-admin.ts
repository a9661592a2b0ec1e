import { randomBytes } from 'node:crypto'
import type { NodeConfig } from '../cluster/node.ts'
import { nodeId } from '../cluster/node.ts'
import { HandoffError } from '../errors.ts'
import type { DecisionRecord } from '../groups/decision.ts'
import { defaultFailoverPolicy, type FailoverPolicy, type GroupConfig, groupId } from '../groups/group.ts'
import { objection } from '../groups/handover.ts'
import type { OperatorRequest, OwnershipRecord } from '../groups/ownership.ts'
import { groupOf, type View } from '../groups/view.ts'
import type { CreateServer, CreateStorageGroup, EventEntry, MoveGroup } from './schemas.ts'

/** The cluster database with keys relative to the cluster's prefix. */
export interface KeyedStore {
  get(key: string): Promise<{ readonly value: string; readonly modRevision: bigint } | null>
  read(prefix: string): Promise<readonly { readonly key: string; readonly value: string; readonly modRevision: bigint }[]>
  transact(change: {
    readonly compare: readonly { readonly key: string; readonly modRevision: bigint }[]
    readonly put: readonly { readonly key: string; readonly value: string }[]
    readonly delete?: readonly string[]
  }): Promise<boolean>
}

export interface DatabaseConfig {
  readonly name: string
  readonly storageGroup: string
}

/** What operators do to the cluster database. Every change is one transaction that compares what it was based on, so nothing is half made. */
export class ClusterAdmin {
  private readonly store: KeyedStore
  private readonly view: () => View

  constructor(store: KeyedStore, view: () => View) {
    this.store = store
    this.view = view
  }

  /** @throws HandoffError CLUSTER_EXISTS */
  async createCluster(name: string): Promise<{ id: string; name: string }> {
    const cluster = { id: randomBytes(8).toString('hex'), name, createdWallMs: Date.now(), formatVersion: 1 }
    if (await this.store.transact({ compare: [{ key: 'cluster', modRevision: 0n }], put: [{ key: 'cluster', value: JSON.stringify(cluster) }] })) return cluster
    throw new HandoffError('CLUSTER_EXISTS', `cannot create the cluster "${name}": the cluster database has one already`)
  }

  async createStorageGroup(wanted: CreateStorageGroup): Promise<void> {
    await this.checkNewGroup(wanted.name, wanted.nodes, wanted.addresses)
    for (const group of this.view().groups) {
      if (group.config.ports.postgres === wanted.port && group.config.nodes.some((node) => wanted.nodes.includes(node)))
        throw new HandoffError('PORT_TAKEN', `storage group "${wanted.name}" cannot use port ${wanted.port}: "${group.config.name}" has it`)
    }
    await this.createGroup({
      ...policy(wanted),
      name: groupId(wanted.name),
      kind: 'storage-group',
      nodes: wanted.nodes.map(nodeId),
      addresses: wanted.addresses,
      databases: [],
      ports: { postgres: wanted.port },
    })
  }

  async createServer(wanted: CreateServer): Promise<void> {
    await this.checkNewGroup(wanted.name, wanted.nodes, wanted.addresses)
    const known = await this.databases()
    for (const database of wanted.databases) {
      if (!known.some((entry) => entry.name === database))
        throw new HandoffError('DATABASE_UNKNOWN', `server "${wanted.name}" cannot serve the database "${database}": there is none of that name`)
    }
    const ports = Object.fromEntries(Object.entries(wanted.ports).flatMap(([protocol, port]) => (port === undefined ? [] : [[protocol, port]])))
    await this.createGroup({
      ...policy(wanted),
      name: groupId(wanted.name),
      kind: 'server',
      nodes: wanted.nodes.map(nodeId),
      addresses: wanted.addresses,
      databases: wanted.databases,
      ...(wanted.hostName === undefined ? {} : { hostName: wanted.hostName }),
      ports,
    })
  }

  async createDatabase(name: string, storageGroup: string): Promise<void> {
    const group = await this.group(storageGroup)
    if (group.config.kind !== 'storage-group') throw new HandoffError('GROUP_UNKNOWN', `"${storageGroup}" is not a storage group`)
    const value: DatabaseConfig = { name, storageGroup }
    if (
      await this.store.transact({ compare: [{ key: `databases/${name}`, modRevision: 0n }], put: [{ key: `databases/${name}`, value: JSON.stringify(value) }] })
    )
      return
    throw new HandoffError('DATABASE_EXISTS', `cannot create the database "${name}": there is one of that name`)
  }

  async databases(): Promise<DatabaseConfig[]> {
    return (await this.store.read('databases/')).map((entry) => JSON.parse(entry.value) as DatabaseConfig)
  }

  /**
   * Asks the owner of a group to hand it over. The request names the world it was made in (epoch, owner) and expires.
   * @returns the epoch that the group will have, and the target
   */
  async move(name: string, wanted: MoveGroup): Promise<{ epoch: number; to: string; id: string }> {
    const { config, record } = await this.group(name)
    const to = wanted.to ?? this.otherNode(config, record)
    if (!config.nodes.includes(nodeId(to)))
      throw new HandoffError('NODE_UNKNOWN', `"${name}" cannot move to "${to}": it is not one of its possible owners (${config.nodes.join(', ')})`)
    if (record.owner === to) throw new HandoffError('MOVE_REFUSED', `"${name}" is on ${to} already`)
    const view = this.view()
    const group = groupOf(view, groupId(name))
    const why = group === undefined || to === view.self ? null : objection(view, group, record, nodeId(to))
    if (why !== null) throw new HandoffError('MOVE_REFUSED', `"${name}" cannot move to ${to} now: ${why}`)
    const request: OperatorRequest = {
      id: randomBytes(6).toString('hex'),
      group: groupId(name),
      kind: 'move',
      to: nodeId(to),
      by: wanted.by,
      reason: wanted.reason,
      epoch: record.epoch,
      owner: record.owner,
      expiresWallMs: Date.now() + wanted.expiresInMs,
    }
    const key = `requests/${name}`
    const pending = await this.store.get(key)
    if (pending !== null && (JSON.parse(pending.value) as OperatorRequest).expiresWallMs > Date.now())
      throw new HandoffError('REQUEST_PENDING', `"${name}" has a request under way (${(JSON.parse(pending.value) as OperatorRequest).id})`)
    const placed = await this.store.transact({ compare: [{ key, modRevision: pending?.modRevision ?? 0n }], put: [{ key, value: JSON.stringify(request) }] })
    if (!placed) throw new HandoffError('REQUEST_PENDING', `"${name}" has just got another request`)
    return { epoch: record.epoch + 1, to, id: request.id }
  }

  /** A group that was left failed, or taken offline, is tried again. */
  async setState(name: string, state: 'online' | 'offline'): Promise<void> {
    const { record, revision } = await this.group(name)
    const next: OwnershipRecord = { ...record, state, failovers: state === 'online' ? [] : record.failovers }
    const done = await this.store.transact({
      compare: [{ key: `owners/${name}`, modRevision: revision }],
      put: [{ key: `owners/${name}`, value: JSON.stringify(next) }],
    })
    if (!done) throw new HandoffError('REQUEST_PENDING', `"${name}" changed in the meantime; look again and repeat`)
  }

  async setPaused(node: string, paused: boolean): Promise<void> {
    const entry = await this.store.get(`nodes/${node}`)
    if (entry === null) throw new HandoffError('NODE_UNKNOWN', `there is no node "${node}"`)
    const next: NodeConfig = { ...(JSON.parse(entry.value) as NodeConfig), paused }
    const done = await this.store.transact({
      compare: [{ key: `nodes/${node}`, modRevision: entry.modRevision }],
      put: [{ key: `nodes/${node}`, value: JSON.stringify(next) }],
    })
    if (!done) throw new HandoffError('REQUEST_PENDING', `node "${node}" changed in the meantime; repeat`)
  }

  async decisions(group?: string): Promise<DecisionRecord[]> {
    const entries = await this.store.read(group === undefined ? 'decisions/' : `decisions/${group}/`)
    return entries.map((entry) => JSON.parse(entry.value) as DecisionRecord).sort((left, right) => left.atWallMs - right.atWallMs)
  }

  async events(): Promise<EventEntry[]> {
    return (await this.store.read('events/')).map((entry) => JSON.parse(entry.value) as EventEntry).sort((left, right) => left.atWallMs - right.atWallMs)
  }

  private async group(name: string): Promise<{ config: GroupConfig; record: OwnershipRecord; revision: bigint }> {
    const [config, record] = await Promise.all([this.store.get(`groups/${name}`), this.store.get(`owners/${name}`)])
    if (config === null || record === null) throw new HandoffError('GROUP_UNKNOWN', `there is no group "${name}"`)
    return { config: JSON.parse(config.value) as GroupConfig, record: JSON.parse(record.value) as OwnershipRecord, revision: record.modRevision }
  }

  private otherNode(config: GroupConfig, record: OwnershipRecord): string {
    const other = config.nodes.find((node) => node !== record.owner && record.inSync.includes(node))
    if (other !== undefined) return other
    throw new HandoffError('MOVE_REFUSED', `"${config.name}" cannot move: no other node is in sync (in-sync set: ${record.inSync.join(', ')})`)
  }

  private async checkNewGroup(name: string, nodes: readonly string[], addresses: readonly string[]): Promise<void> {
    if ((await this.store.get('cluster')) === null) throw new HandoffError('CLUSTER_MISSING', `cannot create "${name}": there is no cluster yet`)
    const known = (await this.store.read('nodes/')).map((entry) => JSON.parse(entry.value) as NodeConfig)
    for (const node of nodes) {
      if (!known.some((entry) => entry.id === node && entry.role === 'data'))
        throw new HandoffError('NODE_UNKNOWN', `"${name}" cannot be placed on "${node}": there is no data node of that name`)
    }
    for (const address of addresses) {
      const node = known.find((entry) => Object.values(entry.addresses).includes(address))
      if (node !== undefined) throw new HandoffError('ADDRESS_TAKEN', `"${name}" cannot have the address ${address}: it is an address of node ${node.id}`)
      const group = this.view().groups.find((entry) => entry.config.addresses.includes(address))
      if (group !== undefined) throw new HandoffError('ADDRESS_TAKEN', `"${name}" cannot have the address ${address}: group "${group.config.name}" has it`)
    }
  }

  /** Config and first ownership record in one transaction: there is never one without the other. */
  private async createGroup(config: GroupConfig): Promise<void> {
    const owner = config.nodes[0]
    if (owner === undefined) throw new HandoffError('NODE_UNKNOWN', `"${config.name}" needs at least one node`)
    const record: OwnershipRecord = {
      group: config.name,
      owner,
      epoch: 1,
      inSync: [owner],
      state: 'online',
      systemId: null,
      cause: 'created',
      sinceWallMs: Date.now(),
      failovers: [],
    }
    const done = await this.store.transact({
      compare: [{ key: `groups/${config.name}`, modRevision: 0n }],
      put: [
        { key: `groups/${config.name}`, value: JSON.stringify(config) },
        { key: `owners/${config.name}`, value: JSON.stringify(record) },
      ],
    })
    if (!done) throw new HandoffError('GROUP_EXISTS', `cannot create "${config.name}": there is a group of that name`)
  }
}

function policy(wanted: { readonly failoverThreshold?: number | undefined; readonly failoverPeriodMs?: number | undefined }): { failover: FailoverPolicy } {
  return {
    failover: { threshold: wanted.failoverThreshold ?? defaultFailoverPolicy.threshold, periodMs: wanted.failoverPeriodMs ?? defaultFailoverPolicy.periodMs },
  }
}
