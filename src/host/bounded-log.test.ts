import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { boundLog } from './bounded-log.ts'

test('a log that is too large is moved aside while its writer goes on, and takes at most two bounds', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'handoff-log-'))
  const file = join(directory, 'x.log')
  expect(await boundLog(file, 10)).toBe(false)
  const writer = openSync(file, 'a')
  writeSync(writer, '0123456789')
  expect(await boundLog(file, 10)).toBe(false)
  writeSync(writer, 'first\n')
  expect(await boundLog(file, 10)).toBe(true)
  writeSync(writer, 'second\n')
  expect(readFileSync(file, 'utf8')).toBe('second\n')
  expect(readFileSync(`${file}.1`, 'utf8')).toBe('0123456789first\n')
  writeSync(writer, 'and more\n')
  expect(await boundLog(file, 10)).toBe(true)
  expect(readFileSync(`${file}.1`, 'utf8')).toBe('second\nand more\n')
  expect(readdirSync(directory)).toEqual(['x.log', 'x.log.1'])
  closeSync(writer)
  rmSync(directory, { recursive: true })
})
