import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Replaces a file as a whole, durably: after a crash it has the former content or the new, never a part. */
export function writeFileAtomically(file: string, content: string | Uint8Array, mode = 0o600): void {
  const draft = `${file}.${process.pid}.new`
  const descriptor = openSync(draft, 'w', mode)
  try {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written)
    fsyncSync(descriptor)
    closeSync(descriptor)
    renameSync(draft, file)
  } catch (failure) {
    try {
      unlinkSync(draft)
    } catch {
      // it was renamed, or never made
    }
    throw failure
  }
  // The new name is durable only when its directory is (fsync(2), notes).
  const directory = openSync(dirname(file), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
