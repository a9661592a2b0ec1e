import { decodeCharset, decodeEncodedWords } from './encoded-words.ts'
import { readHeader, fieldText } from './header.ts'
import type { MessagePart, MessageRoot } from './part.ts'
import { decodeTransferEncoding } from './transfer-encoding.ts'

/** Grows when `searchText` changes: what is kept of another version is made anew. */
export const searchTextVersion = 1

/** What SEARCH compares (RFC 9051 §6.4.4): encodings undone, lower case, without NUL. */
export interface SearchText {
  /** A line for each field of the message's header: name, colon, value. */
  readonly fields: string
  /** The headers of the message and of its parts. */
  readonly headers: string
  readonly content: string
  /** The day in the Date field, without time and zone, from 1970-01-01. */
  readonly sentDay: number | undefined
}

/** Text beyond this is not searched: no person wrote it, and a database field is finite. */
const contentBytesMax = 16 * 1024 * 1024

export function searchText(bytes: Uint8Array, root: MessageRoot): SearchText {
  const parts = partsOf(root)
  const fields = fieldLines(bytes, root)
  const headers = parts.flatMap((part) => fieldLines(bytes, part)).map((line) => line.replace(':', ': '))
  let budget = contentBytesMax
  const contents: string[] = []
  for (const part of parts) {
    if (part.type !== 'text' || budget <= 0) continue
    const raw = bytes.subarray(part.bodyStart, Math.min(part.bodyEnd, part.bodyStart + budget))
    budget -= raw.length
    const charset = part.parameters.find(([name]) => name === 'charset')?.[1] ?? 'utf-8'
    contents.push(comparable(decodeCharset(decodeTransferEncoding(raw, part.encoding) ?? raw, charset)))
  }
  return { fields: fields.join('\n'), headers: headers.join('\n'), content: contents.join('\n'), sentDay: sentDay(root.envelope.date) }
}

/** In the order of the message: a message/rfc822 part is followed by those of the message in it. */
function partsOf(root: MessagePart): MessagePart[] {
  const found: MessagePart[] = []
  const visit = (part: MessagePart): void => {
    found.push(part)
    for (const child of part.children) visit(child)
    if (part.message) visit(part.message)
  }
  visit(root)
  return found
}

function fieldLines(bytes: Uint8Array, part: MessagePart): string[] {
  return readHeader(bytes, part.headerStart, part.bodyStart).fields.map((field) => {
    const value = comparable(decodeEncodedWords(fieldText(bytes, field)))
    return `${field.name}:${value.replace(/[\r\n]+/g, ' ')}`
  })
}

function comparable(text: string): string {
  return text.normalize('NFC').toLowerCase().replaceAll('\0', '')
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

export function sentDay(date: string | undefined): number | undefined {
  const match = /(\d{1,2})[\s-]+([a-z]{3})[a-z]*[\s-]+(\d{4}|\d{2,3})\b/i.exec(date ?? '')
  if (!match) return undefined
  const month = months.indexOf((match[2] as string).toLowerCase())
  const day = Number(match[1])
  const given = Number(match[3])
  // RFC 5322 §4.3: two digits are of 2000 up to 49, of 1900 from 50; three are of 1900.
  const year = given > 999 ? given : given < 50 ? given + 2000 : given + 1900
  return month < 0 || day < 1 || day > 31 ? undefined : dayNumber(year, month + 1, day)
}

/** Days from 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"); this folder has no clock. */
function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}
