import { describe, expect, test } from 'vitest'
import { coyote, holds, runScript } from './fixture.ts'

describe('subaddress (RFC 5233)', () => {
  const message = ['To: ken+sieve@example.org', 'Cc: "plain" <ken@example.org>', 'Bcc: ken+@example.org', '', '']
  test.each([
    ['address :user "to" "ken"', true],
    ['address :detail "to" "sieve"', true],
    ['address :detail "cc" ""', false],
    ['address :detail :contains "cc" ""', false],
    ['address :detail "bcc" ""', true],
    ['address :localpart "to" "ken+sieve"', true],
  ])('%s is %s', (script, result) => expect(holds(script, { message, require: ['subaddress'] })).toBe(result))
})

describe('body (RFC 5173)', () => {
  const message = [
    'Content-Type: multipart/mixed; boundary=outer',
    '',
    'prologue of mine',
    '--outer',
    'Content-Type: text/plain; charset=iso-8859-1',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'MAKE M=4FNEY =E4=E4=E4 FAST',
    '--outer',
    'Content-Type: application/octet-stream',
    'Content-Transfer-Encoding: base64',
    '',
    'c2VjcmV0',
    '--outer',
    'Content-Type: message/rfc822',
    '',
    'Subject: inner subject',
    '',
    'inner text',
    '--outer--',
    'epilogue',
  ]
  test.each([
    ['body :contains "money äää"', true],
    ['body :text :contains "secret"', false],
    ['body :contains "inner text"', true],
    ['body :raw :contains "M=4FNEY"', true],
    ['body :raw :contains "MONEY"', false],
    ['body :content "application" :is "secret"', true],
    ['body :content "application/octet-stream" :is "secret"', true],
    ['body :content "application/octet" :is "secret"', false],
    ['body :content "multipart" :contains "prologue of mine"', true],
    ['body :content "multipart/mixed" :contains "epilogue"', true],
    ['body :content "multipart" :is ["prologue of mine\r\n", "--outer"]', true],
    ['body :content "multipart" :contains "--outer"', false],
    ['body :content "message/rfc822" :is "Subject: inner subject\r\n"', true],
    ['body :content ["/plain", "text/", "text/plain/x"] :contains ""', false],
    ['body :content "" :contains "secret"', true],
    ['body :content ["text/html", "video"] :contains "e"', false],
    ['body :regex "M[A-Z]*Y"', true],
  ])('%s is %s', (script, result) => expect(holds(script, { message, require: ['body', 'regex'] })).toBe(result))

  test('sets no match variables', () => {
    const before = 'if header :matches "x" "*" {}'
    expect(holds('allof (body :matches "*money*", string "${1}" "kept")', { message: ['X: kept', '', 'money'], before, require: ['body', 'variables'] })).toBe(
      true,
    )
  })
})

describe('date and index (RFC 5260)', () => {
  const message = [
    'Received: from a; Tue, 24 Nov 2026 23:30:05 +0100 (CET)',
    'Received: from b; Tue, 24 Nov 2026 22:00:00 GMT',
    'Date: Tue, 15 Jul 2008 02:03:04 -0700',
    'X-Bad-Date: tomorrow',
    'Resent-From: first@example.com',
    'Resent-From: second@example.com, third@example.com',
    '',
    '',
  ]
  const require = ['date', 'index', 'relational']
  test.each([
    ['date :originalzone "date" "iso8601" "2008-07-15T02:03:04-07:00"', true],
    ['date :originalzone "date" "std11" "Tue, 15 Jul 2008 02:03:04 -0700"', true],
    ['date :originalzone "date" "zone" "-0700"', true],
    ['date "date" "hour" "10"', true],
    ['date :zone "+0000" "date" "time" "09:03:04"', true],
    ['date :zone "+1200" "date" "date" "2008-07-15"', true],
    ['date :originalzone "date" "julian" "54662"', true],
    ['date :originalzone "date" "weekday" "2"', true],
    ['date :originalzone "received" "time" "23:30:05"', true],
    ['date :index 2 :originalzone "received" "time" "22:00:00"', true],
    ['date :last :index 2 :originalzone "received" "hour" "23"', true],
    ['date :value "ge" :originalzone "date" "year" "2009"', false],
    ['date "x-bad-date" "year" "2008"', false],
    ['date "x-missing" "year" "2008"', false],
    ['currentdate "date" "2026-11-24"', true],
    ['currentdate "hour" "03"', true],
    ['currentdate :zone "-0500" "iso8601" "2026-11-23T21:25:30-05:00"', true],
    ['currentdate :value "ge" "date" "2026-11-01"', true],
    ['header :index 1 :contains "received" "from a"', true],
    ['header :index 1 :contains "received" "from b"', false],
    ['header :index 1 :last :contains "received" "from b"', true],
    ['header :index 3 :contains "received" ""', false],
    ['address :index 2 "resent-from" "third@example.com"', true],
    ['address :index 1 "resent-from" "third@example.com"', false],
  ])('%s is %s', (script, result) => expect(holds(script, { message, require })).toBe(result))
})

