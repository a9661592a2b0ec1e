import { EmbeddedStore } from './embedded/client.ts'
import type { EtcdStoreOptions } from './etcd/options.ts'
import { EtcdStore } from './etcd/store.ts'
import type { Store } from './store.ts'

export type StoreOptions =
  | { readonly kind: 'embedded'; readonly endpoint: string; readonly timeoutMs?: number }
  | ({ readonly kind: 'etcd' } & EtcdStoreOptions)

/** A client of the cluster database; connects by itself. @throws HandoffError STORE_CREDENTIALS_UNREADABLE */
export function openStore(options: StoreOptions): Store {
  switch (options.kind) {
    case 'embedded':
      return new EmbeddedStore(options)
    case 'etcd':
      return new EtcdStore(options)
  }
}
