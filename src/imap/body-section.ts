import type { MessagePart } from '../message/part.ts'
import type { Partial, Section } from './fetch-items.ts'

/**
 * The part that a part number names (RFC 9051 §6.4.5.1). A message that is not multipart has exactly one part, 1, its body; numbers
 * below a message/rfc822 part count the parts of the message in it.
 * @returns undefined when there is no such part
 */
export function findPart(root: MessagePart, path: readonly number[]): MessagePart | undefined {
  let part: MessagePart = root
  for (const [depth, number] of path.entries()) {
    // A message/rfc822 part stands for the message in it; the root stands for itself.
    const holder: MessagePart | undefined = depth === 0 ? part : (part.message ?? part)
    if (holder.children.length > 0) {
      const child: MessagePart | undefined = holder.children[number - 1]
      if (!child) return undefined
      part = child
    } else if (number === 1 && (depth === 0 || part.message !== undefined)) part = holder
    else return undefined
  }
  return part
}

/** The bytes of a section; undefined when the message has no such part: answered NIL. */
export function sectionBytes(message: Buffer, root: MessagePart, section: Section): Buffer | undefined {
  const { part: path, text } = section
  if (path.length === 0) {
    if (text === 'all') return message
    if (text === 'header') return message.subarray(root.headerStart, root.bodyStart)
    if (text === 'text') return message.subarray(root.bodyStart)
    return typeof text === 'object' ? headerFields(message.subarray(root.headerStart, root.bodyStart), text) : undefined
  }
  const part = findPart(root, path)
  if (!part) return undefined
  if (text === 'all') return message.subarray(part.bodyStart, part.bodyEnd)
  if (text === 'mime') return message.subarray(part.headerStart, part.bodyStart)
  // HEADER and TEXT after a number are of the message that the part holds.
  const inner = part.message
  if (!inner) return undefined
  if (text === 'text') return message.subarray(inner.bodyStart, inner.bodyEnd)
  const header = message.subarray(inner.headerStart, inner.bodyStart)
  return text === 'header' ? header : headerFields(header, text)
}

/** Whole header fields, folding and order kept, and the empty line that ends a header (RFC 9051 §6.4.5.1). */
export function headerFields(header: Buffer, wanted: { readonly fields: readonly string[]; readonly not: boolean }): Buffer {
  const names = new Set(wanted.fields)
  const kept: Buffer[] = []
  for (const field of splitHeader(header)) {
    if (names.has(fieldName(field)) !== wanted.not) kept.push(field)
  }
  return Buffer.concat([...kept, Buffer.from('\r\n')])
}

/** The fields of a header with their line ends, without the empty line. */
export function splitHeader(header: Buffer): Buffer[] {
  const fields: Buffer[] = []
  let start = 0
  while (start < header.length) {
    let end = start
    for (;;) {
      const lf = header.indexOf(0x0a, end)
      end = lf < 0 ? header.length : lf + 1
      const next = header[end]
      if (end >= header.length || (next !== 0x20 && next !== 0x09)) break
    }
    const field = header.subarray(start, end)
    if (field[0] === 0x0d || field[0] === 0x0a) break
    fields.push(field)
    start = end
  }
  return fields
}

export function fieldName(field: Buffer): string {
  const colon = field.indexOf(0x3a)
  return field.subarray(0, Math.max(colon, 0)).toString('latin1').trimEnd().toLowerCase()
}

/** RFC 9051 §6.4.5: an offset beyond the end gives the empty string. */
export function partialOf(bytes: Buffer, partial: Partial | undefined): Buffer {
  return partial === undefined ? bytes : bytes.subarray(Math.min(partial.offset, bytes.length), Math.min(partial.offset + partial.length, bytes.length))
}
