import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createDirectory } from '../directory/accounts.ts'
import { type Scripts, scriptsOf } from '../filter/scripts.ts'
import { createMailStore } from '../mailbox/mail-store.ts'
import { createMount } from '../mount/mount.ts'
import { startThrowaway, type Throwaway } from '../postgres/fixture.ts'
import { listenManageSieve, literal, type ListeningManageSieve } from './fixture.ts'
import type { ManageSieveListenerOptions } from './listener.ts'
import { selfSigned } from '../smtp/fixture.ts'

let postgres: Throwaway
const ends: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  postgres = await startThrowaway()
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => postgres?.stop())

interface Rig extends ListeningManageSieve {
  readonly scripts: Scripts
  hold(held: boolean): void
}

async function rig(options: Partial<ManageSieveListenerOptions> = {}, waitMsMax = 20_000): Promise<Rig> {
  const mount = createMount({ name: 'test', waitMsMax })
  ends.push(() => mount.close())
  const target = { ...(await postgres.database()), epoch: 0, held: false }
  mount.target(target)
  await createMailStore(mount).migrate()
  const directory = createDirectory(mount)
  const { accountId } = await directory.createAccount({ address: 'ann@example.org', password: 'sécret' })
  const listening = await listenManageSieve({
    login: async (username, password) => {
      const account = await directory.authenticate(username, password)
      return account && { address: account.address, scripts: scriptsOf(mount, account.accountId) }
    },
    ...options,
  })
  ends.push(() => listening.close())
  return { ...listening, scripts: scriptsOf(mount, accountId), hold: (held) => mount.target({ ...target, held }) }
}

const plain = (username: string, password: string, actFor = '') => Buffer.from(`${actFor}\0${username}\0${password}`).toString('base64')
const login = `AUTHENTICATE "PLAIN" "${plain('ann@example.org', 'sécret')}"`

async function loggedIn(from: ListeningManageSieve) {
  const client = await from.client()
  expect(await client.outcome(login)).toBe('OK')
  return client
}

const capabilityOf = (data: readonly (readonly string[])[], name: string) => data.find(([key]) => key === name)?.[1]

test('before login there is little to do, and no password in clear text', async () => {
  const client = await (await rig({ clearTextLogin: 'refused', tls: selfSigned() })).client()
  const { data } = await client.do('capability')
  expect(data.map(([name]) => name).sort()).toEqual(['IMPLEMENTATION', 'MAXREDIRECTS', 'SASL', 'SIEVE', 'STARTTLS', 'UNAUTHENTICATE', 'VERSION'])
  expect([capabilityOf(data, 'SASL'), capabilityOf(data, 'VERSION')]).toEqual(['', '1.0'])
  expect(capabilityOf(data, 'SIEVE')?.split(' ')).toContain('fileinto')
  expect(await client.outcome(login)).toBe('NO ENCRYPT-NEEDED')
  for (const command of ['LISTSCRIPTS', 'GETSCRIPT "x"', `PUTSCRIPT "x" ${literal('x'.repeat(50_000))}`, 'HAVESPACE "x" 1', 'UNAUTHENTICATE', 'FROBNICATE', ''])
    expect(await client.outcome(command), command).toBe('NO')
  expect(await client.do('NOOP "still here"')).toMatchObject({ condition: 'OK', code: 'TAG', codeValue: 'still here' })
  expect(await client.do('NOOP')).toMatchObject({ condition: 'OK', code: undefined })
  expect(await client.outcome('LOGOUT\r\nNOOP "ignored"')).toBe('OK')
  await client.end()
  expect(client.received).toBe('')
})

test('STARTTLS: capabilities come again, and what was sent ahead is not heard', async () => {
  const client = await (await rig({ clearTextLogin: 'refused', tls: selfSigned() })).client()
  client.say('STARTTLS\r\nNOOP "slipped in"\r\nLOGOUT\r\n')
  expect(await client.answer()).toMatchObject({ condition: 'OK', data: [] })
  client.secure()
  const { data, condition } = await client.answer()
  expect([condition, capabilityOf(data, 'SASL'), data.some(([name]) => name === 'STARTTLS')]).toEqual(['OK', 'PLAIN', false])
  expect(await client.do('NOOP "x"')).toMatchObject({ codeValue: 'x' })
  expect(await client.outcome('STARTTLS')).toBe('NO')
  expect(await client.outcome(login)).toBe('OK')
  expect(capabilityOf((await client.do('CAPABILITY')).data, 'OWNER')).toBe('ann@example.org')
})

