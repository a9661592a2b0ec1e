import { readHeader } from '../message/header.ts'

/**
 * A message without the Authentication-Results that name us: only we may say what we have found (RFC 8601 §5). Results of others stay, and
 * so does every other byte.
 */
export function withoutForgedResults(content: Buffer, name: string): Buffer {
  const { fields } = readHeader(content, 0, content.length)
  const kept: Buffer[] = []
  let from = 0
  for (const [i, field] of fields.entries()) {
    if (field.name !== 'authentication-results' || !isOf(content.toString('latin1', field.valueStart, field.end), name)) continue
    const start = fieldStart(content, fields[i - 1]?.end ?? 0, field.valueStart)
    kept.push(content.subarray(from, start))
    from = field.end
  }
  return kept.length === 0 ? content : Buffer.concat([...kept, content.subarray(from)])
}

/** Lines that are no field may stand between two fields: the field begins on the line of its colon. */
function fieldStart(content: Buffer, from: number, valueStart: number): number {
  return Math.max(from, content.lastIndexOf('\n', valueStart - 1) + 1)
}

/** The authserv-id is the first token, after comments (RFC 8601 §2.2). */
function isOf(value: string, name: string): boolean {
  let text = value
  for (let shorter = text.replace(/\([^()]*\)/g, ' '); shorter !== text; shorter = text.replace(/\([^()]*\)/g, ' ')) text = shorter
  const [id] = /[^\s;"]+/.exec(text) ?? []
  return id?.toLowerCase() === name.toLowerCase()
}
