import {
  MOST_PREVIEW_ROWS,
  SHOWN_CHARACTERS,
  type PreviewQuestion,
  type RowsPreview,
  type TableDescription,
} from '#adapters/catalogue.ts'
import { AppError } from '#model/errors.ts'
import { tableId, tableName, type TableRef } from '#model/table.ts'
import { Connection, type TextRow } from './connection.ts'
import type { MysqlEndpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { quote, quoteTable } from './sql.ts'

/**
 * Databases of the server itself, and what this program keeps beside the data: its tables begin with `syncline_` where it
 * has no database of its own.
 */
const OF_USERS = `t.TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'syncline')
  AND t.TABLE_NAME NOT LIKE 'syncline\\_%' AND t.TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')`

/** By which the catalogue is ordered: the bytes of the names. */
const NAMES = 't.TABLE_SCHEMA COLLATE utf8mb3_bin, t.TABLE_NAME COLLATE utf8mb3_bin'

const TABLES = `
  SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, t.TABLE_ROWS
  FROM information_schema.TABLES t WHERE ${OF_USERS} ORDER BY ${NAMES}`

const COLUMNS = `
  SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, c.COLUMN_DEFAULT, c.EXTRA,
         c.GENERATION_EXPRESSION
  FROM information_schema.COLUMNS c JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
  WHERE ${OF_USERS} ORDER BY ${NAMES}, c.ORDINAL_POSITION`

/** Indexes over parts of columns or expressions are no keys. */
const KEYS = `
  SELECT s.TABLE_SCHEMA, s.TABLE_NAME, s.INDEX_NAME, s.COLUMN_NAME, s.SUB_PART
  FROM information_schema.STATISTICS s JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
  WHERE ${OF_USERS} AND s.NON_UNIQUE = 0 ORDER BY ${NAMES}, s.INDEX_NAME, s.SEQ_IN_INDEX`

const FOREIGN_KEYS = `
  SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,
         k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME
  FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
  WHERE ${OF_USERS} AND k.REFERENCED_TABLE_NAME IS NOT NULL ORDER BY ${NAMES}, k.CONSTRAINT_NAME, k.ORDINAL_POSITION`

/**
 * Reads the whole catalogue of the server's databases, as far as this login sees them, in a number of statements that does
 * not grow with the number of tables. In the order of database and name. @throws AppError
 */
export async function readMysqlCatalogue(
  endpoint: MysqlEndpoint,
  signal: AbortSignal,
): Promise<readonly TableDescription[]> {
  await using connection = await Connection.open(endpoint, { readOnly: true, signal })
  try {
    const tables = await connection.query(TABLES)
    const columns = byTable(await connection.query(COLUMNS))
    const keys = byTable(await connection.query(KEYS))
    const foreignKeys = byTable(await connection.query(FOREIGN_KEYS))
    return tables.map((row) => {
      const of = (rows: ReadonlyMap<string, TextRow[]>): TextRow[] => rows.get(idOf(row)) ?? []
      return toDescription(row, { columns: of(columns), keys: of(keys), foreignKeys: of(foreignKeys) })
    })
  } catch (error) {
    throw toAppError(error, 'reading the catalogue')
  }
}

function toDescription(
  row: TextRow,
  { columns, keys, foreignKeys }: Record<'columns' | 'keys' | 'foreignKeys', TextRow[]>,
): TableDescription {
  const [, , type, estimate] = row
  const whole = [...Map.groupBy(keys, ([, , name]) => name ?? '').entries()]
    .filter(([, parts]) => parts.every(([, , , column, part]) => column !== null && part === null))
    .map(([name, parts]) => ({ name, columns: parts.map(([, , , column]) => column ?? '') }))
  return {
    table: refOf(row),
    kind: type === 'VIEW' ? 'view' : 'table',
    columns: columns.map(([, , name, columnType, nullable, byDefault, extra, expression]) => {
      const generated = (expression ?? '') !== ''
      return {
        name: name ?? '',
        type: columnType ?? '',
        nullable: nullable === 'YES',
        default: generated ? null : /auto_increment/i.test(extra ?? '') ? 'AUTO_INCREMENT' : toDefault(byDefault),
        generated,
      }
    }),
    primaryKey: whole.find(({ name }) => name === 'PRIMARY')?.columns ?? [],
    uniqueKeys: whole.filter(({ name }) => name !== 'PRIMARY').map((key) => key.columns),
    foreignKeys: [...Map.groupBy(foreignKeys, ([, , name]) => name ?? '').values()].map((parts) => ({
      columns: parts.map(([, , , column]) => column ?? ''),
      references: { schema: parts[0]?.[4] ?? '', name: parts[0]?.[5] ?? '' },
      referencedColumns: parts.map(([, , , , , , column]) => column ?? ''),
    })),
    estimatedRows: estimate === null || estimate === undefined ? null : Number(estimate),
    hidesRows: false,
  }
}

/** MariaDB says NULL in words where a column has no default but NULL. */
function toDefault(text: string | null | undefined): string | null {
  return text === undefined || text === null || text === 'NULL' ? null : text
}

function refOf([schema, name]: TextRow): TableRef {
  return { schema: schema ?? '', name: name ?? '' }
}

function idOf(row: TextRow): string {
  return tableId(refOf(row))
}

function byTable(rows: readonly TextRow[]): Map<string, TextRow[]> {
  return Map.groupBy(rows, idOf)
}

/** A view may take any time to answer. */
const PREVIEW_SECONDS = 15

/**
 * The first rows of a table or view, in no order; columns that this login may not read are left out.
 * @throws AppError `table_not_found`, `missing_privilege`
 */
export async function readMysqlPreview(
  endpoint: MysqlEndpoint,
  { table, limit, only }: PreviewQuestion,
  signal: AbortSignal,
): Promise<RowsPreview> {
  await using connection = await Connection.open(endpoint, { readOnly: true, signal })
  try {
    const { mariadb } = connection.version
    await connection.query(
      mariadb
        ? `SET SESSION max_statement_time = ${PREVIEW_SECONDS}`
        : `SET SESSION max_execution_time = ${PREVIEW_SECONDS * 1_000}`,
    )
    const columns = await readColumns(connection, table)
    const cells = columns.flatMap(({ name, type }) => {
      const text = asText(quote(name), type)
      return [`LEFT(${text}, ${SHOWN_CHARACTERS})`, `CHAR_LENGTH(${text})`]
    })
    const most = Math.min(Math.max(1, limit), MOST_PREVIEW_ROWS)
    const where = only === undefined ? '' : ` WHERE ${isOneOf(only.column, columns, only.values.length)}`
    const values = only === undefined ? [] : only.values
    const rows = await connection.query(`SELECT ${cells.join(', ')} FROM ${quoteTable(table)}${where} LIMIT ${most}`, [
      ...values,
    ])
    return toPreview(columns, rows)
  } catch (error) {
    throw toAppError(error, `reading ${tableName(table)}`)
  }
}

const BINARY = /^(?:tiny|medium|long)?blob|^(?:var)?binary/i
const BITS = /^bit\b/i
const SHAPES = /^(?:geometry|point|linestring|polygon|multi|geom)/i

/** A value as somebody reads it: bytes in hex, bits as digits, shapes as words. */
function asText(column: string, type: string): string {
  if (BINARY.test(type)) return `CONCAT('\\\\x', LOWER(HEX(${column})))`
  if (BITS.test(type)) return `BIN(${column})`
  if (SHAPES.test(type)) return `ST_AsText(${column})`
  return `CAST(${column} AS CHAR CHARACTER SET utf8mb4)`
}

function isOneOf(column: string, columns: RowsPreview['columns'], count: number): string {
  if (!columns.some(({ name }) => name === column)) {
    throw new AppError('column_not_found', `There is no column "${column}" that can be read.`)
  }
  return count === 0 ? 'FALSE' : `${quote(column)} IN (${Array.from({ length: count }, () => '?').join(', ')})`
}

/** The catalogue shows a login the columns that it has some right on; SELECT has to be among these. */
async function readColumns(connection: Connection, { schema, name }: TableRef): Promise<RowsPreview['columns']> {
  const rows = await connection.query(
    `SELECT c.COLUMN_NAME, c.COLUMN_TYPE, c.PRIVILEGES
     FROM information_schema.COLUMNS c JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
     WHERE t.TABLE_SCHEMA = ? AND t.TABLE_NAME = ? AND ${OF_USERS} ORDER BY c.ORDINAL_POSITION`,
    [schema, name],
  )
  if (rows.length === 0) throw new AppError('table_not_found', `There is no table ${tableName({ schema, name })}.`)
  const readable = rows.filter(([, , privileges]) => /\bselect\b/i.test(privileges ?? ''))
  if (readable.length === 0) {
    throw new AppError('missing_privilege', `This login may not read ${tableName({ schema, name })}.`)
  }
  return readable.map(([column, type]) => ({ name: column ?? '', type: type ?? '' }))
}

function toPreview(columns: RowsPreview['columns'], found: readonly TextRow[]): RowsPreview {
  const rows = found.map((row) => columns.map((_, i) => row[2 * i] ?? null))
  const cuts = found.flatMap((row, at) =>
    columns.flatMap(({ name }, i) => {
      const characters = Number(row[2 * i + 1] ?? 0)
      return characters > SHOWN_CHARACTERS ? [{ row: at, column: name, characters }] : []
    }),
  )
  return { columns, rows, cut: cuts.length > 0, cuts }
}
