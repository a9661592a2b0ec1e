import type { Session } from './session.ts'

/** What may be turned on by ENABLE. IMAP4rev2 changes what is sent; CONDSTORE adds MODSEQ to it. */
export const enableable = new Set(['CONDSTORE', 'IMAP4REV2'])

/**
 * Announced is what works to the letter. IMAP4rev2 includes, beside the base, ENABLE, ESEARCH, IDLE, LIST-EXTENDED, LIST-STATUS, MOVE,
 * NAMESPACE, SASL-IR, SEARCHRES, SPECIAL-USE, UIDPLUS, UNSELECT, BINARY of FETCH and STATUS=SIZE (RFC 9051 appendix E); a client of
 * IMAP4rev1 finds them by their own names.
 */
export function capabilities(session: Session): string[] {
  const always = ['IMAP4rev1', 'IMAP4rev2', 'LITERAL+', 'SASL-IR', 'ENABLE', 'ID']
  if (!session.store) {
    const startTls = session.surroundings.secureContext !== undefined && !session.secure ? ['STARTTLS'] : []
    return [...always, ...startTls, ...(session.mayLogin ? ['AUTH=PLAIN'] : ['LOGINDISABLED'])]
  }
  const after = ['IDLE', 'NAMESPACE', 'UIDPLUS', 'UNSELECT', 'MOVE', 'CHILDREN', 'SPECIAL-USE', 'LIST-EXTENDED', 'LIST-STATUS', 'STATUS=SIZE', 'OBJECTID']
  const search = ['ESEARCH', 'SEARCHRES', 'CONDSTORE']
  return [...always, ...after, ...search, `APPENDLIMIT=${session.surroundings.limits.appendBytesMax}`]
}
