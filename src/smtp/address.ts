import { isIPv4, isIPv6 } from 'node:net'
import { domainToUnicode } from 'node:url'

/** A reverse path or forward path (RFC 5321 §4.1.2), without a source route: that is accepted and ignored (appendix C). */
export interface Path {
  /** As given; '' is the null path, and `postmaster` alone has no domain. */
  readonly address: string
  readonly local: string
  readonly domain: string
}

/** RFC 5321 §4.5.3.1.3. A local part may be longer than 64 octets: those are what must be possible, and forwarders write longer ones. */
const pathBytesMax = 256

const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\u{10ffff}-]+"
const dotString = `${atom}(?:\\.${atom})*`
const quotedString = '"(?:[\\x20!#-\\[\\]-~\\u0080-\\u{10ffff}]|\\\\[\\x20-~])*"'
// An underscore is no character of a host name, but of names that send mail.
const letterDigit = '[A-Za-z0-9_\\u0080-\\u{10ffff}]'
const label = `${letterDigit}(?:-*${letterDigit})*`
const domain = `${label}(?:\\.${label})*`
const literal = '\\[[!-Z^-~]+\\]'
const sourceRoute = `@${domain}(?:,@${domain})*:`
const mailbox = new RegExp(`^(?:${dotString}|${quotedString})@(?:${domain}|${literal})$`, 'u')
const path = new RegExp(`^<(?:${sourceRoute})?((?:${dotString}|${quotedString})@(?:${domain}|${literal}))>`, 'u')
const bare = /^<(postmaster)?>/i

/** The path that `text` begins with, and what follows it. */
export function readPath(text: string): { readonly path: Path; readonly rest: string } | undefined {
  const without = bare.exec(text)
  if (without) return { path: { address: without[1] ?? '', local: without[1] ?? '', domain: '' }, rest: text.slice(without[0].length) }
  const found = path.exec(text)
  if (!found?.[1] || Buffer.byteLength(found[0]) > pathBytesMax) return undefined
  const read = split(found[1])
  return read && { path: read, rest: text.slice(found[0].length) }
}

/** A mailbox alone, as in the AUTH parameter of MAIL. */
export function readMailbox(text: string): Path | undefined {
  return mailbox.test(text) && Buffer.byteLength(text) <= pathBytesMax - 2 ? split(text) : undefined
}

export function isNonAscii(text: string): boolean {
  return /[^\x00-\x7f]/.test(text)
}

/** With the domain's A-labels as U-labels (RFC 5890): one spelling to look an address up, and to compare it. */
export function lookupForm({ address, local, domain }: Path): string {
  if (!/xn--/i.test(domain)) return address
  const labels = domain.split('.').map((each) => (/^xn--/i.test(each) ? domainToUnicode(each) || each : each))
  return `${local}@${labels.join('.')}`
}

/** What a client calls itself: RFC 5321 §4.1.1.1 wants a domain or an address literal, clients say anything, and nothing hangs on it. */
export function isHelloName(text: string): boolean {
  return /^[^\s<>()]{1,255}$/.test(text)
}

function split(address: string): Path | undefined {
  const at = address.lastIndexOf('@')
  const [local, host] = [address.slice(0, at), address.slice(at + 1)]
  if (host.startsWith('[') ? !isAddressLiteral(host) : host.length > 255) return undefined
  return { address, local, domain: host }
}

/** RFC 5321 §4.1.3. */
function isAddressLiteral(text: string): boolean {
  const content = /^\[([!-Z^-~]+)\]$/.exec(text)?.[1]
  if (content === undefined) return false
  const ipv6 = /^ipv6:(.*)$/i.exec(content)
  if (ipv6) return isIPv6(ipv6[1] as string) && !content.includes('%')
  return isIPv4(content) || /^[a-z0-9-]*[a-z0-9]:./i.test(content)
}
