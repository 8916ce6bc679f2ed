/**
 * What a set of tables needs, by the catalog's own dependencies. A plain dump of pg_dump carries no dependencies (it
 * computes them for archives only, and the wrapper reads text only), but it names the catalog row of each entry; so the
 * graph is read from pg_depend in the same snapshot, and pg_dump gives text and order.
 */
import type { Client } from 'pg'

/** A catalog row that the tables need, or that belongs to them. */
export interface CatalogObject {
  /** OIDs of the catalog and of the row. */
  readonly classId: string
  readonly objectId: string
  /** Name of the catalog, such as `pg_class`. */
  readonly catalog: string
  /** relkind, contype, typtype or prokind, where the catalog has one, else empty. */
  readonly kind: string
  /** Empty where objects of this catalog are in no schema. */
  readonly schema: string
  readonly name: string
  /** OID of the table that it is or belongs to; null for what stands for itself. */
  readonly table: string | null
  /** A member of an extension: made by CREATE EXTENSION. */
  readonly inExtension: boolean
}

/** Facts of a table in the set that the dump does not say, or that are to be told. */
export interface TableFacts {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly rowSecurity: boolean
  /** May this login lock it for reading: SELECT on the table, USAGE on the schema. */
  readonly selectable: boolean
  readonly schemaUsable: boolean
  readonly hasPrivileges: boolean
  /** Access method other than heap. */
  readonly accessMethod: string | null
  /** Names of what is left out. */
  readonly triggers: readonly string[]
  readonly policies: readonly string[]
  readonly rules: readonly string[]
  readonly views: readonly string[]
  readonly publications: readonly string[]
}

/** A foreign key, by OIDs. */
export interface ForeignKeyFacts {
  readonly oid: string
  readonly name: string
  readonly table: string
  readonly referenced: string
  readonly referencedName: string
}

/**
 * The closure, as a recursive query: from an object to what pg_depend says that it needs, and to the parts without
 * which it would not be the same object. Two edges are cut: a sequence does not need the table whose column owns it,
 * and a member of an extension needs only the extension. Foreign keys are not parts: they would bring other tables.
 */
