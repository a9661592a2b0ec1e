import { randomBytes } from 'node:crypto'
import MimeNode from 'nodemailer/lib/mime-node'
import { fieldText, readHeader } from '../message/header.ts'
import type { Reject, Vacation } from '../sieve/actions.ts'

/** Where and when a reply is made. */
export interface ReplyContext {
  /** Name of the server. */
  readonly server: string
  readonly now: Date
}

/** RFC 5230 §5, RFC 3834 §3. */
export async function vacationMessage(vacation: Vacation, context: ReplyContext): Promise<Buffer> {
  const node = textNode(vacation.form === 'text' ? vacation.reason : '')
  setFields(node, context, {
    from: vacation.from,
    to: vacation.to,
    subject: vacation.subject,
    'auto-submitted': 'auto-replied (vacation)',
    ...(vacation.inReplyTo === undefined ? {} : { 'in-reply-to': vacation.inReplyTo }),
    ...(vacation.references === undefined ? {} : { references: vacation.references }),
  })
  if (vacation.form === 'text') return built(node)
  // The reason is a MIME entity: its fields take the place of ours (RFC 5230 §4.3).
  const fields = node.buildHeaders().split(/\r\n(?![ \t])/)
  const own = fields.filter((field) => !/^(?:content-|mime-version:)/i.test(field) && field !== '')
  const entity = vacation.reason.replace(/\r?\n/g, '\r\n').replace(/^mime-version:.*\r\n/im, '')
  return Buffer.from(`${own.join('\r\n')}\r\nMIME-Version: 1.0\r\n${entity}`)
}

/** A refusal that comes too late for the session: RFC 5429 §2.1.1 asks for a DSN (RFC 3464), §2.2 for an MDN (RFC 8098). */
export async function rejectionNotice(
  reject: Reject,
  given: ReplyContext & { readonly from: string; readonly to: string; readonly content: Buffer },
): Promise<Buffer> {
  const isMdn = reject.form === 'reject'
  const node = new MimeNode(`multipart/report; report-type=${isMdn ? 'disposition-notification' : 'delivery-status'}`, options)
  setFields(node, given, {
    from: `Mail Delivery System <postmaster@${given.server}>`,
    to: given.from,
    subject: 'Message refused by its recipient',
    'auto-submitted': 'auto-replied',
  })
  node.createChild('text/plain; charset=utf-8', options).setContent(`Your message was refused by the recipient <${given.to}>:\n\n${reject.reason}\n`)
  const report = isMdn ? disposition(given) : status(given)
  node.createChild(isMdn ? 'message/disposition-notification' : 'message/delivery-status', options).setContent(`${report.join('\r\n')}\r\n`)
  const { bodyStart } = readHeader(given.content, 0, given.content.length)
  node.createChild('text/rfc822-headers', options).setContent(given.content.subarray(0, bodyStart))
  return built(node)
}

const options = { newline: '\r\n', disableFileAccess: true, disableUrlAccess: true } as const

function textNode(text: string): MimeNode {
  return new MimeNode('text/plain; charset=utf-8', { ...options, textEncoding: 'Q' }).setContent(text)
}

function setFields(node: MimeNode, { server, now }: ReplyContext, fields: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(fields)) node.setHeader(name, value)
  node.setHeader('date', now.toUTCString().replace('GMT', '+0000'))
  node.setHeader('message-id', `<${randomBytes(16).toString('hex')}@${server}>`)
}

async function built(node: MimeNode): Promise<Buffer> {
  return node.build()
}

function status({ server, to, now }: ReplyContext & { readonly to: string }): string[] {
  return [
    `Reporting-MTA: dns; ${server}`,
    '',
    `Final-Recipient: rfc822; ${to}`,
    'Action: failed',
    'Status: 5.7.1',
    `Last-Attempt-Date: ${now.toUTCString().replace('GMT', '+0000')}`,
  ]
}

function disposition({ server, to, content }: ReplyContext & { readonly to: string; readonly content: Buffer }): string[] {
  const id = readHeader(content, 0, content.length).fields.find(({ name }) => name === 'message-id')
  return [
    `Reporting-UA: ${server}; Handoff`,
    `Final-Recipient: rfc822; ${to}`,
    ...(id === undefined ? [] : [`Original-Message-ID: ${fieldText(content, id)}`]),
    'Disposition: automatic-action/MDN-sent-automatically; deleted',
  ]
}
