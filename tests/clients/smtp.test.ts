import { execFile, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import nodemailer from 'nodemailer'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type DatabaseAddress, startThrowaway, type Throwaway, until } from '../../src/postgres/fixture.ts'
import { listenerProtocols } from '../../src/mount/mounts.ts'
import { asUser, postgresOsUser } from '../../src/postgres/os-user.ts'
import { childrenOf, createMailbox, type RunningService, startMailboxService } from './mailbox-service.ts'
import { RawSession } from './raw-session.ts'
import { storedMessages } from './stored-messages.ts'

const run = promisify(execFile)
let postgres: Throwaway
let database: DatabaseAddress
let service: RunningService
/** Every test delivers to people of its own, so tests do not see each other's mail. */
let people = 0
let alice: string
let bob: string

beforeAll(async () => {
  postgres = await startThrowaway()
  database = await postgres.database('mail')
  // Nobody listens there: what is queued for other servers stays on this machine.
  service = await startMailboxService(database, { outbound: { relay: { host: '127.0.0.1', port: 9 } } })
})
afterAll(async () => {
  await service?.stop()
  await postgres?.stop()
})
beforeEach(async () => {
  people++
  alice = `alice${people}@example.org`
  bob = `bob${people}@example.org`
  for (const address of [alice, bob]) await createMailbox(service, address)
})

const lmtp = async () => RawSession.open(await service.port('lmtp'), 'LHLO client.example.net')
const subjects = async (address: string) => (await storedMessages(database, address)).map((m) => /^Subject: (.*)\r$/m.exec(m.toString('latin1'))?.[1])
const transaction = (to: string, subject: string) =>
  `MAIL FROM:<sender@example.net>\r\nRCPT TO:<${to}>\r\nDATA\r\n|Subject: ${subject}\r\n\r\ntext\r\n.\r\n`.split('|') as [string, string]

test('swaks delivers over SMTP and is told 550 for an unknown mailbox', async () => {
  const server = `127.0.0.1:${await service.port('smtp')}`
  const { stdout } = await run('swaks', ['--server', server, '--from', 'a@example.net', '--to', alice, '--header', 'Subject: by swaks'])
  expect(stdout).toContain('<-  250 2.0.0 Delivered')
  expect(await subjects(alice)).toEqual(['by swaks'])
  const refused = await run('swaks', ['--server', server, '--from', 'a@example.net', '--to', 'nobody@example.org']).catch((error: { stdout: string }) => error)
  expect(refused.stdout).toContain('<** 550 5.1.1')
})

test('another server delivers with STARTTLS, by the certificate made at the start', async () => {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: await service.port('smtp'),
    requireTLS: true,
    tls: { ca: await readFile(join(service.directory, 'tls/self-signed.crt')), checkServerIdentity: () => undefined },
  })
  await transport.sendMail({ from: 'a@example.net', to: [alice, bob], subject: 'by TLS', text: 'x' })
  expect([await subjects(alice), await subjects(bob)]).toEqual([['by TLS'], ['by TLS']])
  const stored = (await storedMessages(database, alice))[0]?.toString('latin1') ?? ''
  expect(stored).toMatch(
    /^Return-Path: <a@example.net>\r\nReceived: from \S+ \(\[127\.0\.0\.1\]\)\r\n\tby mail\.example\.org with ESMTPS id \S+ \(TLSv1\.3 \w+\);\r\n\t/,
  )
  await until(async () => (await service.health()).workers.every((worker) => worker.sessions === 0), 20_000, 'the TLS session to be counted out')
})

test('swaks over LMTP gets a reply for each recipient', async () => {
  const { stdout } = await run('swaks', [
    '--protocol',
    'LMTP',
    '--server',
    `127.0.0.1:${await service.port('lmtp')}`,
    '--from',
    '<>',
    '--to',
    `${alice},${bob}`,
    '--header',
    'Subject: twice',
  ])
  expect(stdout.match(/<-\s+250 2\.0\.0 Delivered/g)).toHaveLength(2)
  expect([await subjects(alice), await subjects(bob)]).toEqual([['twice'], ['twice']])
})

