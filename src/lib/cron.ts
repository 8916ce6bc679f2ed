import { Cron } from 'croner'
import { Temporal } from 'temporal-polyfill'
import { nearest } from './nearest.ts'

/**
 * Times that a cron text names, in a time zone. croner knows the calendar alone, in UTC; which moment a time of the wall is
 * stands here, so that days on which clocks change are the same for every form of text.
 */

interface Field {
  readonly name: string
  readonly least: number
  readonly most: number
  /** Words for values, from `least` on. */
  readonly words: readonly string[]
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']

const FIELDS: readonly Field[] = [
  { name: 'minute', least: 0, most: 59, words: [] },
  { name: 'hour', least: 0, most: 23, words: [] },
  { name: 'day of the month', least: 1, most: 31, words: [] },
  { name: 'month', least: 1, most: 12, words: MONTHS },
  { name: 'day of the week', least: 0, most: 7, words: DAYS },
]

const DAY_OF_MONTH = 2
const LAST_DAY = 'L'

const MOST_CHARACTERS = 200

/** A leap year begins: what does not come in the years after it never does. */
const LONG_AGO = '2000-01-01T00:00:00'

/** What is wrong with a text of five fields, as a sentence; null: nothing. */
export function cronProblem(text: string): string | null {
  if (text.length > MOST_CHARACTERS) return `This has more than ${MOST_CHARACTERS} characters.`
  const parts = split(text)
  if (parts.length !== FIELDS.length) {
    const names = FIELDS.map(({ name }) => name).join(', ')
    return `This must have five fields (${names}) with spaces between them, such as 30 2 * * *; it has ${parts.length}.`
  }
  for (const [i, field] of FIELDS.entries()) {
    for (const item of (parts[i] ?? '').split(',')) {
      if (i === DAY_OF_MONTH && item === LAST_DAY) continue
      const problem = itemProblem(item, field)
      if (problem !== null) return `${field.name}: ${problem}`
    }
  }
  return calendarOf(text).nextRun(LONG_AGO) === null ? 'This never comes: no month that is named has such a day.' : null
}

function split(text: string): string[] {
  return text.trim().split(/\s+/)
}

function itemProblem(item: string, field: Field): string | null {
  const found = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\w+))?$/.exec(item)
  const range = `${field.least} to ${field.most}${field.words.length > 0 ? ` or ${field.words.join(', ')}` : ''}`
  if (found === null) {
    return item === ''
      ? 'a value is missing beside a comma.'
      : `${item} is not understood: write *, a value, a range such as 1-5, a list such as 1,3 or a step such as */5.`
  }
  const [, star, first, last, step] = found
  for (const value of [first, last]) {
    if (value !== undefined && valueOf(value, field) === null) return `${value} is not one of ${range}.`
  }
  if (first !== undefined && last !== undefined && (valueOf(first, field) ?? 0) > (valueOf(last, field) ?? 0)) {
    return `${first} comes after ${last}: write two ranges with a comma between them.`
  }
  if (step === undefined) return null
  if (star === undefined && last === undefined) return `a step needs * or a range before it, such as */${step}.`
  const size = /^\d+$/.test(step) ? Number(step) : 0
  return size >= 1 && size <= field.most ? null : `the step ${step} is not one of 1 to ${field.most}.`
}

function valueOf(text: string, { least, most, words }: Field): number | null {
  const word = words.indexOf(text.toUpperCase())
  if (word >= 0) return least + word
  const value = /^\d{1,2}$/.test(text) ? Number(text) : -1
  return value >= least && value <= most ? value : null
}

/** What is wrong with the name of a time zone, as a sentence; null: nothing. */
export function zoneProblem(name: string): string | null {
  if (isZone(name)) return null
  const other = nearest(name, Intl.supportedValuesOf('timeZone'))
  return `This is no time zone of the IANA list, such as Europe/Berlin or UTC${other === null ? '' : `; the nearest is ${other}`}.`
}

function isZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name)
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

/** What was found last: whoever looks at many schedules asks the same of them again and again. */
const known = new Map<string, string | null>()
const MOST_KNOWN = 2_000

