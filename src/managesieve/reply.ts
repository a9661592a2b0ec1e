import { randomBytes } from 'node:crypto'
import { type ErrorCode, HandoffError } from '../errors.ts'
import { SieveError } from '../sieve/error.ts'
import { SyntaxFault } from './command-reader.ts'

/** The last line of every answer (RFC 5804 §1.2). */
export interface Reply {
  readonly condition: 'OK' | 'NO' | 'BYE'
  /** RFC 5804 §1.3. */
  readonly code?: string | undefined
  /** What stands after the code: TAG has it. */
  readonly codeValue?: Buffer | undefined
  readonly text?: string | undefined
}

export function formatReply({ condition, code, codeValue, text }: Reply): Buffer {
  const value = codeValue === undefined ? [] : [Buffer.from(' '), encodeString(codeValue)]
  const bracketed = code === undefined ? [] : [Buffer.from(` (${code}`), ...value, Buffer.from(')')]
  const words = text === undefined ? [] : [Buffer.from(' '), encodeString(Buffer.from(text))]
  return Buffer.concat([Buffer.from(condition), ...bracketed, ...words, Buffer.from('\r\n')])
}

const quotedBytesMax = 1024

/** As a quoted string where that may be (RFC 5804 §4: at most 1024 octets of text without line ends), else as a literal. */
export function encodeString(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/["\\]/g, '\\$&')
  const canBeQuoted = text.length <= quotedBytesMax && !/[\r\n\0]/.test(text) && decode(bytes) !== undefined
  return canBeQuoted ? Buffer.from(`"${text}"`, 'latin1') : Buffer.concat([Buffer.from(`{${bytes.length}}\r\n`), bytes])
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @returns undefined when it is not UTF-8 */
export function decode(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** What a command throws that is not to be done: an expected answer, not a failure of ours, so it is not logged. */
export class Refusal extends Error {
  readonly reply: Reply
  constructor(text: string, code?: string, condition: 'NO' | 'BYE' = 'NO') {
    super(text)
    this.name = 'Refusal'
    this.reply = { condition, code, text }
  }
}

export const refusals = {
  loginFirst: () => new Refusal('Log in first'),
  loggedIn: () => new Refusal('Already logged in'),
  tlsActive: () => new Refusal('TLS is active already'),
  encryptionNeeded: () => new Refusal('Use STARTTLS first', 'ENCRYPT-NEEDED'),
  unknownMechanism: () => new Refusal('This mechanism is not supported'),
  badResponse: () => new Refusal('Not base64, or not a response of this mechanism'),
  cancelled: () => new Refusal('Authentication cancelled'),
  badCredentials: () => new Refusal('Wrong user name or password'),
  tooManyLogins: () => new Refusal('Too many failed authentication attempts', undefined, 'BYE'),
  tooManyErrors: () => new Refusal('Too many bad commands', undefined, 'BYE'),
  tooManySessions: () => new Refusal('Too many sessions, try again in a moment', 'TRYLATER', 'BYE'),
  silent: () => new Refusal('Nothing came for too long', undefined, 'BYE'),
  endlessLine: () => new Refusal('The line is too long', undefined, 'BYE'),
  moving: (name: string) => new Refusal(`${name} is moving to another machine, connect again now`, 'TRYLATER', 'BYE'),
} as const

/** Errors of the script store that a client can do something about, with their response codes. */
const expected: Readonly<Partial<Record<ErrorCode, { readonly code?: string }>>> = {
  SIEVE_SCRIPT_UNKNOWN: { code: 'NONEXISTENT' },
  SIEVE_SCRIPT_EXISTS: { code: 'ALREADYEXISTS' },
  SIEVE_SCRIPT_ACTIVE: { code: 'ACTIVE' },
  SIEVE_SCRIPT_TOO_LARGE: { code: 'QUOTA/MAXSIZE' },
  SIEVE_SCRIPT_LIMIT: { code: 'QUOTA/MAXSCRIPTS' },
  SIEVE_SCRIPT_NAME_INVALID: {},
}

export type LogError = (fields: { readonly id: string; readonly err: unknown }, message: string) => void

/** The one place where an error becomes a reply. What the client cannot have caused is logged, and the reply names the entry. */
export function replyTo(error: unknown, logError: LogError): Reply {
  if (error instanceof Refusal) return error.reply
  if (error instanceof SyntaxFault) return { condition: error.ends === 'session' ? 'BYE' : 'NO', text: error.message }
  // RFC 5804 §2.6: the message gives the line.
  if (error instanceof SieveError) return { condition: 'NO', text: error.message }
  const known = error instanceof HandoffError ? expected[error.code] : undefined
  if (known) return { condition: 'NO', code: known.code, text: (error as HandoffError).message }
  const id = randomBytes(4).toString('hex')
  logError({ id, err: error }, 'managesieve: command failed')
  return { condition: 'NO', code: 'TRYLATER', text: `The mailbox database cannot be used now, try again later (log ${id})` }
}
