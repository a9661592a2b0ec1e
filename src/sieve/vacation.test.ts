import { describe, expect, test } from 'vitest'
import { coyote, runScript } from './fixture.ts'

function vacation(args: string, given: Parameters<typeof runScript>[1] = {}): ReturnType<typeof runScript> {
  return runScript(`require ["vacation", "vacation-seconds"]; vacation ${args};`, given)
}

const reply = {
  kind: 'vacation',
  to: 'coyote@desert.example.org',
  from: 'roadrunner@acme.example.com',
  subject: 'Auto: I have a present for you',
  form: 'text',
  reason: 'away',
  key: '["","","text","away"]',
  seconds: 7 * 86_400,
  inReplyTo: '<present@desert.example.org>',
  references: '<present@desert.example.org>',
}

test('a reply, and the message is kept', () => {
  expect(vacation('"away"')).toEqual({ actions: [reply, { kind: 'keep', flags: [] }], fault: undefined, withheld: [] })
})

describe('arguments (RFC 5230 §4, RFC 6131)', () => {
  test.each([
    [':days 3 "away"', { seconds: 3 * 86_400 }],
    [':days 0 "away"', { seconds: 86_400 }],
    [':days 4000 "away"', { seconds: 365 * 86_400 }],
    [':seconds 1800 "away"', { seconds: 1800 }],
    [':seconds 0 "away"', { seconds: 60 }],
    [':subject "Gone" "away"', { subject: 'Gone', key: '["Gone","","text","away"]' }],
    [':from "rr@acme.example.com" "away"', { from: 'rr@acme.example.com', key: '["","rr@acme.example.com","text","away"]' }],
    [':from "\\"Road Runner\\" <rr@acme.example.com>" "away"', { from: '"Road Runner" <rr@acme.example.com>' }],
    [':handle "h" :subject "Gone" "away"', { key: '["h"]' }],
    [':mime "Content-Type: text/html\r\n\r\n<b>away</b>"', { form: 'mime', reason: 'Content-Type: text/html\r\n\r\n<b>away</b>' }],
  ])('%j', (args, expected) => expect(vacation(args).actions[0]).toMatchObject(expected))

  test('a subject cannot become another header field', () => {
    expect(vacation(':subject "a\r\nBcc: b@example.com" "away"').actions[0]).toMatchObject({ subject: 'a Bcc: b@example.com' })
  })
  test('references continue the thread', () => {
    const message = ['References: <1@x> <2@x>', ...coyote]
    expect(vacation('"away"', { message }).actions[0]).toMatchObject({ references: '<1@x> <2@x> <present@desert.example.org>' })
  })
  test('a message without subject and id', () => {
    const { actions } = vacation('"away"', { message: ['To: roadrunner@acme.example.com', '', ''] })
    expect(actions[0]).toMatchObject({ subject: 'Automated reply', inReplyTo: undefined, references: undefined })
  })
  test('encoded words in the subject are decoded', () => {
    const { actions } = vacation('"away"', { message: ['To: roadrunner@acme.example.com', 'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=', '', ''] })
    expect(actions[0]).toMatchObject({ subject: 'Auto: Grüße' })
  })
})

describe('own addresses (RFC 5230 §4.5)', () => {
  const message = ['To: rr@other.example', '', 'x']
  test.each([
    ['not named', '"away"', {}, false],
    [':addresses', ':addresses ["RR@other.example"] "away"', {}, true],
    ['known to the server', '"away"', { environment: { ownAddresses: ['rr@other.example'] } }, true],
  ])('%s', (_, args, given, answered) => {
    const reply = vacation(args, { message, ...given }).actions.find(({ kind }) => kind === 'vacation')
    expect(reply?.kind === 'vacation' ? reply.from : undefined).toBe(answered ? 'rr@other.example' : undefined)
  })
})

describe('no reply (RFC 5230 §4.6, RFC 3834 §2)', () => {
  test.each<[string, Parameters<typeof runScript>[1], string]>([
    ['null sender', { from: '' }, 'the sender is the null address'],
    ['own address', { from: 'Roadrunner@ACME.example.com' }, 'the sender is one of the own addresses'],
    ['list owner', { from: 'owner-acme@example.com' }, 'the sender is no person'],
    ['list', { from: 'acme-request@example.com' }, 'the sender is no person'],
    ['mailer', { from: 'MAILER-DAEMON@example.com' }, 'the sender is no person'],
    ['automatic', { message: ['Auto-Submitted: auto-replied; x=y', ...coyote] }, 'the message was sent automatically'],
    ['list header', { message: ['List-Id: <x.example.com>', ...coyote] }, 'the message comes from a mailing list'],
    ['bulk', { message: ['Precedence: bulk', ...coyote] }, 'the message has a precedence for mass mail'],
    ['not named', { message: ['To: list@example.com', '', ''] }, 'no recipient field has one of the own addresses'],
  ])('%s', (_, given, why) => {
    expect(vacation('"away"', given)).toEqual({ actions: [{ kind: 'keep', flags: [] }], fault: undefined, withheld: [`vacation: ${why}`] })
  })

  test('"Auto-Submitted: no" is a person', () => {
    expect(vacation('"away"', { message: ['Auto-Submitted: No', ...coyote] }).actions[0]).toMatchObject({ kind: 'vacation' })
  })
})

test('does not cancel what else is done', () => {
  const { actions } = runScript('require ["vacation", "fileinto"]; vacation "away"; fileinto "x"; discard;')
  expect(actions.map(({ kind }) => kind)).toEqual(['vacation', 'fileInto', 'discard'])
})
