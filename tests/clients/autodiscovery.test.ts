import { execFileSync } from 'node:child_process'
import { request } from 'node:http'
import { request as requestTls, type RequestOptions } from 'node:https'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NodeFixture } from '../node-fixture.ts'

// One node with a server that has a DNS name: what is given to the cluster is what clients are told, over HTTP and by DNS.

const nodes = new NodeFixture()
const address = '127.0.72.9'
const ports = { postgres: 7986, imaps: 7987, submissions: 7988, http: 7989, https: 7990 }

function handoff(...args: readonly string[]): string {
  const program = resolve(import.meta.dirname, '../../bin/handoff')
  return execFileSync(process.execPath, [program, '--socket', join(nodes.directory('a'), 'handoffd.sock'), ...args], { encoding: 'utf8', input: 'secret\n' })
}

function asked(how: typeof requestTls, options: RequestOptions, body = ''): Promise<{ readonly location: string | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = how({ host: address, ...options }, (answer) => {
      text(answer).then((said) => resolve({ location: answer.headers.location, body: said }), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

beforeAll(async () => {
  nodes.write('a', { role: 'data', store: nodes.ownStore('a'), postgres: { listen: [nodes.address('a')] }, mailbox: { workers: 1 } })
  nodes.start('a')
  await nodes.said('a', /handoffd is running/)
  handoff('cluster', 'create', '--name', 'test')
  handoff('storage-group', 'create', 'sg1', '--nodes', 'a', '--port', String(ports.postgres))
  handoff('database', 'create', 'mail', '--storage-group', 'sg1')
  const { postgres: _, ...listeners } = ports
  const given = Object.entries({ smtp: 7991, submission: 7992, lmtp: 7993, imap: 7994, sieve: 7995, ...listeners }).map(([name, port]) => `${name}=${port}`)
  handoff('server', 'create', 'mail1', '--nodes', 'a', '--address', address, '--database', 'mail', '--host', 'mx.example.net', '--port', ...given)
  handoff('mailbox', 'create', 'ann@example.org')
})
afterAll(() => nodes.end())

test('a mail client is told the name and the ports of the server', async () => {
  const answer = await fetch(`http://${address}:${ports.http}/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=ann@example.org`)
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/xml; charset=utf-8'])
  const xml = await answer.text()
  expect([...xml.matchAll(/<hostname>(.*)<\/hostname>\s*<port>(.*)<\/port>/g)].map(([, host, port]) => `${host}:${port}`)).toEqual(
    [ports.imaps, 7994, ports.submissions, 7992].map((port) => `mx.example.net:${port}`),
  )
  expect((await fetch(`http://${address}:${ports.http}/mail/config-v1.1.xml?emailaddress=ann@example.com`)).status).toBe(404)
  const outlook = { path: '/Autodiscover/Autodiscover.xml', headers: { host: 'autodiscover.example.org' } }
  expect(await asked(request, { port: ports.http, ...outlook })).toMatchObject({
    location: `https://mx.example.net:${ports.https}/autodiscover/autodiscover.xml`,
  })
  const settings = await asked(
    requestTls,
    { port: ports.https, method: 'POST', rejectUnauthorized: false, ...outlook },
    '<EMailAddress>ann@example.org</EMailAddress>',
  )
  expect(settings.body).toMatch(/<Server>mx\.example\.net<\/Server>/)
})

test('the zone of every domain that has mailboxes there, and of those that are named', async () => {
  const zone = handoff('server', 'dns', 'mail1')
  expect(zone).toMatch(/^\$ORIGIN example\.org\.$/m)
  expect(zone).toMatch(new RegExp(`^mx\\.example\\.net\\. +IN A +${address}$`, 'm'))
  expect(zone).toMatch(new RegExp(`^_imaps\\._tcp +IN SRV +0 1 ${ports.imaps} mx\\.example\\.net\\.$`, 'm'))
  expect(zone).toMatch(new RegExp(`^@ +IN TXT +"v=spf1 mx ip4:${nodes.address('a')} ~all"$`, 'm'))
  const named = JSON.parse(handoff('server', 'dns', 'mail1', '--domain', 'a.example,b.example', '--json')) as { domain: string }[]
  expect(named.map(({ domain }) => domain)).toEqual(['a.example', 'b.example'])
  expect(() => handoff('server', 'dns', 'sg1')).toThrow('GROUP_UNKNOWN')
})