test('submission: STARTTLS, AUTH, own address only; mail to other servers is queued', async () => {
  const port = await service.port('submission')
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
    auth: { user: alice, pass: 'secret' },
  })
  await transport.sendMail({ from: alice, to: bob, subject: 'submitted', text: 'hello\n.\nworld' })
  expect(await subjects(bob)).toEqual(['submitted'])
  expect((await storedMessages(database, bob))[0]?.toString('latin1')).toMatch(/with ESMTPSA id .*hello\r\n\.\r\nworld\r\n$/s)
  const { response } = await transport.sendMail({ from: alice, to: 'x@elsewhere.net', text: 'x' })
  expect(response).toMatch(/^250 2\.0\.0 Queued/)
  await expect(transport.sendMail({ from: bob, to: bob, text: 'x' })).rejects.toMatchObject({ responseCode: 553 })
  const wrong = nodemailer.createTransport({
    host: '127.0.0.1',
    port,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
    auth: { user: alice, pass: 'wrong' },
  })
  await expect(wrong.sendMail({ from: alice, to: bob, text: 'x' })).rejects.toMatchObject({ responseCode: 535 })
})

test('pipelined LMTP with an unknown recipient between two known ones', async () => {
  const session = await lmtp()
  const envelope = await session.say(
    `MAIL FROM:<a@example.net>\r\nRCPT TO:<${alice}>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<${bob}>\r\nDATA\r\n`,
    /^354 .*\r\n/m,
  )
  expect(envelope.match(/^\d{3}/gm)).toEqual(['250', '250', '550', '250', '354'])
  const replies = await session.say('Subject: piped\r\n\r\nx\r\n.\r\nQUIT\r\n', /<closed>$/)
  expect(replies.match(/^\d{3} \S+/gm)).toEqual(['250 2.0.0', '250 2.0.0', '221 2.0.0'])
  expect([await subjects(alice), await subjects(bob)]).toEqual([['piped'], ['piped']])
})

test('a database held during DATA: the 250 comes late, and the message is there once', async () => {
  const session = await lmtp()
  const [envelope, content] = transaction(alice, 'late')
  await session.say(envelope, /^354 /m)
  service.tell({ database: { held: true } })
  await until(async () => (await service.health()).databases[0]?.held === true)
  // Whoever asks a held database waits: proof that every worker has been told, before the end of DATA is sent.
  session.socket.write(content)
  const probe = await lmtp()
  probe.socket.write('MAIL FROM:<>\r\nRCPT TO:<' + bob + '>\r\n')
  await probe.until(/^250 .*Accepted\r\n/m)
  const other = new RawSession(await service.port('smtp'))
  await other.until(/^220 /m)
  expect(session.received).toBe('')
  expect(await subjects(alice)).toEqual([])
  service.tell({ database: { held: false } })
  expect(await session.until(/^\d{3} .*\r\n/m)).toMatch(/^250 2\.0\.0/)
  expect(await subjects(alice)).toEqual(['late'])
})

test('postmaster killed under load and started again: every message acknowledged, each exactly once', async () => {
  const sessions = await Promise.all(Array.from({ length: 8 }, lmtp))
  const acknowledged: string[] = []
  let goOn = true
  const load = sessions.map(async (session, s) => {
    for (let i = 0; goOn; i++) {
      const subject = `m${s}-${i}`
      const [envelope, content] = transaction(alice, subject)
      const before = await session.say(envelope, /^(354 |5|4).*\r\n/m)
      if (!before.includes('354 ')) throw new Error(before)
      const reply = await session.say(content, /^\d{3} .*\r\n/m)
      if (!reply.startsWith('250')) throw new Error(reply)
      acknowledged.push(subject)
    }
  })
  await until(() => acknowledged.length > 50)
  const restarted = await killAndRestartPostmaster()
  try {
    const atRestart = acknowledged.length
    await until(() => acknowledged.length > atRestart + 50)
    goOn = false
    await Promise.all(load)
    expect((await subjects(alice)).sort()).toEqual(acknowledged.sort())
  } finally {
    goOn = false
    postgres = {
      ...postgres,
      stop: async () => {
        await restarted.stop()
        await stopFixture()
      },
    }
  }
})

