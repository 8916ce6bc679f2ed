/** Hazards C2 and C9: what is written here as the server would write it, against the server itself. */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { ValueRefused } from '#model/value.ts'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { eachServer } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { floatText } from './float-text.ts'
import { jsonbText } from './jsonb-text.ts'

const RUNS = 3_000

/** What the server makes of texts of a type; null where it refuses one. */
async function serverText(db: Database, type: string, texts: readonly string[]): Promise<(string | null)[]> {
  await db.sql(`CREATE OR REPLACE FUNCTION tried(value text) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN RETURN value::${type}::text; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$`)
  const rows = await db.sql(
    `SELECT tried(v) FROM json_array_elements_text($1::json) WITH ORDINALITY x(v, n) ORDER BY n`,
    [JSON.stringify(texts)],
  )
  return rows.map(([text]) => text ?? null)
}

function here(text: string): string | null {
  try {
    return jsonbText(text)
  } catch (error) {
    if (error instanceof ValueRefused) return null
    throw error
  }
}

const digits = fc.integer({ min: 0, max: 25 }).chain((length) =>
  fc
    .array(fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'), {
      minLength: length,
      maxLength: length,
    })
    .map((all) => all.join('')),
)
const exponent = fc.option(
  fc.tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.integer({ min: 0, max: 400 })),
)
const number = fc.tuple(fc.constantFrom('', '-'), digits, digits, exponent).map(([sign, whole, fraction, power]) => {
  const head = whole.replace(/^0+(?=.)/, '') || '0'
  return `${sign}${head}${fraction === '' ? '' : `.${fraction}`}${power === null ? '' : power.join('')}`
})
/** A string in whatever escapes are lawful. NUL has none that JSON in a text could travel by. */
const escaped = fc.string({ unit: 'binary', maxLength: 12 }).chain((text) =>
  fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }).map((marks) => {
    const units = text.split('').map((unit, i) => {
      const code = unit.charCodeAt(0)
      if (unit === '/' && marks[i % 12]) return '\\/'
      const must = code < 0x20 || unit === '"' || unit === '\\'
      const half = code >= 0xd800 && code < 0xe000
      return must || (marks[i % 12] && !half) ? `\\u${code.toString(16).padStart(4, '0')}` : unit
    })
    return `"${units.join('')}"`
  }),
)
const space = fc.constantFrom('', '', ' ', '\n\t ', '\r')
const { value: json } = fc.letrec<{ value: string }>((tie) => {
  const spaced = fc.tuple(space, tie('value'), space).map((parts) => parts.join(''))
  return {
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom('true', 'false', 'null', '{}', '[ ]', '-0', '0.00', '1e-0'),
      number,
      escaped,
      fc.array(spaced, { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
      fc
        .array(fc.tuple(space, fc.oneof(escaped, fc.constantFrom('"a"', '"b"', '"aa"', '"é"', '""')), space, spaced), {
          maxLength: 5,
        })
        .map((members) => `{${members.map(([a, name, b, item]) => `${a}${name}${b}:${item}`).join(',')}}`),
    ),
  }
})

test.each(eachServer().map((server) => [server.major, server] as const))(
  'C2: JSON is written as jsonb writes it, and refused where jsonb refuses it (PostgreSQL %i)',
  async (_major, server) => {
    const broken = [
      '',
      ' ',
      '01',
      '1.',
      '.5',
      '+1',
      '[1,]',
      '{"a"}',
      '{"a":1,}',
      '"a',
      'nul',
      '1 2',
      '"\t"',
      '"\\x"',
      '"\\u12"',
    ]
    const texts = [
      ...fc.sample(
        fc.tuple(space, json, space).map((parts) => parts.join('')),
        { numRuns: RUNS, seed: printedSeed() },
      ),
      ...broken,
      '"\\u0000"',
      '"\\ud800"',
      '"\\udc00\\ud800"',
      '"\\ud83d\\ude00"',
      '1e131071',
      '1e131072',
      '9.99e131071',
      '1e-16383',
      '1e-16384',
      '0e-16384',
      '0e200000',
      '0.0e-16382',
    ]
    await using db = await createDatabase(server)
    const wanted = await serverText(db, 'jsonb', texts)
    for (const [i, text] of texts.entries()) expect([text, here(text)]).toEqual([text, wanted[i]])
    expect(wanted.filter((text) => text === null).length).toBeGreaterThanOrEqual(broken.length)
  },
)

test.each(eachServer().map((server) => [server.major, server] as const))(
  'C9: a double is written as the server writes it, whatever its bits (PostgreSQL %i)',
  async (_major, server) => {
    const anyBits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((bits) => {
      const view = new DataView(new ArrayBuffer(8))
      view.setBigUint64(0, bits)
      return view.getFloat64(0)
    })
    const powers = Array.from({ length: 640 }, (_, i) => Number(`1e${i - 330}`))
    const edges = Array.from({ length: 40 }, (_, i) => [
      Number(`9.999999999999999e${i - 20}`),
      Number(`123456789e${i - 20}`),
    ])
    const values = [
      ...fc.sample(fc.oneof(anyBits, fc.double(), fc.maxSafeInteger()), { numRuns: RUNS, seed: printedSeed() }),
      ...powers,
      ...edges.flat(),
      ...Array.from({ length: 2_098 }, (_, i) => 2 ** (i - 1_074)),
    ]
    await using db = await createDatabase(server)
    const texts = values.map((value) => (Object.is(value, -0) ? '-0' : String(value)))
    const wanted = await serverText(db, 'float8', texts)
    for (const [i, value] of values.entries()) expect([texts[i], floatText(value, 64)]).toEqual([texts[i], wanted[i]])
  },
)

test.each(eachServer().map((server) => [server.major, server] as const))(
  'C9: a single is written as the server writes it, whatever its bits (PostgreSQL %i)',
  async (_major, server) => {
    const anyBits = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((bits) => {
      const view = new DataView(new ArrayBuffer(4))
      view.setUint32(0, bits)
      return view.getFloat32(0)
    })
    const powers = Array.from({ length: 90 }, (_, i) => Math.fround(Number(`1e${i - 50}`)))
    const binary = Array.from({ length: 277 }, (_, i) => 2 ** (i - 149))
    const quarters = Array.from({ length: 40 }, (_, i) => 2_097_152 + i * 0.25)
    const values = [
      ...fc.sample(fc.oneof(anyBits, fc.float(), fc.integer().map(Math.fround)), {
        numRuns: RUNS,
        seed: printedSeed(),
      }),
      ...[...powers, ...binary, ...quarters].filter(Number.isFinite),
    ]
    await using db = await createDatabase(server)
    // The server takes the digits of a single as a double has them; each lies nearer to its single than to any other.
    const texts = values.map((value) => (Object.is(value, -0) ? '-0' : String(value)))
    const wanted = await serverText(db, 'float4', texts)
    for (const [i, value] of values.entries()) expect([texts[i], floatText(value, 32)]).toEqual([texts[i], wanted[i]])
  },
)
