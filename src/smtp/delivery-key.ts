import { createHash } from 'node:crypto'

export interface TransactionIdentity {
  readonly sessionId: string
  readonly transaction: number
  /** RFC 3461 §4.4: the sender's own name for this message, the same when it is given again. */
  readonly envid: string | undefined
  readonly from: string
  readonly content: Buffer
}

/**
 * Names one message given to us, so that giving it again stores it once. SMTP is at-least-once: a client whose 250 was lost, in a
 * failover above all, gives the same bytes again. They are the same message when they carry a Message-ID (RFC 5322 §3.6.4: unique
 * for one version of one message) or were named with ENVID; other bytes count as another message with each transaction.
 * The content is always part of the key, because names are the client's word.
 */
export function deliveryKey(identity: TransactionIdentity): string {
  const hash = createHash('sha256')
  const name =
    identity.envid !== undefined
      ? ['envid', identity.envid]
      : hasMessageId(identity.content)
        ? ['message-id']
        : ['transaction', identity.sessionId, String(identity.transaction)]
  for (const part of [...name, identity.from]) hash.update(`${Buffer.byteLength(part)}:${part}`)
  return hash.update(identity.content).digest('hex')
}

function hasMessageId(content: Buffer): boolean {
  const end = content.indexOf('\r\n\r\n')
  return /^message-id:[ \t]*<?[^\s<>]/im.test(content.toString('latin1', 0, end === -1 ? content.length : end))
}
