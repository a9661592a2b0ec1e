import type { MessageContent } from '../mailbox/account-mail.ts'
import type { MessagePart } from '../message/part.ts'
import { fieldName, splitHeader } from './body-section.ts'
import { months } from './cursor.ts'
import { decodeTransferEncoding } from './transfer-encoding.ts'

/** What SEARCH compares: decoded (RFC 9051 §6.4.4: encoded words and transfer encodings undone), lower case. */

/** The values of a field of the message's header, one per occurrence. */
export function fieldText({ bytes, root }: MessageContent, name: string): string[] {
  const header = bytes.subarray(root.headerStart, root.bodyStart)
  return splitHeader(header)
    .filter((field) => fieldName(field) === name)
    .map((field) => decodeField(field.subarray(field.indexOf(0x3a) + 1)))
}

/** Headers of the message and of the parts in it. */
export function headerText(content: MessageContent): string {
  return partsOf(content.root)
    .flatMap((part) => splitHeader(content.bytes.subarray(part.headerStart, part.bodyStart)).map(decodeField))
    .join('\n')
}

/** The text parts. */
export function bodyText({ bytes, root }: MessageContent): string {
  return partsOf(root)
    .filter((part) => part.children.length === 0 && part.type.toLowerCase() === 'text')
    .map((part) => {
      const raw = bytes.subarray(part.bodyStart, part.bodyEnd)
      const charset = part.parameters.find(([name]) => name.toLowerCase() === 'charset')?.[1] ?? 'utf-8'
      return decodeCharset(decodeTransferEncoding(raw, part.encoding) ?? raw, charset).toLowerCase()
    })
    .join('\n')
}

function partsOf(part: MessagePart): MessagePart[] {
  return [part, ...part.children.flatMap(partsOf), ...(part.message ? partsOf(part.message) : [])]
}

/** The day in the Date field, without time and zone (RFC 9051 §6.4.4, SENTON), counted from 1970-01-01. */
export function sentDay(content: MessageContent): number | undefined {
  const match = /(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{4}|\d{2})\b/.exec(fieldText(content, 'date')[0] ?? '')
  if (!match) return undefined
  const month = months.indexOf(match[2] as string)
  const given = Number(match[3])
  // RFC 5322 §4.3: two digits are of 2000 up to 49, of 1900 from 50.
  const year = given > 99 ? given : given < 50 ? given + 2000 : given + 1900
  return month < 0 ? undefined : Date.UTC(year, month, Number(match[1])) / 86_400_000
}

function decodeField(field: Buffer): string {
  const unfolded = decodeCharset(field, 'utf-8')
    .replace(/\r?\n(?=[ \t])/g, '')
    .replace(/\r?\n$/, '')
  return decodeWords(unfolded).trim().toLowerCase()
}

/** RFC 2047 §6.2: space between two encoded words is not part of the text. */
function decodeWords(text: string): string {
  return text
    .replace(/(=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=)\s+(?==\?[^?\s]+\?[BbQq]\?[^?\s]*\?=)/g, '$1')
    .replace(/=\?([^?\s*]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?\s]*)\?=/g, (_all, charset: string, encoding: string, content: string) => {
      const bytes =
        encoding.toUpperCase() === 'B'
          ? Buffer.from(content, 'base64')
          : (decodeTransferEncoding(Buffer.from(content.replaceAll('_', ' '), 'latin1'), 'quoted-printable') as Buffer)
      return decodeCharset(bytes, charset)
    })
}

function decodeCharset(bytes: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return bytes.toString('latin1')
  }
}
