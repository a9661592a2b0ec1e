import type { CommandDefinition } from '../command-table.ts'
import { type Cursor, SyntaxFault } from '../cursor.ts'
import { Refusal } from '../refusal.ts'
import type { MessageSet, SelectedMailbox } from '../selected.ts'
import { formatSet } from '../sequence-set.ts'
import type { Session } from '../session.ts'
import type { FlagChange } from '../../mailbox/account-mail.ts'
import { readFlags } from './append.ts'
import { findMailbox, storeOf, takeMailbox } from './mailbox.ts'

export type By = 'uid' | 'sequence'

export const messageCommands: readonly (readonly [string, CommandDefinition])[] = [
  ['EXPUNGE', { state: 'selected', expunges: true, parse: (_cursor, session) => () => expunge(session, undefined) }],
  [
    'UID EXPUNGE',
    {
      state: 'selected',
      expunges: true,
      parse: (cursor, session) => {
        const set = takeMessageSet(cursor)
        return () => expunge(session, set)
      },
    },
  ],
  ['STORE', { state: 'selected', expunges: false, parse: (cursor, session) => parseStore(cursor, session, 'sequence') }],
  ['UID STORE', { state: 'selected', expunges: true, parse: (cursor, session) => parseStore(cursor, session, 'uid') }],
  ['COPY', { state: 'selected', expunges: true, parse: (cursor, session) => parseCopy(cursor, session, 'COPY', 'sequence') }],
  ['UID COPY', { state: 'selected', expunges: true, parse: (cursor, session) => parseCopy(cursor, session, 'COPY', 'uid') }],
  ['MOVE', { state: 'selected', expunges: true, parse: (cursor, session) => parseCopy(cursor, session, 'MOVE', 'sequence') }],
  ['UID MOVE', { state: 'selected', expunges: true, parse: (cursor, session) => parseCopy(cursor, session, 'MOVE', 'uid') }],
]

/** SP sequence-set, or `$`. */
export function takeMessageSet(cursor: Cursor): MessageSet {
  cursor.space()
  return cursor.take('$') ? '$' : cursor.sequenceSet()
}

export function selectedOf(session: Session): SelectedMailbox {
  if (!session.selected) throw new SyntaxFault('Select a mailbox first')
  return session.selected
}

function writable(session: Session): SelectedMailbox {
  const selected = selectedOf(session)
  if (selected.readOnly) throw new Refusal('The mailbox is selected read-only', 'CANNOT')
  return selected
}

async function expunge(session: Session, set: MessageSet | undefined): Promise<string> {
  const selected = writable(session)
  const uids = set === undefined ? selected.uids : selected.resolve(set, 'uid')
  if (uids.length > 0) await storeOf(session).expunge(selected.mailbox.id, uids)
  await session.update(true)
  const modseq = session.enabled.has('CONDSTORE') ? `[HIGHESTMODSEQ ${selected.highestModseq}] ` : ''
  return `OK ${modseq}EXPUNGE completed`
}

function parseStore(cursor: Cursor, session: Session, by: By) {
  const set = takeMessageSet(cursor)
  cursor.space()
  let unchangedSince: number | undefined
  if (cursor.take('(')) {
    cursor.expect('UNCHANGEDSINCE ')
    unchangedSince = cursor.modseq()
    cursor.expect(')')
    cursor.space()
    session.enabled.add('CONDSTORE')
  }
  const mode = cursor.take('+') ? 'add' : cursor.take('-') ? 'remove' : 'replace'
  cursor.expect('FLAGS')
  const silent = cursor.take('.SILENT')
  cursor.space()
  const flags = readFlags(takeStoreFlags(cursor))
  return () => storeFlags(session, { set, by, change: { mode, flags, unchangedSince }, silent })
}

/** store-att-flags: a list, or flags without parentheses. */
function takeStoreFlags(cursor: Cursor): string[] {
  if (cursor.peek('(')) return cursor.flagList()
  const flags = [cursor.flag()]
  while (cursor.take(' ')) flags.push(cursor.flag())
  return flags
}

async function storeFlags(
  session: Session,
  request: { readonly set: MessageSet; readonly by: By; readonly change: FlagChange; readonly silent: boolean },
): Promise<string> {
  const selected = writable(session)
  const { by, change, silent } = request
  const uids = selected.resolve(request.set, by)
  if (uids.length === 0) return 'OK STORE completed'
  // .SILENT leaves out what the client has just set, not what others have changed: they are told first.
  if (silent && selected.changed) await session.update(false)
  const { updated, unchangedSinceFailed } = await storeOf(session).storeFlags(selected.mailbox.id, uids, change)
  const condstore = session.enabled.has('CONDSTORE')
  for (const state of updated) {
    selected.noteTold(state.uid, state.modseq)
    // RFC 7162 §3.1.3: with CONDSTORE even .SILENT tells the mod-sequence.
    if (silent && !condstore) continue
    const parts = [
      ...(by === 'uid' || condstore ? [`UID ${state.uid}`] : []),
      ...(silent ? [] : [`FLAGS ${selected.flagsOf(state)}`]),
      ...(condstore ? [`MODSEQ (${state.modseq})`] : []),
    ]
    session.out.line(`* ${selected.sequenceOf(state.uid)} FETCH (${parts.join(' ')})`)
    await session.out.ready()
  }
  if (unchangedSinceFailed.length > 0) {
    selected.changed = true
    const numbers = by === 'uid' ? unchangedSinceFailed : unchangedSinceFailed.map((uid) => selected.sequenceOf(uid))
    return `OK [MODIFIED ${formatSet(numbers)}] Conditional STORE failed for some`
  }
  if (by === 'sequence' && updated.length < uids.length) {
    selected.changed = true
    throw new Refusal('Some of the messages have been expunged', 'EXPUNGEISSUED')
  }
  return 'OK STORE completed'
}

function parseCopy(cursor: Cursor, session: Session, command: 'COPY' | 'MOVE', by: By) {
  const set = takeMessageSet(cursor)
  const target = takeMailbox(cursor, session)
  return async () => {
    const selected = command === 'MOVE' ? writable(session) : selectedOf(session)
    const uids = selected.resolve(set, by)
    const mailbox = await findMailbox(session, target, 'TRYCREATE')
    if (uids.length === 0) return `OK ${command} completed`
    const store = storeOf(session)
    const { uidValidity, pairs } = await (command === 'COPY'
      ? store.copy(selected.mailbox.id, uids, mailbox.id)
      : store.move(selected.mailbox.id, uids, mailbox.id))
    selected.changed = true
    if (pairs.length < uids.length && by === 'sequence' && command === 'COPY' && pairs.length === 0)
      throw new Refusal('The messages have been expunged', 'EXPUNGEISSUED')
    if (pairs.length === 0) return `OK ${command} completed`
    const code = `[COPYUID ${uidValidity} ${formatSet(pairs.map(([from]) => from))} ${formatSet(pairs.map(([, to]) => to))}]`
    if (command === 'COPY') return `OK ${code} COPY completed`
    // RFC 6851 §4.3: COPYUID comes before the EXPUNGEs that it explains.
    session.out.line(`* OK ${code} Moved`)
    await session.update(true)
    return 'OK MOVE completed'
  }
}
