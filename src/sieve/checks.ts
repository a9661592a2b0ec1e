import type { Capability } from './capabilities.ts'
import { hasSubstrings, isComparator } from './comparator.ts'
import { found, type Position, SieveError } from './error.ts'
import { type Call, constant, type Value } from './program.ts'
import { compileRegex, RegexError } from './regex.ts'
import { isIdentifier } from './strings.ts'
import { isAddress, isMailboxName, isSpecialUse, mailboxAddress } from './syntax.ts'
import { isDatePart, zoneMinutes } from './date.ts'

/** What the signature does not say of a command. Strings that depend on variables are looked at when the script runs. */
export function checkCommand(call: Call): void {
  const first = call.values[0]
  switch (call.name) {
    case 'redirect':
      return each(first, isAddress, 'is not an address to send to')
    case 'fileinto':
      each(call.tags.get('specialuse'), isSpecialUse, 'is not a special use such as "\\Archive"')
      return each(first, isMailboxName, 'cannot be the name of a mailbox')
    case 'set':
      return variableName(first)
    case 'setflag':
    case 'addflag':
    case 'removeflag':
      return call.first && variableName(call.first)
    case 'vacation':
      return each(call.tags.get('from'), (text) => mailboxAddress(text) !== undefined, 'is not an address')
  }
}

/** RFC 5228 §2.7.4, §5.1 and others: addresses are looked for in fields that have addresses only. */
const addressFields = new Set([
  ...['from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'resent-from', 'resent-sender', 'resent-reply-to', 'resent-to', 'resent-cc', 'resent-bcc'],
  ...['return-path', 'delivered-to', 'x-delivered-to', 'x-original-to', 'envelope-to', 'x-envelope-to', 'x-original-from', 'apparently-to'],
  ...['disposition-notification-to', 'return-receipt-to', 'errors-to', 'mail-followup-to', 'mail-reply-to', 'abuse-reports-to', 'x-complaints-to'],
])

export function checkTest(call: Call, enabled: ReadonlySet<Capability>): void {
  if (call.tags.has('last') && call.name !== 'duplicate' && !call.tags.has('index')) throw new SieveError(call.position, '":last" needs ":index"')
  if (numberOf(call.tags.get('index')) === 0) throw new SieveError(call.position, '":index" counts from 1')
  each(call.tags.get('zone'), (text) => zoneMinutes(text) !== undefined, 'is not a time zone such as "+0100"')
  checkMatch(call, enabled)
  switch (call.name) {
    case 'size':
      if (call.tags.size === 0) throw new SieveError(call.position, '"size" needs ":over" or ":under"')
      return
    case 'address':
      return each(call.values[0], (name) => addressFields.has(name.toLowerCase()), 'is not a header field with addresses')
    case 'envelope':
      return each(call.values[0], (part) => /^(from|to)$/i.test(part), 'is no part of the envelope: "from" or "to"')
    case 'date':
      return each(call.values[1], isDatePart, 'is no part of a date')
    case 'currentdate':
      return each(call.values[0], isDatePart, 'is no part of a date')
    case 'specialuse_exists':
      return each(call.values[0], isSpecialUse, 'is not a special use such as "\\Archive"')
  }
}

function checkMatch(call: Call, enabled: ReadonlySet<Capability>): void {
  const comparator = call.tags.get('comparator')
  each(comparator, isComparator, 'is no comparator of this server')
  // RFC 5228 §2.7.3: two comparators are always there, others are asked for.
  each(comparator, (name) => name !== 'i;ascii-numeric' || enabled.has('comparator-i;ascii-numeric'), 'needs: require "comparator-i;ascii-numeric";')
  const substring = ['contains', 'matches', 'regex'].find((tag) => call.tags.has(tag))
  if (substring) each(comparator, hasSubstrings, `cannot be used with ":${substring}": it compares whole values only`)
  for (const tag of ['count', 'value'])
    each(call.tags.get(tag), (text) => /^(gt|ge|lt|le|eq|ne)$/.test(text), 'is no relation: "gt", "ge", "lt", "le", "eq" or "ne"')
  if (call.tags.has('regex')) checkRegex(call.values.at(-1))
}

function checkRegex(keys: Value | undefined): void {
  if (keys?.kind !== 'strings') return
  for (const text of keys.texts) {
    const pattern = constant(text)
    if (pattern === undefined) continue
    try {
      compileRegex(pattern, 'exact')
    } catch (error) {
      if (!(error instanceof RegexError)) throw error
      throw new SieveError(text.position, `the regular expression ${found(pattern)}: ${error.message}`)
    }
  }
}

/** RFC 5229 §4: the name is a constant. */
function variableName(value: Value | undefined): void {
  if (value?.kind !== 'strings') return
  for (const text of value.texts) {
    const name = constant(text)
    if (name === undefined || !isIdentifier(name)) throw new SieveError(text.position, 'the name of a variable is made of letters, digits and "_"')
  }
}

function each(value: Value | undefined, isRight: (text: string) => boolean, problem: string): void {
  if (value?.kind !== 'strings') return
  for (const text of value.texts) {
    const given = constant(text)
    if (given !== undefined && !isRight(given)) refuse(text.position, given, problem)
  }
}

function refuse(position: Position, given: string, problem: string): never {
  throw new SieveError(position, `${found(given)} ${problem}`)
}

function numberOf(value: Value | undefined): number | undefined {
  return value?.kind === 'number' ? value.value : undefined
}