const CLOSURE = `
WITH RECURSIVE need(classid, objid) AS (
    SELECT 'pg_class'::regclass::oid, unnest($1::oid[])
  UNION
    SELECT e.classid, e.objid FROM need n CROSS JOIN LATERAL (
        SELECT d.refclassid AS classid, d.refobjid AS objid FROM pg_depend d
         WHERE d.classid = n.classid AND d.objid = n.objid AND d.deptype IN ('n', 'a', 'i', 'P', 'S', 'e', 'x')
           AND (d.deptype = 'e' OR NOT EXISTS (
                 SELECT FROM pg_depend m WHERE m.classid = n.classid AND m.objid = n.objid AND m.deptype = 'e'))
           AND NOT (d.deptype = 'a' AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                    AND (SELECT relkind FROM pg_class WHERE oid = d.objid) = 'S')
      UNION ALL
        SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE n.classid = 'pg_class'::regclass AND adrelid = n.objid
      UNION ALL
        SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
         WHERE n.classid = 'pg_class'::regclass AND conrelid = n.objid AND contype NOT IN ('f', 't')
      UNION ALL
        SELECT 'pg_class'::regclass, indexrelid FROM pg_index
         WHERE n.classid = 'pg_class'::regclass AND indrelid = n.objid
      UNION ALL
        SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext
         WHERE n.classid = 'pg_class'::regclass AND stxrelid = n.objid
      UNION ALL
        SELECT 'pg_class'::regclass, i.inhrelid FROM pg_inherits i
         JOIN pg_class c ON c.oid = i.inhparent AND c.relkind = 'p'
         WHERE n.classid = 'pg_class'::regclass AND i.inhparent = n.objid
      UNION ALL
        SELECT d.classid, d.objid FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
         WHERE n.classid = 'pg_class'::regclass AND d.refclassid = n.classid AND d.refobjid = n.objid
           AND d.classid = n.classid AND d.deptype IN ('a', 'i')
      UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
         WHERE n.classid = 'pg_class'::regclass AND r.ev_class = n.objid AND c.relkind IN ('v', 'm')
      UNION ALL
        SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
         WHERE n.classid = 'pg_type'::regclass AND contypid = n.objid
      UNION ALL
        SELECT 'pg_class'::regclass, typrelid FROM pg_type
         WHERE n.classid = 'pg_type'::regclass AND oid = n.objid AND typrelid <> 0
      UNION ALL
        SELECT d.classid, d.objid FROM pg_depend d
         WHERE n.classid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass)
           AND d.refclassid = n.classid AND d.refobjid = n.objid
           AND d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass)
    ) e
), casts AS (
  SELECT 'pg_cast'::regclass::oid AS classid, k.oid AS objid FROM pg_cast k
   WHERE EXISTS (SELECT FROM need WHERE classid = 'pg_type'::regclass AND objid IN (k.castsource, k.casttarget))
     AND (k.castsource < 16384 OR (SELECT true FROM need WHERE classid = 'pg_type'::regclass AND objid = k.castsource))
     AND (k.casttarget < 16384 OR (SELECT true FROM need WHERE classid = 'pg_type'::regclass AND objid = k.casttarget))
     AND (k.castfunc < 16384 OR (SELECT true FROM need WHERE classid = 'pg_proc'::regclass AND objid = k.castfunc))
)
SELECT n.classid::text, n.objid::text, (SELECT relname::text FROM pg_class WHERE oid = n.classid),
       coalesce(c.relkind, k.contype, t.typtype, p.prokind, '')::text, coalesce(s.nspname, '')::text,
       coalesce(c.relname, k.conname, t.typname, p.proname, x.extname, st.stxname, CASE WHEN n.classid = 'pg_namespace'::regclass THEN s.nspname END, '')::text,
       coalesce(i.indrelid, nullif(k.conrelid, 0), a.adrelid, st.stxrelid, owner.refobjid,
                CASE WHEN c.relkind IN ('r', 'p', 'f') THEN c.oid END)::text,
       EXISTS (SELECT FROM pg_depend m WHERE m.classid = n.classid AND m.objid = n.objid AND m.deptype = 'e')::text
  FROM (SELECT * FROM need UNION SELECT * FROM casts) n
  LEFT JOIN pg_class c ON n.classid = 'pg_class'::regclass AND c.oid = n.objid
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_depend owner ON c.relkind = 'S' AND owner.classid = n.classid AND owner.objid = n.objid
        AND owner.refclassid = 'pg_class'::regclass AND owner.deptype IN ('a', 'i')
  LEFT JOIN pg_constraint k ON n.classid = 'pg_constraint'::regclass AND k.oid = n.objid
  LEFT JOIN pg_attrdef a ON n.classid = 'pg_attrdef'::regclass AND a.oid = n.objid
  LEFT JOIN pg_type t ON n.classid = 'pg_type'::regclass AND t.oid = n.objid
  LEFT JOIN pg_proc p ON n.classid = 'pg_proc'::regclass AND p.oid = n.objid
  LEFT JOIN pg_extension x ON n.classid = 'pg_extension'::regclass AND x.oid = n.objid
  LEFT JOIN pg_statistic_ext st ON n.classid = 'pg_statistic_ext'::regclass AND st.oid = n.objid
  LEFT JOIN pg_namespace s ON s.oid = CASE WHEN n.classid = 'pg_namespace'::regclass THEN n.objid
        ELSE coalesce(c.relnamespace, k.connamespace, t.typnamespace, p.pronamespace, st.stxnamespace) END`

/** All that must exist so that the tables (OIDs) can, with themselves and their parts. */
export async function readClosure(client: Client, tables: readonly string[]): Promise<CatalogObject[]> {
  const rows = await readRows(client, CLOSURE, [tables])
  return rows.map(([classId, objectId, catalog, kind, schema, name, table, inExtension]) => ({
    classId: classId ?? '',
    objectId: objectId ?? '',
    catalog: catalog ?? '',
    kind: kind ?? '',
    schema: schema ?? '',
    name: name ?? '',
    table: table ?? null,
    inExtension: inExtension === 'true',
  }))
}

/** A row as text; all of the queries here cast so. */
type TextRow = readonly (string | null)[]

async function readRows(client: Client, text: string, values: readonly unknown[]): Promise<TextRow[]> {
  const { rows } = await client.query<(string | null)[]>({ text, values: [...values], rowMode: 'array' })
  return rows
}

/** OIDs of tables by name, in the given order; null for those that do not exist. */
export async function readTableOids(
  client: Client,
  tables: readonly { readonly schema: string; readonly name: string }[],
): Promise<(string | null)[]> {
  const rows = await readRows(
    client,
    `SELECT c.oid::text FROM unnest($1::text[], $2::text[]) WITH ORDINALITY w(schema, name, position)
       LEFT JOIN pg_namespace s ON s.nspname = w.schema
       LEFT JOIN pg_class c ON c.relnamespace = s.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')
      ORDER BY w.position`,
    [tables.map((table) => table.schema), tables.map((table) => table.name)],
  )
  return rows.map(([oid]) => oid ?? null)
}

