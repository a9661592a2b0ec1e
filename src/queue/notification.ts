import { randomBytes } from 'node:crypto'
import type { Claim, DueRecipient, NewMessage, Notify, Outcome } from './queue.ts'

export interface Told {
  readonly recipient: DueRecipient
  readonly outcome: Outcome
}

export interface NotificationOptions {
  /** Name of this server. */
  readonly server: string
  readonly now: Date
  readonly content: Buffer
}

type Action = 'failed' | 'delayed' | 'relayed'

const notifyOf: Readonly<Record<Action, Notify>> = { failed: 'FAILURE', delayed: 'DELAY', relayed: 'SUCCESS' }
/** RFC 3461 §4.1: without NOTIFY the sender hears of failures, and may hear of delays. */
const byDefault: readonly Notify[] = ['FAILURE', 'DELAY']

/** RFC 3461 §5.2: does this recipient's sender want to hear of it? A message with the null return path has nobody to tell (RFC 5321 §6.1). */
export function wantsNotification(claim: Pick<Claim, 'returnPath'>, recipient: Pick<DueRecipient, 'notify'>, action: Action): boolean {
  return claim.returnPath !== '' && (recipient.notify ?? byDefault).includes(notifyOf[action])
}

const subjects: Readonly<Record<Action, string>> = {
  failed: 'Undelivered mail returned to sender',
  delayed: 'Delayed mail (still being tried)',
  relayed: 'Mail passed on to the next server',
}
const explanations: Readonly<Record<Action, string>> = {
  failed: 'Your message could not be delivered to these recipients, and will not be tried again:',
  delayed: 'Your message could not be delivered to these recipients yet. It will be tried on; you need not send it again:',
  relayed: 'Your message was passed on for these recipients to a server that sends no notifications of its own:',
}

/** A delivery status notification (RFC 3464) for the sender, about recipients that had the same fate. */
export function notification(claim: Claim, action: Action, told: readonly Told[], options: NotificationOptions): NewMessage {
  const boundary = `=_${randomBytes(12).toString('hex')}`
  const date = rfc5322Date(options.now)
  const full = action === 'failed' && claim.ret === 'FULL'
  const text = [
    `From: Mail Delivery System <postmaster@${options.server}>`,
    `To: <${claim.returnPath}>`,
    `Subject: ${subjects[action]}`,
    `Date: ${date}`,
    `Message-ID: <${randomBytes(16).toString('hex')}@${options.server}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    '',
    explanations[action],
    '',
    ...told.flatMap(({ recipient, outcome }) => [`  <${recipient.address}>`, `    ${outcome.reply}`, '']),
    `--${boundary}`,
    'Content-Type: message/delivery-status',
    '',
    `Reporting-MTA: dns; ${options.server}`,
    ...(claim.envid === null ? [] : [`Original-Envelope-Id: ${claim.envid}`]),
    `Arrival-Date: ${rfc5322Date(new Date(options.now.getTime() - claim.queuedForMs))}`,
    ...told.flatMap((each) => ['', ...perRecipient(action, each, date)]),
    '',
    `--${boundary}`,
    `Content-Type: ${full ? 'message/rfc822' : 'text/rfc822-headers'}`,
    '',
    '',
  ].join('\r\n')
  const original = full ? options.content : headerOf(options.content)
  return {
    key: `notification ${claim.attempt} ${claim.id} ${claim.domain} ${action} ${told.map(({ recipient }) => recipient.number).join()}`,
    returnPath: '',
    content: Buffer.concat([Buffer.from(text), original, Buffer.from(`\r\n--${boundary}--\r\n`)]),
    recipients: [{ address: claim.returnPath, notify: [] }],
  }
}

function perRecipient(action: Action, { recipient, outcome }: Told, date: string): string[] {
  return [
    ...(recipient.orcpt === null ? [] : [`Original-Recipient: ${recipient.orcpt}`]),
    `Final-Recipient: rfc822; ${recipient.address}`,
    `Action: ${action}`,
    `Status: ${statusOf(action, outcome.reply)}`,
    ...(outcome.host === null ? [] : [`Remote-MTA: dns; ${outcome.host.split(' ')[0]}`]),
    ...(/^[245]\d\d[ -]/.test(outcome.reply) ? [`Diagnostic-Code: smtp; ${outcome.reply}`] : []),
    `Last-Attempt-Date: ${date}`,
  ]
}

/** RFC 3463. A reply's own code when it fits what has happened; the given-up ones say why it was tried so long. */
function statusOf(action: Action, reply: string): string {
  const [, found] = /^(?:[245]\d\d[ -])?([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(reply) ?? []
  const wanted = action === 'failed' ? '5' : action === 'delayed' ? '4' : '2'
  if (found?.startsWith(wanted)) return found
  return action === 'failed' && found?.startsWith('4') ? `5${found.slice(1)}` : `${wanted}.0.0`
}

function headerOf(content: Buffer): Buffer {
  const end = content.indexOf('\r\n\r\n')
  return end === -1 ? content : content.subarray(0, end + 2)
}

/** RFC 5322 §3.3, in UTC. */
function rfc5322Date(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000')
}
