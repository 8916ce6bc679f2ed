import type {
  ColumnOutline,
  DefaultOutline,
  ForeignKeyAction,
  IndexOutline,
  TableOutline,
} from '#model/table-outline.ts'
import { tableId, type Column, type TableSchema } from '#model/table.ts'
import type { Connection, TextRow } from './connection.ts'

const WANTED = `
  FROM unnest($1::text[], $2::text[]) w(schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name`

const COLUMNS = `
  SELECT n.nspname, c.relname, a.attname,
         CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END,
         pg_catalog.col_description(c.oid, a.attnum)
  ${WANTED} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum`

const COMMENTS = `SELECT n.nspname, c.relname, pg_catalog.obj_description(c.oid, 'pg_class') ${WANTED}`

/** Indexes that serve for finding rows, and what a plain one is not; unique plain ones are keys of the schema. */
const INDEXES = `
  SELECT n.nspname, c.relname, x.relname, m.amname, i.indpred IS NULL AND i.indexprs IS NULL, i.indisunique,
         pg_catalog.array_to_json(ARRAY(
           SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
           WHERE k.place <= i.indnkeyatts ORDER BY k.place))
  ${WANTED} JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = x.relam
  WHERE i.indisvalid ORDER BY x.relname COLLATE "C"`

const CONSTRAINTS = `
  SELECT n.nspname, c.relname, f.contype, f.conname, f.confdeltype, f.confupdtype
  ${WANTED} JOIN pg_catalog.pg_constraint f ON f.conrelid = c.oid AND f.contype IN ('c', 'f', 'x')
  ORDER BY f.conname COLLATE "C"`

/** What belongs to tables beside what every engine knows of them. In the order of the schemas. */
export async function outlineTables(
  connection: Connection,
  schemas: readonly TableSchema[],
): Promise<readonly TableOutline[]> {
  const wanted = [schemas.map(({ ref }) => ref.schema), schemas.map(({ ref }) => ref.name)]
  const rowsOf = async (sql: string): Promise<Map<string, TextRow[]>> =>
    Map.groupBy(await connection.query(sql, wanted), ([schema, name]) =>
      tableId({ schema: schema ?? '', name: name ?? '' }),
    )
  const [columns, comments, indexes, constraints] = [
    await rowsOf(COLUMNS),
    await rowsOf(COMMENTS),
    await rowsOf(INDEXES),
    await rowsOf(CONSTRAINTS),
  ]
  return schemas.map((schema) => {
    const of = (rows: ReadonlyMap<string, TextRow[]>): TextRow[] => rows.get(tableId(schema.ref)) ?? []
    return toOutline(schema, {
      columns: of(columns),
      comment: of(comments)[0]?.[2] ?? null,
      indexes: of(indexes),
      constraints: of(constraints),
    })
  })
}

function toOutline(
  schema: TableSchema,
  found: { columns: TextRow[]; comment: string | null; indexes: TextRow[]; constraints: TextRow[] },
): TableOutline {
  const texts = new Map(found.columns.map(([, , name, text, comment]) => [name ?? '', { text, comment }]))
  const plain = (row: TextRow): boolean => row[3] === 'btree' && row[4] === 't'
  const others = found.indexes.filter((row) => !plain(row))
  const foreign = found.constraints.filter(([, , kind]) => kind === 'f')
  return {
    engine: 'postgres',
    schema,
    comment: found.comment,
    columns: new Map(
      schema.columns.map((column): [string, ColumnOutline] => {
        const { text = null, comment = null } = texts.get(column.name) ?? {}
        return [column.name, { default: toDefault(column, text), comment }]
      }),
    ),
    indexes: found.indexes.filter((row) => plain(row) && row[5] !== 't').map(toIndex),
    actions: new Map(
      foreign.map(([, , , name, onDelete, onUpdate]) => [
        name ?? '',
        { onDelete: ACTIONS[onDelete ?? ''] ?? 'no action', onUpdate: ACTIONS[onUpdate ?? ''] ?? 'no action' },
      ]),
    ),
    left: [
      ...found.constraints.flatMap(([, , kind, name]) =>
        kind === 'c' ? [`the check ${name}`] : kind === 'x' ? [`the exclusion constraint ${name}`] : [],
      ),
      ...others.map(([, , name, method, whole]) =>
        whole === 't' ? `the index ${name} (${method})` : `the index ${name} (over expressions or a part of the rows)`,
      ),
    ],
  }
}

const ACTIONS: Readonly<Record<string, ForeignKeyAction>> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
}

function toIndex([, , name, , , , columns]: TextRow): IndexOutline {
  const names: unknown = JSON.parse(columns ?? '[]')
  return { name: name ?? '', columns: Array.isArray(names) ? names.map(String) : [] }
}

const NOW = /^(?:now\(\)|CURRENT_TIMESTAMP(?:\(\d\))?|LOCALTIMESTAMP(?:\(\d\))?|CURRENT_DATE|\(now\(\)\)::[\w ()]+)$/i

/** A default as every engine can have it, from the server's own words for its expression. */
function toDefault({ identity, sequence, type }: Column, text: string | null): DefaultOutline | null {
  if (identity !== null || (sequence !== null && (text ?? '').startsWith('nextval('))) return { kind: 'number' }
  if (text === null || text === 'NULL' || text.startsWith('NULL::')) return null
  if (NOW.test(text)) return { kind: 'now' }
  if (/^(?:\w+\.)?(?:gen_random_uuid|uuid_generate_v4)\(\)$/.test(text)) return { kind: 'random uuid' }
  // A text of another type is its own alone.
  if (['array', 'other', 'interval'].includes(type.kind)) return { kind: 'expression', sql: text }
  const quoted = /^'((?:[^']|'')*)'(?:::[^'()]+(?:\(\d+(?:,\d+)?\))?[^'()]*)?$/.exec(text)
  if (quoted !== null) return { kind: 'value', text: (quoted[1] ?? '').replaceAll("''", "'") }
  const [, number] = /^\(?(-?\d+(?:\.\d+)?)\)?(?:::[\w ]+(?:\(\d+(?:,\d+)?\))?)?$/.exec(text) ?? []
  if (number !== undefined) return { kind: 'value', text: number }
  if (type.kind === 'boolean' && /^(?:true|false)$/.test(text)) return { kind: 'value', text: text.slice(0, 1) }
  return { kind: 'expression', sql: text }
}
