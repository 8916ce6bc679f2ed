/**
 * Random schemas with rows, for property tests on real servers. What is generated satisfies its own constraints by
 * construction: keys are drawn as distinct numbers that each type turns into distinct values, and a foreign key takes
 * the key of a row of its parent, or NULL.
 */
import fc from 'fast-check'

import { quote, type Database } from './database.ts'
import { KEYS, keyTypesOf, typesOf, type KeyType, type RandomType } from './random-types.ts'

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
  /** Statements that make the types that the tables use. */
  readonly types: readonly string[]
  readonly tables: readonly RandomTable[]
}

export interface Statement {
  readonly text: string
  /** Bound as text, for the server to convert. */
  readonly params: readonly Cell[]
}

/** Types and tables, without foreign keys. */
export function createStatements(schema: RandomSchema): string[] {
  return [...schema.types, ...schema.tables.flatMap(createTable)]
}

function createTable(table: RandomTable): string[] {
  const lines = table.columns.map(({ name, type, notNull, generated }) =>
    [quote(name), type, generated ? `GENERATED ALWAYS AS (${generated}) STORED` : '', notNull ? 'NOT NULL' : '']
      .filter((part) => part !== '')
      .join(' '),
  )
  const key = table.key.columns.map(quote).join(', ')
  const name = quote(table.name)
  return table.key.by === 'primary key'
    ? [`CREATE TABLE ${name} (${[...lines, `PRIMARY KEY (${key})`].join(', ')})`]
    : [`CREATE TABLE ${name} (${lines.join(', ')})`, `CREATE UNIQUE INDEX ON ${name} (${key})`]
}

/** One INSERT a row; valid before the foreign keys are there, or within one transaction where they are deferred. */
export function insertStatements(schema: RandomSchema): Statement[] {
  return schema.tables.flatMap((table) => {
    const columns = table.columns.filter((column) => column.generated === undefined)
    const names = columns.map((column) => quote(column.name)).join(', ')
    const places = columns.map((_, index) => `$${index + 1}`).join(', ')
    const text = `INSERT INTO ${quote(table.name)} (${names}) OVERRIDING SYSTEM VALUE VALUES (${places})`
    return table.rows.map((params) => ({ text, params }))
  })
}

export function foreignKeyStatements(schema: RandomSchema): string[] {
  return schema.tables.flatMap((table) =>
    table.foreignKeys.map(({ columns, parent, deferrable }) => {
      const references = schema.tables.find((each) => each.name === parent)?.key.columns ?? []
      return (
        `ALTER TABLE ${quote(table.name)} ADD FOREIGN KEY (${columns.map(quote).join(', ')}) ` +
        `REFERENCES ${quote(parent)} (${references.map(quote).join(', ')})${deferrable ? ' DEFERRABLE' : ''}`
      )
    }),
  )
}

/** Makes the tables in an empty database, with or without their rows. */
export async function loadSchema(db: Database, schema: RandomSchema, { rows = true } = {}): Promise<void> {
  await db.sql(createStatements(schema).join(';\n'))
  if (rows) {
    await db.sql('BEGIN')
    for (const { text, params } of insertStatements(schema)) await db.sql(text, params)
    await db.sql('COMMIT')
  }
  await db.sql(foreignKeyStatements(schema).join(';\n'))
}

const REGULAR_NAMES = ['id', 'name', 'orders', 'created_at', 'value', 'parent', 'n', 'note', 'kind', 'total', 'status']

const HOSTILE_NAMES = [
  ['select', 'table', 'user', 'order', 'null', 'default', 'A', 'a', 'Id', 'ID', 'CamelCase'],
  ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length'],
  ['a"b', '"', '""', "it's", 'a.b', 'a b', ' lead', 'trail ', '%s', '$1', '?', ':name', ';', '--', '/*', '{}', '1st'],
  ['back\\slash', '\\.', '\\N', 'new\nline', 'tab\t', 'cr\r', '😀', 'naïve', 'nai\u0308ve', '\u200b', '表'],
  ['x'.repeat(63), `${'é'.repeat(31)}z`, '表'.repeat(21), 'key', 'row', 'op', 'syncline', 'epoch', 'xmax_'],
].flat()

