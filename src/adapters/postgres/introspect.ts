import { QUERY_COLUMN, QUERY_SCHEMA } from '#adapters/query-schema.ts'
import type { Column, ForeignKey, TableRef, TableSchema, UniqueKey } from '#model/table.ts'
import { tableId } from '#model/table.ts'
import { must } from '#lib/assert.ts'
import type { Connection, TextRow } from './connection.ts'
import { DEFINITIONS, definitionText, readDigests } from './definition.ts'
import { queryInFrom } from './sql.ts'
import { binaryType, columnType, enumsOf, type PgType, type TypeCatalog } from './types.ts'

/** What the catalogue says of a table beyond what every engine has. */
export interface PgTable {
  readonly schema: TableSchema
  /** The SELECT that stands for the table; null for a relation. */
  readonly query: string | null
  readonly oid: number
  /** The texts of its database are in UTF-8. */
  readonly utf8: boolean
  readonly partitioned: boolean
  /** Heap tables that hold the rows: the table itself, or the leaves of a partitioned one, with their pages. */
  readonly heaps: readonly { readonly ref: TableRef; readonly pages: number }[]
  /** Columns that binary COPY may carry to a server of the same major version, and as what. */
  readonly binaryTypes: ReadonlyMap<string, string>
  /** Enum types that its columns hold, in any depth. */
  readonly enums: readonly number[]
  /** How each column is compared with a parameter: the type to cast to, without modifier, and the schema of its `=`. */
  readonly comparison: ReadonlyMap<string, { readonly castType: string; readonly operatorSchema: string }>
}

/** Schemas of the server, of poolers, and ours: never offered as user data. */
const HIDDEN = `('pg_catalog', 'information_schema', 'pg_toast', 'syncline')`

const RELATIONS = `
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.reltuples::int8, pg_catalog.pg_table_size(c.oid),
         coalesce(has_table_privilege(c.oid, 'SELECT'), false), coalesce(has_table_privilege(c.oid, 'INSERT'), false),
         coalesce(has_table_privilege(c.oid, 'UPDATE'), false), coalesce(has_table_privilege(c.oid, 'DELETE'), false),
         EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid),
         coalesce(has_schema_privilege(n.oid, 'USAGE'), false)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ${HIDDEN} AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'
    AND (c.relkind NOT IN ('r', 'p') OR NOT c.relispartition OR $1::text[] IS NOT NULL)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
    AND ($1::text[] IS NULL OR (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])))
  ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`

const COLUMNS = `
  SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod),
         a.attnotnull, a.attgenerated, a.attidentity,
         CASE WHEN a.attgenerated = '' THEN coalesce(
           (SELECT d.objid::regclass::text FROM pg_catalog.pg_depend d
            WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
              AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
              AND EXISTS (SELECT FROM pg_catalog.pg_class s WHERE s.oid = d.objid AND s.relkind = 'S')
            ORDER BY d.objid LIMIT 1),
           (SELECT d.refobjid::regclass::text
            FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d
              ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
             AND d.refclassid = 'pg_catalog.pg_class'::regclass
            JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
            WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum ORDER BY d.refobjid LIMIT 1)) END,
         pg_catalog.format_type(a.atttypid, -1), a.atthasdef OR t.typdefault IS NOT NULL,
         CASE WHEN a.attgenerated <> '' THEN (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
           FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END,
         CASE WHEN a.attcollation <> 0 THEN a.attcollation::regcollation::text END, a.attnum
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attrelid, a.attnum`

const KEYS = `
  SELECT i.indrelid, x.relname, i.indisprimary, i.indimmediate,
         pg_catalog.array_to_json(ARRAY(
           SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
           WHERE k.n <= i.indnkeyatts ORDER BY k.n)),
         (SELECT bool_and(a.attnotnull) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts)
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = ANY($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  ORDER BY i.indrelid, x.relname COLLATE "C"`

const FOREIGN_KEYS = `
  SELECT f.conrelid, f.conname, n.nspname, p.relname, f.condeferrable,
         pg_catalog.array_to_json(ARRAY(SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY k(attnum, n)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum ORDER BY k.n)),
         pg_catalog.array_to_json(ARRAY(SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY k(attnum, n)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum ORDER BY k.n))
  FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class p ON p.oid = f.confrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
  WHERE f.contype = 'f' AND f.conrelid = ANY($1::oid[]) AND f.conparentid = 0
  ORDER BY f.conrelid, f.conname COLLATE "C"`

