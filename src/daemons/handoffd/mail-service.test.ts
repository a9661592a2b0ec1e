import { expect, test } from 'vitest'
import { groupId } from '../../groups/group.ts'
import { groupView, n1, n2, record, view } from '../../groups/fixture.ts'
import { knowsWhatItServes } from './mail-service.ts'

const mail1 = groupId('mail1')
const server = (owner = n1) => {
  const { config, ...rest } = groupView({ instance: null, record: { ...record, group: mail1, owner }, service: { kind: 'warm' } })
  return { ...rest, config: { ...config, name: mail1, kind: 'server' as const } }
}

test('a cluster service that has just begun tells the mailbox service nothing before it knows what is served here', () => {
  expect(knowsWhatItServes(view('n1', [], server(), { storeFollowed: false }), new Map())).toBe(false)
  expect(knowsWhatItServes(view('n1', [], server()), new Map())).toBe(false)
  expect(knowsWhatItServes(view('n1', [], server()), new Map([['mail1', 3]]))).toBe(true)
  // Another node owns it: what is open here is to be closed.
  expect(knowsWhatItServes(view('n1', [], server(n2)), new Map())).toBe(true)
})
