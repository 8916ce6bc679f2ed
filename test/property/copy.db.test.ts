/**
 * Whatever a schema and its rows are, a copy is equal, a second run writes nothing, and after any changes of the source
 * the next run makes it equal again (promises P1 and P5). SYNCLINE_TEST_SCHEMAS sets how many schemas, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { written } from '#model/counts.ts'
import type { Receipt } from '#model/receipt.ts'

import { expectSameTable, quote, type Database } from '#test/harness/database.ts'
import { sharedServers, type TestServer } from '#test/harness/postgres.ts'
import { loadSchema, randomSchema, type RandomSchema, type RandomTable } from '#test/harness/random-schema.ts'
import { KEYS, keyTypesOf, typesOf } from '#test/harness/random-types.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, MIRROR, wroteNothing, type Pair } from '#test/harness/sync.ts'

const SCHEMAS = Number(process.env['SYNCLINE_TEST_SCHEMAS'] ?? 20)

/** One change of the source. The numbers are taken modulo what there is. */
const mutation = fc.record({
  kind: fc.constantFrom('insert', 'update', 'update', 'delete', 'rekey', 'relink'),
  table: fc.nat(100),
  row: fc.nat(100),
  column: fc.nat(100),
  value: fc.nat(2 ** 31 - 1),
})

type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

const { source, target } = sharedServers()
const directions: readonly (readonly [string, TestServer, TestServer])[] = [
  [`${source.major} to ${source.major}`, source, source],
  [`${source.major} to ${target.major}`, source, target],
  [`${target.major} to ${source.major}`, target, source],
  [`${target.major} to ${target.major}`, target, target],
]

