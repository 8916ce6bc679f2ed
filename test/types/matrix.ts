/**
 * Every type of a column that PostgreSQL has, each with values at its bounds, for the matrix of all pairs; and what the
 * servers themselves say of each value of a pair, in SQL that shares nothing with the engine.
 */
import fc from 'fast-check'

import type { Adapter } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Column, TableSchema } from '#model/table.ts'
import type { Verdict } from '#sync/judge-types.ts'

import type { Database } from '#test/harness/database.ts'
import { typesOf, type RandomType } from '#test/harness/random-types.ts'
import { printedSeed } from '#test/harness/seed.ts'
import type { TextRow } from '#test/harness/side.ts'

/** Values of each type, the bounds among them. */
const VALUES = 24

const oneOf = (...values: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...values)

/** What the random tables do without: modifiers, types of extensions, and domains and enums that differ in a little. */
const MORE: readonly RandomType[] = [
  { sql: 'numeric(18,4)', values: oneOf('0', '99999999999999.9999', '-0.0001', '32767', '32768', '1.5') },
  { sql: 'numeric(2,4)', since: 15, values: oneOf('0', '0.0099', '-0.0001') },
  { sql: 'numeric(3,-2)', since: 15, values: oneOf('0', '99900', '-100') },
  { sql: 'character varying(5)', values: oneOf('', 'ab', 'ab ', 'é😀x', '12345', 'sad', 'Sad') },
  { sql: 'character(3)', values: oneOf('', 'ab', 'é😀x') },
  { sql: 'bpchar', values: oneOf('', 'ab', 'ab  ', 'é😀') },
  {
    sql: 'timestamp(3) without time zone',
    values: oneOf('2024-03-31 02:30:00.999', 'infinity', '0044-03-15 12:00:00.5 BC'),
  },
  {
    sql: 'timestamp(0) with time zone',
    values: oneOf('2024-03-10 02:30:00-05', '-infinity', '1890-01-01 00:00:00+00:19'),
  },
  { sql: 'time(0) without time zone', values: oneOf('24:00:00', '00:00:01', '12:34:56') },
  { sql: 'time(2) with time zone', values: oneOf('24:00:00+00', '01:02:03.25+05:30') },
  { sql: 'interval(3)', values: oneOf('0', '1 year -2 mons +3 days -04:05:06.789', '-00:00:00.001') },
  { sql: 'interval year to month', values: oneOf('0', '1 year 2 mons', '-3 mons') },
  { sql: 'bit varying(20)', values: oneOf('', '0', '1010', '11111111111111111111') },
  { sql: 'bit(9)', values: oneOf('000000000', '111111111') },
  { sql: 'bigint[]', values: oneOf('{}', '{9223372036854775807,NULL}', '[0:1]={-1,2}') },
  { sql: 'character varying(5)[]', values: oneOf('{}', '{ab,"c d",NULL,"NULL"}', '{{a},{b}}') },
  {
    sql: 'wider_mood',
    values: oneOf('sad', 'Sad', 'new'),
    requires: [
      `CREATE TYPE wider_mood AS ENUM ('new', 'sad', 'Sad', ' sad', '', 'it''s "ok", {really}', 'NULL', '😀', 'a\\b', '${'é'.repeat(31)}')`,
    ],
  },
  {
    sql: 'moods_of_text',
    values: oneOf('sad', 'x'),
    requires: [`CREATE DOMAIN moods_of_text AS character varying(5)`],
  },
  {
    sql: 'hstore',
    values: oneOf('', '"a"=>NULL', '"b"=>"1", "a\\"b"=>"é, =>"'),
    requires: ['CREATE EXTENSION hstore'],
  },
  { sql: 'citext', values: oneOf('', 'Ab', 'aB ', 'sad'), requires: ['CREATE EXTENSION citext'] },
]

export interface MatrixType {
  readonly sql: string
  readonly values: readonly string[]
  readonly requires: readonly string[]
  /** The first version of the server that has it; 0: all that are supported. */
  readonly since: number
}

/** The types of a server of this major version, each once. */
export function matrixTypes(major: number): readonly MatrixType[] {
  const found = new Map<string, MatrixType>()
  const more = MORE.filter(({ since }) => (since ?? 0) <= major)
  for (const { sql, values, requires = [], since = 0 } of [...typesOf(major), ...more]) {
    // Long values are for the tests of single types: here they would be carried a hundred times.
    const sample = fc.sample(values, { numRuns: VALUES, seed: 1 }).filter((value) => value.length < 5_000)
    const all = new Set([...(found.get(sql)?.values ?? []), ...sample])
    found.set(sql, { sql, values: [...all], requires, since: found.get(sql)?.since ?? since })
  }
  return [...found.values()]
}

