import { Resolver } from 'node:dns/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNameServer } from './fixture.ts'
import { newPrivateKey, publicRecord, type SigningKey, signatures } from './signing.ts'
import { type Offer, verify } from './verify.ts'

let dns: Awaited<ReturnType<typeof startNameServer>>
const keys: SigningKey[] = []
const name = 'mail.example.org'
const at = new Date('2026-01-02T03:04:05Z')

beforeAll(async () => {
  for (const algorithm of ['rsa-sha256', 'ed25519-sha256'] as const)
    keys.push({ domain: 'strict.test', selector: algorithm.slice(0, 3), algorithm, privateKey: await newPrivateKey(algorithm) })
  dns = await startNameServer({
    'strict.test': 'v=spf1 ip4:192.0.2.1 -all',
    '_dmarc.strict.test': 'v=DMARC1; p=reject',
    'lax.test': 'v=spf1 ip4:192.0.2.1 -all',
    '_dmarc.lax.test': 'v=DMARC1; p=none',
    'many.test': `v=spf1 ${Array.from({ length: 12 }, (_, i) => `include:i${i}.many.test`).join(' ')} -all`,
    ...Object.fromEntries(keys.map((key) => [publicRecord(key).name, publicRecord(key).text])),
  })
})
afterAll(() => dns?.stop())

const message = (domain: string) => Buffer.from(`From: Ann <ann@${domain}>\r\nSubject: x\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n\r\nbody\r\n`)
const ask = (
  offer: Partial<Offer> & { readonly content: Buffer },
  resolver: Pick<Resolver, 'resolve'> = dns.resolver,
  trustedSealers: readonly string[] = [],
) => verify({ remoteAddress: '192.0.2.9', helo: 'client.example.net', from: 'ann@strict.test', ...offer }, { resolver, name, timeoutMs: 2000, trustedSealers })

test('a message from where its domain sends passes', async () => {
  const { header, refusal } = await ask({ remoteAddress: '192.0.2.1', content: message('strict.test') })
  expect(header).toMatch(/Authentication-Results: mail\.example\.org;.*spf=pass.*dmarc=pass/s)
  expect(refusal).toBeUndefined()
})

test('from elsewhere it is refused as its domain asks, or marked', async () => {
  expect(await ask({ content: message('strict.test') })).toMatchObject({ refusal: { domain: 'strict.test', certain: true } })
  const lax = await ask({ from: 'ann@lax.test', content: message('lax.test') })
  expect(lax.refusal).toBeUndefined()
  expect(lax.header).toMatch(/spf=fail.*dmarc=fail/s)
})

test('our own signatures are verified by both algorithms, and one changed byte is found', async () => {
  const content = message('strict.test')
  const signed = Buffer.concat([Buffer.from(await signatures(content, keys, at)), content])
  const { header, refusal } = await ask({ content: signed })
  expect(refusal).toBeUndefined()
  expect(header.match(/dkim=pass/g)).toHaveLength(2)
  const changed = Buffer.from(signed.toString('latin1').replace('body', 'bodY'), 'latin1')
  expect((await ask({ content: changed })).refusal).toEqual({ domain: 'strict.test', certain: true })
})

test('a name server that does not answer is no reason to refuse for good', async () => {
  const content = message('strict.test')
  const signed = Buffer.concat([Buffer.from(await signatures(content, keys, at)), content])
  const half: Pick<Resolver, 'resolve'> = {
    resolve: ((host: string, type: string) =>
      host.includes('_domainkey')
        ? Promise.reject(Object.assign(new Error('late'), { code: 'ETIMEOUT' }))
        : dns.resolver.resolve(host, type)) as Resolver['resolve'],
  }
  expect((await ask({ content: signed }, half)).refusal).toEqual({ domain: 'strict.test', certain: false })
  const deaf = new Resolver({ timeout: 100, tries: 1 })
  deaf.setServers(['127.0.0.1:9'])
  const { header, refusal } = await ask({ content: signed }, deaf)
  expect(refusal).toBeUndefined()
  expect(header).toMatch(/^(Received-SPF|Authentication-Results): /)
})

test('what a message says cannot make a line of its own, nor lookups without end', async () => {
  let lookups = 0
  const counting: Pick<Resolver, 'resolve'> = {
    resolve: ((host: string, type: string) => {
      lookups++
      return dns.resolver.resolve(host, type)
    }) as Resolver['resolve'],
  }
  const signature = (i: number) => `DKIM-Signature: v=1; a=rsa-sha256; d=d${i}.test; s=s; h=from; bh=AAAA; b=AAAA\r\n`
  const hostile = Buffer.concat([Buffer.from(Array.from({ length: 500 }, (_, i) => signature(i)).join('')), message('many.test')])
  const { header } = await ask({ from: '"a\\\r\nX: y"@many.test', helo: 'x\r\nY: z', content: hostile }, counting)
  expect(lookups).toBeLessThanOrEqual(60)
  expect(header.length).toBeLessThanOrEqual(16_384)
  for (const line of header.split('\r\n').slice(0, -1)) expect(line).toMatch(/^(Received-SPF: |Authentication-Results: |[ \t]+\S)/)
})
