import { randomUUID } from 'node:crypto'
import PostalMime from 'postal-mime'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createMailStore } from '../mailbox/mail-store.ts'
import { createMount, type Mount } from '../mount/mount.ts'
import { startThrowaway, type Throwaway, until } from '../postgres/fixture.ts'
import type { NewMessage, QueueEntry } from './queue.ts'
import { beginEnding, change, claim, enqueue, entries, sweepQueue, takeBack } from './queue-store.ts'
import { Sender } from './sender.ts'

let postgres: Throwaway
const ends: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  postgres = await startThrowaway()
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => postgres?.stop())

interface Taken {
  readonly from: string
  readonly to: readonly string[]
  readonly content: Buffer
}

/** A receiver that others have written, on a port of its own. */
async function receiver(options: Partial<SMTPServerOptions> = {}): Promise<{ readonly port: number; readonly taken: Taken[]; readonly broken: string[] }> {
  const taken: Taken[] = []
  const broken: string[] = []
  const server = new SMTPServer({
    disabledCommands: ['AUTH'],
    hideSTARTTLS: true,
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        taken.push({ from: mailFrom ? mailFrom.address : '', to: rcptTo.map(({ address }) => address), content: Buffer.concat(chunks) })
        done()
      })
      stream.on('error', (error: Error) => broken.push(error.message))
      stream.on('close', () => broken.push('closed'))
    },
    ...options,
  })
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { port: (server.server.address() as { port: number }).port, taken, broken }
}

async function mounted(): Promise<Mount> {
  const mount = createMount({ name: 'test' })
  ends.push(() => mount.close())
  mount.target({ ...(await postgres.database()), epoch: 0, held: false })
  await createMailStore(mount).migrate()
  return mount
}

interface Local {
  readonly address: string
  readonly returnPath: string
  readonly content: Buffer
}

function sender(mount: Mount, port: number): { readonly sender: Sender; readonly local: Local[] } {
  const local: Local[] = []
  const made = new Sender({
    mount,
    server: 'mail.example.org',
    resolver: {
      resolveMx: async (domain) => [{ exchange: `mx.${domain}`, priority: 10 }],
      resolve4: async () => ['127.0.0.1'],
      resolve6: async () => [],
    },
    attempts: { port, connectTimeoutMs: 2000, replyTimeoutMs: 5000 },
    local: async (recipient) => {
      if (!recipient.address.endsWith('@example.org')) return null
      local.push(recipient)
      return { state: 'delivered', reply: '250 2.1.5 stored' }
    },
    log: { info: () => {}, warn: () => {} },
  })
  ends.push(() => made.stop())
  return { sender: made, local }
}

const content = Buffer.from('From: ann@example.org\r\nMessage-ID: <1@example.org>\r\nSubject: hello\r\n\r\n.a line with a dot\r\n..two\r\nend\r\n')
const message = (more: Partial<NewMessage> = {}): NewMessage => ({
  key: randomUUID(),
  returnPath: 'ann@example.org',
  content,
  recipients: [{ address: 'bob@example.net' }],
  ...more,
})
const statesOf = (found: readonly QueueEntry[]): string[] => found.map(({ address, state }) => `${address} ${state}`)

test('a message goes to each domain once, byte for byte, and to a local recipient without SMTP; given again it is not queued again', async () => {
  const mount = await mounted()
  const there = await receiver()
  const { sender: sending, local } = sender(mount, there.port)
  const wanted = message({ recipients: ['bob@example.net', 'eve@EXAMPLE.net', 'kim@example.com', 'ann@example.org'].map((address) => ({ address })) })
  const { id } = await enqueue(mount, wanted)
  expect(await enqueue(mount, wanted)).toEqual({ id })
  sending.start()
  await until(async () => (await entries(mount, id)).every(({ state }) => state === 'delivered'))
  expect(there.taken.map(({ to }) => to.join()).sort()).toEqual(['bob@example.net,eve@EXAMPLE.net', 'kim@example.com'])
  for (const taken of there.taken) expect(taken).toMatchObject({ from: 'ann@example.org', content })
  expect(local).toMatchObject([{ address: 'ann@example.org', content }])
  expect(await entries(mount)).toEqual([])
  await sweepQueue(mount)
  expect(await entries(mount, id)).toHaveLength(4)
})

