/**
 * Random schemas with rows, for property tests on real servers. What is generated satisfies its own constraints by
 * construction: keys are drawn as distinct numbers that each type turns into distinct values, and a foreign key takes
 * the key of a row of its parent, or NULL.
 */
import fc from 'fast-check'

import type { Dialect } from './random-dialect.ts'
import { KEYS, type KeyType, type RandomType } from './random-types.ts'
import type { Side } from './side.ts'

export type Cell = string | null

export interface RandomColumn {
  readonly name: string
  /** As in CREATE TABLE, with IDENTITY and COLLATE. */
  readonly type: string
  readonly notNull: boolean
  /** Expression of a stored generated column, which rows leave out. */
  readonly generated?: string
}

export interface RandomForeignKey {
  readonly columns: readonly string[]
  /** Name of the parent, which may be the table itself. */
  readonly parent: string
  readonly deferrable: boolean
}

export interface RandomTable {
  readonly name: string
  readonly columns: readonly RandomColumn[]
  readonly key: { readonly columns: readonly string[]; readonly by: 'primary key' | 'unique index' }
  readonly foreignKeys: readonly RandomForeignKey[]
  /** A cell for each column that is not generated, in the order of the columns. */
  readonly rows: readonly (readonly Cell[])[]
}

export interface RandomSchema {
  readonly dialect: Dialect
  /** Statements that make the types that the tables use. */
  readonly types: readonly string[]
  readonly tables: readonly RandomTable[]
}

/** Types and tables, without foreign keys. */
export function createStatements(schema: RandomSchema): string[] {
  return [...schema.types, ...schema.tables.flatMap((table) => createTable(table, schema.dialect))]
}

function createTable(table: RandomTable, { quote, uniqueKey }: Dialect): string[] {
  const lines = table.columns.map(({ name, type, notNull, generated }) =>
    [quote(name), type, generated ? `GENERATED ALWAYS AS (${generated}) STORED` : '', notNull ? 'NOT NULL' : '']
      .filter((part) => part !== '')
      .join(' '),
  )
  const key = table.key.columns.map(quote).join(', ')
  const name = quote(table.name)
  const create = (more: readonly string[]): string => `CREATE TABLE ${name} (${[...lines, ...more].join(', ')})`
  if (table.key.by === 'primary key') return [create([`PRIMARY KEY (${key})`])]
  if (uniqueKey === 'in the table') return [create([`UNIQUE KEY (${key})`])]
  return [create([]), `CREATE UNIQUE INDEX ON ${name} (${key})`]
}

/** One INSERT a row; valid before the foreign keys are there, or within one transaction where they are deferred. */
export function insertStatements({ dialect, tables }: RandomSchema): string[] {
  return tables.flatMap((table) => {
    const columns = table.columns.filter((column) => column.generated === undefined)
    return table.rows.map((row) => insertStatement(dialect, { table, columns }, row))
  })
}

/** One row, by the columns that are given. */
export function insertStatement(
  dialect: Dialect,
  { table, columns }: { readonly table: RandomTable; readonly columns: readonly RandomColumn[] },
  row: readonly Cell[],
): string {
  const { quote, overriding } = dialect
  const names = columns.map(({ name }) => quote(name)).join(', ')
  const values = columns.map(({ type }, i) => constant(dialect, type, row[i] ?? null))
  return `INSERT INTO ${quote(table.name)} (${names})${overriding} VALUES (${values.join(', ')})`
}

/** A value of a type as it stands in a statement. */
export function constant({ types, keyTypes, literal }: Dialect, type: string, value: Cell): string {
  if (value === null) return 'NULL'
  const known = types.find(({ sql }) => sql === type) ?? keyTypes.find(({ sql }) => sql === type)
  return known?.constant?.(value) ?? literal(value)
}

