import { expect, test } from 'vitest'
import { compile } from './compile.ts'
import { warningsOf } from './warnings.ts'

const lines = (script: string) => warningsOf(compile(script)).map((warning) => Number(/^line (\d+), column 1: /.exec(warning)?.[1]))
const redirects = (count: number) => Array.from({ length: count }, (_, i) => `redirect "a${i}@example.org";\n`).join('')

test('redirects beyond the limit are told, as far as one message can meet them', () => {
  expect(lines(redirects(4))).toEqual([])
  expect(lines(redirects(6))).toEqual([5, 6])
  expect(lines(`if true {\n${redirects(3)}} else {\n${redirects(2)}}\n${redirects(2)}`)).toEqual([10])
  expect(lines(`if header "a" "b" {\n${redirects(4)}stop;\n} elsif true {\n${redirects(4)}}\n`)).toEqual([])
  expect(lines(`if header "a" "b" {\n${redirects(4)}stop;\n}\n${redirects(4)}`)).toEqual([])
  expect(lines(`stop;\n${redirects(6)}`)).toEqual([])
})
