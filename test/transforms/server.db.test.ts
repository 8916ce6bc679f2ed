/** The server is the oracle for what it can do itself: rounding, time zones, floats, arrays and jsonb (C3, C4, C9, C16, C17). */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import { compileChain } from '#sync/transforms/chain.ts'
import { toStep, type StepDocument } from '#sync/transforms/step-schema.ts'
import { TransformError, type Context } from '#sync/transforms/transform.ts'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'

const CONTEXT: Context = { lookup: () => () => undefined, maskKey: new Uint8Array(32) }
const LOCAL: ColumnType = { kind: 'timestamp', zoned: false, digits: 6 }
const ZONED: ColumnType = { kind: 'timestamp', zoned: true, digits: 6 }
const DECIMAL: ColumnType = { kind: 'decimal', precision: null, scale: null }
const TEXT: ColumnType = { kind: 'text', maxLength: null }

function ours(step: StepDocument, type: ColumnType): (value: string) => string | null {
  const compiled = compileChain([toStep(step)], [type])
  if ('problems' in compiled) throw new Error(JSON.stringify(compiled.problems))
  const bound = compiled.chain.bind(CONTEXT)
  return (value) => {
    try {
      const made = bound([value])
      return made === null ? null : made.toString()
    } catch (error) {
      if (error instanceof TransformError) return `rejected: ${error.reason}`
      throw error
    }
  }
}

/** What the server makes of each value, by an expression of `value`, which is text. */
async function theirs(db: Database, expression: string, values: readonly string[]): Promise<(string | null)[]> {
  const rows = await db.sql(
    `SELECT (${expression})::text FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS given(value, place) ORDER BY place`,
    [JSON.stringify(values)],
  )
  return rows.map(([value]) => value ?? null)
}

interface Case {
  readonly step: StepDocument
  readonly type: ColumnType
  readonly sql: string
  readonly values: fc.Arbitrary<string>
  readonly always?: readonly string[]
}

const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }), fc.integer({ min: 1, max: 9 }))
  .map(([digits, scale]) => {
    const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
    const made = `${text.slice(0, -scale)}.${text.slice(-scale)}`
    return digits < 0n ? `-${made}` : made
  })

const seconds = fc.integer({ min: Date.UTC(1971, 0, 1) / 1000, max: Date.UTC(2036, 0, 1) / 1000 })
const wall = fc.tuple(seconds, fc.nat(999_999)).map(([since, micros]) => {
  const fraction = String(micros).padStart(6, '0').replace(/0+$/, '')
  return new Date(since * 1000).toISOString().slice(0, 19).replace('T', ' ') + (fraction === '' ? '' : `.${fraction}`)
})
const moment = wall.map((text) => `${text}+00`)
const NIGHTS = [
  '2025-03-30 02:30:00',
  '2025-10-26 02:30:00',
  '2025-10-26 03:00:00',
  '2025-03-09 02:30:00',
  '2025-11-02 01:30:00',
  '2025-04-06 01:45:00',
  '2025-10-05 02:15:00',
]
const ZONES = ['America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Europe/Berlin', 'UTC']
const ANCIENT = [
  '0044-03-15 12:00:00 BC',
  '0001-01-01 00:00:00',
  '1582-10-10 00:00:00',
  '1900-02-28 23:59:59.999999',
  '294276-12-31 23:59:59.999999',
  '2024-02-29 00:00:00',
  'infinity',
]
const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('', 'NULL', 'null', ' ', '"', '\\', '{', '}', ',', 'a b', '\u00a0', '\u2028', '\v'),
    ),
    { maxLength: 5 },
  )
  .map((all) => all.map((text) => text.toWellFormed().replaceAll('\0', '').replaceAll('|', '')).join('|'))

