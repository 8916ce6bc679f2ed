/** The ticks of cron texts against a list of all minutes, and texts of any sort. */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { cronProblem, nextCron } from '#lib/cron.ts'

import { printedSeed } from '#test/harness/seed.ts'

const MINUTE_MS = 60_000

/** The minutes of a span that a text names, by looking at what clocks show in each of them. */
function bruteForce(text: string, zone: string, from: string, minutes: number): string[] {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    dateStyle: 'short',
    timeStyle: 'short',
    hourCycle: 'h23',
  })
  const start = Date.parse(from)
  const wallOf = (ms: number): number => {
    const [day = 0, month = 0, year = 0, hour = 0, minute = 0] = format.format(ms).split(/\D+/).map(Number)
    return Date.UTC(year, month - 1, day, hour, minute)
  }
  const byTheHour = text.split(' ')[1] === '*'
  let latest = wallOf(start - MINUTE_MS)
  const found: string[] = []
  for (let ms = start - 240 * MINUTE_MS; ms < start; ms += MINUTE_MS) latest = Math.max(latest, wallOf(ms))
  for (let i = 0; i < minutes; i++) {
    const ms = start + i * MINUTE_MS
    const wall = wallOf(ms)
    const isAgain = wall <= latest
    let named = (byTheHour || !isAgain) && matches(text, wall)
    for (let skipped = latest + MINUTE_MS; !byTheHour && skipped < wall; skipped += MINUTE_MS) {
      named ||= matches(text, skipped)
    }
    latest = Math.max(latest, wall)
    if (named) found.push(new Date(ms).toISOString())
  }
  return found
}

function matches(text: string, wall: number): boolean {
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = text.split(' ')
  const at = new Date(wall)
  const isDay = includes(day, at.getUTCDate(), 1, 31)
  const isWeekday = includes(weekday, at.getUTCDay(), 0, 7) || (at.getUTCDay() === 0 && includes(weekday, 7, 0, 7))
  return (
    includes(minute, at.getUTCMinutes(), 0, 59) &&
    includes(hour, at.getUTCHours(), 0, 23) &&
    includes(month, at.getUTCMonth() + 1, 1, 12) &&
    (day === '*' ? isWeekday : weekday === '*' ? isDay : isDay || isWeekday)
  )
}

function includes(field: string, value: number, least: number, most: number): boolean {
  return field.split(',').some((item) => {
    const [range = '', step = '1'] = item.split('/')
    const [from = least, to = from] = range === '*' ? [least, most] : range.split('-').map(Number)
    return value >= from && value <= to && (value - from) % Number(step) === 0
  })
}

/** A field: all, a value, a range, a step over either, or two of these. */
function field(least: number, most: number): fc.Arbitrary<string> {
  const range = fc
    .tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }))
    .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`)
  const one = fc.oneof(
    fc.integer({ min: least, max: most }).map(String),
    range,
    fc.tuple(range, fc.integer({ min: 1, max: 7 })).map(([of, step]) => `${of}/${step}`),
  )
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant('*') },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 20 }).map((step) => `*/${Math.min(step, most)}`) },
    { weight: 3, arbitrary: one },
    { weight: 1, arbitrary: fc.tuple(one, one).map((both) => both.join(',')) },
  )
}

/** Days around each change of clocks in four zones. */
const AROUND = [
  ['Europe/Berlin', '2026-03-28T12:00:00.000Z'],
  ['Europe/Berlin', '2026-10-24T12:00:00.000Z'],
  ['America/New_York', '2026-03-07T18:00:00.000Z'],
  ['America/New_York', '2026-10-31T18:00:00.000Z'],
  ['Australia/Lord_Howe', '2026-04-04T03:00:00.000Z'],
  ['Australia/Lord_Howe', '2026-10-03T03:00:00.000Z'],
  ['America/Santiago', '2026-04-04T18:00:00.000Z'],
  ['America/Santiago', '2026-09-05T18:00:00.000Z'],
] as const

test('F19: the ticks of any text are those that a list of all minutes has, around changes of clocks in four zones', () => {
  const text = fc
    .tuple(field(0, 59), field(0, 23), field(1, 31), fc.constant('*'), field(0, 6))
    .map((fields) => fields.join(' '))
  const seed = printedSeed()
  fc.assert(
    fc.property(text, fc.constantFrom(...AROUND), (cron, [zone, from]) => {
      expect(cronProblem(cron)).toBe(null)
      const expected = bruteForce(cron, zone, from, 2 * 24 * 60).slice(0, 40)
      const found: string[] = []
      const before = new Date(Date.parse(from) - 1).toISOString()
      for (let at = nextCron(cron, zone, before); found.length < expected.length && at !== null;) {
        found.push(at)
        at = nextCron(cron, zone, at)
      }
      expect(found).toEqual(expected)
    }),
    { seed, numRuns: 100 },
  )
})

test('F19: no text crashes or hangs', () => {
  const seed = printedSeed()
  const like = fc.stringMatching(/^[\d*/,\-LW#?A-Z ]{0,40}$/)
  fc.assert(
    fc.property(fc.oneof(like, fc.string({ maxLength: 300 })), (text) => {
      return cronProblem(text) !== null || nextCron(text, 'UTC', '2026-01-01T00:00Z') !== null
    }),
    { seed, numRuns: 2_000 },
  )
})
