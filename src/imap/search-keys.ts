import { type Cursor, SyntaxFault } from './cursor.ts'
import type { NumberRange } from './sequence-set.ts'

/** SEARCH criteria (RFC 9051 §6.4.4), text decoded. Days count from 1970-01-01, without time and zone, as the RFC compares them. */
export type SearchKey =
  | { readonly kind: 'all' }
  | { readonly kind: 'and'; readonly keys: readonly SearchKey[] }
  | { readonly kind: 'or'; readonly left: SearchKey; readonly right: SearchKey }
  | { readonly kind: 'not'; readonly key: SearchKey }
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'recent' }
  | { readonly kind: 'sequence'; readonly set: readonly NumberRange[] }
  | { readonly kind: 'uid'; readonly set: readonly NumberRange[] }
  /** `$`: the result saved before (RFC 5182) */
  | { readonly kind: 'saved' }
  /** `name` lower case; an empty `value` asks for the field's presence */
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'body'; readonly value: string }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'internalDate' | 'sentDate'; readonly relation: 'before' | 'on' | 'since'; readonly day: number }
  | { readonly kind: 'size'; readonly relation: 'larger' | 'smaller'; readonly bytes: number }
  | { readonly kind: 'modseq'; readonly from: number }
  /** RFC 8474 §6 */
  | { readonly kind: 'emailId' | 'threadId'; readonly id: string }

export type SearchReturn = 'MIN' | 'MAX' | 'ALL' | 'COUNT' | 'SAVE'

export interface SearchCommand {
  /** undefined: the old `* SEARCH` answer; otherwise ESEARCH */
  readonly returns: ReadonlySet<SearchReturn> | undefined
  readonly key: SearchKey
}

/** A charset that we cannot decode: tagged NO [BADCHARSET] (RFC 9051 §6.4.4). */
export class UnknownCharset extends Error {}

const depthMax = 32
const keysMax = 500

export function parseSearch(cursor: Cursor): SearchCommand {
  const returns = parseReturn(cursor)
  let decode = decoder('UTF-8')
  if (cursor.take('CHARSET ')) {
    decode = decoder(cursor.astring().toUpperCase())
    cursor.space()
  }
  const parser = new KeyParser(cursor, decode)
  const keys = [parser.key(0)]
  while (cursor.take(' ')) keys.push(parser.key(0))
  return { returns, key: keys.length === 1 ? (keys[0] as SearchKey) : { kind: 'and', keys } }
}

function parseReturn(cursor: Cursor): ReadonlySet<SearchReturn> | undefined {
  if (!cursor.take('RETURN ')) return undefined
  const names = cursor.list(() => cursor.keyword())
  cursor.space()
  for (const name of names) if (!/^(MIN|MAX|ALL|COUNT|SAVE)$/.test(name)) throw new SyntaxFault(`Unknown search return option ${name}`)
  // RFC 9051 §6.4.4: an empty list means ALL.
  return new Set(names.length === 0 ? ['ALL'] : (names as SearchReturn[]))
}

function decoder(charset: string): (binary: string) => string {
  if (!['UTF-8', 'US-ASCII', 'ISO-8859-1'].includes(charset)) throw new UnknownCharset(charset)
  if (charset === 'ISO-8859-1') return (binary) => binary
  return (binary) => {
    if (!/[\x80-\xff]/.test(binary)) return binary
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(binary, 'latin1'))
    } catch {
      throw new SyntaxFault('Invalid UTF-8 in a search string')
    }
  }
}

const flagKeys: Record<string, SearchKey> = {}
for (const name of ['Answered', 'Deleted', 'Draft', 'Flagged', 'Seen']) {
  flagKeys[name.toUpperCase()] = { kind: 'flag', flag: `\\${name}` }
  flagKeys[`UN${name.toUpperCase()}`] = { kind: 'not', key: { kind: 'flag', flag: `\\${name}` } }
}

const plainKeys: Record<string, SearchKey> = {
  ...flagKeys,
  ALL: { kind: 'all' },
  RECENT: { kind: 'recent' },
  OLD: { kind: 'not', key: { kind: 'recent' } },
  NEW: { kind: 'and', keys: [{ kind: 'recent' }, { kind: 'not', key: { kind: 'flag', flag: '\\Seen' } }] },
}

