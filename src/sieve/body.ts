import { decodeHeaderBytes } from '../message/header.ts'
import { decodeCharset } from '../message/encoded-words.ts'
import type { MessagePart } from '../message/part.ts'
import { decodeTransferEncoding } from '../message/transfer-encoding.ts'
import { limits } from './limits.ts'
import type { MessageView } from './message-view.ts'

/** RFC 5173 §5. `types` is a MIME type, a type without subtype, or empty for all. */
export type Transform = { readonly kind: 'raw' } | { readonly kind: 'text' } | { readonly kind: 'content'; readonly types: readonly string[] }

/** What is matched, one string for each part; no more than `limits.bodyBytes` of the message. */
export function bodyStrings(message: MessageView, transform: Transform): string[] {
  const { bytes, root } = message
  if (transform.kind === 'raw') return [decodeHeaderBytes(bytes.subarray(root.bodyStart, Math.min(root.bodyEnd, root.bodyStart + limits.bodyBytes)))]
  const types = transform.kind === 'text' ? ['text'] : transform.types.map((type) => type.toLowerCase())
  let budget: number = limits.bodyBytes
  const strings: string[] = []
  for (const part of partsOf(root)) {
    if (budget <= 0 || !types.some((type) => isOfType(part, type))) continue
    for (const raw of contents(bytes, part)) {
      const taken = raw.subarray(0, Math.max(budget, 0))
      budget -= taken.length
      strings.push(decode(taken, part))
    }
  }
  return strings
}

function isOfType(part: MessagePart, type: string): boolean {
  if (type === '') return true
  // RFC 5173 §5.2: what has more than one slash, or begins or ends with one, matches nothing.
  return type === part.type || type === `${part.type}/${part.subtype}`
}

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

/** RFC 5173 §5.2: of a multipart its prologue and epilogue, of a message its header, of others the content. */
function contents(bytes: Uint8Array, part: MessagePart): Uint8Array[] {
  const [first, last] = [part.children[0], part.children.at(-1)]
  if (first && last) return [withoutLastLine(bytes.subarray(part.bodyStart, first.headerStart)), afterDelimiter(bytes.subarray(last.bodyEnd, part.bodyEnd))]
  if (part.message) return [withoutLastLine(bytes.subarray(part.message.headerStart, part.message.bodyStart))]
  return [bytes.subarray(part.bodyStart, part.bodyEnd)]
}

const LF = 10

/** The delimiter before the first part, or the empty line behind a header. */
function withoutLastLine(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length < 2 ? 0 : bytes.lastIndexOf(LF, bytes.length - 2) + 1)
}

/** Behind the line end that belongs to the last delimiter, and the delimiter. */
function afterDelimiter(bytes: Uint8Array): Uint8Array {
  const lineEnd = bytes.indexOf(LF)
  const end = lineEnd < 0 ? -1 : bytes.indexOf(LF, lineEnd + 1)
  return end < 0 ? new Uint8Array() : bytes.subarray(end + 1)
}

function decode(raw: Uint8Array, part: MessagePart): string {
  if (part.children.length > 0 || part.message) return decodeHeaderBytes(raw)
  const content = decodeTransferEncoding(raw, part.encoding) ?? raw
  if (part.type !== 'text') return decodeHeaderBytes(content)
  return decodeCharset(content, part.parameters.find(([name]) => name === 'charset')?.[1] ?? 'utf-8')
}
