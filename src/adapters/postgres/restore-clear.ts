/** What a restore makes room by: what is there of it, what depends on that, and statements that lock and drop it. */
import type { ExistingObject, Replaced } from '#adapters/restore-target.ts'
import type { RestoreObject } from '#model/dump.ts'
import type { TableRef } from '#model/table.ts'
import { AppError } from '#model/errors.ts'
import type { Connection, TextRow } from './connection.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import { FOUND, namesOf, WANTED } from './restore-objects.ts'
import { quote, quoteTable } from './sql.ts'

/**
 * What would go with them. A part of an object (a constraint, a rule, a default, a trigger) counts as the object that has it;
 * what is neither among them nor a part of them stays behind in want of them. Triggers of a constraint go by that: those of a
 * foreign key are on the table that it refers to as well.
 */
const DEPENDENTS = `
  WITH RECURSIVE ${WANTED}, ${FOUND},
  gone(classid, objid, objsubid) AS (
    SELECT classid, objid, 0 FROM found
    UNION
    SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d JOIN gone g ON d.refclassid = g.classid AND d.refobjid = g.objid
  ),
  owners AS (
    SELECT g.classid, g.objid, g.objsubid,
      CASE g.classid
        WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass THEN (SELECT CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END FROM pg_catalog.pg_constraint k WHERE k.oid = g.objid)
        WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN (SELECT r.ev_class FROM pg_catalog.pg_rewrite r WHERE r.oid = g.objid)
        WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN (SELECT a.adrelid FROM pg_catalog.pg_attrdef a WHERE a.oid = g.objid)
        WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN (SELECT t.tgrelid FROM pg_catalog.pg_trigger t WHERE t.oid = g.objid)
        WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN (SELECT p.polrelid FROM pg_catalog.pg_policy p WHERE p.oid = g.objid)
        WHEN 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass THEN (SELECT s.stxrelid FROM pg_catalog.pg_statistic_ext s WHERE s.oid = g.objid)
        WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN (SELECT CASE WHEN t.typrelid <> 0 THEN t.typrelid WHEN t.typelem <> 0 AND t.typcategory = 'A' THEN
            (SELECT CASE WHEN e.typrelid <> 0 THEN e.typrelid ELSE e.oid END FROM pg_catalog.pg_type e WHERE e.oid = t.typelem) ELSE
            coalesce((SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE pg_catalog.to_jsonb(r)->>'rngmultitypid' = t.oid::text), t.oid) END FROM pg_catalog.pg_type t WHERE t.oid = g.objid)
        WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN coalesce((SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = g.objid),
            (SELECT o.refobjid FROM pg_catalog.pg_depend o JOIN pg_catalog.pg_class s ON s.oid = o.objid AND s.relkind = 'S'
             WHERE o.classid = g.classid AND o.objid = g.objid AND o.refclassid = g.classid AND o.deptype IN ('a', 'i') LIMIT 1), g.objid)
        ELSE g.objid END AS owner
    FROM gone g
  )
  SELECT DISTINCT pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid) FROM owners o
  WHERE o.owner NOT IN (SELECT objid FROM found)
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = o.objid AND c.relkind IN ('t'))
    AND pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid) !~ 'toast'
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t
                    WHERE o.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = o.objid AND t.tgisinternal)
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend i JOIN found f ON i.refclassid = f.classid AND i.refobjid = f.objid
                    WHERE i.classid = o.classid AND i.objid = o.objid AND i.deptype = 'i' AND o.classid IN ('pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass))
  UNION ALL
  SELECT pg_catalog.pg_describe_object(f.classid, f.objid, 0) || ' of ' || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0)
  FROM found f JOIN pg_catalog.pg_depend d ON d.classid = f.classid AND d.objid = f.objid AND d.deptype = 'e'
  UNION ALL
  SELECT pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0)
  FROM pg_catalog.pg_constraint k
  WHERE k.contype = 'f' AND k.confrelid = ANY ($4::pg_catalog.oid[]) AND k.conrelid <> ALL ($4::pg_catalog.oid[])
  ORDER BY 1 LIMIT 200`

const EXISTING = `WITH ${WANTED}, ${FOUND}
  SELECT object, nsp, name, what, pg_catalog.max(bytes)::text FROM found GROUP BY 1, 2, 3, 4
  UNION ALL
  SELECT w.object, '', w.name, 'schema', '0' FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.name WHERE w.object = 'schema'
  ORDER BY 1, 2, 3`

const TABLES = `
  SELECT w.nsp, w.name, c.oid, c.relkind FROM unnest($1::text[], $2::text[]) w(nsp, name)
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')`

/** The tables among these names, with their kinds; an empty OID where there is none. */
export async function readTables(connection: Connection, tables: readonly TableRef[]): Promise<TextRow[]> {
  return connection.query(TABLES, [tables.map(({ schema }) => schema), tables.map(({ name }) => name)])
}

