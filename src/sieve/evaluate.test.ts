import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { capabilities } from './capabilities.ts'
import { SieveError } from './error.ts'
import { coyote, holds, runScript } from './fixture.ts'

const keep = { kind: 'keep', flags: [] }

describe('actions (RFC 5228 §2.10, §4)', () => {
  test.each([
    ['', [keep]],
    ['stop; discard;', [keep]],
    ['keep;', [keep]],
    ['keep; keep;', [keep]],
    ['discard;', [{ kind: 'discard' }]],
    ['discard; keep;', [{ kind: 'discard' }, keep]],
    ['redirect "a@example.com";', [{ kind: 'redirect', address: 'a@example.com', copy: false }]],
    ['redirect "a@example.com"; redirect "A@example.com"; keep;', [{ kind: 'redirect', address: 'a@example.com', copy: false }, keep]],
    ['require "copy"; redirect :copy "a@example.com";', [{ kind: 'redirect', address: 'a@example.com', copy: true }, keep]],
    ['require "fileinto"; fileinto "x";', [file('x')]],
    ['require "fileinto"; fileinto "x"; fileinto "x"; fileinto "y";', [file('x'), file('y')]],
    ['require ["fileinto", "copy"]; fileinto :copy "x";', [{ ...file('x'), copy: true }, keep]],
    ['require ["fileinto", "mailbox"]; fileinto :create "x";', [{ ...file('x'), create: true }]],
    ['require "reject"; reject "no";', [{ kind: 'reject', form: 'reject', reason: 'no' }]],
    ['require "ereject"; discard; ereject "no";', [{ kind: 'discard' }, { kind: 'reject', form: 'ereject', reason: 'no' }]],
    ['if false { keep; } elsif true { discard; } else { stop; }', [{ kind: 'discard' }]],
    ['if false { discard; } elsif false { discard; } else { }', [keep]],
    ['if true { if true { stop; } discard; } discard;', [keep]],
  ])('%s', (script, actions) => expect(runScript(script)).toEqual({ actions, fault: undefined, withheld: [] }))
})

describe('a fault keeps the message and does nothing else', () => {
  const five = [1, 2, 3, 4, 5].map((n) => `redirect "${n}@example.com";`).join('')
  test.each([
    [five, 'more than 4 redirects'],
    ['require "reject"; keep; reject "no";', '"reject" cannot be done as well as "keep"'],
    ['require ["reject", "fileinto"]; reject "no"; fileinto "x";', '"fileinto" cannot be done as well as "reject"'],
    ['require ["reject", "ereject"]; reject "no"; ereject "no";', '"ereject" cannot be done as well as "reject"'],
    ['require ["reject", "vacation"]; vacation "away"; reject "no";', '"reject" cannot be done as well as "vacation"'],
    ['require "vacation"; vacation "away"; vacation "away";', '"vacation" cannot be done as well as "vacation"'],
    ['require "ihave"; discard; error "no way";', 'the script says: no way'],
    ['require ["variables", "fileinto"]; fileinto "${nothing}";', 'fileinto: "" cannot be the name of a mailbox'],
    ['require "variables"; redirect "${nothing}";', 'redirect: "" is not an address'],
    ['require ["variables", "regex"]; set "p" "("; if header :regex "subject" "${p}" {}', 'the regular expression "(": "(" without ")"'],
    ['require "variables"; if header :comparator "${x}" "a" "b" {}', 'there is no comparator ""'],
  ])('%s', (script, fault) => expect(runScript(script)).toEqual({ actions: [keep], fault, withheld: [] }))

  test('more work than a run may do', () => {
    const message = [`Subject: ${'a'.repeat(60_000)}`, '', 'x']
    const tests = Array.from({ length: 150 }, () => 'if header :matches "subject" "*aaaaaaaaaab" { discard; }').join('')
    expect(runScript(tests, { message })).toEqual({ actions: [keep], fault: 'the script takes too long for this message', withheld: [] })
  })
})

