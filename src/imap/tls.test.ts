import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { AccountMail } from '../mailbox/account-mail.ts'
import { listenImap, type ListeningImap, RawClient } from './fixture.ts'

let tls: { cert: string; key: string }
let directory: string
let imap: ListeningImap | undefined
const login = async (): Promise<AccountMail | undefined> => undefined

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'imap-tls-'))
  const [cert, key] = [join(directory, 'cert'), join(directory, 'key')]
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-keyout',
    key,
    '-out',
    cert,
  ]
  await promisify(execFile)('openssl', args)
  tls = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
})
afterAll(() => rm(directory, { recursive: true }))
afterEach(async () => {
  await imap?.close()
  imap = undefined
})

test('STARTTLS: login is offered only inside, and what was sent in front of TLS is forgotten', async () => {
  imap = await listenImap({ login, tls, clearTextLogin: 'refused' })
  const socket = connect(imap.port, '127.0.0.1')
  const outside = new RawClient(socket)
  expect(await outside.response()).toMatch(/STARTTLS LOGINDISABLED/)
  outside.send('a STARTTLS\r\nb CAPABILITY\r\n')
  expect(await outside.until('a')).toEqual(['OK Begin TLS negotiation now'])
  socket.removeAllListeners('data')
  const secure = connectTls({ socket, rejectUnauthorized: false })
  const inside = new RawClient(secure)
  // The injected command is not answered: the first response is to what was sent inside.
  const responses = await inside.command('CAPABILITY')
  expect(responses).toHaveLength(2)
  const [capability] = responses
  expect(capability).toMatch(/AUTH=PLAIN/)
  expect(capability).not.toMatch(/STARTTLS|LOGINDISABLED/)
  expect(await inside.reply('STARTTLS')).toMatch(/^BAD/)
  secure.destroy()
})

test('implicit TLS greets inside; a client that does not speak TLS harms nobody', async () => {
  imap = await listenImap({ login, tls, tlsMode: 'implicit', clearTextLogin: 'refused' })
  const stranger = connect(imap.port, '127.0.0.1')
  stranger.on('error', () => {})
  stranger.write('a NOOP\r\n'.repeat(10))
  const client = new RawClient(connectTls({ port: imap.port, host: '127.0.0.1', rejectUnauthorized: false }))
  expect(await client.response()).toMatch(/^\* OK \[CAPABILITY .*AUTH=PLAIN\]/)
  expect(await client.reply('LOGIN a b')).toMatch(/AUTHENTICATIONFAILED/)
  await expect.poll(() => imap?.listener.sessionCount()).toBe(1)
  client.socket.destroy()
})
