/**
 * Rows that come back into tables that stay, as a backup has them: triggers of the user have seen them once, and would change
 * them, or tell others of them again. Foreign keys hold as ever, but where they tie tables into a ring only when all rows are there.
 */
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { readTables } from './restore-clear.ts'

/** Those of partitions are of their own. Only an owner may switch them: with other logins they run. */
const TRIGGERS = `
  WITH filled AS (SELECT o FROM unnest($1::pg_catalog.oid[]) o UNION
    SELECT t.relid FROM unnest($1::pg_catalog.oid[]) o CROSS JOIN LATERAL pg_catalog.pg_partition_tree(o) t)
  SELECT pg_catalog.format('ALTER TABLE ONLY %I.%I DISABLE TRIGGER %I', n.nspname, c.relname, t.tgname)
  FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE t.tgrelid IN (SELECT o FROM filled) AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  ORDER BY 1`

/** Keys of partitions are altered as those of the tables above. Rows of one partition may refer to another one. */
const RINGS = `
  WITH RECURSIVE filled AS (
    SELECT o FROM unnest($1::pg_catalog.oid[]) o
    UNION SELECT t.relid FROM unnest($1::pg_catalog.oid[]) o CROSS JOIN LATERAL pg_catalog.pg_partition_tree(o) t
    UNION SELECT t.relid FROM unnest($1::pg_catalog.oid[]) o CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(o) t
  ),
  keys AS (
    SELECT k.oid, k.conrelid, k.confrelid, k.conparentid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    WHERE k.contype = 'f' AND k.conrelid IN (SELECT o FROM filled) AND k.confrelid IN (SELECT o FROM filled)
      AND (k.conrelid <> k.confrelid OR c.relkind = 'p')
  ),
  reach(a, b) AS (
    SELECT conrelid, confrelid FROM keys
    UNION SELECT r.a, k.confrelid FROM reach r JOIN keys k ON k.conrelid = r.b
  ),
  ring(oid, above) AS (
    SELECT k.oid, k.conparentid FROM keys k WHERE EXISTS (SELECT FROM reach r WHERE r.a = k.confrelid AND r.b = k.conrelid)
    UNION SELECT p.oid, p.conparentid FROM ring JOIN pg_catalog.pg_constraint p ON p.oid = ring.above
  )
  SELECT DISTINCT pg_catalog.format('ALTER TABLE %I.%I ALTER CONSTRAINT %I', n.nspname, c.relname, k.conname)
  FROM ring JOIN pg_catalog.pg_constraint k ON k.oid = ring.oid JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE k.conparentid = 0 AND NOT k.condeferrable AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  ORDER BY 1`

/** Returns statements after which keys are as they were; triggers are switched back with all others (`restore-triggers.ts`). */
export async function quietTables(connection: Connection, tables: readonly TableRef[]): Promise<readonly string[]> {
  const oids = (await readTables(connection, tables)).flatMap(([, , oid]) => (oid ? [oid] : []))
  const triggers = await connection.query(TRIGGERS, [oids])
  const keys = (await connection.query(RINGS, [oids])).flatMap(([key]) => (key ? [key] : []))
  const off = [
    ...triggers.flatMap(([disable]) => (disable ? [disable] : [])),
    ...keys.map((key) => `${key} DEFERRABLE INITIALLY DEFERRED`),
    'SET CONSTRAINTS ALL DEFERRED',
  ]
  for (const statement of off) await connection.script(statement)
  return ['SET CONSTRAINTS ALL IMMEDIATE', ...keys.map((key) => `${key} NOT DEFERRABLE`)]
}
