import { expect, test } from 'vitest'
import { nodeId } from '../cluster/node.ts'
import { layoutOf } from './layout.ts'
import { type CopySettings, connectionString, parseStandbyNames, renderConfig, renderHba, renderStandbyNames, slotName, withoutManaged } from './settings.ts'

const settings: CopySettings = {
  group: 'sg1',
  node: nodeId('node1'),
  port: 5501,
  listen: ['127.0.0.1'],
  clientRules: ['host all all 10.0.0.0/8 scram-sha-256'],
  clusterNetworks: ['all'],
  replicatorPassword: "it's",
  slotKeepSize: '4GB',
  extra: { synchronous_commit: 'off', shared_buffers: '1GB' },
}

test('names of synchronous standbys are quoted and read back', () => {
  expect(renderStandbyNames([])).toBe('')
  expect(renderStandbyNames(['a', 'b-1'])).toBe('FIRST 2 ("a","b-1")')
  expect(parseStandbyNames(renderStandbyNames(['we"ird', 'b']))).toEqual(['we"ird', 'b'])
})

test("the operator's settings are used, but not where correctness stands on ours", () => {
  const text = renderConfig(settings, layoutOf('/d', 5501), { kind: 'primary', epoch: 7, gate: 'closed', standbyNames: '' })
  expect(text).toContain("shared_buffers = '1GB'")
  expect(text).toContain("synchronous_commit = 'on'")
  expect(text).toContain("handoff.epoch = '7'")
})

test('a closed gate lets only the cluster service and replication in', () => {
  expect(renderHba(settings, 'closed')).not.toContain('10.0.0.0/8')
  expect(renderHba(settings, 'open')).toContain('10.0.0.0/8')
})

test('a password with a quote survives the connection string', () => {
  expect(connectionString({ host: 'h', port: 1, password: "it's", name: 'n' })).toContain("password='it\\'s'")
})

test('slot names are legal and differ for names that differ', () => {
  const names = ['a-b', 'a_b', 'ab', 'A.b'].map((name) => slotName(nodeId(name)))
  for (const name of names) expect(name).toMatch(/^[a-z0-9_]{1,63}$/)
  expect(new Set(names).size).toBe(4)
})

test('a socket directory whose path is too long is replaced by a short one', () => {
  expect(layoutOf('/d', 5501).socketDirectory).toBe('/d/socket')
  expect(layoutOf(`/${'x'.repeat(100)}`, 5501).socketDirectory).toMatch(/^\/tmp\/handoff-[0-9a-f]{16}$/)
})

test('settings left by ALTER SYSTEM do not override ours', () => {
  expect(withoutManaged("# c\nsynchronous_standby_names = ''\nwork_mem = '8MB'\n")).toBe("# c\nwork_mem = '8MB'\n")
})
