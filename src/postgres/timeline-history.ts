import { type Lsn, parseLsn } from '../replication/lsn.ts'

/** A timeline and where it begins: a line of a history file names a timeline and where the next one left it. */
export interface Timeline {
  readonly id: number
  /** Where it left its parent; null for the first one. */
  readonly begin: Lsn | null
}

/** The line of descent of a timeline, oldest first, itself last. `history` is the text of its history file; timeline 1 has none. */
export function parseHistory(id: number, history: string): Timeline[] {
  const entries = history
    .split('\n')
    .map((line) => /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ id: Number(match[1]), end: parseLsn(match[2] ?? '') }))
  const line: Timeline[] = []
  let begin: Lsn | null = null
  for (const entry of entries) {
    line.push({ id: entry.id, begin })
    begin = entry.end
  }
  return [...line, { id, begin }]
}

export interface Fork {
  /** The newest timeline that both have. */
  readonly timeline: number
  /** Where they part; null when the other side is still on this timeline, so that they have not parted. */
  readonly lsn: Lsn | null
}

/** Where a copy's line of descent leaves that of another; null when they have nothing in common. */
export function forkOf(own: readonly Timeline[], other: readonly Timeline[]): Fork | null {
  let common = -1
  while (own[common + 1] !== undefined && own[common + 1]?.id === other[common + 1]?.id && own[common + 1]?.begin === other[common + 1]?.begin) common += 1
  const timeline = own[common]
  if (timeline === undefined) return null
  const ends = [own[common + 1]?.begin, other[common + 1]?.begin].filter((end) => end != null)
  return { timeline: timeline.id, lsn: ends.length === 0 ? null : ends.reduce((first, end) => (end < first ? end : first)) }
}

export const timelineHex = (id: number): string => id.toString(16).toUpperCase().padStart(8, '0')
