import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from './fault.ts'
import { compileRegex, matchRegex, RegexError } from './regex.ts'

function find(pattern: string, text: string, letters: 'exact' | 'caseless' = 'exact'): string[] | undefined {
  return matchRegex(compileRegex(pattern, letters), text, { left: 1_000_000 })
}

describe('matches', () => {
  test.each([
    ['', 'x', ['']],
    ['abc', 'xxabcxx', ['abc']],
    ['a.c', 'a\u{1F600}c', ['a\u{1F600}c']],
    ['^a|b$', 'xb', ['b']],
    ['^b', 'ab', undefined],
    ['a$', 'ab', undefined],
    ['(a|ab)(c|bcd)', 'abcd', ['abcd', 'a', 'bcd']],
    ['x*', 'aaxx', ['']],
    ['x+', 'aaxx', ['xx']],
    ['colou?r', 'the color', ['color']],
    ['(ab){2}', 'ababab', ['abab', 'ab']],
    ['a{2,3}', 'aaaa', ['aaa']],
    ['a{2,}', 'xaaaa', ['aaaa']],
    ['a{0}b', 'aab', ['b']],
    ['(a*)*', 'aa', ['aa', 'aa']],
    ['(a)|b', 'b', ['b', '']],
    ['[a-c]+', 'xxabcd', ['abc']],
    ['[^a-c]+', 'abxy', ['xy']],
    ['[]x]+', 'a]x', [']x']],
    ['[a-]+', 'b-a', ['-a']],
    ['[[:digit:]]{3}', 'a1234', ['123']],
    ['[[:alpha:][:digit:]_]+', '--a_1--', ['a_1']],
    ['[[.-.]x]', '-', ['-']],
    ['[\\d]', '\\', ['\\']],
    ['\\.\\*\\$', 'a.*$', ['.*$']],
    ['a||b', 'b', ['b']],
    ['a||b', 'c', ['']],
    ['([^@]+)@([^.]+)\\.example', 'me@sub.example.com', ['me@sub.example', 'me', 'sub']],
  ])('%j in %j', (pattern, text, groups) => expect(find(pattern, text)).toEqual(groups))

  test('caseless compares the letters of ASCII', () => {
    expect(find('STRASSE', 'Strasse', 'caseless')).toEqual(['Strasse'])
    expect(find('[a-c]', 'B', 'caseless')).toEqual(['B'])
    expect(find('ä', 'Ä', 'caseless')).toBeUndefined()
    expect(find('[^a]', 'A', 'caseless')).toBeUndefined()
  })
})

describe('refused', () => {
  test.each(['(', ')', '[', '[a', '*a', 'a|*', '+', '{1}', 'a{', 'a{x}', 'a{3,2}', 'a{256}', '\\', '\\d', '\\1', '[[:nope:]]', '[z-a]', '[[.ab.]]'])(
    '%j',
    (pattern) => {
      expect(() => compileRegex(pattern, 'exact')).toThrow(RegexError)
    },
  )

  test('what becomes too large when it is written out', () => {
    expect(() => compileRegex('((a{255}){255}){255}', 'exact')).toThrow('too large')
  })
})

test('patterns that ruin a backtracking matcher end soon', () => {
  for (const pattern of ['(a*)*b', '(a|a)*b', '(a|aa)+$b', '(.*)(.*)(.*)(.*)(.*)x', '^(([a-z])+.)+[A-Z]([a-z])+$']) {
    expect(matchRegex(compileRegex(pattern, 'exact'), 'a'.repeat(2000), { left: 2_000_000 })).toBeUndefined()
  }
})

test('work beyond the budget is a fault', () => {
  expect(() => matchRegex(compileRegex('(a|b)*c', 'exact'), 'ab'.repeat(1000), { left: 1000 })).toThrow(Fault)
})

const atoms = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a)', '(b|a)', '(ab)')
const part = fc.tuple(atoms, fc.constantFrom('', '*', '+', '?', '{2}', '{1,2}')).map((both) => both.join(''))
const pattern = fc
  .array(fc.array(part, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 })
  .map((all) => all.map((each) => each.join('')).join('|'))

test('finds a match where the platform finds one, as far left and at least as long', () => {
  fc.assert(
    fc.property(pattern, fc.stringMatching(/^[abc]{0,8}$/), (source, text) => {
      const theirs = new RegExp(source).exec(text)
      const ours = find(source, text)
      expect(ours === undefined).toBe(theirs === null)
      if (!ours || !theirs) return
      expect(ours[0]?.length).toBeGreaterThanOrEqual(theirs[0].length)
      expect(text.startsWith(ours[0] as string, theirs.index)).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('any pattern is compiled or refused, and runs within its budget', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...'ab.*+?{}()[]|\\^$,1-:='), { maxLength: 20 }), (chars) => {
      try {
        find(chars.join(''), 'aab1-:=')
      } catch (error) {
        expect(error instanceof RegexError || error instanceof Fault).toBe(true)
      }
    }),
    { numRuns: 1000 },
  )
})
