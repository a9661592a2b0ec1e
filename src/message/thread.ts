import { fieldValue, readHeader } from './header.ts'

/**
 * The message-id that a conversation began with: the first of References, else In-Reply-To, else the message's own (RFC 5322 §3.6.4).
 * Replies find their thread by it without any look-up.
 */
export function threadRoot(bytes: Uint8Array): string | undefined {
  const header = readHeader(bytes, 0, bytes.length)
  for (const name of ['references', 'in-reply-to', 'message-id']) {
    const id = /<([^<>\s]{1,998})>/.exec(fieldValue(bytes, header, name) ?? '')?.[1]
    if (id !== undefined) return id
  }
  return undefined
}
