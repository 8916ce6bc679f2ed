/** Dates and times: read, written, carried between zones, moved and measured. */
import { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'

import { fail, ofMany, ofText, refuse, textOf, TransformError, type Transform } from '#sync/transforms/transform.ts'
import { anyTime, DATE, day as dayTypes, LOCAL, same, text, TEXT, TIME, ZONED } from '#sync/transforms/types.ts'

import { dateOf, daysInMonth, dayOf } from '#sync/values/calendar.ts'
import { DAY, type Moment } from '#sync/values/time-text.ts'
import { isInfinite, moved, readClock, readMoment, writeMoment } from './moment.ts'
import { formatter, hasOffset, parser, readPattern, weekday, whyNotReadable } from './pattern.ts'
import { gap, overlap, toUtc, zoneName } from './zone.ts'

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

/** A function of moments as one of texts; the infinities stay what they are. */
function overMoments(type: ColumnType, change: (moment: Moment) => Moment): (value: string) => string {
  return (value) => (isInfinite(value) ? value : writeMoment(change(readMoment(value)), type))
}

const parse = ofText({
  name: 'parse_time',
  group: 'Time',
  summary: 'Reads a date or a time by a pattern, such as dd.MM.yyyy HH:mm; days that do not exist are rejected.',
  args: z
    .strictObject({
      pattern: z
        .string()
        .min(1)
        .max(100)
        .meta({
          description:
            'Fields yyyy yy MMMM MMM MM M dd d HH H hh h a mm ss S SSS SSSSSS XXX XX X; text in single quotes.',
          examples: ['dd.MM.yyyy HH:mm'],
        }),
      as: z.enum(['timestamp', 'timestamptz', 'date', 'time']).meta({ description: 'The type of the result.' }),
      zone: zoneName.optional().meta({ description: 'The zone of texts without an offset, for timestamptz.' }),
      gap,
      overlap,
      pivot: z.int().min(0).max(100).default(70).meta({ description: 'Years yy below it are of this century.' }),
      miss: z
        .enum(['reject', 'null'])
        .default('reject')
        .meta({ description: 'What becomes of text that is no such time; zero dates too.' }),
    })
    .superRefine(({ pattern, as, zone }, context) => {
      const reason = whyNotReadable(pattern, as === 'time' ? 'time' : 'date')
      if (reason !== null) context.addIssue({ code: 'custom', path: ['pattern'], message: reason })
      const offset = reason === null && hasOffset(pattern)
      if (as === 'timestamptz' && offset === (zone !== undefined)) {
        context.addIssue({
          code: 'custom',
          path: ['zone'],
          message: 'A timestamptz needs either an offset in the pattern or a zone.',
        })
      }
      if (as !== 'timestamptz' && offset) {
        context.addIssue({ code: 'custom', path: ['pattern'], message: 'Only timestamptz has an offset.' })
      }
    }),
  accepts: text,
  result: (_types, { as }) => ({ timestamp: LOCAL, timestamptz: ZONED, date: DATE, time: TIME })[as],
  loses: ({ as }) => (as === 'timestamptz' ? 'the spelling and the offset' : 'the spelling'),
  inverse: 'the former spelling is not kept',
  example: {
    args: { pattern: 'd MMM yyyy, h:mm a', as: 'timestamp' },
    input: ['4 Jul 2025, 6:05 pm'],
    output: '2025-07-04 18:05:00',
  },
  make: (args) => {
    const read = parser(args.pattern, args.pivot)
    const toMoment = args.zone === undefined ? null : toUtc(args.zone, args)
    const type = { timestamp: LOCAL, timestamptz: ZONED, date: DATE, time: TIME }[args.as]
    const convert = (value: string): string => {
      const found = read(value.trim())
      if (toMoment !== null) return writeMoment(toMoment(found), type)
      return writeMoment(found.offset === null ? found : moved(found, BigInt(-found.offset * 60) * 1_000_000n), type)
    }
    if (args.miss === 'reject') return convert
    return (value) => {
      try {
        return convert(value)
      } catch (error) {
        if (error instanceof TransformError) return null
        throw error
      }
    }
  },
})

const format = ofText({
  name: 'format_time',
  group: 'Time',
  summary: 'Writes a date or a time by a pattern, such as EEE, d MMM yyyy; timestamps with time zone in UTC.',
  args: z.strictObject({
    pattern: z
      .string()
      .min(1)
      .max(100)
      .superRefine((pattern, context) => {
        const pieces = readPattern(pattern)
        if (typeof pieces === 'string') context.addIssue({ code: 'custom', message: pieces })
      })
      .meta({
        description: 'The fields of parse_time, and EEEE EEE (day), DDD (day of the year), Q, ww and YYYY (ISO week).',
        examples: ["yyyy-MM-dd'T'HH:mm:ssXXX"],
      }),
  }),
  accepts: anyTime,
  result: ([type], { pattern }) =>
    hasOffset(pattern) && !(type?.kind === 'timestamp' && type.zoned)
      ? refuse('X writes an offset, which only a timestamp with time zone has')
      : TEXT,
  loses: 'the parts that the pattern does not write',
  inverse: 'the pattern may leave parts out',
  example: {
    args: { pattern: "EEE, d MMM yyyy 'at' HH:mm" },
    types: [LOCAL],
    input: ['2025-07-04 18:05:09.5'],
    output: 'Fri, 4 Jul 2025 at 18:05',
  },
  make: ({ pattern }, _context, [type]) => {
    const write = formatter(pattern)
    if (type?.kind === 'time') return (value) => write({ day: 0, micros: inDay(readClock(value)) })
    return (value) => write(readMoment(value))
  },
})

function inDay(micros: number): number {
  return micros < DAY ? micros : fail('24:00:00 is of the next day')
}

const UNITS = ['millisecond', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'] as const
type Unit = (typeof UNITS)[number]

/** The beginning of the unit that a moment lies in. */
function beginOf(unit: Unit, { day, micros }: Moment): Moment {
  const size = MICROS[unit]
  if (unit === 'week') return { day: day - weekday(day) + 1, micros: 0 }
  if (unit === 'day') return { day, micros: 0 }
  if (size !== undefined) return { day, micros: micros - (micros % Number(size)) }
  const { year, month } = dateOf(day)
  const first = unit === 'year' ? 1 : unit === 'quarter' ? month - ((month - 1) % 3) : month
  return { day: dayOf(year, first, 1), micros: 0 }
}

/** The beginning of the next unit. */
function nextOf(unit: Unit, begin: Moment): Moment {
  const size = MICROS[unit]
  if (size !== undefined) return moved(begin, size)
  return addMonths(begin, unit === 'year' ? 12 : unit === 'quarter' ? 3 : 1)
}

const truncateTime = ofText({
  name: 'truncate_time',
  group: 'Time',
  summary: 'Goes back to the beginning, or on to the last moment, of an hour, day, week, month and so on.',
  args: z.strictObject({
    unit: z.enum(UNITS).meta({ description: 'Weeks begin on Monday. Timestamps with time zone are taken in UTC.' }),
    to: z
      .enum(['start', 'end'])
      .default('start')
      .meta({ description: 'The end is the last microsecond, or the last day.' }),
  }),
  accepts: dayTypes,
  result: ([type], { unit, to }) => {
    if (type?.kind === 'date') return UNITS.indexOf(unit) < UNITS.indexOf('day') ? refuse('a date has no hours') : type
    return to === 'end' && type?.kind === 'timestamp' ? { ...type, digits: 6 } : (type ?? LOCAL)
  },
  loses: ({ unit }) => `the time within the ${unit}`,
  inverse: 'the time within the unit is not kept',
  example: { args: { unit: 'month', to: 'end' }, types: [DATE], input: ['2024-02-10'], output: '2024-02-29' },
  make: ({ unit, to }, _context, [type = LOCAL]) =>
    overMoments(type, (moment) => {
      const begin = beginOf(unit, moment)
      if (to === 'start') return begin
      const next = nextOf(unit, begin)
      return type.kind === 'date' ? { day: next.day - 1, micros: 0 } : moved(next, -1n)
    }),
})

/** Months are added to the calendar; a day that the month lacks becomes its last, as in PostgreSQL. */
function addMonths({ day, micros }: Moment, months: number): Moment {
  const date = dateOf(day)
  const total = date.year * 12 + date.month - 1 + months
  const year = Math.floor(total / 12)
  const month = total - year * 12 + 1
  return { day: dayOf(year, month, Math.min(date.day, daysInMonth(year, month))), micros }
}

const amount = z.int().min(-1_000_000).max(1_000_000).default(0)

const addTime = ofText({
  name: 'add_time',
  group: 'Time',
  summary: 'Moves a date or timestamp by years, months, days and smaller units; negative ones go back.',
  args: z.strictObject({
    years: amount.meta({ description: 'Years.' }),
    months: amount.meta({ description: 'Months; the 31st becomes the last day of a shorter month.' }),
    days: amount.meta({ description: 'Days of 24 hours.' }),
    hours: amount.meta({ description: 'Hours.' }),
    minutes: amount.meta({ description: 'Minutes.' }),
    seconds: amount.meta({ description: 'Seconds.' }),
  }),
  accepts: dayTypes,
  result: ([type], { hours, minutes, seconds }) =>
    type?.kind === 'date' && (hours !== 0 || minutes !== 0 || seconds !== 0)
      ? refuse('a date has no hours')
      : (type ?? LOCAL),
  loses: ({ years, months }) => (years * 12 + months === 0 ? null : 'days that a shorter month lacks'),
  inverse: (args) => {
    if (args.years * 12 + args.months !== 0) return refuse('months have different lengths')
    const { days, hours, minutes, seconds } = args
    return { name: 'add_time', args: { days: -days, hours: -hours, minutes: -minutes, seconds: -seconds } }
  },
  example: {
    args: { months: 1, hours: -1 },
    types: [LOCAL],
    input: ['2025-01-31 12:00:00'],
    output: '2025-02-28 11:00:00',
  },
  make: ({ years, months, days, hours, minutes, seconds }, _context, [type = LOCAL]) => {
    const inMonths = years * 12 + months
    const micros = BigInt(((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000n
    return overMoments(type, (moment) => moved(inMonths === 0 ? moment : addMonths(moment, inMonths), micros))
  },
})

const joinTime = ofMany({
  name: 'join_date_and_time',
  group: 'Time',
  summary: 'Makes a timestamp of a date and a time of day.',
  args: NONE,
  accepts: anyTime,
  nulls: 'NULL where either is NULL.',
  result: ([date, time, ...others]) =>
    date?.kind === 'date' && time?.kind === 'time' && !time.zoned && others.length === 0
      ? LOCAL
      : refuse('it takes a date and a time without time zone'),
  loses: null,
  inverse: 'one value does not go back into several columns',
  example: { types: [DATE, TIME], input: ['2025-07-04', '24:00:00'], output: '2025-07-05 00:00:00' },
  make: () => (values) => {
    const [date, time] = values.map(textOf)
    if (date === null || date === undefined || time === null || time === undefined) return null
    return isInfinite(date) ? date : writeMoment(moved(readMoment(date), BigInt(readClock(time))), LOCAL)
  },
})

const bound = z
  .string()
  .regex(/^\d{4}-\d\d-\d\d$/)
  .refine((day) => existingDay(day), { error: 'The calendar has no such day.' })

function existingDay(text: string): boolean {
  const [year = 0, month = 0, date = 0] = text.split('-').map(Number)
  return year > 0 && month >= 1 && month <= 12 && date >= 1 && date <= daysInMonth(year, month)
}

const clampTime = ofText({
  name: 'clamp_time',
  group: 'Time',
  summary: 'Bounds dates and timestamps, infinities included, for databases that hold less.',
  args: z.strictObject({
    from: bound.default('0001-01-01').meta({ description: 'The first day that is kept.' }),
    to: bound.default('9999-12-31').meta({ description: 'The last day that is kept.' }),
    beyond: z
      .enum(['bound', 'null'])
      .default('bound')
      .meta({ description: 'What lies beyond becomes the bound, or NULL.' }),
  }),
  accepts: dayTypes,
  result: same,
  loses: 'moments beyond the bounds',
  inverse: 'moments beyond the bounds are not kept',
  example: { types: [DATE], input: ['infinity'], output: '9999-12-31' },
  make: ({ from, to, beyond }, _context, [type = LOCAL]) => {
    const first = { day: readMoment(from).day, micros: 0 }
    const digits = type.kind === 'timestamp' ? type.digits : 0
    const step = 10 ** (6 - digits)
    const last = { day: readMoment(to).day, micros: type.kind === 'date' ? 0 : DAY - step }
    const stand = (moment: Moment): string | null => (beyond === 'null' ? null : writeMoment(moment, type))
    return (value) => {
      if (isInfinite(value)) return stand(value === 'infinity' ? last : first)
      const { day: at } = readMoment(value)
      return at < first.day ? stand(first) : at > last.day ? stand(last) : value
    }
  },
})

export const TIMES: readonly Transform[] = [parse, format, truncateTime, addTime, joinTime, clampTime]
