/** Random changes of databases whose schema is random. */
import fc from 'fast-check'

import { constant, insertStatement, type RandomColumn, type RandomSchema, type RandomTable } from './random-schema.ts'
import { KEYS } from './random-types.ts'
import type { Side } from './side.ts'

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
export async function mutate(db: Side, schema: RandomSchema, change: Mutation): Promise<void> {
  const table = at(schema.tables, change.table)
  const statement = await statementOf(db, { schema, table }, change)
  if (statement === null) return
  try {
    await db.sql(statement)
  } catch (error) {
    if (!(error instanceof Error && schema.dialect.forbids(error))) throw error
  }
}

interface Place {
  readonly schema: RandomSchema
  readonly table: RandomTable
}

async function statementOf(db: Side, { schema, table }: Place, change: Mutation): Promise<string | null> {
  const { dialect } = schema
  const name = dialect.quote(table.name)
  const foreign = new Set(table.foreignKeys.flatMap((key) => key.columns))
  const given = table.columns.filter(({ generated, name: column }) => generated === undefined && !foreign.has(column))
  if (change.kind === 'insert') {
    const row: (string | null)[] = []
    for (const [i, column] of given.entries()) {
      const isKey = table.key.columns.includes(column.name)
      const value = (isKey ? keyValue : plainValue)(column, schema, change.value + i)
      if (value === undefined) return null
      row.push(value)
    }
    return insertStatement(dialect, { table, columns: given }, row)
  }
  const row = await keyAt(db, { schema, table }, change.row % 12)
  if (row === null) return null
  const equals = (columns: readonly string[], values: readonly string[]): string[] =>
    columns.map((column, i) => `${dialect.quote(column)} = ${values[i] ?? 'NULL'}`)
  const where = equals(table.key.columns, row).join(' AND ')
  const update = (columns: readonly string[], values: readonly string[]): string =>
    `UPDATE ${name} SET ${equals(columns, values).join(', ')} WHERE ${where}`
  switch (change.kind) {
    case 'delete':
      return `DELETE FROM ${name} WHERE ${where}`
    case 'update': {
      const plain = given.filter((column) => !table.key.columns.includes(column.name))
      if (plain.length === 0) return null
      const column = at(plain, change.column)
      const value = plainValue(column, schema, change.value)
      return value === undefined ? null : update([column.name], [constant(dialect, column.type, value)])
    }
    case 'rekey': {
      const column = columnOf(table, at(table.key.columns, change.column))
      const value = keyValue(column, schema, change.value)
      return value === undefined ? null : update([column.name], [constant(dialect, column.type, value)])
    }
    case 'relink': {
      if (table.foreignKeys.length === 0) return null
      const { columns, parent } = at(table.foreignKeys, change.column)
      const to = schema.tables.find((each) => each.name === parent)
      if (to === undefined) return null
      // One choice more than there are parents: none.
      const chosen = await keyAt(db, { schema, table: to }, change.value % 13)
      return update(columns, chosen ?? [])
    }
  }
}

/** The key of a row as constants, by its place in the order of keys; null where there are not so many rows. */
async function keyAt(db: Side, { schema, table }: Place, place: number): Promise<string[] | null> {
  const { dialect } = schema
  const columns = table.key.columns.map((name) => {
    const { type } = columnOf(table, name)
    const read = dialect.keyTypes.find(({ sql }) => sql === type)?.read ?? ((column: string) => column)
    return { type, name: dialect.quote(name), read: read(dialect.quote(name)) }
  })
  const order = columns.map(({ name }) => name).join(', ')
  const [row] = await db.sql(
    `SELECT ${columns.map(({ read }, i) => `${read} AS k${i}`).join(', ')} FROM ${dialect.quote(table.name)} ORDER BY ${order} LIMIT 1 OFFSET ${place}`,
  )
  return row === undefined ? null : columns.map(({ type }, i) => constant(dialect, type, row[i] ?? null))
}

function columnOf({ columns }: RandomTable, name: string): RandomColumn {
  const column = columns.find((each) => each.name === name)
  if (column === undefined) throw new Error(`no column ${name}`)
  return column
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length]
  if (item === undefined) throw new Error('nothing to choose from')
  return item
}

/** A key of the column's type; undefined where the dialect knows none. */
function keyValue({ type }: RandomColumn, { dialect }: RandomSchema, n: number): string | undefined {
  if (dialect.types.length === 0) return undefined
  return dialect.keyTypes.find(({ sql }) => sql === type)?.keyOf(n % KEYS)
}

/** A value of the column's type; undefined where the dialect knows none. */
function plainValue(
  { type, notNull }: RandomColumn,
  { dialect }: RandomSchema,
  seed: number,
): string | null | undefined {
  const known = dialect.types.find((each) => each.sql === type)
  if (!notNull && (seed % 4 === 0 || known === undefined)) return null
  return known === undefined ? undefined : fc.sample(known.values, { numRuns: 1, seed })[0]
}
