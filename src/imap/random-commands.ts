import fc from 'fast-check'
import { expect } from 'vitest'
import { listenImap } from './fixture.ts'
import { knownMessage } from './known-message.ts'
import type { AccountMail } from '../mailbox/account-mail.ts'

/** For tests: commands that are mostly right, by two sessions on one mailbox. Each counts messages as a client does, and the count must hold. */

const number = fc.oneof(fc.integer({ min: 0, max: 9 }).map(String), fc.constantFrom('*', '4294967295', '4294967296'))
const set = fc.oneof(
  number,
  fc.tuple(number, number).map(([a, b]) => `${a}:${b}`),
  fc.tuple(number, number).map(([a, b]) => `${a},${b}`),
  fc.constantFrom('1:*', '$'),
)
const uid = fc.constantFrom('', 'UID ')
const flags = fc.constantFrom('()', '(\\Seen)', '(\\Deleted)', '\\Flagged $x', '(\\Recent)', '(\\Nope)')
const section = fc.constantFrom(
  '',
  '1',
  '1.1',
  '2',
  '2.1',
  '2.HEADER',
  '1.MIME',
  'TEXT',
  'HEADER.FIELDS (Subject)',
  '9',
  '1.',
  'HEADER.FIELDS.NOT ("x]y" to)',
  '2.1.1.1',
)
const item = fc.oneof(
  fc.constantFrom(
    'FLAGS',
    'UID',
    'ENVELOPE',
    'BODYSTRUCTURE',
    'BODY',
    'MODSEQ',
    'INTERNALDATE',
    'RFC822',
    'RFC822.SIZE',
    'EMAILID',
    'BINARY[1.1]',
    'BINARY.SIZE[3]',
    'BINARY.PEEK[2]<1.2>',
  ),
  fc
    .tuple(fc.constantFrom('BODY', 'BODY.PEEK'), section, fc.constantFrom('', '<0.5>', '<99.9>', '<1.0>'))
    .map(([name, what, partial]) => `${name}[${what}]${partial}`),
)
const key = fc.letrec((tie) => ({
  key: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(
      'ALL',
      'SEEN',
      'UNDELETED',
      'NEW',
      'OLD',
      'FROM ann',
      'BODY x',
      'TEXT "grüße"',
      'SINCE 1-Jan-2020',
      'SENTBEFORE "1-Jan-2020"',
      'LARGER 5',
      'MODSEQ 3',
      'HEADER x ""',
      'KEYWORD $x',
    ),
    set,
    set.map((each) => `UID ${each}`),
    tie('key').map((each) => `NOT ${each}`),
    fc.tuple(tie('key'), tie('key')).map(([a, b]) => `OR ${a} ${b}`),
    fc.tuple(tie('key'), tie('key')).map(([a, b]) => `(${a} ${b})`),
  ),
})).key as fc.Arbitrary<string>
const command = fc.oneof(
  fc
    .tuple(uid, set, fc.array(item, { minLength: 1, maxLength: 3 }), fc.constantFrom('', ' (CHANGEDSINCE 2)'))
    .map(([u, s, items, since]) => `${u}FETCH ${s} (${items.join(' ')})${since}`),
  fc
    .tuple(uid, set, fc.constantFrom('', '(UNCHANGEDSINCE 5) '), fc.constantFrom('', '+', '-'), fc.constantFrom('', '.SILENT'), flags)
    .map(([u, s, since, sign, silent, f]) => `${u}STORE ${s} ${since}${sign}FLAGS${silent} ${f}`),
  fc
    .tuple(uid, fc.constantFrom('COPY', 'MOVE'), set, fc.constantFrom('INBOX', 'Sent', 'none'))
    .map((parts) => `${parts[0]}${parts[1]} ${parts[2]} ${parts[3]}`),
  fc.tuple(uid, fc.constantFrom('', 'RETURN () ', 'RETURN (SAVE) ', 'RETURN (MIN MAX COUNT SAVE) '), key).map(([u, returns, k]) => `${u}SEARCH ${returns}${k}`),
  fc.constantFrom(
    'EXPUNGE',
    'UID EXPUNGE 1:*',
    'NOOP',
    'CHECK',
    'SELECT INBOX',
    'EXAMINE INBOX (CONDSTORE)',
    'STATUS INBOX (MESSAGES RECENT SIZE HIGHESTMODSEQ)',
    'LIST "" *',
    'LSUB "" %',
    'ENABLE CONDSTORE',
    'IDLE\r\nDONE',
  ),
  fc.constant(`APPEND INBOX (\\Seen) {${knownMessage.length}+}\r\n${knownMessage}`),
)

export async function checkRandomCommands(store: AccountMail, runs: number): Promise<void> {
  const errors: object[] = []
  const log = { info: () => {}, warn: () => {}, error: (fields: object) => void errors.push(fields) }
  const imap = await listenImap({ login: async () => store, limits: { badCommandsMax: 1e9 }, log })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), command), { minLength: 5, maxLength: 40 }), async (steps) => {
      const clients = [await imap.client(), await imap.client()] as const
      const counts = [0, 0]
      const follow = (who: 0 | 1, responses: readonly string[]) => {
        for (const response of responses) {
          const [, n, what] = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)/.exec(response) ?? []
          if (what === 'EXISTS') counts[who] = Number(n)
          if (what !== 'EXISTS' && n !== undefined) expect(Number(n), response).toBeLessThanOrEqual(counts[who] as number)
          if (what !== undefined) expect(Number(n)).toBeGreaterThanOrEqual(what === 'EXISTS' ? 0 : 1)
          if (what === 'EXPUNGE') counts[who] = (counts[who] as number) - 1
        }
        expect(responses.at(-1)).toMatch(/^(OK|NO|BAD) /)
        expect(responses.at(-1)).not.toMatch(/SERVERBUG/)
      }
      for (const who of [0, 1] as const) {
        await clients[who].reply('LOGIN a b')
        follow(who, await clients[who].command('SELECT INBOX'))
      }
      for (const [first, text] of steps) {
        const who = first ? 0 : 1
        const responses = await clients[who].command(text)
        if (/^(FETCH|STORE|SEARCH)/.test(text)) expect(responses.filter((response) => / EXPUNGE$/.test(response))).toEqual([])
        follow(who, responses)
      }
      for (const who of [0, 1] as const) {
        const responses = await clients[who].command('SELECT INBOX')
        follow(who, responses)
        await clients[who].reply('LOGOUT')
      }
      expect(counts[0]).toBe(counts[1])
    }),
    { numRuns: runs },
  )
  expect(errors).toEqual([])
  await imap.close()
}
