import { linkSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { pidText, readPidFile } from './pid-file.ts'
import { identify, isRunning, type ProcessId } from './processes.ts'

/** Held by this process until `release` or its end. */
export interface LockFile {
  release(): void
}

/**
 * Takes a lock that dies with its holder: the file names the process that has it.
 * @returns the holder's identity when another process has it
 */
export function takeLock(file: string): LockFile | { readonly holder: ProcessId } {
  const own = identify(process.pid) as ProcessId
  const draft = `${file}.${own.pid}`
  writeFileSync(draft, pidText(own), { mode: 0o600 })
  try {
    for (;;) {
      try {
        linkSync(draft, file) // atomic, and the file is never seen without its content
        return { release: () => releaseIfOwn(file, own) }
      } catch (failure) {
        if ((failure as NodeJS.ErrnoException).code !== 'EEXIST') throw failure
      }
      const holder = lockHolder(file)
      if (holder !== null && isRunning(holder) && holder.pid !== own.pid) return { holder }
      clearStale(file, holder, own)
    }
  } finally {
    unlinkSync(draft)
  }
}

/** Moves a dead holder's file away. Two may do so at once: whoever has moved a living holder's file puts it back. */
function clearStale(file: string, stale: ProcessId | null, own: ProcessId): void {
  const aside = `${file}.${own.pid}.stale`
  try {
    renameSync(file, aside)
  } catch {
    return
  }
  const moved = lockHolder(aside)
  if (moved !== null && moved.pid !== stale?.pid && isRunning(moved)) {
    try {
      linkSync(aside, file)
    } catch {
      // a third one has it by now; the next round tells who
    }
  }
  unlinkSync(aside)
}

/** The process that the lock file names, running or not. */
export const lockHolder = (file: string): ProcessId | null => readPidFile(file)

function releaseIfOwn(file: string, own: ProcessId): void {
  const holder = lockHolder(file)
  if (holder?.pid !== own.pid || holder.startTicks !== own.startTicks) return
  try {
    unlinkSync(file)
  } catch {
    // gone already
  }
}
