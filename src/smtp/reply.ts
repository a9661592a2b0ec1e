import { randomBytes } from 'node:crypto'
import { type ErrorCode, HandoffError } from '../errors.ts'

/** An SMTP reply with its enhanced status code (RFC 3463, RFC 5248). */
export interface Reply {
  readonly code: number
  readonly enhanced: string
  readonly text: string
}

/** What a handler throws to refuse a command: an expected reply, not a failure of ours, so it is not logged as an error. */
export class Refusal extends Error {
  readonly reply: Reply
  constructor(code: number, enhanced: string, text: string) {
    super(`${code} ${enhanced} ${text}`)
    this.name = 'Refusal'
    this.reply = { code, enhanced, text }
  }
}

export const refusals = {
  unknownRecipient: (address: string) => new Refusal(550, '5.1.1', `<${address}>: no such mailbox here`),
  relayDenied: (address: string) => new Refusal(550, '5.7.1', `<${address}>: not a mailbox here, and this server does not send mail to other servers yet`),
  foreignSender: (address: string) => new Refusal(553, '5.7.1', `<${address}>: not an address of the account that is logged in`),
  authenticationRequired: () => new Refusal(530, '5.7.0', 'Authentication required: use STARTTLS, then AUTH'),
  badCredentials: () => new Refusal(535, '5.7.8', 'Authentication failed: wrong user name or password'),
  tooBig: (limitBytes: number) => new Refusal(552, '5.3.4', `Message is larger than the limit of ${limitBytes} bytes`),
  clientGone: () => new Refusal(451, '4.4.2', 'Connection lost before the end of the message'),
  loop: (hops: number) => new Refusal(554, '5.4.6', `Routing loop: the message has ${hops} Received lines`),
} as const

/** Error codes of the mail store and the mount that mean something else than "try again later". */
const replyOfCode: Readonly<Partial<Record<ErrorCode, Reply>>> = {
  ACCOUNT_UNKNOWN: { code: 550, enhanced: '5.1.1', text: 'No such mailbox here' },
  MAILBOX_UNKNOWN: { code: 550, enhanced: '5.1.1', text: 'No such mailbox here' },
}

export type LogError = (fields: { readonly id: string; readonly err: unknown }, message: string) => void

/**
 * The one place where an error becomes a reply. What was not expected is a temporary failure, never a permanent one: the sender
 * keeps the message. The reply carries the id under which the log has the cause.
 */
export function replyTo(error: unknown, logError: LogError): Reply {
  if (error instanceof Refusal) return error.reply
  const known = error instanceof HandoffError ? replyOfCode[error.code] : undefined
  if (known) return known
  const id = randomBytes(4).toString('hex')
  logError({ id, err: error }, 'smtp: temporary failure')
  return { code: 451, enhanced: '4.3.0', text: `Mailbox database cannot be written now, try again later (id ${id})` }
}

/** The error value by which `smtp-server` learns a reply. */
export function asReplyError(reply: Reply): Error & { responseCode: number } {
  return Object.assign(new Error(`${reply.enhanced} ${reply.text}`), { responseCode: reply.code })
}
