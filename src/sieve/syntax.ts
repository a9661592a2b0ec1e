/** An addr-spec (RFC 5321 §4.1.2, RFC 6531), as far as it matters before somebody sends to it. */
export function isAddress(text: string): boolean {
  return text.length <= 320 && addressPattern.test(text)
}

const addressPattern = /^(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])+"|[^\s"()<>,:;@[\]\\\x00-\x1f\x7f]+)@(?:[^\s"()<>,:;@[\]\\\x00-\x1f\x7f]+|\[[^\s[\]\\]+\])$/

export function isMailboxName(text: string): boolean {
  return text !== '' && text.length <= 1000 && !/[\x00-\x1f\x7f]/.test(text)
}

/** RFC 6154 §6: a backslash and an atom. */
export function isSpecialUse(text: string): boolean {
  return /^\\[A-Za-z0-9!#$&'+,\-./:;<=>?@^_`|~]+$/.test(text)
}
