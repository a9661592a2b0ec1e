/** A moment in a time zone, as `date` and `currentdate` take it apart (RFC 5260 §4). This folder has no clock: the calendar is computed. */
export interface ZonedTime {
  readonly epochSeconds: number
  /** East of Greenwich. */
  readonly zoneMinutes: number
}

type Part = (time: Fields) => string

interface Fields {
  readonly days: number
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly zoneMinutes: number
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

const isoDate: Part = ({ year, month, day }) => `${pad(year, 4)}-${pad(month)}-${pad(day)}`
const clock: Part = ({ hour, minute, second }) => `${pad(hour)}:${pad(minute)}:${pad(second)}`

const parts: Readonly<Record<string, Part>> = {
  year: ({ year }) => pad(year, 4),
  month: ({ month }) => pad(month),
  day: ({ day }) => pad(day),
  date: isoDate,
  // The modified Julian day: 1970-01-01 is 40587.
  julian: ({ days }) => String(days + 40_587),
  hour: ({ hour }) => pad(hour),
  minute: ({ minute }) => pad(minute),
  second: ({ second }) => pad(second),
  time: clock,
  iso8601: (time) => `${isoDate(time)}T${clock(time)}${zone(time.zoneMinutes, ':')}`,
  std11: (time) =>
    `${weekdays[weekday(time.days)]}, ${pad(time.day)} ${months[time.month - 1]} ${pad(time.year, 4)} ${clock(time)} ${zone(time.zoneMinutes, '')}`,
  zone: ({ zoneMinutes }) => zone(zoneMinutes, ''),
  weekday: ({ days }) => String(weekday(days)),
}

export function isDatePart(name: string): boolean {
  return Object.hasOwn(parts, name.toLowerCase())
}

/** Undefined for a part that there is none of. */
export function datePart(time: ZonedTime, name: string): string | undefined {
  const part = isDatePart(name) ? parts[name.toLowerCase()] : undefined
  return part?.(fieldsOf(time))
}

/** "+hhmm"; undefined for anything else. */
export function zoneMinutes(text: string): number | undefined {
  const match = /^([+-])([0-9]{2})([0-5][0-9])$/.exec(text)
  if (!match) return undefined
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]))
}

const pattern = /(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{4}|\d{2,3})\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s+([+-]\d{4}|[a-z]{1,5}))?/i
/** RFC 5322 §4.3. */
const namedZones: Readonly<Record<string, number>> = { EDT: -240, EST: -300, CDT: -300, CST: -360, MDT: -360, MST: -420, PDT: -420, PST: -480 }

/** The date in a field, comments taken out (RFC 5322 §3.3, §4.3); of a trace field what is behind the last semicolon. */
export function parseDate(text: string): ZonedTime | undefined {
  const match = pattern.exec(text.slice(text.lastIndexOf(';') + 1))
  if (!match) return undefined
  const month = months.findIndex((name) => name.toLowerCase() === match[2]?.toLowerCase()) + 1
  const [day, given, hour, minute, second] = [match[1], match[3], match[4], match[5], match[6] ?? '0'].map(Number) as [number, number, number, number, number]
  const year = given > 999 ? given : given < 50 ? given + 2000 : given + 1900
  if (month === 0 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return undefined
  const minutesEast = zoneMinutes(match[7] ?? '') ?? namedZones[(match[7] ?? '').toUpperCase()] ?? 0
  return { epochSeconds: dayNumber(year, month, day) * 86_400 + hour * 3600 + (minute - minutesEast) * 60 + second, zoneMinutes: minutesEast }
}

function fieldsOf({ epochSeconds, zoneMinutes }: ZonedTime): Fields {
  const local = Math.floor(epochSeconds) + zoneMinutes * 60
  const days = Math.floor(local / 86_400)
  const ofDay = local - days * 86_400
  return { days, ...civil(days), hour: Math.floor(ofDay / 3600), minute: Math.floor(ofDay / 60) % 60, second: ofDay % 60, zoneMinutes }
}

/** H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil. */
function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}

/** The same source: civil_from_days. */
function civil(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const ofEra = z - era * 146_097
  const yearOfEra = Math.floor((ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365)
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * ofYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day: ofYear - Math.floor((153 * shifted + 2) / 5) + 1 }
}

function weekday(days: number): number {
  return (((days + 4) % 7) + 7) % 7
}

function zone(minutes: number, colon: string): string {
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}${colon}${pad(size % 60)}`
}

function pad(value: number, length = 2): string {
  return String(value).padStart(length, '0')
}
