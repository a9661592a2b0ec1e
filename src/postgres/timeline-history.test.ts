import { expect, test } from 'vitest'
import { parseLsn } from '../replication/lsn.ts'
import { forkOf, parseHistory } from './timeline-history.ts'

const history2 = '1\t0/3000060\tno recovery target specified\n'
const history3 = `${history2}2\t0/4000000\tno recovery target specified\n`

test('a history file gives the line of descent', () => {
  expect(parseHistory(3, history3)).toEqual([
    { id: 1, begin: null },
    { id: 2, begin: parseLsn('0/3000060') },
    { id: 3, begin: parseLsn('0/4000000') },
  ])
})

test('a copy that stayed behind parts where the other left its timeline', () => {
  expect(forkOf(parseHistory(1, ''), parseHistory(3, history3))).toEqual({ timeline: 1, lsn: parseLsn('0/3000060') })
})

test('two copies on one timeline have not parted', () => {
  expect(forkOf(parseHistory(2, history2), parseHistory(2, history2))).toEqual({ timeline: 2, lsn: null })
})

test('two promotions to one timeline number at different positions part at the first of them', () => {
  const other = '1\t0/5000000\tno recovery target specified\n'
  expect(forkOf(parseHistory(2, history2), parseHistory(2, other))).toEqual({ timeline: 1, lsn: parseLsn('0/3000060') })
})

test('a copy that is ahead of the other one parts where it left', () => {
  expect(forkOf(parseHistory(3, history3), parseHistory(2, history2))).toEqual({ timeline: 2, lsn: parseLsn('0/4000000') })
})
