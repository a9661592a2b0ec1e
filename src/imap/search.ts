import type { SearchTest } from '../mailbox/search.ts'
import type { SearchKey } from './search-keys.ts'
import type { SelectedMailbox } from './selected.ts'
import { type NumberRange, rangesOf, resolveStar } from './sequence-set.ts'
import type { Session } from './session.ts'

/** The messages that match, of those that the client knows; ascending by UID. */
export async function search(session: Session, key: SearchKey): Promise<readonly { readonly uid: number; readonly modseq: number }[]> {
  const { selected, store } = session
  if (!selected || !store || selected.count === 0) return []
  const found = await store.search(selected.mailbox.id, prepare(key, selected))
  return found.filter(({ uid }) => selected.sequenceOf(uid) > 0)
}

/** What only the session knows (sequence numbers, `*`, \Recent, the saved result) becomes sets of UIDs. */
function prepare(key: SearchKey, selected: SelectedMailbox): SearchTest {
  switch (key.kind) {
    case 'and':
      return { kind: 'and', tests: key.keys.map((each) => prepare(each, selected)) }
    case 'or':
      return { kind: 'or', tests: [prepare(key.left, selected), prepare(key.right, selected)] }
    case 'not':
      return { kind: 'not', test: prepare(key.key, selected) }
    case 'sequence':
      return uids(rangesOf(selected.resolve(key.set, 'sequence')))
    case 'uid':
      return uids(resolveStar(key.set, selected.uids.at(-1) ?? 0))
    case 'saved':
      return uids(rangesOf(selected.resolve('$', 'uid')))
    case 'recent':
      return uids(rangesOf(selected.uids.filter((uid) => selected.isRecent(uid))))
    default:
      return key
  }
}

function uids(ranges: readonly NumberRange[]): SearchTest {
  return { kind: 'uids', ranges }
}