class KeyParser {
  readonly #cursor: Cursor
  readonly #decode: (binary: string) => string
  #count = 0

  constructor(cursor: Cursor, decode: (binary: string) => string) {
    this.#cursor = cursor
    this.#decode = decode
  }

  key(depth: number): SearchKey {
    // The stack is ours: a client does not decide how deep we recurse.
    if (depth > depthMax || ++this.#count > keysMax) throw new SyntaxFault('Search too complex', 'LIMIT')
    const cursor = this.#cursor
    if (cursor.take('(')) {
      const keys = [this.key(depth + 1)]
      while (cursor.take(' ')) keys.push(this.key(depth + 1))
      cursor.expect(')')
      return { kind: 'and', keys }
    }
    if (cursor.take('$')) return { kind: 'saved' }
    if (cursor.atSequenceSet()) return { kind: 'sequence', set: cursor.sequenceSet() }
    const name = cursor.keyword()
    if (Object.hasOwn(plainKeys, name)) return plainKeys[name] as SearchKey
    cursor.space()
    return this.#withArgument(name, depth)
  }

  #withArgument(name: string, depth: number): SearchKey {
    const cursor = this.#cursor
    switch (name) {
      case 'NOT':
        return { kind: 'not', key: this.key(depth + 1) }
      case 'OR': {
        const left = this.key(depth + 1)
        cursor.space()
        return { kind: 'or', left, right: this.key(depth + 1) }
      }
      case 'KEYWORD':
        return { kind: 'flag', flag: cursor.atom() }
      case 'UNKEYWORD':
        return { kind: 'not', key: { kind: 'flag', flag: cursor.atom() } }
      case 'UID':
        return cursor.take('$') ? { kind: 'saved' } : { kind: 'uid', set: cursor.sequenceSet() }
      case 'BCC':
      case 'CC':
      case 'FROM':
      case 'SUBJECT':
      case 'TO':
        return { kind: 'header', name: name.toLowerCase(), value: this.#text() }
      case 'HEADER': {
        const field = cursor.astring().toLowerCase()
        cursor.space()
        return { kind: 'header', name: field, value: this.#text() }
      }
      case 'BODY':
        return { kind: 'body', value: this.#text() }
      case 'TEXT':
        return { kind: 'text', value: this.#text() }
      case 'BEFORE':
      case 'ON':
      case 'SINCE':
        return { kind: 'internalDate', relation: name.toLowerCase() as 'on', day: this.#day() }
      case 'SENTBEFORE':
      case 'SENTON':
      case 'SENTSINCE':
        return { kind: 'sentDate', relation: name.slice(4).toLowerCase() as 'on', day: this.#day() }
      case 'LARGER':
      case 'SMALLER':
        return { kind: 'size', relation: name.toLowerCase() as 'larger', bytes: cursor.number(Number.MAX_SAFE_INTEGER) }
      case 'MODSEQ':
        return this.#modseq()
      case 'EMAILID':
        return { kind: 'emailId', id: cursor.astring() }
      case 'THREADID':
        return { kind: 'threadId', id: cursor.astring() }
      default:
        throw new SyntaxFault(`Unknown search key ${name}`)
    }
  }

  /** RFC 7162 §3.1.5: `MODSEQ ["entry" type] n`. We keep one mod-sequence per message, so entry and type say nothing more. */
  #modseq(): SearchKey {
    const cursor = this.#cursor
    if (cursor.peek('"')) {
      cursor.string()
      cursor.space()
      if (!/^(PRIV|SHARED|ALL)$/.test(cursor.keyword())) throw new SyntaxFault('Expected priv, shared or all')
      cursor.space()
    }
    return { kind: 'modseq', from: cursor.modseq() }
  }

  #text(): string {
    return this.#decode(this.#cursor.astring())
  }

  #day(): number {
    const { year, month, day } = this.#cursor.date()
    return Date.UTC(year, month, day) / 86_400_000
  }
}

/** Whether the answer must carry the highest mod-sequence (RFC 7162 §3.1.5). */
export function asksForModseq(key: SearchKey): boolean {
  switch (key.kind) {
    case 'modseq':
      return true
    case 'and':
      return key.keys.some(asksForModseq)
    case 'or':
      return asksForModseq(key.left) || asksForModseq(key.right)
    case 'not':
      return asksForModseq(key.key)
    default:
      return false
  }
}
