import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { HandoffError } from '../../errors.ts'

/** What is derived from the cluster secret, each for one purpose, so that one that leaks tells nothing about the others. */
export interface Secrets {
  readonly heartbeatKey: Buffer
  readonly postgresPassword: string
  readonly replicationPassword: string
}

/** @throws HandoffError SECRET_UNREADABLE */
export function readSecrets(file: string): Secrets {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new HandoffError('SECRET_UNREADABLE', `cannot read the cluster secret "${file}": ${(cause as Error).message}`, { cause })
  }
  if (text.length < 32) throw new HandoffError('SECRET_UNREADABLE', `the cluster secret "${file}" has ${text.length} characters, wanted at least 32`)
  const derive = (purpose: string): Buffer => createHmac('sha256', text).update(purpose).digest()
  return {
    heartbeatKey: derive('heartbeat'),
    postgresPassword: derive('postgres handoff').toString('hex'),
    replicationPassword: derive('postgres replicator').toString('hex'),
  }
}
