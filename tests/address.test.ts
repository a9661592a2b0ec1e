import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
/** A neighbour's entry lives 15 s at least (arp(7)): an answer before can only be due to the announcements, the last of which goes out after 1 s. How fast is the benchmark's subject. */
const announcedWithinMs = 5000

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { compileProgram } from '../src/host/fixture.ts'
import { Cabling, type Puppet } from './cabling.ts'

const root = process.getuid?.() === 0
if (!root) process.stderr.write('SKIPPED: tests/address.test.ts needs root, because it makes network namespaces\n')

const address = '10.79.0.100'

/** Runs in a namespace: holds or asks for the virtual address on command, and answers every datagram with its name. */
const puppetCode = (virtualAddressFile: string): string => `
import { createSocket } from 'node:dgram'
import { createInterface } from 'node:readline'
import { assertAddressUnused, virtualAddress } from ${JSON.stringify(virtualAddressFile)}
const name = process.argv[2]
const warnings = []
const vip = virtualAddress({ address: ${JSON.stringify(address)}, log: { warn: (fields, message) => warnings.push(message + ' ' + JSON.stringify(fields)) } })
const answering = createSocket('udp4')
answering.on('message', (_message, from) => answering.send(name, from.port, from.address))
answering.on('error', () => {})
answering.bind(7000)
const answers = []
const asking = createSocket('udp4')
asking.on('message', (message) => answers.push({ at: Number(process.hrtime.bigint() / 1000n) / 1000, who: message.toString() }))
asking.on('error', () => {})
let timer
const commands = {
  claim: () => vip.claim(),
  release: () => vip.release(),
  held: () => vip.held(),
  unused: () => assertAddressUnused({ address: ${JSON.stringify(address)} }),
  ask: async () => { timer = setInterval(() => asking.send('?', 7000, ${JSON.stringify(address)}, () => {}), 2) },
  answers: async () => answers.splice(0),
  warnings: async () => warnings,
}
for await (const line of createInterface({ input: process.stdin })) {
  const began = process.hrtime.bigint()
  let reply
  try {
    reply = { value: await commands[line]() ?? null }
  } catch (failure) {
    reply = { code: failure.code, message: failure.message }
  }
  reply.began = Number(began / 1000n) / 1000
  reply.ms = Number(process.hrtime.bigint() - began) / 1e6
  process.stdout.write(JSON.stringify(reply) + '\\n')
}
process.exit(0)
`

describe.skipIf(!root)('a virtual address on a network of hosts', () => {
  const directory = root ? mkdtempSync(join(tmpdir(), 'handoff-address-')) : ''
  const cabling = new Cabling(`hva${process.pid}`)
  let a: Puppet
  let b: Puppet
  let client: Puppet

  beforeAll(() => {
    const file = compileProgram(directory, 'resources/virtual-address.ts')
    const script = join(directory, 'puppet.mjs')
    writeFileSync(script, puppetCode(file))
    cabling.lay({ a: '10.79.0.1/24', b: '10.79.0.2/24', c: '10.79.0.3/24' })
    a = cabling.puppet('a', [script, 'a'])
    b = cabling.puppet('b', [script, 'b'])
    client = cabling.puppet('c', [script, 'c'])
  })
  afterAll(async () => {
    await cabling.end()
    if (directory !== '') rmSync(directory, { recursive: true, force: true })
  })

  type Answer = { readonly at: number; readonly who: string }
  const answersOf = async (who: string, least: number): Promise<readonly Answer[]> => {
    const all: Answer[] = []
    await vi.waitFor(
      async () => {
        all.push(...((await client.do('answers')).value as Answer[]))
        expect(all.filter((one) => one.who === who).length).toBeGreaterThanOrEqual(least)
      },
      { timeout: 5000, interval: 5 },
    )
    return all
  }

  test('claimed, it answers; claimed elsewhere with the former holder gone, it moves by its announcement', async () => {
    expect([(await a.do('held')).value, (await b.do('held')).value]).toEqual([false, false])
    const claimed = await a.do('claim')
    expect(claimed.code).toBeUndefined()
    expect((await a.do('held')).value).toBe(true)
    await client.do('ask')
    await answersOf('a', 20)

    // The cable of `a` is out: it still has the address, and the client still has its hardware address.
    cabling.cable('a', 'down')
    const moved = await b.do('claim')
    const first = (await answersOf('b', 1)).find((one) => one.who === 'b') as Answer
    process.stdout.write(`claim ${moved.ms.toFixed(1)} ms, first answer of the new holder ${(first.at - moved.began).toFixed(1)} ms after the claim began\n`)
    expect(first.at - moved.began).toBeLessThan(announcedWithinMs)

    // Without a carrier the address is not used, but it is still there; releasing takes it off, so that it does not come back with the cable.
    expect((await a.do('held')).value).toBe(true)
    expect((await a.do('release')).code).toBeUndefined()
    expect((await a.do('held')).value).toBe(false)
    cabling.cable('a', 'up')
    expect(new Set((await answersOf('b', 50)).map((one) => one.who))).toEqual(new Set(['b']))
  })

  test('handed back on purpose, it moves by its announcement', async () => {
    await b.do('release')
    const moved = await a.do('claim')
    const first = (await answersOf('a', 1)).find((one) => one.who === 'a') as Answer
    process.stdout.write(`claim ${moved.ms.toFixed(1)} ms, first answer of the new holder ${(first.at - moved.began).toFixed(1)} ms after the claim began\n`)
    expect(first.at - moved.began).toBeLessThan(announcedWithinMs)
  })

  test('claiming and releasing twice is harmless', async () => {
    expect((await a.do('claim')).code).toBeUndefined()
    expect((await b.do('release')).code).toBeUndefined()
    expect((await a.do('warnings')).value).toEqual([])
  })

  test('an address that another host answers for is refused when a group is created with it', async () => {
    const refused = await b.do('unused')
    expect(refused.code).toBe('ADDRESS_IN_USE')
    expect(refused.message).toContain(cabling.hardwareAddress('a').toUpperCase())
    expect((await a.do('unused')).code).toBeUndefined() // its own
    await a.do('release')
    expect((await b.do('unused')).code).toBeUndefined()
  })

  test('an address of no subnet of this node is refused by name', async () => {
    execFileSync('ip', ['-n', cabling.space('b'), 'addr', 'flush', 'dev', 'eth0'])
    expect((await b.do('claim')).code).toBeUndefined() // the interface was found before and is remembered
    await b.do('release')
    const fresh = cabling.puppet('b', [join(directory, 'puppet.mjs'), 'b2'])
    expect((await fresh.do('claim')).code).toBe('ADDRESS_NO_INTERFACE')
  })
})
