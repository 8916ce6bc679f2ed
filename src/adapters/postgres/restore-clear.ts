/** What a restore makes room by: what is there of it, what depends on that, and statements that lock and drop it. */
import { dependentsError, type ExistingObject, type Replaced } from '#adapters/restore-target.ts'
import type { RestoreObject } from '#model/dump.ts'
import type { TableRef } from '#model/table.ts'
import { AppError } from '#model/errors.ts'
import type { Connection, TextRow } from './connection.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import { FOUND, GOING, namesOf, WANTED } from './restore-objects.ts'
import { quote, quoteTable } from './sql.ts'

/** The server's own triggers of a constraint are not named: the constraint is. */
const DEPENDENTS = `
  WITH RECURSIVE ${WANTED}, ${FOUND}, ${GOING}
  SELECT pg_catalog.pg_describe_object(g.classid, g.objid, g.objsubid)
  FROM (SELECT classid, objid, objsubid FROM gone EXCEPT SELECT classid, objid, objsubid FROM parts) g
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE g.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
                    AND t.oid = g.objid AND t.tgisinternal AND t.tgconstraint <> 0)
  UNION ALL
  SELECT pg_catalog.pg_describe_object(f.classid, f.objid, 0) || ' of ' || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0)
  FROM found f JOIN pg_catalog.pg_depend d ON d.classid = f.classid AND d.objid = f.objid AND d.deptype = 'e'
  UNION ALL
  SELECT pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0)
  FROM pg_catalog.pg_constraint k
  WHERE k.contype = 'f' AND k.confrelid = ANY ($5::pg_catalog.oid[]) AND k.conrelid <> ALL ($5::pg_catalog.oid[])
  UNION ALL
  SELECT pg_catalog.pg_describe_object(f.classid, i.inhparent, 0) || ', which has rows of ' || pg_catalog.pg_describe_object(f.classid, f.objid, 0)
  FROM found f JOIN pg_catalog.pg_inherits i ON f.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.inhrelid = f.objid
  WHERE f.what <> 'index' AND NOT EXISTS (SELECT FROM found p WHERE p.classid = f.classid AND p.objid = i.inhparent)
    AND NOT EXISTS (
      SELECT FROM pg_catalog.jsonb_to_recordset($6::jsonb) j("table" jsonb, parent jsonb)
      JOIN pg_catalog.pg_class c ON c.oid = i.inhparent JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE j."table"->>'schema' = f.nsp AND j."table"->>'name' = f.name AND j.parent->>'schema' = n.nspname AND j.parent->>'name' = c.relname)
  ORDER BY 1 LIMIT 200`

/** What must still be there when they have been dropped: whatever is not a part of them. */
const STAYING = `
  WITH RECURSIVE ${WANTED}, ${FOUND}, ${GOING}
  SELECT DISTINCT pg_catalog.concat_ws(' ', d.classid, d.objid, d.objsubid) FROM pg_catalog.pg_depend d
  WHERE NOT EXISTS (SELECT FROM parts p WHERE p.classid = d.classid AND p.objid = d.objid)`

/** Those of them that are not there any more. */
const LOST = `
  SELECT s FROM pg_catalog.unnest($1::text[]) s
  EXCEPT SELECT pg_catalog.concat_ws(' ', d.classid, d.objid, d.objsubid) FROM pg_catalog.pg_depend d
  LIMIT 200`

/** What of that is there again: this transaction has dropped it. The rest others have dropped meanwhile. */
const DESCRIBED = `
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM (SELECT DISTINCT classid, objid, objsubid FROM pg_catalog.pg_depend) d
  WHERE pg_catalog.concat_ws(' ', d.classid, d.objid, d.objsubid) = ANY ($1::text[]) ORDER BY 1`

const EXISTING = `WITH ${WANTED}, ${FOUND}
  SELECT object, nsp, name, what, pg_catalog.max(bytes)::text, pg_catalog.json_agg(DISTINCT r.rolname::text)::text, pg_catalog.min(at)::text,
    pg_catalog.json_agg(CASE object WHEN 'routine' THEN objid::pg_catalog.regprocedure::text END ORDER BY objid)::text
  FROM found LEFT JOIN pg_catalog.pg_roles r ON r.oid = owner AND r.rolname <> current_user GROUP BY 1, 2, 3, 4, args
  UNION ALL
  SELECT w.object, '', w.name, 'schema', '0', '[]', w.at::text, '[]' FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.name WHERE w.object = 'schema'
  ORDER BY 1, 2, 3, 7`

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
  return (await connection.query(EXISTING, namesOf(objects))).map((row) => toExisting(row, objects))
}

