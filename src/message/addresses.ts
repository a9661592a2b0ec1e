import type { EnvelopeAddress } from './part.ts'

const addressesMax = 2000

/**
 * An address list (RFC 5322 §3.4) as ENVELOPE shows it: encoded words as sent, groups as a start and an end marker. Total: what cannot
 * be an address becomes a mailbox without a host name that anybody could mistake for one.
 */
export function parseAddresses(text: string): EnvelopeAddress[] {
  const found: EnvelopeAddress[] = []
  let words: Word[] = []
  let inGroup = false
  const flush = () => {
    const address = addressOf(words)
    words = []
    if (address && found.length < addressesMax) found.push(address)
  }
  for (const word of scan(text)) {
    if (word.kind !== 'special') {
      words.push(word)
      continue
    }
    if (word.text === ',') flush()
    else if (word.text === ':' && !inGroup && words.length > 0 && words.every((w) => w.kind !== 'angle')) {
      found.push({ name: undefined, mailbox: phrase(words), host: undefined })
      words = []
      inGroup = true
    } else if (word.text === ';') {
      flush()
      if (inGroup) found.push({ name: undefined, mailbox: undefined, host: undefined })
      inGroup = false
    } else words.push(word)
    if (found.length >= addressesMax) break
  }
  flush()
  if (inGroup) found.push({ name: undefined, mailbox: undefined, host: undefined })
  return found
}

interface Word {
  readonly kind: 'atom' | 'quoted' | 'angle' | 'comment' | 'special'
  readonly text: string
  /** White space stood before it. */
  readonly spaced: boolean
}

function* scan(text: string): Generator<Word> {
  let at = 0
  let spaced = false
  while (at < text.length) {
    const char = text[at] as string
    if (/\s/.test(char)) {
      spaced = true
      at++
      continue
    }
    let word: Word
    if (char === '"') {
      const end = closing(text, at, '"')
      word = { kind: 'quoted', text: unquote(text.slice(at + 1, end)), spaced }
      at = end + 1
    } else if (char === '(') {
      const end = closingComment(text, at)
      word = { kind: 'comment', text: unquote(text.slice(at + 1, end)), spaced }
      at = end + 1
    } else if (char === '<') {
      const end = closing(text, at, '>')
      word = { kind: 'angle', text: text.slice(at + 1, end).trim(), spaced }
      at = end + 1
    } else if (char === ',' || char === ':' || char === ';') {
      word = { kind: 'special', text: char, spaced }
      at++
    } else {
      const end = atomEnd(text, at)
      word = { kind: 'atom', text: text.slice(at, end), spaced }
      at = end
    }
    spaced = false
    yield word
  }
}

function atomEnd(text: string, from: number): number {
  let at = from
  // A domain literal may hold colons: user@[IPv6:::1].
  let bracket = false
  for (; at < text.length; at++) {
    const char = text[at] as string
    if (char === '[') bracket = true
    else if (char === ']') bracket = false
    if (/[\s"(<]/.test(char) || (!bracket && /[,:;]/.test(char) && at > from)) break
  }
  return Math.max(at, from + 1)
}

function closing(text: string, from: number, close: string): number {
  let quoted = false
  for (let at = from + 1; at < text.length; at++) {
    const char = text[at]
    if (char === '\\') at++
    else if (close === '>' && char === '"') quoted = !quoted
    else if (char === close && !quoted) return at
  }
  return text.length
}

function closingComment(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '(') depth++
    else if (text[at] === ')' && --depth === 0) return at
  }
  return text.length
}

function addressOf(words: readonly Word[]): EnvelopeAddress | undefined {
  const angle = words.find((word) => word.kind === 'angle')
  const comment = words.find((word) => word.kind === 'comment')?.text
  if (angle) {
    const name = phrase(words.filter((word) => word.kind === 'quoted' || word.kind === 'atom'))
    return { name: name === '' ? comment : name, ...splitAddress(angle.text) }
  }
  const rest = words.filter((word) => word.kind !== 'comment')
  if (rest.length === 0) return undefined
  // The local part may be quoted, and obsolete syntax has space around "@" and ".".
  const text = rest
    .map((word) => (word.kind === 'quoted' && !isDotAtom(word.text) ? `"${word.text.replace(/["\\]/g, '\\$&')}"` : word.text))
    .join(rest.some((w) => w.text.includes('@')) ? '' : ' ')
  return { name: comment, ...splitAddress(text) }
}

/** A source route (RFC 5322 §4.4) is no part of the address. */
function splitAddress(text: string): { readonly mailbox: string; readonly host: string | undefined } {
  const address = text.startsWith('@') && text.includes(':') ? text.slice(text.indexOf(':') + 1) : text
  const at = address.lastIndexOf('@')
  const local = at < 0 ? address : address.slice(0, at)
  const mailbox = local.startsWith('"') && local.endsWith('"') && local.length > 1 ? unquote(local.slice(1, -1)) : local
  // RFC 9051 §7.5.2: no host means a group's marker, so an address without one gets a name that is none (RFC 5321 has the same idea for "<>").
  return { mailbox: mailbox.trim(), host: at < 0 ? '.MISSING-HOST-NAME.' : address.slice(at + 1).trim() }
}

function phrase(words: readonly Word[]): string {
  return words
    .map((word, i) => (i > 0 && word.spaced ? ` ${word.text}` : word.text))
    .join('')
    .trim()
}

function isDotAtom(text: string): boolean {
  return /^[^\s()<>[\]:;@\\,"]+$/.test(text)
}

function unquote(text: string): string {
  return text.replace(/\\(.)/gs, '$1')
}
