import { expect, test } from 'vitest'
import { Cursor, SyntaxFault } from './cursor.ts'
import { parseFetchItems } from './fetch-items.ts'
import { matchesPattern, readMailboxName, writeMailboxName } from './mailbox-name.ts'
import { decodeModifiedUtf7, encodeModifiedUtf7 } from './modified-utf7.ts'
import { dateTime, nstring, quoteOrLiteral } from './respond.ts'
import { parseSearch, UnknownCharset } from './search-keys.ts'
import { formatSet, normaliseSet, parseSequenceSet, resolveStar } from './sequence-set.ts'

const cursor = (text: string, ...literals: string[]) =>
  new Cursor({ texts: [text, ...literals.map(() => '')], literals: literals.map((each) => ({ bytes: Buffer.from(each), binary: false })) })

test('strings come as atom, quoted with escapes, or literal', () => {
  expect(cursor('abc]').astring()).toBe('abc]')
  expect(cursor('"a \\"b\\\\"').astring()).toBe('a "b\\')
  expect(cursor('{5}', 'x\r\n y').astring()).toBe('x\r\n y')
  expect(() => cursor('"a\\b"').astring()).toThrow(SyntaxFault)
  expect(() => cursor('(a').astring()).toThrow(SyntaxFault)
  expect(cursor('').atEnd()).toBe(true)
})

test('sequence sets: star, order, bounds', () => {
  expect(parseSequenceSet('4:2,*,7')).toEqual([
    { first: 2, last: 4 },
    { first: Infinity, last: Infinity },
    { first: 7, last: 7 },
  ])
  for (const bad of ['', '0', '1:', ',1', '4294967296', '1:2:3', '01234567890']) expect(parseSequenceSet(bad), bad).toBeUndefined()
  expect(resolveStar([{ first: 9, last: Infinity }], 3)).toEqual([{ first: 3, last: 9 }])
  expect(
    normaliseSet([
      { first: 5, last: 6 },
      { first: 1, last: 4 },
      { first: 9, last: 9 },
    ]),
  ).toEqual([
    { first: 1, last: 6 },
    { first: 9, last: 9 },
  ])
  expect(formatSet([1, 2, 3, 7, 9, 10])).toBe('1:3,7,9:10')
})

test('modified UTF-7 as in RFC 3501 §5.1.3', () => {
  const name = '~peter/mail/台北/日本語'
  expect(encodeModifiedUtf7(name)).toBe('~peter/mail/&U,BTFw-/&ZeVnLIqe-')
  expect(decodeModifiedUtf7('~peter/mail/&U,BTFw-/&ZeVnLIqe-')).toBe(name)
  expect(encodeModifiedUtf7('a&b')).toBe('a&-b')
  for (const bad of ['&Jjo!', '&', '&U,BTFw-&ZeVnLIqe-', '&AGEAYg-', '&2AA-']) expect(decodeModifiedUtf7(bad), bad).toBeUndefined()
})

test('mailbox names: INBOX in any case, control characters refused, both encodings', () => {
  expect(readMailboxName('inbox', 'utf7')).toBe('INBOX')
  expect(readMailboxName('iNbOx/A', 'utf7')).toBe('INBOX/A')
  expect(readMailboxName('inboxes', 'utf7')).toBe('inboxes')
  expect(readMailboxName(Buffer.from('Café').toString('latin1'), 'utf8')).toBe('Café')
  expect(() => readMailboxName('a\r\nb', 'utf7')).toThrow(SyntaxFault)
  expect(() => readMailboxName('&AAo-', 'utf7')).toThrow(SyntaxFault)
  expect(writeMailboxName('Café "x"', 'utf7')).toBe('"Caf&AOk- \\"x\\""')
  expect(writeMailboxName('Café', 'utf8')).toBe('{5}\r\nCafé')
})

test('wildcards match in linear time', () => {
  expect(matchesPattern('%', 'a/b')).toBe(false)
  expect(matchesPattern('*', 'a/b')).toBe(true)
  expect(matchesPattern('a/%', 'a/b')).toBe(true)
  expect(matchesPattern('*b', 'a/b')).toBe(true)
  expect(matchesPattern('', '')).toBe(true)
  expect(matchesPattern('a*', 'ba')).toBe(false)
  expect(matchesPattern('*a'.repeat(400), 'a'.repeat(399))).toBe(false)
})

test('FETCH items, sections and macros', () => {
  expect(parseFetchItems(cursor('FAST')).map((item) => item.kind)).toEqual(['flags', 'internalDate', 'size'])
  const [item] = parseFetchItems(cursor('(BODY.PEEK[1.2.HEADER.FIELDS (Subject "X-A")]<0.10>)'))
  expect(item).toEqual({
    kind: 'section',
    section: { part: [1, 2], text: { fields: ['subject', 'x-a'], not: false } },
    peek: true,
    partial: { offset: 0, length: 10 },
    label: 'BODY[1.2.HEADER.FIELDS (Subject X-A)]<0>',
  })
  expect(parseFetchItems(cursor('BINARY.SIZE[2.1]'))).toEqual([{ kind: 'binarySize', part: [2, 1], label: 'BINARY.SIZE[2.1]' }])
  for (const bad of [
    '()',
    'BODY[MIME]',
    'BODY[1.]',
    'BODY[0]',
    'BODY[TEXT]<1.0>',
    'BODY[HEADER.FIELDS ()]',
    'constructor',
    'BODY[HEADER.FIELDS ("a b")]',
    'BINARY[0]',
  ])
    expect(() => parseFetchItems(cursor(bad)), bad).toThrow(SyntaxFault)
})

test('SEARCH keys nest, take charsets and are bounded', () => {
  const search = (text: string) => parseSearch(cursor(text))
  expect(search('OR SEEN NOT (FROM a 1:2)').key).toEqual({
    kind: 'or',
    left: { kind: 'flag', flag: '\\Seen' },
    right: {
      kind: 'not',
      key: {
        kind: 'and',
        keys: [
          { kind: 'header', name: 'from', value: 'a' },
          { kind: 'sequence', set: [{ first: 1, last: 2 }] },
        ],
      },
    },
  })
  expect(search('RETURN () ALL').returns).toEqual(new Set(['ALL']))
  expect(search('SINCE 1-Feb-1994').key).toEqual({ kind: 'internalDate', relation: 'since', day: Date.UTC(1994, 1, 1) / 86_400_000 })
  expect(() => search('CHARSET KOI8-R ALL')).toThrow(UnknownCharset)
  expect(() => search(`${'NOT '.repeat(100)}ALL`)).toThrow('Search too complex')
  for (const bad of ['', 'SINCE 31-Feb-2000', 'LARGER x', 'FOO', '()', 'RETURN (X) ALL']) expect(() => search(bad), bad).toThrow(SyntaxFault)
})

test('dates and strings of responses', () => {
  expect(cursor('" 7-Feb-1994 21:52:25 -0800"').dateTime().toISOString()).toBe('1994-02-08T05:52:25.000Z')
  expect(() => cursor('"07-Feb-1994 25:52:25 -0800"').dateTime()).toThrow(SyntaxFault)
  expect(dateTime(new Date('1994-02-08T05:52:25Z'))).toBe('" 8-Feb-1994 05:52:25 +0000"')
  expect(nstring(undefined)).toBe('NIL')
  expect(quoteOrLiteral('a\r\n* BYE')).toBe('{8}\r\na\r\n* BYE')
  expect(quoteOrLiteral('a"b\\')).toBe('"a\\"b\\\\"')
})
