import { parseAddresses } from '../message/addresses.ts'

/** An addr-spec (RFC 5321 §4.1.2, RFC 6531), as far as it matters before somebody sends to it. */
export function isAddress(text: string): boolean {
  return text.length <= 320 && addressPattern.test(text)
}

/** The addr-spec of one mailbox, which may have a name before it (RFC 5322 §3.4); undefined for anything else. */
export function mailboxAddress(text: string): string | undefined {
  const [first, ...rest] = parseAddresses(text)
  if (!first?.host || rest.length > 0 || /[\x00-\x1f\x7f]/.test(text)) return undefined
  const address = `${first.mailbox}@${first.host}`
  return isAddress(address) ? address : undefined
}

const local = String.raw`"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])+"|[^\s"()<>,:;@[\]\\\x00-\x1f\x7f]+`
const label = String.raw`[^\s"()<>,:;@[\]\\.\x00-\x1f\x7f]+`
const addressPattern = new RegExp(String.raw`^(?:${local})@(?:${label}(?:\.${label})*|\[[^\s[\]\\]+\])$`)

export function isMailboxName(text: string): boolean {
  return text !== '' && text.length <= 1000 && !/[\x00-\x1f\x7f]/.test(text)
}

/** RFC 6154 §6: a backslash and an atom. */
export function isSpecialUse(text: string): boolean {
  return /^\\[A-Za-z0-9!#$&'+,\-./:;<=>?@^_`|~]+$/.test(text)
}
