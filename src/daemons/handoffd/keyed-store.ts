import type { KeyedStore } from '../../admin/cluster-admin.ts'
import { StoreKey } from '../../store/keys.ts'
import type { Store } from '../../store/store.ts'
import type { EventStore } from './event-log.ts'

/** One transaction takes at most 128 operations. */
const deletesMax = 100

/** The cluster database with keys relative to the cluster's prefix. */
export function keyedStore(store: Store, cluster: string): KeyedStore & EventStore {
  const prefix = StoreKey.prefix(cluster)
  const relative = (key: string): string => key.slice(prefix.length)
  return {
    async get(key) {
      const entry = await store.get(prefix + key)
      return entry === null ? null : { value: entry.value, modRevision: entry.modRevision }
    },
    async read(under) {
      const { entries } = await store.read(prefix + under)
      return entries.map((entry) => ({ key: relative(entry.key), value: entry.value, modRevision: entry.modRevision }))
    },
    async transact(change) {
      const result = await store.transact({
        compare: change.compare.map((compare) => ({ key: prefix + compare.key, modRevision: compare.modRevision })),
        put: change.put.map((put) => ({ key: prefix + put.key, value: put.value })),
        delete: (change.delete ?? []).map((key) => prefix + key),
      })
      return result.ok
    },
    async put(key, value) {
      await store.transact({ compare: [], put: [{ key: prefix + key, value }], delete: [] })
    },
    async keys(under) {
      const { entries } = await store.read(prefix + under)
      return entries.map((entry) => relative(entry.key))
    },
    async delete(keys) {
      for (let from = 0; from < keys.length; from += deletesMax) {
        await store.transact({ compare: [], put: [], delete: keys.slice(from, from + deletesMax).map((key) => prefix + key) })
      }
    },
  }
}
