import fc from 'fast-check'
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { closeRigs, codeOf, envelope, greeted, Raw, selfSigned, start, stored } from './fixture.ts'

afterEach(closeRigs)

const opened = 'MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\n'

test('BDAT: chunks in one packet make one message of exactly their octets; a dot means nothing', async () => {
  const rig = await start()
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 5 }), async (chunks) => {
      const client = await greeted(rig.port)
      const pieces = [Buffer.from('a: b\r\n\r\n.\r\n'), ...chunks.map((chunk) => Buffer.from(chunk))]
      const wire = pieces.flatMap((piece, i) => [Buffer.from(`BDAT ${piece.length}${i === pieces.length - 1 ? ' LAST' : ''}\r\n`), piece])
      client.socket.write(Buffer.concat([Buffer.from(opened.replace('>\r\nRCPT', '> BODY=BINARYMIME\r\nRCPT')), ...wire, Buffer.from('QUIT\r\n')]))
      const replies = await client.until('<closed>')
      expect(replies.match(/^\d{3}/gm)).toEqual([...Array.from({ length: pieces.length + 2 }, () => '250'), '221'])
      expect(stored(rig, rig.accepted.length - 1)).toBe(Buffer.concat(pieces).toString('latin1'))
    }),
    { numRuns: 30 },
  )
})

test('BDAT: refused chunks are read and dropped, and never taken for commands', async () => {
  const rig = await start({ limits: { messageBytesMax: 100 } })
  const client = await greeted(rig.port)
  // Without a transaction, without a recipient, too big, and after that.
  client.socket.write('BDAT 6 LAST\r\nRSET\r\nMAIL FROM:<a@example.net>\r\nBDAT 6\r\nRSET\r\nRCPT TO:<alice@example.org>\r\n')
  client.socket.write(`BDAT 101\r\n${'x'.repeat(101)}BDAT 6 LAST\r\nRSET\r\nRSET\r\nBDAT x\r\nNOOP\r\n`)
  const replies = await client.until('<closed>')
  expect(replies.match(/^\d{3}(?: \d\.\d\.\d)?/gm)).toEqual([
    '503 5.5.1',
    '250 2.1.0',
    '503 5.5.1',
    '250 2.1.5',
    '552 5.3.4',
    '503 5.5.1',
    '250 2.0.0',
    '501 5.5.4',
  ])
  expect(rig.accepted).toEqual([])
})

test('DATA and BDAT do not mix, and BINARYMIME goes with BDAT only', async () => {
  const client = await greeted((await start()).port)
  await client.codes('MAIL FROM:<a@example.net> BODY=BINARYMIME', 'RCPT TO:<alice@example.org>')
  expect(await client.codes('DATA', 'RSET', 'MAIL FROM:<a@example.net>', 'RCPT TO:<alice@example.org>')).toEqual([
    '503 5.5.1',
    '250 2.0.0',
    '250 2.1.0',
    '250 2.1.5',
  ])
  expect(codeOf(await client.say('BDAT 1\r\nx'))).toBe('250 2.0.0')
  expect(await client.codes('DATA', 'RCPT TO:<bob@example.org>', 'MAIL FROM:<b@example.net>')).toEqual(['503 5.5.1', '503 5.5.1', '503 5.5.1'])
})

test.each([
  ['MAIL FROM:<a@b.c> SIZE=1 BODY=8bitmime RET=hdrs ENVID=x+2By SMTPUTF8', '250 2.1.0'],
  ['MAIL FROM: <a@b.c>', '250 2.1.0'],
  ['MAIL FROM:<>', '250 2.1.0'],
  ['MAIL FROM:<@x,@y:a@b.c>', '250 2.1.0'],
  ['MAIL FROM:<"a b"@[192.0.2.1]>', '250 2.1.0'],
  ['MAIL FROM:<a@b.c> NOSUCH=1', '555 5.5.4'],
  ['MAIL FROM:<a@b.c> AUTH=<>', '555 5.5.4'],
  ['MAIL FROM:<a@b.c> REQUIRETLS', '555 5.5.4'],
  ['MAIL FROM:<a@b.c> SIZE=1 SIZE=2', '501 5.5.4'],
  ['MAIL FROM:<a@b.c> SIZE=-1', '501 5.5.4'],
  ['MAIL FROM:<a@b.c> BODY=9BIT', '501 5.5.4'],
  ['MAIL FROM:<a@b.c> ENVID=x+2b', '501 5.5.4'],
  ['MAIL FROM:a@b.c', '501 5.1.7'],
  ['MAIL FROM:<a@b.c>SIZE=1', '501 5.1.7'],
  ['MAIL FROM:<postmaster>', '501 5.1.7'],
  ['MAIL FROM:<a..b@c>', '501 5.1.7'],
  ['MAIL FROM:<\u00e4@b.c>', '553 5.6.7'],
  ['RCPT TO:<alice@example.org>', '503 5.5.1'],
  ['EXPN x', '502 5.5.1'],
  ['AUTH PLAIN', '502 5.5.1'],
  ['VRFY alice', '252 2.0.0'],
  ['FROB', '500 5.5.1'],
  [' NOOP', '500 5.5.2'],
  [`NOOP ${'x'.repeat(600)}`, '500 5.5.2'],
])('%s is answered %s', async (line, code) => {
  const client = await greeted((await start()).port)
  expect(codeOf(await client.say(`${Buffer.from(line).toString('latin1')}\r\n`))).toBe(code)
})

