import type { CommandDefinition } from '../command-table.ts'
import { type Cursor, SyntaxFault } from '../cursor.ts'
import { separator, writeMailboxName } from '../mailbox-name.ts'
import { SelectedMailbox } from '../selected.ts'
import type { Session } from '../session.ts'
import { findMailbox, storeOf, takeMailbox } from './mailbox.ts'

export const systemFlags = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const

export const selectCommands: readonly (readonly [string, CommandDefinition])[] = [
  ['SELECT', { state: 'authenticated', expunges: true, parse: (cursor, session) => parseSelect(cursor, session, 'SELECT') }],
  ['EXAMINE', { state: 'authenticated', expunges: true, parse: (cursor, session) => parseSelect(cursor, session, 'EXAMINE') }],
  [
    'UNSELECT',
    {
      state: 'selected',
      expunges: false,
      parse: (_cursor, session) => async () => {
        session.select(undefined)
        return 'OK UNSELECT completed'
      },
    },
  ],
  ['CLOSE', { state: 'selected', expunges: false, parse: (_cursor, session) => () => close(session) }],
  ['CHECK', { state: 'selected', expunges: true, looks: true, parse: () => async () => 'OK CHECK completed' }],
]

function parseSelect(cursor: Cursor, session: Session, command: 'SELECT' | 'EXAMINE') {
  const name = takeMailbox(cursor, session)
  if (cursor.take(' ')) {
    for (const option of cursor.list(() => cursor.keyword())) {
      if (option !== 'CONDSTORE') throw new SyntaxFault(`Unknown SELECT parameter ${option}`)
      session.enabled.add('CONDSTORE')
    }
  }
  return async () => {
    if (session.selected) {
      // RFC 9051 §7.1: what follows belongs to the mailbox to come. A SELECT that fails leaves none selected (§6.3.2).
      session.select(undefined)
      session.out.line('* OK [CLOSED] Previous mailbox is closed')
    }
    const mailbox = await findMailbox(session, name)
    const store = storeOf(session)
    const opened = await store.open(mailbox.id)
    const readOnly = command === 'EXAMINE'
    const rev2 = session.enabled.has('IMAP4REV2')
    const recentFrom = rev2 || readOnly ? Infinity : await store.claimRecent(mailbox.id)
    const selected = new SelectedMailbox({ mailbox, opened, readOnly, recentFrom })
    const used = new Set(opened.messages.flatMap((message) => message.flags).filter((flag) => !flag.startsWith('\\')))
    const flags = [...systemFlags, ...used].join(' ')
    const { out } = session
    out.line(`* FLAGS (${flags})`)
    out.line(`* OK [PERMANENTFLAGS (${readOnly ? '' : `${flags} \\*`})] ${readOnly ? 'Read-only' : 'Limited to these and new keywords'}`)
    out.line(`* ${selected.count} EXISTS`)
    if (!rev2) out.line(`* ${selected.recentCount} RECENT`)
    const unseen = opened.messages.findIndex((message) => !message.flags.includes('\\Seen'))
    if (unseen >= 0 && !rev2) out.line(`* OK [UNSEEN ${unseen + 1}] First unseen`)
    out.line(`* OK [UIDVALIDITY ${opened.uidValidity}] UIDs are valid`)
    out.line(`* OK [UIDNEXT ${opened.uidNext}] Predicted next UID`)
    out.line(`* OK [HIGHESTMODSEQ ${Math.max(1, opened.highestModseq)}] Highest`)
    if (mailbox.objectId !== undefined) out.line(`* OK [MAILBOXID (${mailbox.objectId})] Object identifier`)
    if (rev2) out.line(`* LIST () "${separator}" ${writeMailboxName(mailbox.name, session.encoding)}`)
    session.select(selected)
    // What came between the snapshot and the watch would be seen only at the next change.
    selected.changed = true
    return `OK [${readOnly ? 'READ-ONLY' : 'READ-WRITE'}] ${command} completed`
  }
}

async function close(session: Session): Promise<string> {
  const { selected } = session
  session.select(undefined)
  if (selected && !selected.readOnly) await storeOf(session).expunge(selected.mailbox.id, selected.uids)
  return 'OK CLOSE completed'
}
