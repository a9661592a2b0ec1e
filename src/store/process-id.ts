import { readFileSync } from 'node:fs'

/** A process, told apart from a later one with the same number by its start time (proc(5), field 22 of stat). */
export interface ProcessId {
  readonly pid: number
  readonly startTicks: string
}

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

export const isRunning = (process: ProcessId): boolean => startTicksOf(process.pid) === process.startTicks

/** A pid file as `writeFileSync(file, pidText(id))` made it; null when there is none or it is not whole. */
export function readPidFile(file: string): ProcessId | null {
  try {
    const [pid, startTicks] = readFileSync(file, 'utf8').trim().split(' ')
    return pid === undefined || startTicks === undefined || !/^\d+$/.test(pid) ? null : { pid: Number(pid), startTicks }
  } catch {
    return null
  }
}

export const pidText = (id: ProcessId): string => `${id.pid} ${id.startTicks}\n`
