import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { implementation } from './capabilities.ts'
import { type Argument, readCommand, SyntaxFault } from './command-reader.ts'
import { literal } from './fixture.ts'
import { Input, InputEnd } from './input.ts'
import { encodeString, formatReply } from './reply.ts'

const limits = { lineBytesMax: 4096, literalBytesMax: 1000, skippedBytesMax: 5000 }

/** Reads one command from bytes that come in pieces, and what is left behind it. */
async function read(bytes: Buffer, pieces: readonly number[]) {
  const input = new Input({ highWaterBytes: 100, silenceMsMax: 1000, onLow: () => {} })
  const reading = input.line(limits.lineBytesMax).then((line) => readCommand(line, input, limits))
  // A refusal may come before the last piece.
  reading.catch(() => undefined)
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = at + (pieces[i % pieces.length] ?? 1)
    input.push(bytes.subarray(at, end))
    await new Promise<void>((resolve) => setImmediate(resolve))
    at = end
  }
  input.end()
  const command = await reading
  return { command, rest: await input.line(100).catch(() => undefined) }
}

const quotable = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes.filter((byte) => ![0, 10, 13].includes(byte))))
const strings = fc.oneof(
  quotable.map((bytes) => ({ sent: Buffer.from(`"${bytes.toString('latin1').replace(/["\\]/g, '\\$&')}"`, 'latin1'), bytes })),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => ({ sent: Buffer.from(literal(Buffer.from(bytes)), 'latin1'), bytes: Buffer.from(bytes) })),
)
const args = fc.oneof(
  strings.map(({ sent, bytes }) => ({ sent, argument: { kind: 'string', bytes } as Argument })),
  fc.nat({ max: 2 ** 32 - 1 }).map((value) => ({ sent: Buffer.from(String(value)), argument: { kind: 'number', value } as Argument })),
)

test('what is written by the grammar is read, however it is cut, and not a byte more', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(args, { maxLength: 4 }), fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 5 }), async (given, pieces) => {
      const bytes = Buffer.concat([Buffer.from('pUt'), ...given.flatMap(({ sent }) => [Buffer.from(' '), sent]), Buffer.from('\r\nNEXT\r\n')])
      const { command, rest } = await read(bytes, pieces)
      expect(command).toEqual({ name: 'PUT', args: given.map(({ argument }) => argument) })
      expect(rest?.toString()).toBe('NEXT')
    }),
    { numRuns: 200 },
  )
})

test('what breaks the grammar is refused; after a literal that cannot be placed the session ends', async () => {
  const fault = async (line: string) => {
    const error: unknown = await read(Buffer.from(`${line}\r\nNEXT\r\n`, 'latin1'), [100]).catch((thrown: unknown) => thrown)
    return error instanceof SyntaxFault ? error.ends : error instanceof InputEnd ? error.reason : 'read'
  }
  for (const line of ['', ' A', '"A"', 'A  "b"', 'A "b" ', 'A b', 'A "b"c', 'A "b', 'A "\\b"', 'A 01', 'A 4294967296', 'A -1', 'A (', 'A "\0"', 'A "b"5'])
    expect(await fault(line), line).toBe('command')
  for (const line of ['A {3}', 'A "x {3+}', 'A  {3+}', 'A b{3+}', 'A {5001+}', 'A {99999999999999999999+}']) expect(await fault(line), line).toBe('session')
  expect(await fault(`A ${'1'.repeat(4095)}`)).toBe('endlessLine')
  expect(await fault(`A ${'{0+}\r\n '.repeat(1000)}"x"`)).toBe('endlessLine')
})

test('a literal that is too large is read past, and the command is known', async () => {
  const { command, rest } = await read(Buffer.from(`PUT "x" ${literal('y'.repeat(4000))} ${literal('z'.repeat(1000))}\r\nNEXT\r\n`), [700])
  expect(command.args.map((argument) => (argument.kind === 'oversized' ? argument.octets : argument.kind))).toEqual(['string', 4000, 'string'])
  expect(rest?.toString()).toBe('NEXT')
})

test('strings are quoted where that may be, and are literals elsewhere', () => {
  expect(encodeString(Buffer.from('a "b" \\c')).toString()).toBe('"a \\"b\\" \\\\c"')
  expect(encodeString(Buffer.from('ü'.repeat(512))).toString()).toBe(`"${'ü'.repeat(512)}"`)
  expect(encodeString(Buffer.from('"'.repeat(513))).toString()).toBe(`{513}\r\n${'"'.repeat(513)}`)
  for (const text of ['a\r\nb', 'a\0', '\xff']) expect(encodeString(Buffer.from(text, 'latin1')).toString('latin1')).toBe(`{${text.length}}\r\n${text}`)
  expect(formatReply({ condition: 'OK', code: 'TAG', codeValue: Buffer.from('x\r\n'), text: 'Done' }).toString()).toBe('OK (TAG {3}\r\nx\r\n) "Done"\r\n')
})

test('IMPLEMENTATION tells the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }
  expect(implementation).toBe(`Handoff ${version}`)
})