describe('imap4flags (RFC 5232)', () => {
  const require = ['imap4flags', 'relational', 'variables', 'comparator-i;ascii-numeric']
  test.each([
    ['setflag "\\\\Seen"; keep;', ['\\Seen']],
    ['addflag "\\\\Deleted"; addflag ["\\\\Flagged work", "\\\\DELETED"];', ['\\Deleted', '\\Flagged', 'work']],
    ['setflag "a b c"; removeflag ["B"];', ['a', 'c']],
    ['setflag "x"; setflag "y";', ['y']],
    ['setflag ["\\\\Recent", "\\\\nonsense", "good", "not\\"good"];', ['good']],
    ['setflag "x"; keep :flags ["y", "z"];', ['y', 'z']],
    ['setflag "x"; keep; addflag "y";', ['x']],
    ['keep :flags "a"; keep :flags "b";', ['a', 'b']],
    ['addflag "mine" "a"; addflag "mine" "b c"; removeflag "mine" "a"; keep :flags "${mine}";', ['b', 'c']],
  ])('%s', (script, flags) => expect(runScript(`require ["imap4flags", "variables"]; ${script}`).actions).toEqual([{ kind: 'keep', flags }]))

  test('fileinto has the flags of its time', () => {
    const { actions } = runScript('require ["fileinto", "imap4flags"]; setflag "a"; fileinto "x"; setflag "b"; fileinto :flags "c" "y"; fileinto "z";')
    expect(actions.map((action) => (action.kind === 'fileInto' ? action.flags : []))).toEqual([['a'], ['c'], ['b']])
  })

  test.each([
    ['hasflag "\\\\seen"', true],
    ['hasflag :contains "LAGG"', true],
    ['hasflag :matches "\\\\\\\\F*"', true],
    ['hasflag ["work", "x"]', false],
    ['hasflag "work \\\\SEEN"', true],
    ['hasflag ""', false],
    ['hasflag :count "ge" :comparator "i;ascii-numeric" "2"', true],
    ['hasflag "mine" "work"', true],
    ['hasflag ["none", "mine"] "WORK"', true],
    ['hasflag :count "eq" :comparator "i;ascii-numeric" "mine" "1"', true],
  ])('%s is %s', (script, result) => expect(holds(script, { require, before: 'setflag "\\\\Seen \\\\Flagged"; setflag "mine" "work";' })).toBe(result))
})

describe('mailbox (RFC 5490) and special-use (RFC 8579)', () => {
  const environment = {
    mailboxExists: (name: string) => ['Old', 'Spam', 'INBOX'].includes(name),
    mailboxesWith: (use: string) => (use.toLowerCase() === '\\junk' ? ['Spam', 'Spam 2'] : []),
  }
  test.each([
    ['mailboxexists "Old"', true],
    ['mailboxexists ["Old", "New"]', false],
    ['specialuse_exists "\\\\Junk"', true],
    ['specialuse_exists ["\\\\Junk", "\\\\Archive"]', false],
    ['specialuse_exists "Spam" "\\\\Junk"', true],
    ['specialuse_exists "Old" "\\\\Junk"', false],
    ['specialuse_exists "New" "\\\\Junk"', false],
  ])('%s is %s', (script, result) => expect(holds(script, { environment, require: ['mailbox', 'special-use'] })).toBe(result))

  test.each([
    ['fileinto :specialuse "\\\\Junk" "Other"', 'Spam', undefined],
    ['fileinto :specialuse "\\\\Junk" "Spam 2"', 'Spam 2', undefined],
    ['fileinto :create :specialuse "\\\\Archive" "Old"', 'Old', '\\Archive'],
  ])('%s goes to %s', (script, mailbox, specialUse) => {
    expect(runScript(`require ["fileinto", "mailbox", "special-use"]; ${script};`, { environment }).actions).toMatchObject([{ mailbox, specialUse }])
  })
})

