/** Random changes of databases whose schema is random. */
import fc from 'fast-check'

import { quote, type Database } from './database.ts'
import type { RandomSchema, RandomTable } from './random-schema.ts'
import { KEYS, keyTypesOf, typesOf } from './random-types.ts'

/** One change of a database with a random schema. The numbers are taken modulo what there is. */
export const mutation = fc.record({
  kind: fc.constantFrom('insert', 'update', 'update', 'delete', 'rekey', 'relink'),
  table: fc.nat(100),
  row: fc.nat(100),
  column: fc.nat(100),
  value: fc.nat(2 ** 31 - 1),
})

export type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

/** Makes one change, or none where a constraint forbids it. */
export async function mutate(
  db: Database,
  { schema, major }: { schema: RandomSchema; major: number },
  change: Mutation,
): Promise<void> {
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
