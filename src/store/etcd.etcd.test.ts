import { type StoreHarness, storeConformance } from './conformance.ts'
import { freePorts, startEtcdCluster } from './etcd/fixture.ts'
import { memberStatus } from './etcd/leader.ts'
import { EtcdStore } from './etcd/store.ts'
import { monotonicMs } from '../host/clock.ts'
import { Endpoint } from './etcd/endpoint.ts'

async function threeMembers(): Promise<StoreHarness> {
  const cluster = startEtcdCluster(await freePorts(6))
  const members = [0, 1, 2]
  const leader = async (): Promise<number> => {
    for (;;) {
      const statuses = await Promise.all(cluster.endpoints.map((url) => memberStatus(url, {}).catch(() => null)))
      const index = statuses.findIndex((status) => status !== null && status.leader === status.id)
      if (index >= 0) return index
    }
  }
  return {
    open: () => new EtcdStore({ endpoints: cluster.endpoints }),
    outage: {
      begin: async () => {
        await Promise.all(members.map((member) => cluster.kill(member)))
      },
      end: async () => {
        for (const member of members) cluster.start(member)
      },
    },
    async compact(client) {
      const { revision } = await client.read('/')
      const endpoint = new Endpoint(cluster.endpoints[0]!, {})
      const result = await endpoint.call('KV', 'compact', { revision: revision.toString(), physical: false }, { deadlineMs: monotonicMs() + 2000 })
      endpoint.close()
      if (result.kind === 'failure') throw new Error(result.why)
    },
    disturbances: {
      'members are killed one at a time': async (progress) => {
        for (const member of members) {
          await cluster.kill(member)
          await progress()
          cluster.start(member)
          await progress()
        }
      },
      'the leader is killed': async (progress) => {
        for (let round = 0; round < 2; round += 1) {
          const member = await leader()
          await cluster.kill(member)
          await progress()
          cluster.start(member)
          await progress()
        }
      },
      'the preferred member is frozen': async (progress) => {
        cluster.signal(0, 'SIGSTOP')
        await progress()
        cluster.signal(0, 'SIGCONT')
        await progress()
      },
      'the leader is frozen': async (progress) => {
        const member = await leader()
        cluster.signal(member, 'SIGSTOP')
        await progress()
        cluster.signal(member, 'SIGCONT')
        await progress()
      },
      'the majority is frozen': async (progress) => {
        const probe = new EtcdStore({ endpoints: cluster.endpoints })
        cluster.signal(1, 'SIGSTOP')
        cluster.signal(2, 'SIGSTOP')
        while (
          await probe.get('/').then(
            () => true,
            () => false,
          )
        );
        await probe.close()
        cluster.signal(1, 'SIGCONT')
        cluster.signal(2, 'SIGCONT')
        await progress()
      },
    },
    stop: () => cluster.stop(),
  }
}

storeConformance('etcd of three members', threeMembers, [
  'members are killed one at a time',
  'the leader is killed',
  'the preferred member is frozen',
  'the leader is frozen',
  'the majority is frozen',
])
