import { expect, test } from 'vitest'
import { zoneOf } from './zone.ts'

/** Owner, type and value of every record, comments left out. */
const records = (options: Partial<Parameters<typeof zoneOf>[0]> = {}) =>
  zoneOf({
    domain: 'example.org',
    server: { name: 'mail1', ports: { smtp: 25, imaps: 993, imap: 143, submissions: 465, sieve: 4190 } },
    addresses: ['192.0.2.7'],
    senderAddresses: ['192.0.2.1', '2001:db8::1'],
    ...options,
  })
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(';'))
    .map((line) => line.replace(/\s+/g, ' '))

test('a domain whose server has a name of its own, or one in the domain', () => {
  expect(records()).toEqual([
    '$ORIGIN example.org.',
    'mail1.example.org. IN A 192.0.2.7',
    '@ IN MX 10 mail1.example.org.',
    '_imaps._tcp IN SRV 0 1 993 mail1.example.org.',
    '_imap._tcp IN SRV 10 1 143 mail1.example.org.',
    '_submissions._tcp IN SRV 0 1 465 mail1.example.org.',
    '_submission._tcp IN SRV 0 0 0 .',
    '_sieve._tcp IN SRV 0 1 4190 mail1.example.org.',
    '_pop3._tcp IN SRV 0 0 0 .',
    '_pop3s._tcp IN SRV 0 0 0 .',
    '@ IN TXT "v=spf1 mx ip4:192.0.2.1 ip6:2001:db8::1 ~all"',
    '_dmarc IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.org"',
  ])
  const named = records({ server: { name: 'mail1', hostName: 'mx.example.net', ports: { smtp: 25 } }, addresses: ['192.0.2.7', '2001:db8::7'] })
  expect(named.slice(1, 4)).toEqual(['mx.example.net. IN A 192.0.2.7', 'mx.example.net. IN AAAA 2001:db8::7', '@ IN MX 10 mx.example.net.'])
})

test('what is served over HTTP is found by name; a port that MX cannot tell, and domains that are not ASCII', () => {
  const web = records({ server: { name: 'mail1', ports: { smtp: 1025, http: 80, https: 8443 } } })
  expect(web.filter((record) => /MX|auto/.test(record))).toEqual([
    'autoconfig IN CNAME mail1.example.org.',
    'autodiscover IN CNAME mail1.example.org.',
    '_autodiscover._tcp IN SRV 0 1 8443 mail1.example.org.',
  ])
  expect(records({ domain: 'müller.example' }).slice(0, 2)).toEqual(['$ORIGIN xn--mller-kva.example.', 'mail1.xn--mller-kva.example. IN A 192.0.2.7'])
})

test('a TXT record of more than 255 octets is cut into strings', () => {
  const spf = records({ senderAddresses: Array.from({ length: 30 }, (_, i) => `192.0.2.${100 + i}`) }).find((record) => record.includes('spf1')) ?? ''
  const strings = [...spf.matchAll(/"([^"]*)"/g)].map(([, string]) => string ?? '')
  expect(Math.max(...strings.map((string) => string.length))).toBe(255)
  expect(strings.join('')).toMatch(/^v=spf1 mx (ip4:192\.0\.2\.\d+ ){30}~all$/)
})