test('handoffd goes away and comes back: nobody notices', async () => {
  const session = await lmtp()
  await service.cutMounts()
  await until(async () => (await service.health()).handoffd === 'away')
  for (const subject of ['away', 'back']) {
    const [envelope, content] = transaction(alice, subject)
    await session.say(envelope, /^354 /m)
    expect(await session.say(content, /^\d{3} .*\r\n/m)).toMatch(/^250/)
    if (subject === 'away') await service.restoreMounts()
  }
  await until(async () => (await service.health()).handoffd === 'connected')
  expect(await subjects(alice)).toEqual(['away', 'back'])
})

test('IDLE sessions in every worker hear a delivery made in one', async () => {
  const [port, rounds] = [await service.port('imap'), 4]
  const idle = await Promise.all(
    Array.from({ length: rounds }, async () => {
      const session = new RawSession(port)
      await session.until(/^\* OK .*\r\n/)
      await session.say(`a LOGIN ${alice} secret\r\n`, /^a OK .*\r\n/m)
      await session.say('b SELECT INBOX\r\n', /^b OK .*\r\n/m)
      await session.say('c IDLE\r\n', /^\+ .*\r\n/m)
      return session
    }),
  )
  await until(async () => (await service.health()).workers.every((worker) => worker.sessions > 0))
  const delivering = await lmtp()
  const [envelope, content] = transaction(alice, 'news')
  await delivering.say(envelope, /^354 /m)
  await delivering.say(content, /^250 /m)
  for (const session of idle) expect(await session.until(/^\* \d+ EXISTS\r\n/m)).toMatch(/^\* 1 EXISTS/m)
  for (const session of idle) session.socket.destroy()
})

test('the same message twice with ENVID and content alike is there once', async () => {
  for (const _ of [1, 2]) {
    const session = await lmtp()
    await session.say(`MAIL FROM:<a@example.net> ENVID=m1\r\nRCPT TO:<${alice}>\r\nDATA\r\n`, /^354 /m)
    expect(await session.say('Subject: once\r\n\r\nx\r\n.\r\n', /^\d{3} .*\r\n/m)).toMatch(/^250/)
  }
  expect(await subjects(alice)).toEqual(['once'])
})

test('a killed worker is replaced, and only its own sessions end', async () => {
  const sessions = await Promise.all(Array.from({ length: 6 }, lmtp))
  const [victim] = await childrenOf(service.pid)
  process.kill(victim ?? 0, 'SIGKILL')
  await until(async () => {
    const { workers } = await service.health()
    return workers.length === 2 && workers.every((worker) => worker.ready && worker.pid !== victim)
  })
  const alive: RawSession[] = []
  for (const session of sessions) {
    session.socket.write('NOOP\r\n')
    const answer = await session.until(/<closed>$|^250 .*\r\n/m)
    if (answer.startsWith('250')) alive.push(session)
  }
  expect(alive).toHaveLength(3)
  await lmtp()
})

test('serving ends politely and begins again within milliseconds', async () => {
  const idle = await lmtp()
  const busy = await lmtp()
  const [envelope, content] = transaction(alice, 'at the end')
  await busy.say(envelope, /^354 /m)
  service.tell({ serving: false })
  expect(await idle.until(/<closed>$/)).toMatch(/^421 4\.3\.2/)
  expect((await service.health()).listeners).toEqual([])
  expect(await busy.say(content, /<closed>$/)).toMatch(/^250 2\.0\.0 .*\r\n421 4\.3\.2/)
  const start = performance.now()
  service.tell({ serving: true })
  await until(async () => (await service.health()).listeners.filter((door) => door.listening).length === listenerProtocols.length)
  const tookMs = performance.now() - start
  await lmtp()
  expect(await subjects(alice)).toEqual(['at the end'])
  expect(tookMs).toBeLessThan(200)
})

