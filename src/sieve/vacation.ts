import type { Vacation } from './actions.ts'
import { Fault } from './fault.ts'
import { limits } from './limits.ts'
import { addressParts, firstValue, headerValues, rawValues } from './message-view.ts'
import type { Call } from './program.ts'
import { numberOf, type Run, stringOf, stringsOf, tagString } from './run.ts'
import { isAddress, mailboxAddress } from './syntax.ts'

/** The reply that `vacation` asks for, or why RFC 5230 forbids one to this message. */
export function vacationReply(run: Run, call: Call): Vacation | { readonly kind: 'withheld'; readonly why: string } {
  const own = ownAddresses(run, call)
  const named = recipientFields.flatMap((name) => addressParts(run.message, name, 'all')).find((address) => own.has(address.toLowerCase()))
  const why = reasonAgainst(run, own) ?? (named === undefined ? 'no recipient field has one of the own addresses' : undefined)
  if (why !== undefined) return { kind: 'withheld', why: `vacation: ${why}` }
  const from = tagString(run, call, 'from')
  if (from !== undefined && mailboxAddress(from) === undefined) throw new Fault(`vacation: "${from}" is not an address`)
  const subject = tagString(run, call, 'subject')
  const form = call.tags.has('mime') ? 'mime' : 'text'
  const reason = stringOf(run, call.values[0])
  const handle = tagString(run, call, 'handle')
  const messageId = firstValue(run.message, 'message-id')
  return {
    kind: 'vacation',
    to: run.envelope.from,
    // The address that the sender knows.
    from: from ?? named ?? run.envelope.to,
    subject: (subject ?? defaultSubject(run)).replace(/[\x00-\x1f\x7f]+/g, ' '),
    form,
    reason,
    key: JSON.stringify(handle === undefined ? [subject ?? '', from ?? '', form, reason] : [handle]),
    seconds: period(call),
    inReplyTo: messageId,
    references: references(run, messageId),
  }
}

function ownAddresses(run: Run, call: Call): ReadonlySet<string> {
  const given = ['addresses', 'from'].flatMap((tag) => stringsOf(run, call.tags.get(tag)))
  const all = [run.envelope.to, ...run.environment.ownAddresses, ...given.map((text) => mailboxAddress(text) ?? text)]
  return new Set(all.map((address) => address.toLowerCase()))
}

/** RFC 5230 §4.5, §4.6; RFC 3834 §2. */
function reasonAgainst(run: Run, own: ReadonlySet<string>): string | undefined {
  const { message, envelope } = run
  const sender = envelope.from.toLowerCase()
  if (sender === '') return 'the sender is the null address'
  if (!isAddress(envelope.from)) return 'the sender has no usable address'
  if (own.has(sender)) return 'the sender is one of the own addresses'
  if (isRobot(sender)) return 'the sender is no person'
  if ((firstValue(message, 'auto-submitted') ?? 'no').split(';')[0]?.trim().toLowerCase() !== 'no') return 'the message was sent automatically'
  if (listFields.some((name) => message.fields.has(name))) return 'the message comes from a mailing list'
  if (rawValues(message, 'precedence').some((value) => /^(bulk|list|junk)$/i.test(value))) return 'the message has a precedence for mass mail'
  return undefined
}

const listFields = ['list-id', 'list-help', 'list-subscribe', 'list-unsubscribe', 'list-post', 'list-owner', 'list-archive']
const recipientFields = ['to', 'cc', 'bcc', 'resent-to', 'resent-cc', 'resent-bcc']

function isRobot(address: string): boolean {
  const local = address.slice(0, address.lastIndexOf('@'))
  return (
    /^(?:mailer-daemon|listserv|majordomo|no-?reply|do-?not-?reply)$/.test(local) || local.startsWith('owner-') || /-(?:request|bounces|owner)$/.test(local)
  )
}

/** RFC 5230 §4.1, RFC 6131 §2: what is asked for, within the bounds of this server. */
function period(call: Call): number {
  const days = numberOf(call.tags.get('days'))
  const seconds = numberOf(call.tags.get('seconds')) ?? Math.max(days ?? limits.vacationDaysDefault, 1) * 86_400
  return Math.min(Math.max(seconds, limits.vacationSecondsMin), limits.vacationDaysMax * 86_400)
}

/** RFC 5230 §4.4. */
function defaultSubject(run: Run): string {
  const [subject] = headerValues(run.message, 'subject')
  return subject ? `Auto: ${subject}` : 'Automated reply'
}

/** RFC 5230 §5.8 by way of RFC 5322 §3.6.4. */
function references(run: Run, messageId: string | undefined): string | undefined {
  const given = firstValue(run.message, 'references') ?? firstValue(run.message, 'in-reply-to')
  const all = [given, messageId].filter((each) => each !== undefined && each !== '')
  return all.length > 0 ? all.join(' ') : undefined
}
