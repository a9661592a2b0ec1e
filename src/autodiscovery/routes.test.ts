import fastify from 'fastify'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ReachableServer } from './access.ts'
import { autodiscoveryRoutes } from './routes.ts'
import { textOfElement, xmlDocument } from './xml.ts'

const all: ReachableServer = {
  name: 'mail1',
  hostName: 'mail.example.org',
  ports: { imap: 143, imaps: 993, submission: 587, submissions: 1465, smtp: 25, https: 443 },
}

function app(server: ReachableServer | undefined = all) {
  const made = fastify()
  autodiscoveryRoutes(made, { server: () => server, isLocalDomain: async (domain) => ['example.org', 'müller.example'].includes(domain) })
  return made
}

/** The elements that hold texts, as name=text in order; throws when the document is not well-formed. */
function leaves(xml: string): string[] {
  const open: string[] = []
  const found: string[] = []
  const body = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '')
  for (const [, close, name, text] of body.matchAll(/<(\/?)([\w]+)(?: \w+="[^"<>&]*(?:&\w+;[^"<>&]*)*")*>([^<>]*)/g)) {
    if (close === '/') expect(open.pop()).toBe(name)
    else {
      open.push(name ?? '')
      if ((text ?? '').trim() !== '' || text === '') found.push(`${name}=${text}`)
    }
  }
  expect(open).toEqual([])
  return found
}

const request = (address: string, schema = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a') =>
  `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>${address}</EMailAddress><AcceptableResponseSchema>${schema}</AcceptableResponseSchema></Request></Autodiscover>`

const post = async (payload: string, url = '/autodiscover/autodiscover.xml') =>
  app().inject({ method: 'POST', url, headers: { 'content-type': 'text/xml' }, payload })

test('autoconfig: by address or by the name that was asked, the same for everybody, TLS from the start first', async () => {
  const paths = ['/mail/config-v1.1.xml?emailaddress=ann%40Example.org', '/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=nobody@example.org']
  const byAddress = await Promise.all(paths.map((url) => app().inject({ url, headers: { host: 'elsewhere.net' } })))
  const byName = await Promise.all(
    ['autoconfig.example.org', 'AutoConfig.Example.Org:8080', 'example.org'].map((host) => app().inject({ url: '/mail/config-v1.1.xml', headers: { host } })),
  )
  const answers = [...byAddress, ...byName]
  for (const { statusCode, headers, body } of answers)
    expect([statusCode, headers['content-type'], body]).toEqual([200, 'text/xml; charset=utf-8', answers[0]?.body])
  const common = ['authentication=password-cleartext', 'username=%EMAILADDRESS%']
  const server = (port: number, socketType: string) => ['hostname=mail.example.org', `port=${port}`, `socketType=${socketType}`, ...common]
  expect(leaves(answers[0]?.body ?? '')).toEqual([
    ...['domain=example.org', 'displayName=example.org', 'displayShortName=example.org'],
    ...[server(993, 'SSL'), server(143, 'STARTTLS'), server(1465, 'SSL'), server(587, 'STARTTLS')].flat(),
  ])
  for (const url of ['/mail/config-v1.1.xml?emailaddress=ann@elsewhere.net', '/mail/config-v1.1.xml?emailaddress=ann', '/mail/config-v1.1.xml'])
    expect((await app().inject({ url, headers: { host: 'elsewhere.net' } })).statusCode, url).toBe(404)
})

test('autodiscover: the preferred way of each kind with the name to log in by, whatever the case of the path', async () => {
  for (const url of ['/autodiscover/autodiscover.xml', '/Autodiscover/Autodiscover.xml', '/AUTODISCOVER/AutoDiscover.XML']) {
    const answer = await post(request('o&apos;brien@Example.org'), url)
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/xml; charset=utf-8'])
    const protocol = (type: string, port: number) => [
      ...[`Type=${type}`, 'Server=mail.example.org', `Port=${port}`, 'DomainRequired=off', 'LoginName=o&apos;brien@Example.org', 'SPA=off', 'SSL=on'],
      ...['Encryption=SSL', 'AuthRequired=on'],
    ]
    expect(leaves(answer.body)).toEqual([
      ...['AutoDiscoverSMTPAddress=o&apos;brien@Example.org', 'AccountType=email', 'Action=settings'],
      ...protocol('IMAP', 993),
      ...protocol('SMTP', 1465),
    ])
  }
})

test('autodiscover says in its own way what it cannot answer', async () => {
  const mobile = 'http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006'
  const cases = [
    [request('ann@elsewhere.net'), '500'],
    [request('ann'), '500'],
    [request('ann@example.org', mobile), '601'],
    ['', '600'],
    ['<Autodiscover/>', '600'],
  ] as const
  for (const [payload, code] of cases) {
    const answer = await post(payload)
    expect([answer.statusCode, textOfElement(answer.body, 'ErrorCode')], payload).toEqual([200, code])
    leaves(answer.body)
  }
  expect((await post('x'.repeat(20_000))).statusCode).toBe(413)
})

test('without TLS a GET is sent on to the name whose certificate is right', async () => {
  const get = (host: string, server?: ReachableServer) => app(server).inject({ url: '/Autodiscover/autodiscover.xml', headers: { host } })
  expect((await get('autodiscover.example.org')).headers.location).toBe('https://mail.example.org/autodiscover/autodiscover.xml')
  expect((await get('example.org', { name: 'mail1', ports: { https: 8443 } })).headers.location).toBe(
    'https://mail1.example.org:8443/autodiscover/autodiscover.xml',
  )
  for (const [host, server] of [
    ['evil.example', all],
    ['autodiscover.example.org', { name: 'mail1', ports: {} }],
  ] as const) {
    const answer = await get(host, server)
    expect([answer.statusCode, textOfElement(answer.body, 'ErrorCode')]).toEqual([200, '600'])
  }
})

test('whatever stands in an element, the document is well-formed and gives it back; whatever is sent is answered', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
      const xml = xmlDocument(['a', { b: text }, [['c', {}, text]]])
      leaves(xml)
      if (/^[\x20-\x7e]*$/.test(text)) expect(textOfElement(xml, 'c')).toBe(text.trim())
    }),
  )
  const pieces = fc.constantFrom(
    '<',
    '>',
    '</',
    'EMailAddress',
    '<a:EMailAddress ',
    '<EMailAddress>',
    'ann@example.org',
    '</EMailAddress>',
    '&amp;',
    '&',
    '\0',
    ' ',
    'ü',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 60 }), async (words) => {
      const answer = await post(words.join(''))
      expect(answer.statusCode).toBe(200)
      leaves(answer.body)
    }),
  )
})
