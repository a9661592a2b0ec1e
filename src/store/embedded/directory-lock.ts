import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HandoffError } from '../../errors.ts'
import { pidText, readPidFile } from '../../host/pid-file.ts'
import { isRunning, startTicksOf } from '../../host/processes.ts'
import { writeWhole } from './record-log.ts'

/**
 * Takes a data directory for this process until the returned function is called. A process that died keeps nothing.
 * @throws HandoffError STORE_DIRECTORY_IN_USE
 */
export function lockDirectory(directory: string): () => void {
  const file = join(directory, 'lock')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const holder = readPidFile(file)
  if (holder !== null && isRunning(holder)) throw inUse(directory, holder.pid)
  rmSync(file, { force: true })
  try {
    writeWhole(file, pidText({ pid: process.pid, startTicks: startTicksOf(process.pid) ?? '' }))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw inUse(directory, readPidFile(file)?.pid)
    throw cause
  }
  return () => rmSync(file, { force: true })
}

const inUse = (directory: string, pid: number | undefined): HandoffError =>
  new HandoffError('STORE_DIRECTORY_IN_USE', `cannot open the embedded store in "${directory}": process ${pid ?? '(unknown)'} has it open`)
