import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeEncodedWords } from './encoded-words.ts'
import { parseParametrised } from './parameters.ts'
import { searchText, sentDay } from './search-text.ts'
import { parseMessage } from './structure.ts'
import { decodeTransferEncoding } from './transfer-encoding.ts'

const textOf = (message: string) => {
  const bytes = Buffer.from(message.replaceAll('\n', '\r\n'), 'latin1')
  return searchText(bytes, parseMessage(bytes))
}

test('encoded words are decoded, those that cut a character in two together (RFC 2047)', () => {
  expect(decodeEncodedWords('=?ISO-8859-1?Q?a_=FC?= b')).toBe('a ü b')
  expect(decodeEncodedWords('=?utf-8*de?B?w7w=?=  =?UTF-8?b?w7w=?=')).toBe('üü')
  expect(decodeEncodedWords('=?utf-8?B?ww==?= =?utf-8?B?vA==?=')).toBe('ü')
  expect(decodeEncodedWords('=?utf-8?q?a?= b =?utf-8?q?c?=')).toBe('a b c')
  for (const broken of ['=?x?y?z?=', '=?utf-8?q?', '=?=?=?', 'a =? b']) expect(decodeEncodedWords(broken)).toBe(broken)
})

test('parameters are read through comments, quotes, missing quotes and nonsense', () => {
  expect(parseParametrised('text/plain (a "comment" (nested)); Charset="utf-8" ;; x ; y=a b;z="q;\\"r"; =v; w=')).toEqual({
    value: 'text/plain',
    parameters: [
      ['charset', 'utf-8'],
      ['y', 'a b'],
      ['z', 'q;"r'],
      ['w', ''],
    ],
  })
})

test('search text has every text part decoded, and the headers of inner messages', () => {
  const text = textOf(
    'Subject: A\n =?utf-8?q?=C3=9C?=\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=\n=DFe \n--b\nContent-Type: message/rfc822\n\nX-Inner: Yes\n\ndeep\n--b\nContent-Type: image/png\n\nBINARY\n--b--\n',
  )
  expect(text.fields.split('\n')[0]).toBe('subject:a ü')
  expect(text.headers).toContain('x-inner: yes')
  expect(text.content).toContain('grüße')
  expect(text.content).toContain('deep')
  expect(text.content).not.toContain('binary')
})

test('the sent day is that of the Date field, whatever its zone', () => {
  const day = (year: number, month: number, date: number) => Date.UTC(year, month - 1, date) / 86_400_000
  expect(sentDay('Thu, 1 Jan 2026 23:59:59 -1200')).toBe(day(2026, 1, 1))
  expect(sentDay('29 Feb 24 00:00 +0000')).toBe(day(2024, 2, 29))
  expect(sentDay('31 December 1969 12:00:00 GMT')).toBe(-1)
  expect(sentDay('1 Jan 99 1:2')).toBe(day(1999, 1, 1))
  for (const none of [undefined, '', 'yesterday', '99 Foo 2026', '40 Jan 2026']) expect(sentDay(none)).toBeUndefined()
})

test('base64 and quoted-printable: what was encoded comes back, through line breaks and foreign characters', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const base64 = Buffer.from(bytes)
        .toString('base64')
        .replace(/(.{10})/g, '$1\r\n!')
      expect(Buffer.from(decodeTransferEncoding(Buffer.from(base64), 'BASE64') ?? []).equals(bytes)).toBe(true)
      const printable = [...bytes].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join('=\r\n')
      expect(Buffer.from(decodeTransferEncoding(Buffer.from(printable), 'quoted-printable') ?? []).equals(bytes)).toBe(true)
    }),
  )
  expect(decodeTransferEncoding(Buffer.from('x'), 'uuencode')).toBeUndefined()
})

const pieces = fc.oneof(
  fc.constantFrom(
    '\r\n',
    '\n',
    '\0',
    '=',
    '=\r\n',
    '=?utf-8?q?',
    '?=',
    '=?gb18030?b?',
    '--b',
    'Content-Type: text/plain; charset=',
    'Content-Transfer-Encoding: base64\r\n',
    'utf-16',
    'iso-2022-jp',
  ),
  fc.string({ unit: 'binary', maxLength: 10 }),
)

test('any message has a search text that the database can keep', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
      const text = textOf(parts.join(''))
      for (const kept of [text.fields, text.headers, text.content]) {
        expect(kept).not.toContain('\0')
        expect(Buffer.from(kept).toString()).toBe(kept)
      }
    }),
    { numRuns: 2000 },
  )
})
