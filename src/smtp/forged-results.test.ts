import fc from 'fast-check'
import { expect, test } from 'vitest'
import { withoutForgedResults } from './forged-results.ts'

const name = 'mail.example.org'
const forged = [
  `Authentication-Results: ${name}; dmarc=pass\r\n`,
  `AUTHENTICATION-RESULTS : MAIL.example.ORG 1;\r\n\tdkim=pass\r\n`,
  `Authentication-Results: (a (nested) comment)\r\n ${name}; none\r\n`,
  `Authentication-Results: "${name}"; spf=pass\n`,
]
const honest = [
  'Authentication-Results: mx.example.net; spf=fail\r\n',
  'Subject: Authentication-Results: mail.example.org;\r\n',
  'X-Odd\r\n',
  'From: a@example.net\r\n folded\r\n',
]

test('only results that claim to be ours go, and every other byte stays', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...forged, ...honest), { maxLength: 12 }), fc.uint8Array({ maxLength: 200 }), (fields, body) => {
      const rest = Buffer.concat([Buffer.from('\r\n'), Buffer.from(`${forged[0]}`), body])
      const given = Buffer.concat([Buffer.from(fields.join('')), rest])
      const kept = Buffer.concat([Buffer.from(fields.filter((field) => !forged.includes(field)).join('')), rest])
      expect(withoutForgedResults(given, name).equals(kept)).toBe(true)
    }),
  )
})