const CASES: readonly Case[] = [
  ...[0, 1, 2, 5, -1, -3].map((digits): Case => ({
    step: { round: { digits } },
    type: DECIMAL,
    sql: `round(value::numeric, ${digits})`,
    values: decimals,
    always: ['0.5', '1.5', '-2.5', '0.9999995', '-0.4', '99.95', '-0.00'],
  })),
  {
    step: { round: { digits: 2, mode: 'down' } },
    type: DECIMAL,
    sql: 'trunc(value::numeric, 2)',
    values: decimals.filter((text) => !/\.\d$/.test(text)),
  },
  { step: { round: { mode: 'floor' } }, type: DECIMAL, sql: 'floor(value::numeric)', values: decimals },
  { step: { round: { mode: 'ceiling' } }, type: DECIMAL, sql: 'ceil(value::numeric)', values: decimals },
  { step: { modulo: { by: 7 } }, type: DECIMAL, sql: 'value::numeric % 7', values: decimals },
  { step: { add: { number: '1.005' } }, type: DECIMAL, sql: 'value::numeric + 1.005', values: decimals },
  { step: { multiply: { by: '1.19' } }, type: DECIMAL, sql: 'value::numeric * 1.19', values: decimals },
  { step: { divide: { by: -7, digits: 3 } }, type: DECIMAL, sql: 'round(value::numeric / -7, 3)', values: decimals },
  {
    step: { cast: { to: 'double', rounding: 'half_even' } },
    type: DECIMAL,
    sql: 'value::float8',
    values: fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((x) => x !== 0 && Math.abs(x) > 1e-300)
      .map((x) => (Math.abs(x) > 1e20 || Math.abs(x) < 1e-6 ? x.toExponential() : String(x))),
    always: ['1e15', '123456789012345', '1234567890123456', '0.0001', '0.00001', '5e-324', '1.7976931348623157e308'],
  },
  {
    step: { cast: { to: 'real', rounding: 'half_even' } },
    type: DECIMAL,
    sql: 'value::float4',
    values: fc
      .float({ noNaN: true, noDefaultInfinity: true })
      .filter((x) => x !== 0)
      .map((x) => x.toExponential()),
    always: ['1e5', '123456', '1234567', '0.0001', '0.00001', '16777217', '3.4028235e38', '1e-45'],
  },
  ...ZONES.flatMap((zone): Case[] => [
    {
      step: { to_local_time: { zone } },
      type: ZONED,
      sql: `value::timestamptz AT TIME ZONE '${zone}'`,
      values: moment,
      always: NIGHTS.map((text) => `${text}+00`),
    },
    // The server takes the later moment of two, and moves skipped times forward.
    {
      step: { from_local_time: { zone, gap: 'forward', overlap: 'later' } },
      type: LOCAL,
      sql: `value::timestamp AT TIME ZONE '${zone}'`,
      values: wall,
      always: NIGHTS,
    },
  ]),
  ...['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'].map((unit): Case => ({
    step: { truncate_time: { unit } },
    type: LOCAL,
    sql: `date_trunc('${unit}', value::timestamp)`,
    values: wall,
    always: ANCIENT,
  })),
  {
    step: { add_time: { months: 13, days: -3, hours: 25 } },
    type: LOCAL,
    sql: `value::timestamp + interval '13 months -3 days 25 hours'`,
    values: wall,
    always: ANCIENT.filter((text) => !text.startsWith('294')),
  },
  ...Object.entries({
    year: 'year',
    quarter: 'quarter',
    month: 'month',
    week: 'week',
    iso_year: 'isoyear',
    day: 'day',
    day_of_year: 'doy',
    weekday: 'isodow',
    hour: 'hour',
    minute: 'minute',
  }).map(([part, field]): Case => ({
    step: { time_part: { part } },
    type: LOCAL,
    sql: `extract(${field} FROM value::timestamp)`,
    values: wall,
    always: ANCIENT.filter((text) => text !== 'infinity'),
  })),
  {
    step: { to_epoch: { unit: 'microseconds' } },
    type: ZONED,
    sql: `(extract(epoch FROM value::timestamptz) * 1000000)::bigint`,
    values: moment,
  },
  {
    step: { format_time: { pattern: 'yyyy-MM-dd hh:mm:ss a DDD Q ww YYYY EEE MMM' } },
    type: LOCAL,
    sql: `to_char(value::timestamp, 'YYYY-MM-DD HH12:MI:SS AM DDD Q IW IYYY Dy Mon')`,
    values: wall,
  },
  {
    step: { split: { separator: '|' } },
    type: TEXT,
    sql: `CASE value WHEN '' THEN '{""}' ELSE string_to_array(value, '|')::text END`,
    values: texts,
  },
  {
    step: 'parse_json',
    type: TEXT,
    sql: 'value::jsonb',
    values: fc
      .json({ stringUnit: 'grapheme' })
      .map((text) => text.toWellFormed())
      .filter((text) => !text.includes('\\u0000') && !/"[^"]*":.*"(?=[^"]*":)/.test('')),
    always: ['{"bb":1,"a":1.10,"c":1e3}', '[1E400,-0,1.50e-3]', '"\\u00e9\\ud83d\\ude00\\/"'],
  },
  {
    step: { interval_to_seconds: {} },
    type: { kind: 'interval', native: 'interval' },
    sql: `trim_scale(extract(epoch FROM value::interval)::numeric)`,
    values: fc
      .tuple(fc.integer({ min: 2, max: 400 }), fc.nat(23), fc.nat(59))
      .map(([d, h, m]) => `${d} days ${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}:01.5`),
    always: ['1 day -02:03:04.5', '-1 days +00:00:01'],
  },
  ...['md5', 'sha256'].map((algorithm): Case => ({
    step: { hash: { algorithm } },
    type: TEXT,
    sql: algorithm === 'md5' ? 'md5(value)' : `encode(sha256(convert_to(value, 'UTF8')), 'hex')`,
    values: texts,
  })),
]

const { source } = sharedServers()

test.each(CASES.map((each) => [JSON.stringify(each.step), each.sql, each] as const))(
  '%s does what %s does',
  async (_step, _sql, { step, type, sql, values, always = [] }) => {
    await using db = await createDatabase(source)
    const all = [...always, ...fc.sample(values, { seed: printedSeed(), numRuns: 300 })]
    const apply = ours(step, type)
    const answers = await theirs(db, sql, all)
    const differences = all.flatMap((value, i) =>
      apply(value) === answers[i] ? [] : [{ value, ours: apply(value), theirs: answers[i] }],
    )
    expect(differences.slice(0, 5)).toEqual([])
  },
)
