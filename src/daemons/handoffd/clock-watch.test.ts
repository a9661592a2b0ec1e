import { expect, test } from 'vitest'
import type { PeerReport } from '../../cluster/liveness.ts'
import { nodeId } from '../../cluster/node.ts'
import { ClockWatch } from './clock-watch.ts'

test('a clock that is far off is told once, and once when it is right again', () => {
  const told: string[] = []
  const watch = new ClockWatch((event) => told.push(`${event.level} ${event.message}`))
  const look = (clockSkewMs: number | null, silent = false) => watch.look([{ node: nodeId('b'), silent, clockSkewMs } as PeerReport])
  for (const skew of [null, 10, -1900, -65_000, -65_000, 3000, 1500, 20, 20]) look(skew)
  look(9000, true)
  expect(told).toEqual([
    "warning the clock of b is 65.0 s behind this node's: set up time synchronisation (chrony) on both",
    "info the clock of b agrees with this node's again",
  ])
})
