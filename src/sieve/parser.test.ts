import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Argument, Command, Test, Tests } from './ast.ts'
import { compile } from './compile.ts'
import { SieveError } from './error.ts'
import { parse } from './parser.ts'
import { print } from './printer.ts'

const origin = { line: 1, column: 1 }

function strings(script: string): readonly string[] {
  const [argument] = parse(script)[0]?.arguments ?? []
  return argument?.kind === 'strings' ? argument.values.map(({ value }) => value) : []
}

describe('strings', () => {
  test.each([
    ['a "plain";', ['plain']],
    ['a "say \\"hi\\" \\\\ \\q";', ['say "hi" \\ q']],
    ['a "two\r\nlines";', ['two\r\nlines']],
    ['a "two\nlines";', ['two\r\nlines']],
    ['a ["x", /* between */ "y" # and so\n , "z"];', ['x', 'y', 'z']],
    ['a text:\r\nline\r\n..dot\r\n.\r\n;', ['line\r\n.dot\r\n']],
    ['a TEXT: \t# comment\nline\n.\n;', ['line\r\n']],
    ['a text:\r\n.\r\n;', ['']],
    ['a text:\r\n.x\r\n.\r\n;', ['x\r\n']],
  ])('%j', (script, values) => expect(strings(script)).toEqual(values))
})

test.each([
  ['size 100;', 100],
  ['size 2K;', 2048],
  ['size 1m;', 1_048_576],
  ['size 3G;', 3_221_225_472],
])('number: %s', (script, value) => expect(parse(script)[0]?.arguments[0]).toMatchObject({ kind: 'number', value }))

test('names are lower case, positions are kept', () => {
  expect(parse('  KEEP;\n\tIF :Tag TRUE { }')).toEqual([
    { position: { line: 1, column: 3 }, name: 'keep', arguments: [], tests: { kind: 'none' }, block: undefined },
    {
      position: { line: 2, column: 2 },
      name: 'if',
      arguments: [{ kind: 'tag', position: { line: 2, column: 5 }, name: 'tag' }],
      tests: { kind: 'one', test: { position: { line: 2, column: 10 }, name: 'true', arguments: [], tests: { kind: 'none' } } },
      block: [],
    },
  ])
})

describe('syntax errors', () => {
  test.each([
    ['keep', 1, 5, 'expected an argument, a test, ";" or "{", found the end of the script'],
    ['keep;\n  }', 2, 3, 'expected a command, found "}"'],
    ['if true {\n  keep;\n', 3, 1, 'expected a command or "}", found the end of the script'],
    ['if anyof (true, ) {}', 1, 17, 'expected a test, found ")"'],
    ['if anyof (true; false) {}', 1, 15, 'expected "," or ")", found ";"'],
    ['a [];', 1, 4, 'expected a string, found "]"'],
    ['a ["x" "y"];', 1, 8, 'expected "," or "]", found the string "y"'],
    ['a ["x", 5];', 1, 9, 'expected a string, found the number 5'],
    ['\n\n a "open', 3, 4, 'the string that begins here has no closing quote'],
    ['a "end\\', 1, 3, 'the string that begins here has no closing quote'],
    ['a text:\nnever ends', 1, 3, 'the text that begins here has no line with a single "." at its end'],
    ['/* open', 1, 1, 'the comment that begins here has no "*/"'],
    ['a : b;', 1, 3, 'expected the name of a tag after ":"'],
    ['a 10KB;', 1, 3, 'expected a number, with K, M or G at most behind it'],
    ['a 99999999999999999999;', 1, 3, 'the number "99999999999999999999" is too large'],
    ['a @;', 1, 3, '"@" is not part of the language here'],
    ['a "x\0";', 1, 5, 'NUL can be nowhere in a script'],
    ['a "x\ry";', 1, 5, 'a carriage return without line feed'],
    ['a text:\r\nx\ry\r\n.\r\n;', 2, 2, 'NUL and a carriage return without line feed can be in no string'],
  ])('%j', (script, line, column, problem) => {
    const error = refusal(() => parse(script))
    expect({ ...error.position, problem: error.problem }).toEqual({ line, column, problem })
    expect(error).toMatchObject({ code: 'SIEVE_SCRIPT_INVALID', message: `line ${line}, column ${column}: ${problem}` })
  })

  test.each([
    ['blocks too deep', 'if true {'.repeat(16), 144, 'blocks are nested more than 15 deep'],
    ['tests too deep', `if ${'not '.repeat(15)}true {}`, 64, 'tests are nested more than 15 deep'],
    ['commands too many', 'keep;'.repeat(1001), 5001, 'more than 1000 commands'],
    ['script too large', `#${'x'.repeat(65_536)}`, 1, 'the script is larger than 65536 octets'],
  ])('%s', (_, script, column, problem) => {
    const error = refusal(() => parse(script))
    expect({ ...error.position, problem: error.problem }).toEqual({ line: 1, column, problem })
  })

  test('15 levels of blocks and of tests are there', () => {
    parse(`${'if true {'.repeat(15)}${'}'.repeat(15)}`)
    parse(`if ${'not '.repeat(14)}true {}`)
  })
})

