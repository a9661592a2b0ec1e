import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HandoffError } from '../../errors.ts'
import { eventually } from '../conformance.ts'
import { freePorts } from './fixture.ts'
import { keepLeaderOff, leader, memberList, moveLeader } from './leader.ts'
import { EtcdMember, type EtcdMemberOptions } from './member.ts'
import { readCredentials } from './options.ts'
import { EtcdStore } from './store.ts'

describe('a managed etcd member', () => {
  let directory: string
  let started: EtcdMember[] = []
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'handoff-member-'))
    chmodSync(directory, 0o711)
  })
  afterEach(async () => {
    await Promise.all(started.map((member) => member.stop()))
    started = []
    rmSync(directory, { recursive: true, force: true })
  })

  const member = (options: EtcdMemberOptions): EtcdMember => {
    const made = new EtcdMember(options)
    started.push(made)
    return made
  }
  const plan = async (count: number, scheme = 'http'): Promise<EtcdMemberOptions[]> => {
    const ports = await freePorts(count * 2)
    const members = Array.from({ length: count }, (_, index) => ({ name: `node${index}`, peerUrl: `${scheme}://127.0.0.1:${ports[count + index]}` }))
    return members.map(({ name, peerUrl }, index) => ({
      name,
      peerUrl,
      clientUrl: `${scheme}://127.0.0.1:${ports[index]}`,
      members,
      cluster: 'test',
      directory: join(directory, name),
    }))
  }
  const works = async (store: EtcdStore): Promise<void> => {
    await eventually(async () => expect((await store.transact({ compare: [], put: [{ key: '/a', value: '1' }], delete: [] })).ok).toBe(true), 15_000)
  }

  test('is started as an unprivileged user, taken over by the next supervisor, and started again when it is killed', async () => {
    const [options] = await plan(1)
    const first = member(options!)
    await first.start()
    const store = new EtcdStore({ endpoints: [options!.clientUrl] })
    await works(store)
    const pid = first.pid!
    expect(execFileSync('ps', ['-o', 'uid=', '-p', String(pid)], { encoding: 'utf8' }).trim()).not.toBe('0')
    first.detach()
    const troubles: HandoffError[] = []
    const second = member({ ...options!, onTrouble: (trouble) => troubles.push(trouble) })
    await second.start()
    expect(second.pid).toBe(pid)
    process.kill(pid, 'SIGKILL')
    await eventually(async () => expect(second.pid !== null && second.pid !== pid).toBe(true))
    await works(store)
    expect(troubles.map((trouble) => trouble.code)).toEqual(['ETCD_START_FAILED'])
    await store.close()
  })

  test('the leader is found, moved, and kept off a member', async () => {
    const options = await plan(3)
    for (const one of options) await member(one).start()
    const urls = options.map((one) => one.clientUrl)
    await eventually(async () => expect(await leader(urls, {})).not.toBe(null), 15_000)
    expect((await memberList(urls[0]!, {})).map((one) => one.name).sort()).toEqual(['node0', 'node1', 'node2'])
    const before = (await leader(urls, {}))!
    const others = urls.filter((url) => url !== before.url)
    expect(await keepLeaderOff({ off: before.url, prefer: others }, {})).toBe('moved')
    await eventually(async () => expect((await leader(urls, {}))?.url).toBe(others[0]))
    expect(await keepLeaderOff({ off: before.url, prefer: others }, {})).toBe('elsewhere')
    await moveLeader({ leaderUrl: others[0]!, to: before.id }, {})
    await eventually(async () => expect((await leader(urls, {}))?.url).toBe(before.url))
  })

  test('a program that is missing, a port in use and foreign data are each named', async () => {
    const [options] = await plan(1)
    await expect(member({ ...options!, program: '/nonexistent/etcd' }).start()).rejects.toMatchObject({ code: 'ETCD_MISSING' })
    for (const which of ['peer', 'client'] as const) {
      const url = options![`${which}Url`]
      const holder = createServer()
      await new Promise<void>((resolve) => holder.listen(Number(new URL(url).port), '127.0.0.1', resolve))
      await expect(member(options!).start()).rejects.toMatchObject({ code: 'ETCD_PORT_IN_USE', message: expect.stringContaining(`${which} address "${url}"`) })
      await new Promise((resolve) => holder.close(resolve))
    }
    await expect(member({ ...options!, cluster: 'other' }).start()).rejects.toMatchObject({ code: 'ETCD_FOREIGN_DATA' })
  })

  test('speaks TLS with client certificates, to peers and clients', async () => {
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
    run(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'key.pem',
      '-out',
      'cert.pem',
      '-days',
      '2',
      '-subj',
      '/CN=handoff',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    )
    chmodSync(join(directory, 'key.pem'), 0o644)
    const tls = { caFile: join(directory, 'cert.pem'), certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') }
    const options = (await plan(3, 'https')).map((one) => ({ ...one, tls }))
    for (const one of options) await member(one).start()
    const urls = options.map((one) => one.clientUrl)
    const store = new EtcdStore({ endpoints: urls, tls })
    await works(store)
    expect(await leader(urls, readCredentials({ tls }))).not.toBe(null)
    await store.close()
    expect(() => new EtcdStore({ endpoints: urls, tls: { ...tls, keyFile: '/nonexistent' } })).toThrow(
      expect.objectContaining({ code: 'STORE_CREDENTIALS_UNREADABLE' }),
    )
  })
})
