import { expect, test } from 'vitest'
import type { ClusterEvent } from '../../supervisor/ports.ts'
import { LastingTrouble } from './lasting-trouble.ts'

test('a trouble that lasts is told once with its remedy, and once when it is over; a short one is not told', () => {
  const told: ClusterEvent[] = []
  const trouble = new LastingTrouble({ code: 'LISTENER_NOT_OPEN', afterMs: 2000, tell: (event) => told.push(event) })
  trouble.look('imap', 'EADDRINUSE', 0)
  trouble.look('imap', null, 1000)
  trouble.look('imap', 'EADDRINUSE', 1500)
  trouble.look('imap', 'EADDRINUSE', 3000)
  expect(told).toEqual([])
  for (const now of [3500, 4000, 9000]) trouble.look('imap', 'EADDRINUSE', now)
  expect(told).toEqual([expect.objectContaining({ level: 'error', message: expect.stringMatching(/imap: EADDRINUSE\. .*ss -ltnp/) })])
  trouble.look('imap', null, 9500)
  trouble.look('imap', null, 9900)
  expect(told).toHaveLength(2)
  expect(told[1]).toMatchObject({ level: 'info', code: 'LISTENER_NOT_OPEN' })
})
