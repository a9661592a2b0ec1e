import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { nodeFile } from '../../config/paths.ts'
import type { Config } from '../../config/config.ts'
import { HandoffError } from '../../errors.ts'

interface Identity {
  readonly cluster: string
  readonly node: string
  /** Random, made at the first start. */
  readonly identity: string
}

/**
 * Who this data directory belongs to; made at the first start.
 * @throws HandoffError DATA_DIRECTORY_FOREIGN, DATA_DIRECTORY_UNUSABLE
 */
export function ownIdentity(config: Config): Identity {
  const { dataDirectory, cluster, node } = config
  const file = nodeFile(dataDirectory)
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o755 })
    if (!existsSync(file)) make(file, { cluster, node, identity: randomBytes(16).toString('hex') })
  } catch (cause) {
    throw new HandoffError('DATA_DIRECTORY_UNUSABLE', `cannot use dataDirectory "${dataDirectory}": ${(cause as Error).message}`, { cause })
  }
  const found = read(file)
  if (found.node === node && found.cluster === cluster) return found
  throw new HandoffError(
    'DATA_DIRECTORY_FOREIGN',
    `"${dataDirectory}" is the data directory of node "${found.node}" of cluster "${found.cluster}", and the configuration says node "${node}" of cluster "${cluster}"`,
  )
}

/** Whole or not at all; of two that start at once, one makes it. */
function make(file: string, identity: Identity): void {
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify(identity)}\n`, { mode: 0o600, flush: true })
  try {
    linkSync(draft, file)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'EEXIST') throw failure
  } finally {
    unlinkSync(draft)
  }
}

function read(file: string): Identity {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Identity>
    if (typeof found.cluster === 'string' && typeof found.node === 'string' && typeof found.identity === 'string') return found as Identity
  } catch (cause) {
    throw unreadable(file, (cause as Error).message, cause)
  }
  throw unreadable(file, 'it has no cluster, node and identity')
}

const unreadable = (file: string, why: string, cause?: unknown): HandoffError =>
  new HandoffError('DATA_DIRECTORY_UNUSABLE', `cannot read "${file}", which says whose data directory it is in: ${why}`, {
    cause,
    remedy: `Restore the file from a backup, or, when nothing in the directory is wanted any more, move the whole directory away.`,
  })
