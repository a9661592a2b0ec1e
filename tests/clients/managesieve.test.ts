import { execFileSync } from 'node:child_process'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SieveClient } from '../../src/managesieve/fixture.ts'
import { type DatabaseAddress, startThrowaway, type Throwaway, until } from '../../src/postgres/fixture.ts'
import { createMailbox, type RunningService, startMailboxService } from './mailbox-service.ts'
import { RawSession } from './raw-session.ts'

let postgres: Throwaway
let database: DatabaseAddress
let service: RunningService
const ann = 'ann@example.org'

beforeAll(async () => {
  postgres = await startThrowaway()
  database = await postgres.database('mail')
  service = await startMailboxService(database, { clearTextLogin: 'refused' })
  await createMailbox(service, ann)
})
afterAll(async () => {
  await service?.stop()
  await postgres?.stop()
})

async function loggedIn(): Promise<SieveClient> {
  const client = new SieveClient(connect(await service.port('sieve'), '127.0.0.1'))
  await client.answer()
  await client.do('STARTTLS')
  client.secure()
  await client.answer()
  expect(await client.outcome(`AUTHENTICATE "PLAIN" "${Buffer.from(`\0${ann}\0secret`).toString('base64')}"`)).toBe('OK')
  return client
}

async function deliver(subject: string): Promise<void> {
  const session = await RawSession.open(await service.port('lmtp'), 'LHLO client.example.net')
  await session.say(`MAIL FROM:<bob@example.net>\r\nRCPT TO:<${ann}>\r\nDATA\r\n`, /^354 /m)
  expect(await session.say(`Subject: ${subject}\r\n\r\ntext\r\n.\r\n`, /^\d{3} .*\r\n/m)).toMatch(/^250/)
  session.socket.destroy()
}

/** Mailbox and subject of every message. */
async function stored(): Promise<string[]> {
  const client = new pg.Client(database)
  await client.connect()
  try {
    const sql = `select mailbox.name as box, body.content from mail.message join mail.body on body.id = message.body_id
      join mail.mailbox on mailbox.id = message.mailbox_id order by message.uid, mailbox.name`
    const { rows } = await client.query<{ box: string; content: Buffer }>(sql)
    return rows.map(({ box, content }) => `${box}: ${/^Subject: (.*)\r$/m.exec(content.toString('latin1'))?.[1]}`).sort()
  } finally {
    await client.end()
  }
}

function handoff(input: string, ...args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const program = [resolve(import.meta.dirname, '../../bin/handoff'), '--socket', join(service.directory, 'control.sock'), 'sieve', ...args]
  try {
    return { status: 0, output: execFileSync(process.execPath, program, { input, encoding: 'utf8', stdio: 'pipe' }) }
  } catch (error) {
    const { status, stderr } = error as { status: number | null; stderr: string }
    return { status, output: stderr }
  }
}

test('a script that is put and activated files the next message where it says', async () => {
  await deliver('before')
  const client = await loggedIn()
  const script = 'require ["fileinto", "mailbox"];\r\nif header :contains "subject" "list" { fileinto :create "Lists"; }\r\n'
  expect(await client.outcome(`PUTSCRIPT "main" {${script.length}+}\r\n${script}`)).toBe('OK')
  await deliver('list, not active')
  expect(await client.outcome('SETACTIVE "main"')).toBe('OK')
  await deliver('list, active')
  await deliver('other')
  expect(await client.outcome('SETACTIVE ""')).toBe('OK')
  await deliver('list, off again')
  expect(await stored()).toEqual(['INBOX: before', 'INBOX: list, not active', 'INBOX: list, off again', 'INBOX: other', 'Lists: list, active'])
})

test('the command line stores, shows, activates and removes the same scripts, and tells what is wrong with one', async () => {
  const put = handoff('redirect "a@example.org";\n', 'put', ann, 'by "hand"', '--activate')
  expect(put).toEqual({ status: 0, output: 'script "by "hand"" stored and active\n' })
  expect(handoff('', 'show', ann)).toEqual({ status: 0, output: 'redirect "a@example.org";\n' })
  expect(handoff('', 'list', ann).output).toMatch(/^script +active\nby "hand" +yes\nmain +no\n$/)
  const client = await loggedIn()
  expect((await client.do('LISTSCRIPTS')).data).toEqual([['by "hand"', ':ACTIVE'], ['main']])
  expect(handoff('keep;\n  nonsense;', 'put', ann, 'bad')).toMatchObject({
    status: 1,
    output: expect.stringMatching(/^SIEVE_SCRIPT_INVALID: line 2, column 3: /),
  })
  expect(handoff('keep;', 'put', ann, 'a\nb')).toMatchObject({ status: 1, output: expect.stringMatching(/^SIEVE_SCRIPT_NAME_INVALID/) })
  expect(handoff('', 'remove', ann, 'by "hand"')).toMatchObject({ status: 1, output: expect.stringMatching(/^SIEVE_SCRIPT_ACTIVE/) })
  expect(handoff('', 'list', 'nobody@example.org')).toMatchObject({ status: 1, output: expect.stringMatching(/^ACCOUNT_UNKNOWN/) })
  expect(handoff('', 'activate', ann).status).toBe(2)
  expect(handoff('', 'activate', ann, '--none').status).toBe(0)
  expect(handoff('', 'show', ann)).toMatchObject({ status: 1, output: expect.stringMatching(/^SIEVE_SCRIPT_UNKNOWN/) })
  expect(JSON.parse(handoff('', 'remove', ann, 'by "hand"', '--json').output)).toEqual([{ name: 'main', active: false }])
})

test('serving ends: an idle session is told to come again, and one that waits for a held database is answered first', async () => {
  const [idle, busy] = [await loggedIn(), await loggedIn()]
  service.tell({ database: { held: true } })
  await until(async () => (await service.health()).databases[0]?.held === true)
  busy.say('PUTSCRIPT "late" "keep;"\r\n')
  service.tell({ serving: false })
  expect(await idle.answer()).toMatchObject({ condition: 'BYE', code: 'TRYLATER' })
  service.tell({ database: { held: false } })
  expect((await busy.answer()).condition).toBe('OK')
  expect(await busy.answer()).toMatchObject({ condition: 'BYE', code: 'TRYLATER' })
})
