import PostalMime from 'postal-mime'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createDirectory } from '../directory/accounts.ts'
import { createMailStore } from '../mailbox/mail-store.ts'
import type { MailStore } from '../mailbox/store.ts'
import { createMount } from '../mount/mount.ts'
import { startThrowaway, type Throwaway } from '../postgres/fixture.ts'
import { contentOf, entries } from '../queue/queue-store.ts'
import { Filter, type FilterOutcome, type Incoming } from './filter.ts'
import { type Scripts, scriptsOf } from './scripts.ts'

let postgres: Throwaway
const ends: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  postgres = await startThrowaway()
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => postgres?.stop())

interface Rig {
  readonly store: MailStore
  readonly accountId: string
  readonly scripts: Scripts
  readonly warnings: object[]
  give(more?: Partial<Incoming>): Promise<FilterOutcome>
  /** Mailbox, subject and flags of every message there is. */
  stored(): Promise<string[]>
  /** Recipient, return path and content of everything that is to be sent. */
  queued(): Promise<{ readonly to: string; readonly from: string; readonly content: Buffer }[]>
}

async function rig(script: string): Promise<Rig> {
  const mount = createMount({ name: 'test' })
  ends.push(() => mount.close())
  mount.target({ ...(await postgres.database()), epoch: 0, held: false })
  const store = createMailStore(mount)
  await store.migrate()
  const directory = createDirectory(mount)
  const { accountId } = await directory.createAccount({ address: 'ann@example.org', password: 'x' })
  await directory.createAlias('annie@example.org', 'ann@example.org')
  const scripts = scriptsOf(mount, accountId)
  await scripts.put('main', script)
  await scripts.activate('main')
  const warnings: object[] = []
  const filter = new Filter({ store, log: { info: () => {}, warn: (fields) => void warnings.push(fields) } })
  const content = message('hello')
  return {
    store,
    accountId,
    scripts,
    warnings,
    give: (more = {}) =>
      filter.deliver({
        accountId,
        server: 'mail.example.org',
        from: 'bob@example.net',
        to: 'ann@example.org',
        content,
        message: Buffer.concat([Buffer.from('Return-Path: <bob@example.net>\r\n'), more.content ?? content]),
        deliveryKey: 'key',
        canRefuse: true,
        ...more,
      }),
    async stored() {
      const { rows } = await mount.read((db) =>
        db.query<{ box: string; content: Buffer; flags: string[] }>(
          'select b.name as box, c.content, m.flags from mail.message m join mail.mailbox b on b.id = m.mailbox_id join mail.body c on c.id = m.body_id order by b.name, m.uid',
        ),
      )
      return rows.map(({ box, content: bytes, flags }) => [box, /^Subject: (.*)\r$/m.exec(bytes.toString())?.[1], ...flags].join(' '))
    },
    async queued() {
      const all = await entries(mount)
      return Promise.all(
        all.map(async ({ id, address, returnPath }) => ({ to: address, from: returnPath, content: (await contentOf(mount, id)) ?? Buffer.alloc(0) })),
      )
    },
  }
}

const message = (subject: string, ...fields: string[]): Buffer =>
  Buffer.from(['From: bob@example.net', 'To: annie@example.org', 'Message-ID: <m1@example.net>', `Subject: ${subject}`, ...fields, '', 'text', ''].join('\r\n'))

test('a message goes where the script says, with its flags; mailboxes are made on demand; given again, nothing is done twice', async () => {
  const { give, stored, queued } = await rig(`require ["fileinto", "copy", "mailbox", "imap4flags", "vacation"];
    vacation "away"; fileinto :copy :create :flags "\\\\Seen" "Lists/Fun"; fileinto :copy "Not There"; redirect :copy "eve@example.com";`)
  expect(await give()).toEqual({ kind: 'delivered', queued: true })
  expect(await give()).toEqual({ kind: 'delivered', queued: true })
  expect(await stored()).toEqual(['INBOX hello', 'Lists/Fun hello \\Seen'])
  expect((await queued()).map(({ to, from }) => `${from} ${to}`)).toEqual([' bob@example.net', 'bob@example.net eve@example.com'])
})

test('discard stores nothing; a script that fails keeps the message and says so', async () => {
  const { give, stored, scripts, warnings } = await rig('if header :is "subject" "hello" { discard; }')
  expect(await give()).toEqual({ kind: 'delivered', queued: false })
  expect(await stored()).toEqual([])
  await scripts.put('main', 'require ["reject", "fileinto"]; if true { fileinto "Junk"; } reject "no";')
  await give({ deliveryKey: 'other', content: message('kept') })
  expect(await stored()).toEqual(['INBOX kept'])
  expect(warnings).toMatchObject([{ account: 'ann@example.org', fault: expect.any(String) }])
  await scripts.activate('')
  expect(await give({ deliveryKey: 'third' })).toEqual({ kind: 'none' })
})

test('a redirected message is as it came, and one that comes back is kept', async () => {
  const { give, stored, queued } = await rig('redirect "eve@example.com";')
  await give()
  const [first] = await queued()
  expect(first?.content.toString()).toBe(`Delivered-To: ann@example.org\r\n${message('hello')}`)
  expect(await stored()).toEqual([])
  await give({ deliveryKey: 'back', content: first?.content ?? Buffer.alloc(0) })
  expect(await stored()).toEqual(['INBOX hello'])
  expect(await queued()).toHaveLength(1)
})

