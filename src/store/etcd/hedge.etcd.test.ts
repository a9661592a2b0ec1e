import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../conformance.ts'
import { type EtcdCluster, freePorts, startEtcdCluster } from './fixture.ts'
import { EtcdStore } from './store.ts'

describe('transactions that reach etcd more than once', () => {
  let cluster: EtcdCluster
  beforeAll(async () => {
    cluster = startEtcdCluster(await freePorts(6))
  })
  afterAll(() => cluster.stop())

  test('count once, and their sender is told the truth, when every one is sent to all members', async () => {
    // Two clients race; each sends each transaction again after half a millisecond, so nearly all of them arrive several times.
    const stores = [0, 1].map(() => new EtcdStore({ endpoints: cluster.endpoints, hedgeMs: 0.5, timeoutMs: 5000 }))
    const first = stores[0]!
    const key = '/hedge/counter'
    await eventually(async () => expect((await first.transact({ compare: [], put: [{ key, value: '0' }], delete: [] })).ok).toBe(true), 20_000)
    const start = (await first.get(key))!
    const won: bigint[][] = [[], []]
    await Promise.all(
      stores.map(async (store, client) => {
        for (let attempt = 0; attempt < 150; attempt += 1) {
          const { modRevision, value } = (await store.get(key))!
          const result = await store.transact({ compare: [{ key, modRevision }], put: [{ key, value: String(Number(value) + 1) }], delete: [] })
          if (result.ok) won[client]!.push(result.revision)
        }
      }),
    )
    const final = (await first.get(key))!
    const revisions = won.flat()
    expect(new Set(revisions).size).toBe(revisions.length)
    expect(Number(final.value)).toBe(revisions.length)
    // Nothing was written but what was acknowledged: each write is one revision.
    expect(final.modRevision - start.modRevision).toBe(BigInt(revisions.length))
    for (const store of stores) await store.close()
  })
})
