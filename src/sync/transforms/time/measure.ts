/** Times as numbers, and numbers as times. */
import { z } from 'zod'

import type {} from '#model/column-type.ts'

import { fail, ofMany, ofText, refuse, textOf, type Transform } from '#sync/transforms/transform.ts'
import {
  anyTime,
  BIGINT,
  DATE,
  day as dayTypes,
  DECIMAL,
  integer,
  interval as intervals,
  LOCAL,
  moment as moments,
  ZONED,
  INTERVAL,
} from '#sync/transforms/types.ts'
import { Decimal, writeNumber } from '#sync/transforms/number/decimal.ts'
import { dateOf, dayOf } from '#sync/values/calendar.ts'
import { writeMicros, DAY, pad, SECOND, type Moment } from '#sync/values/time-text.ts'
import { floorDivide, microsOf, momentOf, moved, readClock, readMoment, writeMoment } from './moment.ts'
import { isoWeek, weekday } from './pattern.ts'

const NONE = z.strictObject({})
const MICROS: Readonly<Record<string, bigint>> = {
  microsecond: 1n,
  millisecond: 1_000n,
  second: 1_000_000n,
  minute: 60_000_000n,
  hour: 3_600_000_000n,
  day: 86_400_000_000n,
  week: 604_800_000_000n,
}

const PARTS = [
  'year',
  'quarter',
  'month',
  'week',
  'iso_year',
  'day',
  'day_of_year',
  'weekday',
  'hour',
  'minute',
  'second',
  'microsecond',
] as const

const extractPart = ofText({
  name: 'time_part',
  group: 'Time',
  summary: 'Takes the year, month, week, weekday, hour or another part as a number.',
  args: z.strictObject({
    part: z
      .enum(PARTS)
      .meta({ description: 'Weeks are those of ISO 8601; weekday 1 is Monday; microsecond is within the second.' }),
  }),
  accepts: anyTime,
  result: ([type], { part }) => {
    const ofClock = PARTS.indexOf(part) >= PARTS.indexOf('hour')
    if (type?.kind === 'time' && !ofClock) return refuse('a time of day has no date')
    return type?.kind === 'date' && ofClock ? refuse('a date has no hours') : { kind: 'integer', bits: 32 }
  },
  loses: 'the other parts',
  inverse: 'the other parts are not kept',
  example: { args: { part: 'week' }, types: [DATE], input: ['2024-12-30'], output: '1' },
  make:
    ({ part }, _context, [type]) =>
    (value) => {
      const moment = type?.kind === 'time' ? { day: 0, micros: readClock(value) } : readMoment(value)
      return String(partOf(part, moment))
    },
})

function partOf(part: (typeof PARTS)[number], { day, micros }: Moment): number {
  const seconds = Math.floor(micros / SECOND)
  const { year, month, day: dayOfMonth } = dateOf(day)
  // There is no year 0: 1 BC is -1, as PostgreSQL counts.
  const counted = (astronomical: number): number => (astronomical > 0 ? astronomical : astronomical - 1)
  switch (part) {
    case 'year':
      return counted(year)
    case 'quarter':
      return Math.ceil(month / 3)
    case 'month':
      return month
    case 'week':
      return isoWeek(day)[1]
    case 'iso_year':
      return counted(isoWeek(day)[0])
    case 'day':
      return dayOfMonth
    case 'day_of_year':
      return day - dayOf(year, 1, 1) + 1
    case 'weekday':
      return weekday(day)
    case 'hour':
      return Math.floor(seconds / 3600)
    case 'minute':
      return Math.floor(seconds / 60) % 60
    case 'second':
      return seconds % 60
    case 'microsecond':
      return micros % SECOND
  }
}

const PER_UNIT = { seconds: 1_000_000n, milliseconds: 1_000n, microseconds: 1n } as const
const epochUnit = z
  .enum(['seconds', 'milliseconds', 'microseconds'])
  .default('seconds')
  .meta({ description: 'What is counted since 1970-01-01 00:00 UTC.' })

