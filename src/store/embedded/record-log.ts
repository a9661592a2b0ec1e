import { closeSync, fdatasyncSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { HandoffError } from '../../errors.ts'
import type { LogRecord } from './state.ts'

/** Brings what was written to the disk (fdatasync(2)); a test puts a slow or failing disk in its place. */
export type Sync = (file: FileHandle) => Promise<void>

const datasync: Sync = (file) => file.datasync()

/**
 * The append-only file of the embedded store. One line is one batch: its checksum, a space, a JSON array of records. A batch is
 * acknowledged after `fdatasync`, so a line that is not whole was never acknowledged, and can only be the last one: it is cut off.
 * A bad line with a good one after it is damage, and is not passed over.
 *
 * `store-N.log` begins with a snapshot. Compaction writes `store-N+1.log` beside it, syncs, renames, syncs the directory, and only
 * then removes the old one; so at every instant one whole file is there.
 */
export class RecordLog {
  bytes: number
  /** Of which the snapshot at its beginning. */
  snapshotBytes = 0
  private readonly directory: string
  private generation: number
  private file: FileHandle

  private readonly sync: Sync

  private constructor(directory: string, generation: number, file: FileHandle, bytes: number, sync: Sync) {
    this.sync = sync
    this.directory = directory
    this.generation = generation
    this.file = file
    this.bytes = bytes
  }

  /** @throws HandoffError STORE_DAMAGED */
  static async open(directory: string, apply: (record: LogRecord) => void, sync: Sync = datasync): Promise<RecordLog> {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const generations = readdirSync(directory).flatMap((name) => {
      const match = /^store-(\d+)\.log$/.exec(name)
      return match === null ? [] : [Number(match[1])]
    })
    const generation = Math.max(0, ...generations)
    for (const name of readdirSync(directory)) {
      const stale = name.endsWith('.log.new') || (/^store-\d+\.log$/.test(name) && name !== fileName(generation))
      if (stale) rmSync(join(directory, name))
    }
    const path = join(directory, fileName(generation))
    const bytes = generations.length === 0 ? create(path, directory) : recover(path, apply)
    return new RecordLog(directory, generation, await open(path, 'a'), bytes, sync)
  }

  /** Returns when the records are on disk. After a failure nothing is known of the file: the caller must stop using it. */
  async append(records: readonly LogRecord[]): Promise<void> {
    const line = encode(records)
    const { bytesWritten } = await this.file.write(line)
    if (bytesWritten !== line.length) throw new Error(`wrote ${bytesWritten} of ${line.length} bytes to the log of the embedded store`)
    await this.sync(this.file)
    this.bytes += line.length
  }

  /** Begins a new file with the snapshot. */
  async compact(snapshot: LogRecord): Promise<void> {
    const next = this.generation + 1
    const path = join(this.directory, fileName(next))
    const file = await open(`${path}.new`, 'a', 0o600)
    const line = encode([snapshot])
    await file.write(line)
    await this.sync(file)
    renameSync(`${path}.new`, path)
    syncDirectory(this.directory)
    await this.file.close()
    rmSync(join(this.directory, fileName(this.generation)))
    this.file = file
    this.generation = next
    this.bytes = line.length
    this.snapshotBytes = line.length
  }

  async close(): Promise<void> {
    await this.file.close()
  }
}

const fileName = (generation: number): string => `store-${generation}.log`

function encode(records: readonly LogRecord[]): Buffer {
  const text = JSON.stringify(records)
  return Buffer.from(`${checksum(text)} ${text}\n`)
}

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0')

function decode(line: Buffer): readonly LogRecord[] | null {
  const text = line.toString('utf8')
  return text.length < 10 || checksum(text.slice(9)) !== text.slice(0, 8) ? null : (JSON.parse(text.slice(9)) as LogRecord[])
}

function create(path: string, directory: string): number {
  closeSync(openSync(path, 'a', 0o600))
  syncDirectory(directory)
  return 0
}

/** Applies every whole batch, cuts a torn tail off; returns the length that is left. */
function recover(path: string, apply: (record: LogRecord) => void): number {
  const content = readFileSync(path)
  let at = 0
  while (at < content.length) {
    const end = content.indexOf(10, at)
    const records = end < 0 ? null : decode(content.subarray(at, end))
    if (records === null) break
    for (const record of records) apply(record)
    at = end + 1
  }
  if (at === content.length) return at
  for (let start = content.indexOf(10, at) + 1; start > 0 && start < content.length; start = content.indexOf(10, start) + 1) {
    const end = content.indexOf(10, start)
    if (end > 0 && decode(content.subarray(start, end)) !== null)
      throw new HandoffError('STORE_DAMAGED', `"${path}" is damaged at byte ${at}: a bad checksum there, and good records after it from byte ${start} on`)
  }
  truncate(path, at)
  return at
}

function truncate(path: string, length: number): void {
  const file = openSync(path, 'r+')
  try {
    ftruncateSync(file, length)
    fdatasyncSync(file)
  } finally {
    closeSync(file)
  }
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Writes a file that must not exist yet. */
export function writeWhole(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, text)
  } finally {
    closeSync(file)
  }
}
