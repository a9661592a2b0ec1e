import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { closeRigs, envelope, greeted, Raw, start, stored } from './fixture.ts'

afterEach(closeRigs)

test('content is stored as received, under Received', async () => {
  const rig = await start()
  const client = await greeted(rig.port)
  await client.say(envelope, '354')
  const content = 'Subject: x\r\n\r\n..dot\r\n\0 caf\xe9\r\n'
  await client.say(`${content.replace('..dot', '...dot')}.\r\n`, /^250 2\.0\.0/m)
  expect(stored(rig)).toBe(content)
  expect(rig.accepted[0]?.message.toString('latin1')).toMatch(
    /^Received: from client.example.net \(\[127.0.0.1\]\)\r\n\tby mail.example.org with ESMTP id [\w-]+\r\n\tfor <alice@example.org>;\r\n\tThu, 01 Jan 1970 00:00:00 \+0000\r\nSubject/,
  )
})

test.each([
  ['LF dot LF', '\n.\n'],
  ['LF dot CRLF', '\n.\r\n'],
  ['CRLF dot LF', '\r\n.\n', '\r\n\n'],
  ['CR dot CR', '\r.\r'],
  ['CRLF dot CR', '\r\n.\r', '\r\n\r'],
  ['CR dot CRLF', '\r.\r\n'],
  ['CRLF NUL dot CRLF', '\r\n\0.\r\n'],
  // The third: what is left of it, because a dot at the beginning of a line is one that was added (RFC 5321 §4.5.2).
])('only CRLF dot CRLF ends the message: %s is content (RFC 5321 §4.1.1.4)', async (_name, fake, undone = fake) => {
  const rig = await start()
  const client = await greeted(rig.port)
  await client.say(envelope, '354')
  const content = `Subject: x\r\n\r\nbefore${fake}MAIL FROM:<smuggled@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\n`
  const replies = await client.say(`${content}.\r\nNOOP\r\n`, /^250 .*\r\n250 .*\r\n/m)
  expect(replies.match(/^250 /gm)).toHaveLength(2)
  expect(rig.accepted).toHaveLength(1)
  expect(stored(rig)).toBe(content.replace(fake, undone))
})

test('the terminator is found in any segmentation, and a stuffed first dot never is one', async () => {
  const rig = await start()
  const client = await greeted(rig.port)
  client.socket.setNoDelay(true)
  for (const [wire, content] of [
    ['a: b\r\n\r\nx\r\n.\r\n', 'a: b\r\n\r\nx\r\n'],
    ['..\r\nRSET\r\n.\r\n', '.\r\nRSET\r\n'],
    ['.\r\n', ''],
  ] as const) {
    await client.say(envelope, '354')
    for (const byte of wire) await new Promise<void>((resolve) => client.socket.write(byte, 'latin1', () => setImmediate(resolve)))
    await client.until(/^250 2\.0\.0 Delivered/m)
    expect(stored(rig, rig.accepted.length - 1)).toBe(content)
  }
})

test('unknown recipient, too big, loop and relay are refused with their codes', async () => {
  const rig = await start({ limits: { messageBytesMax: 2000 } })
  const client = await greeted(rig.port)
  expect(await client.say('MAIL FROM:<a@example.net> SIZE=2001\r\n')).toMatch(/^552 5\.3\.4/)
  await client.say('MAIL FROM:<a@example.net>\r\n')
  expect(await client.say('RCPT TO:<nobody@example.org>\r\n')).toMatch(/^550 5\.1\.1/)
  expect(await client.say('RCPT TO:<x@elsewhere.net>\r\n')).toMatch(/^550 5\.7\.1/)
  await client.say('RCPT TO:<alice@example.org>\r\n')
  await client.say('DATA\r\n', '354')
  expect(await client.say(`${'x'.repeat(2001)}\r\n.\r\n`)).toMatch(/^552 5\.3\.4/)
  await client.say(envelope, '354')
  expect(await client.say(`${'Received: by x; y\r\n'.repeat(101)}\r\nx\r\n.\r\n`)).toMatch(/^554 5\.4\.6/)
  expect(rig.accepted).toHaveLength(0)
})

test('LMTP answers per recipient', async () => {
  const rig = await start(
    { role: 'lmtp' },
    {
      deliver: async ({ recipients }) =>
        recipients.map((r) => (r.address.startsWith('broken') ? { kind: 'failed', error: new Error('disk') } : { kind: 'delivered' })),
    },
  )
  const client = await greeted(rig.port, 'LHLO client')
  const replies = await client.say(
    'MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<broken@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n',
    '354',
  )
  expect(replies.match(/^\d{3}/gm)).toEqual(['250', '250', '550', '250', '250', '354'])
  const after = await client.say('x: y\r\n\r\nz\r\n.\r\nQUIT\r\n', '221')
  expect(after.match(/^\d{3} \d\.\d\.\d/gm)).toEqual(['250 2.0.0', '451 4.3.0', '250 2.0.0', '221 2.0.0'])
  expect(after).toMatch(/\(id [0-9a-f]{8}\)/)
})

