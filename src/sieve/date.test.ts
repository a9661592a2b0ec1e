import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { datePart, parseDate, zoneMinutes } from './date.ts'

test('the calendar is that of the platform', () => {
  fc.assert(
    fc.property(fc.integer({ min: -60_000_000_000, max: 250_000_000_000 }), fc.integer({ min: -14 * 60, max: 14 * 60 }), (epochSeconds, zone) => {
      const local = new Date((epochSeconds + zone * 60) * 1000)
      if (local.getUTCFullYear() < 1) return
      const time = { epochSeconds, zoneMinutes: zone }
      expect(datePart(time, 'iso8601')?.slice(0, 19)).toBe(local.toISOString().slice(0, 19))
      expect(datePart(time, 'weekday')).toBe(String(local.getUTCDay()))
    }),
  )
})

test('std11 is read back as the same moment', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200_000_000_000 }), fc.integer({ min: -14 * 60, max: 14 * 60 }), (epochSeconds, zone) => {
      const time = { epochSeconds, zoneMinutes: zone }
      expect(parseDate(datePart(time, 'std11') ?? '')).toEqual(time)
    }),
  )
})

describe('dates as mail has them', () => {
  test.each([
    ['Tue, 1 Apr 1997 09:06:31 -0800', '1997-04-01T17:06:31.000Z', -480],
    ['1 Apr 97 09:06 EST', '1997-04-01T14:06:00.000Z', -300],
    ['from a by b; Fri, 29 Feb 2008 23:59:60 GMT', '2008-03-01T00:00:00.000Z', 0],
    ['1 Jan 49 00:00:00 Z', '2049-01-01T00:00:00.000Z', 0],
    ['1 Jan 101 00:00:00', '2001-01-01T00:00:00.000Z', 0],
  ])('%s', (text, iso, zone) => expect(parseDate(text)).toEqual({ epochSeconds: Date.parse(iso) / 1000, zoneMinutes: zone }))

  test.each(['', 'tomorrow', '32 Jan 2000 00:00', '1 Foo 2000 00:00', '1 Jan 2000 24:00', '1 Jan 2000'])('%j is none', (text) =>
    expect(parseDate(text)).toBeUndefined(),
  )
})

test.each([
  ['+0100', 60],
  ['-0730', -450],
  ['0100', undefined],
  ['+0160', undefined],
])('zone %s', (text, minutes) => expect(zoneMinutes(text)).toBe(minutes))
