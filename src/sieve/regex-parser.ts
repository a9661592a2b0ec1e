import { limits } from './limits.ts'

/** A POSIX extended regular expression (draft-ietf-sieve-regex, IEEE 1003.1 §9.4). */
export type Node =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'start' | 'end' | 'empty' }
  | { readonly kind: 'group'; readonly number: number; readonly node: Node }
  | { readonly kind: 'sequence' | 'choice'; readonly nodes: readonly Node[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly min: number; readonly max: number }

/** Ranges of code points, both ends included. */
export interface CharacterSet {
  readonly negated: boolean
  readonly ranges: ReadonlyArray<readonly [number, number]>
}

export class RegexError extends Error {
  override readonly name = 'RegexError'
}

interface Cursor {
  readonly chars: readonly string[]
  at: number
  groups: number
  depth: number
}

const depthMax = 50

/** @throws RegexError */
export function parseRegex(pattern: string): { readonly node: Node; readonly groups: number } {
  const cursor: Cursor = { chars: [...pattern], at: 0, groups: 0, depth: 0 }
  const node = choice(cursor)
  if (cursor.at < cursor.chars.length) throw new RegexError('")" without "("')
  return { node, groups: cursor.groups }
}

function choice(cursor: Cursor): Node {
  const nodes = [sequence(cursor)]
  while (cursor.chars[cursor.at] === '|') {
    cursor.at++
    nodes.push(sequence(cursor))
  }
  return nodes.length === 1 ? (nodes[0] as Node) : { kind: 'choice', nodes }
}

function sequence(cursor: Cursor): Node {
  const nodes: Node[] = []
  for (;;) {
    const char = cursor.chars[cursor.at]
    if (char === undefined || char === '|' || char === ')') break
    nodes.push(repeated(cursor, atom(cursor)))
  }
  if (nodes.length === 0) return { kind: 'empty' }
  return nodes.length === 1 ? (nodes[0] as Node) : { kind: 'sequence', nodes }
}

function repeated(cursor: Cursor, first: Node): Node {
  let node = first
  for (let depth = 0; ; depth++) {
    const bounds = boundsAt(cursor)
    if (!bounds) return node
    if (depth > 2) throw new RegexError('too many repetitions of a repetition')
    node = { kind: 'repeat', node, ...bounds }
  }
}

function boundsAt(cursor: Cursor): { readonly min: number; readonly max: number } | undefined {
  const char = cursor.chars[cursor.at]
  if (char === '*' || char === '+' || char === '?') {
    cursor.at++
    return { min: char === '+' ? 1 : 0, max: char === '?' ? 1 : Number.POSITIVE_INFINITY }
  }
  return char === '{' ? braces(cursor) : undefined
}

function braces(cursor: Cursor): { readonly min: number; readonly max: number } {
  const end = cursor.chars.indexOf('}', cursor.at)
  const match = /^([0-9]{1,4})(,([0-9]{0,4}))?$/.exec(cursor.chars.slice(cursor.at + 1, end < 0 ? undefined : end).join(''))
  if (end < 0 || !match) throw new RegexError('"{" needs one or two numbers and "}"; a brace itself is "\\{"')
  cursor.at = end + 1
  const min = Number(match[1])
  const max = match[2] === undefined ? min : match[3] ? Number(match[3]) : Number.POSITIVE_INFINITY
  if (max < min) throw new RegexError(`{${match[0]}}: the second number is less than the first`)
  if (min > limits.regexRepeat || (Number.isFinite(max) && max > limits.regexRepeat)) throw new RegexError(`more than ${limits.regexRepeat} repetitions`)
  return { min, max }
}

function atom(cursor: Cursor): Node {
  const char = cursor.chars[cursor.at++] as string
  switch (char) {
    case '(':
      return group(cursor)
    case '[':
      return { kind: 'set', set: bracket(cursor) }
    case '.':
      return { kind: 'set', set: { negated: true, ranges: [] } }
    case '^':
      return { kind: 'start' }
    case '$':
      return { kind: 'end' }
    case '*':
    case '+':
    case '?':
    case '{':
      throw new RegexError(`"${char}" has nothing before it to repeat`)
    case '\\':
      return literal(escaped(cursor))
    default:
      return literal(char)
  }
}

function group(cursor: Cursor): Node {
  if (++cursor.depth > depthMax) throw new RegexError(`groups are nested more than ${depthMax} deep`)
  const number = ++cursor.groups
  const node = choice(cursor)
  if (cursor.chars[cursor.at] !== ')') throw new RegexError('"(" without ")"')
  cursor.at++
  cursor.depth--
  return { kind: 'group', number, node }
}

function literal(char: string): Node {
  const code = char.codePointAt(0) as number
  return { kind: 'set', set: { negated: false, ranges: [[code, code]] } }
}

/** Back references and classes such as "\d" are not in POSIX; taken literally they would surprise. */
function escaped(cursor: Cursor): string {
  const char = cursor.chars[cursor.at++]
  if (char === undefined) throw new RegexError('"\\" at the end')
  if (/[A-Za-z0-9<>]/.test(char)) throw new RegexError(`"\\${char}" is not in POSIX extended regular expressions`)
  return char
}

const classes: Readonly<Record<string, ReadonlyArray<readonly [number, number]>>> = {
  alpha: [...ranges('AZaz')],
  digit: [...ranges('09')],
  alnum: [...ranges('09AZaz')],
  upper: [...ranges('AZ')],
  lower: [...ranges('az')],
  xdigit: [...ranges('09AFaf')],
  space: [...ranges('\t\r  ')],
  blank: [...ranges('\t\t  ')],
  punct: [...ranges('!/:@[`{~')],
  print: [...ranges(' ~')],
  graph: [...ranges('!~')],
  cntrl: [...ranges('\x00\x1f\x7f\x7f')],
}

function* ranges(ends: string): Generator<readonly [number, number]> {
  for (let i = 0; i < ends.length; i += 2) yield [ends.charCodeAt(i), ends.charCodeAt(i + 1)]
}

/** A backslash is an ordinary character here; "]" is one when it comes first, "-" when first or last. */
function bracket(cursor: Cursor): CharacterSet {
  const negated = cursor.chars[cursor.at] === '^'
  if (negated) cursor.at++
  const all: (readonly [number, number])[] = []
  for (let first = true; first || cursor.chars[cursor.at] !== ']'; first = false) {
    if (cursor.at >= cursor.chars.length) throw new RegexError('"[" without "]"')
    if (cursor.chars[cursor.at] === '[' && cursor.chars[cursor.at + 1] === ':') all.push(...namedClass(cursor))
    else all.push(range(cursor))
  }
  cursor.at++
  return { negated, ranges: all }
}

function namedClass(cursor: Cursor): ReadonlyArray<readonly [number, number]> {
  const name = delimited(cursor, ':')
  const found = Object.hasOwn(classes, name) ? classes[name] : undefined
  if (!found) throw new RegexError(`there is no class "[:${name}:]"`)
  return found
}

function range(cursor: Cursor): readonly [number, number] {
  const low = element(cursor)
  if (cursor.chars[cursor.at] !== '-' || cursor.chars[cursor.at + 1] === ']' || cursor.chars[cursor.at + 1] === undefined) return [low, low]
  cursor.at++
  const high = element(cursor)
  if (high < low) throw new RegexError('a range in brackets ends before it begins')
  return [low, high]
}

/** A character, or one in the forms [.x.] and [=x=]. */
function element(cursor: Cursor): number {
  const char = cursor.chars[cursor.at]
  const next = cursor.chars[cursor.at + 1]
  if (char === '[' && (next === '.' || next === '=')) {
    const [only, ...rest] = delimited(cursor, next)
    if (only === undefined || rest.length > 0) throw new RegexError('collating elements of several characters are not there')
    return only.codePointAt(0) as number
  }
  if (char === undefined) throw new RegexError('"[" without "]"')
  cursor.at++
  return char.codePointAt(0) as number
}

function delimited(cursor: Cursor, mark: string): string {
  let end = cursor.at + 2
  while (end < cursor.chars.length && !(cursor.chars[end] === mark && cursor.chars[end + 1] === ']')) end++
  if (end >= cursor.chars.length) throw new RegexError(`"[${mark}" without "${mark}]"`)
  const text = cursor.chars.slice(cursor.at + 2, end).join('')
  cursor.at = end + 2
  return text
}
