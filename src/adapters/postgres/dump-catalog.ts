/** What a dump has to know of the catalogue beside what pg_dump writes of it. */
import type { DumpColumn, DumpTable } from '#adapters/dump-source.ts'
import { AppError } from '#model/errors.ts'
import { formatTableName } from '#model/table-pattern.ts'
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import {
  ABOVE,
  choiceOf,
  CHOSEN,
  CONFIG,
  OF_USER,
  PARENTS,
  toPairs,
  toRefs,
  type SchemaChoice,
} from './dump-relations.ts'
import { quote, quoteTable } from './sql.ts'

/** What is read of a table beside what everybody may know. */
export interface CataloguedTable extends DumpTable {
  readonly oid: string
  /** Of its root where it is a partition, else its own. */
  readonly rootOid: string
  readonly pages: number
  readonly isHeap: boolean
  /** Rows of a table of an extension that belong to the user: ` WHERE …`, or empty. */
  readonly condition: string
}

/**
 * A row in a hash partition by an enum belongs elsewhere in another database, where the labels have other OIDs: such rows go
 * by way of the root, as pg_dump has it.
 */
const TABLES = `
  WITH RECURSIVE up(leaf, parent) AS (
      SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
       WHERE p.relkind = 'p'
    UNION ALL
      SELECT up.leaf, i.inhparent FROM up JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.parent
  ), unsafe AS (
      SELECT DISTINCT up.leaf FROM up JOIN pg_catalog.pg_partitioned_table t ON t.partrelid = up.parent AND t.partstrat = 'h'
       WHERE EXISTS (SELECT FROM unnest(t.partclass::oid[]) o JOIN pg_catalog.pg_opclass k ON k.oid = o
                      WHERE k.opcintype = 'pg_catalog.anyenum'::regtype)
  ), ${ABOVE}, ${CONFIG}
  SELECT c.oid, n.nspname, c.relname, coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid), rn.nspname, r.relname,
         c.reltuples::float8, coalesce(pg_catalog.pg_table_size(c.oid), 0),
         coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::int8,
         (SELECT amname = 'heap' FROM pg_catalog.pg_am WHERE oid = c.relam), coalesce(config.condition, ''),
         EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attidentity <> '' AND NOT a.attisdropped),
         (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.atttypid::int8) ORDER BY a.attnum), '[]')
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
         pg_catalog.row_security_active(c.oid), c.relfilenode = pg_catalog.pg_relation_filenode(c.oid),
         pg_catalog.has_table_privilege(c.oid, 'SELECT'),
         ${PARENTS}, config.oid IS NOT NULL
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN config ON config.oid = c.oid
    LEFT JOIN unsafe ON unsafe.leaf = c.oid
    LEFT JOIN pg_catalog.pg_class r ON unsafe.leaf IS NOT NULL AND r.oid = pg_catalog.pg_partition_root(c.oid)
    LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND ${CHOSEN}
     AND ${OF_USER}
   ORDER BY n.nspname, c.relname`

/** Types whose values stand in SQL without quotes: int8, int2, int4, numeric; and bool. */
const NUMBERS: readonly unknown[] = [20, 21, 23, 1700]
const BOOLEAN = 16

interface FoundTable {
  readonly table: CataloguedTable
  readonly hidesRows: boolean
  /** It has not been rewritten since the snapshot was taken. */
  readonly asItWas: boolean
  readonly readable: boolean
  /** A table of an extension, of which the user's rows alone are dumped. */
  readonly ofExtension: boolean
}

interface WantedTables {
  readonly schemas: SchemaChoice
  readonly wants: (table: CataloguedTable) => boolean
  /** They go into another database. */
  readonly elsewhere: boolean
}

/**
 * The tables whose rows are dumped. Called again once they are locked, it finds those that were rewritten between the snapshot
 * and the lock, and look empty to the snapshot.
 * @throws AppError `row_level_security`, `missing_privilege`, `schema_changed`
 */
