import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { listenImap, type ListeningImap, type RawClient } from './fixture.ts'
import { openPostgresAccount, type PostgresAccount } from '../../tests/clients/postgres-account.ts'

let imap: ListeningImap
let account: PostgresAccount
beforeEach(async () => {
  account = await openPostgresAccount()
  imap = await listenImap({ login: async () => account.store, limits: { keepAliveMs: 50 } })
})
afterEach(async () => {
  await imap.close()
  await account.close()
})

const message = (subject: string) => `Subject: ${subject}\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nHello\r\n`

async function session(mailbox: string | null = 'INBOX'): Promise<RawClient> {
  const client = await imap.client()
  await client.reply('LOGIN a b')
  if (mailbox !== null) await client.reply(`SELECT ${mailbox}`)
  return client
}

test('SELECT, EXAMINE and CLOSED; rev2 tells LIST and no RECENT', async () => {
  const client = await session(null)
  for (const n of [1, 2]) await client.append('INBOX', message(`m${n}`), n === 1 ? '(\\Seen $Label) ' : '')
  expect(await client.command('EXAMINE inbox')).toEqual([
    '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Label)',
    '* OK [PERMANENTFLAGS ()] Read-only',
    '* 2 EXISTS',
    '* 0 RECENT',
    '* OK [UNSEEN 2] First unseen',
    expect.stringMatching(/^\* OK \[UIDVALIDITY \d+\]/),
    '* OK [UIDNEXT 3] Predicted next UID',
    '* OK [HIGHESTMODSEQ 3] Highest',
    expect.stringMatching(/^\* OK \[MAILBOXID \([\w-]+\)\]/),
    'OK [READ-ONLY] EXAMINE completed',
  ])
  expect(await client.reply('STORE 1 FLAGS ()')).toMatch(/^NO/)
  const again = await client.command('SELECT INBOX')
  expect(again[0]).toBe('* OK [CLOSED] Previous mailbox is closed')
  expect(again).toContain('* 2 RECENT')
  expect(await client.reply('SELECT nowhere')).toBe('NO [NONEXISTENT] There is no mailbox of that name')
  expect(await client.reply('FETCH 1 FLAGS')).toMatch(/^BAD/)
  await client.command('ENABLE IMAP4rev2')
  const rev2 = await client.command('SELECT INBOX')
  expect(rev2.join()).not.toMatch(/RECENT|UNSEEN/)
  expect(rev2).toContain('* LIST () "/" "INBOX"')
})

test('APPEND answers APPENDUID and TRYCREATE; flags and date are kept', async () => {
  const client = await session()
  expect((await client.append('INBOX', message('a'), '(\\seen \\Recent) " 7-Feb-1994 21:52:25 -0800" ')).slice(-2)).toEqual([
    '* 1 RECENT',
    expect.stringMatching(/^OK \[APPENDUID \d+ 1\] /),
  ])
  expect((await client.append('none', message('a'))).at(-1)).toMatch(/^NO \[TRYCREATE\]/)
  expect((await client.append('INBOX', 'a\0b')).at(-1)).toMatch(/^BAD/)
  expect((await client.append('INBOX', message('a'), '(\\Foo) ')).at(-1)).toMatch(/^BAD/)
  expect(await client.command('FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE UID)')).toEqual([
    '* 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE " 8-Feb-1994 05:52:25 +0000" RFC822.SIZE 59 UID 1)',
    'OK FETCH completed',
  ])
})

