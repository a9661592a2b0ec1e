import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PeerReport } from '../src/cluster/liveness.ts'
import { nodeId } from '../src/cluster/node.ts'
import { Agent, Workshop } from '../src/fencing/fixture.ts'
import { compileProgram } from '../src/host/fixture.ts'
import { Cabling } from './cabling.ts'

const root = process.getuid?.() === 0
if (!root) process.stderr.write('SKIPPED: tests/heartbeat-network.test.ts needs root, because it makes network namespaces\n')

const port = 7946
const addresses = { a: '10.79.1.1', b: '10.79.1.2' } as const
type Host = keyof typeof addresses
const soon = { timeout: 8000, interval: 10 }

describe.skipIf(!root)('guardians on hosts whose network changes', () => {
  let directory = ''
  let cabling: Cabling
  let workshop: Workshop
  let agents: Record<Host, Agent>

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'handoff-heartbeat-'))
    const program = compileProgram(directory, 'daemons/guardian.ts')
    workshop = new Workshop()
    cabling = new Cabling(`hhb${process.pid}`)
    cabling.lay({ a: `${addresses.a}/24`, b: `${addresses.b}/24` })
    const start = async (host: Host): Promise<Agent> => {
      const path = join(workshop.directory, `${host}.sock`)
      const config = { ...workshop.config(1, port), self: nodeId(host), own: [{ network: 'private', address: addresses[host] }] }
      workshop.guardian(program, config, path, cabling.space(host))
      const agent = await Agent.hello(path)
      const other: Host = host === 'a' ? 'b' : 'a'
      agent.say({ type: 'peers', peers: [{ node: nodeId(other), role: 'data', addresses: { private: addresses[other] }, port }] })
      return agent
    }
    agents = { a: await start('a'), b: await start('b') }
    await bothHear()
  })
  afterEach(async () => {
    workshop.end()
    await cabling.end()
    rmSync(directory, { recursive: true, force: true })
  })

  const seenBy = (host: Host): PeerReport | undefined => agents[host].last('report')?.peers[0]
  const errorsOf = (host: Host): Readonly<Record<string, number>> => agents[host].last('report')?.traffic.networks['private']?.errors ?? {}
  const run = (host: Host, ...command: readonly string[]): void => void execFileSync('ip', ['netns', 'exec', cabling.space(host), ...command])
  const bothHear = (): Promise<void> =>
    vi.waitFor(() => {
      for (const host of ['a', 'b'] as const) {
        expect(seenBy(host)?.lastSeq).toBeGreaterThan(0)
        expect(seenBy(host)).toMatchObject({ silent: false, networks: { private: { state: 'up', hearsUs: true } } })
      }
    }, soon)

  test('an address that goes away and comes back is heard again', async () => {
    run('b', 'ip', 'addr', 'flush', 'dev', 'eth0')
    await vi.waitFor(() => expect(seenBy('a')?.silent).toBe(true), soon)
    await vi.waitFor(() => expect(Object.keys(errorsOf('b'))).not.toEqual([]), soon)
    run('b', 'ip', 'addr', 'add', `${addresses.b}/24`, 'dev', 'eth0')
    await bothHear()
  })

  test('a cable that is out makes both silent to each other, and in again both are heard', async () => {
    cabling.cable('b', 'down')
    await vi.waitFor(() => expect([seenBy('a')?.silent, seenBy('b')?.silent]).toEqual([true, true]), soon)
    cabling.cable('b', 'up')
    await bothHear()
  })

  test('a filter that refuses to send is counted and does no harm when it is gone', async () => {
    run('b', 'nft', 'add table inet t; add chain inet t o { type filter hook output priority 0; policy drop; }')
    await vi.waitFor(() => expect(errorsOf('b')['EPERM']).toBeGreaterThan(2), soon)
    await vi.waitFor(() => expect(seenBy('a')?.silent).toBe(true), soon)
    // One way: `b` still hears `a`, and learns from it that it is not heard itself.
    expect(seenBy('b')?.silent).toBe(false)
    await vi.waitFor(() => expect(seenBy('b')?.networks['private']?.hearsUs).toBe(false), soon)
    expect(seenBy('b')?.itsSilent).toEqual(['b'])
    run('b', 'nft', 'delete table inet t')
    await bothHear()
  })
})
