import type { FlagState, MessageContent, MessageEntry } from '../../mailbox/account-mail.ts'
import { assert } from '../../errors.ts'
import type { MessageRoot } from '../../message/part.ts'
import { findPart, partialOf, sectionBytes } from '../body-section.ts'
import type { CommandDefinition } from '../command-table.ts'
import type { Cursor } from '../cursor.ts'
import { type FetchItem, parseFetchItems } from '../fetch-items.ts'
import { Refusal } from '../refusal.ts'
import { dateTime, literal, type Piece } from '../respond.ts'
import type { SelectedMailbox } from '../selected.ts'
import type { Session } from '../session.ts'
import { writeEnvelope, writeStructure } from '../structure.ts'
import { decodeTransferEncoding } from '../transfer-encoding.ts'
import { storeOf } from './mailbox.ts'
import { type By, selectedOf, takeMessageSet } from './message.ts'

export const fetchCommand: readonly (readonly [string, CommandDefinition])[] = [
  ['FETCH', { state: 'selected', expunges: false, parse: (cursor, session) => parseFetch(cursor, session, 'sequence') }],
  ['UID FETCH', { state: 'selected', expunges: true, parse: (cursor, session) => parseFetch(cursor, session, 'uid') }],
]

/** Rows asked of the database at a time: bounds memory, and the time that one query may take. */
const batch = 500

function parseFetch(cursor: Cursor, session: Session, by: By) {
  const set = takeMessageSet(cursor)
  cursor.space()
  let items: readonly FetchItem[] = parseFetchItems(cursor)
  let changedSince: number | undefined
  if (cursor.take(' ')) {
    cursor.expect('(CHANGEDSINCE ')
    changedSince = cursor.modseq()
    cursor.expect(')')
    session.enabled.add('CONDSTORE')
  }
  // RFC 9051 §6.4.9 and RFC 7162 §3.1.4: UID and MODSEQ come along unasked.
  if (by === 'uid' && !items.some((item) => item.kind === 'uid')) items = [{ kind: 'uid' }, ...items]
  if (changedSince !== undefined && !items.some((item) => item.kind === 'modseq')) items = [...items, { kind: 'modseq' }]
  if (items.some((item) => item.kind === 'modseq')) session.enabled.add('CONDSTORE')
  return () => fetch(session, { uids: selectedOf(session).resolve(set, by), by, items, changedSince })
}

interface FetchRequest {
  readonly uids: readonly number[]
  readonly by: By
  readonly items: readonly FetchItem[]
  readonly changedSince: number | undefined
}

async function fetch(session: Session, { uids, by, items, changedSince }: FetchRequest): Promise<string> {
  const selected = selectedOf(session)
  const store = storeOf(session)
  const needsStructure = items.some((item) => structureKinds.has(item.kind))
  const needsContent = items.some((item) => contentKinds.has(item.kind))
  const setsSeen = !selected.readOnly && items.some((item) => (item.kind === 'section' || item.kind === 'binary') && !item.peek)
  let missing = 0
  let unknownEncoding = false
  for (let at = 0; at < uids.length && !session.gone; at += batch) {
    const wanted = uids.slice(at, at + batch)
    let entries = await store.messages(selected.mailbox.id, wanted)
    missing += wanted.length - entries.length
    if (changedSince !== undefined) entries = entries.filter((entry) => entry.modseq > changedSince)
    const seen = setsSeen ? await markSeen(session, selected, entries) : undefined
    const uidsLeft = entries.map((entry) => entry.uid)
    const structures = needsStructure && !needsContent ? await store.structures(selected.mailbox.id, uidsLeft) : undefined
    for (const entry of entries) {
      if (session.gone) break
      const content = needsContent ? await readContent(session, selected, entry, items) : undefined
      const root = content?.root ?? structures?.get(entry.uid)
      if ((needsContent && !content) || (needsStructure && !root)) {
        missing++
        continue
      }
      const state = seen?.get(entry.uid)
      const written = writeItems({ session, selected, entry, content, root, items: state ? withFlags(items) : items, state: state ?? entry })
      unknownEncoding ||= written.unknownEncoding
      session.out.write([`* ${selected.sequenceOf(entry.uid)} FETCH (`, ...written.pieces, ')\r\n'])
      await session.out.ready()
    }
  }
  if (unknownEncoding) throw new Refusal('The transfer encoding of a part is unknown', 'UNKNOWN-CTE')
  if (missing > 0 && by === 'sequence') {
    selected.changed = true
    throw new Refusal('Some of the messages have been expunged', 'EXPUNGEISSUED')
  }
  return 'OK FETCH completed'
}

/** Kept beside the message since its delivery. */
const structureKinds: ReadonlySet<FetchItem['kind']> = new Set<FetchItem['kind']>(['envelope', 'body', 'bodyStructure'])
const contentKinds: ReadonlySet<FetchItem['kind']> = new Set<FetchItem['kind']>(['section', 'binary', 'binarySize'])

/** Bounds what a session holds between commands. */
const keptBytesMax = 16 * 1024 * 1024

