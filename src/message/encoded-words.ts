import { decodeBase64, decodeQuotedPrintable } from './transfer-encoding.ts'

const pattern = /=\?([^?\s]{1,64})\?([bqBQ])\?([^?\s]*)\?=/g

/** RFC 2047. Neighbours of one charset are decoded together: many senders cut within a character. */
export function decodeEncodedWords(text: string): string {
  if (!text.includes('=?')) return text
  let result = ''
  let at = 0
  let run: { readonly charset: string; readonly bytes: Uint8Array[] } | undefined
  const flush = () => {
    if (run) result += decodeCharset(concat(run.bytes), run.charset)
    run = undefined
  }
  for (const match of text.matchAll(pattern)) {
    const between = text.slice(at, match.index)
    // §6.2: white space between two encoded words is not part of the text.
    const joins = run !== undefined && /^\s*$/.test(between)
    // RFC 2231 §5: a language may follow the charset.
    const charset = (match[1] ?? '').replace(/\*.*$/, '').toLowerCase()
    if (!joins || run?.charset !== charset) flush()
    if (!joins) result += between
    run ??= { charset, bytes: [] }
    run.bytes.push(decodeWord(match[2] ?? '', match[3] ?? ''))
    at = match.index + match[0].length
  }
  flush()
  return result + text.slice(at)
}

function decodeWord(encoding: string, content: string): Uint8Array {
  const bytes = new TextEncoder().encode(content)
  return encoding.toLowerCase() === 'b' ? decodeBase64(bytes) : decodeQuotedPrintable(bytes.map((byte) => (byte === 0x5f ? 0x20 : byte)))
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const each of parts) {
    whole.set(each, at)
    at += each.length
  }
  return whole
}

/** A charset that is not known is read as UTF-8, which has at least the ASCII right. */
export function decodeCharset(bytes: Uint8Array, charset: string): string {
  const name = charset.trim().toLowerCase()
  try {
    return new TextDecoder(name === '' || name === 'us-ascii' ? 'utf-8' : name).decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes)
  }
}