const TRIGGERS = `
  SELECT tgrelid, tgname FROM pg_catalog.pg_trigger
  WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgrelid = ANY($1::oid[])
  UNION ALL
  SELECT ev_class, rulename FROM pg_catalog.pg_rewrite
  WHERE rulename <> '_RETURN' AND ev_enabled IN ('O', 'A') AND ev_class = ANY($1::oid[])
  ORDER BY 1, 2`

/** The table itself and all its partitions, with the pages of those that hold rows. */
const HEAPS = `
  SELECT p.oid, n.nspname, c.relname, greatest(c.relpages,
         CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::int8 ELSE 0 END),
         c.relkind <> 'p', c.oid <> p.oid
  FROM unnest($1::oid[]) p(oid) CROSS JOIN LATERAL (
    SELECT p.oid AS member WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class t WHERE t.oid = p.oid AND t.relkind = 'p')
    UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree(p.oid::regclass)
      WHERE EXISTS (SELECT FROM pg_catalog.pg_class t WHERE t.oid = p.oid AND t.relkind = 'p')) l
  JOIN pg_catalog.pg_class c ON c.oid = l.member JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  ORDER BY p.oid, n.nspname COLLATE "C", c.relname COLLATE "C"`

const TYPES_OF_TABLES = `
    SELECT DISTINCT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped`
export const TYPES_BY_OID = 'SELECT unnest($1::oid[])'

const TYPES = (major: number, wanted: string): string => `
  WITH RECURSIVE needed(oid) AS (
    ${wanted}
    UNION
    SELECT part.oid FROM needed CROSS JOIN LATERAL (
      SELECT t.typelem FROM pg_catalog.pg_type t WHERE t.oid = needed.oid
      UNION ALL SELECT t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = needed.oid
      UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = needed.oid
      ${major >= 14 ? 'UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngmultitypid = needed.oid' : ''}
      UNION ALL SELECT a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid
                WHERE t.oid = needed.oid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
    ) part(oid) WHERE part.oid <> 0)
  SELECT t.oid, n.nspname, t.typname, t.typtype, t.typelem,
         EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid), t.typbasetype, t.typtypmod,
         coalesce((SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
           ${major >= 14 ? 'OR r.rngmultitypid = t.oid' : ''}), 0),
         pg_catalog.array_to_json(ARRAY(SELECT enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)),
         pg_catalog.array_to_json(ARRAY(SELECT pg_catalog.json_build_object('name', a.attname, 'oid', a.atttypid::int8, 'modifier', a.atttypmod)
           FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0
             AND NOT a.attisdropped ORDER BY a.attnum)),
         (SELECT on_.nspname FROM pg_catalog.pg_opclass oc
          JOIN pg_catalog.pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
          JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
            AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
          JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr JOIN pg_catalog.pg_namespace on_ ON on_.oid = op.oprnamespace
          WHERE oc.opcintype = t.oid AND oc.opcdefault LIMIT 1)
  FROM needed JOIN pg_catalog.pg_type t USING (oid) JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace`

/** Who answers questions about the catalogue: a connection, or a reading in which all of `CATALOGUE` was asked at once. */
export type CatalogueReader = Pick<Connection, 'major' | 'query' | 'utf8'>

/** Every question that `introspect` asks of a server from PostgreSQL 14 on. */
export const CATALOGUE = {
  relations: RELATIONS,
  digests: DEFINITIONS,
  types: TYPES(14, TYPES_OF_TABLES),
  columns: COLUMNS,
  keys: KEYS,
  foreignKeys: FOREIGN_KEYS,
  triggers: TRIGGERS,
  heaps: HEAPS,
} as const

/**
 * Reads the catalogue: all user tables (partitions left out), or the named relations whatever they are. A constant
 * number of statements, whatever the number of tables. Must run inside a transaction with an empty search path.
 */
