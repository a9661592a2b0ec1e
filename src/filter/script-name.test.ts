import fc from 'fast-check'
import { expect, test } from 'vitest'
import { scriptName } from './script-name.ts'

test('128 characters of any kind make a name; control characters, line ends and halves of characters do not', () => {
  for (const name of ['x', '𝄞'.repeat(128), 'Ferien im März', 'a"b\\c/..']) expect(scriptName(name)).toBe(name.normalize('NFC'))
  for (const name of ['', '𝄞'.repeat(129), 'a\0', 'a\r\n', '\u0085', '\u2028', 'a\u2029b', '\x7f', '\ud834'])
    expect(() => scriptName(name), JSON.stringify(name)).toThrow(expect.objectContaining({ code: 'SIEVE_SCRIPT_NAME_INVALID' }))
})

test('however letters are composed, the name is one', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('u\u0308', 'ü', 'e\u0301', 'Å', 'a', '\u0327'), minLength: 1, maxLength: 40 }), (name) => {
      expect(scriptName(name.normalize('NFD'))).toBe(scriptName(name.normalize('NFC')))
    }),
  )
})
