import type { EnvelopeAddress, MessageEnvelope, MessagePart } from '../message/part.ts'
import { nstring, quoteOrLiteral } from './respond.ts'

/** ENVELOPE (RFC 9051 §7.5.2). */
export function writeEnvelope(envelope: MessageEnvelope): string {
  const from = addresses(envelope.from)
  // Sender and Reply-To that are missing are the From field's, by the server's hand.
  const orFrom = (list: readonly EnvelopeAddress[]) => (list.length === 0 ? from : addresses(list))
  const parts = [nstring(envelope.date), nstring(envelope.subject), from, orFrom(envelope.sender), orFrom(envelope.replyTo)]
  parts.push(addresses(envelope.to), addresses(envelope.cc), addresses(envelope.bcc), nstring(envelope.inReplyTo), nstring(envelope.messageId))
  return `(${parts.join(' ')})`
}

function addresses(list: readonly EnvelopeAddress[]): string {
  if (list.length === 0) return 'NIL'
  return `(${list.map(({ name, mailbox, host }) => `(${nstring(name)} NIL ${nstring(mailbox)} ${nstring(host)})`).join('')})`
}

/** BODYSTRUCTURE, or BODY, which is the same without the extension data (RFC 9051 §7.5.2). */
export function writeStructure(part: MessagePart, extended: boolean): string {
  if (part.children.length > 0) {
    const children = part.children.map((child) => writeStructure(child, extended)).join('')
    const extension = extended ? ` ${parameters(part.parameters)} ${extensionData(part)}` : ''
    return `(${children} ${quoteOrLiteral(part.subtype)}${extension})`
  }
  const fields = [quoteOrLiteral(part.type), quoteOrLiteral(part.subtype), parameters(part.parameters), nstring(part.id), nstring(part.description)]
  fields.push(quoteOrLiteral(part.encoding), String(part.bodyEnd - part.bodyStart))
  if (part.message) fields.push(writeEnvelope(part.message.envelope), writeStructure(part.message, extended))
  if (part.message || part.type.toLowerCase() === 'text') fields.push(String(part.lines))
  if (extended) fields.push(nstring(part.md5), extensionData(part))
  return `(${fields.join(' ')})`
}

function extensionData(part: MessagePart): string {
  const { disposition, language, location } = part
  const written = disposition ? `(${quoteOrLiteral(disposition.type)} ${parameters(disposition.parameters)})` : 'NIL'
  return `${written} ${language.length === 0 ? 'NIL' : language.length === 1 ? quoteOrLiteral(language[0] as string) : `(${language.map(quoteOrLiteral).join(' ')})`} ${nstring(location)}`
}

function parameters(list: ReadonlyArray<readonly [string, string]>): string {
  return list.length === 0 ? 'NIL' : `(${list.map(([name, value]) => `${quoteOrLiteral(name)} ${quoteOrLiteral(value)}`).join(' ')})`
}
