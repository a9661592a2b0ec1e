import { type AccountContext, isId, unknownMailbox } from './account-context.ts'
import type { SearchTest } from './search.ts'
import { keepTexts } from './search-index.ts'

export interface Found {
  readonly uid: number
  readonly modseq: number
}

export async function searchMailbox(context: AccountContext, mailboxId: string, test: SearchTest): Promise<readonly Found[]> {
  if (!isId(mailboxId)) throw unknownMailbox(mailboxId)
  const needsText = asksForText(test)
  if (needsText) await keepTexts(context, mailboxId)
  const values: unknown[] = [mailboxId, context.accountId]
  const condition = conditionOf(test, (value) => `$${values.push(value)}`)
  const text = needsText ? 'join mail.body_text t on t.body_id = m.body_id' : ''
  const sql = `select m.uid, m.modseq from mail.message m join mail.mailbox b on b.id = m.mailbox_id and b.account_id = $2 ${text}
    where m.mailbox_id = $1 and ${condition} order by m.uid`
  return (await context.mount.read((db) => db.query<Found>(sql, values))).rows
}

function asksForText(test: SearchTest): boolean {
  switch (test.kind) {
    case 'and':
    case 'or':
      return test.tests.some(asksForText)
    case 'not':
      return asksForText(test.test)
    case 'header':
    case 'body':
    case 'text':
    case 'sentDate':
      return true
    case 'all':
    case 'uids':
    case 'flag':
    case 'internalDate':
    case 'size':
    case 'modseq':
      return false
  }
}

/** @param value puts a value among the statement's parameters: nothing of a client's is ever part of the text */
function conditionOf(test: SearchTest, value: (given: unknown) => string): string {
  switch (test.kind) {
    case 'all':
      return 'true'
    case 'and':
      return test.tests.length === 0 ? 'true' : `(${test.tests.map((each) => conditionOf(each, value)).join(' and ')})`
    case 'or':
      return test.tests.length === 0 ? 'false' : `(${test.tests.map((each) => conditionOf(each, value)).join(' or ')})`
    case 'not':
      return `(not ${conditionOf(test.test, value)})`
    case 'uids':
      return uidCondition(test.ranges, value)
    case 'flag':
      return `exists (select from unnest(m.flags) f where lower(f) = ${value(test.flag.toLowerCase())})`
    case 'header': {
      const name = `${test.name.toLowerCase()}:`
      return `exists (select from string_to_table(t.fields, E'\\n') f where starts_with(f, ${value(name)}) and strpos(substr(f, ${name.length + 1}), ${value(comparable(test.value))}) > 0)`
    }
    case 'body':
      return `strpos(t.content, ${value(comparable(test.value))}) > 0`
    case 'text': {
      const wanted = value(comparable(test.value))
      return `(strpos(t.headers, ${wanted}) > 0 or strpos(t.content, ${wanted}) > 0)`
    }
    case 'internalDate':
      return dayCondition('(extract(epoch from m.internal_date) / 86400)', test, value)
    case 'sentDate':
      return `coalesce(${dayCondition('t.sent_day', test, value)}, false)`
    case 'size':
      return `m.size ${test.relation === 'larger' ? '>' : '<'} ${value(test.bytes)}::bigint`
    case 'modseq':
      return `m.modseq >= ${value(test.from)}::bigint`
  }
}

function uidCondition(ranges: readonly { readonly first: number; readonly last: number }[], value: (given: unknown) => string): string {
  if (ranges.length === 0) return 'false'
  const single = ranges.filter(({ first, last }) => first === last).map(({ first }) => first)
  const wide = ranges.filter(({ first, last }) => first !== last)
  const parts = wide.length > 100 ? [] : wide.map(({ first, last }) => `m.uid between ${value(first)}::bigint and ${value(last)}::bigint`)
  if (wide.length > 100)
    parts.push(
      `exists (select from unnest(${value(wide.map(({ first }) => first))}::bigint[], ${value(wide.map(({ last }) => last))}::bigint[]) r(first, last) where m.uid between r.first and r.last)`,
    )
  if (single.length > 0) parts.push(`m.uid = any (${value(single)}::bigint[])`)
  return `(${parts.join(' or ')})`
}

function dayCondition(day: string, test: { readonly relation: 'before' | 'on' | 'since'; readonly day: number }, value: (given: unknown) => string): string {
  const wanted = `${value(test.day)}::int`
  switch (test.relation) {
    case 'before':
      return `${day} < ${wanted}`
    case 'on':
      return `floor(${day}) = ${wanted}`
    case 'since':
      return `${day} >= ${wanted}`
  }
}

/** As the kept text is: lower case, composed; NUL can be in no text of PostgreSQL. */
function comparable(text: string): string {
  return text.normalize('NFC').toLowerCase().replaceAll('\0', '')
}
