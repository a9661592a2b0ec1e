import type { Argument, Command, StringLiteral, Test, Tests } from './ast.ts'
import { found, SieveError } from './error.ts'
import { lex, type Token } from './lexer.ts'
import { limits } from './limits.ts'

/**
 * The syntax tree of a script (RFC 5228 §8.2). Knows no command: what the names mean is for `compile`.
 * @throws SieveError
 */
export function parse(script: string): Command[] {
  if (new TextEncoder().encode(script).length > limits.scriptBytes)
    throw new SieveError({ line: 1, column: 1 }, `the script is larger than ${limits.scriptBytes} octets`)
  const cursor: Cursor = { tokens: lex(script), at: 0, commands: 0 }
  const tree = commands(cursor, 0)
  const rest = peek(cursor)
  if (rest.kind !== 'end') throw unexpected(rest, 'a command')
  return tree
}

interface Cursor {
  readonly tokens: readonly Token[]
  at: number
  commands: number
}

function commands(cursor: Cursor, depth: number): Command[] {
  const all: Command[] = []
  while (peek(cursor).kind === 'identifier') all.push(command(cursor, depth))
  return all
}

function command(cursor: Cursor, depth: number): Command {
  const { position, name } = identifier(cursor)
  if (++cursor.commands > limits.commands) throw new SieveError(position, `more than ${limits.commands} commands`)
  const args = argumentList(cursor)
  const tests = testsOf(cursor, 0)
  const end = take(cursor)
  if (end.kind === ';') return { position, name, arguments: args, tests, block: undefined }
  if (end.kind !== '{') throw unexpected(end, tests.kind === 'none' ? 'an argument, a test, ";" or "{"' : '";" or "{"')
  if (depth >= limits.nesting) throw new SieveError(end.position, `blocks are nested more than ${limits.nesting} deep`)
  const block = commands(cursor, depth + 1)
  expect(cursor, '}', 'a command or "}"')
  return { position, name, arguments: args, tests, block }
}

function argumentList(cursor: Cursor): Argument[] {
  const all: Argument[] = []
  for (;;) {
    const token = peek(cursor)
    const { position } = token
    if (token.kind === 'number') all.push({ kind: 'number', position, value: token.value })
    else if (token.kind === 'tag') all.push({ kind: 'tag', position, name: token.text })
    else if (token.kind === 'string') all.push({ kind: 'strings', position, listed: false, values: [{ position, value: token.text }] })
    else if (token.kind !== '[') return all
    cursor.at++
    if (token.kind === '[') all.push({ kind: 'strings', position, listed: true, values: stringList(cursor) })
  }
}

function stringList(cursor: Cursor): StringLiteral[] {
  const values: StringLiteral[] = []
  for (;;) {
    const token = take(cursor)
    if (token.kind !== 'string') throw unexpected(token, 'a string')
    values.push({ position: token.position, value: token.text })
    const end = take(cursor)
    if (end.kind === ']') return values
    if (end.kind !== ',') throw unexpected(end, '"," or "]"')
  }
}

function testsOf(cursor: Cursor, depth: number): Tests {
  const token = peek(cursor)
  if (token.kind !== 'identifier' && token.kind !== '(') return { kind: 'none' }
  if (depth >= limits.nesting) throw new SieveError(token.position, `tests are nested more than ${limits.nesting} deep`)
  if (token.kind === 'identifier') return { kind: 'one', test: test(cursor, depth) }
  cursor.at++
  const tests: Test[] = []
  for (;;) {
    tests.push(test(cursor, depth))
    const end = take(cursor)
    if (end.kind === ')') return { kind: 'list', tests }
    if (end.kind !== ',') throw unexpected(end, '"," or ")"')
  }
}

function test(cursor: Cursor, depth: number): Test {
  const token = peek(cursor)
  if (token.kind !== 'identifier') throw unexpected(token, 'a test')
  const { position, name } = identifier(cursor)
  return { position, name, arguments: argumentList(cursor), tests: testsOf(cursor, depth + 1) }
}

function identifier(cursor: Cursor): { readonly position: Token['position']; readonly name: string } {
  const token = take(cursor)
  if (token.kind !== 'identifier') throw unexpected(token, 'a name')
  return { position: token.position, name: token.text }
}

function peek(cursor: Cursor): Token {
  return cursor.tokens[cursor.at] as Token
}

/** The end is never passed. */
function take(cursor: Cursor): Token {
  const token = peek(cursor)
  if (token.kind !== 'end') cursor.at++
  return token
}

function expect(cursor: Cursor, kind: Token['kind'], wanted: string): void {
  const token = take(cursor)
  if (token.kind !== kind) throw unexpected(token, wanted)
}

function unexpected(token: Token, wanted: string): SieveError {
  return new SieveError(token.position, `expected ${wanted}, found ${describe(token)}`)
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'the end of the script'
    case 'number':
      return `the number ${token.value}`
    case 'string':
      return `the string ${found(token.text)}`
    case 'tag':
      return `the tag ":${token.text}"`
    case 'identifier':
      return found(token.text)
    default:
      return `"${token.kind}"`
  }
}
