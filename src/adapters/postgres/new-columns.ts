import type { Addition, KnownColumns, SourceOfTarget } from '#adapters/adapter.ts'
import { TO_BE_ADDED, type Column, type TableRef } from '#model/table.ts'
import type { Connection, TextRow } from './connection.ts'
import { readTypes, TYPES_BY_OID } from './introspect.ts'
import { literal, quote, quoteTable } from './sql.ts'
import { columnType } from './types.ts'

const TABLE = `
  SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE'), c.relispartition, c.reloftype <> 0,
         pg_catalog.pg_get_userbyid(c.relowner), current_user
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2`

/** A type by the name that the source spells it with; the modifier makes no difference to which type it is. */
const TYPES = `
  SELECT w.n, pg_catalog.to_regtype(w.name)::oid, t.typname, n.nspname,
         (SELECT pg_catalog.to_regcollation(w.coll) IS NOT NULL)
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY w(name, coll, n)
  LEFT JOIN pg_catalog.pg_type t ON t.oid = pg_catalog.to_regtype(w.name)
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace ORDER BY w.n`

/** The collation of the database itself, which has a name of its own on no server. */
const DEFAULT_COLLATION = '"default"'

/** How columns of another PostgreSQL would be added to a table here. Must run in a transaction with an empty search path. */
export async function planAdditions(
  connection: Connection,
  table: TableRef,
  columns: readonly Column[],
): Promise<Addition[]> {
  const [facts] = await connection.query(TABLE, [table.schema, table.name])
  const names = columns.map(({ nativeType }) => nativeType)
  const found = await connection.query(TYPES, [names, columns.map(({ collation }) => collation)])
  const oids = found.flatMap((row) => (row[1] ? [row[1]] : []))
  const catalog = await readTypes(connection, [[...new Set(oids)]], TYPES_BY_OID)
  return columns.map((column, i): Addition => {
    const row = found[i] ?? []
    const own = column.collation !== null && column.collation !== DEFAULT_COLLATION
    const sql =
      `ALTER TABLE ${quoteTable(table)} ADD COLUMN ${quote(column.name)} ${column.nativeType}` +
      (own ? ` COLLATE ${column.collation}` : '')
    const here = row[1] ? columnType(catalog, Number(row[1]), -1, column.nativeType) : null
    const refused =
      refusedByType(column, row, here) ??
      (own && row[4] !== 't' ? `the target has no collation ${column.collation}: create it there first` : null) ??
      refusedByTable(facts, sql)
    return { column: asAdded(column), sql: `${sql};`, refused }
  })
}

function asAdded(column: Column): Column {
  const { name, type, nativeType, collation } = column
  return {
    name,
    id: TO_BE_ADDED,
    type,
    nativeType,
    collation,
    nullable: true,
    hasDefault: false,
    generated: null,
    expression: null,
    identity: null,
    sequence: null,
  }
}

function refusedByType(column: Column, row: TextRow, here: Column['type'] | null): string | null {
  const { type, nativeType } = column
  if (here === null) {
    const create =
      type.kind === 'enum' ? `: CREATE TYPE ${nativeType} AS ENUM (${type.labels.map(literal).join(', ')});` : ' first'
    return `the target has no type ${nativeType}; create it there${create}`
  }
  // What the server itself brings along is the same everywhere. Everything else only shares a name until it is compared.
  const shipped = row[3] === 'pg_catalog'
  return shipped || JSON.stringify(here) === JSON.stringify(type)
    ? null
    : `the type ${nativeType} of the target is another one than that of the source`
}

function refusedByTable(facts: TextRow | undefined, sql: string): string | null {
  const [owns, isPartition, isTyped, owner, login] = facts ?? []
  if (isPartition === 't') return 'the table is a partition, and gets its columns from its parent'
  if (isTyped === 't') return 'the table has the columns of a type, and gets no others'
  return owns === 't' ? null : `the role ${login} does not own the table; run this as ${owner}: ${sql};`
}

export function renameSql(table: TableRef, from: string, to: string): string {
  return `ALTER TABLE ${quoteTable(table)} RENAME COLUMN ${quote(from)} TO ${quote(to)};`
}

const READABLE = `
  SELECT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'syncline' AND c.relname = 'state' AND a.attname = 'source_columns' AND NOT a.attisdropped
      AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'))`

/** What the last run of each mapping knew of its source; null where none did, or where this login may not look. */
export async function readLastColumns(
  connection: Connection,
  mappings: readonly SourceOfTarget[],
): Promise<(KnownColumns | null)[]> {
  const [readable] = await connection.query(READABLE)
  if (readable?.[0] !== 't') return mappings.map(() => null)
  const rows = await connection.query(
    `SELECT (SELECT s.source_columns FROM syncline.state s
             WHERE s.source = w.source AND s.target_schema = w.schema AND s.target_table = w.name
               AND s.source_columns IS NOT NULL ORDER BY s.updated_at DESC LIMIT 1)
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY w(source, schema, name, n) ORDER BY w.n`,
    [
      mappings.map(({ source }) => source),
      mappings.map(({ target }) => target.schema),
      mappings.map(({ target }) => target.name),
    ],
  )
  return mappings.map((_, i) => readKnown(rows[i]?.[0] ?? null))
}

/** As it stands in `syncline.state`. */
export function writeKnown({ table, names }: KnownColumns): string {
  return JSON.stringify({ table, names: [...names] })
}

/** The reverse of `writeKnown`. */
export function readKnown(text: string | null): KnownColumns | null {
  if (text === null) return null
  const { table, names } = JSON.parse(text) as { table: string; names: [number, string][] }
  return { table, names: new Map(names) }
}
