import { expect, test } from 'vitest'
import { isAddress, isMailboxName, isSpecialUse, mailboxAddress } from './syntax.ts'

test.each([
  ['a@example.com', true],
  ['a.b+c@example.com', true],
  ['"a b"@example.com', true],
  ['grüße@exämple.com', true],
  ['a@[192.0.2.1]', true],
  ['a@[IPv6:2001:db8::1]', true],
  ['a', false],
  ['a@', false],
  ['@example.com', false],
  ['a@.example.com', false],
  ['a@example..com', false],
  ['a b@example.com', false],
  ['a@example.com, b@example.com', false],
  ['<a@example.com>', false],
  ['a@example.com\r\nBcc: b@example.com', false],
  [`${'a'.repeat(400)}@example.com`, false],
])('address %s: %s', (text, result) => expect(isAddress(text)).toBe(result))

test.each([
  ['a@example.com', 'a@example.com'],
  ['"A, B" <a@example.com>', 'a@example.com'],
  ['a', undefined],
  ['A <a>', undefined],
  ['a@example.com, b@example.com', undefined],
  ['group: a@example.com;', undefined],
  ['', undefined],
])('mailbox %s', (text, address) => expect(mailboxAddress(text)).toBe(address))

test.each([
  ['INBOX', true],
  ['Grüße/2026', true],
  ['', false],
  ['a\nb', false],
])('name of a mailbox %j: %s', (text, result) => expect(isMailboxName(text)).toBe(result))

test.each([
  ['\\Junk', true],
  ['Junk', false],
  ['\\', false],
  ['\\a b', false],
])('special use %s: %s', (text, result) => expect(isSpecialUse(text)).toBe(result))
