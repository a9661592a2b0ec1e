import { isNonAscii } from './address.ts'
import { refusals } from './reply.ts'

export interface CommandLine {
  /** Upper case. */
  readonly verb: string
  /** Without the space before it, and without white space at the end (RFC 5321 §4.1.1). */
  readonly argument: string
}

/**
 * RFC 5321 §4.5.3.1.4: 512 octets with CRLF, and what extensions add: SIZE 26, BODY 17, SMTPUTF8 10, REQUIRETLS 11, AUTH 500, RET and
 * ENVID 9 + 107 for MAIL, ORCPT and NOTIFY 507 + 29 for RCPT; RFC 4954 §4 for AUTH.
 */
const lineBytesMax = 512
const longerLines: Readonly<Record<string, number>> = { MAIL: 512 + 26 + 17 + 10 + 11 + 500 + 9 + 107, RCPT: 512 + 507 + 29, AUTH: 12_288 }

/** The longest line that may be a command, of whatever kind. */
export const anyLineBytesMax = 12_288

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @throws Refusal 500 */
export function readCommandLine(bytes: Buffer): CommandLine {
  const text = decode(bytes)
  const [, word, rest] = /^([A-Za-z0-9]+)(?:[ \t]+(.*))?$/s.exec(text.trimEnd()) ?? []
  const verb = word?.toUpperCase() ?? ''
  if (bytes.length + 2 > (Object.hasOwn(longerLines, verb) ? (longerLines[verb] ?? 0) : lineBytesMax)) throw refusals.lineTooLong()
  if (word === undefined || /[\x00-\x08\x0a-\x1f\x7f]/.test(text)) throw refusals.noCommand()
  return { verb, argument: rest ?? '' }
}

function decode(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  if (!isNonAscii(text)) return text
  try {
    return utf8.decode(bytes)
  } catch {
    throw /^(mail|rcpt) /i.test(text) ? refusals.addressNotAscii() : refusals.noCommand()
  }
}
