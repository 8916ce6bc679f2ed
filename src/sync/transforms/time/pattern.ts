/**
 * Patterns of dates and times, in the letters of Unicode (UTS 35): yyyy MM dd HH mm ss SSSSSS, and text in quotes.
 * Names of months and days are English.
 */
import { fail } from '#sync/transforms/transform.ts'
import { dateOf, dayOf, existingDay } from '#sync/values/calendar.ts'
import { pad, SECOND, type Moment } from '#sync/values/time-text.ts'

const MONTHS = 'January February March April May June July August September October November December'.split(' ')
const DAYS = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split(' ')

/** 1 is Monday. */
export function weekday(day: number): number {
  return ((((day + 3) % 7) + 7) % 7) + 1
}

/** The year and the week of ISO 8601. */
export function isoWeek(day: number): readonly [year: number, week: number] {
  const thursday = day - weekday(day) + 4
  const { year } = dateOf(thursday)
  return [year, Math.floor((thursday - dayOf(year, 1, 1)) / 7) + 1]
}

type Piece = { readonly text: string } | { readonly field: Field }

const FIELDS = {
  yyyy: 'year',
  yy: 'short year',
  MMMM: 'month name',
  MMM: 'short month',
  MM: 'month',
  M: 'month',
  dd: 'day',
  d: 'day',
  DDD: 'day of year',
  EEEE: 'day name',
  EEE: 'short day',
  HH: 'hour',
  H: 'hour',
  hh: 'half-day hour',
  h: 'half-day hour',
  a: 'half',
  mm: 'minute',
  ss: 'second',
  S: 'fraction',
  SSS: 'fraction',
  SSSSSS: 'fraction',
  Q: 'quarter',
  ww: 'week',
  YYYY: 'week year',
  XXX: 'offset',
  XX: 'offset',
  X: 'offset',
} as const satisfies Record<string, string>

type Field = keyof typeof FIELDS

const WRITE_ONLY: ReadonlySet<Field> = new Set(['EEEE', 'EEE', 'DDD', 'Q', 'ww', 'YYYY'])

/** The pieces of a pattern, or what is wrong with it. */
export function readPattern(pattern: string): readonly Piece[] | string {
  const pieces: Piece[] = []
  for (const [found] of pattern.matchAll(/'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'/g)) {
    if (found === "'") return 'a quote is not closed'
    if (found === "''") pieces.push({ text: "'" })
    else if (found.startsWith("'")) pieces.push({ text: found.slice(1, -1).replaceAll("''", "'") })
    else if (!/^[A-Za-z]/.test(found)) pieces.push({ text: found })
    else if (Object.hasOwn(FIELDS, found)) pieces.push({ field: found as Field })
    else return `"${found}" is no field; text stands in single quotes, and fields are ${Object.keys(FIELDS).join(' ')}`
  }
  return pieces
}

/** Why a pattern cannot read; null where it can. */
export function whyNotReadable(pattern: string, needs: 'date' | 'time' | 'both'): string | null {
  const pieces = readPattern(pattern)
  if (typeof pieces === 'string') return pieces
  const fields = pieces.flatMap((piece) => ('field' in piece ? [piece.field] : []))
  const onlyWritten = fields.find((field) => WRITE_ONLY.has(field))
  if (onlyWritten !== undefined) return `${onlyWritten} can only be written, not read`
  const meanings = fields.map((field): string => FIELDS[field])
  const has = (...any: string[]): boolean => any.some((meaning) => meanings.includes(meaning))
  if (needs !== 'time' && !(has('year', 'short year') && has('month', 'month name', 'short month') && has('day'))) {
    return 'a date needs a year, a month and a day'
  }
  if (needs === 'time' && !has('hour', 'half-day hour')) return 'a time needs an hour'
  if (has('half-day hour') !== has('half')) return 'hh and a go together'
  return null
}

export function hasOffset(pattern: string): boolean {
  const pieces = readPattern(pattern)
  return typeof pieces !== 'string' && pieces.some((piece) => 'field' in piece && FIELDS[piece.field] === 'offset')
}

/** A writer of moments; the offset is that of UTC. */
export function formatter(pattern: string): (moment: Moment) => string {
  const pieces = readPattern(pattern)
  if (typeof pieces === 'string') return () => fail(pieces)
  return (moment) => {
    const date = dateOf(moment.day)
    if (date.year < 1 || date.year > 9999) return fail('patterns write the years 1 to 9999')
    let made = ''
    for (const piece of pieces) made += 'text' in piece ? piece.text : written(piece.field, moment, date)
    return made
  }
}

