import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { identify, type ProcessId, processesIn, startTicksOf, worksIn } from '../host/processes.ts'
import { asUser, type OsUser } from './os-user.ts'
import { readIfThere } from './layout.ts'

export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface StartedProcess extends ProcessId {
  /** Settles within a millisecond of the end, while this process lives. */
  readonly exited: Promise<ProcessExit>
}

/** Starts `postgres` as nobody's child in effect: it goes on when this process ends. */
export function startPostmaster(options: {
  readonly program: string
  readonly args: readonly string[]
  readonly user: OsUser
  readonly logFile: string
}): StartedProcess | Error {
  const log = openSync(options.logFile, 'a', 0o600)
  try {
    const child = spawn(options.program, [...options.args], {
      ...asUser(options.user),
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
    })
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
      child.once('error', () => resolve({ code: null, signal: null }))
    })
    child.unref()
    if (child.pid === undefined) return new Error(`cannot start "${options.program}"`)
    return { pid: child.pid, startTicks: startTicksOf(child.pid) ?? '', exited }
  } finally {
    closeSync(log)
  }
}

/** The running postmaster of a data directory, whoever started it; null when there is none. */
export function findPostmaster(data: string): ProcessId | null {
  const pid = readPidFile(data)?.pid
  if (pid === undefined) return null
  return worksIn(pid, data, 'postgres') ? identify(pid) : null
}

export interface PidFile {
  readonly pid: number
  /** `starting`, `stopping`, `ready` or `standby` (source: src/include/utils/pidfile.h). */
  readonly status: string
}

export function readPidFile(data: string): PidFile | null {
  const lines = readIfThere(join(data, 'postmaster.pid'))?.split('\n')
  const pid = Number(lines?.[0])
  return lines === undefined || !Number.isInteger(pid) || pid <= 0 ? null : { pid, status: (lines[7] ?? '').trim() }
}

/**
 * Every PostgreSQL process of a data directory, orphans of a killed postmaster included: each backend makes a session of its
 * own, so neither process group nor session finds them, but all of them stay in the data directory.
 */
export const processesOf = (data: string): ProcessId[] => processesIn(data, 'postgres')
