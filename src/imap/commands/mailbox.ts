import type { MailboxEntry } from '../../mailbox/account-mail.ts'
import type { CommandDefinition } from '../command-table.ts'
import { type Cursor, SyntaxFault } from '../cursor.ts'
import { nameFault, readMailboxName, separator } from '../mailbox-name.ts'
import { Refusal } from '../refusal.ts'
import type { Session } from '../session.ts'

export const mailboxCommands: readonly (readonly [string, CommandDefinition])[] = [
  ['CREATE', { state: 'authenticated', expunges: true, parse: parseCreate }],
  ['DELETE', { state: 'authenticated', expunges: true, parse: parseDelete }],
  ['RENAME', { state: 'authenticated', expunges: true, parse: parseRename }],
  ['SUBSCRIBE', { state: 'authenticated', expunges: true, parse: (cursor, session) => parseSubscribe(cursor, session, 'subscribed') }],
  ['UNSUBSCRIBE', { state: 'authenticated', expunges: true, parse: (cursor, session) => parseSubscribe(cursor, session, 'unsubscribed') }],
]

/** SP mailbox. */
export function takeMailbox(cursor: Cursor, session: Session): string {
  cursor.space()
  return readMailboxName(cursor.astring(), session.encoding)
}

/** @throws Refusal NONEXISTENT, or the code that the command asks for (TRYCREATE) */
export async function findMailbox(session: Session, name: string, missing: 'NONEXISTENT' | 'TRYCREATE' = 'NONEXISTENT'): Promise<MailboxEntry> {
  const found = (await storeOf(session).mailboxes()).find((mailbox) => mailbox.exists && mailbox.name === name)
  if (!found) throw new Refusal('There is no mailbox of that name', missing)
  return found
}

export function storeOf(session: Session) {
  if (!session.store) throw new SyntaxFault('Log in first')
  return session.store
}

function parseCreate(cursor: Cursor, session: Session) {
  // RFC 9051 §6.3.4: a separator at the end says that names below it will come. Ours can have both, so it is a mailbox like any.
  const name = takeMailbox(cursor, session).replace(/(?<=.)\/$/, '')
  return async () => {
    const fault = nameFault(name)
    if (fault !== undefined) throw new Refusal(fault, 'CANNOT')
    const { mailboxId } = await storeOf(session).create(name)
    const made = (await storeOf(session).mailboxes()).find((mailbox) => mailbox.id === mailboxId)
    // RFC 8474 §4.1
    return `OK ${made?.objectId === undefined ? '' : `[MAILBOXID (${made.objectId})] `}CREATE completed`
  }
}

function parseDelete(cursor: Cursor, session: Session) {
  const name = takeMailbox(cursor, session)
  return async () => {
    if (name === 'INBOX') throw new Refusal('INBOX cannot be deleted', 'CANNOT')
    const mailbox = await findMailbox(session, name)
    const all = await storeOf(session).mailboxes()
    if (all.some((other) => other.exists && other.name.startsWith(name + separator))) throw new Refusal('The mailbox has mailboxes below it', 'HASCHILDREN')
    if (session.selected?.mailbox.id === mailbox.id) session.select(undefined)
    await storeOf(session).remove(mailbox)
    return 'OK DELETE completed'
  }
}

function parseRename(cursor: Cursor, session: Session) {
  const from = takeMailbox(cursor, session)
  const to = takeMailbox(cursor, session)
  return async () => {
    const mailbox = await findMailbox(session, from)
    const fault = nameFault(to)
    if (fault !== undefined) throw new Refusal(fault, 'CANNOT')
    if (to.startsWith(from + separator)) throw new Refusal('A mailbox cannot be moved below itself', 'CANNOT')
    if ((await storeOf(session).mailboxes()).some((other) => other.exists && other.name === to))
      throw new Refusal('A mailbox of that name exists', 'ALREADYEXISTS')
    await storeOf(session).rename(mailbox, to)
    return 'OK RENAME completed'
  }
}

function parseSubscribe(cursor: Cursor, session: Session, wanted: 'subscribed' | 'unsubscribed') {
  const name = takeMailbox(cursor, session)
  return async () => {
    const fault = nameFault(name)
    if (fault !== undefined) throw new Refusal(fault, 'CANNOT')
    await storeOf(session).setSubscribed(name, wanted === 'subscribed')
    return `OK ${wanted === 'subscribed' ? 'SUBSCRIBE' : 'UNSUBSCRIBE'} completed`
  }
}
