/**
 * Texts of dates, timestamps and times of day, read and written as PostgreSQL writes them in ISO style and UTC. To the
 * microsecond, in whole numbers, so that nothing is rounded. The infinities are the business of whoever holds them.
 */
import { dateOf, existingDay } from './calendar.ts'

export interface Moment {
  /** Days since 1970-01-01. */
  readonly day: number
  /** Microseconds since midnight, less than a day's. */
  readonly micros: number
}

export const SECOND = 1_000_000
export const DAY = 86_400 * SECOND

/** What the server takes: from 4714-11-24 BC, to 294276-12-31 or, of dates, to 5874897-12-31. */
export const FIRST_DAY = -2_440_588
export const LAST_DAY = { timestamp: 106_762_939, date: 2_145_042_905 } as const

const DATE = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/
const TIMESTAMP =
  /^(\d{4,6}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?))?(Z|[+-]\d\d(?::?\d\d)?(?::?\d\d)?)?( BC)?$/
const CLOCK = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$/

/** The day of `2024-02-29` or `0044-03-15 BC`; null where the text is no date. */
export function readDay(text: string): number | null {
  const found = DATE.exec(text)
  if (found === null) return null
  const [, year = '', month = '', day = '', bc] = found
  return existingDay(bc === undefined ? Number(year) : 1 - Number(year), Number(month), Number(day))
}

/** Microseconds since midnight of `12:34`, `12:34:56.789` or `24:00:00`; null where the text is no time of day. */
export function readMicros(text: string): number | null {
  const found = CLOCK.exec(text)
  if (found === null) return null
  const [, hour = '0', minute = '0', second = '0', fraction = ''] = found
  const micros = ((+hour * 60 + +minute) * 60 + +second) * SECOND + Number(fraction.padEnd(6, '0'))
  return micros <= DAY && +minute < 60 && +second < 60 ? micros : null
}

/**
 * A date and a time, by default midnight. One with its zone is given in UTC, any other as it stands. Null where the
 * text is none.
 */
export function readTimestamp(text: string): { readonly moment: Moment; readonly zoned: boolean } | null {
  const found = TIMESTAMP.exec(text)
  if (found === null) return null
  const [, date = '', clock = '00:00', zone, bc = ''] = found
  const [day, micros] = [readDay(date + bc), readMicros(clock)]
  if (day === null || micros === null || micros === DAY) return null
  const total = micros - offsetOf(zone) * SECOND
  const days = Math.floor(total / DAY)
  return { moment: { day: day + days, micros: total - days * DAY }, zoned: zone !== undefined }
}

/** Seconds east of UTC. */
function offsetOf(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const digits = zone.slice(1).replaceAll(':', '')
  const seconds = +digits.slice(0, 2) * 3600 + +digits.slice(2, 4) * 60 + +digits.slice(4, 6)
  return zone.startsWith('-') ? -seconds : seconds
}

export function writeDay(day: number): string {
  const { date, era } = partsOf(day)
  return date + era
}

export function writeTimestamp({ day, micros }: Moment, zoned: boolean): string {
  const { date, era } = partsOf(day)
  return `${date} ${writeMicros(micros)}${zoned ? '+00' : ''}${era}`
}

function partsOf(day: number): { readonly date: string; readonly era: string } {
  const { year, month, day: dayOfMonth } = dateOf(day)
  const date = `${pad(year > 0 ? year : 1 - year, 4)}-${pad(month, 2)}-${pad(dayOfMonth, 2)}`
  return { date, era: year > 0 ? '' : ' BC' }
}

/** A time of day of so many microseconds. */
export function writeMicros(micros: number): string {
  return writeClock(Math.floor(micros / SECOND), micros % SECOND)
}

/** A time of day, or a length of time, whose hours go on beyond 24: whole seconds, and microseconds behind them. */
export function writeClock(seconds: number, fraction: number): string {
  const written = `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`
  return fraction === 0 ? written : `${written}.${pad(fraction, 6).replace(/0+$/, '')}`
}

export function pad(number: number, digits: number): string {
  return String(number).padStart(digits, '0')
}
