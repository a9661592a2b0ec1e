import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDirectory } from '../directory/accounts.ts'
import { createMount, type Mount } from '../mount/mount.ts'
import { startThrowaway, type Throwaway, until } from '../postgres/fixture.ts'
import type { AccountMail, MailboxEntry } from './account-mail.ts'
import { createMailStore } from './mail-store.ts'
import type { MailStore } from './store.ts'

let postgres: Throwaway
const mounts: Mount[] = []

beforeAll(async () => {
  postgres = await startThrowaway({
    prepareTemplate: async (address) => {
      const mount = createMount({ name: 'template' })
      mount.target({ ...address, epoch: 0, held: false })
      // Two that come at once are no trouble.
      const store = createMailStore(mount)
      await Promise.all([store.migrate(), store.migrate()])
      await mount.close()
    },
  })
})
afterAll(async () => {
  for (const mount of mounts) await mount.close()
  await postgres?.stop()
})

interface World {
  readonly store: MailStore
  readonly mount: Mount
  readonly ann: AccountMail
  readonly bob: AccountMail
}

async function world(): Promise<World> {
  const mount = createMount({ name: 'test' })
  mounts.push(mount)
  mount.target({ ...(await postgres.database()), epoch: 0, held: false })
  const store = createMailStore(mount)
  await store.migrate()
  const directory = createDirectory(mount)
  const { accountId: ann } = await directory.createAccount({ address: 'ann@example.org', password: 'a' })
  const { accountId: bob } = await directory.createAccount({ address: 'bob@example.org', password: 'b' })
  return { store, mount, ann: store.account(ann), bob: store.account(bob) }
}

const raw = (subject: string, body = 'Hallo\r\n') => Buffer.from(`From: x@example.com\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@x>\r\n\r\n${body}`)
const named = async (mail: AccountMail, name: string): Promise<MailboxEntry> => (await mail.mailboxes()).find((each) => each.name === name) as MailboxEntry
const receivedAt = new Date('2026-01-02T03:04:05Z')

test('a message for two is stored once, comes back byte for byte, and a second delivery under its key is no second message', async () => {
  const { store, mount, ann, bob } = await world()
  const bytes = Buffer.from([...raw('8bit'), 0, 255, 13, 10, 10, 13, 128])
  const delivery = { recipients: [ann.accountId, bob.accountId], raw: bytes, deliveryKey: 'k1', receivedAt }
  const first = await store.deliver(delivery)
  expect(first).toMatchObject([
    { accountId: ann.accountId, uid: 1, duplicate: false },
    { accountId: bob.accountId, uid: 1, duplicate: false },
  ])
  expect(await store.deliver(delivery)).toEqual(first.map((each) => ({ ...each, duplicate: true })))
  expect(await store.deliver({ ...delivery, deliveryKey: 'k2', recipients: [bob.accountId] })).toMatchObject([{ uid: 2, duplicate: false }])
  const counted = await mount.read((db) => db.query('select (select count(*) from mail.body) as bodies, (select count(*) from mail.message) as messages'))
  expect(counted.rows).toEqual([{ bodies: 1, messages: 3 }])
  const inbox = await named(bob, 'INBOX')
  expect((await bob.content(inbox.id, 2))?.bytes.equals(bytes)).toBe(true)
  expect((await bob.structures(inbox.id, [1, 2])).get(2)?.envelope.subject).toBe('8bit')
  expect(await bob.messages(inbox.id, [2, 7])).toMatchObject([{ uid: 2, sizeBytes: bytes.length, internalDate: receivedAt }])
  // Another's mailbox is no mailbox.
  expect(await ann.content(inbox.id, 1)).toBeUndefined()
  await expect(ann.open(inbox.id)).rejects.toMatchObject({ code: 'MAILBOX_UNKNOWN' })
  await expect(store.deliver({ ...delivery, recipients: ['999'] })).rejects.toMatchObject({ code: 'MAILBOX_UNKNOWN' })
})

test('concurrent deliveries to overlapping recipients neither deadlock nor skip or share a UID', async () => {
  const { store, ann, bob } = await world()
  const both = [ann.accountId, bob.accountId]
  await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      store.deliver({ recipients: i % 2 ? both : [...both].reverse(), raw: raw(`m${i % 7}`), deliveryKey: `c${i % 50}`, receivedAt }),
    ),
  )
  for (const mail of [ann, bob]) {
    const opened = await mail.open((await named(mail, 'INBOX')).id)
    expect(opened.messages.map(({ uid }) => uid)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    expect(opened.uidNext).toBe(51)
    expect(new Set(opened.messages.map(({ modseq }) => modseq)).size).toBe(50)
  }
})

