import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addressOf, hardwareAddressOf, type HostName, hostNames, type NetworkName, networkNames, networks, networksOf, portOf } from './rig/layout.ts'
import { signalAll } from './rig/processes.ts'
import { Rig, rigObstacle } from './rig/rig.ts'
import { until } from './rig/wait.ts'

const obstacle = rigObstacle()
if (obstacle !== undefined) process.stderr.write(`\n*** SKIPPED: the rig of hosts cannot be made here: ${obstacle} ***\n\n`)

describe.skipIf(obstacle !== undefined)('hosts in namespaces', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await Rig.create()
  })
  afterAll(async () => {
    await rig?.close()
  })

  /** Asks by ARP: answered by the other host's kernel, over this network, both ways. */
  const hears = async (from: HostName, to: HostName, network: NetworkName): Promise<boolean> =>
    (await rig.exec(from, ['arping', '-q', '-c', '1', '-w', '1', '-I', networks[network].device, addressOf(to, network)], { timeoutMs: 5000 })).status === 0

  test('every host hears every other on each network that both have', async () => {
    for (const network of networkNames) {
      const on = hostNames.filter((host) => networksOf(host).includes(network))
      for (const host of on)
        for (const other of on.filter((name) => name !== host)) expect(await hears(host, other, network), `${host} to ${other}, ${network}`).toBe(true)
    }
  })

  test('a host has its own name, processes, disk and no other network', async () => {
    expect((await rig.run('node1', ['hostname'])).trim()).toBe('node1')
    expect((await rig.run('node1', ['cat', '/proc/1/comm'])).trim()).toBe('bash')
    await rig.run('node1', ['touch', '/mnt/mark'])
    expect((await rig.exec('node2', ['ls', '/mnt/mark'])).status).not.toBe(0)
    expect((await rig.run('node1', ['ip', 'route', 'show', 'default'])).trim()).toBe('')
  })

  test('a cut takes one network and leaves the other', async () => {
    await rig.cut('node1', 'private')
    expect(await hears('node2', 'node1', 'private')).toBe(false)
    expect(await hears('node2', 'node1', 'public')).toBe(true)
    expect(await rig.run('node1', ['cat', '/sys/class/net/eth1/carrier'])).toMatch(/^0/)
    await rig.mend('node1', 'private')
    expect(await hears('node2', 'node1', 'private')).toBe(true)
  })

  test.each(['in', 'out'] as const)('a one-way cut loses what goes %s, and nothing else', async (direction) => {
    const listen = "require('dgram').createSocket('udp4').on('message', (m) => console.log(String(m))).bind(9000)"
    const [cutFrom, cutTo] = direction === 'in' ? (['node2', 'node1'] as const) : (['node1', 'node2'] as const)
    for (const [host, other] of [
      ['node1', 'node2'],
      ['node2', 'node1'],
    ] as const) {
      await rig.start(host, `udp-${direction}`, [process.execPath, '-e', listen])
      await until('the port to be open', async () => (await rig.run(host, ['ss', '-Hlnu', 'sport', '=', ':9000'])) !== '', { timeoutMs: 5000 })
      // without this, what is lost would be the question for the address, asked in both directions
      await rig.run(host, [
        'ip',
        'neigh',
        'replace',
        addressOf(other, 'public'),
        'lladdr',
        hardwareAddressOf(other, 'public'),
        'dev',
        'eth0',
        'nud',
        'permanent',
      ])
    }
    const send = (from: HostName, to: HostName, text: string): Promise<string> =>
      rig.run(from, ['bash', '-c', `echo ${text} > /dev/udp/${addressOf(to, 'public')}/9000`])
    const heard = (host: HostName): string => rig.logOf(host, `udp-${direction}`)
    await rig.cutOneWay('node1', 'public', direction)
    await send(cutFrom, cutTo, 'lost')
    await send(cutTo, cutFrom, 'passed')
    await until('the open way to pass', () => heard(cutFrom).includes('passed'), { timeoutMs: 5000, everyMs: 10 })
    await rig.mend('node1')
    await send(cutFrom, cutTo, 'mended') // in order behind the lost one: where it is, the lost one would be
    await until('the mended way to pass', () => heard(cutTo).includes('mended'), { timeoutMs: 5000, everyMs: 10 })
    expect(heard(cutTo)).not.toContain('lost')
    for (const host of ['node1', 'node2'] as const)
      signalAll(
        rig
          .processes(host)
          .filter((entry) => entry.command.includes('dgram'))
          .map((entry) => entry.pid),
        'SIGKILL',
      )
  })

  test('a crash ends every process at once, and the host comes back with its disk', async () => {
    await rig.start('node2', 'sleeper', ['sleep', '3600'])
    await until('the sleeper to run', () => rig.processes('node2').some((entry) => entry.command === 'sleep 3600'), { timeoutMs: 5000 })
    await rig.run('node2', ['touch', '/mnt/kept'])
    await rig.crash('node2')
    await until('nothing to be left', () => rig.processes('node2').length === 0 && !rig.isUp('node2'), { timeoutMs: 5000 })
    expect(await hears('node1', 'node2', 'public')).toBe(false)
    await rig.boot('node2')
    await rig.run('node2', ['ls', '/mnt/kept'])
    expect(rig.processes('node2').some((entry) => entry.command === 'sleep 3600')).toBe(false)
    expect(await hears('node1', 'node2', 'public')).toBe(true)
    expect(await hears('node1', 'node2', 'private')).toBe(true)
  })

  test('a frozen host runs nothing until it is thawed', async () => {
    await rig.start('node1', 'ticker', ['bash', '-c', 'while :; do echo tick; sleep 0.02; done'])
    await until('ticks', () => rig.logOf('node1', 'ticker').length > 20, { timeoutMs: 5000, everyMs: 10 })
    rig.freeze('node1')
    const states = rig.processes('node1').map((entry) => entry.pid)
    expect(states.length).toBeGreaterThan(1)
    const frozen = rig.logOf('node1', 'ticker').length
    expect(await hears('node2', 'node1', 'public'), 'its kernel still answers').toBe(true)
    expect(rig.logOf('node1', 'ticker').length).toBe(frozen)
    rig.thaw('node1')
    await until('ticks again', () => rig.logOf('node1', 'ticker').length > frozen, { timeoutMs: 5000, everyMs: 10 })
  })

  test('the switch knows each cable by its host', () => {
    expect(portOf('witness', 'private').length).toBeLessThan(16)
  })
})
