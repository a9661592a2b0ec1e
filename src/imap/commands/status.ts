import type { MailboxEntry, MailboxStatus } from '../../mailbox/account-mail.ts'
import type { CommandDefinition } from '../command-table.ts'
import { type Cursor, SyntaxFault } from '../cursor.ts'
import { writeMailboxName } from '../mailbox-name.ts'
import type { Session } from '../session.ts'
import { findMailbox, storeOf, takeMailbox } from './mailbox.ts'

export const statusCommand: readonly (readonly [string, CommandDefinition])[] = [['STATUS', { state: 'authenticated', expunges: true, parse: parseStatus }]]

const items = {
  MESSAGES: (status: MailboxStatus) => status.messages,
  RECENT: (status: MailboxStatus) => status.recent,
  UIDNEXT: (status: MailboxStatus) => status.uidNext,
  UIDVALIDITY: (status: MailboxStatus) => status.uidValidity,
  UNSEEN: (status: MailboxStatus) => status.unseen,
  DELETED: (status: MailboxStatus) => status.deleted,
  SIZE: (status: MailboxStatus) => status.sizeBytes,
  HIGHESTMODSEQ: (status: MailboxStatus) => status.highestModseq,
  APPENDLIMIT: (_status: MailboxStatus, session: Session) => session.surroundings.limits.appendBytesMax,
  // RFC 8474 §4.3
  MAILBOXID: (_status: MailboxStatus, _session: Session, mailbox: MailboxEntry) => `(${mailbox.objectId})`,
}

export type StatusItem = keyof typeof items

/** `(` status items `)`; also in RETURN (STATUS …) of LIST. */
export function takeStatusItems(cursor: Cursor): StatusItem[] {
  const names = cursor.list(() => cursor.keyword())
  if (names.length === 0) throw new SyntaxFault('Expected at least one status item')
  for (const name of names) if (!Object.hasOwn(items, name)) throw new SyntaxFault(`Unknown status item ${name}`)
  return names as StatusItem[]
}

export function statusLine(session: Session, mailbox: MailboxEntry, wanted: readonly StatusItem[], status: MailboxStatus): string {
  // RFC 7162 §3.1.7: to ask for HIGHESTMODSEQ is to enable CONDSTORE.
  if (wanted.includes('HIGHESTMODSEQ')) session.enabled.add('CONDSTORE')
  const values = wanted.map((item) => `${item} ${items[item](status, session, mailbox)}`)
  return `* STATUS ${writeMailboxName(mailbox.name, session.encoding)} (${values.join(' ')})`
}

function parseStatus(cursor: Cursor, session: Session) {
  const name = takeMailbox(cursor, session)
  cursor.space()
  const wanted = takeStatusItems(cursor)
  return async () => {
    const mailbox = await findMailbox(session, name)
    const status = (await storeOf(session).status([mailbox.id])).get(mailbox.id)
    if (status) session.out.line(statusLine(session, mailbox, wanted, status))
    return 'OK STATUS completed'
  }
}
