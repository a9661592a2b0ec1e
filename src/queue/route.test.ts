import { expect, test } from 'vitest'
import { afterFailure, delayToldAfterMs, givenUpAfterMs } from './retry.ts'
import { type Resolver, route } from './route.ts'

const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }))
const resolver = (more: Partial<Resolver>): Resolver => ({
  resolveMx: failing('ENOTFOUND'),
  resolve4: failing('ENOTFOUND'),
  resolve6: failing('ENODATA'),
  ...more,
})
const mx = (...hosts: readonly (readonly [number, string])[]): Pick<Resolver, 'resolveMx'> => ({
  resolveMx: async () => hosts.map(([priority, exchange]) => ({ priority, exchange })),
})
const one: Pick<Resolver, 'resolve4'> = { resolve4: async (host) => [`192.0.2.${host.length}`] }
const ask = (given: Resolver, domain = 'example.net') => route(domain, { resolver: given, own: new Set(['mail.example.org']), random: () => 0.5 })

test('MX hosts by preference, each with its addresses, five at most', async () => {
  const found = await ask(resolver({ ...mx([20, 'b.example.net'], [10, 'aa.example.net']), ...one, resolve6: async () => ['2001:db8::1'] }))
  expect(found).toEqual({
    kind: 'hops',
    hops: [
      { host: 'aa.example.net', address: '192.0.2.14' },
      { host: 'aa.example.net', address: '2001:db8::1' },
      { host: 'b.example.net', address: '192.0.2.13' },
      { host: 'b.example.net', address: '2001:db8::1' },
    ],
  })
})

test('without MX the domain itself; an address literal as it is', async () => {
  expect(await ask(resolver({ resolveMx: failing('ENODATA'), ...one }))).toEqual({ kind: 'hops', hops: [{ host: 'example.net', address: '192.0.2.11' }] })
  expect(await ask(resolver({}), '[192.0.2.9]')).toEqual({ kind: 'hops', hops: [{ host: '192.0.2.9', address: '192.0.2.9' }] })
  expect(await ask(resolver({}), '[IPv6:2001:db8::9]')).toMatchObject({ kind: 'hops', hops: [{ address: '2001:db8::9' }] })
  expect(await ask(resolver({}), '[nonsense]')).toMatchObject({ kind: 'none', permanent: true })
})

test('null MX, no such domain, a loop: for good; a name server in trouble: not yet', async () => {
  expect(await ask(resolver(mx([0, ''])))).toMatchObject({ kind: 'none', permanent: true, enhanced: '5.1.10' })
  expect(await ask(resolver({}))).toMatchObject({ kind: 'none', permanent: true, enhanced: '5.1.2' })
  expect(await ask(resolver({ ...mx([10, 'MAIL.example.org.'], [20, 'b.example.net']), ...one }))).toMatchObject({ permanent: true, enhanced: '5.4.6' })
  expect(await ask(resolver({ resolveMx: failing('ESERVFAIL') }))).toMatchObject({ kind: 'none', permanent: false, enhanced: '4.4.3' })
  expect(await ask(resolver({ ...mx([10, 'b.example.net']), resolve4: failing('ETIMEOUT') }))).toMatchObject({ permanent: false, enhanced: '4.4.3' })
})

test('where this server is among the hosts, only better ones are tried', async () => {
  const found = await ask(resolver({ ...mx([5, 'b.example.net'], [10, 'mail.example.org'], [10, 'c.example.net']), ...one }))
  expect(found).toMatchObject({ kind: 'hops', hops: [{ host: 'b.example.net' }] })
})

test('waits grow to an hour, a delay is told once, and in the end it is given up', () => {
  const after = (attempts: number, queuedForMs: number, delayTold = false) => afterFailure({ attempts, queuedForMs, delayTold, random: 0.5 })
  expect([1, 2, 3, 4, 5, 9].map((attempts) => (after(attempts, 0).waitMs ?? 0) / 60_000)).toEqual([5, 10, 20, 40, 60, 60])
  expect(after(6, delayToldAfterMs).tellDelay).toBe(true)
  expect(after(7, delayToldAfterMs, true).tellDelay).toBe(false)
  expect(after(90, givenUpAfterMs - 1000)).toMatchObject({ waitMs: 1000 })
  expect(after(91, givenUpAfterMs)).toEqual({ waitMs: null, tellDelay: false })
})
