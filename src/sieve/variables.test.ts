import { describe, expect, test } from 'vitest'
import { limits } from './limits.ts'
import { holds, runScript } from './fixture.ts'

const require = ['variables', 'encoded-character', 'relational', 'comparator-i;ascii-numeric']

describe('references (RFC 5229 §3)', () => {
  const before = 'set "a" "x"; set "B" "y"; set "s" "$";'
  test.each([
    ['"&${a}&"', '"&x&"'],
    ['"${b}"', '"y"'],
    ['"${A}${a}"', '"xx"'],
    ['"${missing}"', '""'],
    ['"${a"', '"${s}{a"'],
    ['"${a b}"', '"${s}{a b}"'],
    ['"${}"', '"${s}{}"'],
    ['"${${a}}"', '"${s}{x}"'],
    ['"$${a}"', '"${s}x"'],
    ['"${fo\\\\o}"', '"${s}{fo\\\\o}"'],
    ['"\\${a}"', '"x"'],
    ['"\\\\${a}"', '"\\\\x"'],
    ['"dear${hex:20 24 7b 61}}"', '"dear x"'],
    ['"${7}"', '""'],
  ])('%s is %s', (left, right) => expect(holds(`string ${left} ${right}`, { require, before })).toBe(true))
})

describe('encoded characters (RFC 5228 §2.4.2.4)', () => {
  test.each([
    ['"$${hex:40}"', '"$@"'],
    ['"${hex: 40 }"', '"@"'],
    ['"${HEX: 40}"', '"@"'],
    ['"${hex:24 24}"', '"$$"'],
    ['"${hex:c3}${hex:a4}"', '"ä"'],
    ['"${unicode:40}"', '"@"'],
    ['"${unicode:e4 0000DF}"', '"äß"'],
  ])('%s is %s', (left, right) => expect(reasonOf(left)).toBe(right.slice(1, -1)))

  test('what is decoded is not decoded again', () => expect(reasonOf('"${hex:4${hex:30}}"')).toBe('${hex:40}'))

  test.each(['"${hex:40"', '"${hex:400}"', '"${hex:}"', '"${unicode:}"', '"${unicode:xyz}"'])('%s stays as it is', (text) => {
    expect(holds(`header "x" ${text}`, { require: ['encoded-character'], message: [`X: ${text.slice(1, -1)}`, '', ''] })).toBe(true)
  })
})

function reasonOf(text: string): string {
  const { actions } = runScript(`require ["encoded-character", "reject"]; reject ${text};`)
  const [action] = actions
  return action?.kind === 'reject' ? action.reason : ''
}

describe('set and its modifiers (RFC 5229 §4)', () => {
  test.each([
    ['set "b" "${a}";', 'juMBlEd lETteRS'],
    ['set :length "b" "${a}";', '15'],
    ['set :lower "b" "${a}";', 'jumbled letters'],
    ['set :upperfirst "b" "${a}";', 'JuMBlEd lETteRS'],
    ['set :upperfirst :lower "b" "${a}";', 'Jumbled letters'],
    ['set :quotewildcard "b" "Rock*";', 'Rock\\\\*'],
    ['set :length :quotewildcard "b" "Rock*";', '6'],
    ['set :upper "b" "straße";', 'STRAßE'],
  ])('%s', (script, value) => expect(holds(`string "\${b}" "${value}"`, { require, before: `set "a" "juMBlEd lETteRS"; ${script}` })).toBe(true))

  test('regular expressions can be quoted', () => {
    expect(holds('string "${b}" "a\\\\.\\\\(b\\\\)"', { require: ['variables', 'regex'], before: 'set :quoteregex "b" "a.(b)";' })).toBe(true)
  })

  test('a value is cut at the limit, and a string that grows beyond all bounds is a fault', () => {
    const doubled = 'set "a" "${a}${a}";'.repeat(20)
    expect(holds(`string :count "eq" :comparator "i;ascii-numeric" ["\${a}", ""] "1"`, { require, before: `set "a" "xx"; ${doubled}` })).toBe(true)
    expect(holds(`string "\${l}" "${limits.variableCharacters}"`, { require, before: `set "a" "xx"; ${doubled} set :length "l" "\${a}";` })).toBe(true)
    const { fault } = runScript(`require ["variables"]; set "a" "xx"; ${doubled} set "a" "${'${a}'.repeat(100)}";`)
    expect(fault).toBe('a string with its variables is too long')
  })

  test('variables beyond the limit are a fault', () => {
    const many = Array.from({ length: limits.variables + 1 }, (_, i) => `set "v${i}" "x";`).join('')
    expect(runScript(`require "variables"; ${many}`).fault).toBe('more than 256 variables')
  })
})

describe('match variables (RFC 5229 §3.2)', () => {
  const message = ['Subject: [acme-users] [fwd] version 1.0 is out', 'X-Mailing: a-b-c', '', 'x']
  test.each([
    ['header :matches "subject" "[*] *"', '${1}|${2}', 'acme-users|[fwd] version 1.0 is out'],
    ['header :matches "subject" "*"', '${0}', '[acme-users] [fwd] version 1.0 is out'],
    ['header :matches "x-mailing" "?-*-*"', '${1}|${2}|${3}', 'a|b|c'],
    ['header :matches "x-mailing" "*-*"', '${1}|${2}', 'a|b-c'],
    ['header :regex "subject" "version ([0-9]+)\\\\.([0-9]+)"', '${0}|${1}|${2}|${3}', 'version 1.0|1|0|'],
    // A test that fails changes nothing, and neither does one that is not reached.
    ['allof (header :matches "x-mailing" "*-*-*", not header :matches "subject" "?")', '${3}', 'c'],
    ['anyof (header :matches "x-mailing" "*-*", header :matches "subject" "*")', '${2}', 'b-c'],
  ])('%s', (script, reference, value) => {
    const { actions } = runScript(`require ["variables", "regex", "reject"]; if ${script} { reject "${reference}"; }`, { message })
    expect(actions).toEqual([{ kind: 'reject', form: 'reject', reason: value }])
  })
})
