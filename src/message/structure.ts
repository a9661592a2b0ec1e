import { parseAddresses } from './addresses.ts'
import { fieldValue, type Header, readHeader } from './header.ts'
import { parseParametrised, type Parametrised, withoutComments } from './parameters.ts'
import type { MessageEnvelope, MessagePart, MessageRoot } from './part.ts'

/**
 * The structure of a message, with the place of everything in its bytes. Total and bounded: hostile or broken input never throws; what
 * goes beyond the limits is shown as one part that is not looked into.
 */
export function parseMessage(bytes: Uint8Array): MessageRoot {
  const walk: Walk = { bytes, ...linesOf(bytes), parts: 0, looks: 0 }
  return message(walk, { start: 0, end: bytes.length, depth: 0 })
}

/** Grows by one when what `parseMessage` says of a message changes: kept structures of another version are made anew. */
export const structureVersion = 1

const depthMax = 40
const partsMax = 2000
/** How many delimiter-like lines are compared in all: nesting would otherwise make it their number times the depth. */
const looksMax = 500_000
const LF = 10
const CR = 13
const DASH = 45

interface Walk {
  readonly bytes: Uint8Array
  readonly lineFeeds: readonly number[]
  /** Starts of lines that begin with "--". */
  readonly dashes: readonly number[]
  parts: number
  looks: number
}

interface Range {
  readonly start: number
  readonly end: number
  readonly depth: number
}

function linesOf(bytes: Uint8Array): { readonly lineFeeds: readonly number[]; readonly dashes: readonly number[] } {
  const lineFeeds: number[] = []
  const dashes: number[] = []
  let start = 0
  while (start < bytes.length) {
    if (bytes[start] === DASH && bytes[start + 1] === DASH) dashes.push(start)
    const lf = bytes.indexOf(LF, start)
    if (lf < 0) break
    lineFeeds.push(lf)
    start = lf + 1
  }
  return { lineFeeds, dashes }
}

function message(walk: Walk, range: Range): MessageRoot {
  const header = readHeader(walk.bytes, range.start, range.end)
  return { ...part(walk, range, { header, defaultType: 'text/plain' }), envelope: envelopeOf(walk.bytes, header) }
}

function part(walk: Walk, range: Range, given: { readonly header: Header; readonly defaultType: string }): MessagePart {
  walk.parts++
  const { bytes } = walk
  const { header } = given
  const { bodyStart } = header
  const value = (name: string) => fieldValue(bytes, header, name)
  const encoding =
    withoutComments(value('content-transfer-encoding') ?? '')
      .trim()
      .toLowerCase() || '7bit'
  const content = contentType(value('content-type'), given.defaultType)
  const disposition = parseParametrised(value('content-disposition') ?? '')
  const languages = withoutComments(value('content-language') ?? '').split(',')
  const common = {
    headerStart: range.start,
    bodyStart,
    bodyEnd: range.end,
    parameters: content.parameters,
    id: value('content-id'),
    description: value('content-description'),
    encoding,
    md5: value('content-md5'),
    disposition: disposition.value === '' ? undefined : { type: disposition.value, parameters: disposition.parameters },
    language: languages.map((language) => language.trim()).filter((language) => language !== ''),
    location: value('content-location'),
    lines: countLines(walk, bodyStart, range.end),
    children: [],
    message: undefined,
  }
  const inside: Range = { start: bodyStart, end: range.end, depth: range.depth + 1 }
  if (content.type === 'multipart') return { ...common, type: content.type, subtype: content.subtype, children: children(walk, inside, content) }
  if (content.type === 'message' && (content.subtype === 'rfc822' || content.subtype === 'global')) {
    // RFC 2046 §5.2.1 forbids an encoding here; with one there is no message to slice, only data. Beyond the limits it is left unopened.
    if (!/^(7bit|8bit|binary)$/.test(encoding) || isTooMuch(walk, inside)) return { ...common, type: 'application', subtype: 'octet-stream' }
    return { ...common, type: content.type, subtype: content.subtype, message: message(walk, inside) }
  }
  return { ...common, type: content.type, subtype: content.subtype }
}

