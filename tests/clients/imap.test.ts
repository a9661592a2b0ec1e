import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ImapFlow } from 'imapflow'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listenImap, type ListeningImap, type RawClient } from '../../src/imap/fixture.ts'
import { openPostgresAccount, type PostgresAccount } from './postgres-account.ts'

/** Others' clients: what they make of us counts more than what our own client does. */
const run = promisify(execFile)

let account: PostgresAccount
let imap: ListeningImap
beforeEach(async () => {
  account = await openPostgresAccount()
  imap = await listenImap({ login: async (username, password) => (username === 'ann@example.org' && password === 'secret' ? account.store : undefined) })
})
afterEach(async () => {
  await imap.close()
  await account.close()
})

async function loggedIn(): Promise<RawClient> {
  const client = await imap.client()
  expect(await client.reply('LOGIN ann@example.org secret')).toMatch(/^OK/)
  return client
}

const message = (subject: string, id: string) =>
  [
    `From: Ann <ann@example.org>`,
    'To: bob@example.org',
    `Subject: ${subject}`,
    'Date: Mon, 7 Feb 1994 21:52:25 -0800',
    `Message-ID: <${id}@example.org>`,
    '',
    `Body of ${subject}`,
    '',
  ].join('\r\n')

test('imapflow: appends, lists, fetches, searches, flags, moves, and hears of arrivals in IDLE', async () => {
  const flow = new ImapFlow({ host: '127.0.0.1', port: imap.port, secure: false, auth: { user: 'ann@example.org', pass: 'secret' }, logger: false })
  await flow.connect()
  try {
    expect((await flow.list()).map(({ path, specialUse }) => [path, specialUse])).toEqual(expect.arrayContaining([['INBOX', '\\Inbox']]))
    await flow.mailboxCreate('Projekte/Übersicht')
    expect((await flow.list()).map(({ path }) => path)).toContain('Projekte/Übersicht')
    for (const n of [1, 2, 3])
      expect(await flow.append('INBOX', message(`Nr ${n}`, `m${n}`), n === 1 ? ['\\Seen'] : [], new Date('2020-01-02T03:04:05Z'))).toMatchObject({ uid: n })
    await flow.mailboxOpen('INBOX')
    const fetched = await flow.fetchAll('1:*', { uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, source: true })
    expect(fetched.map(({ uid, envelope, size, source }) => [uid, envelope?.subject, size, source?.toString()])).toEqual(
      [1, 2, 3].map((n) => [n, `Nr ${n}`, message(`Nr ${n}`, `m${n}`).length, message(`Nr ${n}`, `m${n}`)]),
    )
    expect(fetched[0]?.envelope?.from?.[0]).toMatchObject({ name: 'Ann', address: 'ann@example.org' })
    expect(fetched[0]?.bodyStructure).toMatchObject({ type: 'text/plain' })
    expect(await flow.search({ header: { subject: 'nr 2' } }, { uid: true })).toEqual([2])
    expect(await flow.search({ seen: false }, { uid: true })).toEqual([2, 3])
    await flow.messageFlagsAdd('2', ['\\Flagged', '$Forwarded'])
    expect([...((await flow.fetchOne('2', { flags: true })) as { flags: Set<string> }).flags].sort()).toEqual(['$Forwarded', '\\Flagged'])
    const moved = await flow.messageMove('3', 'Projekte/Übersicht')
    expect(moved && [...(moved.uidMap ?? [])]).toEqual([[3, 1]])
    expect(await flow.status('Projekte/Übersicht', { messages: true, unseen: true })).toMatchObject({ messages: 1, unseen: 1 })
    const exists = new Promise<{ count: number }>((resolve) => flow.once('exists', resolve))
    const idling = flow.idle()
    const other = await loggedIn()
    await other.append('INBOX', message('new', 'm4'))
    expect(await exists).toMatchObject({ count: 3 })
    await flow.noop()
    await idling
    const content = await flow.download('1', undefined)
    expect(content.meta?.expectedSize).toBeGreaterThan(0)
    content.content?.destroy()
  } finally {
    await flow.logout()
  }
})

