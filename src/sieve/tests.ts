import { bodyStrings, type Transform } from './body.ts'
import { withoutComments } from '../message/parameters.ts'
import { datePart, parseDate, zoneMinutes, type ZonedTime } from './date.ts'
import { charge, Fault } from './fault.ts'
import { flagsOf } from './flags.ts'
import { limits } from './limits.ts'
import { anyMatches } from './match.ts'
import { type AddressPart, addressParts, envelopePart, firstValue, headerValues, type Occurrence, rawValues, valueBytes } from './message-view.ts'
import type { Call } from './program.ts'
import { numberOf, type Run, stringOf, stringsOf, tagString } from './run.ts'

/** @throws Fault */
export function evaluateTest(run: Run, call: Call): boolean {
  charge(run.budget, 10)
  const evaluate = Object.hasOwn(evaluators, call.name) ? evaluators[call.name] : undefined
  if (!evaluate) throw new Fault(`the test "${call.name}" is not there`)
  return evaluate(run, call)
}

const evaluators: Readonly<Record<string, (run: Run, call: Call) => boolean>> = {
  true: () => true,
  false: () => false,
  broken: (_, call) => {
    throw new Fault(call.problem ?? 'a test that this server does not have')
  },
  not: (run, call) => !call.tests.every((test) => evaluateTest(run, test)),
  // Left to right, and no further than needed: match variables depend on it (RFC 5229 §3.2).
  allof: (run, call) => call.tests.every((test) => evaluateTest(run, test)),
  anyof: (run, call) => call.tests.some((test) => evaluateTest(run, test)),
  exists: (run, call) => stringsOf(run, call.values[0]).every((name) => run.message.fields.has(name.toLowerCase())),
  size,
  header: (run, call) => anyMatches(run, call, headers(run, call)),
  address: (run, call) => anyMatches(run, call, countable(call, addresses(run, call))),
  envelope,
  body: (run, call) => anyMatches(run, call, body(run, call), { variables: 'kept' }),
  string: (run, call) => anyMatches(run, call, countable(call, stringsOf(run, call.values[0]))),
  hasflag,
  date,
  currentdate,
  mailboxexists: (run, call) => stringsOf(run, call.values[0]).every((name) => run.environment.mailboxExists(name)),
  specialuse_exists: specialUseExists,
  duplicate,
  environment: (run, call) => {
    const item = run.environment.item(stringOf(run, call.values[0]).toLowerCase())
    return item !== undefined && anyMatches(run, call, [item])
  },
}

function headers(run: Run, call: Call): string[] {
  return stringsOf(run, call.values[0]).flatMap((name) => {
    charge(run.budget, 1 + valueBytes(run.message, name))
    return headerValues(run.message, name, occurrence(call))
  })
}

/** Taking addresses apart is the dearest thing that is done with a header field. */
function addresses(run: Run, call: Call): string[] {
  return stringsOf(run, call.values[0]).flatMap((name) => {
    charge(run.budget, 1 + valueBytes(run.message, name) * 8)
    return addressParts(run.message, name, addressPart(call), occurrence(call))
  })
}

/** RFC 5228 §5.9: exactly the limit is neither over nor under. */
function size(run: Run, call: Call): boolean {
  const limit = numberOf(call.values[0]) ?? 0
  return call.tags.has('over') ? run.message.bytes.length > limit : run.message.bytes.length < limit
}

function addressPart(call: Call): AddressPart {
  return (['localpart', 'domain', 'user', 'detail'] as const).find((tag) => call.tags.has(tag)) ?? 'all'
}

function occurrence(call: Call): Occurrence | undefined {
  const index = numberOf(call.tags.get('index'))
  return index === undefined ? undefined : { index, from: call.tags.has('last') ? 'last' : 'first' }
}

function envelope(run: Run, call: Call): boolean {
  const values = stringsOf(run, call.values[0]).flatMap((name) => {
    const part = name.toLowerCase()
    if (part !== 'from' && part !== 'to') throw new Fault(`the envelope has no part "${name}"`)
    return envelopePart(run.envelope[part], addressPart(call)) ?? []
  })
  return anyMatches(run, call, values)
}

