import { createHash } from 'node:crypto'
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import type { OsUser } from './os-user.ts'

/** Where things are in the directory of one copy (docs/design/architecture.md, "One copy's life"). */
export interface Layout {
  readonly directory: string
  readonly data: string
  /** A data directory that is being made; renamed to `data` when it is whole. */
  readonly unfinishedData: string
  /** A data directory that has been replaced and is being deleted. */
  readonly replacedData: string
  /** Present while `data` is being changed in a way that cannot be taken up again (pg_rewind). */
  readonly unfinishedMark: string
  readonly configFile: string
  readonly hbaFile: string
  readonly identFile: string
  readonly socketDirectory: string
  readonly logFile: string
  readonly divergent: string
  readonly factsFile: string
}

/** `sun_path` holds 108 bytes with the closing zero (unix(7)). */
const socketPathBytesMax = 107

export function layoutOf(directory: string, port: number): Layout {
  const own = join(directory, 'socket')
  const fits = Buffer.byteLength(`${own}/.s.PGSQL.${port}.lock`) <= socketPathBytesMax
  const short = `/tmp/handoff-${createHash('sha256').update(directory).digest('hex').slice(0, 16)}`
  return {
    directory,
    data: join(directory, 'data'),
    unfinishedData: join(directory, 'data.unfinished'),
    replacedData: join(directory, 'data.replaced'),
    unfinishedMark: join(directory, 'rewind.unfinished'),
    configFile: join(directory, 'postgresql.conf'),
    hbaFile: join(directory, 'pg_hba.conf'),
    identFile: join(directory, 'pg_ident.conf'),
    socketDirectory: fits ? own : short,
    logFile: join(directory, 'log', 'postgresql.log'),
    divergent: join(directory, 'divergent'),
    factsFile: join(directory, 'instance.json'),
  }
}

/** Makes the directories that are missing, owned by PostgreSQL's user. */
export function makeLayout(layout: Layout, user: OsUser): void {
  mkdirSync(layout.directory, { recursive: true })
  for (const directory of [layout.directory, layout.socketDirectory, join(layout.directory, 'log'), layout.divergent]) makeOwnDirectory(directory, user)
}

export function makeOwnDirectory(directory: string, user: OsUser): void {
  if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 })
  const found = lstatSync(directory)
  if (found.isDirectory() && found.uid === user.uid) return
  // Only root can give a directory away; and one in /tmp that someone else made is not ours to take.
  if (!found.isDirectory() || !user.change || found.uid !== 0)
    throw new HandoffError('POSTGRES_START_FAILED', `cannot use "${directory}": it belongs to user ${found.uid}, wanted ${user.uid} (${user.name})`, {
      remedy: `Remove it, or give it to ${user.name} (chown).`,
    })
  chownSync(directory, user.uid, user.gid)
  chmodSync(directory, 0o700)
}

/** Replaces a file in one step, owned by PostgreSQL's user and read by nobody else: settings hold passwords. */
export function writeOwnFile(file: string, text: string, user: OsUser): void {
  const fresh = `${file}.new`
  writeFileSync(fresh, text, { mode: 0o600 })
  if (user.change) chownSync(fresh, user.uid, user.gid)
  renameSync(fresh, file)
}

export function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
