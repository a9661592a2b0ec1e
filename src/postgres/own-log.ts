import { chownSync, closeSync, copyFileSync, constants, existsSync, mkdirSync, openSync, readdirSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatLsn, type Lsn, parseLsn } from '../replication/lsn.ts'
import { type ControlData, readControlData } from './control-data.ts'
import { readIfThere } from './layout.ts'
import type { OsUser } from './os-user.ts'
import { runProgram } from './program.ts'
import type { ServerContext } from './server.ts'
import { parseHistory, type Timeline, timelineHex } from './timeline-history.ts'

/** The log of a data directory at rest: on which timeline it ends, and where. */
export interface OwnLog {
  readonly control: ControlData
  readonly line: readonly Timeline[]
  readonly timeline: number
  readonly endLsn: Lsn
}

const segmentName = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/

export async function readOwnLog(context: ServerContext, binDirectory: string, signal: AbortSignal): Promise<OwnLog> {
  const { layout, user } = context
  const control = await readControlData(binDirectory, layout.data, user)
  const log = join(layout.data, 'pg_wal')
  // The control file names the timeline of the last checkpoint; a promotion just before a crash shows only in the log.
  const timeline = Math.max(
    control.timeline,
    ...segments(log, control)
      .filter((segment) => segment.end > control.redoLsn)
      .map((segment) => segment.timeline),
  )
  const line = parseHistory(timeline, readIfThere(join(log, `${timelineHex(timeline)}.history`)) ?? '')
  const begin = line.at(-1)?.begin ?? control.redoLsn
  const from = begin > control.redoLsn ? begin : control.redoLsn
  return { control, line, timeline, endLsn: await endOfLog({ binDirectory, user, log, timeline, from, signal }) }
}

/** `--stats` reads to the last valid record, as recovery would, and prints where that ends, not the records. */
async function endOfLog(options: {
  readonly binDirectory: string
  readonly user: OsUser
  readonly log: string
  readonly timeline: number
  readonly from: Lsn
  readonly signal: AbortSignal
}): Promise<Lsn> {
  const args = ['--stats', '-p', options.log, '-t', String(options.timeline), '-s', formatLsn(options.from)]
  const { stdout } = await runProgram(join(options.binDirectory, 'pg_waldump'), args, {
    user: options.user,
    timeoutMs: 10 * 60_000,
    signal: options.signal,
    tolerant: true,
  })
  const end = /WAL statistics between \S+ and ([0-9A-F]+\/[0-9A-F]+)/.exec(stdout)?.[1]
  return end === undefined ? options.from : parseLsn(end)
}

/** A piece of the log, read from its file: where it is there and here, so that both sides can be compared. */
export interface LogPiece {
  readonly file: string
  readonly offset: number
  readonly bytes: Buffer
}

/**
 * The first bytes of the newest timeline: the record that ends the recovery, with the time of the promotion. Two copies that were
 * promoted at one position without knowing of each other use one timeline number, and differ only in this. Null on timeline 1.
 */
export function beginningOfTimeline(data: string, own: OwnLog): LogPiece | null {
  const begin = own.line.at(-1)?.begin
  if (begin == null || own.endLsn <= begin) return null
  const size = BigInt(own.control.segmentBytes)
  const segment = begin / size
  const perFile = 0x1_0000_0000n / size
  const hex = (part: bigint): string => part.toString(16).toUpperCase().padStart(8, '0')
  const file = `pg_wal/${timelineHex(own.timeline)}${hex(segment / perFile)}${hex(segment % perFile)}`
  const offset = Number(begin % size)
  const bytes = Buffer.alloc(Number([256n, own.endLsn - begin, size - (begin % size)].reduce((least, value) => (value < least ? value : least))))
  if (!existsSync(join(data, file))) return null
  const handle = openSync(join(data, file), 'r')
  try {
    readSync(handle, bytes, 0, bytes.length, offset)
  } finally {
    closeSync(handle)
  }
  return { file, offset, bytes }
}

