import type { MailboxEntry } from '../../mailbox/account-mail.ts'
import type { CommandDefinition } from '../command-table.ts'
import { type Cursor, SyntaxFault } from '../cursor.ts'
import { canonicalName, matchesPattern, readPattern, separator, writeMailboxName } from '../mailbox-name.ts'
import type { Session } from '../session.ts'
import { storeOf } from './mailbox.ts'
import { type StatusItem, statusLine, takeStatusItems } from './status.ts'

export const listCommands: readonly (readonly [string, CommandDefinition])[] = [
  ['LIST', { state: 'authenticated', expunges: true, parse: parseList }],
  ['LSUB', { state: 'authenticated', expunges: true, parse: parseLsub }],
]

/** RFC 9051 §6.3.9 (RFC 5258, 5819, 6154). */
interface ListRequest {
  readonly reference: string
  readonly patterns: readonly string[]
  readonly selection: ReadonlySet<string>
  readonly returns: ReadonlySet<string>
  readonly status: readonly StatusItem[]
  readonly extended: boolean
}

/** A name to be listed: a mailbox, or a level above one that does not exist itself. */
interface ListedName {
  readonly name: string
  readonly entry: MailboxEntry | undefined
  readonly hasChildren: boolean
  readonly hasSubscribedChildren: boolean
  readonly hasSpecialUseChildren: boolean
}

const selectionOptions = new Set(['SUBSCRIBED', 'REMOTE', 'RECURSIVEMATCH', 'SPECIAL-USE'])
const returnOptions = new Set(['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE', 'STATUS'])

function parseList(cursor: Cursor, session: Session) {
  const request = takeListRequest(cursor, session)
  return async () => {
    if (request.patterns.length === 1 && request.patterns[0] === '' && !request.extended) {
      // RFC 9051 §6.3.9: an empty pattern asks for the separator and the root of the reference.
      session.out.line(`* LIST (\\Noselect) "${separator}" ""`)
      return 'OK LIST completed'
    }
    const store = storeOf(session)
    const listed = namesOf(await store.mailboxes()).filter((name) => wanted(name, request))
    const withStatus = listed.filter(({ entry }) => request.status.length > 0 && entry?.exists)
    const statuses = withStatus.length > 0 ? await store.status(withStatus.map(({ entry }) => (entry as MailboxEntry).id)) : undefined
    for (const name of listed) {
      session.out.line(listLine(session, name, request))
      const status = name.entry && statuses?.get(name.entry.id)
      if (name.entry && status) session.out.line(statusLine(session, name.entry, request.status, status))
    }
    return 'OK LIST completed'
  }
}

function takeListRequest(cursor: Cursor, session: Session): ListRequest {
  cursor.space()
  const selection = new Set(cursor.peek('(') ? cursor.list(() => takeOption(cursor, selectionOptions)) : [])
  const hasSelection = cursor.peek(' ')
  if (hasSelection) cursor.space()
  const reference = readPattern(cursor.astring(), session.encoding)
  cursor.space()
  const several = cursor.peek('(')
  const patterns = (several ? cursor.list(() => cursor.listMailbox()) : [cursor.listMailbox()]).map((each) => readPattern(each, session.encoding))
  if (patterns.length === 0 || patterns.length > 50) throw new SyntaxFault('Expected one to fifty patterns')
  let status: StatusItem[] = []
  let returns: string[] | undefined
  if (cursor.take(' ')) {
    cursor.expect('RETURN ')
    returns = cursor.list(() => {
      const option = takeOption(cursor, returnOptions)
      if (option === 'STATUS') {
        cursor.space()
        status = takeStatusItems(cursor)
      }
      return option
    })
  }
  if (selection.has('RECURSIVEMATCH') && !selection.has('SUBSCRIBED') && !selection.has('SPECIAL-USE'))
    throw new SyntaxFault('RECURSIVEMATCH needs another selection option')
  return { reference, patterns, selection, returns: new Set(returns), status, extended: hasSelection || several || returns !== undefined }
}

function takeOption(cursor: Cursor, known: ReadonlySet<string>): string {
  const option = cursor.keyword()
  if (!known.has(option)) throw new SyntaxFault(`Unknown LIST option ${option}`)
  return option
}

