import type { CopyReport, PeerReport } from '../cluster/liveness.ts'
import { type NodeConfig, nodeId } from '../cluster/node.ts'
import { parseLsn } from '../replication/lsn.ts'
import { defaultFailoverPolicy, groupId } from './group.ts'
import type { OwnershipRecord } from './ownership.ts'
import { defaultTiming, type GroupView, type View } from './view.ts'

/** For tests: three nodes (n1 and n2 with data, w a witness), one storage group owned by n1, both copies in sync, seen by `self` at 100 s. */
export const n1 = nodeId('n1')
export const n2 = nodeId('n2')
export const witness = nodeId('w')
export const sg1 = groupId('sg1')
export const now = 100_000
export const lsn = parseLsn('0/10')

export const record: OwnershipRecord = {
  group: sg1,
  owner: n1,
  epoch: 3,
  inSync: [n1, n2],
  state: 'online',
  systemId: '7',
  cause: 'created',
  sinceWallMs: 0,
  failovers: [],
}

const node = (id: string, role: 'data' | 'witness'): NodeConfig => ({
  id: nodeId(id),
  role,
  identity: id,
  addresses: { mixed: id },
  clientNetworks: ['mixed'],
  heartbeatPort: 7946,
  replicationHost: id,
  paused: false,
})

export function copyReport(changes: Partial<CopyReport> = {}): CopyReport {
  return { group: sg1, epochSeen: 3, state: 'standby', streaming: true, upstream: n1, receivedLsn: '0/10', replayedLsn: '0/10', ready: true, ...changes }
}

export function peer(id: string, changes: Partial<PeerReport> = {}): PeerReport {
  return {
    node: nodeId(id),
    boot: `boot of ${id}`,
    silent: false,
    silentForMs: 20,
    networks: { mixed: { heardMsAgo: 20, state: 'up', hearsUs: true } },
    itsSilent: [],
    itsJudgementAgeMs: 20,
    itsHeardMs: {},
    payload: { copies: id === 'w' ? [] : [copyReport()], asks: [], promises: [], serving: id === 'n1' ? [{ group: sg1, epoch: 3 }] : [] },
    released: [],
    agentAgeMs: 20,
    lastSeq: 1,
    echoedSeq: 1,
    sentAt: {},
    clockSkewMs: 0,
    ...changes,
  }
}

export function groupView(changes: Partial<GroupView> = {}): GroupView {
  return {
    config: { name: sg1, kind: 'storage-group', nodes: [n1, n2], addresses: [], databases: [], ports: {}, failover: defaultFailoverPolicy },
    record,
    revision: 9n,
    epochSeenAt: 0,
    pendingRecord: null,
    request: null,
    requestRevision: 0n,
    instance: { kind: 'standby', systemId: '7', upstream: n1, streaming: true, receivedLsn: lsn, replayedLsn: lsn, timeline: 1 },
    instanceBusy: null,
    instanceFailure: null,
    sick: null,
    service: null,
    addressesHeld: false,
    served: false,
    takenOffline: false,
    disconnectedSince: new Map(),
    instanceSeenAt: now,
    stalledSince: new Map(),
    droppedAt: new Map(),
    notStreamingSince: null,
    promiseGiven: null,
    promisesReceived: new Map(),
    ...changes,
  }
}

export function view(self: string, peers: readonly PeerReport[], group: GroupView, changes: Partial<View> = {}): View {
  return {
    self: nodeId(self),
    startedAt: 0,
    wallMs: 1_000_000,
    sessionDeadline: now + 1500,
    storeFollowed: true,
    nodes: new Map([node('n1', 'data'), node('n2', 'data'), node('w', 'witness')].map((entry) => [entry.id, entry])),
    sessions: new Set([n1, n2, witness]),
    peers: new Map(peers.map((entry) => [entry.node, entry])),
    groups: [group],
    timing: defaultTiming,
    ...changes,
  }
}