/** The first moment after another (ISO 8601, UTC) that a text names in a time zone; null: none comes any more. */
export function nextCron(text: string, zone: string, after: string): string | null {
  const question = `${after} ${zone} ${text}`
  const before = known.get(question)
  if (before !== undefined) return before
  const next = findNext(text, zone, after)
  const [oldest] = known.size < MOST_KNOWN ? [] : known.keys()
  if (oldest !== undefined) known.delete(oldest)
  known.set(question, next)
  return next
}

function findNext(text: string, zone: string, after: string): string | null {
  const calendar = calendarOf(text)
  const byTheHour = isByTheHour(text)
  const since = Temporal.Instant.from(after)
  const wall = since.toZonedDateTimeISO(zone)
  let best: Temporal.Instant | null = null
  let from = wall.toPlainDateTime().subtract({ nanoseconds: hoursThatComeAgain(wall) })
  for (;;) {
    const next = calendar.nextRun(from.toString({ smallestUnit: 'millisecond' }))
    if (next === null) break
    from = Temporal.PlainDateTime.from(next.toISOString().slice(0, -1))
    const moments = momentsOf(from, zone, byTheHour)
    if (best !== null && moments.every((moment) => isBefore(best, moment))) break
    for (const moment of moments) {
      if (isBefore(since, moment) && (best === null || isBefore(moment, best))) best = moment
    }
  }
  return best === null ? null : writeInstant(best)
}

const isBefore = (a: Temporal.Instant | null, b: Temporal.Instant): boolean =>
  a !== null && Temporal.Instant.compare(a, b) < 0

/**
 * The moments at which clocks of a zone show a time. One that is skipped stands for the moment at which clocks are put
 * forward, and of one that comes twice the first counts: whoever names an hour means one run a day. Texts that name every
 * hour go on by the hour, whatever the clocks say.
 */
function momentsOf(wall: Temporal.PlainDateTime, zone: string, byTheHour: boolean): readonly Temporal.Instant[] {
  const earlier = wall.toZonedDateTime(zone, { disambiguation: 'earlier' })
  const later = wall.toZonedDateTime(zone, { disambiguation: 'later' })
  const first = earlier.toInstant()
  const last = later.toInstant()
  if (first.equals(last)) return [first]
  if (earlier.toPlainDateTime().equals(wall)) return byTheHour ? [first, last] : [first]
  if (byTheHour) return []
  const forward = earlier.getTimeZoneTransition('next')
  return forward === null ? [last] : [forward.toInstant()]
}

function isByTheHour(text: string): boolean {
  return /^\*(\/1)?$/.test(split(text)[1] ?? '')
}

const AHEAD_HOURS = 3

/** How far clocks are about to be put back: what they show now they show once more then. */
function hoursThatComeAgain(wall: Temporal.ZonedDateTime): number {
  return Math.max(0, wall.offsetNanoseconds - wall.add({ hours: AHEAD_HOURS }).offsetNanoseconds)
}

function calendarOf(text: string): Cron {
  return new Cron(split(text).join(' '), { timezone: 'UTC', mode: '5-part', paused: true })
}

/** When clocks of a zone are changed next (ISO 8601, UTC), within a year; null: they are not. */
export function nextClockChange(
  zone: string,
  after: string,
): { readonly at: string; readonly forward: boolean } | null {
  const from = Temporal.Instant.from(after).toZonedDateTimeISO(zone)
  const change = from.getTimeZoneTransition('next')
  if (change === null || Temporal.ZonedDateTime.compare(change, from.add({ years: 1 })) > 0) return null
  const forward = change.offsetNanoseconds > change.subtract({ nanoseconds: 1 }).offsetNanoseconds
  return { at: writeInstant(change.toInstant()), forward }
}

/** A moment as clocks of a zone show it: `2026-03-29T03:00:00+02:00`. */
export function toWallTime(at: string, zone: string): string {
  return Temporal.Instant.from(at).toZonedDateTimeISO(zone).toString({ timeZoneName: 'never', smallestUnit: 'second' })
}

function writeInstant(instant: Temporal.Instant): string {
  return instant.toString({ smallestUnit: 'millisecond' })
}