/** What is not among them and cannot be without them, as the server describes it. */
export async function readDependents(
  connection: Connection,
  { drop, empty, joins }: Pick<Replaced, 'drop' | 'empty' | 'joins'>,
): Promise<string[]> {
  const oids = (await readTables(connection, empty)).flatMap(([, , oid]) => (oid ? [oid] : []))
  return textsOf(await connection.query(DEPENDENTS, [...namesOf(drop), oids, JSON.stringify(joins)]))
}

function toExisting(
  [object, schema, name, what, bytes, owners, at, routines]: TextRow,
  objects: readonly RestoreObject[],
): ExistingObject {
  const kind = (['relation', 'type', 'routine', 'schema'] as const).find((one) => one === object) ?? 'relation'
  const args = objects[Number(at) - 1]?.args
  return {
    object: kind,
    schema: schema ?? '',
    name: name ?? '',
    what: what ?? '',
    bytes: Number(bytes),
    owners: stringsIn(owners),
    routines: stringsIn(routines),
    ...(args === undefined ? {} : { args }),
  }
}

/**
 * Drops what there is of these. `CASCADE` takes their parts; that it has taken nothing else is looked at when it is done, so that
 * what `readDependents` has not seen is an error, and no loss.
 * @throws AppError `restore_dependents`
 */
export async function dropAll(
  connection: Pick<Connection, 'query' | 'script'>,
  drop: readonly RestoreObject[],
): Promise<void> {
  const statements = await dropStatements(connection, drop)
  if (statements.length === 0) return
  const staying = new Set(textsOf(await connection.query(STAYING, namesOf(drop))))
  for (;;) {
    await connection.script('SAVEPOINT dropping')
    for (const statement of statements) await connection.script(statement)
    const lost = textsOf(await connection.query(LOST, [[...staying]]))
    if (lost.length === 0) break
    await connection.script('ROLLBACK TO SAVEPOINT dropping')
    const taken = textsOf(await connection.query(DESCRIBED, [lost]))
    if (taken.length > 0) throw dependentsError(taken)
    for (const each of lost) staying.delete(each)
  }
  await connection.script('RELEASE SAVEPOINT dropping')
}

function textsOf(rows: readonly TextRow[]): string[] {
  return rows.flatMap(([text]) => (text ? [text] : []))
}

async function dropStatements(
  connection: Pick<Connection, 'query'>,
  drop: readonly RestoreObject[],
): Promise<string[]> {
  const rows = await connection.query(
    `WITH ${WANTED}, ${FOUND}
     SELECT CASE what WHEN 'table' THEN 1 WHEN 'view' THEN 0 WHEN 'materialized view' THEN 0 WHEN 'sequence' THEN 2 WHEN 'function' THEN 3
              WHEN 'procedure' THEN 3 WHEN 'aggregate' THEN 3 ELSE 4 END,
            pg_catalog.format('DROP %s IF EXISTS %s CASCADE', CASE object WHEN 'routine' THEN 'ROUTINE' ELSE pg_catalog.upper(what) END,
              CASE object WHEN 'routine' THEN objid::pg_catalog.regprocedure::text ELSE pg_catalog.format('%I.%I', nsp, name) END)
     FROM found WHERE what <> 'index' ORDER BY 1, 2`,
    namesOf(drop),
  )
  return rows.flatMap(([, statement]) => (statement ? [statement] : []))
}

function stringsIn(json: string | null | undefined): string[] {
  const values: unknown = JSON.parse(json ?? '[]')
  return Array.isArray(values) ? values.filter((value) => typeof value === 'string') : []
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
     SELECT CASE what WHEN 'table' THEN pg_catalog.format('LOCK TABLE %I.%I IN %s MODE', nsp, name, $5::text)
       ELSE pg_catalog.format('ALTER %s %I.%I OWNER TO %I', pg_catalog.upper(what), nsp, name, pg_catalog.pg_get_userbyid(c.relowner)) END
     FROM found JOIN pg_catalog.pg_class c ON found.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = found.objid
     WHERE what = 'table' OR ($5::text = 'ACCESS EXCLUSIVE' AND what IN ('view', 'materialized view'))
     ORDER BY nsp, name`,
    [...namesOf(objects), mode],
  )
  return textsOf(rows)
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
