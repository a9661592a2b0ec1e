import { afterAll, beforeAll, expect, test } from 'vitest'
import { listenImap, type ListeningImap, type RawClient } from './fixture.ts'
import { knownEnvelope, knownMessage, knownSections, knownStructure } from './known-message.ts'
import { openTestAccount, type TestAccount } from './test-account.ts'

let account: TestAccount
let imap: ListeningImap
let client: RawClient
beforeAll(async () => {
  account = await openTestAccount()
  imap = await listenImap({ login: async () => account.store })
  client = await imap.client()
  await client.reply('LOGIN a b')
  await client.append('INBOX', knownMessage)
  await client.reply('EXAMINE INBOX')
})
afterAll(async () => {
  await imap.close()
  await account.close()
})

async function fetch(items: string): Promise<string> {
  const [response] = await client.command(`FETCH 1 (${items})`)
  return /^\* 1 FETCH \((.*)\)$/s.exec(response ?? '')?.[1] ?? `no FETCH: ${response}`
}

test.each(knownSections)('BODY[%s] is that slice of the message', async (section, content) => {
  expect(await fetch(`BODY.PEEK[${section}]`)).toBe(`BODY[${section}] ${content === undefined ? 'NIL' : `{${content.length}}\r\n${content}`}`)
  if (content === undefined) return
  expect(await fetch(`BODY.PEEK[${section}]<2.5>`)).toBe(`BODY[${section}]<2> {${content.slice(2, 7).length}}\r\n${content.slice(2, 7)}`)
})

test('ENVELOPE and BODYSTRUCTURE', async () => {
  expect(await fetch('ENVELOPE')).toBe(`ENVELOPE ${knownEnvelope}`)
  expect((await fetch('BODYSTRUCTURE')).toLowerCase()).toBe(`bodystructure ${knownStructure.toLowerCase()}`)
  expect(await fetch('BODY')).toMatch(/^BODY \(\(\("text" "plain" .*"mixed"\)$/is)
})

test('BINARY undoes the transfer encoding; a partial beyond the end is empty', async () => {
  expect(await fetch('BINARY.PEEK[1.1] BINARY.SIZE[1.1]')).toBe(`BINARY[1.1] {10}\r\n${Buffer.from('Grüße!\r\n').toString('latin1')} BINARY.SIZE[1.1] 10`)
  expect(await fetch('BINARY.PEEK[3]')).toBe('BINARY[3] ~{4}\r\n\0\x01\x02\x03')
  expect(await fetch('BODY.PEEK[]<99999.5>')).toBe('BODY[]<99999> {0}\r\n')
})

test('old names: RFC822, RFC822.HEADER, RFC822.TEXT, RFC822.SIZE', async () => {
  expect(await fetch('RFC822.SIZE')).toBe(`RFC822.SIZE ${knownMessage.length}`)
  const [all, headerOnly, text] = [await fetch('RFC822'), await fetch('RFC822.HEADER'), await fetch('RFC822.TEXT')]
  expect(all).toBe(`RFC822 {${knownMessage.length}}\r\n${knownMessage}`)
  expect(headerOnly.length + text.length).toBeGreaterThan(knownMessage.length)
})

test('nothing of this set \\Seen: the mailbox is read-only', async () => {
  expect(await fetch('FLAGS')).toBe('FLAGS ()')
})