test('flags: add, remove, replace and unchangedSince, with a new mod-sequence only for what changed', async () => {
  const { store, ann } = await world()
  for (const i of [1, 2, 3]) await store.deliver({ recipients: [ann.accountId], raw: raw(`f${i}`), deliveryKey: `f${i}`, receivedAt })
  const { id } = await named(ann, 'INBOX')
  const before = await ann.open(id)
  const added = await ann.storeFlags(id, [1, 3, 9], { mode: 'add', flags: ['\\seen', '$Forwarded'], unchangedSince: undefined })
  expect(added.updated).toMatchObject([
    { uid: 1, flags: ['\\Seen', '$Forwarded'] },
    { uid: 3, flags: ['\\Seen', '$Forwarded'] },
  ])
  const stale = await ann.storeFlags(id, [1, 2], { mode: 'replace', flags: ['\\Deleted'], unchangedSince: before.highestModseq })
  expect(stale).toMatchObject({ updated: [{ uid: 2 }], unchangedSinceFailed: [1] })
  expect((await ann.storeFlags(id, [1], { mode: 'remove', flags: ['$FORWARDED'], unchangedSince: undefined })).updated[0]?.flags).toEqual(['\\Seen'])
  const again = await ann.storeFlags(id, [3], { mode: 'add', flags: ['\\Seen'], unchangedSince: undefined })
  expect(again.updated[0]?.modseq).toBe(added.updated[1]?.modseq)
  expect(await ann.status([id])).toEqual(new Map([[id, expect.objectContaining({ messages: 3, unseen: 1, deleted: 1, recent: 3 })]]))
  expect([await ann.claimRecent(id), await ann.claimRecent(id)]).toEqual([1, 4])
})

test('whoever knew a state is told what was changed, has come and has gone since', async () => {
  const { store, ann } = await world()
  for (const i of [1, 2, 3]) await store.deliver({ recipients: [ann.accountId], raw: raw(`c${i}`), deliveryKey: `c${i}`, receivedAt })
  const { id } = await named(ann, 'INBOX')
  let told = 0
  const unwatch = ann.watch(id, () => told++)
  const { highestModseq } = await ann.open(id)
  expect(await ann.changesSince(id, highestModseq)).toMatchObject({ highestModseq, changed: [], vanished: [] })
  await ann.storeFlags(id, [1, 2], { mode: 'add', flags: ['\\Deleted'], unchangedSince: undefined })
  await ann.expunge(id, [2, 3])
  const { uid } = await ann.append(id, { bytes: raw('new'), flags: ['\\Draft'], internalDate: undefined })
  expect(await ann.changesSince(id, highestModseq)).toMatchObject({ changed: [{ uid: 1 }, { uid, flags: ['\\Draft'] }], vanished: [2], uidNext: 5 })
  expect(told).toBe(3)
  unwatch()
})

test('copy and move keep flags, dates and object ids, say which UID became which, and move leaves nothing behind', async () => {
  const { store, ann } = await world()
  for (const i of [1, 2]) await store.deliver({ recipients: [ann.accountId], raw: raw(`m${i}`), deliveryKey: `m${i}`, receivedAt, flags: ['\\Flagged'] })
  const inbox = await named(ann, 'INBOX')
  const trash = await named(ann, 'Trash')
  expect((await ann.copy(inbox.id, [1, 2, 5], trash.id)).pairs).toEqual([
    [1, 1],
    [2, 2],
  ])
  expect((await ann.move(inbox.id, [2], trash.id)).pairs).toEqual([[2, 3]])
  const [original] = await ann.messages(inbox.id, [1])
  const [copy] = await ann.messages(trash.id, [1])
  expect(copy).toMatchObject({ flags: ['\\Flagged'], internalDate: receivedAt, emailId: original?.emailId, threadId: original?.threadId })
  expect((await ann.open(inbox.id)).messages.map(({ uid }) => uid)).toEqual([1])
  // To and fro at once: the lock order keeps them from waiting in a circle.
  await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? ann.copy(inbox.id, [1], trash.id) : ann.copy(trash.id, [1], inbox.id))))
  await expect(ann.copy(inbox.id, [1], '99999')).rejects.toMatchObject({ code: 'MAILBOX_UNKNOWN' })
})