test('EXPUNGE by one session is told to the other, but not during FETCH, STORE and SEARCH by sequence numbers', async () => {
  const [a, b] = [await session(), await session()]
  for (const n of [1, 2, 3]) await a.append('INBOX', message(`m${n}`))
  await b.reply('NOOP')
  await a.reply('STORE 1,3 +FLAGS.SILENT (\\Deleted)')
  expect(await a.command('EXPUNGE')).toEqual(['* 3 EXPUNGE', '* 1 EXPUNGE', 'OK EXPUNGE completed'])
  const fetched = await b.command('FETCH 1:3 UID')
  expect(fetched).toEqual(['* 2 FETCH (UID 2)', 'NO [EXPUNGEISSUED] Some of the messages have been expunged'])
  expect((await b.command('SEARCH ALL')).join()).not.toContain('EXPUNGE')
  const stored = await b.command('STORE 2 +FLAGS (\\Flagged)')
  expect(stored).toEqual(['* 2 FETCH (FLAGS (\\Flagged))', 'OK STORE completed'])
  expect(await b.command('NOOP')).toEqual(['* 3 EXPUNGE', '* 1 EXPUNGE', 'OK NOOP completed'])
  expect(await b.command('UID FETCH 1:* FLAGS')).toEqual(['* 1 FETCH (UID 2 FLAGS (\\Flagged))', 'OK FETCH completed'])
  expect(await a.command('NOOP')).toEqual(['* 1 FETCH (UID 2 FLAGS (\\Flagged \\Recent))', 'OK NOOP completed'])
})

test('flags set by one session reach the other once; silent ones are not told to the one who set them', async () => {
  const [a, b] = [await session(), await session()]
  await a.append('INBOX', message('m'))
  await b.reply('NOOP')
  expect(await a.command('STORE 1 +FLAGS.SILENT (\\Seen)')).toEqual(['OK STORE completed'])
  expect(await b.command('NOOP')).toEqual(['* 1 FETCH (UID 1 FLAGS (\\Seen))', 'OK NOOP completed'])
  expect(await b.command('NOOP')).toEqual(['OK NOOP completed'])
  expect(await a.command('NOOP')).toEqual(['OK NOOP completed'])
})

