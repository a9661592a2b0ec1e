import { found, type Position, SieveError } from './error.ts'

export type Token =
  | { readonly kind: 'identifier' | 'tag' | 'string'; readonly position: Position; readonly text: string }
  | { readonly kind: 'number'; readonly position: Position; readonly value: number }
  | { readonly kind: Punctuation | 'end'; readonly position: Position }

export type Punctuation = '[' | ']' | '(' | ')' | '{' | '}' | ',' | ';'

interface Cursor {
  readonly source: string
  at: number
  line: number
  lineStart: number
}

/**
 * The tokens of a script (RFC 5228 §8.1), comments and white space left out. A lone LF is taken for CRLF: scripts are written with editors.
 * @throws SieveError
 */
export function lex(script: string): Token[] {
  const cursor: Cursor = { source: script.replace(/\r?\n/g, '\r\n'), at: 0, line: 1, lineStart: 0 }
  const tokens: Token[] = []
  for (;;) {
    skipSpace(cursor)
    const token = next(cursor)
    tokens.push(token)
    if (token.kind === 'end') return tokens
  }
}

const identifier = /[A-Za-z_][A-Za-z0-9_]*/y
const number = /([0-9]+)([KMGkmg]?)(?![A-Za-z0-9_])/y
const multiline = /text:[ \t]*(?:#[^\r\n\0]*)?\r\n/iy
const multipliers: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

function next(cursor: Cursor): Token {
  const position = here(cursor)
  const char = cursor.source[cursor.at]
  if (char === undefined) return { kind: 'end', position }
  if (isPunctuation(char)) {
    cursor.at++
    return { kind: char, position }
  }
  if (char === '"') return { kind: 'string', position, text: quoted(cursor) }
  if (char === ':') return tag(cursor)
  if (/[0-9]/.test(char)) return quantity(cursor)
  if (match(cursor, multiline) !== undefined) return { kind: 'string', position, text: textLines(cursor, position) }
  const text = match(cursor, identifier)
  if (text !== undefined) return { kind: 'identifier', position, text: text.toLowerCase() }
  throw new SieveError(position, `${found(char)} is not part of the language here`)
}

function isPunctuation(char: string): char is Punctuation {
  return '[](){},;'.includes(char)
}

function tag(cursor: Cursor): Token {
  const position = here(cursor)
  cursor.at++
  const text = match(cursor, identifier)
  if (text === undefined) throw new SieveError(position, 'expected the name of a tag after ":"')
  return { kind: 'tag', position, text: text.toLowerCase() }
}

function quantity(cursor: Cursor): Token {
  const position = here(cursor)
  number.lastIndex = cursor.at
  const parts = number.exec(cursor.source)
  if (!parts) throw new SieveError(position, 'expected a number, with K, M or G at most behind it')
  cursor.at += parts[0].length
  const value = Number(parts[1]) * (multipliers[(parts[2] ?? '').toLowerCase()] ?? 1)
  if (!Number.isSafeInteger(value)) throw new SieveError(position, `the number ${found(parts[0])} is too large`)
  return { kind: 'number', position, value }
}

/** RFC 5228 §2.4.2: a backslash before any character stands for the character. */
function quoted(cursor: Cursor): string {
  const start = here(cursor)
  cursor.at++
  let text = ''
  for (;;) {
    const char = cursor.source[cursor.at]
    if (char === undefined) throw new SieveError(start, 'the string that begins here has no closing quote')
    if (char === '"') {
      cursor.at++
      return text
    }
    if (char === '\\') {
      cursor.at++
      if (cursor.source[cursor.at] === undefined) continue
    }
    text += character(cursor)
  }
}

/** RFC 5228 §2.4.2, "text:": up to a line with a dot alone; a dot that begins another line was doubled and is taken off. */
function textLines(cursor: Cursor, start: Position): string {
  const lines: string[] = []
  newLine(cursor)
  for (;;) {
    const end = cursor.source.indexOf('\r\n', cursor.at)
    if (end < 0) throw new SieveError(start, 'the text that begins here has no line with a single "." at its end')
    const line = cursor.source.slice(cursor.at, end)
    const bad = line.search(/[\r\0]/)
    if (bad >= 0) throw new SieveError({ line: cursor.line, column: bad + 1 }, 'NUL and a carriage return without line feed can be in no string')
    cursor.at = end + 2
    newLine(cursor)
    if (line === '.') return lines.join('')
    lines.push(`${line.startsWith('.') ? line.slice(1) : line}\r\n`)
  }
}

function skipSpace(cursor: Cursor): void {
  const { source } = cursor
  for (;;) {
    const char = source[cursor.at]
    if (char === ' ' || char === '\t') cursor.at++
    else if (char === '\r' && source[cursor.at + 1] === '\n') {
      cursor.at += 2
      newLine(cursor)
    } else if (char === '#') hashComment(cursor)
    else if (char === '/' && source[cursor.at + 1] === '*') bracketComment(cursor)
    else return
  }
}

function hashComment(cursor: Cursor): void {
  const end = cursor.source.indexOf('\r\n', cursor.at)
  cursor.at = end < 0 ? cursor.source.length : end
}

function bracketComment(cursor: Cursor): void {
  const start = here(cursor)
  const end = cursor.source.indexOf('*/', cursor.at + 2)
  if (end < 0) throw new SieveError(start, 'the comment that begins here has no "*/"')
  while (cursor.at < end + 2) character(cursor)
}

/** One character, or a line end as one. */
function character(cursor: Cursor): string {
  const char = cursor.source[cursor.at] as string
  if (char === '\0') throw new SieveError(here(cursor), 'NUL can be nowhere in a script')
  if (char !== '\r') {
    cursor.at++
    return char
  }
  if (cursor.source[cursor.at + 1] !== '\n') throw new SieveError(here(cursor), 'a carriage return without line feed')
  cursor.at += 2
  newLine(cursor)
  return '\r\n'
}

function match(cursor: Cursor, pattern: RegExp): string | undefined {
  pattern.lastIndex = cursor.at
  const text = pattern.exec(cursor.source)?.[0]
  if (text !== undefined) cursor.at += text.length
  return text
}

function here(cursor: Cursor): Position {
  return { line: cursor.line, column: cursor.at - cursor.lineStart + 1 }
}

function newLine(cursor: Cursor): void {
  cursor.line++
  cursor.lineStart = cursor.at
}
