import { mailServer } from '../rig/config.ts'
import type { RigCluster } from '../rig/cluster.ts'
import { type DataName, type MemberName, memberNames, otherData } from '../rig/layout.ts'
import { signalAll } from '../rig/processes.ts'
import { letPass } from '../rig/wait.ts'
import { type Fault, faults } from './fault.ts'

/** What a fault may cost. The bounds only tell service from none, on a machine that does much else; the benchmark measures. */
export type Expectation = Fault & {
  readonly outageMsMax: number
  readonly owner: 'moves' | 'stays' | 'either'
  /** No connection of a mail client ends. */
  readonly unnoticed?: true
}

/** Continuous replication: every fault of one thing at a time, on the node that is active unless it says otherwise. */
export const matrix: readonly Expectation[] = [
  { ...faults.move, outageMsMax: 8000, owner: 'moves' },
  { ...faults.kill, outageMsMax: 5000, owner: 'either' },
  {
    name: 'orderly stop of handoffd (SIGTERM)',
    inject: (cluster, active) => signalRole(cluster, [active], 'handoffd', 'SIGTERM'),
    undo: (cluster, active) => cluster.startDaemon(active),
    outageMsMax: 5000,
    owner: 'moves',
  },
  {
    name: 'kill -9 of handoffd',
    inject: (cluster, active) => void cluster.rig.kill(active, 'handoffd'),
    undo: (cluster, active) => cluster.startDaemon(active),
    outageMsMax: 6000,
    owner: 'either',
  },
  {
    name: 'kill -9 of handoffd, back inside its deadline',
    inject: async (cluster, active) => {
      cluster.rig.kill(active, 'handoffd')
      await cluster.startDaemon(active)
    },
    outageMsMax: 3000,
    owner: 'stays',
    unnoticed: true,
  },
  {
    name: 'kill -9 of the mailbox service',
    inject: async (cluster) => void cluster.rig.kill((await cluster.group('witness', mailServer)).owner as DataName, 'handoff-mailbox'),
    outageMsMax: 3000,
    owner: 'stays',
  },
  { ...faults.crash, outageMsMax: 8000, owner: 'moves' },
  { ...faults.crashLeader, outageMsMax: 8000, owner: 'moves' },
  { ...faults.cut, outageMsMax: 8000, owner: 'moves' },
  {
    name: 'private network out',
    watchOld: true,
    inject: (cluster, active) => cluster.rig.cut(active, 'private'),
    undo: (cluster, active) => cluster.rig.mend(active),
    outageMsMax: 10_000,
    owner: 'either',
  },
  {
    name: 'public network out',
    watchOld: true,
    inject: (cluster, active) => cluster.rig.cut(active, 'public'),
    undo: (cluster, active) => cluster.rig.mend(active),
    outageMsMax: 10_000,
    owner: 'either',
  },
  oneWay('in'),
  oneWay('out'),
  { ...faults.freeze, outageMsMax: 8000, owner: 'moves' },
  {
    name: "an etcd follower killed, the active node's if it can be",
    inject: async (cluster, active) => {
      const leader = await cluster.etcdLeader()
      cluster.rig.kill(leader === active ? otherData(active) : active, 'etcd')
    },
    outageMsMax: 3000,
    owner: 'stays',
  },
  {
    name: "etcd's leader killed",
    inject: async (cluster) => {
      const leader = await cluster.etcdLeader()
      if (leader !== undefined) cluster.rig.kill(leader, 'etcd')
    },
    outageMsMax: 3000,
    owner: 'stays',
  },
  {
    name: 'all of etcd stopped for 60 s',
    inject: (cluster) => signalRole(cluster, memberNames, 'etcd', 'SIGSTOP'),
    steadyMs: 60_000,
    recoverMsMax: 120_000,
    undo: (cluster) => signalRole(cluster, memberNames, 'etcd', 'SIGCONT'),
    outageMsMax: 3000,
    owner: 'stays',
  },
  {
    name: 'witness lost',
    inject: (cluster) => cluster.rig.crash('witness'),
    steadyMs: 5000,
    undo: (cluster) => cluster.boot('witness'),
    outageMsMax: 3000,
    owner: 'stays',
  },
  {
    name: 'passive node lost',
    inject: (cluster, active) => cluster.rig.crash(otherData(active)),
    undo: (cluster, active) => cluster.boot(otherData(active)),
    // commits wait until the silent copy has left the in-sync set
    outageMsMax: 5000,
    owner: 'stays',
  },
]

/** The active node is deaf, or dumb, on every network. */
function oneWay(direction: 'in' | 'out'): Expectation {
  return {
    name: direction === 'in' ? 'one-way cut: the active node hears nothing' : 'one-way cut: the active node is not heard',
    watchOld: true,
    inject: (cluster, active) => cluster.rig.cutOneWay(active, 'all', direction),
    undo: async (cluster, active) => {
      await letPass(5000)
      await cluster.rig.mend(active)
    },
    outageMsMax: 10_000,
    owner: 'moves',
  }
}

function signalRole(cluster: RigCluster, hosts: readonly MemberName[], role: 'etcd' | 'handoffd', signal: NodeJS.Signals): void {
  for (const host of hosts)
    signalAll(
      cluster.rig.withRole(host, role).map((entry) => entry.pid),
      signal,
    )
}

/** Undoes whatever a failed case has left, so that the next one starts from a whole cluster. */
export async function restore(cluster: RigCluster): Promise<void> {
  for (const host of memberNames) {
    if (!cluster.rig.isUp(host)) {
      await cluster.boot(host)
      continue
    }
    await cluster.rig.mend(host)
    cluster.rig.thaw(host)
    if (cluster.rig.withRole(host, 'handoffd').length === 0) await cluster.startDaemon(host)
  }
}
