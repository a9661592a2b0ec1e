import { afterAll, beforeAll, expect, test } from 'vitest'
import { listenImap, type ListeningImap, type RawClient } from './fixture.ts'
import { knownEnvelope, knownMessage, knownSections, knownStructure } from './known-message.ts'
import { openPostgresAccount, type PostgresAccount } from '../../tests/clients/postgres-account.ts'
import { checkRandomCommands } from './random-commands.ts'

let account: PostgresAccount
let imap: ListeningImap
beforeAll(async () => {
  account = await openPostgresAccount()
  imap = await listenImap({ login: async () => account.store, limits: { keepAliveMs: 50 } })
})
afterAll(async () => {
  await imap?.close()
  await account?.close()
})

let made = 0
async function sessions(count: number): Promise<RawClient[]> {
  const name = `box${++made}`
  await account.store.create(name)
  const clients: RawClient[] = []
  for (let i = 0; i < count; i++) {
    const client = await imap.client()
    await client.reply('LOGIN a b')
    expect(await client.reply(`SELECT ${name}`)).toMatch(/^OK/)
    clients.push(client)
  }
  return clients
}

const last = () => `box${made}`
const message = (subject: string) => `Subject: ${subject}\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nHello\r\n`

test('sections, ENVELOPE, BODYSTRUCTURE and the whole message come back byte for byte', async () => {
  const [client] = (await sessions(1)) as [RawClient]
  await client.append(last(), knownMessage, '(\\Seen) " 7-Feb-1994 21:52:25 -0800" ')
  for (const [section, content] of knownSections) {
    const expected = content === undefined ? 'NIL' : `{${content.length}}\r\n${content}`
    expect((await client.command(`FETCH 1 BODY.PEEK[${section}]`))[0], section).toBe(`* 1 FETCH (BODY[${section}] ${expected})`)
  }
  const [structure] = await client.command('FETCH 1 (BODYSTRUCTURE)')
  expect(structure?.toLowerCase()).toBe(`* 1 fetch (bodystructure ${knownStructure.toLowerCase()})`)
  expect(await client.command('FETCH 1 (INTERNALDATE RFC822.SIZE ENVELOPE)')).toContain(
    `* 1 FETCH (INTERNALDATE " 8-Feb-1994 05:52:25 +0000" RFC822.SIZE ${knownMessage.length} ENVELOPE ${knownEnvelope})`,
  )
})

test('slices, BINARY and the old names', async () => {
  const [client] = (await sessions(1)) as [RawClient]
  await client.append(last(), knownMessage)
  const fetch = async (items: string) => /^\* 1 FETCH \((.*)\)$/s.exec((await client.command(`FETCH 1 (${items})`))[0] ?? '')?.[1]
  for (const [section, content] of knownSections) {
    if (content === undefined) continue
    const slice = content.slice(2, 7)
    expect(await fetch(`BODY.PEEK[${section}]<2.5>`)).toBe(`BODY[${section}]<2> {${slice.length}}\r\n${slice}`)
  }
  expect(await fetch('BODY.PEEK[]<99999.5>')).toBe('BODY[]<99999> {0}\r\n')
  expect(await fetch('BINARY.PEEK[1.1] BINARY.SIZE[1.1]')).toBe(`BINARY[1.1] {10}\r\n${Buffer.from('Grüße!\r\n').toString('latin1')} BINARY.SIZE[1.1] 10`)
  expect(await fetch('BINARY.PEEK[3]')).toBe('BINARY[3] ~{4}\r\n\0\x01\x02\x03')
  expect(await fetch('RFC822.HEADER RFC822.SIZE')).toMatch(new RegExp(`^RFC822.HEADER \\{\\d+\\}\\r\\n.* RFC822.SIZE ${knownMessage.length}$`, 's'))
  expect(await fetch('RFC822')).toContain(`RFC822 {${knownMessage.length}}\r\n${knownMessage} FLAGS (\\Seen`)
})

test('two sessions hear of each other: arrivals, flags, expunges, each once', async () => {
  const [a, b] = (await sessions(2)) as [RawClient, RawClient]
  for (const n of [1, 2, 3]) await a.append(last(), message(`m${n}`))
  expect(await b.command('NOOP')).toContain('* 3 EXISTS')
  await a.reply('STORE 1,3 +FLAGS.SILENT (\\Deleted)')
  expect((await b.command('NOOP')).slice(0, -1)).toEqual([1, 3].map((n) => `* ${n} FETCH (UID ${n} FLAGS (\\Deleted))`))
  expect(await a.command('EXPUNGE')).toEqual(['* 3 EXPUNGE', '* 1 EXPUNGE', expect.stringMatching(/^OK/)])
  expect(await b.command('FETCH 1:3 UID')).toEqual(['* 2 FETCH (UID 2)', expect.stringMatching(/^NO \[EXPUNGEISSUED\]/)])
  expect(await b.command('NOOP')).toEqual(['* 3 EXPUNGE', '* 1 EXPUNGE', 'OK NOOP completed'])
  expect(await b.command('NOOP')).toEqual(['OK NOOP completed'])
})

