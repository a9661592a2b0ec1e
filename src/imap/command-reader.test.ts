import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteQueue } from './byte-queue.ts'
import { type CommandRead, readCommand, type ReadLimits } from './command-reader.ts'
import { Cursor } from './cursor.ts'
import { parseFetchItems } from './fetch-items.ts'
import { parseSearch, UnknownCharset } from './search-keys.ts'
import { SyntaxFault } from './cursor.ts'

const limits: ReadLimits = { lineBytesMax: 200, literalsMax: 3, literalBytesMax: 100, appendBytesMax: 1000 }

async function readAll(chunks: readonly Buffer[]): Promise<{ reads: CommandRead[]; asked: number }> {
  const queue = new ByteQueue({ highWaterBytes: 1024, onLow: () => {} })
  for (const chunk of chunks) queue.push(chunk)
  queue.end()
  const reads: CommandRead[] = []
  let asked = 0
  for (;;) {
    const read = await readCommand(queue, limits, () => asked++)
    if (read.kind === 'end') return { reads, asked }
    reads.push(read)
    if (read.kind === 'refused' && read.thenClose) return { reads, asked }
  }
}

const lines = (...texts: string[]) => readAll(texts.map((text) => Buffer.from(`${text}\r\n`)))

test('literals of both kinds are put together, and only the synchronising one is asked for', async () => {
  const { reads, asked } = await readAll([Buffer.from('a LOGIN {3}\r\nx\r\n {2+}\r\nyz x\r\nb NOOP\r\n')])
  expect(asked).toBe(1)
  expect(reads).toEqual([
    {
      kind: 'command',
      command: {
        texts: ['a LOGIN {3}', ' {2+}', ' x'],
        literals: [
          { bytes: Buffer.from('x\r\n'), binary: false },
          { bytes: Buffer.from('yz'), binary: false },
        ],
      },
    },
    { kind: 'command', command: { texts: ['b NOOP'], literals: [] } },
  ])
})

test('a literal too large is refused before it is sent, or skipped when it is on its way', async () => {
  expect((await lines('a APPEND x {5000}', 'b NOOP')).reads).toMatchObject([
    { kind: 'refused', tag: 'a', reply: 'NO [TOOBIG] Message too large', thenClose: false },
    { kind: 'command' },
  ])
  expect((await lines(`a APPEND x {1500+}\r\n${'z'.repeat(1500)}`, 'b NOOP')).reads).toMatchObject([{ kind: 'refused', tag: 'a' }, { kind: 'command' }])
  expect((await lines('a LOGIN {99999999999+}')).reads).toMatchObject([{ kind: 'refused', thenClose: true }])
  expect((await lines('a X {1+}\r\nz {1+}\r\nz {1+}\r\nz {1+}\r\nz', 'b NOOP')).reads).toMatchObject([
    { kind: 'refused', reply: 'BAD [TOOBIG] Too many literals' },
    { kind: 'command' },
  ])
})

test('lines too long and NUL are answered with the tag, and the next command is read', async () => {
  expect((await lines(`a ${'x'.repeat(9000)}`, 'b NOOP')).reads).toMatchObject([{ kind: 'refused', tag: 'a', thenClose: false }, { kind: 'command' }])
  expect((await lines(`a ${'x'.repeat(9000)} {3+}`, 'xyz')).reads).toMatchObject([{ kind: 'refused', thenClose: true }])
  expect((await lines('a LOGIN \0 b', 'b NOOP')).reads).toMatchObject([
    { kind: 'refused', tag: 'a', reply: 'BAD NUL is not permitted in a command' },
    { kind: 'command' },
  ])
})

const grammarish = fc.oneof(
  fc.constantFrom(
    'a ',
    'FETCH ',
    '1:* ',
    'UID ',
    '(',
    ')',
    '{3}\r\n',
    '{5+}\r\n',
    '~{2}\r\n',
    '"',
    '\\',
    '\r\n',
    '\n',
    'BODY[',
    ']',
    'HEADER.FIELDS ',
    'SEARCH ',
    'NOT ',
    'OR ',
    'CHARSET ',
    '\0',
    '*',
    '<0.1>',
    '$',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const stream = fc.array(grammarish, { maxLength: 60 }).map((parts) => Buffer.from(parts.join(''), 'utf8'))

test('any bytes in any chunks: reading and parsing end, throw nothing but a syntax fault, and do not depend on the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(stream, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 10 }), async (bytes, sizes) => {
      const chunks: Buffer[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length] as number
        chunks.push(bytes.subarray(at, at + size))
        at += size
      }
      const split = await readAll(chunks)
      expect(split).toEqual(await readAll([bytes]))
      for (const read of split.reads) {
        if (read.kind !== 'command') continue
        for (const parse of [
          (c: Cursor) => parseFetchItems(c),
          (c: Cursor) => parseSearch(c),
          (c: Cursor) => [c.tag(), c.space(), c.keyword(), c.space(), c.astring()],
        ]) {
          try {
            parse(new Cursor(read.command))
          } catch (error) {
            if (!(error instanceof SyntaxFault) && !(error instanceof UnknownCharset)) throw error
          }
        }
      }
    }),
    { numRuns: 600 },
  )
})

test('the queue asks the sender to pause at its mark and to go on below it', async () => {
  let low = 0
  const queue = new ByteQueue({ highWaterBytes: 10, onLow: () => low++ })
  expect(queue.push(Buffer.alloc(9))).toBe(true)
  expect(queue.push(Buffer.alloc(9))).toBe(false)
  expect(await queue.read(12)).toHaveLength(12)
  expect(low).toBe(1)
})
