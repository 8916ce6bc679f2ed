import type { TableRef } from '#model/table.ts'
import type { Connection, TextRow } from './connection.ts'

/**
 * What the catalogue says of a table that decides what is read from it and written into it, as one short text (hazard
 * D10): identity, columns, generated expressions, row-level security, unique indexes, foreign keys either way, triggers,
 * rules, partitions, and the labels of its enums. Statistics, storage parameters, comments and rights are no part of it.
 * Nothing here asks for a lock on the table: it may be held while somebody waits to alter it, and all later locks wait too.
 */
const DIGEST = `pg_catalog.md5(pg_catalog.concat_ws('|', c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity,
    c.relforcerowsecurity,
    (SELECT string_agg(pg_catalog.concat_ws(' ', a.attnum, pg_catalog.quote_ident(a.attname), a.atttypid, a.atttypmod,
        a.attcollation, a.attnotnull, a.atthasdef, a.attgenerated, a.attidentity,
        CASE WHEN a.attgenerated <> '' THEN (SELECT pg_catalog.md5(d.adbin::text)
          FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END), ',' ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT string_agg(pg_catalog.concat_ws(' ', i.indexrelid, i.indkey, i.indisprimary, i.indimmediate, i.indisvalid), ','
        ORDER BY i.indexrelid) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique),
    (SELECT string_agg(pg_catalog.concat_ws(' ', f.oid, f.confdeltype, f.confupdtype, f.condeferrable), ',' ORDER BY f.oid)
     FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.conrelid = c.oid),
    EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid),
    (SELECT string_agg(pg_catalog.concat_ws(' ', g.oid, g.tgenabled), ',' ORDER BY g.oid)
     FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
    (SELECT string_agg(pg_catalog.concat_ws(' ', r.oid, r.ev_enabled), ',' ORDER BY r.oid)
     FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid)))`

/** The files of the table, or of all partitions; pg_relation_filenode tells the present one in whatever snapshot. */
const STORAGE = `CASE WHEN c.relkind <> 'p' THEN pg_catalog.pg_relation_filenode(c.oid)::text
  ELSE (WITH RECURSIVE p(oid) AS (SELECT c.oid UNION SELECT i.inhrelid FROM p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid)
    SELECT pg_catalog.md5(string_agg(pg_catalog.concat_ws(' ', p.oid, pg_catalog.pg_relation_filenode(p.oid)), ',' ORDER BY p.oid))
    FROM p) END`

/** Of tables by their schemas and names: those, the digest and the storage. */
export const DEFINITIONS = `
  SELECT n.nspname, c.relname, ${DIGEST}, coalesce(${STORAGE}, '-')
  FROM unnest($1::text[], $2::text[]) w(schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name`

const LABELS = `
  SELECT e.oid, pg_catalog.array_to_json(ARRAY(
    SELECT l.enumlabel FROM pg_catalog.pg_enum l WHERE l.enumtypid = e.oid ORDER BY l.enumsortorder))
  FROM unnest($1::oid[]) e(oid)`

/** A table by name, with the enums that its columns hold. */
export interface Wanted {
  readonly ref: TableRef
  /** Object identifiers of the enum types, in any depth. */
  readonly enums: readonly number[]
}

/** The definition of a table from its parts; `labels` by the oid of the enum. */
export function definitionText(
  row: { readonly digest: string; readonly storage: string },
  labels: ReadonlyMap<number, readonly string[]>,
  enums: readonly number[],
): string {
  const known = enums.toSorted((a, b) => a - b).map((oid) => [oid, labels.get(oid) ?? []])
  return [row.digest, row.storage, ...(known.length > 0 ? [JSON.stringify(known)] : [])].join(' ')
}

/** Digest and storage of each table, in the order asked for; null where there is none of that name. */
export async function readDigests(
  connection: Pick<Connection, 'query'>,
  tables: readonly TableRef[],
): Promise<({ digest: string; storage: string } | null)[]> {
  const rows = await connection.query(DEFINITIONS, [tables.map((ref) => ref.schema), tables.map((ref) => ref.name)])
  const found = new Map(rows.map((row) => [idOf(row), { digest: row[2] ?? '', storage: row[3] ?? '' }]))
  return tables.map((ref) => found.get(idOf([ref.schema, ref.name])) ?? null)
}

/** Definitions as they are now, in the order asked for; null where there is no such table. */
export async function readDefinitions(
  connection: Connection,
  tables: readonly Wanted[],
): Promise<readonly (string | null)[]> {
  const digests = await readDigests(
    connection,
    tables.map(({ ref }) => ref),
  )
  const enums = [...new Set(tables.flatMap((table) => table.enums))]
  const labels = new Map<number, readonly string[]>()
  if (enums.length > 0) {
    for (const [oid, json] of await connection.query(LABELS, [enums])) labels.set(Number(oid), toLabels(json))
  }
  return digests.map((row, i) => (row === null ? null : definitionText(row, labels, tables[i]?.enums ?? [])))
}

function toLabels(json: string | null | undefined): string[] {
  const parsed: unknown = JSON.parse(json ?? '[]')
  return Array.isArray(parsed) ? parsed.map(String) : []
}

function idOf([schema, name]: TextRow): string {
  return JSON.stringify([schema, name])
}