/** All names with what is below them; levels that are no mailboxes included. */
function namesOf(mailboxes: readonly MailboxEntry[]): ListedName[] {
  const entries = new Map<string, MailboxEntry | undefined>(mailboxes.map((mailbox) => [mailbox.name, mailbox]))
  const parents = { any: new Set<string>(), subscribed: new Set<string>(), specialUse: new Set<string>() }
  for (const mailbox of mailboxes) {
    for (let at = mailbox.name.lastIndexOf(separator); at > 0; at = mailbox.name.lastIndexOf(separator, at - 1)) {
      const parent = mailbox.name.slice(0, at)
      if (mailbox.exists) parents.any.add(parent)
      if (mailbox.subscribed) parents.subscribed.add(parent)
      if (mailbox.specialUse !== undefined) parents.specialUse.add(parent)
      if (!entries.has(parent)) entries.set(parent, undefined)
    }
  }
  return [...entries]
    .sort(([a], [b]) => order(a, b))
    .map(([name, entry]) => ({
      name,
      entry,
      hasChildren: parents.any.has(name),
      hasSubscribedChildren: parents.subscribed.has(name),
      hasSpecialUseChildren: parents.specialUse.has(name),
    }))
}

function order(a: string, b: string): number {
  if (a === 'INBOX' || b === 'INBOX') return a === b ? 0 : a === 'INBOX' ? -1 : 1
  return a < b ? -1 : 1
}

function wanted(listed: ListedName, { reference, patterns, selection }: ListRequest): boolean {
  if (!patterns.some((pattern) => matchesPattern(canonicalName(reference + pattern), listed.name))) return false
  const { entry } = listed
  if (selectedByOptions(listed, selection)) return true
  const recursive = selection.has('RECURSIVEMATCH')
  if (recursive && ((selection.has('SUBSCRIBED') && listed.hasSubscribedChildren) || (selection.has('SPECIAL-USE') && listed.hasSpecialUseChildren)))
    return true
  if (selection.has('SUBSCRIBED') || selection.has('SPECIAL-USE')) return false
  // A level that is no mailbox is listed while there is a mailbox below it.
  return entry?.exists === true || listed.hasChildren
}

function selectedByOptions({ entry }: ListedName, selection: ReadonlySet<string>): boolean {
  if (!selection.has('SUBSCRIBED') && !selection.has('SPECIAL-USE')) return false
  if (selection.has('SUBSCRIBED') && !entry?.subscribed) return false
  return !selection.has('SPECIAL-USE') || entry?.specialUse !== undefined
}

function listLine(session: Session, listed: ListedName, request: ListRequest): string {
  const { entry, hasChildren, name } = listed
  const { selection, returns } = request
  const attributes: string[] = []
  if (!entry?.exists) {
    const rev2 = request.extended || session.enabled.has('IMAP4REV2')
    attributes.push(rev2 ? '\\NonExistent' : '\\Noselect')
  }
  attributes.push(hasChildren ? '\\HasChildren' : '\\HasNoChildren')
  if (entry?.subscribed && (returns.has('SUBSCRIBED') || selection.has('SUBSCRIBED'))) attributes.push('\\Subscribed')
  if (entry?.exists && entry.specialUse !== undefined) attributes.push(entry.specialUse)
  return `* LIST (${attributes.join(' ')}) "${separator}" ${writeMailboxName(name, session.encoding)}${childInfo(listed, selection)}`
}

/** RFC 9051 §6.3.9.6: why a name is listed that does not match the selection itself. */
function childInfo(listed: ListedName, selection: ReadonlySet<string>): string {
  if (!selection.has('RECURSIVEMATCH')) return ''
  const reasons: string[] = []
  if (selection.has('SUBSCRIBED') && listed.hasSubscribedChildren) reasons.push('"SUBSCRIBED"')
  if (selection.has('SPECIAL-USE') && listed.hasSpecialUseChildren) reasons.push('"SPECIAL-USE"')
  return reasons.length > 0 ? ` (CHILDINFO (${reasons.join(' ')}))` : ''
}

/** RFC 3501 §6.3.9. With `%`, a subscribed name below a level that is not subscribed shows as that level, \Noselect. */
function parseLsub(cursor: Cursor, session: Session) {
  cursor.space()
  const reference = readPattern(cursor.astring(), session.encoding)
  cursor.space()
  const pattern = canonicalName(reference + readPattern(cursor.listMailbox(), session.encoding))
  return async () => {
    for (const { name, entry, hasSubscribedChildren } of namesOf(await storeOf(session).mailboxes())) {
      if (!matchesPattern(pattern, name)) continue
      const shown = entry?.subscribed || (hasSubscribedChildren && pattern.endsWith('%'))
      if (!shown) continue
      const attributes = entry?.subscribed && entry.exists ? '' : '\\Noselect'
      session.out.line(`* LSUB (${attributes}) "${separator}" ${writeMailboxName(name, session.encoding)}`)
    }
    return 'OK LSUB completed'
  }
}
