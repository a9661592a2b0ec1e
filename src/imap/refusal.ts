import { randomBytes } from 'node:crypto'
import { HandoffError } from '../errors.ts'
import { SyntaxFault } from './cursor.ts'
import { plainText } from './respond.ts'
import { UnknownCharset } from './search-keys.ts'

/** The command was understood and cannot be done: tagged NO, with a response code of RFC 9051 §7.1 or RFC 5530. */
export class Refusal extends Error {
  readonly responseCode: string | undefined
  constructor(message: string, responseCode?: string) {
    super(message)
    this.name = 'Refusal'
    this.responseCode = responseCode
  }
}

export interface ImapLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Codes of our errors that mean more to a client than "not now". */
const responseCodes: Readonly<Record<string, string>> = {
  MAILBOX_UNKNOWN: 'NONEXISTENT',
  MAILBOX_EXISTS: 'ALREADYEXISTS',
  MAILBOX_FIXED: 'CANNOT',
}

/** The one place where an error becomes a tagged reply. What the client cannot have caused is logged, and the reply names the entry. */
export function replyTo(error: unknown, log: ImapLog): string {
  if (error instanceof SyntaxFault) return `BAD ${bracketed(error.responseCode)}${plainText(error.message)}`
  if (error instanceof UnknownCharset) return 'NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1)] Unknown charset'
  if (error instanceof Refusal) return `NO ${bracketed(error.responseCode)}${plainText(error.message)}`
  const code = error instanceof HandoffError ? responseCodes[error.code] : undefined
  if (error instanceof HandoffError && code !== undefined) return `NO [${code}] ${plainText(error.message)}`
  const id = randomBytes(4).toString('hex')
  log.error({ err: error, id }, 'imap: command failed')
  if (error instanceof HandoffError) return `NO [UNAVAILABLE] ${plainText(`${error.message} (${error.code}, log ${id})`)}`
  return `NO [SERVERBUG] Internal error (log ${id})`
}

/** The mailbox is not there any more. */
export function isGone(error: unknown): boolean {
  return error instanceof HandoffError && responseCodes[error.code] === 'NONEXISTENT'
}

function bracketed(code: string | undefined): string {
  return code === undefined ? '' : `[${code}] `
}