describe('duplicate (RFC 7352)', () => {
  const seen = (...keys: string[]) => ({ isDuplicate: (key: string) => keys.includes(key) })
  const own = '["","<present@desert.example.org>"]'
  const script = (args: string) => `require "duplicate"; if duplicate ${args} { discard; }`

  test('a message seen for the first time is tracked', () => {
    expect(runScript(script('')).actions).toEqual([
      { kind: 'track', key: own, seconds: 604_800 },
      { kind: 'keep', flags: [] },
    ])
  })
  test('one that was seen is a duplicate and is not tracked again, unless for the last time', () => {
    expect(runScript(script(''), { environment: seen(own) }).actions).toEqual([{ kind: 'discard' }])
    expect(runScript(script(':last :seconds 60'), { environment: seen(own) }).actions).toEqual([{ kind: 'track', key: own, seconds: 60 }, { kind: 'discard' }])
  })
  test('without the field there is no duplicate and nothing to track', () => {
    expect(runScript(script(':header "x-missing"')).actions).toEqual([{ kind: 'keep', flags: [] }])
  })
  test('handle, header and given id make the key; asked twice it is the same answer', () => {
    const keys = runScript(script(':handle "h" :header "subject"') + ' if duplicate :uniqueid "id" {} if duplicate :uniqueid "id" { discard; }').actions
    expect(keys.filter(({ kind }) => kind === 'track')).toEqual([
      { kind: 'track', key: '["h","I have a present for you"]', seconds: 604_800 },
      { kind: 'track', key: '["","id"]', seconds: 604_800 },
    ])
  })
})

describe('environment (RFC 5183) and ihave (RFC 5463)', () => {
  const environment = { item: (name: string) => (name === 'domain' ? 'example.com' : undefined) }
  test.each([
    ['environment "Domain" "example.com"', true],
    ['environment :contains "vnd.other" ""', false],
  ])('%s is %s', (script, result) => expect(holds(script, { environment, require: ['environment'] })).toBe(result))

  test.each([
    ['if ihave "fileinto" { fileinto "x"; } else { discard; }', 'fileInto'],
    ['if ihave "telepathy" { read_mind "x"; } else { discard; }', 'discard'],
    ['if ihave ["fileinto", "telepathy"] { keep; } else { discard; }', 'discard'],
    ['if allof (ihave "telepathy", mind :reads "x") { keep; } else { discard; }', 'discard'],
    // RFC 5463 §4: how strings are read does not change within a script.
    ['if ihave "variables" { keep; } else { discard; }', 'discard'],
    ['if not ihave "telepathy" { discard; stop; } read_mind;', 'discard'],
    ['if ihave "fileinto" { discard; } if size :over 1G { fileinto "x"; }', 'discard'],
  ])('%s', (script, kind) => expect(runScript(`require "ihave"; ${script}`)).toMatchObject({ actions: [{ kind }], fault: undefined }))

  test('what is not there is a fault when it is reached', () => {
    const { fault } = runScript('require "ihave"; if ihave "telepathy" { stop; } read_mind;')
    expect(fault).toBe('line 1, column 49: unknown command "read_mind"')
  })
  test('and an error when the script is stored as long as every ihave was granted', () => {
    expect(() => runScript('require "ihave"; if ihave "fileinto" { stop; } read_mind;')).toThrow('unknown command "read_mind"')
  })
})

test('regex and the comparator (draft-ietf-sieve-regex)', () => {
  const require = ['regex']
  expect(holds('header :regex "subject" "^i have (a|an) PRESENT"', { require })).toBe(true)
  expect(holds('header :regex :comparator "i;octet" "subject" "^i have"', { require })).toBe(false)
  expect(holds('address :regex :localpart "from" "^c[aeiou]y"', { require, message: coyote })).toBe(true)
})
