import { createHash } from 'node:crypto'
import { must } from '#lib/assert.ts'
import { tableId, type Column, type ForeignKey, type TableRef, type TableSchema, type UniqueKey } from '#model/table.ts'
import { mergingCollation } from './collations.ts'
import type { Connection, TextRow } from './connection.ts'
import { readRights, type Rights } from './rights.ts'
import { isOurs } from './own-tables.ts'
import { asBytes } from './sql.ts'
import { columnType } from './types.ts'

/** What the catalogue says of a column beyond what every engine has. */
export interface MyColumn {
  /** `DATA_TYPE`, in lower case. */
  readonly dataType: string
  /** Null where it is no text. */
  readonly charset: string | null
  readonly collation: string | null
  /** The most bytes that a value can have as it is stored; null where the type says none. */
  readonly maxBytes: number | null
  readonly autoIncrement: boolean
  /** The default as the server writes it; null where there is none. */
  readonly default: string | null
  /** `EXTRA`, in lower case: `on update current_timestamp()` and the like. */
  readonly extra: string
}

/** What the catalogue says of a table beyond what every engine has. */
export interface MyTable {
  readonly schema: TableSchema
  /** The SELECT that stands for the table; null for a table or view of the catalogue. */
  readonly query: string | null
  /** Null of a view and of a query. */
  readonly engine: string | null
  /** A transaction can take back what it wrote there. */
  readonly transactional: boolean
  readonly columns: ReadonlyMap<string, MyColumn>
  /** `schema.definition` without whether other tables point here, which no lookup of a single table tells. */
  readonly ownDefinition: string
  /** The unique index by whose order the rows are walked; null where there is none without NULL. */
  readonly walk: UniqueKey | null
}

/** Where the catalogue is looked at: a whole database, or one table of it. */
interface Scope {
  readonly schema: string
  readonly table: string | null
}

/** Of more tables than these the whole database is read: the server looks a single table up by its name. */
const LOOKED_UP = 8

const TABLES = `
  SELECT t.table_schema, t.table_name, t.table_type, t.engine, t.table_collation, t.create_time, t.table_rows, t.data_length
  FROM information_schema.tables t WHERE `
const COLUMNS = `
  SELECT c.table_schema, c.table_name, c.column_name, c.data_type, c.column_type, c.is_nullable, c.column_default, c.extra,
         c.generation_expression, c.collation_name, c.character_set_name, c.character_octet_length, c.privileges
  FROM information_schema.columns c WHERE `
const INDEXES = `
  SELECT s.table_schema, s.table_name, s.index_name, s.column_name, s.sub_part, s.nullable
  FROM information_schema.statistics s WHERE s.non_unique = 0 AND `
const FOREIGN_KEYS = `
  SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema,
         k.referenced_table_name, k.referenced_column_name
  FROM information_schema.key_column_usage k WHERE k.referenced_table_name IS NOT NULL AND `
const TRIGGERS = `
  SELECT g.event_object_schema, g.event_object_table, g.trigger_name, g.event_manipulation, g.action_timing,
         g.action_statement
  FROM information_schema.triggers g WHERE `
const PARTITIONS = `
  SELECT p.table_schema, p.table_name, p.partition_name, p.create_time
  FROM information_schema.partitions p WHERE p.partition_name IS NOT NULL AND `
const VIEWS = `
  SELECT v.table_schema, v.table_name, v.view_definition FROM information_schema.views v WHERE `
/** A JSON column of MariaDB is a text with this check. MySQL has a type for it, and no table's name beside its checks. */
const JSON_CHECKS = `
  SELECT k.constraint_schema, k.table_name, k.check_clause
  FROM information_schema.check_constraints k WHERE k.check_clause LIKE 'json_valid(%' AND `

interface Read {
  readonly tables: readonly TextRow[]
  readonly columns: Rows
  readonly indexes: Rows
  readonly foreignKeys: Rows
  readonly triggers: Rows
  readonly partitions: Rows
  readonly views: Rows
  readonly jsonChecks: Rows
  /** Why what a view or a query reads may not be seen at one moment; null where all tables of the database are. */
  readonly unsteady: string | null
  /** `tableId` of the tables that a foreign key of the same database points to. */
  readonly referenced: ReadonlySet<string>
}

