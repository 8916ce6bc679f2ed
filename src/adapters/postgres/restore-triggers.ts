/**
 * Which triggers of filled tables are switched off. A file that keeps them quiet (`pg_dump --disable-triggers`) switches all of
 * them on behind its rows: those too that were off before, or fired for replicas alone.
 */
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'

/** Triggers and their states, as JSON that the server has written and reads. */
export type TriggerStates = string

/** Parents before children: to switch a trigger of a partitioned table switches those of its partitions. */
const STATES = `
  WITH RECURSIVE family(root, oid, depth) AS (
    SELECT c.oid, c.oid, 0 FROM unnest($1::text[], $2::text[]) w(nsp, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
    UNION ALL
    SELECT f.root, i.inhrelid, f.depth + 1 FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid
  )
  SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'root', f.root::text, 'depth', f.depth, 'trigger', t.oid::text, 'state', t.tgenabled)), '[]')::text
  FROM family f JOIN pg_catalog.pg_trigger t ON t.tgrelid = f.oid`

/** Of each table some of whose triggers are in another state now, all of them. */
const SWITCHES = `
  WITH was AS (
    SELECT w.*, t.tgname, t.tgrelid, t.tgenabled <> w.state AS changed
    FROM pg_catalog.jsonb_to_recordset($1::jsonb) w(root text, depth int, trigger pg_catalog.oid, state "char")
    JOIN pg_catalog.pg_trigger t ON t.oid = w.trigger
  )
  SELECT DISTINCT ON (w.depth, w.tgrelid, w.tgname) pg_catalog.format('ALTER TABLE ONLY %I.%I %s TRIGGER %I', n.nspname, c.relname,
    CASE w.state WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END, w.tgname)
  FROM was w JOIN pg_catalog.pg_class c ON c.oid = w.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE w.root IN (SELECT root FROM was WHERE changed) ORDER BY w.depth, w.tgrelid, w.tgname`

export async function readTriggers(connection: Connection, tables: readonly TableRef[]): Promise<TriggerStates> {
  const names = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)]
  const [row] = await connection.query(STATES, names)
  return row?.[0] ?? '[]'
}

/** Switches triggers back that are not as they were. What waits for the commit is done first: it would be in the way. */
export async function switchBack(connection: Connection, states: TriggerStates): Promise<void> {
  const rows = await connection.query(SWITCHES, [states])
  if (rows.length === 0) return
  await connection.script('SET CONSTRAINTS ALL IMMEDIATE')
  for (const [statement] of rows) if (statement) await connection.script(statement)
}