export async function readDumpTables(
  connection: Connection,
  { schemas, wants, elsewhere }: WantedTables,
): Promise<readonly CataloguedTable[]> {
  const rows = await connection.query(TABLES, choiceOf(schemas))
  const found = rows.map(toFound).filter(({ table }) => wants(table))
  const name = (those: readonly FoundTable[]): string => those.map(({ table }) => formatTableName(table.ref)).join(', ')
  const hidden = found.filter(({ hidesRows }) => hidesRows)
  if (hidden.length > 0) {
    throw new AppError('row_level_security', `Row-level security hides rows of ${name(hidden)} from this login.`)
  }
  const unreadable = found.filter(({ readable }) => !readable)
  if (unreadable.length > 0) {
    throw new AppError('missing_privilege', `This login may not read ${name(unreadable)}.`, {
      hint: `Run as the owner: ${unreadable.map(({ table }) => `GRANT SELECT ON ${quoteTable(table.ref)} TO …`).join('; ')}`,
    })
  }
  const rewritten = found.filter(({ asItWas }) => !asItWas)
  if (rewritten.length > 0) {
    throw new AppError('schema_changed', `${name(rewritten)} was rewritten while the dump began.`, { retry: 'later' })
  }
  const tables: CataloguedTable[] = []
  // Where its extension is made with the dump such a table is not there yet: it is named where there is something to bring.
  const isNamed = async ({ table, ofExtension }: FoundTable): Promise<boolean> =>
    !ofExtension || !elsewhere || (await hasRows(connection, table))
  for (const each of found) if (await isNamed(each)) tables.push(each.table)
  return tables
}

async function hasRows(connection: Connection, { ref, condition }: CataloguedTable): Promise<boolean> {
  const [row] = await connection.query(`SELECT EXISTS (SELECT FROM ONLY ${quoteTable(ref)} ${condition})`)
  return row?.[0] === 't'
}

function toFound(row: readonly (string | null)[]): FoundTable {
  const [oid, schema, name, rootOid, rootSchema, rootName, tuples, bytes, pages, heap, condition, identity] = row
  const [columns, hidesRows, asItWas, readable, parents, ofExtension] = row.slice(12)
  const ref = { schema: schema ?? '', name: name ?? '' }
  return {
    table: {
      oid: oid ?? '',
      rootOid: rootOid ?? '',
      ref,
      into: rootSchema && rootName ? { schema: rootSchema, name: rootName } : ref,
      parents: toRefs(parents ?? '[]'),
      columns: toColumns(columns ?? '[]'),
      hasIdentity: identity === 't',
      rowEstimate: Number(tuples) < 0 ? null : Math.round(Number(tuples)),
      bytes: Number(bytes),
      pages: Number(pages),
      isHeap: heap === 't',
      condition: condition ?? '',
    },
    hidesRows: hidesRows === 't',
    asItWas: asItWas === 't',
    readable: readable === 't',
    ofExtension: ofExtension === 't',
  }
}

function toColumns(json: string): DumpColumn[] {
  return toPairs(json).map(([name, type]) => ({
    name: String(name),
    literal: NUMBERS.includes(type) ? 'number' : type === BOOLEAN ? 'boolean' : 'text',
  }))
}

/** Parents before children, by foreign keys: rows that are restored without definitions meet keys that hold already. */
export async function inOrderOfKeys(
  connection: Connection,
  tables: readonly CataloguedTable[],
): Promise<{ readonly tables: readonly CataloguedTable[]; readonly inRings: readonly CataloguedTable[] }> {
  const rows = await connection.query(`
    SELECT coalesce(pg_catalog.pg_partition_root(conrelid)::oid, conrelid), coalesce(pg_catalog.pg_partition_root(confrelid)::oid, confrelid)
      FROM pg_catalog.pg_constraint WHERE contype = 'f'`)
  const needs = new Map<string, Set<string>>()
  for (const [from = '', to = ''] of rows) {
    if (from === null || to === null || from === to) continue
    needs.set(from, (needs.get(from) ?? new Set()).add(to))
  }
  const waiting = new Map<string, CataloguedTable[]>()
  for (const table of tables) waiting.set(table.rootOid, [...(waiting.get(table.rootOid) ?? []), table])
  const ordered: CataloguedTable[] = []
  const inRings: CataloguedTable[] = []
  while (waiting.size > 0) {
    const free = [...waiting.keys()].filter((oid) => [...(needs.get(oid) ?? [])].every((each) => !waiting.has(each)))
    const next = free.length > 0 ? free : [...waiting.keys()]
    for (const oid of next) {
      const those = waiting.get(oid) ?? []
      ordered.push(...those)
      if (free.length === 0) inRings.push(...those)
      waiting.delete(oid)
    }
  }
  return { tables: ordered, inRings }
}

