import type { PeerReport } from '../cluster/liveness.ts'
import type { NodeId } from '../cluster/node.ts'
import { heartbeatPayload, isServing } from '../groups/decide.ts'
import { ownerServes } from '../groups/following.ts'
import type { GroupView, View } from '../groups/view.ts'
import { parseLsn } from '../replication/lsn.ts'
import type { CopyStatus, GroupStatus, NodeStatus } from './schemas.ts'

/** What this node can tell of every node, from its own heartbeats and the cluster database. */
export function nodeStatuses(view: View): NodeStatus[] {
  return [...view.nodes.values()].map((node) => {
    const peer = view.peers.get(node.id)
    const self = node.id === view.self
    return {
      node: node.id,
      role: node.role,
      state: self
        ? 'up'
        : peer === undefined || peer.silent
          ? 'silent'
          : peer.agentAgeMs === null || peer.agentAgeMs > 1000
            ? 'agent-away'
            : view.sessions.has(node.id)
              ? 'up'
              : 'no-session',
      paused: node.paused,
      addresses: node.addresses,
      clientNetworks: node.clientNetworks,
      networks: Object.fromEntries(Object.entries(node.addresses).map(([network]) => [network, networkStatus(peer, network, self)])),
      clockSkewMs: self ? 0 : (peer?.clockSkewMs ?? null),
    }
  })
}

function networkStatus(peer: PeerReport | undefined, network: string, self: boolean): { state: string; heardMsAgo: number | null } {
  if (self) return { state: 'up', heardMsAgo: 0 }
  const seen = peer?.networks[network]
  return { state: seen?.state ?? 'unreachable', heardMsAgo: seen?.heardMsAgo ?? null }
}

export function groupStatuses(view: View): GroupStatus[] {
  return view.groups.flatMap((group) => {
    const record = group.record
    if (record === null) return []
    const serving = record.owner === view.self ? isServing(view, group) : ownerServes(view, record)
    return [
      {
        group: record.group,
        kind: group.config.kind,
        owner: record.owner,
        epoch: record.epoch,
        state: record.state === 'online' && !serving ? 'pending' : record.state,
        inSync: record.inSync,
        nodes: group.config.nodes,
        addresses: group.config.addresses,
        databases: group.config.databases,
        ...(group.config.hostName === undefined ? {} : { hostName: group.config.hostName }),
        ports: group.config.ports,
        cause: record.cause,
        sinceWallMs: record.sinceWallMs,
      },
    ]
  })
}

type CopyReport = ReturnType<typeof heartbeatPayload>['copies'][number]

/** The state of every copy of every storage group, as its own node last said in a heartbeat. */
export function copyStatuses(view: View, now: number): CopyStatus[] {
  const own = heartbeatPayload(view, now).copies
  const reportOf = (group: GroupView, node: NodeId): CopyReport | undefined =>
    (node === view.self ? own : view.peers.get(node)?.payload?.copies)?.find((copy) => copy.group === group.config.name)
  return view.groups
    .filter((group) => group.config.kind === 'storage-group')
    .flatMap((group) => {
      const record = group.record
      const active = record === null ? undefined : reportOf(group, record.owner)
      return group.config.nodes.map((node) => copyStatus(view, group, node, reportOf(group, node), active))
    })
}

function copyStatus(view: View, group: GroupView, node: NodeId, report: CopyReport | undefined, active: CopyReport | undefined): CopyStatus {
  const away = node !== view.self && (view.peers.get(node)?.silent ?? true)
  const inSync = group.record?.inSync.includes(node) ?? false
  const base = { group: group.config.name, node, inSync, streaming: false, receivedLsn: null, replayedLsn: null, copyQueueBytes: null, replayQueueBytes: null }
  if (report === undefined || away) return { ...base, status: 'ServiceDown', detail: away ? 'the node is silent' : 'the node does not report this copy' }
  const owner = group.record?.owner === node
  const queue = (ahead: string, behind: string): number => Math.max(0, Number(parseLsn(ahead) - parseLsn(behind)))
  const known = report.receivedLsn !== '0/0'
  return {
    ...base,
    status: statusWord(report, owner, inSync),
    streaming: report.streaming,
    receivedLsn: known ? report.receivedLsn : null,
    replayedLsn: known ? report.replayedLsn : null,
    copyQueueBytes: known && active !== undefined && active.receivedLsn !== '0/0' ? queue(active.receivedLsn, report.receivedLsn) : null,
    replayQueueBytes: known ? queue(report.receivedLsn, report.replayedLsn) : null,
    detail: node === view.self ? (group.sick ?? group.instanceFailure?.message ?? null) : null,
  }
}

function statusWord(report: CopyReport, owner: boolean, inSync: boolean): CopyStatus['status'] {
  switch (report.state) {
    case 'primary':
      return owner ? 'Active' : 'Stopped'
    case 'standby':
      // Healthy must be proven: a copy is Initializing until it has joined the in-sync set.
      return inSync ? 'Healthy' : 'Initializing'
    case 'seeding':
      return 'Seeding'
    case 'rejoining':
      return 'Resynchronizing'
    case 'failed':
      return 'Failed'
    case 'stopped':
      return 'Stopped'
    case 'absent':
      return 'Absent'
  }
}