test('mailboxes: made with their parents, renamed with their children, deleted, made again with a greater UIDVALIDITY', async () => {
  const { store, ann } = await world()
  expect((await ann.mailboxes()).map(({ name, specialUse }) => [name, specialUse])).toContainEqual(['Sent', '\\Sent'])
  await ann.create('a/b/c')
  await expect(ann.create('a/b')).rejects.toMatchObject({ code: 'MAILBOX_EXISTS' })
  await ann.rename(await named(ann, 'a/b'), 'x/y')
  expect((await ann.mailboxes()).map(({ name }) => name)).toEqual(expect.arrayContaining(['a', 'x', 'x/y', 'x/y/c']))
  await ann.setSubscribed('x/y/c', true)
  const old = await named(ann, 'x/y/c')
  const validity = (await ann.open(old.id)).uidValidity
  await ann.remove(old)
  expect(await named(ann, 'x/y/c')).toMatchObject({ exists: false, subscribed: true })
  const { mailboxId } = await ann.create('x/y/c')
  expect((await ann.open(mailboxId)).uidValidity).toBeGreaterThan(validity)
  await expect(ann.remove(await named(ann, 'INBOX'))).rejects.toMatchObject({ code: 'MAILBOX_FIXED' })
  await store.deliver({ recipients: [ann.accountId], raw: raw('i'), deliveryKey: 'i', receivedAt })
  await ann.rename(await named(ann, 'INBOX'), 'old')
  expect((await ann.open((await named(ann, 'INBOX')).id)).messages).toEqual([])
  expect((await ann.open((await named(ann, 'old')).id)).messages).toHaveLength(1)
})

test('search compares decoded text without regard to case, and combines with everything else', async () => {
  const { ann } = await world()
  const { id } = await named(ann, 'INBOX')
  const add = (text: string, flags: string[] = [], internalDate = receivedAt) =>
    ann.append(id, { bytes: Buffer.from(text.replaceAll('\n', '\r\n')), flags, internalDate })
  await add('Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nFrom: Ann <ann@example.org>\nDate: Thu, 1 Jan 2026 23:59:00 -1100\n\nplain 100%\n', ['\\Seen', '$Junk'])
  await add(
    'Subject: two\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nSCH=D6N soft=\nbreak\n',
    [],
    new Date('2026-02-01T00:00:00Z'),
  )
  await add('Subject: three\nContent-Transfer-Encoding: base64\n\n' + Buffer.from('needle in base64').toString('base64') + '\n')
  const uids = async (test: Parameters<AccountMail['search']>[1]) => (await ann.search(id, test)).map(({ uid }) => uid)
  expect(await uids({ kind: 'header', name: 'Subject', value: 'GRÜSSE' })).toEqual([])
  expect(await uids({ kind: 'header', name: 'Subject', value: 'GRÜ' })).toEqual([1])
  expect(await uids({ kind: 'header', name: 'from', value: '' })).toEqual([1])
  expect(await uids({ kind: 'body', value: '100%' })).toEqual([1])
  expect(await uids({ kind: 'body', value: 'schön SOFTBREAK' })).toEqual([2])
  expect(await uids({ kind: 'text', value: 'Needle' })).toEqual([3])
  expect(await uids({ kind: 'text', value: 'subject: t' })).toEqual([2, 3])
  expect(await uids({ kind: 'sentDate', relation: 'on', day: Date.UTC(2026, 0, 1) / 86_400_000 })).toEqual([1])
  expect(await uids({ kind: 'internalDate', relation: 'since', day: Date.UTC(2026, 1, 1) / 86_400_000 })).toEqual([2])
  expect(await uids({ kind: 'flag', flag: '$junk' })).toEqual([1])
  expect(
    await uids({
      kind: 'and',
      tests: [
        { kind: 'not', test: { kind: 'flag', flag: '\\Seen' } },
        {
          kind: 'uids',
          ranges: [
            { first: 2, last: 2 },
            { first: 3, last: 9 },
          ],
        },
      ],
    }),
  ).toEqual([2, 3])
  expect(
    await uids({
      kind: 'or',
      tests: [
        { kind: 'size', relation: 'larger', bytes: 1_000_000 },
        { kind: 'modseq', from: 3 },
      ],
    }),
  ).toEqual([2, 3])
  expect(await uids({ kind: 'not', test: { kind: 'sentDate', relation: 'since', day: 0 } })).toEqual([2, 3])
})