type Rows = ReadonlyMap<string, readonly TextRow[]>

/**
 * Reads the catalogue: the tables and views of the databases that are offered, or the named ones. A constant number of
 * statements for a database. No statement of it sees a moment: what is altered meanwhile shows in the definition that is
 * read again.
 */
export async function introspect(
  connection: Connection,
  wanted: readonly TableRef[] | 'all',
): Promise<readonly MyTable[]> {
  return await readTables(connection, wanted, { pointing: true })
}

/** `ownDefinition` of a table as it is now; null where it is gone. What it costs does not grow with the database. */
export async function readOwnDefinition(connection: Connection, table: TableRef): Promise<string | null> {
  const found = await readTables(connection, [table], { pointing: false })
  return found[0]?.ownDefinition ?? null
}

async function readTables(
  connection: Connection,
  wanted: readonly TableRef[] | 'all',
  { pointing }: { readonly pointing: boolean },
): Promise<readonly MyTable[]> {
  const asked = wanted === 'all' ? null : new Set(wanted.map(tableId))
  const rights = await readRights(connection)
  const tables: MyTable[] = []
  for (const scope of scopesOf(connection, wanted)) {
    const read = await readScope(connection, scope, pointing)
    for (const row of read.tables) {
      const ref = refOf(row)
      // The server may compare names without their case.
      if (asked !== null && !asked.has(tableId(ref))) continue
      if (asked === null && isOurs(ref)) continue
      const table = toTable(row, read, rights)
      // A view whose tables are gone has no columns that could be read.
      if (asked !== null || table.schema.columns.length > 0) tables.push(table)
    }
  }
  return tables
}

function scopesOf({ endpoint }: Connection, wanted: readonly TableRef[] | 'all'): Scope[] {
  if (wanted === 'all') return (endpoint.schemas ?? [endpoint.database]).map((schema) => ({ schema, table: null }))
  if (wanted.length <= LOOKED_UP) return wanted.map(({ schema, name }) => ({ schema, table: name }))
  return [...new Set(wanted.map(({ schema }) => schema))].map((schema) => ({ schema, table: null }))
}

async function readScope(connection: Connection, { schema, table }: Scope, points: boolean): Promise<Read> {
  const rowsOf = async (sql: string, alias: string, names = NAMES, order = ''): Promise<readonly TextRow[]> => {
    const where = `${alias}.${names.schema} = ?${table === null ? '' : ` AND ${alias}.${names.table} = ?`}`
    return await connection.query(`${sql}${where}${order}`, table === null ? [schema] : [schema, table])
  }
  const grouped = async (...args: Parameters<typeof rowsOf>): Promise<Rows> => groupByTable(await rowsOf(...args))
  const { mariadb } = connection.version
  const pointing = points ? await connection.query(`${FOREIGN_KEYS} k.table_schema = ?`, [schema]) : []
  const tables = (await rowsOf(TABLES, 't', NAMES, ` ORDER BY ${asBytes('t.table_name')}`)).filter(isTable)
  const hasViews = tables.some((row) => kindOf(row) === 'view')
  return {
    tables,
    columns: await grouped(COLUMNS, 'c', NAMES, ' ORDER BY c.table_name, c.ordinal_position'),
    indexes: await grouped(INDEXES, 's', NAMES, ' ORDER BY s.table_name, s.index_name, s.seq_in_index'),
    foreignKeys: await grouped(FOREIGN_KEYS, 'k', NAMES, ' ORDER BY k.constraint_name, k.ordinal_position'),
    triggers: await grouped(TRIGGERS, 'g', OF_TRIGGERS, ' ORDER BY g.trigger_name'),
    partitions: await grouped(PARTITIONS, 'p', NAMES, ' ORDER BY p.partition_name'),
    views: await grouped(VIEWS, 'v'),
    unsteady: hasViews ? await unsteadyTables(connection, schema) : null,
    jsonChecks: mariadb ? await grouped(JSON_CHECKS, 'k', OF_CHECKS) : new Map(),
    referenced: new Set(pointing.map((row) => tableId({ schema: cell(row, 4), name: cell(row, 5) }))),
  }
}

const NAMES = { schema: 'table_schema', table: 'table_name' }
const OF_TRIGGERS = { schema: 'event_object_schema', table: 'event_object_table' }
const OF_CHECKS = { schema: 'constraint_schema', table: 'table_name' }

