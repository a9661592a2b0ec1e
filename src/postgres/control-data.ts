import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import { type Lsn, parseLsn } from '../replication/lsn.ts'
import { readIfThere } from './layout.ts'
import type { OsUser } from './os-user.ts'
import { runProgram } from './program.ts'

/** What `pg_controldata` says of a data directory at rest. */
export interface ControlData {
  readonly systemId: string
  readonly state: string
  readonly timeline: number
  readonly redoLsn: Lsn
  readonly segmentBytes: number
}

export async function readControlData(binDirectory: string, data: string, user: OsUser): Promise<ControlData> {
  const { stdout } = await runProgram(join(binDirectory, 'pg_controldata'), ['-D', data], { user, timeoutMs: 10_000 })
  const field = (name: string): string => {
    const line = stdout.split('\n').find((candidate) => candidate.startsWith(`${name}:`))
    if (line === undefined) throw new HandoffError('POSTGRES_PROGRAM_FAILED', `pg_controldata of "${data}" has no "${name}"`)
    return line.slice(name.length + 1).trim()
  }
  return {
    systemId: field('Database system identifier'),
    state: field('Database cluster state'),
    timeline: Number(field("Latest checkpoint's TimeLineID")),
    redoLsn: parseLsn(field("Latest checkpoint's REDO location")),
    segmentBytes: Number(field('Bytes per WAL segment')),
  }
}

/**
 * Are the programs there, and do they fit the data directory?
 * @throws HandoffError POSTGRES_MISSING, POSTGRES_VERSION_MISMATCH
 */
export async function checkVersion(binDirectory: string, data: string, user: OsUser): Promise<void> {
  const file = join(binDirectory, 'postgres')
  const text = await runProgram(file, ['--version'], { user, timeoutMs: 10_000 }).catch((cause: unknown) => {
    throw new HandoffError('POSTGRES_MISSING', `cannot run "${file}": ${(cause as Error).message}`, { cause })
  })
  const major = /PostgreSQL\) (\d+)/.exec(text.stdout)?.[1]
  if (major === undefined || Number(major) < 15) throw new HandoffError('POSTGRES_MISSING', `"${file}" is "${text.stdout.trim()}", wanted version 15 or newer`)
  const made = readIfThere(join(data, 'PG_VERSION'))?.trim()
  if (made !== undefined && made !== major)
    throw new HandoffError('POSTGRES_VERSION_MISMATCH', `"${data}" was made by PostgreSQL ${made}, "${binDirectory}" has ${major}`)
}
