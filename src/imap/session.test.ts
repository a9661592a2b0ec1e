import { connect } from 'node:net'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import type { AccountMail } from '../mailbox/account-mail.ts'
import { listenImap, type ListeningImap, RawClient } from './fixture.ts'

/** These sessions log in, but never get as far as the store: what the grammar and the wire refuse. */
const store = new Proxy({} as AccountMail, {
  get: (_target, name) => (name === 'then' ? undefined : () => Promise.reject(new Error('not of this test'))),
})
const login = async (username: string, password: string) => (username === 'ann' && password === 'pä"ss' ? store : undefined)

let imap: ListeningImap | undefined
afterEach(async () => {
  await imap?.close()
  imap = undefined
})

test('greeting, capability, LOGIN with literals, ID, ENABLE, NAMESPACE, LOGOUT', async () => {
  imap = await listenImap({ login })
  const client = await imap.client()
  expect(await client.command('CAPABILITY')).toEqual([expect.stringMatching(/^\* CAPABILITY IMAP4rev1 .*AUTH=PLAIN/), 'OK CAPABILITY completed'])
  expect(await client.reply('SELECT INBOX')).toMatch(/^BAD/)
  expect(await client.reply('LOGIN ann wrong')).toMatch(/^NO \[AUTHENTICATIONFAILED\]/)
  client.send('x LOGIN {3}\r\n')
  expect(await client.response()).toMatch(/^\+ /)
  client.send(Buffer.from('ann "pä\\"ss"\r\n').toString('latin1'))
  expect(await client.until('x')).toEqual([expect.stringMatching(/^OK/)])
})

test('8-bit passwords in literals, and by AUTHENTICATE PLAIN with and without initial response', async () => {
  imap = await listenImap({ login })
  const secret = Buffer.from('pä"ss').toString('latin1')
  const a = await imap.client()
  expect(await a.reply(`LOGIN ann {${secret.length}+}\r\n${secret}`)).toMatch(/^OK \[CAPABILITY .* IDLE /)
  expect(await a.command('ID ("name" "x" "os" NIL)')).toEqual(['* ID ("name" "Handoff")', 'OK ID completed'])
  expect(await a.command('NAMESPACE')).toEqual(['* NAMESPACE (("" "/")) NIL NIL', 'OK NAMESPACE completed'])
  expect(await a.command('ENABLE CONDSTORE X-FOO IMAP4rev2')).toEqual(['* ENABLED CONDSTORE IMAP4rev2', 'OK ENABLE completed'])
  expect(await a.command('LOGOUT')).toEqual(['* BYE Logging out', 'OK LOGOUT completed'])
  expect(await a.response()).toBeUndefined()
  const plain = Buffer.from('\0ann\0pä"ss').toString('base64')
  const b = await imap.client()
  expect(await b.reply(`AUTHENTICATE PLAIN ${plain}`)).toMatch(/^OK/)
  const c = await imap.client()
  c.send('x AUTHENTICATE PLAIN\r\n')
  expect(await c.response()).toBe('+ ')
  c.send(`${plain}\r\n`)
  expect(await c.until('x')).toEqual([expect.stringMatching(/^OK/)])
  const d = await imap.client()
  d.send('x AUTHENTICATE PLAIN\r\n*\r\n')
  expect(await d.until('x')).toEqual(['+ ', expect.stringMatching(/^BAD/)])
})

test('without TLS no login is taken where it is not allowed', async () => {
  imap = await listenImap({ login, clearTextLogin: 'refused' })
  const client = await imap.client()
  expect((await client.command('CAPABILITY'))[0]).toContain('LOGINDISABLED')
  expect(await client.reply('LOGIN ann x')).toMatch(/^NO \[PRIVACYREQUIRED\]/)
})

test('many bad commands, many failed logins and long silence each end that session with BYE', async () => {
  imap = await listenImap({ login, limits: { idleBeforeLoginMs: 300 } })
  const bad = await imap.client()
  bad.send('a X\r\n'.repeat(50))
  const failing = await imap.client()
  failing.send('a LOGIN ann x\r\n'.repeat(50))
  const silent = await imap.client()
  for (const client of [bad, failing, silent]) {
    let last: string | undefined
    for (let response = await client.response(); response !== undefined; response = await client.response()) if (response.startsWith('* ')) last = response
    expect(last).toMatch(/^\* BYE/)
  }
})

test('a store that fails is answered with a log id, and the session goes on', async () => {
  const errors: object[] = []
  imap = await listenImap({ login, log: { info: () => {}, warn: () => {}, error: (fields) => errors.push(fields) } })
  const client = await imap.client()
  const secret = Buffer.from('pä"ss').toString('latin1')
  await client.reply(`LOGIN ann {${secret.length}+}\r\n${secret}`)
  const reply = await client.reply('CREATE x')
  expect(reply).toMatch(/^NO \[SERVERBUG\] Internal error \(log [0-9a-f]{8}\)$/)
  expect(errors).toHaveLength(1)
  expect(await client.reply('NOOP')).toBe('OK NOOP completed')
})

test('drain says BYE to idle sessions and resolves when they are gone', async () => {
  imap = await listenImap({ login })
  const client = await imap.client()
  const drained = imap.listener.drain()
  expect(await client.response()).toMatch(/^\* BYE/)
  await drained
  expect(imap.listener.sessionCount()).toBe(0)
})

test('a client that sends without reading is not read from, and others are served', async () => {
  imap = await listenImap({ login })
  const greedy = connect(imap.port, '127.0.0.1')
  greedy.on('error', () => {})
  greedy.pause()
  const bytes = 64 * 1024 * 1024
  greedy.write(Buffer.alloc(bytes, 'a NOOP\r\n'))
  const other = await imap.client()
  // The kernel's buffers fill, then nothing moves: the server holds neither the commands nor the replies.
  let read = -1
  await expect
    .poll(
      async () => {
        expect(await other.reply('NOOP')).toBe('OK NOOP completed')
        const before = read
        read = imap?.accepted[0]?.bytesRead ?? 0
        return read > 0 && read === before
      },
      { interval: 200, timeout: 15_000 },
    )
    .toBe(true)
  expect(read).toBeLessThan(bytes / 2)
  greedy.destroy()
})

const noise = fc.array(
  fc.oneof(
    fc.constantFrom(
      'a LOGIN ann x\r\n',
      'a NOOP\r\n',
      'a CREATE ',
      'a STATUS ',
      '{3}\r\n',
      '{4+}\r\n',
      '{99999999999}\r\n',
      '{9999999+}\r\n',
      '\r\n',
      '\n',
      '"',
      '(',
      '\0',
      'a FETCH 1 BODY[',
      'a AUTHENTICATE PLAIN\r\n',
      'a IDLE\r\n',
      'DONE\r\n',
      'x'.repeat(9000),
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  ),
  { maxLength: 30 },
)

test('whatever one session sends, the next is served', async () => {
  imap = await listenImap({ login })
  const { port } = imap
  const steady = await imap.client()
  await fc.assert(
    fc.asyncProperty(noise, async (parts) => {
      const wild = new RawClient(connect(port, '127.0.0.1'))
      wild.send(parts.join('').replaceAll('LOGOUT', ''))
      wild.socket.end()
      while ((await wild.response()) !== undefined);
      expect(await steady.reply('NOOP')).toBe('OK NOOP completed')
    }),
    { numRuns: 60 },
  )
  await expect.poll(() => imap?.listener.sessionCount()).toBe(1)
})