function written(field: Field, { day, micros }: Moment, date: ReturnType<typeof dateOf>): string {
  const seconds = Math.floor(micros / SECOND)
  const hour = Math.floor(seconds / 3600)
  switch (FIELDS[field]) {
    case 'year':
      return pad(date.year, 4)
    case 'short year':
      return pad(date.year % 100, 2)
    case 'month name':
      return MONTHS[date.month - 1] ?? ''
    case 'short month':
      return MONTHS[date.month - 1]?.slice(0, 3) ?? ''
    case 'month':
      return pad(date.month, field.length)
    case 'day':
      return pad(date.day, field.length)
    case 'day of year':
      return pad(day - dayOf(date.year, 1, 1) + 1, 3)
    case 'day name':
      return DAYS[weekday(day) - 1] ?? ''
    case 'short day':
      return DAYS[weekday(day) - 1]?.slice(0, 3) ?? ''
    case 'hour':
      return pad(hour, field.length)
    case 'half-day hour':
      return pad(((hour + 11) % 12) + 1, field.length)
    case 'half':
      return hour < 12 ? 'AM' : 'PM'
    case 'minute':
      return pad(Math.floor(seconds / 60) % 60, 2)
    case 'second':
      return pad(seconds % 60, 2)
    case 'fraction':
      return pad(micros % SECOND, 6).slice(0, field.length)
    case 'quarter':
      return String(Math.ceil(date.month / 3))
    case 'week':
      return pad(isoWeek(day)[1], 2)
    case 'week year':
      return pad(isoWeek(day)[0], 4)
    case 'offset':
      return 'Z'
  }
}

const SHAPES: Readonly<Record<string, string>> = {
  yyyy: '\\d{4}',
  yy: '\\d\\d',
  MM: '\\d\\d',
  M: '\\d{1,2}',
  dd: '\\d\\d',
  d: '\\d{1,2}',
  HH: '\\d\\d',
  H: '\\d{1,2}',
  hh: '\\d\\d',
  h: '\\d{1,2}',
  a: '[AaPp]\\.?[Mm]\\.?',
  mm: '\\d\\d',
  ss: '\\d\\d',
  S: '\\d{1,6}',
  SSS: '\\d{3}',
  SSSSSS: '\\d{6}',
  XXX: 'Z|[+-]\\d\\d:\\d\\d',
  XX: 'Z|[+-]\\d{4}',
  X: 'Z|[+-]\\d\\d(?::?\\d\\d)?',
  MMMM: MONTHS.join('|'),
  MMM: MONTHS.map((name) => name.slice(0, 3)).join('|'),
}

export interface ReadTime extends Moment {
  /** Minutes east of UTC, where the text names an offset. */
  readonly offset: number | null
}

/** A reader of whole texts; a text that does not fit, or names a day that is none, is rejected. */
export function parser(pattern: string, pivot: number): (text: string) => ReadTime {
  const pieces = readPattern(pattern)
  if (typeof pieces === 'string') return () => fail(pieces)
  const fields = pieces.flatMap((piece) => ('field' in piece ? [piece.field] : []))
  const shape = new RegExp(
    `^${pieces.map((piece) => ('text' in piece ? piece.text.replace(/[\\^$.|?*+()[\]{}/-]/g, '\\$&') : `(${SHAPES[piece.field]})`)).join('')}$`,
    'i',
  )
  return (text) => {
    const found = shape.exec(text)
    if (found === null) return fail('the text does not fit the pattern')
    const values: Partial<Record<string, string>> = {}
    for (const [i, field] of fields.entries()) {
      const value = found[i + 1] ?? ''
      const meaning: string = FIELDS[field]
      if ((values[meaning] ??= value) !== value) return fail('the text says two things of one field')
    }
    return assemble(values, pivot)
  }
}

function assemble(values: Partial<Record<string, string>>, pivot: number): ReadTime {
  const short = values['short year']
  const year = values['year'] === undefined ? century(Number(short ?? 70), pivot) : Number(values['year'])
  const name = (values['month name'] ?? values['short month'])?.slice(0, 3).toLowerCase()
  const named = MONTHS.findIndex((month) => month.slice(0, 3).toLowerCase() === name) + 1
  const month = name === undefined ? Number(values['month'] ?? 1) : named
  const day = year === 0 ? null : existingDay(year, month, Number(values['day'] ?? 1))
  if (day === null) return fail('the calendar has no such day')
  const hour = hourOf(values)
  const minute = Number(values['minute'] ?? 0)
  const second = Number(values['second'] ?? 0)
  const fraction = Number((values['fraction'] ?? '').padEnd(6, '0'))
  if (hour > 23 || minute > 59 || second > 59) return fail('the clock has no such time')
  return { day, micros: ((hour * 60 + minute) * 60 + second) * SECOND + fraction, offset: offsetOf(values['offset']) }
}

function century(short: number, pivot: number): number {
  return short < pivot ? 2000 + short : 1900 + short
}

function hourOf(values: Partial<Record<string, string>>): number {
  const half = values['half-day hour']
  if (half === undefined) return Number(values['hour'] ?? 0)
  const hour = Number(half)
  if (hour < 1 || hour > 12) return fail('the clock has no such time')
  return (hour % 12) + (/^p/i.test(values['half'] ?? '') ? 12 : 0)
}

function offsetOf(text: string | undefined): number | null {
  if (text === undefined) return null
  if (text.toUpperCase() === 'Z') return 0
  const digits = text.slice(1).replace(':', '').padEnd(4, '0')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))
  if (minutes >= 24 * 60) return fail('the offset is more than a day')
  return text.startsWith('-') ? -minutes : minutes
}
