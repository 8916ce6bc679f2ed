import {
  MOST_PREVIEW_ROWS,
  SHOWN_CHARACTERS,
  type PreviewQuestion,
  type RowsPreview,
  type TableDescription,
} from '#adapters/catalogue.ts'
import type { TableRef } from '#model/table.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import { Connection, type TextRow } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { quote, quoteTable } from './sql.ts'

const KINDS: Readonly<Record<string, TableDescription['kind']>> = {
  r: 'table',
  p: 'partitioned_table',
  v: 'view',
  m: 'materialized_view',
  f: 'foreign_table',
}

/** Schemas of users: what the server and this program keep for themselves, hashes of passwords among it, is not shown. */
const OF_USERS = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'syncline') AND n.nspname !~ '^pg_(toast_)?temp_'`

/** Relations that people may think of as theirs; partitions and what extensions brought along are left out. */
const SHOWN = `
  c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND NOT c.relispartition
  AND ${OF_USERS}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')`

const FROM = `pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`

const RELATIONS = `
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples::int8,
         c.relrowsecurity AND pg_catalog.row_security_active(c.oid)
  FROM ${FROM} WHERE ${SHOWN} ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`

const COLUMNS = `
  SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
         CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END, a.attgenerated <> ''
  FROM ${FROM} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
  WHERE ${SHOWN} ORDER BY a.attrelid, a.attnum`

const KEYS = `
  SELECT i.indrelid, i.indisprimary, pg_catalog.array_to_json(ARRAY(
           SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
           WHERE k.place <= i.indnkeyatts ORDER BY k.place))
  FROM ${FROM} JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
  WHERE ${SHOWN} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  ORDER BY i.indrelid, i.indexrelid`

const FOREIGN_KEYS = `
  SELECT f.conrelid, pn.nspname, p.relname,
         pg_catalog.array_to_json(ARRAY(SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY k(attnum, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum ORDER BY k.place)),
         pg_catalog.array_to_json(ARRAY(SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY k(attnum, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum ORDER BY k.place))
  FROM ${FROM} JOIN pg_catalog.pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0
  JOIN pg_catalog.pg_class p ON p.oid = f.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
  WHERE ${SHOWN} ORDER BY f.conrelid, f.conname COLLATE "C"`

/**
 * Reads the whole catalogue of a database, in a number of statements that does not grow with the number of tables. In the
 * order of schema and name. @throws AppError
 */
export async function readCatalogue(endpoint: Endpoint, signal: AbortSignal): Promise<readonly TableDescription[]> {
  await using connection = await Connection.open(endpoint, signal)
  try {
    return await connection.transaction('read', async () => {
      const relations = await connection.query(RELATIONS)
      const [columns, keys, foreignKeys] = [
        groupByTable(await connection.query(COLUMNS)),
        groupByTable(await connection.query(KEYS)),
        groupByTable(await connection.query(FOREIGN_KEYS)),
      ]
      return relations.map((row) => {
        const of = (rows: ReadonlyMap<string, TextRow[]>): TextRow[] => rows.get(row[0] ?? '') ?? []
        return toDescription(row, { columns: of(columns), keys: of(keys), foreignKeys: of(foreignKeys) })
      })
    })
  } catch (error) {
    throw toAppError(error, 'reading the catalogue')
  }
}

function toDescription(
  [, schema, name, kind, estimate, hides]: TextRow,
  { columns, keys, foreignKeys }: Record<'columns' | 'keys' | 'foreignKeys', TextRow[]>,
): TableDescription {
  return {
    table: { schema: schema ?? '', name: name ?? '' },
    kind: must(KINDS[kind ?? ''], `relkind ${kind}`),
    columns: columns.map(([, column, type, nullable, byDefault, generated]) => ({
      name: column ?? '',
      type: type ?? '',
      nullable: nullable === 't',
      default: byDefault ?? null,
      generated: generated === 't',
    })),
    primaryKey: keys.filter(([, primary]) => primary === 't').flatMap(([, , names]) => toNames(names)),
    uniqueKeys: keys.filter(([, primary]) => primary !== 't').map(([, , names]) => toNames(names)),
    foreignKeys: foreignKeys.map(([, parentSchema, parent, own, theirs]) => ({
      columns: toNames(own),
      references: { schema: parentSchema ?? '', name: parent ?? '' },
      referencedColumns: toNames(theirs),
    })),
    estimatedRows: Number(estimate) < 0 ? null : Number(estimate),
    hidesRows: hides === 't',
  }
}

function groupByTable(rows: readonly TextRow[]): Map<string, TextRow[]> {
  return Map.groupBy(rows, ([oid]) => oid ?? '')
}

function toNames(json: string | null | undefined): string[] {
  const names: unknown = JSON.parse(json ?? '[]')
  return Array.isArray(names) ? names.map(String) : []
}

/** A view may take any time to answer. */
const PREVIEW_TIMEOUT = '15s'

/**
 * The first rows of a table or view, in no order; columns that this login may not read are left out.
 * @throws AppError `table_not_found`, `missing_privilege`, `row_level_security`
 */
export async function readPreview(
  endpoint: Endpoint,
  { table, limit, only }: PreviewQuestion,
  signal: AbortSignal,
): Promise<RowsPreview> {
  await using connection = await Connection.open(endpoint, signal)
  try {
    return await connection.transaction('read', async () => {
      await connection.script(`SET LOCAL statement_timeout = '${PREVIEW_TIMEOUT}'`)
      const columns = await readColumns(connection, table)
      const cells = columns.flatMap(({ name }) => {
        const text = `${quote(name)}::text`
        return [`pg_catalog.left(${text}, ${SHOWN_CHARACTERS})`, `pg_catalog.length(${text})`]
      })
      const most = Math.min(Math.max(1, limit), MOST_PREVIEW_ROWS)
      const from = `SELECT ${cells.join(', ')} FROM ${quoteTable(table)}`
      const rows =
        only === undefined
          ? await connection.query(`${from} LIMIT ${most}`)
          : await connection.query(`${from} WHERE ${isOneOf(only.column, columns)} LIMIT ${most}`, [
              JSON.stringify(only.values),
            ])
      return toPreview(columns, rows)
    })
  } catch (error) {
    throw toAppError(error, `reading ${tableName(table)}`)
  }
}

/** The values are cast to the column's own type, so that an index serves. */
function isOneOf(column: string, columns: RowsPreview['columns']): string {
  const type = columns.find(({ name }) => name === column)?.type
  if (type === undefined) throw new AppError('column_not_found', `There is no column "${column}" that can be read.`)
  return `${quote(column)} IN (SELECT v::${type} FROM pg_catalog.json_array_elements_text($1::json) v)`
}

async function readColumns(connection: Connection, { schema, name }: TableRef): Promise<RowsPreview['columns']> {
  const rows = await connection.query(
    `SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
            has_column_privilege(c.oid, a.attnum, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
     FROM ${FROM} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${OF_USERS} ORDER BY a.attnum`,
    [schema, name],
  )
  if (rows.length === 0) throw new AppError('table_not_found', `There is no table ${tableName({ schema, name })}.`)
  const readable = rows.filter(([, , may]) => may === 't')
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
