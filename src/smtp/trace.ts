import { readHeader } from '../message/header.ts'

/** Trace headers (RFC 5321 §4.4), prepended to the content as received. */
export interface Trace {
  /** What the client called itself; untrusted. */
  readonly helo: string
  readonly remoteAddress: string
  /** The name of this server. */
  readonly by: string
  readonly with: string
  /** An atom: no dots. */
  readonly id: string
  /** Named only for a single recipient: others must not learn of each other (RFC 5321 §7.2). */
  readonly for?: string
  readonly at: Date
  readonly cipher?: string
}

export interface Transmission {
  readonly protocol: 'SMTP' | 'LMTP'
  readonly extended: boolean
  readonly tls: boolean
  readonly authenticated: boolean
  readonly smtpUtf8: boolean
}

/** The "with" keyword: RFC 3848 (ESMTPSA, LMTPS ...) and RFC 6531 §4.3 (UTF8SMTP ...). */
export function transmissionKeyword(t: Transmission): string {
  if (t.protocol === 'SMTP' && !t.extended) return 'SMTP'
  const base = t.smtpUtf8 ? `UTF8${t.protocol}` : t.protocol === 'LMTP' ? 'LMTP' : 'ESMTP'
  return base + (t.tls ? 'S' : '') + (t.authenticated ? 'A' : '')
}

export function receivedHeader(trace: Trace): string {
  const lines = [
    `Received: from ${domainToken(trace.helo)} (${addressLiteral(trace.remoteAddress)})`,
    `by ${domainToken(trace.by)} with ${trace.with} id ${trace.id}${trace.cipher ? ` (${trace.cipher.replace(/[^\w .-]/g, '')})` : ''}`,
    ...(trace.for === undefined ? [] : [`for <${trace.for}>`]),
  ]
  return `${lines.join('\r\n\t')};\r\n\t${trace.at.toUTCString().replace('GMT', '+0000')}\r\n`
}

/** RFC 5321 §4.4: the final delivery adds the reverse path as the first line. */
export function returnPathHeader(from: string): string {
  return `Return-Path: <${from}>\r\n`
}

/** Hops so far: a message that has been through too many is in a loop (RFC 5321 §6.3). */
export function countReceived(message: Buffer): number {
  return readHeader(message, 0, message.length).fields.filter((field) => field.name === 'received').length
}

/** RFC 5321 §4.1.3. An IPv4 address may come in the clothes of IPv6, and a link-local one with its interface. */
export function addressLiteral(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '')
  return plain.includes(':') ? `[IPv6:${plain}]` : `[${plain}]`
}

// What the client says of itself must not be able to end the clause or open a comment.
function domainToken(name: string): string {
  const clean = name.replace(/[^\p{L}\p{N}._:[\]-]/gu, '')
  return clean === '' ? 'unknown' : clean.slice(0, 255)
}