export async function introspect(
  connection: CatalogueReader,
  wanted: readonly TableRef[] | 'all',
): Promise<readonly PgTable[]> {
  const names = wanted === 'all' ? [null, null] : [wanted.map((t) => t.schema), wanted.map((t) => t.name)]
  const relations = await connection.query(RELATIONS, names)
  const oids = [relations.map((row) => row[0])]
  // Before everything else: what is altered while the rest is read must not pass for known.
  const digests = await readDigests(
    connection,
    relations.map((row) => ({ schema: cell(row, 1), name: cell(row, 2) })),
  )
  const types = await readTypes(connection, oids)
  const columns = groupByOid(await connection.query(COLUMNS, oids))
  const keys = groupByOid(await connection.query(KEYS, oids))
  const foreignKeys = groupByOid(await connection.query(FOREIGN_KEYS, oids))
  const triggers = groupByOid(await connection.query(TRIGGERS, oids))
  const heaps = groupByOid(await connection.query(HEAPS, oids))
  return relations.map((relation, i) => {
    const of = (rows: ReadonlyMap<string, TextRow[]>): TextRow[] => rows.get(cell(relation, 0)) ?? []
    return toTable(relation, {
      digest: digests[i] ?? { digest: 'gone', storage: 'gone' },
      types,
      major: connection.major,
      utf8: connection.utf8,
      columns: of(columns),
      keys: of(keys),
      foreignKeys: of(foreignKeys),
      triggers: of(triggers),
      heaps: of(heaps),
    })
  })
}

/**
 * What a SELECT gives, as if it were a table. It must be one statement that only reads; the transaction is read-only.
 * @throws a database error where the server cannot make a plan of it
 */
export async function describeQuery(connection: Connection, ref: TableRef, query: string): Promise<PgTable> {
  const fields = await connection.fields(`SELECT * FROM ${queryInFrom(query)} t LIMIT 0`)
  const types = await readTypes(connection, [[...new Set(fields.map(({ oid }) => oid))]], TYPES_BY_OID)
  const spelled = await connection.query(
    `SELECT pg_catalog.format_type(t.oid, t.modifier), pg_catalog.format_type(t.oid, -1)
     FROM ROWS FROM (unnest($1::oid[]), unnest($2::int4[])) WITH ORDINALITY AS t(oid, modifier, n) ORDER BY t.n`,
    [fields.map(({ oid }) => oid), fields.map(({ modifier }) => modifier)],
  )
  const comparison = new Map<string, { castType: string; operatorSchema: string }>()
  const binaryTypes = new Map<string, string>()
  const columns = fields.map(({ name, oid, modifier }, i): Column => {
    const [native = '', castType = ''] = (spelled[i] ?? []).map((text) => text ?? '')
    const binary = binaryType(types, { oid, spelled: castType }, connection.major)
    if (binary !== null) binaryTypes.set(name, binary)
    comparison.set(name, { castType, operatorSchema: types.get(oid)?.equality ?? 'pg_catalog' })
    const type = columnType(types, oid, modifier, native)
    return { ...QUERY_COLUMN, name, id: i + 1, type, nativeType: native }
  })
  return {
    query,
    oid: 0,
    utf8: connection.utf8,
    partitioned: false,
    heaps: [],
    binaryTypes,
    enums: [],
    comparison,
    schema: {
      ...QUERY_SCHEMA,
      ref,
      id: query,
      definition: JSON.stringify([query, columns.map(({ name, type, nativeType }) => [name, type, nativeType])]),
      columns,
    },
  }
}

interface Parts {
  readonly digest: { readonly digest: string; readonly storage: string }
  readonly types: TypeCatalog
  readonly major: number
  readonly utf8: boolean
  readonly columns: TextRow[]
  readonly keys: TextRow[]
  readonly foreignKeys: TextRow[]
  readonly triggers: TextRow[]
  readonly heaps: TextRow[]
}

const KINDS: Readonly<Record<string, TableSchema['kind']>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
}

