import type { StoredEntry } from './state.ts'

/** One JSON value a line, both ways, over TCP or a Unix socket. A request has an id; its reply the same one. */
export type Request =
  | { readonly op: 'read'; readonly prefix: string }
  | { readonly op: 'get'; readonly key: string }
  | {
      readonly op: 'transact'
      readonly compare: readonly { readonly key: string; readonly modRevision: number }[]
      readonly put: readonly { readonly key: string; readonly value: string; readonly lease?: string }[]
      readonly delete: readonly string[]
    }
  | { readonly op: 'grant'; readonly ttlMs: number }
  | { readonly op: 'keepAlive'; readonly lease: string }
  | { readonly op: 'revoke'; readonly lease: string }
  | { readonly op: 'watch'; readonly prefix: string; readonly from: number }
  | { readonly op: 'unwatch'; readonly watch: number }

export interface Replies {
  readonly read: { readonly revision: number; readonly entries: readonly StoredEntry[] }
  readonly get: { readonly entry: StoredEntry | null }
  readonly transact: { readonly ok: boolean; readonly revision: number }
  readonly grant: { readonly lease: string; readonly ttlMs: number }
  readonly keepAlive: { readonly ttlMs: number | null }
  readonly revoke: Record<string, never>
  readonly watch: Record<string, never>
  readonly unwatch: Record<string, never>
}

export type ServerEvent =
  | { readonly kind: 'change'; readonly revision: number; readonly puts: readonly StoredEntry[]; readonly deletes: readonly string[] }
  /** Changes outside the prefix: nothing to tell, but the place to resume from. */
  | { readonly kind: 'contact'; readonly revision: number }
  | { readonly kind: 'reset'; readonly revision: number; readonly entries: readonly StoredEntry[] }

export type ServerLine =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly code: 'STORE_LEASE_EXPIRED' | 'STORE_REFUSED'; readonly message: string } }
  /** `watch` is the id of the request that began it. */
  | { readonly watch: number; readonly event: ServerEvent }

/** How often a server tells a watcher that it is there. */
export const contactMs = 250

/** Splits a stream of text into lines. */
export function lineSplitter(onLine: (line: string) => void): (chunk: string) => void {
  let rest = ''
  return (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
}

export type Address = { readonly path: string } | { readonly host: string; readonly port: number }

/** `host:port`, `[v6]:port`, or the path of a Unix socket. */
export function parseAddress(text: string): Address {
  if (text.startsWith('/') || text.startsWith('unix:')) return { path: text.replace(/^unix:/, '') }
  const match = /^(?:tcp:\/\/)?(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text)
  if (match === null) throw new Error(`"${text}" is not an address: wanted host:port or the path of a Unix socket`)
  return { host: match[1] ?? match[2] ?? '', port: Number(match[3]) }
}
