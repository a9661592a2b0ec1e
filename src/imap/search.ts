import type { AccountMail } from '../mailbox/account-mail.ts'
import type { SearchTest } from '../mailbox/search.ts'
import type { SearchKey } from './search-keys.ts'
import type { SelectedMailbox } from './selected.ts'
import { type NumberRange, rangesOf, resolveStar } from './sequence-set.ts'
import type { Session } from './session.ts'

/** The messages that match, of those that the client knows; ascending by UID. */
export async function search(session: Session, key: SearchKey): Promise<readonly { readonly uid: number; readonly modseq: number }[]> {
  const { selected, store } = session
  if (!selected || !store || selected.count === 0) return []
  const test = await prepare(key, { selected, store })
  const found = await store.search(selected.mailbox.id, test)
  return found.filter(({ uid }) => selected.sequenceOf(uid) > 0)
}

interface Scope {
  readonly selected: SelectedMailbox
  readonly store: AccountMail
}

/** What only the session knows (sequence numbers, `*`, \Recent, the saved result) becomes sets of UIDs. */
async function prepare(key: SearchKey, scope: Scope): Promise<SearchTest> {
  const { selected } = scope
  switch (key.kind) {
    case 'and':
      return { kind: 'and', tests: await prepareAll(key.keys, scope) }
    case 'or':
      return { kind: 'or', tests: await prepareAll([key.left, key.right], scope) }
    case 'not':
      return { kind: 'not', test: await prepare(key.key, scope) }
    case 'sequence':
      return uids(rangesOf(selected.resolve(key.set, 'sequence')))
    case 'uid':
      return uids(resolveStar(key.set, selected.uids.at(-1) ?? 0))
    case 'saved':
      return uids(rangesOf(selected.resolve('$', 'uid')))
    case 'recent':
      return uids(rangesOf(selected.uids.filter((uid) => selected.isRecent(uid))))
    case 'emailId':
    case 'threadId':
      return uids(rangesOf(await withObjectId(key, scope)))
    default:
      return key
  }
}

async function prepareAll(keys: readonly SearchKey[], scope: Scope): Promise<SearchTest[]> {
  const tests: SearchTest[] = []
  for (const key of keys) tests.push(await prepare(key, scope))
  return tests
}

const batch = 1000

async function withObjectId({ kind, id }: { readonly kind: 'emailId' | 'threadId'; readonly id: string }, { selected, store }: Scope): Promise<number[]> {
  const found: number[] = []
  for (let at = 0; at < selected.count; at += batch) {
    const entries = await store.messages(selected.mailbox.id, selected.uids.slice(at, at + batch))
    for (const entry of entries) if (entry[kind] === id) found.push(entry.uid)
  }
  return found
}

function uids(ranges: readonly NumberRange[]): SearchTest {
  return { kind: 'uids', ranges }
}
