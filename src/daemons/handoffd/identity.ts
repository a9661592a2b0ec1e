import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
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
 * @throws HandoffError DATA_DIRECTORY_FOREIGN
 */
export function ownIdentity(config: Config): Identity {
  const file = nodeFile(config.dataDirectory)
  mkdirSync(config.dataDirectory, { recursive: true, mode: 0o755 })
  if (!existsSync(file)) {
    const made: Identity = { cluster: config.cluster, node: config.node, identity: randomBytes(16).toString('hex') }
    writeFileSync(file, `${JSON.stringify(made)}\n`, { mode: 0o600, flag: 'wx' })
    return made
  }
  const found = JSON.parse(readFileSync(file, 'utf8')) as Identity
  if (found.node === config.node && found.cluster === config.cluster) return found
  throw new HandoffError(
    'DATA_DIRECTORY_FOREIGN',
    `"${config.dataDirectory}" is the data directory of node "${found.node}" of cluster "${found.cluster}", and the configuration says node "${config.node}" of cluster "${config.cluster}"`,
  )
}
