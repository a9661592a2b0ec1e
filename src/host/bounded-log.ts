import { copyFile, stat, truncate } from 'node:fs/promises'

export const logBytesMax = 16 * 1024 * 1024

/**
 * Keeps a log that a process writes to within its bounds: too large, it is copied to `FILE.1`, which is replaced, and emptied. The writer
 * has it open for appending (O_APPEND), so it goes on at the beginning. Lines written between the copy and the cut are lost: milliseconds, once in 16 MB.
 * @returns whether it was cut
 */
export async function boundLog(file: string, bytesMax = logBytesMax): Promise<boolean> {
  try {
    if ((await stat(file)).size <= bytesMax) return false
    await copyFile(file, `${file}.1`)
    await truncate(file)
    return true
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw failure
  }
}
