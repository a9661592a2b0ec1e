import type { CommandDefinition } from '../command-table.ts'
import { type Cursor, SyntaxFault } from '../cursor.ts'
import { Refusal } from '../refusal.ts'
import type { Session } from '../session.ts'
import { findMailbox, storeOf, takeMailbox } from './mailbox.ts'

export const appendCommand: readonly (readonly [string, CommandDefinition])[] = [['APPEND', { state: 'authenticated', expunges: true, parse: parseAppend }]]

const canonicalSystemFlags = new Map(['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'].map((flag) => [flag.toLowerCase(), flag]))
const flagsMax = 100

/** System flags in their own spelling; an unknown one is refused, `\Recent` dropped: it is the server's alone (RFC 9051 §2.3.2). */
export function readFlags(flags: readonly string[]): string[] {
  if (flags.length > flagsMax) throw new SyntaxFault('Too many flags', 'LIMIT')
  const result = new Map<string, string>()
  for (const flag of flags) {
    const lower = flag.toLowerCase()
    if (lower === '\\recent') continue
    const known = flag.startsWith('\\') ? canonicalSystemFlags.get(lower) : flag
    if (known === undefined) throw new SyntaxFault('Unknown system flag')
    if (known.length > 255) throw new SyntaxFault('Keyword too long', 'LIMIT')
    // RFC 9051 §2.3.2: keywords are the same in any case of letters.
    if (!result.has(lower)) result.set(lower, known)
  }
  return [...result.values()]
}

function parseAppend(cursor: Cursor, session: Session) {
  const name = takeMailbox(cursor, session)
  cursor.space()
  const flags = cursor.peek('(') ? readFlags(cursor.flagList()) : undefined
  if (flags) cursor.space()
  const internalDate = cursor.peek('"') ? cursor.dateTime() : undefined
  if (internalDate) cursor.space()
  const literal = cursor.literal()
  return async () => {
    if (literal.bytes.length === 0) throw new Refusal('The message is empty', 'CANNOT')
    // RFC 9051 §4.3.1: a message that is given back as a literal cannot have NUL; as BINARY we do not store.
    if (literal.bytes.includes(0))
      throw literal.binary ? new Refusal('Messages with NUL cannot be kept', 'UNKNOWN-CTE') : new SyntaxFault('NUL is not permitted in a literal')
    const mailbox = await findMailbox(session, name, 'TRYCREATE')
    const { uidValidity, uid } = await storeOf(session).append(mailbox.id, { bytes: literal.bytes, flags: flags ?? [], internalDate })
    if (session.selected?.mailbox.id === mailbox.id) session.selected.changed = true
    return `OK [APPENDUID ${uidValidity} ${uid}] APPEND completed`
  }
}
