import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { asUser, type OsUser } from './os-user.ts'
import { readIfThere } from './layout.ts'

/** A process, told apart from a later one with the same number by its start time (proc(5), field 22 of stat). */
export interface ProcessId {
  readonly pid: number
  readonly startTicks: string
}

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
  const startTicks = startTicksOf(pid)
  if (startTicks === null || !runsIn(pid, data)) return null
  return { pid, startTicks }
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

export const isRunning = (process: ProcessId): boolean => startTicksOf(process.pid) === process.startTicks

/** Start time of a process in clock ticks since boot; null when it does not run (a zombie does not). */
export function startTicksOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}

/**
 * Every PostgreSQL process of a data directory, orphans of a killed postmaster included: each backend makes a session of its
 * own, so neither process group nor session finds them, but all of them stay in the data directory.
 */
export function processesOf(data: string): ProcessId[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || !runsIn(Number(name), data)) return []
    const startTicks = startTicksOf(Number(name))
    return startTicks === null ? [] : [{ pid: Number(name), startTicks }]
  })
}

function runsIn(pid: number, data: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '') !== realpathSync(data)) return false
    return /^postgres/.test(basename(readlinkSync(`/proc/${pid}/exe`)))
  } catch {
    return false
  }
}

export function signalProcess(process_: ProcessId, signal: NodeJS.Signals): void {
  if (!isRunning(process_)) return
  try {
    process.kill(process_.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
