import type { IKeyValue } from 'etcd3/lib/rpc.js'
import type { Entry } from '../store.ts'

/**
 * A value in etcd is its JSON text, a line end, `#` and the mark of the transaction that wrote it. By the mark a client whose
 * transaction got no answer, and which therefore sent it again, finds out which of the two was the one that counted.
 */
export const encodeValue = (value: string, mark: string): Buffer => Buffer.from(`${value}\n#${mark}`)

export interface MarkedEntry extends Entry {
  readonly mark: string | null
}

export function decodeEntry(pair: IKeyValue): MarkedEntry {
  const text = pair.value.toString('utf8')
  const match = /\n#([\w-]+)$/.exec(text)
  return {
    key: pair.key.toString('utf8'),
    value: match === null ? text : text.slice(0, match.index),
    mark: match?.[1] ?? null,
    modRevision: BigInt(pair.mod_revision),
    createRevision: BigInt(pair.create_revision),
    ...(BigInt(pair.lease) === 0n ? {} : { lease: pair.lease }),
  }
}

export function toEntry(pair: IKeyValue): Entry {
  const { mark: _mark, ...entry } = decodeEntry(pair)
  return entry
}

/** End of the range of keys that begin with the prefix (etcd manual, "Range"). */
export function endOfPrefix(prefix: string): Buffer {
  const end = Buffer.from(prefix)
  const last = end.length - 1
  // Keys are text in UTF-8: no byte is 0xff.
  end[last] = (end[last] ?? 0) + 1
  return end
}
