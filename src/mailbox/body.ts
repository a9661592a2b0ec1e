import { createHash } from 'node:crypto'
import type { MessageRoot } from '../message/part.ts'
import { parseMessage, structureVersion } from '../message/structure.ts'
import { threadRoot } from '../message/thread.ts'

/** What is kept of a content: its address, and what is derived from it once. */
export interface Body {
  readonly hash: Buffer
  readonly content: Buffer
  /** JSON of the MessageRoot. */
  readonly structure: string
  readonly version: number
  /** 63 bits of the thread's root, as text: the same in every mailbox and database, without a look-up. */
  readonly threadId: string
}

export function bodyOf(content: Buffer): Body {
  const hash = createHash('sha256').update(content).digest()
  const root = threadRoot(content)
  const thread = root === undefined ? hash : createHash('sha256').update(root).digest()
  return { hash, content, structure: JSON.stringify(parseMessage(content)), version: structureVersion, threadId: String(thread.readBigUInt64BE() >> 1n) }
}

export interface KeptStructure {
  readonly structure: MessageRoot
  readonly structure_version: number
}

export function isCurrent(kept: KeptStructure): boolean {
  return kept.structure_version === structureVersion
}
