import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from './fault.ts'
import { matchGlob } from './glob.ts'

function match(value: string, pattern: string): string[] | undefined {
  return matchGlob(value, value, pattern, { left: 1_000_000 })
}

/** The same, for a matcher that tries everything: as little as possible for each star, from left to right. */
function byRegExp(value: string, pattern: string): string[] | undefined {
  const source = pattern.replace(/\\(.)|[*?]/g, (part, escaped) => (escaped === undefined ? (part === '*' ? '(.*?)' : '(.)') : `\\${escaped}`))
  const found = new RegExp(`^${source}$`, 'su').exec(value)
  return found ? [...found] : undefined
}

test('finds what a matcher finds that tries everything', () => {
  const pattern = fc.array(fc.constantFrom('a', 'b', '*', '?', '\\*', '\\?', '\\\\'), { maxLength: 8 }).map((all) => all.join(''))
  const value = fc.array(fc.constantFrom('a', 'b', '*', '?', '\\', '\u{1F600}'), { maxLength: 10 }).map((all) => all.join(''))
  fc.assert(
    fc.property(value, pattern, (text, glob) => {
      expect(match(text, glob)).toEqual(byRegExp(text, glob))
    }),
    { numRuns: 2000 },
  )
})

test('a backslash before an ordinary character means nothing, at the end it is one', () => {
  expect(match('abc', 'a\\bc')).toEqual(['abc'])
  expect(match('abc\\', '*\\')).toEqual(['abc\\', 'abc'])
  expect(match('abc', 'abc\\')).toBeUndefined()
})

test('work beyond the budget is a fault', () => {
  expect(() => matchGlob('a'.repeat(1000), 'a'.repeat(1000), '*aaaab', { left: 1000 })).toThrow(Fault)
})
