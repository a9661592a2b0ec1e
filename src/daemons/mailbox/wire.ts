import type { ListenerProtocol, MountsMessage } from '../../mount/mounts.ts'
import type { MailboxServiceOptions } from './options.ts'

/** What travels between the primary process and its workers. Sockets travel beside `connection`. */
export interface WorkerStart {
  readonly options: MailboxServiceOptions
  readonly certificate: { readonly cert: string; readonly key: string }
}

export type ToWorker =
  | { readonly type: 'start'; readonly start: WorkerStart }
  | { readonly type: 'mounts'; readonly mounts: MountsMessage }
  | { readonly type: 'connection'; readonly server: string; readonly protocol: ListenerProtocol }
  | { readonly type: 'drain'; readonly server: string }
  /** The receiver is the worker that sends what is queued. */
  | { readonly type: 'send' }
  | { readonly type: 'changed'; readonly change: unknown }
  | { readonly type: 'ping'; readonly n: number }

export type FromWorker =
  | { readonly type: 'hello' }
  | { readonly type: 'ready' }
  | { readonly type: 'changed'; readonly change: unknown }
  | { readonly type: 'drained'; readonly server: string }
  | { readonly type: 'pong'; readonly n: number; readonly sessions: number }
