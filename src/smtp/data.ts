import { createHash } from 'node:crypto'
import type { SMTPServerDataStream } from 'smtp-server'
import { refusals } from './reply.ts'

/**
 * Reads the content that follows DATA. Rejects when the client goes away first: then nothing may be delivered. A message over
 * the limit is read to its end (the client speaks until then) but not kept.
 */
export async function readContent(stream: SMTPServerDataStream, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes <= limitBytes) chunks.push(chunk)
      else chunks.length = 0
    }
  } catch {
    throw refusals.clientGone()
  }
  if (bytes > limitBytes) throw refusals.tooBig(limitBytes)
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
}

export interface TransactionIdentity {
  readonly sessionId: string
  readonly transaction: number
  /** RFC 3461 §4.4: the sender's own name for this message, the same when it is given again. */
  readonly envid: string | undefined
  readonly from: string
  readonly content: Buffer
}

/**
 * Names one attempt to give us a message. A retry inside, after a failover, uses the same key, so it is exact. A client that
 * gives a message again after a lost reply is a new transaction (SMTP is at-least-once), unless it named the message with ENVID.
 * The content is part of the key, because an ENVID is the client's word.
 */
export function deliveryKey(identity: TransactionIdentity): string {
  const hash = createHash('sha256')
  const name = identity.envid === undefined ? ['transaction', identity.sessionId, String(identity.transaction)] : ['envid', identity.envid]
  for (const part of [...name, identity.from]) hash.update(`${Buffer.byteLength(part)}:${part}`)
  return hash.update(identity.content).digest('hex')
}