function children(walk: Walk, range: Range, content: ContentType): MessagePart[] {
  const boundary = content.parameters.find(([name]) => name === 'boundary')?.[1]
  const ranges = boundary === undefined || boundary === '' || isTooMuch(walk, range) ? [] : split(walk, range, boundary)
  // A multipart has at least one part in IMAP's grammar; what cannot be taken apart is one piece of text.
  if (ranges.length === 0) return [part(walk, range, { header: { fields: [], bodyStart: range.start }, defaultType: 'text/plain' })]
  const defaultType = content.subtype === 'digest' ? 'message/rfc822' : 'text/plain'
  return ranges.map((each) => part(walk, each, { header: readHeader(walk.bytes, each.start, each.end), defaultType }))
}

function isTooMuch(walk: Walk, range: Range): boolean {
  return range.depth >= depthMax || walk.parts >= partsMax || walk.looks >= looksMax
}

/** RFC 2046 §5.1.1: the line end before a delimiter belongs to the delimiter. A missing close delimiter is the end of the range. */
function split(walk: Walk, range: Range, boundary: string): Range[] {
  const { bytes, dashes } = walk
  const wanted = new TextEncoder().encode(boundary)
  const found: Range[] = []
  let open: number | undefined
  const close = (end: number) => {
    if (open !== undefined) found.push({ start: Math.min(open, end), end, depth: range.depth })
  }
  for (let i = lowerBound(dashes, range.start); i < dashes.length; i++) {
    const at = dashes[i] as number
    if (at >= range.end) break
    if (++walk.looks > looksMax || walk.parts + found.length >= partsMax) break
    const kind = delimiterAt(bytes, at, range.end, wanted)
    if (kind === undefined) continue
    close(Math.max(beforeLineEnd(bytes, at), open ?? range.start))
    open = undefined
    if (kind === 'close') return found
    const lf = bytes.indexOf(LF, at)
    open = lf < 0 || lf >= range.end ? range.end : lf + 1
  }
  close(range.end)
  return found
}

function delimiterAt(bytes: Uint8Array, at: number, end: number, boundary: Uint8Array): 'open' | 'close' | undefined {
  let next = at + 2
  for (const byte of boundary) if (next >= end || bytes[next++] !== byte) return undefined
  const kind = bytes[next] === DASH && bytes[next + 1] === DASH && next + 1 < end ? 'close' : 'open'
  if (kind === 'close') return kind
  // Transport padding only: otherwise it is a longer boundary, of another multipart.
  for (; next < end && bytes[next] !== LF; next++) if (bytes[next] !== 32 && bytes[next] !== 9 && bytes[next] !== CR) return undefined
  return kind
}

function beforeLineEnd(bytes: Uint8Array, at: number): number {
  let end = at
  if (end > 0 && bytes[end - 1] === LF) end--
  if (end > 0 && bytes[end - 1] === CR) end--
  return end
}

interface ContentType {
  readonly type: string
  readonly subtype: string
  readonly parameters: ReadonlyArray<readonly [string, string]>
}

function contentType(text: string | undefined, defaultType: string): ContentType {
  const parsed: Parametrised = parseParametrised(text ?? '')
  const match = /^([^\s/;"()<>@,:\\[\]?=]+)\s*\/\s*([^\s/;"()<>@,:\\[\]?=]+)/.exec(parsed.value)
  if (match) return { type: (match[1] as string).toLowerCase(), subtype: (match[2] as string).toLowerCase(), parameters: parsed.parameters }
  const [type = 'text', subtype = 'plain'] = defaultType.split('/')
  // RFC 2045 §5.2: the default says its charset, too.
  return { type, subtype, parameters: type === 'text' ? [['charset', 'us-ascii']] : [] }
}

function countLines(walk: Walk, start: number, end: number): number {
  return lowerBound(walk.lineFeeds, end) - lowerBound(walk.lineFeeds, start)
}

function lowerBound(ascending: readonly number[], value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ascending[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

function envelopeOf(bytes: Uint8Array, header: Header): MessageEnvelope {
  const value = (name: string) => fieldValue(bytes, header, name)
  const addresses = (name: string) => parseAddresses(value(name) ?? '')
  return {
    date: value('date'),
    subject: value('subject'),
    from: addresses('from'),
    sender: addresses('sender'),
    replyTo: addresses('reply-to'),
    to: addresses('to'),
    cc: addresses('cc'),
    bcc: addresses('bcc'),
    inReplyTo: value('in-reply-to'),
    messageId: value('message-id'),
  }
}
