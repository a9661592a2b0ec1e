import { capabilities as extensions } from '../sieve/capabilities.ts'
import { limits } from '../sieve/limits.ts'
import { encodeString } from './reply.ts'
import type { Session } from './session.ts'

/** Name and version (RFC 5804 §1.7). */
export const implementation = 'Handoff 0.1.0'

/** The lines of a capability response, without the reply that ends it. */
export function capabilities(session: Session): Buffer {
  const values: readonly (readonly [name: string, value?: string])[] = [
    ['IMPLEMENTATION', implementation],
    ['VERSION', '1.0'],
    ['SASL', session.mayLogin ? 'PLAIN' : ''],
    ['SIEVE', extensions.join(' ')],
    ['MAXREDIRECTS', String(limits.redirects)],
    ['UNAUTHENTICATE'],
    ...(session.mayStartTls ? [['STARTTLS'] as const] : []),
    ...(session.owner ? [['OWNER', session.owner.address] as const] : []),
  ]
  const lines = values.map((words) => words.flatMap((word, i) => [...(i > 0 ? [Buffer.from(' ')] : []), encodeString(Buffer.from(word ?? ''))]))
  return Buffer.concat(lines.flatMap((line) => [...line, Buffer.from('\r\n')]))
}
