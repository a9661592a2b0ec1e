import type { MailRecord, SqlRecord } from './records.ts'

/** What the rows of one writer came to, once the cluster is healthy again. */
export type SqlVerdict = {
  readonly acknowledged: number
  readonly lost: readonly number[]
  readonly doubled: readonly number[]
  /** Two hosts that both acknowledged in one epoch, or an older epoch that acknowledged a write sent after a newer one had begun. */
  readonly split: readonly string[]
  /** Acknowledged with a warning, such as a cancelled wait for the synchronous copy. */
  readonly warned: readonly string[]
}

export type Gap = { readonly ms: number; readonly from: number; readonly to: number }

/** @param present ids in the table at the end, each as often as it is there */
export function checkSql(records: readonly SqlRecord[], present: readonly number[]): SqlVerdict {
  const acknowledged = acknowledgements(records)
  const found = new Set(present)
  return {
    acknowledged: acknowledged.length,
    lost: acknowledged.filter((record) => !found.has(record.id)).map((record) => record.id),
    doubled: repeated(present),
    split: findSplit(acknowledged),
    warned: acknowledged.flatMap((record) => (record.note === undefined ? [] : [`${record.id}: ${record.note}`])),
  }
}

type Acknowledged = Extract<SqlRecord, { kind: 'acknowledged' }>

export function acknowledgements(records: readonly SqlRecord[]): Acknowledged[] {
  return records.filter((record) => record.kind === 'acknowledged')
}

/** Takes the records of several writers at once: the second one may sit on the old active node. */
export function findSplit(acknowledged: readonly Acknowledged[]): string[] {
  const split: string[] = []
  const hosts = new Map<string, Set<string>>()
  for (const record of acknowledged) {
    const known = hosts.get(record.epoch) ?? new Set()
    hosts.set(record.epoch, known.add(record.host))
  }
  for (const [epoch, names] of hosts) {
    if (epoch !== '' && names.size > 1) split.push(`epoch ${epoch} was acknowledged by ${[...names].sort().join(' and ')}`)
  }
  const begun = new Map<number, number>() // epoch -> its first acknowledgement
  for (const record of acknowledged) {
    const epoch = Number(record.epoch)
    if (record.epoch !== '') begun.set(epoch, Math.min(begun.get(epoch) ?? Number.POSITIVE_INFINITY, record.at))
  }
  for (const [epoch, at] of begun) {
    const late = acknowledged.find((record) => record.epoch !== '' && Number(record.epoch) < epoch && record.sent > at)
    if (late !== undefined)
      split.push(`epoch ${late.epoch} acknowledged write ${late.id} sent ${(late.sent - at).toFixed(1)} ms after epoch ${epoch} had begun`)
  }
  return split
}

/** The longest time without an acknowledgement that ends after `from` (and begins before `to`). */
export function longestGap(times: readonly number[], from: number, to = Number.POSITIVE_INFINITY): Gap {
  let longest: Gap = { ms: 0, from, to: from }
  for (let index = 1; index < times.length; index++) {
    const before = times[index - 1] ?? 0
    const after = times[index] ?? 0
    if (after >= from && before <= to && after - before > longest.ms) longest = { ms: after - before, from: before, to: after }
  }
  return longest
}

/** Since when there has been no gap over `gapMs` up to `at`; undefined while there is none. */
export function steadySince(times: readonly number[], at: number, gapMs = 500): number | undefined {
  const last = times.at(-1)
  if (last === undefined || at - last > gapMs) return undefined
  let since = last
  for (let index = times.length - 2; index >= 0; index--) {
    const time = times[index] ?? 0
    if (since - time > gapMs) return since
    since = time
  }
  return since
}

export type MailVerdict = {
  readonly delivered: number
  readonly lost: readonly string[]
  readonly doubled: readonly string[]
  /** Shown to a reader once, and not there in the end: `UID/Message-ID`. */
  readonly shownThenGone: readonly string[]
  /** One UID that named two messages, or a UIDVALIDITY that changed. */
  readonly renamed: readonly string[]
}

export type MailboxEntry = { readonly uidValidity: number; readonly uid: number; readonly messageId: string }

/** @param present everything in the mailbox at the end */
export function checkMail(records: readonly MailRecord[], present: readonly MailboxEntry[]): MailVerdict {
  const delivered = records.filter((record) => record.kind === 'delivered').map((record) => record.messageId)
  const seen = records.filter((record) => record.kind === 'seen')
  const ids = present.map((entry) => entry.messageId)
  const found = new Set(ids)
  const byUid = new Map(present.map((entry) => [`${entry.uidValidity}/${entry.uid}`, entry.messageId]))
  const validity = new Set([...seen, ...present].map((entry) => entry.uidValidity))
  return {
    delivered: delivered.length,
    lost: delivered.filter((messageId) => !found.has(messageId)),
    doubled: repeated(ids),
    shownThenGone: [...new Set(seen.filter((entry) => !found.has(entry.messageId)).map((entry) => `${entry.uid}/${entry.messageId}`))],
    renamed: [
      ...new Set(
        seen.flatMap((entry) => {
          const holder = byUid.get(`${entry.uidValidity}/${entry.uid}`)
          return holder !== undefined && holder !== entry.messageId ? [`UID ${entry.uid} was ${entry.messageId}, now ${holder}`] : []
        }),
      ),
      ...(validity.size > 1 ? [`UIDVALIDITY took the values ${[...validity].join(', ')}`] : []),
    ],
  }
}

function repeated<T>(values: readonly T[]): T[] {
  const once = new Set<T>()
  const twice = new Set<T>()
  for (const value of values) (once.has(value) ? twice : once).add(value)
  return [...twice]
}
