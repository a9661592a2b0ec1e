import type { StringLiteral } from './ast.ts'
import type { Capability } from './capabilities.ts'
import { type Position, SieveError } from './error.ts'
import type { Piece, Text } from './program.ts'

/** A string as the enabled extensions read it: encoded characters first, then variables ("${hex:24 7b}name}" is a reference). */
export function readString(literal: StringLiteral, enabled: ReadonlySet<Capability>): Text {
  const { position } = literal
  const plain = enabled.has('encoded-character') ? decodeCharacters(literal.value, position) : literal.value
  if (!enabled.has('variables')) return { position, pieces: plain === '' ? [] : [plain] }
  return { position, pieces: pieces(plain, position) }
}

const encoded =
  /\$\{hex:((?:[ \t]|\r\n)*[0-9a-f]{1,2}(?:(?:[ \t]|\r\n)+[0-9a-f]{1,2})*(?:[ \t]|\r\n)*)\}|\$\{unicode:((?:[ \t]|\r\n)*[0-9a-f]+(?:(?:[ \t]|\r\n)+[0-9a-f]+)*(?:[ \t]|\r\n)*)\}/gi

/** RFC 5228 §2.4.2.4. What looks like it and is not stays as it is. Octets of neighbours may make one character. */
function decodeCharacters(text: string, position: Position): string {
  if (!text.includes('${')) return text
  const octets: number[] = []
  let at = 0
  for (const match of text.matchAll(encoded)) {
    octets.push(...new TextEncoder().encode(text.slice(at, match.index)))
    const numbers = (match[1] ?? match[2] ?? '').trim().split(/\s+/)
    if (match[1] !== undefined) octets.push(...numbers.map((each) => Number.parseInt(each, 16)))
    else octets.push(...new TextEncoder().encode(numbers.map((each) => codePoint(each, position)).join('')))
    at = match.index + match[0].length
  }
  if (at === 0) return text
  octets.push(...new TextEncoder().encode(text.slice(at)))
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(octets))
  } catch {
    throw new SieveError(position, 'the octets of the encoded characters are not UTF-8')
  }
}

function codePoint(hex: string, position: Position): string {
  const value = Number.parseInt(hex, 16)
  if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) throw new SieveError(position, `"${hex}" is not the number of a Unicode character`)
  return String.fromCodePoint(value)
}

const reference = /\$\{((?:[a-z_][a-z0-9_]*\.(?:(?:[0-9]+|[a-z_][a-z0-9_]*)\.)*)?)([0-9]+|[a-z_][a-z0-9_]*)\}/gi

function pieces(text: string, position: Position): Piece[] {
  const all: Piece[] = []
  let at = 0
  for (const match of text.matchAll(reference)) {
    // RFC 5229 §3: a name space belongs to an extension, and none that is offered has one.
    if (match[1]) throw new SieveError(position, `the variable "${match[1]}${match[2]}" is in a name space that does not exist`)
    if (match.index > at) all.push(text.slice(at, match.index))
    all.push({ variable: variableName(match[2] ?? '') })
    at = match.index + match[0].length
  }
  if (at < text.length) all.push(text.slice(at))
  return all
}

function variableName(text: string): string | number {
  return /^[0-9]/.test(text) ? Number(text) : text.toLowerCase()
}

export function isIdentifier(text: string): boolean {
  return /^[a-z_][a-z0-9_]*$/i.test(text)
}
