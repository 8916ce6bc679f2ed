/**
 * Promise P5, hazards C1 to C17: all pairs of column types. What is said to be lossless arrives with every value, what is
 * checked arrives where it fits exactly by the server's own word and is refused where it does not, and what is impossible
 * is refused before a row is read. Every pair is tried in one zone; in another one those that a zone can make a difference
 * to, and with SYNCLINE_TEST_ZONES=all every pair in every zone.
 */
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import { inForm } from '#adapters/postgres/sql.ts'
import { written } from '#model/counts.ts'
import type { FieldMapping } from '#model/field-mapping.ts'
import type { Receipt } from '#model/receipt.ts'
import { DEFAULT_POLICIES, type SyncConfig } from '#model/sync-config.ts'
import { ValueRefused, type Value } from '#model/value.ts'
import { fitValue } from '#sync/fit-value.ts'
import { judgeTypes, type Verdict } from '#sync/judge-types.ts'
import { planTable } from '#sync/plan.ts'

import type { Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import type { TextRow } from '#test/harness/side.ts'
import { createPair, mapping, type Pair } from '#test/harness/sync.ts'
import {
  askServer,
  describeTypes,
  EVERYWHERE,
  makeOracle,
  makeTypes,
  matrixTypes,
  type TypedColumn,
  valueColumn,
  zonesOf,
} from './matrix.ts'
import { typesPage } from './page.ts'

const { source, target } = sharedServers()
const MAJOR = Math.min(source.major, target.major)
/** In the first one every pair is tried. */
const ZONES = ['Australia/Lord_Howe', 'UTC', 'America/New_York', 'Asia/Kolkata']
const POLICIES: Partial<SyncConfig> = {
  maxOverwritePercent: 100,
  maxRejections: 1_000_000,
  verifyAfter: 'full',
  parallel: 4,
}
/** Domains whose own CHECK refuses what their type could hold; as with a day that no timestamp can be, the server says so. */
const GUARDED = new Set(['"short; text"', '"Price"'])
/** Tables in one run. */
const TABLES = 300

const as = (name: string): FieldMapping => ({
  target: name,
  from: { kind: 'columns', columns: [name] },
  transforms: [],
  rules: [],
})

/** A pair of types by their places, and the table of the target that takes the values. */
interface TypePair {
  readonly from: TypedColumn
  readonly to: TypedColumn
  readonly verdict: Verdict
  readonly table: string
}

async function typedColumns(url: string, major: number): Promise<TypedColumn[]> {
  await using adapter = await openDatabase(url, { write: null, signal: new AbortController().signal })
  const types = matrixTypes(major)
  const tables = await describeTypes(adapter, types)
  return types.map((each, i) => {
    const table = tables[i]
    if (table === undefined) throw new Error(`no table of ${each.sql}`)
    return { ...each, place: i, table, column: valueColumn(table) }
  })
}

test('what is impossible is refused in the plan, with the next step, and nothing else is', async () => {
  await using pair = await createPair(source, target)
  const types = matrixTypes(MAJOR)
  for (const db of [pair.source, pair.target]) await makeTypes(db, types, false)
  const [here, there] = [await typedColumns(pair.source.url, MAJOR), await typedColumns(pair.target.url, MAJOR)]
  await using from = await openDatabase(pair.source.url, { write: null, signal: new AbortController().signal })
  const context = {
    sides: { source: from.server, target: from.server },
    policies: DEFAULT_POLICIES,
    cyclic: new Set<string>(),
  }
  const seen = new Map<string, number>()
  for (const a of here) {
    for (const b of there) {
      const { verdict } = judgeTypes(a.column.type, b.column.type)
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1)
      const fields = [as('id'), as('v')]
      const planned = planTable(mapping('t', { fields }), { source: a.table, target: b.table }, context)
      const byName = planTable(mapping('t'), { source: a.table, target: b.table }, context)
      const says = [a.sql, b.sql, verdict]
      expect([...says, 'plan' in planned]).toEqual([...says, verdict !== 'impossible'])
      expect([...says, 'plan' in byName]).toEqual([...says, verdict === 'lossless'])
      if ('plan' in planned) continue
      expect(planned.problems.map(({ code }) => code)).toEqual(['impossible_mapping'])
      expect(planned.problems[0]?.message).toMatch(/cannot go to .*: .+\. (Map the field|Give the column)/s)
    }
  }
  expect([...seen.keys()].toSorted()).toEqual(['checked', 'impossible', 'lossless'])
  await expect(typesPage(here.filter(({ since }) => since === 0))).toMatchFileSnapshot('../../docs/types.md')
})

/** A session's zone makes a difference to nothing but times, and what holds or is made of them. */
function hasTimes({ sql, requires }: TypedColumn): boolean {
  return [sql, ...requires].some((text) => /\b(date|time|interval|ts(tz)?(multi)?range)/.test(text))
}

/** The pairs that a value gets across, with a table in the target for each. */
async function makePairs(pair: Pair, { onlyTimes }: { onlyTimes: boolean }): Promise<TypePair[]> {
  const types = matrixTypes(MAJOR)
  await makeTypes(pair.source, types, true)
  await makeTypes(pair.target, types, false)
  const [here, there] = [await typedColumns(pair.source.url, MAJOR), await typedColumns(pair.target.url, MAJOR)]
  const pairs = here.flatMap((from) =>
    there.flatMap((to): TypePair[] => {
      const { verdict } = judgeTypes(from.column.type, to.column.type)
      const isLeftOut = onlyTimes && !hasTimes(from) && !hasTimes(to)
      return isLeftOut || verdict === 'impossible' ? [] : [{ from, to, verdict, table: `p${from.place}_${to.place}` }]
    }),
  )
  await pair.target.sql(
    pairs.map(({ to, table }) => `CREATE TABLE ${table} (id int PRIMARY KEY, v ${to.sql})`).join(';'),
  )
  return pairs
}