function refusal(act: () => unknown): SieveError {
  try {
    act()
  } catch (error) {
    if (error instanceof SieveError) return error
    throw error
  }
  throw new Error('the script was taken')
}

const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/).filter((text) => text !== 'text')
const literal = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((text) => text.replace(/[\0\r\ud800-\udfff]/g, '').replaceAll('\n', '\r\n'))
  .map((value) => ({ position: origin, value }))
const argument: fc.Arbitrary<Argument> = fc.oneof(
  fc.nat().map((value) => ({ kind: 'number' as const, position: origin, value })),
  name.map((text) => ({ kind: 'tag' as const, position: origin, name: text })),
  fc.array(literal, { minLength: 1, maxLength: 3 }).map((values) => ({ kind: 'strings' as const, position: origin, listed: true, values })),
  literal.map((value) => ({ kind: 'strings' as const, position: origin, listed: false, values: [value] })),
)
const { command } = fc.letrec<{ command: Command; test: Test; tests: Tests }>((tie) => ({
  tests: fc.oneof(
    { depthSize: 'small' },
    fc.constant<Tests>({ kind: 'none' }),
    tie('test').map((test) => ({ kind: 'one' as const, test })),
    fc.array(tie('test'), { minLength: 1, maxLength: 3 }).map((tests) => ({ kind: 'list' as const, tests })),
  ),
  test: fc.record({ position: fc.constant(origin), name, arguments: fc.array(argument, { maxLength: 3 }), tests: tie('tests') }),
  command: fc.record({
    position: fc.constant(origin),
    name,
    arguments: fc.array(argument, { maxLength: 3 }),
    tests: tie('tests'),
    block: fc.oneof({ depthSize: 'small' }, fc.constant(undefined), fc.array(tie('command'), { maxLength: 3 })),
  }),
}))

function withoutPositions(commands: readonly Command[]): unknown {
  return JSON.parse(JSON.stringify(commands, (key, value) => (key === 'position' ? undefined : value)))
}

test('what is printed is parsed to the same tree', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 4 }), (commands) => {
      expect(withoutPositions(parse(print(commands)))).toEqual(withoutPositions(commands))
    }),
    { numRuns: 200 },
  )
})

/** Words of the language in any order get deeper than characters do. */
const words = fc
  .array(
    fc.oneof(
      fc.constantFrom(...['if', 'elsif', 'else', 'require', 'not', 'anyof', 'allof', 'header', 'keep', 'fileinto', 'set', 'vacation', 'redirect', 'true']),
      fc.constantFrom(
        ...['{', '}', '(', ')', '[', ']', ',', ';', ':is', ':matches', ':regex', ':days', ':comparator', 'text:\n', '\n.\n', '/*', '*/', '#', '\n'],
      ),
      fc.constantFrom(...['"variables"', '"regex"', '"a"', '"${x}"', '"(*"', '"\\', '10K', '0', '99999999999999999']),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 60 },
  )
  .map((all) => all.join(' '))

test('any text is taken or refused, and never with another error', () => {
  fc.assert(
    fc.property(fc.oneof(words, fc.string({ unit: 'binary', maxLength: 300 })), (script) => {
      try {
        compile(script)
      } catch (error) {
        expect(error).toBeInstanceOf(SieveError)
      }
    }),
    { numRuns: 1000 },
  )
})

test('the largest scripts are refused in bounded time', () => {
  const size = 65_536
  for (const script of ['[', '"', '(', '{', '/*', 'a ', ':a', 'not ', 'a(', '${', 'text:\n', '\\', '1', ',']) {
    expect(() => compile(script.repeat(Math.floor(size / script.length) - 1))).toThrow(SieveError)
  }
})
