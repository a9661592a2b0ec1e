import { mechanisms } from './auth.ts'
import type { Session } from './session.ts'

/** What EHLO and LHLO announce, as it is true in this session now. */
export function capabilities(session: Session): readonly string[] {
  const { role, limits } = session.surroundings
  return [
    'PIPELINING',
    `SIZE ${limits.messageBytesMax}`,
    ...(session.mayStartTls ? ['STARTTLS'] : []),
    ...(role === 'submission' && session.mayLogin ? [`AUTH ${Object.keys(mechanisms).join(' ')}`] : []),
    'ENHANCEDSTATUSCODES',
    '8BITMIME',
    'SMTPUTF8',
    'CHUNKING',
    'BINARYMIME',
    // RFC 8689 §2: only inside TLS.
    ...(session.secure ? ['REQUIRETLS'] : []),
  ]
}