interface Segment {
  readonly name: string
  readonly timeline: number
  readonly begin: bigint
  readonly end: bigint
}

function segments(log: string, control: ControlData): Segment[] {
  const size = BigInt(control.segmentBytes)
  return readdirSync(log).flatMap((name) => {
    const match = segmentName.exec(name)
    if (match === null) return []
    const begin = (BigInt(`0x${match[2]}`) << 32n) + BigInt(`0x${match[3]}`) * size
    return [{ name, timeline: Number.parseInt(match[1] ?? '0', 16), begin, end: begin + size }]
  })
}

/** What one data directory had that the active copy has not. */
export interface DivergentTail {
  readonly fromLsn: string
  readonly toLsn: string
  readonly bytes: number
  readonly timeline: number
  readonly commits: number
  /** Transaction numbers of the commits, the first 10,000. */
  readonly transactions: readonly string[]
  readonly segments: readonly string[]
}

/** Copies the log from the fork on, with a summary, before anything changes it. @returns the directory */
export async function saveTail(
  context: ServerContext,
  options: { readonly binDirectory: string; readonly own: OwnLog; readonly fork: Lsn; readonly epoch: number; readonly signal: AbortSignal },
): Promise<string> {
  const { layout, user } = context
  const { own, fork } = options
  const log = join(layout.data, 'pg_wal')
  const directory = freshDirectory(layout.divergent, options.epoch)
  const ancestry = own.line.map((timeline) => timeline.id)
  const tail = segments(log, own.control).filter((segment) => segment.end > fork && segment.begin < own.endLsn && ancestry.includes(segment.timeline))
  const histories = readdirSync(log).filter((name) => name.endsWith('.history'))
  for (const name of [...tail.map((segment) => segment.name), ...histories]) copyFileSync(join(log, name), join(directory, name), constants.COPYFILE_FICLONE)
  const transactions = await commitsBetween({ ...options, user, log })
  const summary: DivergentTail = {
    fromLsn: formatLsn(fork),
    toLsn: formatLsn(own.endLsn),
    bytes: Number(own.endLsn - fork),
    timeline: own.timeline,
    commits: transactions.length,
    transactions: transactions.slice(0, 10_000),
    segments: tail.map((segment) => segment.name),
  }
  writeFileSync(join(directory, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
  return directory
}

/** The whole log directory, for a data directory that cannot tell where it parts. */
export async function saveWholeLog(context: ServerContext, epoch: number): Promise<string> {
  const { layout, user } = context
  const directory = freshDirectory(layout.divergent, epoch)
  if (user.change) chownSync(directory, user.uid, user.gid)
  await runProgram('cp', ['-a', '--reflink=auto', join(layout.data, 'pg_wal'), directory], { user, timeoutMs: 10 * 60_000 })
  return directory
}

async function commitsBetween(options: {
  readonly binDirectory: string
  readonly user: OsUser
  readonly log: string
  readonly own: OwnLog
  readonly fork: Lsn
  readonly signal: AbortSignal
}): Promise<string[]> {
  const begin = options.own.line.at(-1)?.begin ?? null
  const from = begin !== null && begin > options.fork ? begin : options.fork
  const args = ['-r', 'Transaction', '-p', options.log, '-t', String(options.own.timeline), '-s', formatLsn(from), '-e', formatLsn(options.own.endLsn)]
  const { stdout } = await runProgram(join(options.binDirectory, 'pg_waldump'), args, {
    user: options.user,
    timeoutMs: 10 * 60_000,
    signal: options.signal,
    tolerant: true,
  })
  return [...stdout.matchAll(/tx:\s+(\d+),.*desc: COMMIT/g)].map((match) => match[1] ?? '')
}

/** An earlier attempt for the same epoch keeps what it saved. */
function freshDirectory(divergent: string, epoch: number): string {
  for (let attempt = 1; ; attempt++) {
    const directory = join(divergent, attempt === 1 ? String(epoch) : `${epoch}-${attempt}`)
    if (existsSync(directory)) continue
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return directory
  }
}