const MAX_NAME_BYTES = 63

const name = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...REGULAR_NAMES) },
  { weight: 4, arbitrary: fc.constantFrom(...HOSTILE_NAMES) },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'binary', minLength: 1, maxLength: 15 })
      .filter((text) => !text.includes('\0') && Buffer.byteLength(text) <= MAX_NAME_BYTES),
  },
)

const names = (count: number): fc.Arbitrary<string[]> => fc.uniqueArray(name, { minLength: count, maxLength: count })

const MAX_TABLES = 6
const MAX_KEY_COLUMNS = 3
const MAX_PLAIN_COLUMNS = 14
const MAX_GENERATED_COLUMNS = 2
const MAX_COLUMNS = 20
const MAX_FOREIGN_KEYS = 6

export interface RandomSchemaOptions {
  /** The oldest server that is to take it. */
  readonly major: number
  readonly maxRows?: number
}

/** Schemas of 1 to 6 tables with 1 to 20 columns of every type, and rows at the bounds of those. */
export function randomSchema({ major, maxRows = 12 }: RandomSchemaOptions): fc.Arbitrary<RandomSchema> {
  return fc
    .record({
      tableNames: names(MAX_TABLES),
      tables: fc.array(table(major, maxRows), { minLength: 1, maxLength: MAX_TABLES }),
      links: fc.array(link, { maxLength: MAX_FOREIGN_KEYS }),
      cycle: fc.option(link, { freq: 2 }),
    })
    .map(({ tableNames, tables, links, cycle }) => {
      const drafts = tables.map((each, index) => draft(each, tableNames[index] ?? `table ${index}`))
      const back = cycle ? [cycle, { ...cycle, child: cycle.parent, parent: cycle.child }] : []
      for (const each of [...links, ...back]) addForeignKey(drafts, each)
      const types = drafts.flatMap((each) => each.requires)
      return { types: [...new Set(types)], tables: drafts.map((each) => each.table) }
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

function table(major: number, maxRows: number): fc.Arbitrary<TableParts> {
  const column = fc.record({ type: fc.constantFrom(...typesOf(major)), notNull: fc.boolean() })
  const shape: fc.Arbitrary<Shape> = fc.record({
    columnNames: names(MAX_COLUMNS),
    key: fc.array(fc.constantFrom(...keyTypesOf(major)), { minLength: 1, maxLength: MAX_KEY_COLUMNS }),
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

function draft({ shape, rows }: TableParts, tableName: string): Draft {
  const spareNames = [...shape.columnNames]
  const take = (): string => spareNames.shift() ?? ''
  // A second numbered column would be two sequences for one name in `serial`, and is not allowed as identity.
  const key = shape.key.filter((type, index) => index === 0 || type.referredAs === undefined)
  const keyColumns = key.map((type) => ({ name: take(), type: type.sql, notNull: true }))
  const plain = shape.plain.map(({ type, notNull }) => ({ name: take(), type: type.sql, notNull }))
  const sources = [...key, ...shape.plain.map((each) => each.type)]
  const generated = shape.generated.map((choice): RandomColumn => {
    const index = choice % sources.length
    const column = quote([...keyColumns, ...plain][index]?.name ?? '')
    const { sql, from } = sources[index]?.generates ?? { sql: 'boolean', from: (source) => `${source} IS NULL` }
    return { name: take(), type: sql, notNull: false, generated: from(column) }
  })
  const seen = new Set<string>()
  const distinct = rows.filter((row) => {
    const id = row.key.slice(0, key.length).join()
    return !seen.has(id) && seen.add(id)
  })
  return {
    key,
    spareNames,
    requires: sources.flatMap((type) => type.requires ?? []),
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
