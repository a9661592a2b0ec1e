import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { StoreKey } from '../src/store/keys.ts'
import { openStore } from '../src/store/open.ts'
import { NodeFixture } from './node-fixture.ts'

// What a person can get wrong, against the real handoffd: each is told with its object, cause and remedy, and nothing is left half made.

let nodes: NodeFixture
const closing: (() => void)[] = []

beforeEach(() => {
  nodes = new NodeFixture()
})

afterEach(async () => {
  for (const close of closing.splice(0)) close()
  await nodes.end()
})

/** Somebody else's process, as far as a port is concerned. */
async function occupy(host: string, port: number): Promise<() => void> {
  const server = createServer().listen({ host, port })
  await once(server, 'listening')
  const close = (): void => void server.close()
  closing.push(close)
  return close
}

async function refusal(name: string): Promise<string> {
  const { code, stderr } = await nodes.ended(name)
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/^handoffd: [A-Z_]+: [\s\S]+\n {2}remedy: ./) })
  expect(nodes.processes()).toEqual([])
  return stderr
}

test('every fault of the file is told at once, and nothing is made', async () => {
  nodes.write('a', { heartbeat: { port: 99_999 }, admin: { listen: '127.0.0.1:1' }, store: { kind: 'embedded', endpoint: 'nowhere' }, nodes: 2 })
  nodes.start('a')
  const said = await refusal('a')
  expect(said).toMatch(/CONFIG_INVALID: .*a\.yaml" has 3 faults/)
  for (const key of ['heartbeat.port', 'store.endpoint', 'admin, nodes: unknown key']) expect(said).toContain(key)
  expect(existsSync(nodes.directory('a'))).toBe(false)
})

test.each([
  ['node', { cluster: 'test', node: 'other', identity: 'x' }, /DATA_DIRECTORY_FOREIGN: .*node "other" of cluster "test".*says node "a"/],
  ['cluster', { cluster: 'other', node: 'a', identity: 'x' }, /DATA_DIRECTORY_FOREIGN: .*of cluster "other".*of cluster "test"/],
  ['nobody', { cluster: 'other' }, /DATA_DIRECTORY_UNUSABLE: .*node\.json.*identity/],
])('a data directory of another %s is left alone', async (_whose, found, said) => {
  nodes.write('a')
  mkdirSync(nodes.directory('a'))
  writeFileSync(join(nodes.directory('a'), 'node.json'), JSON.stringify(found))
  nodes.start('a')
  expect(await refusal('a')).toMatch(said)
  expect(nodes.files('a')).toEqual(['node.json'])
})

test('a data directory that cannot be made', async () => {
  nodes.write('a')
  writeFileSync(nodes.directory('a'), '')
  nodes.start('a')
  expect(await refusal('a')).toMatch(/DATA_DIRECTORY_UNUSABLE: cannot use dataDirectory ".*\/a": .*(ENOTDIR|EEXIST)/)
})

test('the heartbeat port is in use', async () => {
  const socket = createSocket('udp4')
  closing.push(() => socket.close())
  socket.bind({ address: nodes.address('a'), port: nodes.heartbeatPort })
  await once(socket, 'listening')
  nodes.write('a')
  nodes.start('a')
  expect(await refusal('a')).toMatch(new RegExp(`HEARTBEAT_PORT_IN_USE: .*${nodes.address('a')} UDP port ${nodes.heartbeatPort}`))
})

test("the embedded store's port is in use", async () => {
  await occupy(nodes.address('a'), nodes.storePort)
  nodes.write('a', { store: nodes.ownStore('a') })
  nodes.start('a')
  expect(await refusal('a')).toMatch(/STORE_ADDRESS_IN_USE: .*another process/)
})

test.each(['peerUrl', 'clientUrl'] as const)('the %s of the managed etcd member is in use', async (which) => {
  const member = { name: 'a', peerUrl: `http://${nodes.address('a')}:7981`, clientUrl: `http://${nodes.address('a')}:7982` }
  await occupy(nodes.address('a'), Number(new URL(member[which]).port))
  nodes.write('a', { store: { kind: 'etcd', managed: true, endpoints: [member.clientUrl], members: [member] } })
  nodes.start('a')
  expect(await refusal('a')).toMatch(new RegExp(`ETCD_PORT_IN_USE: .*"${member[which]}": another process does`))
})

test.each([
  ['missing', null, /POSTGRES_MISSING: cannot run ".*\/pg\/postgres"/],
  ['too old', 'postgres (PostgreSQL) 13.14', /POSTGRES_MISSING: .*13\.14", wanted version 15 or newer/],
  ['without its tools', 'postgres (PostgreSQL) 15.9', /POSTGRES_MISSING: cannot run ".*\/pg\/initdb" \(postgres\.binDirectory\)/],
])('PostgreSQL is %s: a data node does not start', async (_what, version, said) => {
  const binDirectory = join(nodes.root, 'pg')
  if (version !== null) {
    mkdirSync(binDirectory)
    writeFileSync(join(binDirectory, 'postgres'), `#!/bin/sh\necho '${version}'\n`)
    chmodSync(join(binDirectory, 'postgres'), 0o755)
  }
  nodes.write('a', { role: 'data', postgres: { binDirectory } })
  nodes.start('a')
  expect(await refusal('a')).toMatch(said)
})

test('the cluster database is unreachable: said, and tried again until it is there', async () => {
  nodes.write('b', { store: { ...nodes.ownStore('a'), serve: false } })
  nodes.start('b')
  await nodes.said('b', /"code":"STORE_UNREACHABLE".*the cluster database: .*tried again by itself/)
  nodes.write('a', { store: nodes.ownStore('a') })
  nodes.start('a')
  await nodes.said('b', /"code":"STORE_UNREACHABLE".*works again/)
})

test('etcd is unreachable: said, and an orderly end is still possible', async () => {
  nodes.write('a', { store: { kind: 'etcd', endpoints: [`http://${nodes.address('a')}:7983`] } })
  nodes.start('a')
  await nodes.said('a', /"code":"STORE_UNREACHABLE".*7983.*tried again by itself/)
  expect(await nodes.stop('a')).toBe(0)
  await expect.poll(() => nodes.processes()).toEqual([])
})

test('a second handoffd on one directory, two nodes with one name, two with one address: the first goes on undisturbed', async () => {
  nodes.write('a', { store: nodes.ownStore('a') })
  nodes.start('a')
  await nodes.said('a', /handoffd is running/)
  const database = openStore({ kind: 'embedded', endpoint: nodes.ownStore('a').endpoint })
  closing.push(() => void database.close())
  const session = () => database.get(StoreKey.session('test', 'a'))
  await expect.poll(session).not.toBeNull()
  const before = await session()

  // Before there is a cluster, the session alone tells of the other.
  const store = { ...nodes.ownStore('a'), serve: false }
  nodes.write('twin', { node: 'a', store })
  nodes.start('twin')
  expect((await nodes.ended('twin')).stderr).toMatch(/NODE_NAME_TAKEN: [\s\S]+remedy/)

  await nodes.post('a', '/cluster', { name: 'test' })
  const joined = async (): Promise<unknown> => ((await nodes.get('a', '/cluster')) as { nodes: unknown }).nodes
  await expect.poll(joined).toEqual([expect.objectContaining({ node: 'a', state: 'up' })])

  nodes.start('twin')
  expect((await nodes.ended('twin')).stderr).toMatch(/NODE_NAME_TAKEN: [\s\S]+remedy/)

  nodes.write('c', { store, networks: [{ name: 'loopback', address: nodes.address('a') }], heartbeat: { port: nodes.heartbeatPort + 1 } })
  nodes.start('c')
  expect((await nodes.ended('c')).stderr).toMatch(
    new RegExp(`NODE_ADDRESS_TAKEN: node "c" cannot join with the address ${nodes.address('a')}: node "a" has it`),
  )

  nodes.start('a', 'second')
  expect((await nodes.ended('second')).stderr).toMatch(/NODE_ALREADY_RUNNING: .*process \d+/)

  expect(await session()).toEqual(before)
  expect(await joined()).toEqual([expect.objectContaining({ node: 'a', state: 'up' })])
})

test('the ports of PostgreSQL and of a listener are in use: said, and taken when they are free', async () => {
  const address = nodes.address('a')
  const ports = { postgres: 7984, imap: 7985 }
  nodes.write('a', { role: 'data', store: nodes.ownStore('a'), postgres: { listen: [address] }, mailbox: { workers: 1 } })
  const freePostgres = await occupy(address, ports.postgres)
  nodes.start('a')
  await nodes.said('a', /handoffd is running/)
  await nodes.post('a', '/cluster', { name: 'test' })
  await nodes.post('a', '/storage-groups', { name: 'sg1', nodes: ['a'], port: ports.postgres })
  await nodes.post('a', '/databases', { name: 'mail', storageGroup: 'sg1' })
  const freeDoor = await occupy('127.0.72.9', ports.imap)
  await nodes.post('a', '/servers', { name: 'mail1', nodes: ['a'], addresses: ['127.0.72.9'], databases: ['mail'], ports: { imap: ports.imap } })
  await nodes.said('a', /"code":"LISTENER_NOT_OPEN".*imap of .*127\.0\.72\.9 port 7985 \(EADDRINUSE\)/)
  freeDoor()
  await nodes.said('a', /"code":"POSTGRES_PORT_IN_USE".*port 7984: another process listens there/)
  freePostgres()
  await nodes.said('a', /"code":"LISTENER_NOT_OPEN".*works again/)
  const copies = async (): Promise<unknown> => ((await nodes.get('a', '/cluster')) as { copies: unknown }).copies
  await expect.poll(copies, { timeout: 20_000 }).toEqual([expect.objectContaining({ group: 'sg1', status: 'Active' })])
})