test('a refused recipient fails at once and its sender is told, once; the others are delivered', async () => {
  const mount = await mounted()
  const there = await receiver({
    onRcptTo: (address, _session, done) =>
      address.address === 'no@example.net' ? done(Object.assign(new Error('5.1.1 no such person'), { responseCode: 550 })) : done(),
  })
  const { sender: sending, local } = sender(mount, there.port)
  const { id } = await enqueue(mount, message({ envid: 'x+y', recipients: [{ address: 'yes@example.net' }, { address: 'no@example.net' }] }))
  sending.start()
  await until(async () => local.length === 1)
  expect(statesOf(await entries(mount, id))).toEqual(['yes@example.net delivered', 'no@example.net failed'])
  expect(there.taken).toMatchObject([{ to: ['yes@example.net'] }])
  expect(local[0]).toMatchObject({ address: 'ann@example.org', returnPath: '' })
  const told = await PostalMime.parse(local[0]?.content ?? '')
  expect(told.subject).toBe('Undelivered mail returned to sender')
  const [status, header] = told.attachments.map(({ content: part }) => Buffer.from(part as ArrayBuffer).toString())
  expect(status).toContain('Original-Envelope-Id: x+y')
  expect(status).toContain('Final-Recipient: rfc822; no@example.net')
  expect(status).toContain('Status: 5.1.1')
  expect(status).not.toContain('yes@example.net')
  expect(header).toContain('Subject: hello')
})

test('NOTIFY=NEVER and the null return path: a failure is told to nobody', async () => {
  const mount = await mounted()
  const there = await receiver({ onMailFrom: (_address, _session, done) => done(Object.assign(new Error('5.7.1 not from you'), { responseCode: 550 })) })
  const { sender: sending } = sender(mount, there.port)
  await enqueue(mount, message({ recipients: [{ address: 'bob@example.net', notify: [] }] }))
  await enqueue(mount, message({ returnPath: '' }))
  sending.start()
  await until(async () => (await entries(mount)).length === 0)
  const rows = await mount.read((db) => db.query<{ count: number }>('select count(*) from mail.outbound'))
  expect(rows.rows[0]?.count).toBe(2)
})

test('what is refused for now waits, and is delivered when it is tried again', async () => {
  const mount = await mounted()
  let open = false
  const there = await receiver({
    onRcptTo: (_address, _session, done) => (open ? done() : done(Object.assign(new Error('4.2.1 not now'), { responseCode: 450 }))),
  })
  const { sender: sending } = sender(mount, there.port)
  const { id } = await enqueue(mount, message())
  sending.start()
  await until(async () => (await entries(mount, id)).every(({ state, attempts }) => state === 'waiting' && attempts === 1))
  const [waiting] = await entries(mount, id)
  expect(waiting?.reply).toContain('450 4.2.1 not now')
  expect(Date.parse(waiting?.nextAt ?? '') - Date.now()).toBeGreaterThan(4 * 60_000)
  open = true
  expect(await change(mount, id, 'hold')).toBe(1)
  expect(await change(mount, id, 'retry')).toBe(0)
  expect(await change(mount, id, 'release')).toBe(1)
  sending.poke()
  await until(async () => (await entries(mount, id)).every(({ state }) => state === 'delivered'))
  expect(there.taken).toHaveLength(1)
})

test('an attempt that another sender has taken back never sends the end of the content', async () => {
  const mount = await mounted()
  let meanwhile = () => Promise.resolve(0)
  const there = await receiver({
    onRcptTo: (_address, _session, done) => {
      meanwhile().then(
        () => done(),
        (error: Error) => done(error),
      )
    },
  })
  const { sender: sending } = sender(mount, there.port)
  const { id } = await enqueue(mount, message())
  // As the sender of the next node does when it starts; and it has not sent anything yet.
  meanwhile = async () => {
    const count = await takeBack(mount, { except: [] })
    await change(mount, id, 'hold')
    return count
  }
  sending.start()
  await until(() => there.broken.length > 0)
  await sending.stop()
  expect(there.taken).toEqual([])
  expect(statesOf(await entries(mount, id))).toEqual(['bob@example.net held'])
})

test('after a failover: what had not ended is tried at once, what was ending a little later', async () => {
  const mount = await mounted()
  const first = await enqueue(mount, message())
  const second = await enqueue(mount, message({ recipients: [{ address: 'kim@example.com' }] }))
  const claims = await claim(mount, { max: 10, busy: [] })
  expect(claims.map(({ id }) => id).sort()).toEqual([first.id, second.id])
  expect(await claim(mount, { max: 10, busy: [] })).toEqual([])
  const ending = claims.find(({ id }) => id === second.id)
  expect(ending && (await beginEnding(mount, { ...ending, numbers: [1] }))).toBe(true)
  expect(await takeBack(mount, { except: [] })).toBe(2)
  expect(ending && (await beginEnding(mount, { ...ending, numbers: [1] }))).toBe(false)
  const again = await claim(mount, { max: 10, busy: [] })
  expect(again.map(({ id }) => id)).toEqual([first.id])
  const [uncertain] = await entries(mount, second.id)
  expect(uncertain?.state).toBe('waiting')
  expect(Date.parse(uncertain?.nextAt ?? '') - Date.now()).toBeGreaterThan(1000)
  expect(uncertain?.reply).toContain('may have the message')
})
