/** What of a database bears on restoring a dump into it. */
import type { RestoreFacts, RestoreQuestion } from '#adapters/restore-target.ts'
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { readDependents, readExisting } from './restore-clear.ts'
import { readFills } from './restore-fills.ts'
import { readOthers } from './restore-others.ts'
import { readObstacles } from './restore-swap.ts'
import { quoteTable } from './sql.ts'

const LOGIN = `
  SELECT current_database(), CASE WHEN r.rolsuper THEN 'is a superuser' ELSE
    (SELECT 'is a member of ' || g.rolname FROM pg_catalog.pg_roles g
     WHERE g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
       AND pg_catalog.pg_has_role(r.rolname, g.oid, 'MEMBER') ORDER BY g.rolname LIMIT 1) END
  FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`

const MISSING = `
  SELECT 'role', w FROM pg_catalog.unnest($1::text[]) w WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = w)
  UNION ALL
  SELECT 'extension', w FROM pg_catalog.unnest($2::text[]) w WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = w)
  UNION ALL
  SELECT 'language', w FROM pg_catalog.unnest($3::text[]) w WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_language WHERE lanname = w AND lanpltrusted)
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest($2::text[]) e WHERE e = w)
  UNION ALL
  SELECT 'tablespace', w FROM pg_catalog.unnest($4::text[]) w WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_tablespace WHERE spcname = w)
  UNION ALL
  SELECT 'has', extname FROM pg_catalog.pg_extension WHERE extname = ANY ($2::text[])`

const SEQUENCES = `
  SELECT w.nsp, w.name, c.oid FROM unnest($1::text[], $2::text[]) w(nsp, name)
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'S'`

const LARGE_OBJECTS = `
  SELECT oid::text FROM pg_catalog.pg_largeobject_metadata WHERE oid::text = ANY ($1::text[]) ORDER BY oid`

const EVENT_TRIGGERS = `SELECT evtname FROM pg_catalog.pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY 1`

/** Reads them within the transaction of the connection. */
export async function readRestoreFacts(connection: Connection, question: RestoreQuestion): Promise<RestoreFacts> {
  const { makes, fills, roles, extensions, languages, tablespaces, largeObjects, swap } = question
  const [login] = await connection.query(LOGIN)
  const missing = await connection.query(MISSING, [roles, extensions, languages, tablespaces])
  const of = (kind: string): string[] => missing.flatMap(([each, name]) => (each === kind && name ? [name] : []))
  const tables = await readFills(connection, fills)
  const existing = await readExisting(connection, makes)
  const sequences = await readSequences(connection, question.moves)
  const drop = existing.filter(({ object }) => object !== 'schema')
  return {
    others: await readOthers(connection, question.others),
    database: login?.[0] ?? '',
    privileged: login?.[1] ?? null,
    existing,
    dependents: await readDependents(connection, { drop: makes, empty: tables.emptied, joins: question.joins }),
    filled: tables.filled,
    emptied: tables.emptied,
    moved: sequences.moved,
    largeObjects: (await connection.query(LARGE_OBJECTS, [largeObjects])).flatMap(([oid]) => (oid ? [oid] : [])),
    unswappable: swap === null ? [] : await readObstacles(connection, drop, swap),
    missing: {
      tables: tables.missing,
      sequences: sequences.missing,
      roles: of('role'),
      extensions: of('extension'),
      languages: of('language'),
      tablespaces: of('tablespace'),
    },
    eventTriggers: (await connection.query(EVENT_TRIGGERS)).flatMap(([name]) => (name ? [name] : [])),
    extensions: of('has'),
  }
}

/** Which of the sequences are not there, and which have given out values. */
async function readSequences(
  connection: Connection,
  sequences: readonly TableRef[],
): Promise<{ readonly missing: readonly TableRef[]; readonly moved: readonly TableRef[] }> {
  const names = [sequences.map(({ schema }) => schema), sequences.map(({ name }) => name)]
  const missing: TableRef[] = []
  const moved: TableRef[] = []
  for (const [schema, name, oid] of await connection.query(SEQUENCES, names)) {
    if (!schema || !name) continue
    if (!oid) missing.push({ schema, name })
    else {
      const [row] = await connection.query(
        `SELECT s.is_called OR s.last_value <> d.seqstart FROM ${quoteTable({ schema, name })} s, pg_catalog.pg_sequence d
         WHERE d.seqrelid = $1::pg_catalog.oid`,
        [oid],
      )
      if (row?.[0] === 't') moved.push({ schema, name })
    }
  }
  return { missing, moved }
}