test('held beyond the limit: 451 4.3.0 with an id that the log has, and the message may come again', async () => {
  const impatient = await startMailboxService(database, { holdMsMax: 300 })
  try {
    const session = await RawSession.open(await impatient.port('lmtp'), 'LHLO client')
    const [envelope, content] = transaction(alice, 'too late')
    await session.say(envelope, /^354 /m)
    impatient.tell({ database: { held: true } })
    const witness = new RawSession(await impatient.port('lmtp'))
    await witness.until(/^220/m)
    await until(async () => (await impatient.health()).databases[0]?.held === true)
    const reply = await session.say(content, /^\d{3} .*\r\n/m)
    if (!reply.startsWith('250')) {
      expect(reply).toMatch(/^451 4\.3\.0 .*\(id [0-9a-f]{8}\)/)
      const id = /id ([0-9a-f]{8})/.exec(reply)?.[1] ?? 'none'
      await until(async () => (await impatient.logText()).includes(`"id":"${id}"`))
    }
    expect(reply).toMatch(/^451/)
  } finally {
    await impatient.stop()
  }
})

test('random bytes on every port leave the service and other sessions alone', async () => {
  const session = await lmtp()
  const workersBefore = (await service.health()).workers.map((worker) => worker.pid)
  const ports = await Promise.all(listenerProtocols.map((protocol) => service.port(protocol)))
  const noise = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.constantFrom(
        ...['EHLO x\r\n', 'LHLO x\r\n', 'MAIL FROM:<>\r\n', `RCPT TO:<${alice}>\r\n`, 'DATA\r\n', 'STARTTLS\r\n', '\x16\x03\x01\x02\x00', '\r\n.\r\n'].map(
          (s) => Buffer.from(s, 'latin1'),
        ),
      ),
    ),
    { maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(noise, fc.constantFrom(...ports), async (parts, port) => {
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {})
        socket.on('close', () => resolve())
        socket.on('data', () => {})
        for (const part of parts) socket.write(part)
        socket.end()
      })
      expect(await session.say('NOOP\r\n', /^\d{3} .*\r\n/m)).toMatch(/^250/)
    }),
    { numRuns: 120 },
  )
  expect((await service.health()).workers.map((worker) => worker.pid)).toEqual(workersBefore)
})

const stopFixture = () => Promise.resolve()

/** kill -9 of the postmaster, then a new one on the same data directory: crash recovery. */
async function killAndRestartPostmaster(): Promise<{ stop(): Promise<void> }> {
  const original = postgres
  process.kill(original.pid, 'SIGKILL')
  const data = join(original.socketDirectory, 'data')
  const bin = process.env.HANDOFF_TEST_PG_BIN ?? '/usr/lib/postgresql/15/bin'
  // The dead postmaster's children hold the shared memory until they notice; a new one refuses to start before.
  let child = spawn(join(bin, 'postgres'), ['-D', data], { ...asUser(postgresOsUser()), cwd: '/', stdio: 'ignore' })
  const answers = async () => {
    const client = new pg.Client({ ...database, connectionTimeoutMillis: 1000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('select 1')
      return true
    } catch {
      if (child.exitCode !== null) child = spawn(join(bin, 'postgres'), ['-D', data], { ...asUser(postgresOsUser()), cwd: '/', stdio: 'ignore' })
      return false
    } finally {
      await client.end().catch(() => {})
    }
  }
  await until(answers, 20_000, 'the restarted PostgreSQL')
  return {
    async stop() {
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.kill('SIGQUIT')
      await exited
      await original.stop()
    },
  }
}