async function runAll(pair: Pair, pairs: readonly TypePair[]): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  for (let first = 0; first < pairs.length; first += TABLES) {
    const tables = pairs
      .slice(first, first + TABLES)
      .map(({ from, table }) => mapping(`s${from.place}`, { as: table, fields: [as('id'), as('v')] }))
    receipts.push(await pair.run({ ...POLICIES, tables }, { approve: true }))
  }
  return receipts
}

/** Keys that were set aside, by table of the target. */
function refusedKeys(receipts: readonly Receipt[]): Map<string, Set<string>> {
  const tables = receipts.flatMap((receipt) => receipt.tables)
  return new Map(
    tables.map(({ target: { name }, rejections }) => [name, new Set(rejections.map(({ key }) => String(key[0])))]),
  )
}

/** What Node makes of a value by itself, in the form of the pair; `refused` where it does not fit. */
function convert({ from, to }: TypePair, text: Value): Value | undefined {
  const fit = fitValue(from.column.type, to.column.type)
  if ('reason' in fit) return undefined
  try {
    return fit.convert(text)
  } catch (error) {
    if (error instanceof ValueRefused) return 'refused'
    throw error
  }
}

function byKey(rows: readonly TextRow[]): Map<string, string | null> {
  return new Map(rows.map(([id, value]) => [id ?? '', value ?? null]))
}

test.each(zonesOf(ZONES))(
  'every value of every pair arrives as the server says, or is set aside (%s)',
  { timeout: 600_000 },
  async (zone) => {
    const before = process.env['TZ']
    process.env['TZ'] = zone
    try {
      await using pair = await createPair(source, target)
      for (const db of [pair.source, pair.target]) await db.sql(`ALTER DATABASE ${db.name} SET timezone = '${zone}'`)
      await makeOracle(pair.target)
      const isFirst = zone === ZONES[0]
      const pairs = await makePairs(pair, { onlyTimes: !isFirst && !EVERYWHERE })
      const first = await runAll(pair, pairs)
      const counts = { carried: 0, refused: 0 }
      const refused = refusedKeys(first)
      const expected = new Map<TypePair, Expected>()
      for (const each of pairs) {
        const rows = await expectedOf(pair, each)
        expected.set(each, rows)
        await expectArrived(pair.target, each, { rows, refused: refused.get(each.table) ?? new Set(), counts })
      }
      expect(counts.carried).toBeGreaterThan(isFirst ? 5_000 : 700)
      expect(counts.refused).toBeGreaterThan(isFirst ? 1_000 : 100)
      for (const receipt of await runAll(pair, pairs)) expect(written(receipt.counts)).toBe(0)

      // Row by row: what was refused has a row of its own in the target, which nobody may touch.
      for (const { from, table } of pairs) {
        await pair.target.sql(
          `UPDATE ${table} SET v = NULL WHERE id % 2 = 1;
           INSERT INTO ${table} (id) SELECT generate_series(0, ${from.values.length}) ON CONFLICT DO NOTHING`,
        )
      }
      const again = refusedKeys(await runAll(pair, pairs))
      expect(again).toEqual(refused)
      for (const [each, rows] of expected) {
        const how = { rows, refused: refused.get(each.table) ?? new Set<string>(), counts, kept: true }
        await expectArrived(pair.target, each, how)
      }
    } finally {
      if (before === undefined) delete process.env['TZ']
      else process.env['TZ'] = before
    }
  },
)

/** The rows of a source, each with what the target's server makes of its value: null where it does not fit. */
type Expected = readonly { readonly id: string; readonly text: string | null; readonly wanted: string | null }[]

async function expectedOf({ source: here, target: there }: Pair, { from, to, verdict }: TypePair): Promise<Expected> {
  const rows = await here.sql(`SELECT id, v FROM s${from.place}`)
  const made = await askServer(there, { pair: { from, to, verdict }, texts: rows.map(([, text]) => text ?? null) })
  return rows.map(([id, text], i) => ({ id: id ?? '', text: text ?? null, wanted: made[i] ?? null }))
}

interface Arrival {
  readonly rows: Expected
  readonly refused: ReadonlySet<string>
  readonly counts: { carried: number; refused: number }
  readonly kept?: boolean
}

async function expectArrived(
  there: Database,
  pair: TypePair,
  { rows, refused, counts, kept = false }: Arrival,
): Promise<void> {
  const { from, to, verdict, table } = pair
  const fit = fitValue(from.column.type, to.column.type)
  const form = 'form' in fit ? fit.form : 'own'
  const found = await there.sql(`SELECT id, v, (${inForm('v', form)})::text FROM ${table}`)
  const arrived = byKey(found)
  const canonical = byKey(found.map(([id, , text]) => [id ?? null, text ?? null]))
  for (const { id, text, wanted } of rows) {
    const what = [from.sql, to.sql, text]
    const fits = text === null || wanted !== null
    const guarded = GUARDED.has(to.sql) || (from.sql === 'date' && text !== null && /^\d{5,}/.test(text))
    const mayMiss = verdict === 'checked' || guarded
    expect([...what, fits || mayMiss, refused.has(id)]).toEqual([...what, true, !fits])
    // What does not fit has no row, or one that nobody has touched.
    expect([...what, arrived.get(id)]).toEqual([...what, fits ? wanted : kept ? null : undefined])
    const made = convert(pair, text)
    if (made === undefined || (guarded && !fits)) continue
    const own = form === 'own' ? arrived : canonical
    expect([...what, 'here', made]).toEqual([...what, 'here', fits ? own.get(id) : 'refused'])
    counts[fits ? 'carried' : 'refused'] += 1
  }
}