export function foreignKeyStatements({ dialect, tables }: RandomSchema): string[] {
  const { quote } = dialect
  return tables.flatMap((table, t) =>
    table.foreignKeys.map(({ columns, parent, deferrable }, i) => {
      const references = tables.find((each) => each.name === parent)?.key.columns ?? []
      return (
        `ALTER TABLE ${quote(table.name)} ADD ${dialect.constraint(`${t}_${i}`)}FOREIGN KEY (${columns.map(quote).join(', ')}) ` +
        `REFERENCES ${quote(parent)} (${references.map(quote).join(', ')})${dialect.deferrable && deferrable ? ' DEFERRABLE' : ''}`
      )
    }),
  )
}

/** Makes the tables in an empty database, with or without their rows. */
export async function loadSchema(db: Side, schema: RandomSchema, { rows = true } = {}): Promise<void> {
  const inserts = rows ? insertStatements(schema) : []
  await db.each([...createStatements(schema), ...inserts, ...foreignKeyStatements(schema)])
}

const names = ({ name, folded }: Dialect, count: number): fc.Arbitrary<string[]> =>
  fc.uniqueArray(name, { minLength: count, maxLength: count, selector: folded })

const MAX_TABLES = 6
const MAX_KEY_COLUMNS = 3
const MAX_PLAIN_COLUMNS = 14
const MAX_GENERATED_COLUMNS = 2
const MAX_COLUMNS = 20
const MAX_FOREIGN_KEYS = 6

export interface RandomSchemaOptions {
  readonly dialect: Dialect
  readonly maxRows?: number
}

/** Schemas of 1 to 6 tables with 1 to 20 columns of every type, and rows at the bounds of those. */
export function randomSchema({ dialect, maxRows = 12 }: RandomSchemaOptions): fc.Arbitrary<RandomSchema> {
  return fc
    .record({
      tableNames: names(dialect, MAX_TABLES),
      tables: fc.array(table(dialect, maxRows), { minLength: 1, maxLength: MAX_TABLES }),
      links: fc.array(link, { maxLength: MAX_FOREIGN_KEYS }),
      cycle: fc.option(link, { freq: 2 }),
    })
    .map(({ tableNames, tables, links, cycle }) => {
      const drafts = tables.map((each, index) => draft(each, tableNames[index] ?? `table ${index}`, dialect))
      const back = cycle ? [cycle, { ...cycle, child: cycle.parent, parent: cycle.child }] : []
      for (const each of [...links, ...back]) addForeignKey(drafts, each)
      const types = drafts.flatMap((each) => each.requires)
      return { dialect, types: [...new Set(types)], tables: drafts.map((each) => each.table) }
    })
}

/** A foreign key from one table to another: the numbers are taken modulo what there is. */
const link = fc.record({
  child: fc.nat(MAX_TABLES - 1),
  parent: fc.nat(MAX_TABLES - 1),
  picks: fc.array(fc.nat(KEYS), { minLength: 1, maxLength: 12 }),
  deferrable: fc.boolean(),
})

type Link = typeof link extends fc.Arbitrary<infer T> ? T : never

interface Shape {
  readonly columnNames: readonly string[]
  readonly key: readonly KeyType[]
  readonly plain: readonly { readonly type: RandomType; readonly notNull: boolean }[]
  /** Each number chooses, modulo, the column to generate one from. */
  readonly generated: readonly number[]
  readonly by: 'primary key' | 'unique index'
}

interface RandomRow {
  readonly key: readonly number[]
  readonly cells: readonly Cell[]
}

interface TableParts {
  readonly shape: Shape
  readonly rows: readonly RandomRow[]
}

function table(dialect: Dialect, maxRows: number): fc.Arbitrary<TableParts> {
  const column = fc.record({ type: fc.constantFrom(...dialect.types), notNull: fc.boolean() })
  const shape: fc.Arbitrary<Shape> = fc.record({
    columnNames: names(dialect, MAX_COLUMNS),
    key: fc.array(fc.constantFrom(...dialect.keyTypes), { minLength: 1, maxLength: MAX_KEY_COLUMNS }),
    plain: fc.array(column, { maxLength: MAX_PLAIN_COLUMNS, size: 'max' }),
    generated: fc.array(fc.nat(MAX_PLAIN_COLUMNS), { maxLength: MAX_GENERATED_COLUMNS }),
    by: fc.constantFrom('primary key', 'primary key', 'unique index'),
  })
  return shape.chain((each) => fc.record({ shape: fc.constant(each), rows: rowsOf(each, maxRows) }))
}