const LIST = (select: string, from: string): string =>
  `(SELECT coalesce(json_agg(DISTINCT ${select}), '[]') FROM ${from})::text`

const TABLE_FACTS = `
SELECT c.oid::text, s.nspname::text, c.relname::text, c.relrowsecurity::text,
       has_table_privilege(c.oid, 'SELECT')::text, has_schema_privilege(s.oid, 'USAGE')::text,
       (c.relacl IS NOT NULL)::text, am.amname::text,
       ${LIST('t.tgname::text', 'pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal')},
       ${LIST('p.polname::text', 'pg_policy p WHERE p.polrelid = c.oid')},
       ${LIST('r.rulename::text', "pg_rewrite r WHERE r.ev_class = c.oid AND c.relkind <> 'v' AND c.relkind <> 'm'")},
       ${LIST(
         "format('%I.%I', vs.nspname, v.relname)",
         `pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
            JOIN pg_namespace vs ON vs.oid = v.relnamespace
           WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND v.oid <> c.oid`,
       )},
       ${LIST('b.pubname::text', 'pg_publication_rel pr JOIN pg_publication b ON b.oid = pr.prpubid WHERE pr.prrelid = c.oid')}
  FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
  LEFT JOIN pg_am am ON am.oid = c.relam AND am.amname <> 'heap'
 WHERE c.oid = ANY ($1::oid[]) ORDER BY 2, 3`

export async function readTableFacts(client: Client, oids: readonly string[]): Promise<TableFacts[]> {
  const rows = await readRows(client, TABLE_FACTS, [oids])
  return rows.map(
    ([oid, schema, name, rowSecurity, selectable, schemaUsable, hasPrivileges, accessMethod, ...lists]) => {
      const [triggers, policies, rules, views, publications] = lists.map(parseNames)
      return {
        oid: oid ?? '',
        schema: schema ?? '',
        name: name ?? '',
        rowSecurity: rowSecurity === 'true',
        selectable: selectable === 'true',
        schemaUsable: schemaUsable === 'true',
        hasPrivileges: hasPrivileges === 'true',
        accessMethod: accessMethod ?? null,
        triggers: triggers ?? [],
        policies: policies ?? [],
        rules: rules ?? [],
        views: views ?? [],
        publications: publications ?? [],
      }
    },
  )
}

function parseNames(text: string | null): readonly string[] {
  const names: unknown = JSON.parse(text ?? '[]')
  return Array.isArray(names) ? names.map(String) : []
}

/** Foreign keys of the tables (OIDs); those that a partition inherits are not told. */
export async function readForeignKeys(client: Client, tables: readonly string[]): Promise<ForeignKeyFacts[]> {
  const rows = await readRows(
    client,
    `SELECT k.oid::text, k.conname::text, k.conrelid::text, k.confrelid::text, format('%I.%I', s.nspname, c.relname)
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace s ON s.oid = c.relnamespace
      WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY ($1::oid[])`,
    [tables],
  )
  return rows.map(([oid, name, table, referenced, referencedName]) => ({
    oid: oid ?? '',
    name: name ?? '',
    table: table ?? '',
    referenced: referenced ?? '',
    referencedName: referencedName ?? '',
  }))
}

/** What pg_dump is to pass over: it locks each table that it looks at, and asks once for each function and view. */
export interface Exclusions {
  readonly schemas: readonly string[]
  readonly relations: readonly { readonly schema: string; readonly names: readonly string[] }[]
}

/**
 * All schemas without a needed object, and the relations of the rest that are not needed: all of them, or only those
 * that this login may not lock.
 */
export async function readExclusions(
  client: Client,
  needed: readonly CatalogObject[],
  which: 'all' | 'unreadable',
): Promise<Exclusions> {
  const relations = needed.filter((object) => object.catalog === 'pg_class').map((object) => object.objectId)
  const schemas = [...new Set(needed.map((object) => object.schema))]
  const excluded = await readRows(
    client,
    `SELECT nspname::text FROM pg_namespace
      WHERE NOT nspname = ANY ($1::text[]) AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1`,
    [schemas],
  )
  const others = await readRows(
    client,
    `SELECT s.nspname::text, json_agg(c.relname ORDER BY c.relname)::text
       FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
      WHERE s.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.oid = ANY ($2::oid[])
        AND ($3 = 'all' OR NOT has_table_privilege(c.oid, 'SELECT') OR NOT has_schema_privilege(s.oid, 'USAGE'))
      GROUP BY 1 ORDER BY 1`,
    [schemas, relations, which],
  )
  return {
    schemas: excluded.map(([schema]) => schema ?? ''),
    relations: others.map(([schema, names]) => ({ schema: schema ?? '', names: parseNames(names ?? null) })),
  }
}
