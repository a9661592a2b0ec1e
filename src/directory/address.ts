import { HandoffError } from '../errors.ts'

export interface MailAddress {
  /** Lower case, composed (NFC): how it is kept and compared. */
  readonly address: string
  readonly local: string
  readonly domain: string
}

/** Separates a tag from the account's own name (RFC 5233 calls it the detail). */
const tagSeparator = '+'

export function readAddress(text: string): MailAddress | undefined {
  const address = text.normalize('NFC').toLowerCase()
  const at = address.lastIndexOf('@')
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(address.slice(0, Math.max(at, 0)))
  const local = quoted ? (quoted[1] ?? '').replace(/\\(.)/g, '$1') : address.slice(0, Math.max(at, 0))
  const domain = address.slice(at + 1).replace(/\.$/, '')
  // RFC 5321 §4.5.3.1: lengths; no white space or control characters in what we keep.
  if (local === '' || domain === '' || local.length > 64 || domain.length > 255 || /[\s<>\x00-\x1f\x7f]/.test(local + domain)) return undefined
  return { address: `${local}@${domain}`, local, domain }
}

/** @throws HandoffError ACCOUNT_INVALID */
export function requireAddress(text: string): MailAddress {
  const address = readAddress(text)
  if (!address) throw new HandoffError('ACCOUNT_INVALID', `"${text}" is not an address: wanted one like alice@example.org`)
  return address
}

/** The address without its tag, and the tag; undefined when there is none. */
export function withoutTag({ local, domain }: MailAddress): { readonly address: string; readonly tag: string } | undefined {
  const at = local.indexOf(tagSeparator)
  return at > 0 ? { address: `${local.slice(0, at)}@${domain}`, tag: local.slice(at + 1) } : undefined
}
