import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { Deadlines } from './deadlines.ts'
import type { GuardedGroup } from './protocol.ts'
import { Watchdog } from './watchdog.ts'

const guarded = (group: string, deadlineMs: number | null, epoch = 1): GuardedGroup => ({
  group,
  epoch,
  deadlineMs,
  processes: [],
  directories: [],
  addresses: [],
})

test('a deadline is taken once, when it has passed; one that nobody else could use never passes', () => {
  const deadlines = new Deadlines()
  deadlines.set([guarded('sg1', 100), guarded('sg2', 200), guarded('sg3', null)], 0)
  expect(deadlines.next()).toBe(100)
  expect(deadlines.takeExpired(99.9)).toEqual([])
  expect(deadlines.takeExpired(150).map((one) => one.group)).toEqual(['sg1'])
  expect(deadlines.takeExpired(150)).toEqual([])
  expect(deadlines.next()).toBe(200)
  expect(deadlines.takeExpired(1e12).map((one) => one.group)).toEqual(['sg2'])
  expect(deadlines.next()).toBe(Number.POSITIVE_INFINITY)
})

test('the whole set is given each time: a group that is left out is guarded no more', () => {
  const deadlines = new Deadlines()
  deadlines.set([guarded('sg1', 100)], 0)
  deadlines.set([], 10)
  expect(deadlines.takeExpired(1000)).toEqual([])
})

test('a release stands until the group is guarded again with time left', () => {
  const deadlines = new Deadlines()
  deadlines.set([guarded('sg1', 100, 4)], 0)
  deadlines.takeExpired(100)
  deadlines.released('sg1', 4)
  expect(deadlines.releasedGroups).toEqual([{ group: 'sg1', epoch: 4 }])
  deadlines.set([guarded('sg1', 100, 4)], 110) // an old message of a handoffd that hung
  expect(deadlines.releasedGroups).toEqual([{ group: 'sg1', epoch: 4 }])
  deadlines.set([guarded('sg1', 500, 6)], 120)
  expect(deadlines.releasedGroups).toEqual([])
})

test('what was guarded anew while the former was being taken down is not called released', () => {
  const deadlines = new Deadlines()
  deadlines.set([guarded('sg1', 100, 4)], 0)
  deadlines.takeExpired(100)
  deadlines.set([guarded('sg1', 500, 6)], 101)
  deadlines.released('sg1', 4)
  expect(deadlines.releasedGroups).toEqual([])
})

test('a watchdog is fed while all is kept, starves when it is not, and is told of an orderly end', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'handoff-watchdog-'))
  const device = join(directory, 'watchdog') // a plain file: what is written to the device can be read again
  writeFileSync(device, '')
  let kept = true
  let asked = 0
  const watchdog = new Watchdog({ device, feedEveryMs: 5 }, () => {
    asked += 1
    return kept
  })
  await vi.waitFor(() => expect(readFileSync(device).length).toBeGreaterThan(2))
  kept = false
  const fed = readFileSync(device).length
  const before = asked
  await vi.waitFor(() => expect(asked).toBeGreaterThan(before + 2))
  expect(readFileSync(device).length).toBe(fed)
  watchdog.disarm()
  expect(readFileSync(device, 'latin1').endsWith('V')).toBe(true)
  rmSync(directory, { recursive: true, force: true })
})
