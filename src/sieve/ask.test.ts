import { expect, test } from 'vitest'
import { evaluateAsking } from './ask.ts'
import { compile } from './compile.ts'
import { coyote, quietEnvironment } from './fixture.ts'

test('each question is asked once, and the answers decide', async () => {
  const asked: string[] = []
  const answer = async <T>(question: string, value: T): Promise<T> => {
    asked.push(question)
    return value
  }
  const program = compile(`require ["mailbox", "fileinto", "special-use", "duplicate"];
    if mailboxexists ["a", "b", "a"] { fileinto :specialuse "\\\\Junk" "x"; }
    if duplicate { keep; }`)
  const outcome = await evaluateAsking(
    program,
    { bytes: new TextEncoder().encode(coyote.join('\r\n')), envelope: { from: '', to: 'a@example.com' } },
    {
      ...quietEnvironment,
      mailboxExists: (name) => answer(`exists ${name}`, true),
      mailboxesWith: (use) => answer(`with ${use}`, ['Spam']),
      isDuplicate: (key) => answer(`duplicate ${key}`, true),
    },
  )
  expect(asked).toEqual(['exists a', 'exists b', 'with \\Junk', 'duplicate ["","<present@desert.example.org>"]'])
  expect(outcome.actions).toMatchObject([{ kind: 'fileInto', mailbox: 'Spam' }, { kind: 'keep' }])
})

test('what goes wrong while an answer is fetched is not taken for an answer', async () => {
  const facts = {
    ...quietEnvironment,
    mailboxExists: () => Promise.reject(new Error('the database is held')),
    mailboxesWith: async () => [],
    isDuplicate: async () => false,
  }
  const delivery = { bytes: new Uint8Array(), envelope: { from: '', to: 'a@example.com' } }
  await expect(evaluateAsking(compile('require "mailbox"; if mailboxexists "a" {}'), delivery, facts)).rejects.toThrow('the database is held')
})
