import { expect, test } from 'vitest'
import { runSeed } from './run.ts'

test('all invariants hold for the first seeds', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const { failure } = runSeed(seed, 0)
    expect(failure, `seed ${seed}`).toBeNull()
  }
})

test('a seed replays to the same trace, byte for byte', () => {
  for (const seed of [7, 42, 1000]) {
    const first = runSeed(seed, 1e6)
    runSeed(seed + 1, 10)
    const second = runSeed(seed, 1e6)
    expect(second.trace.join('\n')).toBe(first.trace.join('\n'))
    expect(second.events).toBe(first.events)
  }
})

test('keeping a trace changes nothing of what happens', () => {
  expect(runSeed(11, 0).events).toBe(runSeed(11, 1e6).events)
})