describe('tests of the base (RFC 5228 §5)', () => {
  const message = [
    'From: "Wile E." <Coyote+anvils@ACME.example.com>, other@example.org',
    'To: Friends: a@example.net, b@example.net;, bare',
    'Subject:  =?utf-8?q?Gr=C3=BC=C3=9Fe?= and a very',
    ' long line',
    'X-Empty:',
    'Cc: <tss(no spam)@fi.iki>',
    'Bcc: half@, @example.info',
    'Resent-To:',
    'X-Priority: 3',
    '',
    'body',
  ]
  test.each([
    ['address :is "from" "coyote+anvils@acme.example.com"', true],
    ['address :is :comparator "i;octet" "from" "coyote+anvils@acme.example.com"', false],
    ['address :domain "FROM" "acme.example.com"', true],
    ['address :localpart "from" ["nobody", "other"]', true],
    ['address :domain "to" "example.net"', true],
    ['address "to" "bare"', true],
    ['address :domain "to" ""', false],
    ['address "cc" "tss@fi.iki"', true],
    ['address "bcc" "half@"', true],
    ['address :localpart "bcc" "half"', false],
    ['address :domain "bcc" "example.info"', false],
    ['address "resent-to" ""', true],
    ['address :localpart "resent-to" ""', false],
    ['address :contains ["cc", "from"] ".org"', true],
    ['header "subject" "GRÜSSE and a very long line"', false],
    ['header "subject" "GRüßE and a very long line"', true],
    ['header :contains "subject" "long"', true],
    ['header :contains "x-empty" ""', true],
    ['header :is "x-empty" ""', true],
    ['header :contains "x-missing" ""', false],
    ['header :matches "subject" "Gr??e*line"', true],
    ['header :matches "subject" "gr*"', true],
    ['header :matches "subject" "*"', true],
    ['header :matches "subject" "?"', false],
    ['header :matches "x-priority" "\\\\3"', true],
    ['header "bad name" "x"', false],
    ['exists ["from", "x-empty"]', true],
    ['exists ["from", "x-missing"]', false],
    ['size :over 10', true],
    ['size :under 1K', true],
    ['size :over 1M', false],
    ['not false', true],
    ['allof (true, not true)', false],
    ['anyof (false, allof (true, true))', true],
  ])('%s is %s', (script, result) => expect(holds(script, { message })).toBe(result))

  test('a message of exactly the limit is neither over nor under it', () => {
    const size = coyote.join('\r\n').length
    expect([holds(`size :over ${size}`), holds(`size :under ${size}`)]).toEqual([false, false])
  })

  test.each([
    ['envelope "from" "coyote@desert.example.org"', true],
    ['envelope :domain ["to"] "acme.example.com"', true],
    ['envelope :localpart "to" "coyote"', false],
  ])('%s is %s', (script, result) => expect(holds(script, { require: ['envelope'] })).toBe(result))

  test('half an address is only a whole', () => {
    const given = { require: ['envelope'], from: 'half@' }
    expect([
      holds('envelope "from" "half@"', given),
      holds('envelope :localpart "from" "half"', given),
      holds('envelope :domain :contains "from" ""', given),
    ]).toEqual([true, false, false])
  })

  test('the null reverse-path is the empty string for every part', () => {
    for (const part of [':all', ':localpart', ':domain']) expect(holds(`envelope ${part} "from" ""`, { require: ['envelope'], from: '' })).toBe(true)
  })
})

describe('comparators (RFC 4790) and relations (RFC 5231)', () => {
  const message = ['X-N: 007', 'X-N: 12', 'X-S: b', 'From: a@example.com, b@example.com', '', '']
  const require = ['relational', 'comparator-i;ascii-numeric']
  const numeric = ':comparator "i;ascii-numeric"'
  test.each([
    [`header :is ${numeric} "x-n" "7"`, true],
    [`header :is ${numeric} "x-s" "other word"`, true],
    [`header :value "gt" ${numeric} "x-n" "11"`, true],
    [`header :value "gt" ${numeric} "x-n" "12"`, false],
    [`header :value "lt" ${numeric} "x-s" "99999999999999999999"`, false],
    ['header :value "ge" "x-s" "B"', true],
    ['header :value "lt" :comparator "i;octet" "x-s" "a"', false],
    ['header :value "ne" "x-s" "b"', false],
    [`header :count "eq" ${numeric} "x-n" "2"`, true],
    [`header :count "eq" ${numeric} "x-missing" "0"`, true],
    [`address :count "ge" ${numeric} "from" "2"`, true],
    [`header :count "le" ${numeric} ["x-n", "x-s"] "2"`, false],
  ])('%s is %s', (script, result) => expect(holds(script, { message, require })).toBe(result))
})