/** A table in FROM or TRUNCATE. Rows of those that inherit from it are rows of their own; a partitioned table has no others. */
export function itself({ schema, name }: TableRef, kind: string | null | undefined): string {
  return `${kind === 'p' ? '' : 'ONLY '}${quoteTable({ schema, name })}`
}

/** What there is of these objects. */
export async function readExisting(
  connection: Connection,
  objects: readonly RestoreObject[],
): Promise<ExistingObject[]> {
  return (await connection.query(EXISTING, namesOf(objects))).map(toExisting)
}

/** What is not among them and cannot be without them, as the server describes it. */
export async function readDependents(
  connection: Connection,
  { drop, empty }: Pick<Replaced, 'drop' | 'empty'>,
): Promise<string[]> {
  const oids = (await readTables(connection, empty)).flatMap(([, , oid]) => (oid ? [oid] : []))
  const rows = await connection.query(DEPENDENTS, [...namesOf(drop), oids])
  return rows.flatMap(([described]) => (described ? [described] : []))
}

function toExisting([object, schema, name, what, bytes]: TextRow): ExistingObject {
  const kind = (['relation', 'type', 'routine', 'schema'] as const).find((one) => one === object) ?? 'relation'
  return { object: kind, schema: schema ?? '', name: name ?? '', what: what ?? '', bytes: Number(bytes) }
}

/** Statements that drop what there is of these. `CASCADE` takes their parts: nothing else depends on them any more. */
export async function dropStatements(connection: Connection, drop: readonly RestoreObject[]): Promise<string[]> {
  const rows = await connection.query(
    `WITH ${WANTED}, ${FOUND}
     SELECT CASE what WHEN 'table' THEN 1 WHEN 'view' THEN 0 WHEN 'materialized view' THEN 0 WHEN 'sequence' THEN 2 WHEN 'function' THEN 3
              WHEN 'procedure' THEN 3 WHEN 'aggregate' THEN 3 ELSE 4 END,
            pg_catalog.format('DROP %s IF EXISTS %s CASCADE', pg_catalog.upper(what),
              CASE object WHEN 'routine' THEN objid::pg_catalog.regprocedure::text ELSE pg_catalog.format('%I.%I', nsp, name) END)
     FROM found WHERE what <> 'index' ORDER BY 1, 2`,
    namesOf(drop),
  )
  return rows.flatMap(([, statement]) => (statement ? [statement] : []))
}

const EMPTY_SCHEMAS = `
  SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::text[]) AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid AND d.deptype = 'n')`

/** Drops those of these schemas in which nothing is left. */
export async function dropEmptySchemas(connection: Connection, schemas: readonly string[]): Promise<void> {
  if (schemas.length === 0) return
  for (const [schema] of await connection.query(EMPTY_SCHEMAS, [schemas])) {
    if (schema) await connection.script(`DROP SCHEMA ${quote(schema)}`)
  }
}

/**
 * Statements that keep others from writing to the tables among them, or from all there is: what is dropped is locked first, so
 * that nothing comes to depend on it unseen. LOCK TABLE of a view would lock whatever it looks at too, which is others'; who
 * names its owner once more locks the view alone.
 */
export async function lockStatements(
  connection: Connection,
  objects: readonly RestoreObject[],
  mode: 'EXCLUSIVE' | 'ACCESS EXCLUSIVE',
): Promise<string[]> {
  const rows = await connection.query(
    `WITH ${WANTED}, ${FOUND}
     SELECT CASE what WHEN 'table' THEN pg_catalog.format('LOCK TABLE %I.%I IN %s MODE', nsp, name, $4::text)
       ELSE pg_catalog.format('ALTER %s %I.%I OWNER TO %I', pg_catalog.upper(what), nsp, name, pg_catalog.pg_get_userbyid(c.relowner)) END
     FROM found JOIN pg_catalog.pg_class c ON found.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = found.objid
     WHERE what = 'table' OR ($4::text = 'ACCESS EXCLUSIVE' AND what IN ('view', 'materialized view'))
     ORDER BY nsp, name`,
    [...namesOf(objects), mode],
  )
  return rows.flatMap(([statement]) => (statement ? [statement] : []))
}

const NOT_GRANTED = '55P03'

/** What a lock of `lockStatements` failed with, in words for whoever has to find who is in the way. */
export function lockError(error: unknown, lock: string): AppError {
  const failure = toAppError(error, 'locking what is replaced')
  if (sqlStateOf(error) !== NOT_GRANTED) return failure
  const message = `Somebody else holds on to what is replaced: ${lock} was not granted in time (SQLSTATE ${NOT_GRANTED}).`
  return new AppError(failure.code, message, {
    hint: 'End what uses it (pg_stat_activity and pg_locks show who does), or do the same again when nobody does; nothing was written.',
    retry: 'later',
    cause: error,
  })
}