const KINDS: Readonly<Record<string, TableSchema['kind']>> = {
  'BASE TABLE': 'table',
  'SYSTEM VERSIONED': 'table',
  VIEW: 'view',
  'SYSTEM VIEW': 'view',
}

function kindOf(row: TextRow): TableSchema['kind'] {
  return must(KINDS[cell(row, 2)], `the type of ${cell(row, 1)}`)
}

/** MariaDB lists sequences too. */
function isTable(row: TextRow): boolean {
  return Object.hasOwn(KINDS, cell(row, 2))
}

/** Engines whose tables a transaction sees at one moment. */
const TRANSACTIONAL = new Set(['innodb', 'rocksdb', 'tokudb'])

function isTransactional(engine: string | null): boolean {
  return TRANSACTIONAL.has((engine ?? '').toLowerCase())
}

/** What a view or a query reads is not known. */
export async function unsteadyTables(connection: Connection, schema: string): Promise<string | null> {
  const engines = await connection.query(
    `SELECT DISTINCT t.engine FROM information_schema.tables t WHERE t.table_schema = ? AND t.table_type = 'BASE TABLE'`,
    [schema],
  )
  const other = engines.map(([engine]) => engine ?? null).find((engine) => !isTransactional(engine))
  return other ? `its database has tables of ${other}, which has no transactions` : null
}

function toTable(row: TextRow, read: Read, rights: Rights): MyTable {
  const ref = refOf(row)
  const of = (rows: Rows): readonly TextRow[] => rows.get(tableId(ref)) ?? []
  const kind = kindOf(row)
  const engine = row[3] ?? null
  const jsonColumns = new Set(of(read.jsonChecks).flatMap((check) => jsonColumn(cell(check, 2)) ?? []))
  const columns = of(read.columns).filter((column) => !isOwnKey(cell(column, 2), cell(column, 7)))
  const myColumns = new Map(columns.map((column) => [cell(column, 2), toMyColumn(column)]))
  const indexed = of(read.indexes).filter((part) => part[3] === null || myColumns.has(cell(part, 3)))
  const uniques = uniqueKeys(indexed, myColumns)
  const primaryKey = uniques.find(({ name }) => name === 'PRIMARY') ?? null
  const uniqueOnes = uniques.filter(({ name }) => name !== 'PRIMARY')
  const referenced = read.referenced.has(tableId(ref))
  const storage = digest([row[5], of(read.partitions).map((partition) => partition.slice(2))])
  const transactional = kind !== 'view' && isTransactional(engine)
  const unsteady =
    kind === 'view' ? read.unsteady : transactional ? null : `${engine ?? 'its engine'} has no transactions`
  const own = digest([
    [kind, engine, row[4]],
    columns.map((column) => column.slice(2, 11)),
    [of(read.indexes), of(read.foreignKeys), of(read.triggers)],
    [of(read.jsonChecks), of(read.views), of(read.partitions).map((partition) => partition[2])],
  ])
  const ownDefinition = `${own} ${storage}`
  return {
    query: null,
    engine,
    transactional,
    columns: myColumns,
    ownDefinition,
    walk: kind === 'view' ? null : (primaryKey ?? uniqueOnes.find(({ notNull }) => notNull) ?? null),
    schema: {
      ref,
      // The number that the server has for a table is for administrators to see; another creation shows in `storage`.
      id: tableId(ref),
      definition: `${ownDefinition}${referenced ? ' referenced' : ''}`,
      storage,
      kind,
      columns: columns.map((column) => toColumn(column, jsonColumns)),
      primaryKey,
      uniqueKeys: uniqueOnes,
      foreignKeys: foreignKeys(of(read.foreignKeys)),
      referenced,
      triggers: [...new Set(of(read.triggers).map((trigger) => cell(trigger, 2)))],
      rowSecurity: false,
      rights: { ...rightsByColumns(columns), use: true, delete: rights.hasOnTable(ref, 'DELETE') },
      partitions: [],
      rowEstimate: kind === 'view' || row[6] === null ? null : Number(row[6]),
      bytes: Number(row[7] ?? 0),
      ...(unsteady === null ? {} : { unsteady }),
    },
  }
}

