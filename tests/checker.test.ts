import { expect, test } from 'vitest'
import { checkMail, checkSql, findSplit, longestGap, steadySince } from './rig/clients/checker.ts'
import type { MailRecord, SqlRecord } from './rig/clients/records.ts'

const ack = (id: number, at: number, host = 'node1', epoch = '1', sent = at - 1): Extract<SqlRecord, { kind: 'acknowledged' }> => ({
  kind: 'acknowledged',
  at,
  sent,
  id,
  host,
  epoch,
})

test('an acknowledged id that is absent is lost, one that is there twice is doubled, an unanswered one is neither', () => {
  const records: SqlRecord[] = [ack(1, 5), ack(2, 10), { kind: 'dropped', at: 15, id: 3, host: 'node1', reason: 'x' }, ack(4, 20), ack(5, 25)]
  expect(checkSql(records, [1, 3, 4, 4])).toMatchObject({ acknowledged: 4, lost: [2, 5], doubled: [4], split: [] })
})

test('a warning with an acknowledgement is kept', () => {
  expect(checkSql([{ ...ack(1, 5), note: '01000 canceling wait for synchronous replication' }], [1]).warned).toHaveLength(1)
})

test('two hosts in one epoch are a split', () => {
  expect(findSplit([ack(1, 5), ack(2, 10, 'node2')])).toEqual(['epoch 1 was acknowledged by node1 and node2'])
})

test('an epoch that follows another is no split, nor is a reply that was on its way', () => {
  expect(findSplit([ack(1, 5), ack(2, 20, 'node2', '2'), ack(3, 21, 'node1', '1', 19)])).toEqual([])
})

test('an old epoch that acknowledges what was sent after the new one had begun is a split', () => {
  expect(findSplit([ack(1, 5), ack(2, 20, 'node2', '2'), ack(3, 31, 'node1', '1', 30)])).toEqual([
    'epoch 1 acknowledged write 3 sent 10.0 ms after epoch 2 had begun',
  ])
})

test('without epochs, as on plain PostgreSQL, nothing is called a split', () => {
  expect(findSplit([ack(1, 5, 'node1', ''), ack(2, 6, 'node2', '')])).toEqual([])
})

test('the outage is the longest gap that ends after the fault', () => {
  expect(longestGap([0, 100, 105, 110, 500, 505, 520], 107)).toEqual({ ms: 390, from: 110, to: 500 })
  expect(longestGap([0, 100, 105], 200)).toEqual({ ms: 0, from: 200, to: 200 })
  expect(longestGap([0, 5, 10, 400, 405, 900], 7, 405)).toEqual({ ms: 495, from: 405, to: 900 })
})

test('writes are steady since the last long gap', () => {
  expect(steadySince([0, 5, 1000, 1005, 1010], 1020)).toBe(1000)
  expect(steadySince([0, 5], 600)).toBeUndefined()
  expect(steadySince([], 0)).toBeUndefined()
})

test('mail: lost, doubled, shown then gone, and a UID that changed its message', () => {
  const delivered = (messageId: string): MailRecord => ({ kind: 'delivered', at: 1, sent: 0, messageId, session: 1, tries: 1 })
  const seen = (uid: number, messageId: string): MailRecord => ({ kind: 'seen', at: 2, uidValidity: 7, uid, messageId })
  const records = [delivered('a'), delivered('b'), delivered('c'), seen(1, 'a'), seen(2, 'x'), seen(3, 'c')]
  const present = [
    { uidValidity: 7, uid: 1, messageId: 'a' },
    { uidValidity: 7, uid: 3, messageId: 'd' },
    { uidValidity: 7, uid: 4, messageId: 'c' },
    { uidValidity: 7, uid: 5, messageId: 'c' },
  ]
  expect(checkMail(records, present)).toEqual({ delivered: 3, lost: ['b'], doubled: ['c'], shownThenGone: ['2/x'], renamed: ['UID 3 was c, now d'] })
})
