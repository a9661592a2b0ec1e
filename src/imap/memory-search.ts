import type { MessageContent, MessageEntry } from '../mailbox/account-mail.ts'
import type { SearchTest } from '../mailbox/search.ts'
import { bodyText, fieldText, headerText, sentDay } from './memory-search-text.ts'

/** What the database does, for the account in memory. */
export function matches(
  test: SearchTest,
  entry: Pick<MessageEntry, 'uid' | 'flags' | 'modseq' | 'internalDate' | 'sizeBytes'>,
  content: MessageContent,
): boolean {
  switch (test.kind) {
    case 'all':
      return true
    case 'and':
      return test.tests.every((each) => matches(each, entry, content))
    case 'or':
      return test.tests.some((each) => matches(each, entry, content))
    case 'not':
      return !matches(test.test, entry, content)
    case 'uids':
      return test.ranges.some(({ first, last }) => first <= entry.uid && entry.uid <= last)
    case 'flag':
      return entry.flags.some((flag) => flag.toLowerCase() === test.flag.toLowerCase())
    case 'internalDate':
      return compareDay(Math.floor(entry.internalDate.getTime() / 86_400_000), test)
    case 'size':
      return test.relation === 'larger' ? entry.sizeBytes > test.bytes : entry.sizeBytes < test.bytes
    case 'modseq':
      return entry.modseq >= test.from
    case 'sentDate': {
      const day = sentDay(content)
      return day !== undefined && compareDay(day, test)
    }
    case 'header':
      return fieldText(content, test.name).some((value) => value.includes(test.value.toLowerCase()))
    case 'body':
      return bodyText(content).includes(test.value.toLowerCase())
    case 'text':
      return headerText(content).includes(test.value.toLowerCase()) || bodyText(content).includes(test.value.toLowerCase())
  }
}

function compareDay(day: number, { relation, day: wanted }: { readonly relation: 'before' | 'on' | 'since'; readonly day: number }): boolean {
  return relation === 'on' ? day === wanted : relation === 'before' ? day < wanted : day >= wanted
}