/** A key that MySQL gave a table which has none: no statement sees it that does not name it. */
export function isOwnKey(column: string, extra: string): boolean {
  return column === 'my_row_id' && /auto_increment/i.test(extra) && /invisible/i.test(extra)
}

/** The server says of each column what this login may do with it, whoever granted that, and on what. */
function rightsByColumns(columns: readonly TextRow[]): { select: boolean; insert: boolean; update: boolean } {
  const may = (right: string): boolean =>
    columns.length > 0 && columns.every((column) => cell(column, 12).split(',').includes(right))
  return { select: may('select'), insert: may('insert'), update: may('update') }
}

/** The one column that a check holds to be JSON. */
function jsonColumn(check: string): string | null {
  const name = /^json_valid\(`((?:[^`]|``)+)`\)$/.exec(check)?.[1]
  return name === undefined ? null : name.replaceAll('``', '`')
}

function toColumn(row: TextRow, jsonColumns: ReadonlySet<string>): Column {
  const name = cell(row, 2)
  const extra = cell(row, 7).toLowerCase()
  const spelled = cell(row, 4)
  const expression = row[8] ?? ''
  const isAuto = extra.includes('auto_increment')
  const type = columnType({ spelled, charset: row[10] ?? null, isJson: jsonColumns.has(name) })
  return {
    name,
    id: columnId(name),
    type,
    nativeType: spelled,
    nullable: row[5] === 'YES',
    hasDefault: isAuto || (row[6] !== null && row[6] !== 'NULL'),
    generated: expression === '' ? null : /virtual/.test(extra) ? 'virtual' : 'stored',
    expression: expression === '' ? null : expression,
    collation: row[9] ?? null,
    identity: isAuto ? 'by default' : null,
    sequence: isAuto ? 'AUTO_INCREMENT' : null,
  }
}

/**
 * The server numbers columns by their place, which another column takes where one is put in front of it: a number that is
 * made of the name never says of one column that it is another under a new name.
 */
export function columnId(name: string): number {
  return 1 + createHash('md5').update(name).digest().readUIntBE(0, 6)
}

function toMyColumn(row: TextRow): MyColumn {
  const extra = cell(row, 7).toLowerCase()
  return {
    dataType: cell(row, 3).toLowerCase(),
    charset: row[10] ?? null,
    collation: row[9] ?? null,
    maxBytes: row[11] === null || row[11] === undefined ? null : Number(row[11]),
    autoIncrement: extra.includes('auto_increment'),
    default: row[6] ?? null,
    extra,
  }
}

/** Those over whole plain columns: of a longer text an index may know the beginning alone. */
function uniqueKeys(rows: readonly TextRow[], of: ReadonlyMap<string, MyColumn>): UniqueKey[] {
  const keys: UniqueKey[] = []
  for (const [name, parts] of Map.groupBy(rows, (row) => cell(row, 2))) {
    if (parts.some((part) => part[3] === null || part[4] !== null)) continue
    const notNull = parts.every((part) => part[5] !== 'YES')
    const columns = parts.map((part) => cell(part, 3))
    const merging = columns.flatMap((column) => mergingCollation(must(of.get(column), `the column ${column}`)) ?? [])
    const merges = merging.length === 0 ? {} : { merges: [...new Set(merging)].join(', ') }
    keys.push({ name, columns, notNull, immediate: true, ...merges })
  }
  return keys
}

function foreignKeys(rows: readonly TextRow[]): ForeignKey[] {
  return [...Map.groupBy(rows, (row) => cell(row, 2))].map(([name, parts]) => {
    const first = must(parts[0], 'a part of a foreign key')
    return {
      name,
      columns: parts.map((part) => cell(part, 3)),
      parent: { schema: cell(first, 4), name: cell(first, 5) },
      parentColumns: parts.map((part) => cell(part, 6)),
      deferrable: false,
    }
  })
}

function groupByTable(rows: readonly TextRow[]): Rows {
  return Map.groupBy(rows, (row) => tableId(refOf(row)))
}

function refOf(row: TextRow): TableRef {
  return { schema: cell(row, 0), name: cell(row, 1) }
}

function digest(parts: unknown): string {
  return createHash('md5').update(JSON.stringify(parts)).digest('hex')
}

function cell(row: TextRow, index: number): string {
  return row[index] ?? ''
}