async function readContent(session: Session, selected: SelectedMailbox, entry: MessageEntry, items: readonly FetchItem[]): Promise<MessageContent | undefined> {
  if (selected.kept?.uid === entry.uid) return selected.kept.content
  const content = await storeOf(session).content(selected.mailbox.id, entry.uid)
  const piecewise = items.some((item) => (item.kind === 'section' || item.kind === 'binary') && item.partial !== undefined)
  selected.kept = content && piecewise && content.bytes.length <= keptBytesMax ? { uid: entry.uid, content } : undefined
  return content
}

/** RFC 9051 §6.4.5: reading a body sets \Seen, and the new flags come with the answer. */
async function markSeen(session: Session, selected: SelectedMailbox, entries: readonly MessageEntry[]): Promise<ReadonlyMap<number, FlagState>> {
  const unseen = entries.filter((entry) => !entry.flags.includes('\\Seen')).map((entry) => entry.uid)
  if (unseen.length === 0) return new Map()
  const { updated } = await storeOf(session).storeFlags(selected.mailbox.id, unseen, { mode: 'add', flags: ['\\Seen'], unchangedSince: undefined })
  for (const state of updated) selected.noteTold(state.uid, state.modseq)
  return new Map(updated.map((state) => [state.uid, state]))
}

function withFlags(items: readonly FetchItem[]): readonly FetchItem[] {
  return items.some((item) => item.kind === 'flags') ? items : [...items, { kind: 'flags' }]
}

interface Writing {
  readonly session: Session
  readonly selected: SelectedMailbox
  readonly entry: MessageEntry
  readonly content: MessageContent | undefined
  readonly root: MessageRoot | undefined
  readonly items: readonly FetchItem[]
  readonly state: FlagState
}

function writeItems(writing: Writing): { readonly pieces: Piece[]; readonly unknownEncoding: boolean } {
  const pieces: Piece[] = []
  let unknownEncoding = false
  const { session, content } = writing
  let items = writing.items
  // RFC 7162 §3.2: once CONDSTORE is on, flags that we changed ourselves come with their mod-sequence.
  if (session.enabled.has('CONDSTORE') && writing.state !== writing.entry && !items.some((item) => item.kind === 'modseq'))
    items = [...items, { kind: 'modseq' }]
  for (const item of items) {
    const written = content && contentKinds.has(item.kind) ? contentItem(item, content) : [metadataItem(item, writing)]
    if (written === undefined) {
      unknownEncoding = true
      continue
    }
    if (pieces.length > 0) pieces.push(' ')
    pieces.push(...written)
  }
  return { pieces, unknownEncoding }
}

function metadataItem(item: FetchItem, { selected, entry, state, root }: Writing): string {
  switch (item.kind) {
    case 'envelope':
      return `ENVELOPE ${writeEnvelope(rootOf(root).envelope)}`
    case 'body':
      return `BODY ${writeStructure(rootOf(root), false)}`
    case 'bodyStructure':
      return `BODYSTRUCTURE ${writeStructure(rootOf(root), true)}`
    case 'emailId':
      return `EMAILID (${entry.emailId})`
    case 'threadId':
      return `THREADID (${entry.threadId})`
    case 'flags':
      return `FLAGS ${selected.flagsOf(state)}`
    case 'uid':
      return `UID ${entry.uid}`
    case 'internalDate':
      return `INTERNALDATE ${dateTime(entry.internalDate)}`
    case 'size':
      return `RFC822.SIZE ${entry.sizeBytes}`
    case 'modseq':
      return `MODSEQ (${state.modseq})`
    default:
      throw new Error(`not metadata: ${item.kind}`)
  }
}

function rootOf(root: MessageRoot | undefined): MessageRoot {
  assert(root !== undefined, 'a structure was asked for with the items that need it')
  return root
}

/** undefined: a transfer encoding that we cannot undo. */
function contentItem(item: FetchItem, { bytes, root }: MessageContent): Piece[] | undefined {
  switch (item.kind) {
    case 'section': {
      const found = sectionBytes(bytes, root, item.section)
      return found === undefined ? [`${item.label} NIL`] : [`${item.label} `, ...literal(partialOf(found, item.partial))]
    }
    case 'binary':
    case 'binarySize': {
      const decoded = decodedPart(bytes, root, item.part)
      if (decoded === 'noPart') return [item.kind === 'binary' ? `${item.label} NIL` : `${item.label} 0`]
      if (decoded === undefined) return undefined
      if (item.kind === 'binarySize') return [`${item.label} ${decoded.length}`]
      const part = partialOf(decoded, item.partial)
      return [`${item.label} ${part.includes(0) ? '~' : ''}`, ...literal(part)]
    }
    default:
      throw new Error(`not content: ${item.kind}`)
  }
}

function decodedPart(bytes: Buffer, root: MessageContent['root'], path: readonly number[]): Buffer | undefined | 'noPart' {
  if (path.length === 0) return bytes
  const part = findPart(root, path)
  if (!part) return 'noPart'
  const raw = bytes.subarray(part.bodyStart, part.bodyEnd)
  // RFC 9051 §6.4.5: a multipart or message has no encoding of its own.
  return part.children.length > 0 || part.message ? raw : decodeTransferEncoding(raw, part.encoding)
}
