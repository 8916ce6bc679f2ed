import { calculate, fromInteger, round, toInteger, type ExactDecimal } from './decimal.ts'
import { fail } from './failure.ts'
import type { LanguageFunction, Overload } from './functions.ts'
import { dateOf, dayOf as dayOfDate, daysInMonth } from '#sync/values/calendar.ts'
import type { Json } from '#sync/values/json.ts'
import {
  clockOf,
  dateText,
  dayOf,
  finite,
  finiteDay,
  midnight,
  moment,
  parseClock,
  parseDate,
  parseDuration,
  parseMoment,
} from './moments.ts'
import type { Cel } from './types.ts'

const MICROS = 1_000_000n

/**
 * Functions of dates and times. A `timestamp` is a moment, shown in UTC; a `datetime` is what a clock on a wall shows,
 * wherever that hangs. Neither becomes the other by itself. There is no clock: the same row has the same result always.
 */
export const TIME_FUNCTIONS: readonly LanguageFunction[] = [
  {
    name: 'timestamp',
    about: 'The moment that a text with its zone names, or that a datetime is in UTC.',
    overloads: [
      { signature: 'timestamp(timestamp): timestamp', call: (x: bigint) => x },
      { signature: 'timestamp(datetime): timestamp', call: (x: bigint) => x },
      { signature: 'timestamp(text): timestamp', call: timestamp },
      { signature: 'timestamp(json): timestamp', call: (x: Json) => timestamp(jsonText(x)) },
    ],
    examples: [{ expression: 'timestamp("2024-01-01T12:00:00.123456+02:00")', gives: '2024-01-01 10:00:00.123456+00' }],
  },
  {
    name: 'datetime',
    about: 'The date and time that a text names without a zone, that a timestamp is in UTC, or midnight of a date.',
    overloads: [
      { signature: 'datetime(datetime): datetime', call: (x: bigint) => x },
      { signature: 'datetime(timestamp): datetime', call: (x: bigint) => x },
      { signature: 'datetime(date): datetime', call: midnight },
      { signature: 'datetime(text): datetime', call: datetime },
      { signature: 'datetime(json): datetime', call: (x: Json) => datetime(jsonText(x)) },
    ],
    examples: [{ expression: 'datetime("2024-01-01 12:00")', gives: '2024-01-01 12:00:00' }],
  },
  {
    name: 'date',
    about: 'The date that a text names (YYYY-MM-DD), the day of a datetime, or the day of a timestamp in UTC.',
    overloads: [
      { signature: 'date(date): date', call: (x: number) => x },
      { signature: 'date(datetime): date', call: dayOf },
      { signature: 'date(timestamp): date', call: dayOf },
      { signature: 'date(text): date', call: date },
      { signature: 'date(json): date', call: (x: Json) => date(jsonText(x)) },
      {
        signature: 'date(int, int, int): date',
        call: (y: bigint, m: bigint, d: bigint) => date(dateText(checkedDay(y, m, d))),
      },
    ],
    examples: [
      { expression: 'date("2024-02-29")', gives: '2024-02-29' },
      { expression: 'date(timestamp("2024-01-01T23:30:00-05:00"))', gives: '2024-01-02' },
      { expression: 'date(2024, 2, 29) + 1', gives: '2024-03-01' },
    ],
  },
  {
    name: 'time',
    about: 'The time of day that a text names, or that of a datetime or of a timestamp in UTC.',
    overloads: [
      { signature: 'time(time): time', call: (x: bigint) => x },
      { signature: 'time(datetime): time', call: clockOf },
      { signature: 'time(timestamp): time', call: clockOf },
      { signature: 'time(text): time', call: (x: string) => parseClock(x) ?? fail('A text is no time of day.') },
    ],
    examples: [{ expression: 'time(datetime("2024-01-01 12:30:00.5"))', gives: '12:30:00.5' }],
  },
  {
    name: 'duration',
    about: 'A length of time: numbers with d, h, m, s, ms or us. A day has 24 hours.',
    overloads: [
      { signature: 'duration(duration): duration', call: (x: bigint) => x },
      {
        signature: 'duration(text): duration',
        call: (x: string) => parseDuration(x) ?? fail('A text is no duration.'),
      },
    ],
    examples: [
      { expression: 'duration("1h30m")', gives: '01:30:00' },
      { expression: 'timestamp("2024-01-01T00:00:00Z") - duration("1us")', gives: '2023-12-31 23:59:59.999999+00' },
    ],
  },
  part('year', 'The year; 0 is 1 BC.', { of: 'date', call: (x) => dateOf(x).year }),
  part('month', 'The month, from 1.', { of: 'date', call: (x) => dateOf(x).month }),
  part('day', 'The day of the month, from 1.', { of: 'date', call: (x) => dateOf(x).day }),
  part('dayOfWeek', 'The day of the week: 1 is Monday, 7 is Sunday.', {
    of: 'date',
    call: (x) => ((((x + 3) % 7) + 7) % 7) + 1,
  }),
  part('hour', 'The hour, from 0.', { of: 'time', call: (x) => x / (3600n * MICROS) }),
  part('minute', 'The minute, from 0.', { of: 'time', call: (x) => (x / (60n * MICROS)) % 60n }),
  {
    name: 'second',
    about: 'The second with its fraction.',
    overloads: clockOverloads('second', 'decimal', (x) => seconds(x % (60n * MICROS))),
    examples: [{ expression: 'second(time("12:30:01.000250"))', gives: '1.00025' }],
  },
  {
    name: 'addDays',
    about: 'So many days later, at the same time of day.',
    overloads: [
      { signature: 'addDays(date, int): date', call: (x: number, n: bigint) => finiteDay(x) + Number(n) },
      {
        signature: 'addDays(datetime, int): datetime',
        call: (x: bigint, n: bigint) => moment(finite(x) + midnight(Number(n))),
      },
      {
        signature: 'addDays(timestamp, int): timestamp',
        call: (x: bigint, n: bigint) => moment(finite(x) + midnight(Number(n))),
      },
    ],
    examples: [{ expression: 'addDays(date("2024-02-28"), 2)', gives: '2024-03-01' }],
  },
  {
    name: 'addMonths',
    about: 'So many months later, on the last day where the month is shorter.',
    overloads: [
      { signature: 'addMonths(date, int): date', call: addMonths },
      { signature: 'addMonths(datetime, int): datetime', call: addMonthsTo },
      { signature: 'addMonths(timestamp, int): timestamp', call: addMonthsTo },
    ],
    examples: [{ expression: 'addMonths(date("2024-01-31"), 1)', gives: '2024-02-29' }],
  },
  {
    name: 'seconds',
    about: 'The seconds of a duration, or those from 1970 to a timestamp.',
    overloads: [
      { signature: 'seconds(duration): decimal', call: seconds },
      { signature: 'seconds(timestamp): decimal', call: (x: bigint) => seconds(finite(x)) },
    ],
    examples: [{ expression: 'seconds(timestamp("1970-01-01T00:00:01.5Z"))', gives: '1.5' }],
  },
  {
    name: 'fromSeconds',
    about: 'The timestamp so many seconds after 1970; digits beyond microseconds are rounded.',
    overloads: [{ signature: 'fromSeconds(decimal): timestamp', call: fromSeconds }],
    examples: [{ expression: 'fromSeconds(1700000000.25)', gives: '2023-11-14 22:13:20.25+00' }],
  },
]