const SEQUENCES = `
  WITH ${CONFIG}
  SELECT n.nspname, c.relname, owner.refobjid::text, config.oid IS NOT NULL
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_depend owner ON owner.classid = 'pg_catalog.pg_class'::regclass AND owner.objid = c.oid
          AND owner.refclassid = owner.classid AND owner.deptype IN ('a', 'i')
    LEFT JOIN config ON config.oid = c.oid
   WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND ${CHOSEN} AND ${OF_USER}
   ORDER BY n.nspname, c.relname`

/** A sequence, with the table whose column it feeds; one of an extension is told where it has given out values. */
export interface DumpSequence extends TableRef {
  readonly owner: string | null
  readonly ofExtension: boolean
}

/** Sequences of the chosen schemas. */
export async function readSequenceNames(
  connection: Connection,
  schemas: SchemaChoice,
): Promise<readonly DumpSequence[]> {
  const rows = await connection.query(SEQUENCES, choiceOf(schemas))
  return rows.map(([schema, name, owner, ofExtension]) => ({
    schema: schema ?? '',
    name: name ?? '',
    owner: owner ?? null,
    ofExtension: ofExtension === 't',
  }))
}

const SEQUENCES_AT_ONCE = 200

/** Statements that bring sequences to where they are now. */
export async function readSetvals(
  connection: Connection,
  sequences: readonly DumpSequence[],
): Promise<readonly string[]> {
  const statements: string[] = []
  for (let at = 0; at < sequences.length; at += SEQUENCES_AT_ONCE) {
    const part = sequences.slice(at, at + SEQUENCES_AT_ONCE)
    const rows = await connection.query(
      part.map((ref, i) => `SELECT ${i}, last_value, is_called FROM ${quoteTable(ref)}`).join(' UNION ALL '),
    )
    for (const [i, value, called] of rows.toSorted(([a], [b]) => Number(a) - Number(b))) {
      const ref = part[Number(i)]
      if (ref === undefined || (ref.ofExtension && called !== 't')) continue
      const name = textLiteral(quoteTable(ref))
      statements.push(`SELECT pg_catalog.setval(${name}, ${value}, ${called === 't'})`)
    }
  }
  return statements
}

function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

const FILLED_VIEWS = `
  SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'm' AND c.relispopulated AND ${CHOSEN} ORDER BY c.oid`

/** Materialized views that hold rows, in the order in which they were made: none looks into a later one. */
export async function readFilledViews(connection: Connection, schemas: SchemaChoice): Promise<readonly TableRef[]> {
  const rows = await connection.query(FILLED_VIEWS, [schemas.only, schemas.exclude])
  return rows.map(([schema, name]) => ({ schema: schema ?? '', name: name ?? '' }))
}

const LEFT_OUT = `
  SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata),
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_user_mappings),
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_subscription WHERE relid IS NULL),
         (SELECT pg_catalog.string_agg(n.nspname || '.' || c.relname, ', ' ORDER BY 1) FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'f' AND ${CHOSEN}),
         (SELECT pg_catalog.string_agg(n.nspname || '.' || c.relname, ', ' ORDER BY 1) FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.reltablespace <> 0 AND ${CHOSEN})`

/** What no dump of ours carries, in words for whoever restores it. */
export async function readLeftOut(connection: Connection, schemas: SchemaChoice): Promise<readonly string[]> {
  const [row = []] = await connection.query(LEFT_OUT, [schemas.only, schemas.exclude])
  const [largeObjects, mappings, subscriptions, foreign, tablespaces] = row
  const notes: string[] = []
  if (Number(largeObjects) > 0) notes.push(`${largeObjects} large objects are not in the dump.`)
  if (Number(mappings) > 0) notes.push(`User mappings of foreign servers (${mappings}) are not: they hold passwords.`)
  if (Number(subscriptions) > 0) notes.push(`Subscriptions (${subscriptions}) are not: they hold passwords.`)
  if (foreign) notes.push(`Rows of foreign tables stay where they are: ${foreign}.`)
  if (tablespaces) notes.push(`Everything is restored into the default tablespace; not there by now: ${tablespaces}.`)
  return notes
}

/** The columns of a table in SQL; empty where it has none. */
export function columnList({ columns }: DumpTable): string {
  return columns.map(({ name }) => quote(name)).join(', ')
}