test('bodies that nobody refers to are swept, others stay', async () => {
  const { store, mount, ann } = await world()
  for (const i of [1, 2])
    await store.deliver({ recipients: [ann.accountId], raw: raw(`s${i}`), deliveryKey: `s${i}`, receivedAt, flags: i === 1 ? ['\\Deleted'] : [] })
  const { id } = await named(ann, 'INBOX')
  await ann.search(id, { kind: 'text', value: 'x' })
  await ann.expunge(id, [1, 2])
  await mount.read((db) => db.query("update mail.body set stored_at = now() - interval '2 hours'; update handoff.operation set at = now() - interval '2 days'"))
  await store.sweep()
  const { rows } = await mount.read((db) =>
    db.query("select (select count(*) from mail.body) as bodies, (select count(*) from handoff.operation where at < now() - interval '1 day') as old"),
  )
  expect(rows).toEqual([{ bodies: 1, old: 0 }])
  expect(await store.deliver({ recipients: [ann.accountId], raw: raw('s1'), deliveryKey: 's1', receivedAt })).toMatchObject([{ duplicate: true }])
})

test('deliveries whose connections are cut are delivered once, with UIDs in one row, and whoever watches hears of them', async () => {
  const { store, mount, ann, bob } = await world()
  const { id } = await named(bob, 'INBOX')
  let told = 0
  bob.watch(id, () => told++)
  let delivered = 0
  const total = 200
  const deliveries = Promise.all(
    Array.from({ length: total }, (_, i) =>
      store.deliver({ recipients: [bob.accountId, ann.accountId], raw: raw(`t${i}`), deliveryKey: `t${i}`, receivedAt }).then(() => delivered++),
    ),
  )
  const killer = new pg.Client({ ...postgres.address(mount.current?.database ?? '') })
  await killer.connect()
  for (let killed = 0; killed < 25; killed++) {
    await killer.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() order by state = 'idle', random() limit 1",
    )
    const before = delivered
    await until(() => delivered === total || delivered > before)
  }
  await deliveries
  await killer.end()
  for (const mail of [ann, bob])
    expect((await mail.open((await named(mail, 'INBOX')).id)).messages.map(({ uid }) => uid)).toEqual(Array.from({ length: total }, (_, i) => i + 1))
  expect(told).toBeGreaterThanOrEqual(total)
})

test('a change by a process that nobody hears is found by looking', async () => {
  const { store, mount, bob } = await world()
  const elsewhere = createMailStore(mount)
  const { id } = await named(bob, 'INBOX')
  let told = 0
  bob.watch(id, () => told++)
  await store.poll()
  const first = told
  await store.poll()
  expect(told).toBe(first)
  await elsewhere.deliver({ recipients: [bob.accountId], raw: raw('p'), deliveryKey: 'p', receivedAt })
  await store.poll()
  expect(told).toBe(first + 1)
})

test('a delivery whose wait for the standby is cut short is answered only when the standby has it, also to one who delivers again', async () => {
  const { store, mount, ann } = await world()
  const superuser = new pg.Client({ ...postgres.address(mount.current?.database ?? '') })
  await superuser.connect()
  const setStandbys = async (names: string) => {
    await superuser.query(`alter system set synchronous_standby_names = '${names}'`)
    await superuser.query('select pg_reload_conf()')
    await until(async () => (await superuser.query('show synchronous_standby_names')).rows[0]?.synchronous_standby_names === names)
    // The flag that makes backends wait is the checkpointer's, which looks for new settings before a checkpoint.
    await superuser.query('checkpoint')
  }
  const waiting = async (sql: string) =>
    (await superuser.query(`select ${sql} from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'handoff-mailbox'`)).rowCount
  try {
    await setStandbys('nobody')
    const delivery = { recipients: [ann.accountId], raw: raw('s'), deliveryKey: 's', receivedAt }
    let answered = 0
    const first = store.deliver(delivery).finally(() => answered++)
    await until(async () => (await waiting('')) === 1)
    await waiting('pg_cancel_backend(pid)')
    // The row is there now; but neither the first nor a second delivery is told so.
    await until(async () => (await superuser.query('select from mail.message')).rowCount === 1)
    const second = store.deliver(delivery).finally(() => answered++)
    await until(async () => (await waiting('')) === 1)
    expect(answered).toBe(0)
    await setStandbys('')
    expect(await Promise.all([first, second])).toMatchObject([[{ uid: 1 }], [{ uid: 1 }]])
    expect((await superuser.query('select from mail.message')).rowCount).toBe(1)
  } finally {
    await setStandbys('')
    await superuser.end()
  }
})