type Part =
  | { readonly of: 'date'; readonly call: (days: number) => number }
  | { readonly of: 'time'; readonly call: (micros: bigint) => bigint }

function part(name: string, about: string, what: Part): LanguageFunction {
  const example = '2024-03-05T06:07:08Z'
  const shown: Readonly<Record<string, string>> = {
    year: '2024',
    month: '3',
    day: '5',
    dayOfWeek: '2',
    hour: '6',
    minute: '7',
  }
  const examples = [{ expression: `${name}(timestamp("${example}"))`, gives: shown[name] ?? null }]
  if (what.of === 'time') return { name, about, overloads: clockOverloads(name, 'int', what.call), examples }
  const { call } = what
  const overloads = [
    { signature: `${name}(date): int`, call: (x: number) => BigInt(call(finiteDay(x))) },
    { signature: `${name}(datetime): int`, call: (x: bigint) => BigInt(call(dayOf(finite(x)))) },
    { signature: `${name}(timestamp): int`, call: (x: bigint) => BigInt(call(dayOf(finite(x)))) },
  ]
  return { name, about, overloads, examples }
}

function clockOverloads(name: string, result: string, call: (micros: bigint) => Cel): Overload[] {
  return [
    { signature: `${name}(time): ${result}`, call },
    { signature: `${name}(datetime): ${result}`, call: (x: bigint) => call(clockOf(x)) },
    { signature: `${name}(timestamp): ${result}`, call: (x: bigint) => call(clockOf(x)) },
  ]
}

function timestamp(text: string): bigint {
  const parsed = parseMoment(text) ?? fail('A text is no timestamp.')
  return parsed.zoned ? parsed.micros : fail('A timestamp needs its zone, such as Z or +02:00.')
}

function datetime(text: string): bigint {
  const parsed = parseMoment(text) ?? fail('A text is no datetime.')
  return parsed.zoned && !text.endsWith('infinity') ? fail('A datetime has no zone.') : parsed.micros
}

function date(text: string): number {
  return parseDate(text) ?? fail('A text is no date.')
}

function jsonText(value: Json): string {
  return typeof value === 'string' ? value : fail('JSON is no text.')
}

function checkedDay(year: bigint, month: bigint, day: bigint): number {
  if (year < -4712n || year > 294_276n || month < 1n || month > 12n) fail('There is no such date.')
  if (day < 1n || Number(day) > daysInMonth(Number(year), Number(month))) fail('There is no such date.')
  return dayOfDate(Number(year), Number(month), Number(day))
}

const MAX_MONTHS = 12_000_000n

function addMonths(days: number, months: bigint): number {
  if (months > MAX_MONTHS || months < -MAX_MONTHS) fail('These are too many months.')
  const { year, month, day } = dateOf(finiteDay(days))
  const index = year * 12 + month - 1 + Number(months)
  const moved = { year: Math.floor(index / 12), month: (((index % 12) + 12) % 12) + 1 }
  return dayOfDate(moved.year, moved.month, Math.min(day, daysInMonth(moved.year, moved.month)))
}

function addMonthsTo(micros: bigint, months: bigint): bigint {
  return moment(midnight(addMonths(dayOf(finite(micros)), months)) + clockOf(micros))
}

function seconds(micros: bigint): ExactDecimal {
  return calculate('/', fromInteger(micros), fromInteger(MICROS))
}

function fromSeconds(value: ExactDecimal): bigint {
  return toInteger(round(calculate('*', value, fromInteger(MICROS)), 0n, 'half_up'))
}
