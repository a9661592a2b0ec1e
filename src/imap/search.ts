import type { MessageContent, MessageEntry } from './account-store.ts'
import type { SearchKey } from './search-keys.ts'
import { bodyText, fieldText, headerText, sentDay } from './search-text.ts'
import type { SelectedMailbox } from './selected.ts'
import { type NumberRange, normaliseSet, resolveStar } from './sequence-set.ts'
import type { Session } from './session.ts'

const batch = 1000

/**
 * Evaluates the criteria over the messages that the client knows. Flags, dates and sizes come from the database in batches; a message
 * itself is read only if what is known without it does not settle the question.
 */
export async function search(session: Session, key: SearchKey): Promise<{ readonly uid: number; readonly modseq: number }[]> {
  const { selected, store } = session
  if (!selected || !store) return []
  const test = prepare(key, selected)
  const candidates = selected.uids.filter((uid) => couldMatch(test, uid, selected))
  const found: { uid: number; modseq: number }[] = []
  for (let at = 0; at < candidates.length && !session.gone; at += batch) {
    for (const entry of await store.messages(selected.mailbox.id, candidates.slice(at, at + batch))) {
      const known: Known = { entry, selected, content: undefined }
      let matches = evaluate(test, known)
      if (matches === undefined) {
        const content = await store.content(selected.mailbox.id, entry.uid)
        if (!content) continue
        matches = evaluate(test, { ...known, content })
      }
      if (matches) found.push({ uid: entry.uid, modseq: entry.modseq })
      if (session.gone) break
    }
  }
  return found
}

/** The key with sets resolved to what they mean now, and text ready to compare. */
type Test =
  | Exclude<SearchKey, { kind: 'and' | 'or' | 'not' | 'sequence' | 'uid' | 'saved' }>
  | { readonly kind: 'uids'; readonly uids: ReadonlySet<number> | readonly NumberRange[] }
  | { readonly kind: 'and'; readonly tests: readonly Test[] }
  | { readonly kind: 'or'; readonly tests: readonly Test[] }
  | { readonly kind: 'not'; readonly test: Test }

function prepare(key: SearchKey, selected: SelectedMailbox): Test {
  switch (key.kind) {
    case 'and':
      return { kind: 'and', tests: key.keys.map((each) => prepare(each, selected)) }
    case 'or':
      return { kind: 'or', tests: [prepare(key.left, selected), prepare(key.right, selected)] }
    case 'not':
      return { kind: 'not', test: prepare(key.key, selected) }
    case 'sequence':
      return { kind: 'uids', uids: new Set(selected.resolve(key.set, 'sequence')) }
    case 'uid':
      return { kind: 'uids', uids: normaliseSet(resolveStar(key.set, selected.uids.at(-1) ?? 0)) }
    case 'saved':
      return { kind: 'uids', uids: selected.saved }
    case 'header':
    case 'body':
    case 'text':
      return { ...key, value: key.value.toLowerCase() }
    case 'flag':
      return { ...key, flag: key.flag.toLowerCase() }
    default:
      return key
  }
}

/** Rules out by number alone: `UID SEARCH UID 5` does not read a mailbox. */
function couldMatch(test: Test, uid: number, selected: SelectedMailbox): boolean {
  if (test.kind === 'uids') return inSet(test.uids, uid)
  if (test.kind === 'recent') return selected.isRecent(uid)
  if (test.kind === 'and') return test.tests.every((each) => couldMatch(each, uid, selected))
  return true
}

function inSet(uids: ReadonlySet<number> | readonly NumberRange[], uid: number): boolean {
  return uids instanceof Set ? uids.has(uid) : (uids as readonly NumberRange[]).some(({ first, last }) => first <= uid && uid <= last)
}

interface Known {
  readonly entry: MessageEntry
  readonly selected: SelectedMailbox
  readonly content: MessageContent | undefined
}

/** undefined: cannot be said without the message itself. */
function evaluate(test: Test, known: Known): boolean | undefined {
  const { entry, selected, content } = known
  switch (test.kind) {
    case 'all':
      return true
    case 'and': {
      let open = false
      for (const each of test.tests) {
        const result = evaluate(each, known)
        if (result === false) return false
        open ||= result === undefined
      }
      return open ? undefined : true
    }
    case 'or': {
      let open = false
      for (const each of test.tests) {
        const result = evaluate(each, known)
        if (result === true) return true
        open ||= result === undefined
      }
      return open ? undefined : false
    }
    case 'not': {
      const result = evaluate(test.test, known)
      return result === undefined ? undefined : !result
    }
    case 'uids':
      return inSet(test.uids, entry.uid)
    case 'recent':
      return selected.isRecent(entry.uid)
    case 'flag':
      return entry.flags.some((flag) => flag.toLowerCase() === test.flag)
    case 'internalDate':
      return compareDay(Math.floor(entry.internalDate.getTime() / 86_400_000), test)
    case 'size':
      return test.relation === 'larger' ? entry.sizeBytes > test.bytes : entry.sizeBytes < test.bytes
    case 'modseq':
      return entry.modseq >= test.from
    case 'sentDate': {
      if (!content) return undefined
      const day = sentDay(content)
      return day !== undefined && compareDay(day, test)
    }
    case 'header':
      return content && fieldText(content, test.name).some((value) => value.includes(test.value))
    case 'body':
      return content && bodyText(content).includes(test.value)
    case 'text':
      return content && (headerText(content).includes(test.value) || bodyText(content).includes(test.value))
  }
}

function compareDay(day: number, { relation, day: wanted }: { readonly relation: 'before' | 'on' | 'since'; readonly day: number }): boolean {
  switch (relation) {
    case 'before':
      return day < wanted
    case 'on':
      return day === wanted
    case 'since':
      return day >= wanted
  }
}
