import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MessagePart } from './part.ts'
import { parseMessage } from './structure.ts'
import { threadRoot } from './thread.ts'

const crlf = (lines: readonly string[]) => Buffer.from(lines.join('\r\n'), 'latin1')

const mixed = crlf([
  'From: "Doe, J" <j.doe@example.org>',
  'To: Friends: a@example.com, =?utf-8?q?B=C3=BC?= <b@[IPv6:::1]>;, (the boss) c@example.com',
  'Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=',
  ' folded',
  'Message-ID: <1@example.org>',
  'References: <root@example.org> <x@example.org>',
  'Content-Type: multipart/mixed; boundary="b (1)"; x=y',
  '',
  'preamble',
  '--b (1)',
  '',
  'one',
  'two',
  '--b (1)  ',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  'Content-Type: multipart/alternative; boundary=in',
  '',
  '--in',
  'Content-Type: text/html; charset=utf-8',
  'Content-Transfer-Encoding: QUOTED-PRINTABLE',
  '',
  '<p>=C3=BC</p>',
  '--in--',
  '--b (1)',
  'Content-Type: application/pdf; name=my file.pdf',
  "Content-Disposition: attachment; filename*=utf-8''x%20y.pdf",
  'Content-Transfer-Encoding: base64',
  '',
  'AAAA',
  '--b (1)--',
  'epilogue',
  '',
])
const slice = (bytes: Buffer, part: MessagePart) => bytes.subarray(part.bodyStart, part.bodyEnd).toString('latin1')

test('parts are found by place: each body is a slice of the message', () => {
  const root = parseMessage(mixed)
  expect([root.type, root.subtype, root.children.map((child) => `${child.type}/${child.subtype}`)]).toEqual([
    'multipart',
    'mixed',
    ['text/plain', 'message/rfc822', 'application/pdf'],
  ])
  const [text, inner, pdf] = root.children as [MessagePart, MessagePart, MessagePart]
  expect(slice(mixed, text)).toBe('one\r\ntwo')
  expect(text).toMatchObject({ parameters: [['charset', 'us-ascii']], encoding: '7bit', lines: 1 })
  expect(inner.message?.envelope.subject).toBe('inner')
  expect(slice(mixed, inner.message?.children[0] as MessagePart)).toBe('<p>=C3=BC</p>')
  expect(inner.message?.children[0]?.encoding).toBe('quoted-printable')
  expect(slice(mixed, pdf)).toBe('AAAA')
  expect(pdf.parameters).toEqual([['name', 'my file.pdf']])
  expect(pdf.disposition).toEqual({ type: 'attachment', parameters: [['filename*', "utf-8''x%20y.pdf"]] })
})

test('the envelope has raw strings, groups with markers, and addresses without routes', () => {
  const { envelope } = parseMessage(mixed)
  expect(envelope.subject).toBe('=?utf-8?q?gr=C3=BC=C3=9Fe?= folded')
  expect(envelope.from).toEqual([{ name: 'Doe, J', mailbox: 'j.doe', host: 'example.org' }])
  expect(envelope.to).toEqual([
    { name: undefined, mailbox: 'Friends', host: undefined },
    { name: undefined, mailbox: 'a', host: 'example.com' },
    { name: '=?utf-8?q?B=C3=BC?=', mailbox: 'b', host: '[IPv6:::1]' },
    { name: undefined, mailbox: undefined, host: undefined },
    { name: 'the boss', mailbox: 'c', host: 'example.com' },
  ])
  expect(parseMessage(crlf(['From: <@a,@b:x@c>, "q u"@d, nobody', '', ''])).envelope.from).toEqual([
    { name: undefined, mailbox: 'x', host: 'c' },
    { name: undefined, mailbox: 'q u', host: 'd' },
    { name: undefined, mailbox: 'nobody', host: '.MISSING-HOST-NAME.' },
  ])
  expect(threadRoot(mixed)).toBe('root@example.org')
})

test('what cannot be taken apart is one part: no boundary, too deep, encoded message/rfc822', () => {
  expect(parseMessage(crlf(['Content-Type: multipart/mixed', '', 'x'])).children).toMatchObject([{ type: 'text', children: [] }])
  expect(parseMessage(crlf(['Content-Type: message/rfc822', 'Content-Transfer-Encoding: base64', '', 'x']))).toMatchObject({
    type: 'application',
    message: undefined,
  })
  const deep = crlf(Array.from({ length: 500 }, () => ['Content-Type: message/rfc822', '']).flat())
  let depth = 0
  for (let part: MessagePart | undefined = parseMessage(deep); part; part = part.message) depth++
  expect(depth).toBeLessThan(60)
})

test('many boundaries and many lines that look like them stay bounded', () => {
  const many = crlf(['Content-Type: multipart/mixed; boundary=a', '', ...Array.from({ length: 200_000 }, () => '--a')])
  const began = performance.now()
  expect(parseMessage(many).children.length).toBeLessThanOrEqual(2001)
  const nested = crlf(
    Array.from({ length: 60 }, (_, i) => [`Content-Type: multipart/mixed; boundary=b${i}`, '', `--b${i}`])
      .flat()
      .concat(Array.from({ length: 200_000 }, () => '--x')),
  )
  expect(count(parseMessage(nested))).toBeLessThan(100)
  expect(performance.now() - began).toBeLessThan(5000)
})

const pieces = fc.oneof(
  fc.constantFrom('\r\n', '\n', '\r', '\0', '--a', '--a--', '--b', ' ', '\t', ':', ';', '"', '\\', '(', ')', '<', '>', '@', ',', '=?utf-8?b?', '\r\n\r\n'),
  fc.constantFrom(
    'Content-Type: multipart/mixed; boundary=a\r\n',
    'Content-Type: multipart/digest; boundary="b"\r\n',
    'Content-Type: message/rfc822\r\n',
    'From: ',
    'To: g:',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
)

test('any bytes are a message: nothing throws, parts lie inside their parents, in order, strings can be sent', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
      const bytes = Buffer.from(parts.join(''), 'latin1')
      const root = parseMessage(bytes)
      check(root, 0, bytes.length)
      // What JSON and IMAP cannot carry is not in any string.
      JSON.stringify(root, (_, value) => {
        if (typeof value === 'string' && /[\0\r\n]|\p{Surrogate}/u.test(value)) throw new Error(`cannot be sent: ${JSON.stringify(value)}`)
        return value
      })
      threadRoot(bytes)
    }),
    { numRuns: 10000 },
  )
})

function check(part: MessagePart, from: number, to: number): void {
  const ordered = from <= part.headerStart && part.headerStart <= part.bodyStart && part.bodyStart <= part.bodyEnd && part.bodyEnd <= to
  if (!ordered) throw new Error(`part ${part.headerStart}..${part.bodyStart}..${part.bodyEnd} is not in ${from}..${to}`)
  if (part.type === 'multipart' && part.children.length === 0) throw new Error('a multipart without parts')
  let at = part.bodyStart
  for (const child of part.children) {
    check(child, at, part.bodyEnd)
    at = child.bodyEnd
  }
  if (part.message) check(part.message, part.bodyStart, part.bodyEnd)
}

function count(part: MessagePart): number {
  return 1 + part.children.reduce((sum, child) => sum + count(child), 0) + (part.message ? count(part.message) : 0)
}