test.each(directions)(
  'a random schema arrives, stays, and follows changes (PostgreSQL %s)',
  async (_name, from, to) => {
    const major = Math.min(from.major, to.major)
    const input = fc.record({
      schema: randomSchema({ major }),
      mutations: fc.array(mutation, { minLength: 1, maxLength: 40, size: 'max' }),
      batchSize: fc.constantFrom(1, 2, 3, 7, 1_000),
      strategy: fc.constantFrom('hash' as const, 'full' as const),
      owned: fc.boolean(),
    })
    const property = fc.asyncProperty(input, async ({ schema, mutations, batchSize, strategy, owned }) => {
      await using pair = await createPair(from, to)
      await loadSchema(pair.source, schema)
      const policies = {
        ...MIRROR,
        deleteScope: owned ? ('owned' as const) : ('mirror' as const),
        create: true,
        batchSize,
        detectionStrategy: strategy,
      }
      const first = await pair.run(policies)
      expect(first.counts.inserted).toBe(schema.tables.reduce((sum, table) => sum + table.rows.length, 0))
      await expectInStep(pair, schema, first)
      expect(wroteNothing(await pair.run(policies)), 'the second run writes nothing').toBe(true)

      for (const each of mutations) await mutate(pair.source, schema, major, each)
      const next = await pair.run(policies, { approve: true })
      await expectInStep(pair, schema, next)
      expect(wroteNothing(await pair.run(policies)), 'the run after the changes writes nothing').toBe(true)
    })
    const numRuns = Math.ceil(SCHEMAS / directions.length)
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns,
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  Math.max(120_000, SCHEMAS * 10_000),
)

async function expectInStep(pair: Pair, schema: RandomSchema, receipt: Receipt): Promise<void> {
  for (const { name } of schema.tables) await expectSameTable(pair.source, pair.target, name)
  const { conflicted, rejected, skipped, read, unchanged } = receipt.counts
  expect({ conflicted, rejected, skipped }).toEqual({ conflicted: 0, rejected: 0, skipped: 0 })
  expect(read).toBe(written(receipt.counts) + unchanged)
  for (const table of receipt.tables) {
    expect(table.rejections).toEqual([])
    expect(table.verification.changedSince).toBe(0)
  }
}

/** Makes one change, or none where a constraint of the source forbids it. */
async function mutate(db: Database, schema: RandomSchema, major: number, change: Mutation): Promise<void> {
  const table = at(schema.tables, change.table)
  const statement = statementOf(table, schema, major, change)
  if (statement === null) return
  await db.sql('BEGIN')
  try {
    await db.sql(statement.text, statement.params)
    await db.sql('COMMIT')
  } catch (error) {
    await db.sql('ROLLBACK')
    const state: unknown = error instanceof Error && 'code' in error ? error.code : null
    // A key that is taken, a row that others refer to, a reference to nothing, an identity that is always generated.
    if (!['23505', '23503', '428C9'].includes(String(state))) throw error
  }
}

interface Text {
  readonly text: string
  readonly params: readonly (string | null)[]
}

function statementOf(table: RandomTable, schema: RandomSchema, major: number, change: Mutation): Text | null {
  const name = quote(table.name)
  const row = `ctid = (SELECT ctid FROM ${name} ORDER BY ctid LIMIT 1 OFFSET ${change.row % 12})`
  const foreign = new Set(table.foreignKeys.flatMap((key) => key.columns))
  const plain = table.columns.filter(
    (column) => column.generated === undefined && !table.key.columns.includes(column.name) && !foreign.has(column.name),
  )
  switch (change.kind) {
    case 'delete':
      return { text: `DELETE FROM ${name} WHERE ${row}`, params: [] }
    case 'insert': {
      const columns = table.columns.filter(
        ({ generated, name: column }) => generated === undefined && !foreign.has(column),
      )
      const params = columns.map((column, i) =>
        table.key.columns.includes(column.name)
          ? keyValue(column.type, major, change.value + i)
          : plainValue(column, major, change.value + i),
      )
      const list = columns.map((column) => quote(column.name)).join(', ')
      const marks = columns.map((_, i) => `$${i + 1}`).join(', ')
      return { text: `INSERT INTO ${name} (${list}) OVERRIDING SYSTEM VALUE VALUES (${marks})`, params }
    }
    case 'update': {
      if (plain.length === 0) return null
      const column = at(plain, change.column)
      return {
        text: `UPDATE ${name} SET ${quote(column.name)} = $1 WHERE ${row}`,
        params: [plainValue(column, major, change.value)],
      }
    }
    case 'rekey': {
      const column = table.columns.find((each) => each.name === at(table.key.columns, change.column))
      if (column === undefined) return null
      return {
        text: `UPDATE ${name} SET ${quote(column.name)} = $1 WHERE ${row}`,
        params: [keyValue(column.type, major, change.value)],
      }
    }
    case 'relink': {
      if (table.foreignKeys.length === 0) return null
      const key = at(table.foreignKeys, change.column)
      const parent = schema.tables.find((each) => each.name === key.parent)
      if (parent === undefined) return null
      const chosen = `SELECT ${parent.key.columns.map(quote).join(', ')} FROM ${quote(parent.name)} ORDER BY ctid LIMIT 1 OFFSET ${change.value % 13}`
      return {
        text: `UPDATE ${name} SET (${key.columns.map(quote).join(', ')}) = (${chosen}) WHERE ${row}`,
        params: [],
      }
    }
  }
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length]
  if (item === undefined) throw new Error('nothing to choose from')
  return item
}

function keyValue(sql: string, major: number, n: number): string {
  const type = keyTypesOf(major).find((each) => each.sql === sql)
  if (type === undefined) throw new Error(`no key type ${sql}`)
  return type.keyOf(n % KEYS)
}

function plainValue({ type, notNull }: { type: string; notNull: boolean }, major: number, seed: number): string | null {
  if (!notNull && seed % 4 === 0) return null
  const known = typesOf(major).find((each) => each.sql === type)
  if (known === undefined) throw new Error(`no type ${type}`)
  const [value] = fc.sample(known.values, { numRuns: 1, seed })
  if (value === undefined) throw new Error(`no value of ${type}`)
  return value
}
