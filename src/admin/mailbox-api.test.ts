import { expect, test } from 'vitest'
import { HandoffError } from '../errors.ts'
import { createMailboxApi, type MailboxAdmin, type MailboxEntry } from './mailbox-api.ts'

const entry: MailboxEntry = { address: 'alice@example.org', accountId: '1', database: 'mail' }
const admin: MailboxAdmin = {
  createMailbox: async (wanted) => {
    if (wanted.database === 'nosuch') throw new HandoffError('DATABASE_UNKNOWN', 'there is no database "nosuch"', { cause: new Error('mounts have none') })
    return entry
  },
  listMailboxes: async () => [entry],
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