test('DSN parameters of recipients are read strictly and handed on decoded', async () => {
  const rig = await start()
  const client = await greeted(rig.port)
  await client.codes('MAIL FROM:<a@example.net> RET=FULL ENVID=x+2By')
  expect(
    await client.codes(
      'RCPT TO:<alice@example.org> NOTIFY=NEVER,DELAY',
      'RCPT TO:<alice@example.org> NOTIFY=',
      'RCPT TO:<alice@example.org> ORCPT=rfc822',
      'RCPT TO:<alice@example.org> NOTIFY=success,Failure ORCPT=rfc822;b+2Bc@d.e',
    ),
  ).toEqual(['501 5.5.4', '501 5.5.4', '501 5.5.4', '250 2.1.5'])
  await client.say('DATA\r\n', '354')
  await client.say('x: y\r\n\r\n.\r\n')
  expect(rig.accepted[0]).toMatchObject({
    mail: { ret: 'FULL', envid: 'x+y' },
    recipientParameters: [{ notify: ['SUCCESS', 'FAILURE'], orcpt: { type: 'rfc822', address: 'b+c@d.e' } }],
  })
})

test('STARTTLS: what was sent ahead is dropped, what was said before forgotten (RFC 3207 §4.2)', async () => {
  const rig = await start({ tls: selfSigned() })
  const client = await greeted(rig.port)
  await client.codes('MAIL FROM:<a@example.net>')
  expect(await client.say('STARTTLS\r\nRCPT TO:<alice@example.org>\r\nNOOP injected\r\n', /^220 .*\r\n/m)).toMatch(/^220 /)
  client.secure()
  await once(client.socket, 'secureConnect')
  expect(await client.codes('RCPT TO:<alice@example.org>')).toEqual(['503 5.5.1'])
  expect(await client.say('EHLO client.example.net\r\n', /^250 .*\r\n/m)).toMatch(/^250[ -]REQUIRETLS/m)
  expect(await client.codes('STARTTLS', 'MAIL FROM:<a@example.net> REQUIRETLS')).toEqual(['503 5.5.1', '250 2.1.0'])
})

test('submissions: TLS from the first byte, then the login; in clear text no login is possible (RFC 8314, RFC 4954)', async () => {
  const implicit = await start({ role: 'submission', tlsMode: 'implicit', tls: selfSigned() })
  const client = new Raw(connectTls({ port: implicit.port, host: '127.0.0.1', rejectUnauthorized: false }))
  await client.until(/^220 .*\r\n/m)
  expect(await client.say('EHLO client.example.net\r\n', /^250 .*\r\n/m)).toMatch(/^250[ -]AUTH PLAIN LOGIN/m)
  expect(await client.codes('MAIL FROM:<alice@example.org>', 'AUTH PLAIN =')).toEqual(['530 5.7.0', '501 5.5.2'])
  const coded = (text: string) => Buffer.from(text).toString('base64')
  expect(await client.codes(`AUTH PLAIN ${coded('bob\0alice@example.org\0secret')}`)).toEqual(['535 5.7.8'])
  expect(await client.say('AUTH LOGIN\r\n')).toBe('334 VXNlcm5hbWU6\r\n')
  expect(await client.say(`${coded('alice@example.org')}\r\n`)).toBe('334 UGFzc3dvcmQ6\r\n')
  expect(await client.codes('*', `AUTH PLAIN ${coded('\0alice@example.org\0secret')}`, 'AUTH PLAIN')).toEqual(['501 5.7.0', '235 2.7.0', '503 5.5.1'])

  const clear = await greeted((await start({ role: 'submission', tls: selfSigned() })).port)
  expect(await clear.codes(`AUTH PLAIN ${coded('\0alice@example.org\0secret')}`, 'MAIL FROM:<alice@example.org>')).toEqual(['538 5.7.11', '530 5.7.0'])
})

test('guessing ends: failed logins, refused commands, silence and clients of other protocols', async () => {
  const rig = await start({ role: 'submission', clearTextLogin: 'allowed', limits: { failedLoginsMax: 3, errorsMax: 3, silenceMsMax: 200 } })
  const wrong = `AUTH PLAIN ${Buffer.from('\0alice@example.org\0wrong').toString('base64')}\r\n`
  const guesser = await greeted(rig.port)
  expect(await guesser.say(wrong.repeat(5), '<closed>')).toMatch(/^(535 .*\r\n){3}421 4\.7\.0 .*\r\n<closed>$/)
  const babbler = await greeted(rig.port)
  expect(await babbler.say('FROB\r\n'.repeat(9), '<closed>')).toMatch(/^(500 .*\r\n){4}421 4\.7\.0 .*\r\n<closed>$/)
  const browser = new Raw(rig.port)
  await browser.until('220')
  expect(await browser.say('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.c>\r\n', '<closed>')).toMatch(/421 4\.7\.0/)
  const silent = await greeted(rig.port)
  expect(await silent.until('<closed>')).toMatch(/^421 4\.4\.2/)
})

test('whatever a client sends and never reads, what is kept of it is bounded', async () => {
  const rig = await start()
  const client = await greeted(rig.port)
  client.socket.pause()
  const before = process.memoryUsage().rss
  const flood = Buffer.from('NOOP\r\n'.repeat(20_000))
  for (let i = 0; i < 200; i++)
    if (!client.socket.write(flood)) await Promise.race([once(client.socket, 'drain'), new Promise((resolve) => setImmediate(resolve))])
  // Our own side keeps what it could not send (24 MB); the server's share is what its sockets and one gathered reply hold.
  expect(process.memoryUsage().rss - before).toBeLessThan(120 * 1024 * 1024)
  client.socket.destroy()
  const other = await greeted(rig.port)
  await other.say(envelope, '354')
  expect(await other.say('x: y\r\n\r\n.\r\n')).toMatch(/^250/)
})
