/** A field of a header. Offsets are of the bytes given; `end` is after the line end of the last folded line. */
export interface HeaderField {
  /** Lower case. */
  readonly name: string
  readonly valueStart: number
  readonly end: number
}

export interface Header {
  readonly fields: readonly HeaderField[]
  /** After the empty line, or the end of the range when there is none. */
  readonly bodyStart: number
}

const fieldsMax = 5000
/** More than this of one field is not looked at. */
const valueBytesMax = 64 * 1024
const nameBytesMax = 998

const LF = 10
const CR = 13
const SPACE = 32
const TAB = 9
const COLON = 58

/** Reads a header in [start, end). Total: a line that is no field is passed over, as every other server does. */
export function readHeader(bytes: Uint8Array, start: number, end: number): Header {
  const fields: HeaderField[] = []
  let at = start
  while (at < end) {
    const lineEnd = afterLine(bytes, at, end)
    if (isEmptyLine(bytes, at, lineEnd)) return { fields, bodyStart: lineEnd }
    let fieldEnd = lineEnd
    while (fieldEnd < end && isBlank(bytes[fieldEnd])) {
      const next = afterLine(bytes, fieldEnd, end)
      fieldEnd = next
    }
    if (fields.length < fieldsMax) {
      const field = readField(bytes, at, fieldEnd)
      if (field) fields.push(field)
    }
    at = fieldEnd
  }
  return { fields, bodyStart: end }
}

function readField(bytes: Uint8Array, start: number, end: number): HeaderField | undefined {
  const colon = bytes.subarray(start, Math.min(end, start + nameBytesMax)).indexOf(COLON)
  if (colon <= 0) return undefined
  let name = ''
  for (let i = start; i < start + colon; i++) name += String.fromCharCode(bytes[i] as number)
  // RFC 5322 §4.5: obsolete syntax allows space before the colon.
  name = name.trimEnd().toLowerCase()
  return /^[\x21-\x7e]+$/.test(name) ? { name, valueStart: start + colon + 1, end } : undefined
}

/** The first field of this name, unfolded and trimmed; encoded words are left as they are. */
export function fieldValue(bytes: Uint8Array, header: Pick<Header, 'fields'>, name: string): string | undefined {
  const field = header.fields.find((each) => each.name === name)
  return field && fieldText(bytes, field)
}

export function fieldText(bytes: Uint8Array, field: HeaderField): string {
  const raw = decodeHeaderBytes(bytes.subarray(field.valueStart, Math.min(field.end, field.valueStart + valueBytesMax)))
  // RFC 5322 §2.2.3: unfolding takes the line ends away and leaves the space. NUL and lone CR or LF can be in no IMAP string.
  return raw
    .replace(/\r?\n(?=[ \t])/g, '')
    .replace(/[\r\n\0]+/g, ' ')
    .trim()
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const latin = new TextDecoder('windows-1252')

/** RFC 6532: UTF-8; what is not, was sent by something older. */
export function decodeHeaderBytes(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return latin.decode(bytes)
  }
}

function afterLine(bytes: Uint8Array, from: number, end: number): number {
  const lf = bytes.indexOf(LF, from)
  return lf < 0 || lf >= end ? end : lf + 1
}

function isEmptyLine(bytes: Uint8Array, start: number, end: number): boolean {
  return (end - start === 1 && bytes[start] === LF) || (end - start === 2 && bytes[start] === CR && bytes[start + 1] === LF)
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}
