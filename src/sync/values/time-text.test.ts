/** C3 and C4: dates and times are read and written to the microsecond, on both sides of year 1. */
import { expect, test } from 'vitest'

import { DAY, FIRST_DAY, LAST_DAY, readDay, readMicros, readTimestamp, writeDay, writeTimestamp } from './time-text.ts'

test.each([
  ['1970-01-01', 0],
  ['2024-02-29', 19_782],
  ['0001-01-01', -719_162],
  ['0001-12-31 BC', -719_163],
  ['4714-11-24 BC', FIRST_DAY],
  ['294276-12-31', LAST_DAY.timestamp],
  ['5874897-12-31', LAST_DAY.date],
])('C3: %s is day %i', (text, day) => {
  expect(readDay(text)).toBe(day)
  expect(writeDay(day)).toBe(text)
})

test.each(['2023-02-29', '1900-02-29', '2024-13-01', '2024-00-10', '2024-1-1', '2024-01-01 AD', '', 'infinity'])(
  'C3: %j is no date',
  (text) => {
    expect(readDay(text)).toBeNull()
  },
)

test.each([
  ['1969-12-31 23:59:59.999999', { day: -1, micros: DAY - 1 }, false, '1969-12-31 23:59:59.999999'],
  ['2024-01-01T00:30+01:00', { day: 19_722, micros: 23.5 * 3_600_000_000 }, true, '2023-12-31 23:30:00+00'],
  ['2024-12-31 23:00:00-0130', { day: 20_089, micros: 1_800_000_000 }, true, '2025-01-01 00:30:00+00'],
  ['0044-03-15 12:00:00+00 BC', { day: -735_160, micros: 43_200_000_000 }, true, '0044-03-15 12:00:00+00 BC'],
])('C4: %s', (text, moment, zoned, written) => {
  expect(readTimestamp(text)).toEqual({ moment, zoned })
  expect(writeTimestamp(moment, zoned)).toBe(written)
})

test('C4: the day ends at 24:00:00, which no timestamp has', () => {
  expect(readMicros('24:00:00')).toBe(DAY)
  for (const text of ['24:00:01', '23:60', '12:00:60', '1:00', '12:00:00.0000001']) expect(readMicros(text)).toBeNull()
  expect(readTimestamp('2024-01-01 24:00:00')).toBeNull()
})