test('vacation answers a sender once in a period, from the address that was written to', async () => {
  const { give, stored, queued } = await rig('require "vacation"; vacation :days 3 :subject "Grüße" "Ich bin wég.\nBis bald";')
  for (const [i, from] of ['bob@example.net', 'BOB@example.net', 'eve@example.net', ''].entries()) await give({ from, deliveryKey: String(i) })
  const replies = await queued()
  expect(replies.map(({ to, from }) => [from, to])).toEqual([
    ['', 'bob@example.net'],
    ['', 'eve@example.net'],
  ])
  const reply = await PostalMime.parse(replies[0]?.content ?? '')
  expect(reply).toMatchObject({ subject: 'Grüße', from: { address: 'annie@example.org' }, to: [{ address: 'bob@example.net' }], inReplyTo: '<m1@example.net>' })
  expect(reply.text?.trim()).toBe('Ich bin wég.\nBis bald')
  expect(reply.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-replied (vacation)')
  expect(await stored()).toHaveLength(4)
})

test('a reply in MIME keeps its own fields', async () => {
  const { give, queued } = await rig(
    'require "vacation"; vacation :mime text:\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>wég</p>\r\n.\r\n;',
  )
  await give()
  const reply = await PostalMime.parse((await queued())[0]?.content ?? '')
  expect(reply).toMatchObject({ html: '<p>wég</p>\n', subject: 'Auto: hello' })
  expect(reply.headers.filter(({ key }) => key === 'content-type' || key === 'mime-version')).toHaveLength(2)
})

test('reject is said in the session where that is possible, and else in a message; never to the null path', async () => {
  const { give, stored, queued, scripts } = await rig('require "reject"; reject "go away\nplease";')
  expect(await give()).toEqual({ kind: 'refused', reason: 'go away\r\nplease' })
  expect(await give({ from: '', canRefuse: false, deliveryKey: 'null' })).toEqual({ kind: 'delivered', queued: false })
  expect(await queued()).toEqual([])
  await give({ canRefuse: false, deliveryKey: '2' })
  await scripts.put('main', 'require "ereject"; ereject "weg";')
  await give({ canRefuse: false, deliveryKey: '3' })
  const notices = await queued()
  expect(notices.map(({ to, from }) => [from, to])).toEqual([
    ['', 'bob@example.net'],
    ['', 'bob@example.net'],
  ])
  expect(notices[0]?.content.toString()).toMatch(
    /report-type=disposition-notification.*go away\r\nplease.*Disposition: automatic-action\/MDN-sent-automatically; deleted/s,
  )
  expect(notices[1]?.content.toString()).toMatch(
    /report-type=delivery-status.*weg.*Final-Recipient: rfc822; ann@example.org\r\nAction: failed\r\nStatus: 5.7.1/s,
  )
  expect(await stored()).toEqual([])
})

test('duplicate: the second of two messages with one Message-ID is not kept', async () => {
  const { give, stored } = await rig('require "duplicate"; if duplicate { discard; }')
  await give({ deliveryKey: 'a' })
  await give({ deliveryKey: 'b' })
  expect(await stored()).toEqual(['INBOX hello'])
})

test('scripts: a bad one is refused with its place, limits hold, an active one is not deleted', async () => {
  const { scripts } = await rig('keep;')
  await expect(scripts.put('bad', 'keep; frobnicate;')).rejects.toMatchObject({ code: 'SIEVE_SCRIPT_INVALID', position: { line: 1, column: 7 } })
  await expect(scripts.put('big', `# ${'x'.repeat(70_000)}\nkeep;`)).rejects.toMatchObject({ code: 'SIEVE_SCRIPT_TOO_LARGE' })
  await expect(scripts.remove('main')).rejects.toMatchObject({ code: 'SIEVE_SCRIPT_ACTIVE' })
  await scripts.put('other', 'stop;')
  await expect(scripts.rename('other', 'main')).rejects.toMatchObject({ code: 'SIEVE_SCRIPT_EXISTS' })
  await scripts.rename('other', 'second')
  await scripts.activate('second')
  await scripts.remove('main')
  expect(await scripts.list()).toEqual([{ name: 'second', active: true }])
  await expect(scripts.activate('main')).rejects.toMatchObject({ code: 'SIEVE_SCRIPT_UNKNOWN' })
  expect(await scripts.list()).toEqual([{ name: 'second', active: true }])
  await expect(scripts.get('main')).rejects.toMatchObject({ code: 'SIEVE_SCRIPT_UNKNOWN' })
})

test('scripts: changes that come at once leave one active, and no more than the limit', async () => {
  const { scripts } = await rig('keep;')
  const names = Array.from({ length: 10 }, (_, i) => `s${i}`)
  for (const name of names) await scripts.put(name, 'keep;')
  await Promise.all(names.map((name) => scripts.activate(name)))
  expect((await scripts.list()).filter(({ active }) => active)).toHaveLength(1)
  const made = await Promise.allSettled(Array.from({ length: 45 }, (_, i) => scripts.put(`more${i}`, 'keep;')))
  expect(made.filter(({ status }) => status === 'rejected')).toHaveLength(6)
  expect(await scripts.list()).toHaveLength(50)
  const renamed = await Promise.allSettled(names.map((name) => scripts.rename(name, 'one')))
  expect(renamed.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  await expect(scripts.rename('one', 'one')).rejects.toMatchObject({ code: 'SIEVE_SCRIPT_EXISTS' })
})
