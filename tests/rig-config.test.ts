import { expect, test } from 'vitest'
import { parseConfig } from '../src/config/config.ts'
import { nodeYaml } from './rig/config.ts'
import { memberNames } from './rig/layout.ts'

test.each(memberNames)('the configuration of %s is valid', (host) => {
  expect(parseConfig(nodeYaml(host, { mail: true }), host).node).toBe(host)
})