test('curl reads, searches and appends', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'imap-curl-'))
  try {
    const file = join(directory, 'message')
    await writeFile(file, message('by curl', 'c1'))
    const base = ['-sS', '--user', 'ann@example.org:secret']
    const url = `imap://127.0.0.1:${imap.port}`
    await run('curl', [...base, '-T', file, `${url}/INBOX`])
    expect((await run('curl', [...base, `${url}/INBOX;MAILINDEX=1`])).stdout).toBe(message('by curl', 'c1'))
    expect((await run('curl', [...base, `${url}/INBOX?SUBJECT%20curl`])).stdout).toBe('* SEARCH 1\r\n')
    expect((await run('curl', [...base, `${url}/`])).stdout).toContain('"/" "INBOX"')
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('mbsync: a full sync both ways, and a second one that finds nothing to do', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'imap-mbsync-'))
  try {
    const client = await loggedIn()
    await client.reply('CREATE "Archive/2024 &- more"')
    for (let n = 1; n <= 30; n++) await client.append('INBOX', message(`remote ${n}`, `r${n}`), n % 3 === 0 ? '(\\Seen \\Flagged) ' : '')
    await client.append('"Archive/2024 &- more"', message('archived', 'a1'))
    const local = join(directory, 'mail')
    for (const each of ['cur', 'new', 'tmp']) await mkdir(join(local, 'INBOX', each), { recursive: true })
    await writeFile(join(local, 'INBOX/new/1700000000.1.local'), message('local', 'l1').replaceAll('\r\n', '\n'))
    const config = join(directory, 'mbsyncrc')
    await writeFile(config, mbsyncConfig(imap.port, local))
    const sync = () => run('mbsync', ['-c', config, '-a', '-V'])
    await sync()
    const kept = [...(await readdir(join(local, 'INBOX/cur'))), ...(await readdir(join(local, 'INBOX/new')))]
    expect(kept).toHaveLength(31)
    expect(kept.filter((name) => /:2,[A-Z]*F[A-Z]*S/.test(name))).toHaveLength(10)
    const archived = join(local, 'Archive/2024 &- more')
    expect([...(await readdir(join(archived, 'cur'))), ...(await readdir(join(archived, 'new')))]).toHaveLength(1)
    await client.reply('SELECT INBOX')
    expect(await client.command('SEARCH SUBJECT local')).toContainEqual('* SEARCH 31')
    // Both sides change; the next sync carries each over.
    await client.reply('STORE 1 +FLAGS.SILENT (\\Deleted)')
    await client.reply('EXPUNGE')
    await client.reply('UID STORE 2 +FLAGS.SILENT (\\Answered)')
    const seen = kept.find((name) => /:2,[A-Z]*F[A-Z]*S/.test(name)) as string
    await rm(join(local, 'INBOX/cur', seen))
    await sync()
    await client.reply('NOOP')
    const after = [...(await readdir(join(local, 'INBOX/cur'))), ...(await readdir(join(local, 'INBOX/new')))]
    expect(after).toHaveLength(29)
    expect(after.filter((name) => /:2,[A-Z]*R/.test(name))).toHaveLength(1)
    expect(await client.command('STATUS INBOX (MESSAGES)')).toContainEqual('* STATUS "INBOX" (MESSAGES 29)')
    const text = await readFile(join(local, 'INBOX', 'cur', (await readdir(join(local, 'INBOX/cur')))[0] as string), 'utf8')
    expect(text).toMatch(/^From: Ann/m)
  } finally {
    await rm(directory, { recursive: true })
  }
})

function mbsyncConfig(port: number, local: string): string {
  return `IMAPStore remote
Host 127.0.0.1
Port ${port}
User ann@example.org
Pass secret
SSLType None
AuthMechs LOGIN

MaildirStore local
Path ${local}/
Inbox ${local}/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
`
}