test('AUTHENTICATE: with and without initial response, cancelled, for somebody else; five failures end the session', async () => {
  const service = await rig({ tls: selfSigned() })
  const client = await service.client()
  const asked = async (response: string) => {
    client.say('Authenticate "plain"\r\n')
    await expect.poll(() => client.received).toBe('""\r\n')
    client.received = ''
    return client.outcome(response)
  }
  expect(await asked('"*"')).toBe('NO')
  expect(await asked('"%%%"')).toBe('NO')
  expect(await asked(literal(plain('ann@example.org', 'sécret', 'ann@example.org')))).toBe('OK')
  expect((await client.do('CAPABILITY')).data.map(([name]) => name)).not.toContain('STARTTLS')
  expect(await client.outcome(login)).toBe('NO')
  expect(await client.outcome('STARTTLS')).toBe('NO')
  expect(await client.outcome('UNAUTHENTICATE "x"')).toBe('NO')
  expect(await client.outcome('UNAUTHENTICATE')).toBe('OK')
  expect(await client.outcome('LISTSCRIPTS')).toBe('NO')
  expect(await client.outcome('AUTHENTICATE "SCRAM-SHA-1"')).toBe('NO')
  const refused = [plain('ann@example.org', 'secret'), plain('ann@example.org', 'sécret', 'bob@example.org'), plain('', ''), plain('a\0b', 'c')]
  for (const response of refused) expect(await client.outcome(`AUTHENTICATE "PLAIN" "${response}"`), response).toBe('NO')
  for (const expected of ['NO', 'NO', 'BYE']) expect(await client.outcome(`AUTHENTICATE "PLAIN" "${plain('nobody@example.org', 'x')}"`)).toBe(expected)
  await client.end()
})

test('the life of a script, to the byte, and what is refused with which response code', async () => {
  const service = await rig()
  const client = await loggedIn(service)
  const [name, content] = ['Ferien "im" März', '# grüße\r\nkeep;\r\n']
  const quoted = `"${Buffer.from(name.replaceAll('"', '\\"')).toString('latin1')}"`
  expect(await client.outcome(`PUTSCRIPT ${literal(name)} ${literal(content)}`)).toBe('OK')
  expect((await client.do(`GETSCRIPT ${quoted}`)).data).toEqual([[Buffer.from(content).toString('latin1')]])
  expect(await client.outcome('PUTSCRIPT "second" "stop;"')).toBe('OK')
  expect(await client.outcome(`SETACTIVE ${quoted}`)).toBe('OK')
  expect((await client.do('LISTSCRIPTS')).data).toEqual([[Buffer.from(name).toString('latin1'), ':ACTIVE'], ['second']])
  expect(await client.outcome(`RENAMESCRIPT ${quoted} "second"`)).toBe('NO ALREADYEXISTS')
  expect(await client.outcome(`RENAMESCRIPT ${quoted} "main"`)).toBe('OK')
  expect(await client.outcome('DELETESCRIPT "main"')).toBe('NO ACTIVE')
  for (const command of ['GETSCRIPT "x"', 'DELETESCRIPT "x"', 'SETACTIVE "x"', 'RENAMESCRIPT "x" "y"'])
    expect(await client.outcome(command)).toBe('NO NONEXISTENT')
  expect((await client.do('LISTSCRIPTS')).data).toEqual([['main', ':ACTIVE'], ['second']])
  for (const _ of [1, 2]) expect(await client.outcome('SETACTIVE ""')).toBe('OK')
  expect(await client.outcome('DELETESCRIPT "main"')).toBe('OK')
  expect(await service.scripts.list()).toEqual([{ name: 'second', active: false }])
  for (const bad of [literal(''), literal('a\0'), literal('a\r\nb'), literal('\u2028'), literal('x'.repeat(129)), '{1+}\r\n\xff', '"\x80"'])
    expect(await client.outcome(`PUTSCRIPT ${bad} "keep;"`), bad).toBe('NO')
  expect(await service.scripts.list()).toHaveLength(1)
})

