import type { CommandDefinition } from '../command-table.ts'
import type { Cursor } from '../cursor.ts'
import { asksForModseq, parseSearch, type SearchReturn } from '../search-keys.ts'
import { search } from '../search.ts'
import { formatSet } from '../sequence-set.ts'
import type { Session } from '../session.ts'
import { type By, selectedOf } from './message.ts'

export const searchCommand: readonly (readonly [string, CommandDefinition])[] = [
  ['SEARCH', { state: 'selected', expunges: false, parse: (cursor, session) => parse(cursor, session, 'sequence') }],
  ['UID SEARCH', { state: 'selected', expunges: true, parse: (cursor, session) => parse(cursor, session, 'uid') }],
]

function parse(cursor: Cursor, session: Session, by: By) {
  cursor.space()
  const tag = cursor.tagGiven
  const { returns, key } = parseSearch(cursor)
  if (asksForModseq(key)) session.enabled.add('CONDSTORE')
  return async () => {
    const selected = selectedOf(session)
    let found: readonly { readonly uid: number; readonly modseq: number }[]
    try {
      found = await search(session, key)
    } catch (error) {
      // RFC 5182 §2.1: a failed search that was to be saved saves the empty result.
      if (returns?.has('SAVE')) selected.saved = new Set()
      throw error
    }
    const rev2 = session.enabled.has('IMAP4REV2')
    const modseq = asksForModseq(key) && found.length > 0 ? found.reduce((max, { modseq }) => Math.max(max, modseq), 0) : undefined
    const numbers = found.map(({ uid }) => (by === 'uid' ? uid : selected.sequenceOf(uid)))
    if (returns?.has('SAVE'))
      selected.saved = savedOf(
        found.map(({ uid }) => uid),
        returns,
      )
    if (returns || rev2) {
      const line = esearch(tag, by, numbers, returns ?? new Set<SearchReturn>(['ALL']), modseq)
      if (line !== undefined) session.out.line(line)
    } else session.out.line(`* SEARCH${numbers.map((n) => ` ${n}`).join('')}${modseq === undefined ? '' : ` (MODSEQ ${modseq})`}`)
    return 'OK SEARCH completed'
  }
}

function savedOf(uids: readonly number[], returns: ReadonlySet<SearchReturn>): ReadonlySet<number> {
  // RFC 5182 §2.4: with MIN or MAX alone, only these are saved.
  if (returns.has('ALL') || returns.has('COUNT') || (!returns.has('MIN') && !returns.has('MAX'))) return new Set(uids)
  const [min, max] = [uids[0], uids.at(-1)]
  return new Set([...(returns.has('MIN') && min !== undefined ? [min] : []), ...(returns.has('MAX') && max !== undefined ? [max] : [])])
}

function esearch(tag: string, by: By, numbers: readonly number[], returns: ReadonlySet<SearchReturn>, modseq: number | undefined): string | undefined {
  if (returns.size === 1 && returns.has('SAVE')) return undefined
  const parts = [`* ESEARCH (TAG "${tag}")`]
  if (by === 'uid') parts.push('UID')
  const [min, max] = [numbers[0], numbers.at(-1)]
  if (returns.has('MIN') && min !== undefined) parts.push(`MIN ${min}`)
  if (returns.has('MAX') && max !== undefined) parts.push(`MAX ${max}`)
  if (returns.has('ALL') && numbers.length > 0) parts.push(`ALL ${formatSet(numbers)}`)
  if (returns.has('COUNT')) parts.push(`COUNT ${numbers.length}`)
  if (modseq !== undefined) parts.push(`MODSEQ ${modseq}`)
  return parts.join(' ')
}