function rowsOf({ key, plain }: Shape, maxRows: number): fc.Arbitrary<RandomRow[]> {
  const row: fc.Arbitrary<RandomRow> = fc.record({
    key: fc.tuple(...key.map(() => fc.nat(KEYS - 1))),
    cells: fc.tuple(...plain.map(({ type, notNull }) => (notNull ? type.values : fc.option(type.values, { freq: 4 })))),
  })
  return fc.uniqueArray(row, { maxLength: maxRows, selector: (each) => each.key.join(), size: 'max' })
}

/** A table under construction: foreign keys bring columns of their own, and cells for these. */
interface Draft {
  table: RandomTable
  readonly key: readonly KeyType[]
  readonly spareNames: string[]
  readonly requires: readonly string[]
}

function draft({ shape, rows }: TableParts, tableName: string, dialect: Dialect): Draft {
  const spareNames = [...shape.columnNames]
  const take = (): string => spareNames.shift() ?? ''
  // A second numbered column would be two sequences for one name in `serial`, and is not allowed as identity.
  const key = shape.key.filter((type, index) => index === 0 || type.referredAs === undefined)
  const keyColumns = key.map((type) => ({ name: take(), type: type.sql, notNull: true }))
  const plain = shape.plain.map(({ type, notNull }) => ({ name: take(), type: type.sql, notNull }))
  const types = [...key, ...shape.plain.map((each) => each.type)]
  const sources = [...keyColumns, ...plain].flatMap(({ name: from }, i) => {
    const type = types[i]
    return type === undefined || !dialect.generatesFrom(type) ? [] : [{ from, type }]
  })
  const generated = shape.generated.flatMap((choice): RandomColumn[] => {
    const source = sources[choice % Math.max(sources.length, 1)]
    if (source === undefined) return []
    const { sql, from } = source.type.generates ?? { sql: 'boolean', from: (column: string) => `${column} IS NULL` }
    return [{ name: take(), type: sql, notNull: false, generated: from(dialect.quote(source.from)) }]
  })
  const seen = new Set<string>()
  const distinct = rows.filter((row) => {
    const id = row.key.slice(0, key.length).join()
    return !seen.has(id) && seen.add(id)
  })
  return {
    key,
    spareNames,
    requires: types.flatMap((type) => type.requires ?? []),
    table: {
      name: tableName,
      columns: [...keyColumns, ...generated, ...plain],
      key: { columns: keyColumns.map((column) => column.name), by: shape.by },
      foreignKeys: [],
      rows: distinct.map((row) => [...key.map((type, index) => type.keyOf(row.key[index] ?? 0)), ...row.cells]),
    },
  }
}

function addForeignKey(drafts: readonly Draft[], { child, parent, picks, deferrable }: Link): void {
  const from = drafts[child % drafts.length]
  const to = drafts[parent % drafts.length]
  if (!from || !to || from.spareNames.length < to.key.length) return
  const columns = to.key.map((type) => ({
    name: from.spareNames.shift() ?? '',
    type: type.referredAs ?? type.sql,
    notNull: false,
  }))
  const parents = to.table.rows
  const rows = from.table.rows.map((row, index) => {
    // One choice more than there are parents: none.
    const chosen = parents[(picks[index % picks.length] ?? 0) % (parents.length + 1)]
    return [...row, ...to.key.map((_, place) => chosen?.[place] ?? null)]
  })
  const foreignKey = { columns: columns.map((column) => column.name), parent: to.table.name, deferrable }
  from.table = {
    ...from.table,
    columns: [...from.table.columns, ...columns],
    foreignKeys: [...from.table.foreignKeys, foreignKey],
    rows,
  }
}