const toEpoch = ofText({
  name: 'to_epoch',
  group: 'Time',
  summary: 'Counts the seconds, milliseconds or microseconds since 1970; a timestamp without zone counts as UTC.',
  args: z.strictObject({
    unit: epochUnit,
    finer: z
      .enum(['reject', 'floor'])
      .default('reject')
      .meta({ description: 'What becomes of a fraction of the unit.' }),
  }),
  accepts: moments,
  result: BIGINT,
  loses: ({ unit, finer }) => (finer === 'floor' && unit !== 'microseconds' ? `fractions of ${unit}` : null),
  inverse: ({ unit, finer }, [type]) =>
    finer === 'floor' && unit !== 'microseconds'
      ? refuse('the fraction is not kept')
      : { name: 'from_epoch', args: { unit, zoned: type?.kind === 'timestamp' && type.zoned } },
  example: { types: [ZONED], input: ['2001-09-09 01:46:40+00'], output: '1000000000' },
  make:
    ({ unit, finer }) =>
    (value) => {
      const micros = microsOf(readMoment(value))
      const whole = floorDivide(micros, PER_UNIT[unit])
      return finer === 'reject' && whole * PER_UNIT[unit] !== micros
        ? fail(`the moment has a fraction of ${unit}`)
        : String(whole)
    },
})

const fromEpoch = ofText({
  name: 'from_epoch',
  group: 'Time',
  summary: 'Reads seconds, milliseconds or microseconds since 1970 as a moment.',
  args: z.strictObject({
    unit: epochUnit,
    zoned: z
      .boolean()
      .default(true)
      .meta({ description: 'Gives a timestamp with time zone; else one without, in UTC.' }),
  }),
  accepts: integer,
  result: (_types, args) => (args.zoned ? ZONED : LOCAL),
  loses: null,
  inverse: ({ unit }, [type]) =>
    type?.kind === 'integer' && type.bits === 64
      ? { name: 'to_epoch', args: { unit } }
      : refuse('the way back gives 64-bit integers'),
  example: { args: { unit: 'milliseconds' }, types: [BIGINT], input: ['-1'], output: '1969-12-31 23:59:59.999+00' },
  make: (args) => (value) => writeMoment(momentOf(BigInt(value) * PER_UNIT[args.unit]), args.zoned ? ZONED : LOCAL),
})

const SERIAL = { 1900: dayOf(1899, 12, 30), 1904: dayOf(1904, 1, 1) } as const

const fromSerial = ofText({
  name: 'from_serial_day',
  group: 'Time',
  summary: 'Reads the day numbers of spreadsheets, whose fraction is the time of day, as timestamps.',
  args: z.strictObject({
    system: z
      .enum(['1900', '1904'])
      .default('1900')
      .meta({ description: 'Where days are counted from; days before 1 March 1900 are rejected.' }),
  }),
  accepts: { says: 'an integer or a decimal', takes: (type) => type.kind === 'integer' || type.kind === 'decimal' },
  result: LOCAL,
  loses: 'fractions of a millisecond',
  inverse: 'fractions of a day are rounded',
  example: { types: [DECIMAL], input: ['45842.75'], output: '2025-07-04 18:00:00' },
  make: ({ system }) => {
    const origin = SERIAL[system]
    return (value) => {
      if (!/^\d{1,7}(?:\.\d{1,30})?$/.test(value)) return fail('the number is no day of a spreadsheet')
      const serial = new Decimal(value)
      // The system of 1900 holds a 29 February 1900 that never was; before it, its days are off by one.
      if (system === '1900' && serial.lt(61)) return fail('days before 1 March 1900 are counted in two ways')
      const millis = serial.mul(86_400_000).toDecimalPlaces(0, Decimal.ROUND_HALF_UP)
      return writeMoment(moved({ day: origin, micros: 0 }, BigInt(millis.toFixed()) * 1000n), LOCAL)
    }
  },
})