test('a script with an error is refused with line and column, and the one that is there stays', async () => {
  const service = await rig()
  const client = await loggedIn(service)
  await client.do('PUTSCRIPT "main" "keep;"')
  const wrong = literal('keep;\r\n  frobnicate;\r\n')
  for (const command of [`PUTSCRIPT "main" ${wrong}`, `CHECKSCRIPT ${wrong}`])
    expect(await client.do(command)).toMatchObject({ condition: 'NO', code: undefined, text: 'line 2, column 3: unknown command "frobnicate"' })
  expect(await service.scripts.get('main')).toBe('keep;')
  expect(await client.outcome('CHECKSCRIPT "stop;"')).toBe('OK')
  expect(await client.outcome(`CHECKSCRIPT ${literal('# \xff'.replace('\xff', 'ÿ'))}`)).toBe('OK')
  expect(await client.outcome('CHECKSCRIPT {1+}\r\n\xff')).toBe('NO')
  const warned = await client.do(`PUTSCRIPT "many" ${literal(Array.from({ length: 6 }, (_, i) => `redirect "a${i}@example.org";\r\n`).join(''))}`)
  expect(warned).toMatchObject({ condition: 'OK', code: 'WARNINGS' })
  expect(warned.text?.split('\r\n').map((line) => line.slice(0, 7))).toEqual(['line 5,', 'line 6,'])
})

test('quotas: a script of 64 KB and fifty of them, told ahead and when it comes', async () => {
  const service = await rig()
  const client = await loggedIn(service)
  const script = (bytes: number) => literal('#'.repeat(bytes))
  expect(await client.outcome('HAVESPACE "x" 65536')).toBe('OK')
  expect(await client.outcome(`PUTSCRIPT "x" ${script(65_536)}`)).toBe('OK')
  for (const command of ['HAVESPACE "x" 65537', 'HAVESPACE "x" 4294967295', `PUTSCRIPT "x" ${script(65_537)}`, `PUTSCRIPT "x" ${script(200_000)}`])
    expect(await client.outcome(command)).toBe('NO QUOTA/MAXSIZE')
  for (const command of [`CHECKSCRIPT ${script(65_537)}`, `CHECKSCRIPT ${script(200_000)}`, 'HAVESPACE "x" 0', 'PUTSCRIPT "x" ""', 'HAVESPACE "x" "1"'])
    expect(await client.outcome(command)).toBe('NO')
  for (let i = 1; i < 50; i++) await service.scripts.put(`s${i}`, 'keep;')
  for (const command of ['HAVESPACE "new" 1', 'PUTSCRIPT "new" "keep;"']) expect(await client.outcome(command)).toBe('NO QUOTA/MAXSCRIPTS')
  expect(await client.outcome('HAVESPACE "s1" 100')).toBe('OK')
  expect(await client.outcome('PUTSCRIPT "s1" "stop;"')).toBe('OK')
  client.say('PUTSCRIPT "x" {100000000+}\r\n')
  expect((await client.answer()).condition).toBe('BYE')
  await client.end()
})

test('a database that is held: the answer is late; held beyond the limit it is TRYLATER', async () => {
  const service = await rig()
  const client = await loggedIn(service)
  const other = await service.client()
  service.hold(true)
  client.say('PUTSCRIPT "late" "keep;"\r\n')
  other.say(`${login}\r\n`)
  expect((await (await service.client()).do('NOOP')).condition).toBe('OK')
  expect([client.received, other.received]).toEqual(['', ''])
  service.hold(false)
  expect((await client.answer()).condition).toBe('OK')
  expect((await other.answer()).condition).toBe('OK')
  expect(await service.scripts.get('late')).toBe('keep;')

  const impatient = await rig({ log: { info: () => {}, error: () => {} } }, 50)
  const waiting = await loggedIn(impatient)
  impatient.hold(true)
  expect(await waiting.outcome('LISTSCRIPTS')).toBe('NO TRYLATER')
  impatient.hold(false)
  expect(await waiting.outcome('LISTSCRIPTS')).toBe('OK')
})

