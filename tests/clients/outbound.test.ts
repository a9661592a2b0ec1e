import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import nodemailer from 'nodemailer'
import PostalMime from 'postal-mime'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { QueuedRecipient } from '../../src/admin/queue-api.ts'
import { type DatabaseAddress, startThrowaway, type Throwaway, until } from '../../src/postgres/fixture.ts'
import { createMailbox, type RunningService, startMailboxService } from './mailbox-service.ts'
import { type Postfix, startPostfix } from './postfix.ts'
import { RawSession } from './raw-session.ts'
import { storedMessages } from './stored-messages.ts'

// Mail between Handoff and a Postfix, both ways: Postfix is the relay of one, and Handoff the destination of the other.
let postgres: Throwaway
let database: DatabaseAddress
let service: RunningService
let postfix: Postfix
/** Where the relay is told to be: passes connections to Postfix, or refuses them. */
let door: Server
let doorIsOpen = true
const ann = 'ann@example.org'

beforeAll(async () => {
  postgres = await startThrowaway()
  database = await postgres.database('mail')
  door = createServer((socket) => {
    socket.on('error', () => {})
    if (doorIsOpen) passOn(socket, postfix.port)
    else socket.end('421 4.3.2 closed for today\r\n')
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  const address = door.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  service = await startMailboxService(database, { outbound: { relay: { host: '127.0.0.1', port } } })
  postfix = await startPostfix(await service.port('smtp'))
  await createMailbox(service, ann)
})
afterAll(async () => {
  await service?.stop()
  await postfix?.stop()
  door?.close()
  await postgres?.stop()
})

function passOn(socket: Socket, port: number): void {
  const onward = connect(port, '127.0.0.1')
  onward.on('error', () => socket.destroy())
  socket.pipe(onward).pipe(socket)
}

async function submit(to: readonly string[], subject: string): Promise<void> {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: await service.port('submission'),
    ignoreTLS: true,
    auth: { user: ann, pass: 'secret' },
  })
  await transport.sendMail({ envelope: { from: ann, to: [...to] }, raw: `From: ${ann}\r\nTo: ${to.join(', ')}\r\nSubject: ${subject}\r\n\r\n..\r\n.text\r\n` })
  transport.close()
}

const queue = async () => (await service.api<QueuedRecipient[]>('GET', '/api/v1/queue')).body
const inbox = () => storedMessages(database, ann)
const withSubject = (messages: readonly Buffer[], subject: string) => messages.filter((each) => each.toString('latin1').includes(`\nSubject: ${subject}`))

test('a submitted message goes to Postfix over TLS and to the mailbox here, once each, byte for byte', async () => {
  await submit(['bob@peer.example', ann], 'both')
  await until(async () => withSubject(await postfix.delivered('bob'), 'both').length > 0, 20_000, 'the message at Postfix')
  const [there] = withSubject(await postfix.delivered('bob'), 'both')
  const text = there?.toString() ?? ''
  expect(text).toContain('\n\n..\n.text\n')
  expect(text.match(/^Return-Path:/gm)).toHaveLength(1)
  expect(text).toMatch(/^Received: from mail\.example\.org .*\n\tby mx\.peer\.example \(Postfix\) with ESMTPS /m)
  expect(text).toMatch(/^Message-ID: <.+>$/im)
  const here = withSubject(await inbox(), 'both')
  expect(here).toHaveLength(1)
  expect(here[0]?.toString()).toMatch(/^Return-Path: <ann@example\.org>\r\nReceived: /)
  await until(async () => (await queue()).length === 0, 20_000, 'an empty queue')
})

test('an unknown person at Postfix: the sender is told once, by a notification in the INBOX', async () => {
  await submit(['nobody@peer.example', 'bob@peer.example'], 'partly')
  await until(async () => withSubject(await inbox(), 'Undelivered').length > 0, 20_000, 'the notification')
  const told = withSubject(await inbox(), 'Undelivered')
  expect(told).toHaveLength(1)
  const parsed = await PostalMime.parse(told[0] ?? '')
  const status = Buffer.from((parsed.attachments.find(({ mimeType }) => mimeType === 'message/delivery-status')?.content ?? '') as ArrayBuffer).toString()
  expect(status).toContain('Final-Recipient: rfc822; nobody@peer.example')
  expect(status).toContain('Status: 5.1.1')
  expect(status).not.toContain('bob@peer.example')
  await until(async () => withSubject(await postfix.delivered('bob'), 'partly').length === 1, 20_000, 'the other recipient')
})

test('a receiver that is away: the message waits, is held, released and retried by hand, and arrives once', async () => {
  doorIsOpen = false
  await submit(['bob@peer.example'], 'later')
  await until(async () => (await queue())[0]?.attempts === 1 && (await queue())[0]?.state === 'waiting', 20_000, 'the first attempt')
  const [entry] = await queue()
  expect(entry).toMatchObject({ address: 'bob@peer.example', returnPath: ann, database: 'mail', reply: expect.stringContaining('421') })
  expect((await service.api('POST', `/api/v1/queue/${entry?.id}/hold`, {})).body).toEqual({ changed: 1 })
  expect((await service.api('POST', `/api/v1/queue/${entry?.id}/retry`, {})).body).toEqual({ changed: 0 })
  doorIsOpen = true
  expect((await service.api('POST', `/api/v1/queue/${entry?.id}/release`, {})).body).toEqual({ changed: 1 })
  await until(async () => withSubject(await postfix.delivered('bob'), 'later').length > 0, 20_000, 'the message')
  expect(withSubject(await postfix.delivered('bob'), 'later')).toHaveLength(1)
  expect((await service.api<QueuedRecipient[]>('GET', `/api/v1/queue/${entry?.id}`)).body).toMatchObject([{ state: 'delivered', attempts: 2 }])
})

test('what Postfix sends comes in by STARTTLS; what is not for here is not taken from it', async () => {
  await postfix.submit('bob@peer.example', ann, 'Subject: from Postfix\n\nhello\n.\n..\n')
  await until(async () => withSubject(await inbox(), 'from Postfix').length > 0, 20_000, 'the message from Postfix')
  const [message] = withSubject(await inbox(), 'from Postfix')
  expect(message?.toString()).toMatch(/with ESMTPS id /)
  expect(message?.toString().endsWith('\r\n\r\nhello\r\n.\r\n..\r\n')).toBe(true)
  const other = await RawSession.open(await service.port('smtp'), 'EHLO client.example.net')
  expect(await other.say('MAIL FROM:<x@example.net>\r\n', /\r\n/)).toMatch(/^250/)
  expect(await other.say('RCPT TO:<bob@peer.example>\r\n', /\r\n/)).toMatch(/^550 5\.7\.1/)
  other.socket.destroy()
})
