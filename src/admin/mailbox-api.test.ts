import { expect, test } from 'vitest'
import { HandoffError } from '../errors.ts'
import { createMailboxApi, type MailboxAdmin, type MailboxEntry } from './mailbox-api.ts'
import type { QueuedRecipient } from './queue-api.ts'

const entry: MailboxEntry = { address: 'alice@example.org', accountId: '1', database: 'mail' }
const queuedEntry: QueuedRecipient = {
  database: 'mail',
  id: 7,
  number: 1,
  returnPath: 'alice@example.org',
  address: 'bob@example.net',
  state: 'waiting',
  attempts: 1,
  queuedAt: '2026-01-01T00:00:00.000Z',
  nextAt: '2026-01-01T00:05:00.000Z',
  reply: '451 4.3.0 later',
  host: null,
  sizeBytes: 100,
}
const admin: MailboxAdmin = {
  createMailbox: async (wanted) => {
    if (wanted.database === 'nosuch') throw new HandoffError('DATABASE_UNKNOWN', 'there is no database "nosuch"', { cause: new Error('mounts have none') })
    return entry
  },
  listMailboxes: async () => [entry],
  listQueue: async ({ id }) => (id === 7 ? [queuedEntry] : []),
  changeQueue: async (how, { id }) => (how === 'hold' && id === 7 ? 1 : 0),
  scriptsFor: async (address) => {
    throw new HandoffError('ACCOUNT_UNKNOWN', address)
  },
  createSigningKey: async ({ domain, selector, algorithm }) => ({ domain, selector, algorithm, createdAt: '', record: { name: '', text: '' } }),
  listSigningKeys: async () => [],
  removeSigningKey: async (domain) => domain === 'example.org',
  health: () => ({ status: 'degraded', handoffd: 'away', workers: [], listeners: [], databases: [] }),
}

test('a mailbox is created and listed', async () => {
  const app = createMailboxApi(admin)
  const created = await app.inject({ method: 'POST', url: '/api/v1/mailboxes', payload: { address: 'alice@example.org', password: 'x' } })
  expect([created.statusCode, created.json()]).toEqual([201, entry])
  expect((await app.inject('/api/v1/mailboxes')).json()).toEqual([entry])
  expect((await app.inject('/health')).json()).toMatchObject({ status: 'degraded' })
})

test.each([
  ['unknown field', { address: 'a@b', password: 'x', quota: 1 }, 400, 'REQUEST_INVALID'],
  ['bad address', { address: 'alice', password: 'x' }, 400, 'REQUEST_INVALID'],
  ['not JSON', '{', 400, 'REQUEST_INVALID'],
  ['unknown database', { address: 'a@b', password: 'x', database: 'nosuch' }, 404, 'DATABASE_UNKNOWN'],
])('%s is a problem with code, cause and remedy', async (_name, payload, status, code) => {
  const app = createMailboxApi(admin)
  const answer = await app.inject({ method: 'POST', url: '/api/v1/mailboxes', payload, headers: { 'content-type': 'application/json' } })
  expect(answer.statusCode).toBe(status)
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(answer.json()).toMatchObject({ status, code, detail: expect.any(String), remedy: expect.any(String) })
})

test('the queue is listed, one message shown, and changed by hand; what is not there is a problem', async () => {
  const app = createMailboxApi(admin)
  expect((await app.inject('/api/v1/queue')).json()).toEqual([])
  expect((await app.inject('/api/v1/queue/7')).json()).toEqual([queuedEntry])
  expect((await app.inject({ method: 'POST', url: '/api/v1/queue/7/hold' })).json()).toEqual({ changed: 1 })
  expect((await app.inject('/api/v1/queue/8')).json()).toMatchObject({ status: 404, code: 'QUEUED_MESSAGE_UNKNOWN' })
  expect((await app.inject('/api/v1/queue/x')).json()).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
  expect((await app.inject('/api/v1/queue?nosuch=1')).json()).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
})

test('a signing key has defaults, and one that is not there is 404', async () => {
  const app = createMailboxApi(admin)
  const made = await app.inject({ method: 'POST', url: '/api/v1/signing-keys', payload: { domain: 'example.org' } })
  expect([made.statusCode, made.json()]).toMatchObject([201, { selector: 'handoff', algorithm: 'rsa-sha256' }])
  expect((await app.inject({ method: 'DELETE', url: '/api/v1/signing-keys/example.org/s1' })).json()).toEqual({ removed: true })
  expect((await app.inject({ method: 'DELETE', url: '/api/v1/signing-keys/example.net/s1' })).statusCode).toBe(404)
})
