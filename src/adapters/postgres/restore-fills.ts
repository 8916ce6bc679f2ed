/** Tables that a dump brings rows into and does not make: which of them have rows that it puts others in the place of. */
import type { TableRef } from '#model/table.ts'
import { tableId } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { itself, readTables } from './restore-clear.ts'
import { quoteTable } from './sql.ts'

/**
 * Rows of a table of an extension that belong to the user, as ` WHERE …`: dumps hold these, and the others come with the extension.
 */
const CONDITIONS = `
  SELECT n.nspname, c.relname, x.extcondition[i]
  FROM pg_catalog.pg_extension x CROSS JOIN LATERAL pg_catalog.generate_subscripts(x.extconfig, 1) i
  JOIN pg_catalog.pg_class c ON c.oid = x.extconfig[i] JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE x.extcondition[i] <> '' AND c.relkind = 'r'`

/** By `tableId`. */
async function readConditions(connection: Connection): Promise<ReadonlyMap<string, string>> {
  const rows = await connection.query(CONDITIONS)
  return new Map(
    rows.map(([schema, name, where]) => [tableId({ schema: schema ?? '', name: name ?? '' }), where ?? '']),
  )
}

interface Fill {
  readonly ref: TableRef
  readonly oid: string
}

interface Fills {
  readonly missing: readonly TableRef[]
  /** Those with rows that would be replaced. */
  readonly filled: readonly TableRef[]
  /** These, their partitions, and those that refer to them, which the server empties together with them or not at all. */
  readonly emptied: readonly TableRef[]
}

export async function readFills(connection: Connection, fills: readonly TableRef[]): Promise<Fills> {
  const conditions = await readConditions(connection)
  const missing: TableRef[] = []
  const there: Fill[] = []
  const filled: Fill[] = []
  for (const [schema, name, oid, kind] of await readTables(connection, fills)) {
    if (!schema || !name) continue
    const ref = { schema, name }
    if (!oid) {
      missing.push(ref)
      continue
    }
    there.push({ ref, oid })
    const rows = `${itself(ref, kind)} ${conditions.get(tableId(ref)) ?? ''}`
    const [row] = await connection.query(`SELECT EXISTS (SELECT 1 FROM ${rows})`)
    if (row?.[0] === 't') filled.push({ ref, oid })
  }
  const emptied = filled.length === 0 ? [] : await withTied(connection, filled, there)
  return { missing, filled: filled.map(({ ref }) => ref), emptied: emptied.map(({ ref }) => ref) }
}

/** Partitioned tables all of whose rows are in tables of $1: a foreign key is one of theirs too. */
const WHOLE = `
  SELECT n.nspname, c.relname, c.oid::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'p' AND c.oid <> ALL ($1::pg_catalog.oid[])
    AND c.oid IN (SELECT a.relid::pg_catalog.oid FROM unnest($1::pg_catalog.oid[]) o CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(o) a)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.isleaf AND t.relid <> ALL ($1::pg_catalog.oid[]))`

/** All below the partitioned tables among $1: their rows are those of the tables above. */
const PARTITIONS = `
  SELECT n.nspname, c.relname, c.oid::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid <> ALL ($1::pg_catalog.oid[]) AND c.oid IN (
    SELECT t.relid::pg_catalog.oid FROM unnest($1::pg_catalog.oid[]) o CROSS JOIN LATERAL pg_catalog.pg_partition_tree(o) t)`

/** Which table of $1 is emptied with which: because it refers to that one, or is a partition of it. */
const TIES = `
  SELECT conrelid::text, confrelid::text FROM pg_catalog.pg_constraint
  WHERE contype = 'f' AND conrelid = ANY ($1::pg_catalog.oid[]) AND confrelid = ANY ($1::pg_catalog.oid[])
  UNION
  SELECT i.inhrelid::text, i.inhparent::text FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
  WHERE p.relkind = 'p' AND i.inhrelid = ANY ($1::pg_catalog.oid[]) AND i.inhparent = ANY ($1::pg_catalog.oid[])`

/** With those among the others that are emptied with them, at any distance. */
async function withTied(
  connection: Connection,
  filled: readonly Fill[],
  there: readonly Fill[],
): Promise<readonly Fill[]> {
  const own = [there.map(({ oid }) => oid)]
  const more = [...(await connection.query(WHOLE, own)), ...(await connection.query(PARTITIONS, own))]
  const all = [
    ...there,
    ...more.map(([schema, name, oid]) => ({ ref: { schema: schema ?? '', name: name ?? '' }, oid: oid ?? '' })),
  ]
  const ties = await connection.query(TIES, [all.map(({ oid }) => oid)])
  const wanted = new Set(filled.map(({ oid }) => oid))
  for (let before = 0; wanted.size > before;) {
    before = wanted.size
    for (const [tied, to] of ties) if (wanted.has(to ?? '')) wanted.add(tied ?? '')
  }
  return all.filter(({ oid }) => wanted.has(oid))
}

/** Empties these tables, all at once, because they may refer to one another: of a table of an extension, the user's rows. */
export async function emptyStatements(connection: Connection, tables: readonly TableRef[]): Promise<string> {
  const conditions = await readConditions(connection)
  const whole: string[] = []
  const parts: string[] = []
  for (const [schema, name, , kind] of await readTables(connection, tables)) {
    const ref = { schema: schema ?? '', name: name ?? '' }
    const condition = conditions.get(tableId(ref))
    if (condition === undefined) whole.push(itself(ref, kind))
    else parts.push(`gone_${parts.length} AS (DELETE FROM ONLY ${quoteTable(ref)} ${condition})`)
  }
  return [
    ...(whole.length === 0 ? [] : [`TRUNCATE ${whole.join(', ')}`]),
    ...(parts.length === 0 ? [] : [`WITH ${parts.join(', ')} SELECT`]),
  ].join('; ')
}