function file(mailbox: string): object {
  return { kind: 'fileInto', mailbox, flags: [], copy: false, create: false, specialUse: undefined }
}

describe('the example of RFC 5228 §9', () => {
  const script = `
    require ["fileinto"];
    if header :is "Sender" "owner-ietf-mta-filters@imc.org" { fileinto "filter"; }
    elsif address :DOMAIN :is ["From", "To"] "example.com" { keep; }
    elsif anyof (NOT address :all :contains ["To", "Cc", "Bcc"] "me@example.com",
                 header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) { fileinto "spam"; }
    else { fileinto "personal"; }`
  test.each([
    [['Sender: owner-ietf-mta-filters@imc.org'], [file('filter')]],
    [['From: a@example.com'], [keep]],
    [['From: a@example.org', 'To: someone@example.org'], [file('spam')]],
    [['From: a@example.org', 'To: me@example.com.invalid', 'Subject: MAKE much money very FAST'], [file('spam')]],
    [['From: a@example.org', 'Cc: me@example.com.invalid', 'Subject: hi'], [file('personal')]],
  ])('%j', (header, actions) => expect(runScript(script, { message: [...header, '', 'x'] }).actions).toEqual(actions))
})

const strings = fc.constantFrom(
  '"subject"',
  '"from"',
  '["to", "cc"]',
  '"*a*"',
  '"${1}${x}"',
  '"[a-z]+(b|c)*"',
  '"\\\\Junk"',
  '"a@example.com"',
  '"gt"',
  '"hour"',
  '"x"',
)
const tags = fc.constantFrom(
  '',
  ':matches',
  ':regex',
  ':contains',
  ':count "ge"',
  ':value "lt"',
  ':index 2 :last',
  ':detail',
  ':domain',
  ':raw',
  ':content "text"',
  ':over',
)
const names = [
  'header',
  'address',
  'exists',
  'body',
  'string',
  'hasflag',
  'date',
  'currentdate',
  'envelope',
  'duplicate',
  'environment',
  'mailboxexists',
  'size',
]
const oneTest = fc.tuple(fc.constantFrom(...names), tags, fc.array(strings, { maxLength: 3 })).map(([name, tag, values]) => [name, tag, ...values].join(' '))
const commands = fc.constantFrom(
  ...[
    'keep;',
    'discard;',
    'stop;',
    'fileinto "${x}${1}";',
    'redirect "${1}@example.com";',
    'set :upper "x" "${1}${x}";',
    'addflag "${1}";',
    'vacation "${1}";',
  ],
)
const script = fc
  .array(
    fc.oneof(
      commands,
      fc.tuple(oneTest, commands).map(([condition, command]) => `if ${condition} { ${command} }`),
    ),
    { maxLength: 8 },
  )
  .map((lines) => `require [${capabilities.map((name) => `"${name}"`).join(', ')}];\r\n${lines.join('\r\n')}`)
const messages = fc.array(
  fc.oneof(
    fc.constantFrom(
      'From: <a+b@c>, g: x;',
      'Subject: =?utf-8?q?=FF?= aab',
      'To: (',
      'Date: 1 Jan 70 00:00',
      '',
      'Content-Type: multipart/mixed; boundary=b',
      '--b',
      '--b--',
    ),
    fc.string({ maxLength: 30 }),
  ),
  { maxLength: 20 },
)

test('whatever script was taken, whatever message comes: an outcome', () => {
  let taken = 0
  fc.assert(
    fc.property(script, messages, (text, message) => {
      try {
        const { actions, fault } = runScript(text, { message })
        taken++
        expect(actions.length).toBeGreaterThan(0)
        if (fault !== undefined) expect(actions).toEqual([keep])
      } catch (error) {
        expect(error).toBeInstanceOf(SieveError)
      }
    }),
    { numRuns: 1000 },
  )
  expect(taken).toBeGreaterThan(100)
})