test('CONDSTORE, COPYUID, MOVE, SEARCH and STATUS by the database', async () => {
  const [client] = (await sessions(1)) as [RawClient]
  await account.store.create(`${last()}/target`)
  for (const n of [1, 2, 3]) await client.append(last(), message(`Grüße ${n}`), n === 2 ? '(\\Seen $x) ' : '')
  const modseqs = (await client.command('FETCH 1:3 MODSEQ')).slice(0, -1).map((line) => Number(/MODSEQ \((\d+)\)/.exec(line)?.[1]))
  expect(modseqs).toEqual([...modseqs].sort((x, y) => x - y))
  expect(await client.command(`UID FETCH 1:* FLAGS (CHANGEDSINCE ${modseqs[1]})`)).toEqual([expect.stringMatching(/^\* 3 FETCH \(UID 3/), 'OK FETCH completed'])
  expect(await client.reply(`UID STORE 1:3 (UNCHANGEDSINCE ${modseqs[1]}) +FLAGS (\\Flagged)`)).toMatch(/^OK \[MODIFIED 3\]/)
  expect(await client.command('SEARCH FLAGGED KEYWORD $X')).toEqual(['* SEARCH 2', 'OK SEARCH completed'])
  expect(await client.command('SEARCH NOT SUBJECT "3" SENTON 7-Feb-1994 BODY "HELLO"')).toEqual(['* SEARCH 1 2', 'OK SEARCH completed'])
  expect(await client.command('SEARCH OR HEADER Subject "" TEXT nothing LARGER 10')).toEqual(['* SEARCH 1 2 3', 'OK SEARCH completed'])
  expect(await client.command(`UID COPY 2:3 ${last()}/target`)).toEqual([expect.stringMatching(/^OK \[COPYUID \d+ 2:3 1:2\]/)])
  expect(await client.command(`MOVE 1 ${last()}/target`)).toEqual([expect.stringMatching(/^\* OK \[COPYUID \d+ 1 3\]/), '* 1 EXPUNGE', 'OK MOVE completed'])
  expect(await client.command(`STATUS ${last()}/target (MESSAGES UNSEEN UIDNEXT)`)).toContain(`* STATUS "${last()}/target" (MESSAGES 3 UNSEEN 2 UIDNEXT 4)`)
})

test('a database that is held delays commands and IDLE, and nothing is lost, doubled or failed', async () => {
  const [a, b] = (await sessions(2)) as [RawClient, RawClient]
  b.send('i IDLE\r\n')
  expect(await b.response()).toBe('+ idling')
  await a.append(last(), message('before'))
  expect(await b.response()).toBe('* 1 EXISTS')
  account.hold()
  const text = message('during')
  a.send(`x APPEND ${last()} {${text.length}+}\r\n${text}\r\n`)
  expect(await a.response()).toMatch(/^\* (OK Still at it|1 EXISTS)/)
  account.resume()
  expect((await a.until('x')).at(-1)).toMatch(/^OK \[APPENDUID \d+ 2\]/)
  const heard: string[] = []
  while (!heard.includes('* 2 EXISTS')) heard.push((await b.response()) as string)
  expect(heard.filter((line) => /EXISTS/.test(line))).toEqual(['* 2 EXISTS'])
  b.send('DONE\r\n')
  expect((await b.until('i')).at(-1)).toBe('OK IDLE terminated')
  expect(await b.command('NOOP')).toEqual(['OK NOOP completed'])
})

test('mailboxes: hierarchy, rename with children, subscriptions that outlive the mailbox, special use', async () => {
  const client = await imap.client()
  await client.reply('LOGIN a b')
  expect(await client.reply('CREATE p/q/r')).toMatch(/^OK \[MAILBOXID \(/)
  expect(await client.reply('CREATE p/q/r')).toMatch(/^NO \[ALREADYEXISTS\]/)
  expect(await client.reply('RENAME p/q s')).toMatch(/^OK/)
  expect((await client.command('LIST "" (p* s*)')).slice(0, -1).map((line) => line.split('"/" ')[1])).toEqual(['"p"', '"s"', '"s/r"'])
  await client.reply('SUBSCRIBE s/r')
  expect(await client.reply('DELETE s')).toMatch(/^NO \[HASCHILDREN\]/)
  expect(await client.reply('DELETE s/r')).toMatch(/^OK/)
  expect((await client.command('LIST (SUBSCRIBED) "" s/*')).slice(0, -1)).toEqual(['* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "s/r"'])
  expect((await client.command('LIST (SPECIAL-USE) "" *')).length).toBeGreaterThan(3)
  expect(await client.reply('STATUS s/r (MESSAGES)')).toMatch(/^NO \[NONEXISTENT\]/)
})

test('two sessions with random commands keep true counts', async () => {
  await checkRandomCommands(account.store, 40)
})
