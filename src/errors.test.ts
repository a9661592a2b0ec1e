import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorRegister } from './errors.ts'

const sources = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'errors.ts')
  .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
  .join('\n')

test('every code is thrown or told somewhere', () => {
  const unused = Object.keys(errorRegister).filter((code) => !sources.includes(`'${code}'`))
  expect(unused).toEqual([])
})

test('every code has its entry in the manual (vitest -u writes the page)', async () => {
  const entries = Object.entries(errorRegister).sort(([left], [right]) => (left < right ? -1 : 1))
  const page = [
    '# Errors',
    '',
    'Every error that Handoff shows has a code, the object that it is about, and a remedy. This page lists the codes: when each comes, and',
    'what to do. With `--json` an error is `{"error": {"code", "message", "remedy"}}`.',
    '',
    ...entries.flatMap(([code, entry]) => [`## ${code}`, '', entry.when, '', `**What to do:** ${entry.remedy}`, '']),
  ].join('\n')
  await expect(page).toMatchFileSnapshot('../docs/errors.md')
})