const difference = ofMany({
  name: 'time_between',
  group: 'Time',
  summary: 'Counts the whole seconds, hours or days from the first to the second of two dates or timestamps.',
  args: z.strictObject({
    unit: z
      .enum(['microsecond', 'millisecond', 'second', 'minute', 'hour', 'day', 'week'])
      .meta({ description: 'What is counted.' }),
  }),
  accepts: dayTypes,
  nulls: 'NULL where either is NULL.',
  result: ([first, second, ...others]) => {
    const alike = JSON.stringify(first) === JSON.stringify(second) && others.length === 0
    return alike ? BIGINT : refuse('it takes two dates or two timestamps of one type')
  },
  loses: 'the moments themselves',
  inverse: 'a time between does not say when',
  example: { args: { unit: 'day' }, types: [DATE, DATE], input: ['2024-02-28', '2024-03-01'], output: '2' },
  make:
    ({ unit }) =>
    (values) => {
      const [from, to] = values.map(textOf)
      if (from === null || from === undefined || to === null || to === undefined) return null
      return String((microsOf(readMoment(to)) - microsOf(readMoment(from))) / (MICROS[unit] ?? 1n))
    },
})

const INTERVAL_SHAPE =
  /^(?:(-?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/

const intervalSeconds = ofText({
  name: 'interval_to_seconds',
  group: 'Time',
  summary: 'Counts the seconds of an interval of days and time; months have no fixed length and are rejected.',
  args: z.strictObject({ day_hours: z.literal(24).default(24).meta({ description: 'Hours of a day.' }) }),
  accepts: intervals,
  result: DECIMAL,
  loses: 'what was written as days and what as hours',
  inverse: 'days and hours cannot be told apart',
  example: { types: [INTERVAL], input: ['1 day 02:03:04.5'], output: '93784.5' },
  make: () => (value) => {
    const found = INTERVAL_SHAPE.exec(value)
    if (found === null || value === '') return fail('the text is no interval')
    const [, years, months, days = '0', sign = '', hours = '0', minutes = '0', seconds = '0', fraction = ''] = found
    if (Number(years ?? 0) !== 0 || Number(months ?? 0) !== 0) return fail('months have no fixed length')
    const clock =
      BigInt(hours) * 3_600_000_000n +
      BigInt(Number(minutes) * 60 + Number(seconds)) * 1_000_000n +
      BigInt(fraction.padEnd(6, '0'))
    const micros = BigInt(days) * BigInt(DAY) + (sign === '-' ? -clock : clock)
    return writeNumber(new Decimal(String(micros)).div(SECOND))
  },
})

const secondsInterval = ofText({
  name: 'seconds_to_interval',
  group: 'Time',
  summary: 'Writes whole or broken seconds as an interval of hours, minutes and seconds.',
  args: NONE,
  accepts: { says: 'an integer or a decimal', takes: (type) => type.kind === 'integer' || type.kind === 'decimal' },
  result: INTERVAL,
  loses: null,
  inverse: (_args, [type]) =>
    type?.kind === 'decimal'
      ? refuse('the way back has its own number of digits')
      : refuse('the way back gives decimals'),
  example: { types: [DECIMAL], input: ['-93784.5'], output: '-26:03:04.5' },
  make: () => (value) => {
    if (!/^-?\d{1,15}(?:\.\d{1,6}0*)?$/.test(value)) return fail('the number has more digits than an interval holds')
    const micros = BigInt(new Decimal(value).mul(SECOND).toFixed())
    const size = micros < 0n ? -micros : micros
    const hours = size / 3_600_000_000n
    const rest = writeMicros(Number(size % 3_600_000_000n)).slice(3)
    return hours > 2_562_047_788n
      ? fail('the interval is too long')
      : `${micros < 0n ? '-' : ''}${pad(Number(hours), 2)}:${rest}`
  },
})

export const MEASURES: readonly Transform[] = [
  extractPart,
  toEpoch,
  fromEpoch,
  fromSerial,
  difference,
  intervalSeconds,
  secondsInterval,
]
