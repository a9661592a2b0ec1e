import { expect, test } from 'vitest'
import { parseConfig } from './config.ts'
import { sampleConfig } from './sample.ts'

test('the sample configuration is valid', () => {
  const config = parseConfig(sampleConfig, 'sample')
  expect(config.heartbeat.threshold).toBe(5)
  expect(config.networks.map((network) => network.name)).toEqual(['private', 'public'])
})

test('every fault is reported at once, with its key', () => {
  const broken = sampleConfig
    .replace('threshold: 5', 'threshold: two')
    .replace('role: data ', 'rôle: data ')
    .replace('address: 10.78.0.11', 'address: 10.78.0.999')
  expect(() => parseConfig(broken, 'x.yaml')).toThrow(/3 faults[\s\S]*networks\.0\.address[\s\S]*heartbeat\.threshold[\s\S]*rôle: unknown key/)
})

test('a line that is not YAML is named', () => {
  expect(() => parseConfig('cluster: [', 'x.yaml')).toThrow(/not valid YAML.*line 1/)
})

test('a managed member that is missing is named', () => {
  expect(() => parseConfig(sampleConfig.replace('node: node1', 'node: node9'), 'x.yaml')).toThrow(/no member is named "node9"/)
})
