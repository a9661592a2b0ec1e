import { SyntaxFault } from './cursor.ts'
import { decodeModifiedUtf7, encodeModifiedUtf7 } from './modified-utf7.ts'
import { quoteOrLiteral } from './respond.ts'

export const separator = '/'

/** How a session writes mailbox names: modified UTF-7 (RFC 3501), or UTF-8 once IMAP4rev2 is enabled (RFC 9051 §5.1). */
export type NameEncoding = 'utf7' | 'utf8'

/**
 * A name that a client gave, as our store has it. INBOX is INBOX in any case of letters, also as the first of several levels
 * (RFC 9051 §5.1.1). What a person could not have meant (control characters, endless names) is refused here, for every command.
 */
export function readMailboxName(binary: string, encoding: NameEncoding): string {
  const name = readPattern(binary, encoding)
  if (name.length > 1000) throw new SyntaxFault('Mailbox name too long', 'CANNOT')
  return canonicalName(name)
}

/** Like `readMailboxName`, for what may hold wildcards. */
export function readPattern(binary: string, encoding: NameEncoding): string {
  const text = /[\x80-\xff]/.test(binary) ? utf8(binary) : encoding === 'utf7' ? (decodeModifiedUtf7(binary) ?? binary) : binary
  if (/[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]/.test(text)) throw new SyntaxFault('Control characters are not permitted in a mailbox name', 'CANNOT')
  return text.normalize('NFC')
}

export function canonicalName(name: string): string {
  const first = /^inbox(?=$|\/)/i.exec(name)
  return first ? `INBOX${name.slice(5)}` : name
}

/** Why a mailbox of this name cannot be made; undefined if it can. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'A mailbox needs a name'
  if (name.split(separator).includes('')) return 'A mailbox name has no empty level'
  if (/[*%]/.test(name)) return 'A mailbox name has no wildcards'
  return undefined
}

export function writeMailboxName(name: string, encoding: NameEncoding): string {
  return quoteOrLiteral(encoding === 'utf8' ? name : encodeModifiedUtf7(name))
}

/** RFC 9051 §6.3.9: `*` matches anything, `%` anything but the separator. Linear time: no backtracking over client input. */
export function matchesPattern(pattern: string, name: string): boolean {
  let states = new Set<number>([0])
  const close = (set: Set<number>) => {
    for (const at of set) if (pattern[at] === '*' || pattern[at] === '%') set.add(at + 1)
    return set
  }
  close(states)
  for (const char of name) {
    const next = new Set<number>()
    for (const at of states) {
      const wanted = pattern[at]
      if (wanted === undefined) continue
      if (wanted === '*' || (wanted === '%' && char !== separator)) next.add(at)
      else if (wanted !== '%' && String.fromCodePoint(pattern.codePointAt(at) as number) === char) next.add(at + char.length)
    }
    states = close(next)
    if (states.size === 0) return false
  }
  return states.has(pattern.length)
}

function utf8(binary: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(binary, 'latin1'))
  } catch {
    throw new SyntaxFault('Invalid UTF-8')
  }
}