/** A table `s0`, `s1`, … for each type, with or without a row per value and one that is NULL. */
export async function makeTypes(db: Database, types: readonly MatrixType[], filled: boolean): Promise<void> {
  for (const statement of new Set(types.flatMap(({ requires }) => requires))) await db.sql(statement)
  await db.sql(types.map(({ sql }, i) => `CREATE TABLE s${i} (id int PRIMARY KEY, v ${sql})`).join(';'))
  if (!filled) return
  for (const [i, { values }] of types.entries()) {
    const rows = [null, ...values]
    const places = rows.map((_, id) => `(${id}, $${id + 1})`).join(', ')
    await db.sql(`INSERT INTO s${i} VALUES ${places}`, rows)
  }
}

/** The column `v` of each type's table, as the adapter describes it. */
export async function describeTypes(adapter: Adapter, types: readonly MatrixType[]): Promise<readonly TableSchema[]> {
  const refs = types.map((_, i) => ({ schema: 'public', name: `s${i}` }))
  const found = new Map((await adapter.describe(refs)).map((table) => [table.ref.name, table]))
  return refs.map(({ name }) => must(found.get(name), name))
}

export function valueColumn(table: TableSchema): Column {
  return must(
    table.columns.find(({ name }) => name === 'v'),
    'the column of the value',
  )
}

/** A type of the matrix as a column that an adapter describes. */
export interface TypedColumn extends MatrixType {
  readonly place: number
  readonly table: TableSchema
  readonly column: Column
}

/**
 * Runs an expression and gives what the server writes for it; NULL where it is NULL or the server refuses it. Nothing but
 * the output function of the type makes the text.
 */
const TRIED = `CREATE FUNCTION tried(expression text) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE written text;
  BEGIN
    EXECUTE 'SELECT CASE WHEN num_nulls(x.v) = 0 THEN format(''%s'', x.v) END FROM (SELECT ' || expression || ' AS v) x' INTO written;
    RETURN written;
  EXCEPTION WHEN OTHERS THEN RETURN NULL;
  END $$`

export async function makeOracle(db: Database): Promise<void> {
  await db.sql(TRIED)
}

/**
 * What each value must arrive as, by the server's own conversions; null where it does not fit exactly. The conditions are
 * equalities of the server: none of the engine's code has a part in it. `texts` are values as the source writes them.
 */
export async function askServer(
  db: Database,
  of: { pair: { from: TypedColumn; to: TypedColumn; verdict: Verdict }; texts: readonly (string | null)[] },
): Promise<readonly (string | null)[]> {
  const { from, to, verdict } = of.pair
  const ask = async (expression: string): Promise<(string | null)[]> => {
    const places = of.texts.map((_, i) => `(${i}, $${i + 3})`).join(', ')
    const rows: TextRow[] = await db.sql(
      `SELECT CASE WHEN v.text IS NOT NULL THEN tried(replace($1, '$value', '(' || quote_literal(v.text) || '::' || $2 || ')')) END
       FROM (VALUES ${places}) v(n, text) ORDER BY v.n`,
      [expression, from.sql, ...of.texts],
    )
    return rows.map(([written]) => written ?? null)
  }
  if (verdict === 'checked') return ask(expected(from, to))
  const cast = await ask(`$value::${to.sql}`)
  // Two enums have no cast between them, nor have two rows: their texts have.
  return cast.every((value) => value === null) ? ask(`$value::text::${to.sql}`) : cast
}

/** The value as the target has to write it, or no value where it is not exactly the source's. */
function expected(from: TypedColumn, { sql, column: { type } }: TypedColumn): string {
  const { kind } = from.column.type
  const text = '$value::text'
  const number = `(${text}::numeric)`
  const when = (condition: string, value: string): string => `CASE WHEN ${condition} THEN ${value} END`
  switch (type.kind) {
    case 'text':
      return type.maxLength === null ? text : when(`char_length(${text}) <= ${type.maxLength}`, `${text}::${sql}`)
    case 'padded text':
      return when(`char_length(${text}) <= ${type.length} AND ${text} !~ ' $'`, `${text}::${sql}`)
    case 'integer':
      if (kind === 'float') return when(`$value::${sql}::float8 = $value::float8`, `$value::${sql}`)
      return when(`trunc(${number}) = ${number}`, `${number}::${sql}`)
    case 'decimal':
      return when(`${number}::${sql} = ${number}`, `${number}::${sql}`)
    case 'float':
      if (kind === 'integer') return when(`$value::${sql}::bigint = $value`, `$value::${sql}`)
      return when(`${text}::${sql}::text::numeric = ${number}`, `${text}::${sql}`)
    case 'timestamp':
    case 'time':
      return when(`$value::${sql} = $value`, `$value::${sql}`)
    default:
      return `${text}::${sql}`
  }
}

/** Every zone with every pair, which takes hours. */
export const EVERYWHERE = process.env['SYNCLINE_TEST_ZONES'] === 'all'

/**
 * The zones of a run: the first, in which every pair is tried, and another one by the seed, in which those are that a zone can
 * make a difference to.
 */
export function zonesOf(zones: readonly string[]): readonly string[] {
  if (EVERYWHERE) return zones
  const [first = '', ...others] = zones
  return [first, others[printedSeed() % others.length] ?? first]
}
