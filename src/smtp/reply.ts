import { randomBytes } from 'node:crypto'
import { type ErrorCode, HandoffError } from '../errors.ts'

/** An SMTP reply with its enhanced status code (RFC 3463, RFC 5248). */
export interface Reply {
  readonly code: number
  /** None in greetings, answers to EHLO, HELO and LHLO, and where the client is to go on (RFC 2034 §4). */
  readonly enhanced?: string | undefined
  /** Several lines make one reply of several lines. */
  readonly text: string | readonly string[]
}

export function formatReply({ code, enhanced, text }: Reply): string {
  const lines = typeof text === 'string' ? [text] : text
  const prefix = enhanced === undefined ? '' : `${enhanced} `
  return lines.map((line, i) => `${code}${i === lines.length - 1 ? ' ' : '-'}${prefix}${line}\r\n`).join('')
}

/** What a handler throws to refuse a command: an expected reply, not a failure of ours, so it is not logged as an error. */
export class Refusal extends Error {
  readonly reply: Reply
  /** `session`: nothing more can be understood after this, so the session ends. */
  readonly ends: 'command' | 'session'
  constructor(code: number, enhanced: string | undefined, text: Reply['text'], ends: 'command' | 'session' = 'command') {
    super(`${code} ${enhanced} ${text}`)
    this.name = 'Refusal'
    this.reply = { code, enhanced, text }
    this.ends = ends
  }
}

export const refusals = {
  unknownRecipient: (address: string) => new Refusal(550, '5.1.1', `<${address}>: no such mailbox here`),
  relayDenied: (address: string) => new Refusal(550, '5.7.1', `<${address}>: not a mailbox here, and mail is sent on only for those who log in`),
  binaryElsewhere: (address: string) => new Refusal(550, '5.6.1', `<${address}>: not a mailbox here, and BODY=BINARYMIME is not sent on`),
  foreignSender: (address: string) => new Refusal(553, '5.7.1', `<${address}>: not an address of the account that is logged in`),
  badSender: () => new Refusal(501, '5.1.7', 'Syntax: MAIL FROM:<address> [parameters]'),
  badRecipient: () => new Refusal(501, '5.1.3', 'Syntax: RCPT TO:<address> [parameters]'),
  addressNotAscii: () => new Refusal(553, '5.6.7', 'An address that is not ASCII needs SMTPUTF8, and is in UTF-8'),
  tooManyRecipients: (max: number) => new Refusal(452, '4.5.3', `Too many recipients, at most ${max} in one transaction`),
  noRecipients: () => new Refusal(554, '5.5.1', 'No valid recipients'),
  badParameter: (name: string) => new Refusal(501, '5.5.4', `Parameter ${name}: wrong, or there twice`),
  unknownParameter: (name: string) => new Refusal(555, '5.5.4', `Parameter ${name.slice(0, 40)} is not known here`),

  tlsRequired: () => new Refusal(530, '5.7.0', 'Must issue a STARTTLS command first'),
  authenticationRequired: () => new Refusal(530, '5.7.0', 'Authentication required'),
  encryptionRequired: () => new Refusal(538, '5.7.11', 'Encryption required for requested authentication mechanism'),
  badCredentials: () => new Refusal(535, '5.7.8', 'Authentication failed: wrong user name or password'),
  unknownMechanism: () => new Refusal(504, '5.5.4', 'Unrecognized authentication type'),
  authenticationCancelled: () => new Refusal(501, '5.7.0', 'Authentication cancelled'),
  badBase64: () => new Refusal(501, '5.5.2', 'Not base64, or not a response of this mechanism'),

  noCommand: () => new Refusal(500, '5.5.2', 'Not a command'),
  unknownCommand: () => new Refusal(500, '5.5.1', 'Command not recognized'),
  notImplemented: (verb: string) => new Refusal(502, '5.5.1', `${verb} is not implemented`),
  outOfSequence: (text: string) => new Refusal(503, '5.5.1', text),
  badArguments: (syntax: string) => new Refusal(501, '5.5.4', `Syntax: ${syntax}`),
  badHello: (verb: string) => new Refusal(501, undefined, `Syntax: ${verb} domain`),
  badChunk: () => new Refusal(501, '5.5.4', 'Syntax: BDAT octets [LAST]; what follows cannot be told from commands', 'session'),
  lineTooLong: () => new Refusal(500, '5.5.2', 'Line too long'),
  bareLineEnd: () => new Refusal(500, '5.5.2', 'A command ends with CRLF, and has no CR or LF in it'),

  tooBig: (limitBytes: number) => new Refusal(552, '5.3.4', `Message is larger than the limit of ${limitBytes} bytes`),
  loop: (hops: number) => new Refusal(554, '5.4.6', `Routing loop: the message has ${hops} Received lines`),

  refusedByScript: (reason: string) => new Refusal(550, '5.7.1', linesOf(reason)),

  refusedByDomain: (domain: string) => new Refusal(550, '5.7.1', `${domain} asks receivers to refuse what is not proven to be from it (DMARC)`),
  unproven: (domain: string) => new Refusal(451, '4.7.0', `It could not be found out now whether this is from ${domain} (DMARC), try again later`),

  silent: () => new Refusal(421, '4.4.2', 'Nothing came for too long, closing', 'session'),
  endlessLine: () => new Refusal(421, '4.7.0', 'A line without an end, closing', 'session'),
  tooManyErrors: () => new Refusal(421, '4.7.0', 'Too many errors, closing', 'session'),
  tooManyLogins: () => new Refusal(421, '4.7.0', 'Too many failed logins, closing', 'session'),
  tooManySessions: () => new Refusal(421, '4.3.2', 'Too many sessions, try again in a moment', 'session'),
  notOurProtocol: () => new Refusal(421, '4.7.0', 'This is not an HTTP server, closing', 'session'),
  moving: (name: string) => new Refusal(421, '4.3.2', `${name} is moving to another machine, connect again now`, 'session'),
} as const

const refusalLinesMax = 10
const refusalCharactersMax = 400

/** What a person wrote, as lines of a reply: RFC 5321 §4.2 permits printable ASCII. */
function linesOf(reason: string): readonly string[] {
  const lines = reason.split(/\r?\n/).map((line) =>
    line
      .replace(/[^ -~]/g, '?')
      .slice(0, refusalCharactersMax)
      .trim(),
  )
  const said = lines.filter((line) => line !== '').slice(0, refusalLinesMax)
  return said.length === 0 ? ['Refused by the recipient'] : said
}

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

/**
 * SMTP has one reply for all recipients: the worst. A temporary failure wins over a permanent one, since it makes the sender keep
 * the message; who has it already gets it again (SMTP is at-least-once).
 */
export function worstOf(replies: readonly Reply[]): Reply {
  const rank = (r: Reply) => (r.code < 400 ? 0 : r.code >= 500 ? 1 : 2)
  return replies.reduce((worst, r) => (rank(r) > rank(worst) ? r : worst))
}
