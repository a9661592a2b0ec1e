import { spawn } from 'node:child_process'
import { readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'

/** A process, told apart from a later one with the same number by its start time (proc(5), field 22 of stat). */
export interface ProcessId {
  readonly pid: number
  readonly startTicks: string
}

/** Start time of a process in clock ticks since boot; null when it does not run (a zombie does not). */
export function startTicksOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // the second field is the program's name in parentheses and may hold anything, so count from the last parenthesis
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}

export const isRunning = (process: ProcessId): boolean => startTicksOf(process.pid) === process.startTicks

/** The process that has this number now; null when none runs. */
export function identify(pid: number): ProcessId | null {
  const startTicks = startTicksOf(pid)
  return startTicks === null ? null : { pid, startTicks }
}

/** Starts a program in a session of its own, so that it outlives this process; null when it cannot be started. */
export function spawnDetached(
  program: string,
  args: readonly string[],
  options: { readonly stdin?: string; readonly log?: number | 'ignore'; readonly env?: NodeJS.ProcessEnv; readonly uid?: number; readonly gid?: number } = {},
): { readonly id: ProcessId; readonly exited: Promise<number | null> } | null {
  const log = options.log ?? 'ignore'
  const child = spawn(program, [...args], {
    detached: true,
    cwd: '/',
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', log, log],
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  })
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code))
    child.once('error', () => resolve(null))
  })
  child.stdin?.on('error', () => {}) // it ended before it read: `exited` tells
  child.stdin?.end(options.stdin)
  child.unref()
  const id = child.pid === undefined ? null : identify(child.pid)
  return id === null ? null : { id, exited }
}

/** Every process of a program, told by the name of its file, whose working directory is this one. */
export function processesIn(directory: string, program: string): ProcessId[] {
  const path = realPath(directory)
  return readdirSync('/proc').flatMap((name) => {
    const id = /^\d+$/.test(name) && worksAt(Number(name), path, program) ? identify(Number(name)) : null
    return id === null ? [] : [id]
  })
}

/** Is this a process of the program with this working directory? */
export const worksIn = (pid: number, directory: string, program: string): boolean => worksAt(pid, realPath(directory), program)

function worksAt(pid: number, path: string, program: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '') !== path) return false
    // a program that was replaced by an upgrade is called "NAME (deleted)"
    return basename(readlinkSync(`/proc/${pid}/exe`)).split(' ')[0] === program
  } catch {
    return false
  }
}

function realPath(directory: string): string {
  try {
    return realpathSync(directory)
  } catch {
    return directory
  }
}

/** A signal for exactly this process, when it still runs. */
export function signalProcess(target: ProcessId, name: NodeJS.Signals): void {
  if (isRunning(target)) signal(target.pid, name)
}

/** SIGKILL for exactly this process and, where it leads one, its process group. False when it did not run any more. */
export function killProcess(target: ProcessId): boolean {
  if (target.pid <= 1 || !isRunning(target)) return false
  // The group first: when its leader is gone, nothing proves any more that the group's number still means this group.
  if (leadsGroup(target.pid)) signal(-target.pid, 'SIGKILL')
  signal(target.pid, 'SIGKILL')
  return true
}

function leadsGroup(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[2]) === pid
  } catch {
    return false
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'ESRCH') throw failure
  }
}
