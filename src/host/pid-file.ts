import { readFileSync } from 'node:fs'
import type { ProcessId } from './processes.ts'

export const pidText = (id: ProcessId): string => `${id.pid} ${id.startTicks}\n`

/** The process that a file with `pidText` names, running or not; null when there is none or it is not whole. */
export function readPidFile(file: string): ProcessId | null {
  try {
    const [pid, startTicks] = readFileSync(file, 'utf8').trim().split(' ')
    return pid === undefined || startTicks === undefined || !/^\d+$/.test(pid) ? null : { pid: Number(pid), startTicks }
  } catch {
    return null
  }
}