test('IDLE tells arrivals, flags and expunges as they happen, each once', async () => {
  const [a, b] = [await session(), await session()]
  b.send('i IDLE\r\n')
  expect(await b.response()).toBe('+ idling')
  await a.append('INBOX', message('m'))
  expect(await b.response()).toBe('* 1 EXISTS')
  expect(await b.response()).toMatch(/RECENT/)
  await a.reply('STORE 1 +FLAGS (\\Deleted)')
  expect(await b.response()).toMatch(/^\* 1 FETCH \(UID 1 FLAGS \(\\Deleted/)
  await a.reply('EXPUNGE')
  expect(await b.response()).toBe('* 1 EXPUNGE')
  b.send('DONE\r\n')
  expect(await b.until('i')).toEqual(['OK IDLE terminated'])
  expect(await b.command('NOOP')).toEqual(['OK NOOP completed'])
})

test('drain during IDLE: BYE, and the session ends', async () => {
  const client = await session()
  client.send('i IDLE\r\n')
  await client.response()
  await imap.listener.drain()
  const said = await client.until('never')
  expect(said).toContainEqual(expect.stringMatching(/^\* BYE/))
})

test('a store that is held delays the reply, with signs of life, and breaks nothing', async () => {
  const client = await session()
  account.hold()
  client.send('s UID FETCH 1:* FLAGS\r\ns2 APPEND INBOX {5+}\r\nA: b\r\n\r\n')
  client.send('s3 NOOP\r\n')
  expect(await client.response()).toBe('s OK FETCH completed')
  expect(await client.response()).toBe('* OK Still at it')
  account.resume()
  const rest = await client.until('s3')
  expect(rest.filter((line) => line !== '* OK Still at it')).toEqual([
    '* 1 EXISTS',
    '* 1 RECENT',
    expect.stringMatching(/^s2 OK \[APPENDUID \d+ 1\] /),
    expect.stringMatching(/BAD/),
    'OK NOOP completed',
  ])
})

test('CONDSTORE: MODSEQ, CHANGEDSINCE, UNCHANGEDSINCE with MODIFIED', async () => {
  const client = await session('INBOX (CONDSTORE)')
  for (const n of [1, 2]) await client.append('INBOX', message(`m${n}`))
  expect(await client.command('FETCH 1:2 (MODSEQ)')).toEqual(['* 1 FETCH (MODSEQ (2))', '* 2 FETCH (MODSEQ (3))', 'OK FETCH completed'])
  expect(await client.command('FETCH 1:* (UID) (CHANGEDSINCE 2)')).toEqual(['* 2 FETCH (UID 2 MODSEQ (3))', 'OK FETCH completed'])
  expect(await client.command('UID STORE 1:2 (UNCHANGEDSINCE 2) +FLAGS (\\Seen)')).toEqual([
    expect.stringMatching(/^\* 1 FETCH \(UID 1 FLAGS \(\\Seen.*\) MODSEQ \(4\)\)$/),
    'OK [MODIFIED 2] Conditional STORE failed for some',
  ])
  expect(await client.command('SEARCH MODSEQ 4')).toEqual(['* SEARCH 1 (MODSEQ 4)', 'OK SEARCH completed'])
})

test('COPY and MOVE answer COPYUID; MOVE expunges after it', async () => {
  const client = await session()
  for (const n of [1, 2, 3]) await client.append('INBOX', message(`m${n}`))
  expect(await client.reply('COPY 2:3 Sent')).toMatch(/^OK \[COPYUID \d+ 2:3 1:2\] /)
  expect(await client.command('UID MOVE 1,3,9 Sent')).toEqual([
    expect.stringMatching(/^\* OK \[COPYUID \d+ 1,3 3:4\] /),
    '* 3 EXPUNGE',
    '* 1 EXPUNGE',
    'OK MOVE completed',
  ])
  expect(await client.reply('COPY 1 nowhere')).toMatch(/^NO \[TRYCREATE\]/)
  expect(await client.reply('COPY 5 Sent')).toMatch(/^BAD/)
  expect(await client.command('STATUS Sent (MESSAGES UIDNEXT SIZE DELETED)')).toEqual([
    '* STATUS "Sent" (MESSAGES 4 UIDNEXT 5 SIZE 240 DELETED 0)',
    'OK STATUS completed',
  ])
})

test('SEARCH, ESEARCH and the saved result', async () => {
  const client = await session()
  for (const n of [1, 2, 3]) await client.append('INBOX', message(`number ${n}`), n === 2 ? '(\\Seen $x) ' : '')
  expect(await client.command('SEARCH UNSEEN')).toEqual(['* SEARCH 1 3', 'OK SEARCH completed'])
  expect(await client.command('UID SEARCH RETURN (MIN MAX COUNT ALL) SUBJECT "NUMBER" NOT KEYWORD $X')).toEqual([
    '* ESEARCH (TAG "t7") UID MIN 1 MAX 3 ALL 1,3 COUNT 2',
    'OK SEARCH completed',
  ])
  expect(await client.command('SEARCH RETURN (SAVE) TEXT hello 2:3')).toEqual(['OK SEARCH completed'])
  expect(await client.command('FETCH $ UID')).toEqual(['* 2 FETCH (UID 2)', '* 3 FETCH (UID 3)', 'OK FETCH completed'])
  expect(await client.command('SEARCH RETURN () $ SEEN')).toEqual(['* ESEARCH (TAG "t10") ALL 2', 'OK SEARCH completed'])
  expect(await client.command('SEARCH SENTON 7-Feb-1994 OR BODY xyz UID 3')).toEqual(['* SEARCH 3', 'OK SEARCH completed'])
  expect(await client.command('SEARCH HEADER Date "" LARGER 10 SMALLER 1000 SINCE 1-Jan-2000 RECENT')).toEqual(['* SEARCH 1 2 3', 'OK SEARCH completed'])
  const [ids] = await client.command('FETCH 2 (EMAILID THREADID)')
  const [, email, thread] = /EMAILID \(([\w-]+)\) THREADID \(([\w-]+)\)/.exec(ids ?? '') ?? []
  expect(await client.command(`SEARCH EMAILID ${email} THREADID ${thread}`)).toEqual(['* SEARCH 2', 'OK SEARCH completed'])
  expect((await client.command('STATUS INBOX (MAILBOXID)'))[0]).toMatch(/^\* STATUS "INBOX" \(MAILBOXID \([\w-]+\)\)$/)
  expect(await client.reply('SEARCH CHARSET X ALL')).toMatch(/^NO \[BADCHARSET/)
})

test('LIST in all its forms', async () => {
  const client = await session(null)
  for (const name of ['a/b/c', '"x &- y"', 'Caf&AOk-']) expect(await client.reply(`CREATE ${name}`)).toMatch(/^OK/)
  expect(await client.command('LIST "" ""')).toEqual(['* LIST (\\Noselect) "/" ""', 'OK LIST completed'])
  expect((await client.command('LIST "" %')).slice(0, -1).filter((line) => !/Archive|Drafts|Junk|Trash/.test(line))).toEqual([
    '* LIST (\\HasNoChildren) "/" "INBOX"',
    '* LIST (\\HasNoChildren) "/" "Caf&AOk-"',
    '* LIST (\\HasNoChildren \\Sent) "/" "Sent"',
    '* LIST (\\HasChildren) "/" "a"',
    '* LIST (\\HasNoChildren) "/" "x &- y"',
  ])
  for (const name of ['Sent', 'a', 'a/b']) await client.reply(`UNSUBSCRIBE ${name}`)
  await client.reply('SUBSCRIBE a/b/c')
  expect((await client.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" (a Sen%) RETURN (SUBSCRIBED STATUS (MESSAGES))')).slice(0, -1)).toEqual([
    '* LIST (\\HasChildren) "/" "a" (CHILDINFO ("SUBSCRIBED"))',
    '* STATUS "a" (MESSAGES 0)',
  ])
  expect((await client.command('LIST (SPECIAL-USE) "" S* RETURN (STATUS (UNSEEN))')).slice(0, -1)).toEqual([
    '* LIST (\\HasNoChildren \\Sent) "/" "Sent"',
    '* STATUS "Sent" (UNSEEN 0)',
  ])
  expect((await client.command('LSUB "" a/%')).slice(0, -1)).toEqual(['* LSUB (\\Noselect) "/" "a/b"'])
  expect((await client.command('LIST a/ %')).slice(0, -1)).toEqual(['* LIST (\\HasChildren) "/" "a/b"'])
  expect(await client.reply('RENAME a/b/c z/y')).toMatch(/^OK/)
  expect(await client.reply('DELETE z/y')).toMatch(/^OK/)
  expect(await client.reply('DELETE inbox')).toMatch(/^NO \[CANNOT\]/)
  expect(await client.reply('CREATE "a\\\\*"')).toMatch(/^NO \[CANNOT\]/)
})

test('FETCH of sections sets \\Seen unless it peeks, and gives slices', async () => {
  const client = await session()
  await client.append('INBOX', message('m'))
  expect((await client.command('FETCH 1 BODY.PEEK[TEXT]<1.3>'))[0]).toBe('* 1 FETCH (BODY[TEXT]<1> {3}\r\nell)')
  expect((await client.command('FETCH 1 BODY[HEADER.FIELDS (date subject)]'))[0]).toBe(
    `* 1 FETCH (BODY[HEADER.FIELDS (date subject)] {${message('').indexOf('\r\n\r\n') + 5}}\r\nSubject: m\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\n FLAGS (\\Seen \\Recent))`,
  )
  expect((await client.command('FETCH 1 (BODY[2] BINARY.SIZE[1] RFC822.HEADER)'))[0]).toContain('BODY[2] NIL BINARY.SIZE[1] 7 RFC822.HEADER {')
  await vi.waitFor(() => expect(imap.listener.sessionCount()).toBe(1))
})