test('ENVID or Message-ID names the message: given again it has the same key, without either another', async () => {
  const rig = await start({ role: 'lmtp' })
  const give = async (mail: string, header = 'x: y') => {
    const client = await greeted(rig.port, 'LHLO client')
    await client.say(`${mail}\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n`, '354')
    await client.say(`${header}\r\n\r\nz\r\n.\r\n`)
  }
  for (const mail of ['MAIL FROM:<a@b.c> ENVID=m1', 'MAIL FROM:<a@b.c> ENVID=m1', 'MAIL FROM:<a@b.c> ENVID=m2', 'MAIL FROM:<a@b.c>', 'MAIL FROM:<a@b.c>'])
    await give(mail)
  const keys = rig.accepted.map((request) => request.deliveryKey)
  expect(keys[0]).toBe(keys[1])
  expect(new Set(keys).size).toBe(4)
  rig.accepted.length = 0
  for (const header of ['Message-ID: <1@x>', 'Message-ID: <1@x>', 'Message-ID: <2@x>', 'Subject: s\r\nMessage-ID: <1@x>', 'x: y\r\n\r\nMessage-ID: <1@x>'])
    await give('MAIL FROM:<a@b.c>', header)
  await give('MAIL FROM:<a@b.c>', 'x: y\r\n\r\nMessage-ID: <1@x>')
  const named = rig.accepted.map((request) => request.deliveryKey)
  expect(named[0]).toBe(named[1])
  expect(new Set(named).size).toBe(5)
})

test('a client that vanishes inside DATA has given nothing', async () => {
  const rig = await start()
  const client = await greeted(rig.port)
  await client.say(envelope, '354')
  client.socket.write('Subject: half\r\n\r\nx\r\n')
  client.socket.destroy()
  const other = await greeted(rig.port)
  await other.say(envelope, '354')
  await other.say('y: z\r\n\r\n.\r\n', '250 2.0.0')
  expect(rig.accepted).toHaveLength(1)
})

test('drain answers the message that is being delivered, then says 421', async () => {
  let finish: () => void = () => {}
  let started: () => void = () => {}
  const inDelivery = new Promise<void>((resolve) => {
    started = resolve
  })
  const rig = await start(
    {},
    {
      deliver: async ({ recipients }) => {
        started()
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        return recipients.map(() => ({ kind: 'delivered' }))
      },
    },
  )
  const idle = await greeted(rig.port)
  const busy = await greeted(rig.port)
  await busy.say(envelope, '354')
  busy.socket.write('x: y\r\n\r\n.\r\n')
  await inDelivery
  const drained = rig.listener.drain()
  expect(await idle.until('<closed>')).toMatch(/^421 4\.3\.2/)
  finish()
  expect(await busy.until('<closed>')).toMatch(/^250 2\.0\.0.*\r\n421 4\.3\.2/)
  await drained
})

test('submission: no AUTH before TLS is required unless allowed, then login, own sender; mail for elsewhere is taken', async () => {
  const rig = await start({ role: 'submission', clearTextLogin: 'allowed' })
  const client = await greeted(rig.port)
  expect(await client.say('MAIL FROM:<alice@example.org>\r\n')).toMatch(/^530 5\.7\.0/)
  const plain = (user: string, password: string) => `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}\r\n`
  expect(await client.say(plain('alice@example.org', 'wrong'))).toMatch(/^535 5\.7\.8/)
  expect(await client.say(plain('alice@example.org', 'secret'))).toMatch(/^235 2\.7\.0/)
  expect(await client.say('MAIL FROM:<bob@example.org>\r\n')).toMatch(/^553 5\.7\.1/)
  expect(await client.say('MAIL FROM:<alice@example.org>\r\n')).toMatch(/^250/)
  expect(await client.say('RCPT TO:<x@elsewhere.net>\r\n')).toMatch(/^250/)
  expect(await client.say('RCPT TO:<bob@example.org>\r\n')).toMatch(/^250/)
  expect(await client.say('RCPT TO:<nobody@example.org>\r\n')).toMatch(/^550 5\.1\.1/)
  await client.say('DATA\r\n', '354')
  expect(await client.say('x: y\r\n\r\n.\r\n')).toMatch(/^250/)
  expect(rig.accepted[0]?.recipients).toMatchObject([
    { address: 'x@elsewhere.net', database: 'mail' },
    { address: 'bob@example.org', accountId: 'bob@example.org' },
  ])
})

test('an endless command line ends its session only', async () => {
  const rig = await start()
  const other = await greeted(rig.port)
  const client = await greeted(rig.port)
  client.socket.write('x'.repeat(1_000_000))
  expect(await client.until('<closed>')).toMatch(/^421 /m)
  expect(await other.say('NOOP\r\n')).toMatch(/^250/)
})

test('random bytes, alone or after a transaction has begun, never disturb another session', async () => {
  const rig = await start()
  const other = await greeted(rig.port)
  const verbs = fc.constantFrom(
    'EHLO x\r\n',
    'MAIL FROM:<',
    'a@b.c>\r\n',
    'RCPT TO:',
    'DATA\r\n',
    '\r\n.\r\n',
    'AUTH PLAIN ',
    'BDAT 1\r\n',
    'STARTTLS\r\n',
    '\0',
    '<@a,@b:c@d>',
    envelope,
  )
  const noise = fc.array(
    fc.oneof(
      verbs,
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    ),
    { maxLength: 20 },
  )
  await fc.assert(
    fc.asyncProperty(noise, async (parts) => {
      const client = new Raw(rig.port)
      await client.until('220')
      client.socket.write(parts.join(''), 'latin1')
      client.socket.end()
      await client.until('<closed>')
      expect(await other.say('NOOP\r\n')).toMatch(/^250/)
    }),
    { numRuns: 150 },
  )
})