function toTable(relation: TextRow, parts: Parts): PgTable {
  const ref = { schema: cell(relation, 1), name: cell(relation, 2) }
  const kind = must(KINDS[cell(relation, 3)], `relkind ${relation[3]} of ${tableId(ref)}`)
  const estimate = Number(relation[5])
  const keys = parts.keys.map((row) => ({ primary: isTrue(row[2]), key: toKey(row) }))
  const comparison = new Map<string, { castType: string; operatorSchema: string }>()
  const binaryTypes = new Map<string, string>()
  const enums = [...new Set(parts.columns.flatMap((row) => enumsOf(parts.types, Number(row[2]))))]
  const labels = new Map(enums.map((oid) => [oid, parts.types.get(oid)?.labels ?? []]))
  for (const row of parts.columns) {
    const operatorSchema = parts.types.get(Number(row[2]))?.equality ?? 'pg_catalog'
    comparison.set(cell(row, 1), { castType: cell(row, 9), operatorSchema })
    const binary = binaryType(parts.types, { oid: Number(row[2]), spelled: cell(row, 9) }, parts.major)
    if (binary !== null) binaryTypes.set(cell(row, 1), binary)
  }
  return {
    query: null,
    oid: Number(relation[0]),
    utf8: parts.utf8,
    partitioned: kind === 'partitioned',
    heaps:
      kind === 'table' || kind === 'partitioned' || kind === 'materialized view'
        ? parts.heaps
            .filter((row) => isTrue(row[4]))
            .map((row) => ({ ref: { schema: cell(row, 1), name: cell(row, 2) }, pages: Number(row[3]) }))
        : [],
    binaryTypes,
    enums,
    comparison,
    schema: {
      ref,
      id: cell(relation, 0),
      definition: definitionText(parts.digest, labels, enums),
      storage: parts.digest.storage,
      kind,
      columns: parts.columns.map((row) => toColumn(row, parts.types)),
      primaryKey: keys.find(({ primary }) => primary)?.key ?? null,
      uniqueKeys: keys.filter(({ primary }) => !primary).map(({ key }) => key),
      foreignKeys: parts.foreignKeys.map(toForeignKey),
      referenced: isTrue(relation[11]),
      triggers: parts.triggers.map((row) => cell(row, 1)),
      rowSecurity: isTrue(relation[4]),
      rights: {
        select: isTrue(relation[7]),
        insert: isTrue(relation[8]),
        update: isTrue(relation[9]),
        delete: isTrue(relation[10]),
        use: isTrue(relation[12]),
      },
      partitions: parts.heaps
        .filter((row) => isTrue(row[5]))
        .map((row) => ({ schema: cell(row, 1), name: cell(row, 2) })),
      rowEstimate: estimate < 0 ? null : estimate,
      bytes: Number(relation[6]),
    },
  }
}

function toColumn(row: TextRow, types: TypeCatalog): Column {
  const native = cell(row, 4)
  return {
    name: cell(row, 1),
    id: Number(row[13]),
    type: columnType(types, Number(row[2]), Number(row[3]), native),
    nativeType: native,
    nullable: !isTrue(row[5]),
    hasDefault: isTrue(row[10]),
    generated: row[6] === 's' ? 'stored' : row[6] === 'v' ? 'virtual' : null,
    expression: row[11] ?? null,
    collation: row[12] ?? null,
    identity: row[7] === 'a' ? 'always' : row[7] === 'd' ? 'by default' : null,
    sequence: row[8] ?? null,
  }
}

function toKey(row: TextRow): UniqueKey {
  return { name: cell(row, 1), columns: names(row[4]), notNull: isTrue(row[5]), immediate: isTrue(row[3]) }
}

function toForeignKey(row: TextRow): ForeignKey {
  return {
    name: cell(row, 1),
    parent: { schema: cell(row, 2), name: cell(row, 3) },
    deferrable: isTrue(row[4]),
    columns: names(row[5]),
    parentColumns: names(row[6]),
  }
}

/** The types that columns of tables have, or types by their own oids, with all that they are made of. */
export async function readTypes(
  connection: CatalogueReader,
  oids: unknown[],
  wanted = TYPES_OF_TABLES,
): Promise<TypeCatalog> {
  const catalog = new Map<number, PgType>()
  for (const row of await connection.query(TYPES(connection.major, wanted), oids)) {
    catalog.set(Number(row[0]), {
      oid: Number(row[0]),
      schema: cell(row, 1),
      name: cell(row, 2),
      kind: cell(row, 3),
      elementOid: Number(row[4]),
      isArray: isTrue(row[5]),
      baseOid: Number(row[6]),
      baseModifier: Number(row[7]),
      subtypeOid: Number(row[8]),
      labels: names(row[9]),
      fields: fields(row[10]),
      equality: row[11] ?? null,
    })
  }
  return catalog
}

function groupByOid(rows: TextRow[]): Map<string, TextRow[]> {
  const groups = new Map<string, TextRow[]>()
  for (const row of rows) {
    const group = groups.get(cell(row, 0))
    if (group) group.push(row)
    else groups.set(cell(row, 0), [row])
  }
  return groups
}

function cell(row: TextRow, index: number): string {
  return must(row[index], `the catalogue answered no value in column ${index}`)
}

function isTrue(value: string | null | undefined): boolean {
  return value === 't' || value === 'true'
}

function names(json: string | null | undefined): string[] {
  const parsed: unknown = JSON.parse(json ?? '[]')
  return Array.isArray(parsed) ? parsed.map(String) : []
}

function fields(json: string | null | undefined): PgType['fields'] {
  const parsed: unknown = JSON.parse(json ?? '[]')
  if (!Array.isArray(parsed)) return []
  return parsed.map((field: { name: string; oid: number; modifier: number }) => field)
}