function transform(run: Run, call: Call): Transform {
  if (call.tags.has('raw')) return { kind: 'raw' }
  return call.tags.has('content') ? { kind: 'content', types: stringsOf(run, call.tags.get('content')) } : { kind: 'text' }
}

function body(run: Run, call: Call): readonly string[] {
  const wanted = transform(run, call)
  const key = JSON.stringify(wanted)
  if (run.body?.key === key) return run.body.strings
  const strings = bodyStrings(run.message, wanted)
  for (const each of strings) charge(run.budget, each.length)
  run.body = { key, strings }
  return strings
}

/** RFC 5229 §5, RFC 5231 §4.2: empty strings are not counted, and neither is a field without addresses. */
function countable(call: Call, strings: string[]): string[] {
  return call.tags.has('count') ? strings.filter((each) => each !== '') : strings
}

/** RFC 5232 §4: each flag of the variables against each of the keys, of which a string may have several; without variables the internal one. */
function hasflag(run: Run, call: Call): boolean {
  const flags = call.first ? flagsOf(stringsOf(run, call.first).map((name) => run.variables.get(name.toLowerCase()) ?? '')) : run.flags
  const keys = stringsOf(run, call.values[0]).flatMap((each) => each.split(/[ \t\r\n]+/).filter((flag) => flag !== ''))
  return anyMatches(run, call, flags, { keys })
}

function date(run: Run, call: Call): boolean {
  const [value] = rawValues(run.message, stringOf(run, call.values[0]), occurrence(call) ?? { index: 1, from: 'first' })
  const time = value === undefined ? undefined : parseDate(withoutComments(value))
  if (!time) return false
  return matchesPart(run, call, { time: inZone(run, call, time), part: stringOf(run, call.values[1]) })
}

function currentdate(run: Run, call: Call): boolean {
  return matchesPart(run, call, { time: inZone(run, call, run.environment.now), part: stringOf(run, call.values[0]) })
}

function matchesPart(run: Run, call: Call, { time, part }: { readonly time: ZonedTime; readonly part: string }): boolean {
  const value = datePart(time, part)
  if (value === undefined) throw new Fault(`a date has no part "${part}"`)
  return anyMatches(run, call, [value])
}

/** RFC 5260 §4.1: by default the zone of the server. */
function inZone(run: Run, call: Call, time: ZonedTime): ZonedTime {
  if (call.tags.has('originalzone')) return time
  const zone = tagString(run, call, 'zone')
  const minutes = zone === undefined ? run.environment.now.zoneMinutes : zoneMinutes(zone)
  if (minutes === undefined) throw new Fault(`"${zone}" is no time zone`)
  return { epochSeconds: time.epochSeconds, zoneMinutes: minutes }
}

/** RFC 8579 §4: a mailbox for each use, or the one mailbox for all of them. */
function specialUseExists(run: Run, call: Call): boolean {
  const mailbox = call.first && stringOf(run, call.first)
  if (mailbox !== undefined && !run.environment.mailboxExists(mailbox)) return false
  return stringsOf(run, call.values[0]).every((use) => {
    const mailboxes = run.environment.mailboxesWith(use)
    return mailbox === undefined ? mailboxes.length > 0 : mailboxes.includes(mailbox)
  })
}

/** RFC 7352. A message without the field that would identify it is no duplicate and is not tracked. */
function duplicate(run: Run, call: Call): boolean {
  const id = tagString(run, call, 'uniqueid') ?? firstValue(run.message, tagString(run, call, 'header') ?? 'message-id')
  if (id === undefined || id === '') return false
  const key = JSON.stringify([tagString(run, call, 'handle') ?? '', id])
  const known = run.duplicates.get(key)
  const isDuplicate = known ?? run.environment.isDuplicate(key)
  run.duplicates.set(key, isDuplicate)
  const seconds = Math.min(numberOf(call.tags.get('seconds')) ?? limits.duplicateSecondsDefault, limits.duplicateSecondsMax)
  // §3.2: the time runs from the first occurrence, with ":last" from the latest.
  if (known === undefined && (!isDuplicate || call.tags.has('last'))) run.actions.push({ kind: 'track', key, seconds })
  return isDuplicate
}