test('on a planned move the command in flight is answered, a script in transfer too, then BYE', async () => {
  const service = await rig()
  const [idle, thinking, busy, sending] = [await service.client(), await service.client(), await loggedIn(service), await loggedIn(service)]
  thinking.say('AUTHENTICATE "PLAIN"\r\n')
  await expect.poll(() => thinking.received).toBe('""\r\n')
  thinking.received = ''
  service.hold(true)
  busy.say('PUTSCRIPT "busy" "keep;"\r\nPUTSCRIPT "never" "keep;"\r\n')
  sending.say('NOOP\r\nPUTSCRIPT "sent" {5+}\r\nke')
  await sending.answer()
  const drained = service.listener.drain()
  for (const client of [idle, thinking]) expect(await client.answer()).toMatchObject({ condition: 'BYE', code: 'TRYLATER' })
  sending.say('ep;\r\n')
  service.hold(false)
  for (const client of [busy, sending]) {
    expect((await client.answer()).condition).toBe('OK')
    expect(await client.answer()).toMatchObject({ condition: 'BYE', code: 'TRYLATER' })
    await client.end()
  }
  await drained
  expect((await service.scripts.list()).map(({ name }) => name)).toEqual(['busy', 'sent'])
  await expect(service.client()).resolves.toMatchObject({ received: '' })
})

test('silence, endless lines and nonsense end the session with BYE, and no other', async () => {
  const service = await rig({ limits: { silenceBeforeLoginMsMax: 100 } })
  const witness = await loggedIn(service)
  const silent = await service.client()
  const slow = await service.client()
  slow.say(`PUTSCRIPT "x" {10+}\r\nabc`)
  for (const client of [silent, slow]) {
    expect((await client.answer()).condition).toBe('BYE')
    await client.end()
  }
  const endless = await loggedIn(service)
  endless.say('x'.repeat(100_000))
  expect((await endless.answer()).condition).toBe('BYE')
  const nonsense = await loggedIn(service)
  for (let i = 0; i < 10; i++) expect(await nonsense.outcome('GET / HTTP/1.1')).toBe('NO')
  expect((await nonsense.answer()).condition).toBe('BYE')
  expect(await witness.outcome('NOOP')).toBe('OK')
})

test('whatever is sent, every answer keeps to the grammar, and other sessions do not notice', async () => {
  const service = await rig({ limits: { badCommandsMax: 1000 } })
  const witness = await loggedIn(service)
  const words = [
    '"main"',
    '"a\\"b"',
    '""',
    literal('x y'),
    literal('keep;'),
    literal('é\r\n'),
    '{2+}\r\n\xff\0',
    '5',
    '{9}',
    '(',
    '"',
    '\0',
    '"keep;"',
    literal('#'.repeat(70_000)),
  ]
  const names = ['PUTSCRIPT', 'getscript', 'LISTSCRIPTS', 'SETACTIVE', 'DELETESCRIPT', 'RENAMESCRIPT', 'CHECKSCRIPT', 'HAVESPACE', 'NOOP', 'CAPABILITY', 'X']
  const line = fc
    .tuple(fc.constantFrom(...names), fc.array(fc.constantFrom(...words), { maxLength: 3 }))
    .map(([name, args]) => `${[name, ...args].join(' ')}\r\n`)
  const noise = fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof({ weight: 5, arbitrary: line }, { weight: 1, arbitrary: noise }), { maxLength: 12 }), async (lines) => {
      const client = await loggedIn(service)
      client.say(`${lines.join('')}\r\nNOOP "end"\r\nLOGOUT\r\n`)
      client.socket.end()
      await client.end()
      const last = { condition: '' }
      while (client.received !== '') Object.assign(last, await client.answer())
      expect(['OK', 'BYE', 'NO']).toContain(last.condition)
      expect(await witness.outcome('NOOP')).toBe('OK')
    }),
    { numRuns: 150, seed: 5804 },
  )
})
