/**
 * Whether a restore has touched what its file does not make. Functions, rules and triggers of a file run with all the rights of
 * the login while its rows are brought in, and no reading of their text says what they do. But whatever they write to, alter or
 * drop they must lock, and the server keeps those locks up to the end of the transaction; what somebody may do with a table, and
 * what goes by one, is changed under weaker locks or none, and shows in the catalogue (hazard D13).
 */
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'

interface Bystander {
  readonly ref: TableRef
  /** Changes with its definition, its rights and its parts. */
  readonly state: string
}

/** Relations that were there before, by their OIDs. */
export interface Bystanders {
  readonly relations: ReadonlyMap<string, Bystander>
  /** Locks of the restore itself, by relation: to drop a table that refers to another one locks both. */
  readonly held: ReadonlyMap<string, ReadonlySet<string>>
}

/** `relhastriggers`: a foreign key of the file that refers to a table gives it triggers of the server's own. */
const STATE = `pg_catalog.md5(pg_catalog.concat(pg_catalog.to_jsonb(c) - ARRAY['relpages', 'reltuples', 'relallvisible', 'relallfrozen',
    'relfrozenxid', 'relminmxid', 'relhastriggers'],
  (SELECT pg_catalog.string_agg(pg_catalog.concat(d.classid, ' ', d.objid), ',' ORDER BY d.classid, d.objid) FROM pg_catalog.pg_depend d
   WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i'))))`

const BYSTANDERS = `
  SELECT c.oid::text, n.nspname, c.relname, ${STATE}
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> ALL ($1::text[]) AND n.nspname !~ '^pg_(toast|temp)'
    AND (n.nspname NOT IN ('pg_catalog', 'information_schema')
      OR c.oid IN ('pg_catalog.pg_authid'::pg_catalog.regclass, 'pg_catalog.pg_auth_members'::pg_catalog.regclass,
                   'pg_catalog.pg_db_role_setting'::pg_catalog.regclass, 'pg_catalog.pg_database'::pg_catalog.regclass))`

/** @param aside schemas of what is to be dropped at the end */
export async function readBystanders(connection: Connection, aside: readonly string[] = []): Promise<Bystanders> {
  const rows = await connection.query(BYSTANDERS, [aside])
  const relations = new Map(
    rows.map(([oid, schema, name, state]) => [
      oid ?? '',
      { ref: { schema: schema ?? '', name: name ?? '' }, state: state ?? '' },
    ]),
  )
  return { relations, held: await readLocks(connection) }
}

/** Weaker locks are of readers. A foreign key locks the table that it refers to as `ShareRowExclusiveLock`. */
const WRITING = `
  SELECT DISTINCT l.relation::text, l.mode FROM pg_catalog.pg_locks l
  WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
    AND l.database IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
    AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ExclusiveLock', 'AccessExclusiveLock')`

async function readLocks(connection: Connection): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const held = new Map<string, Set<string>>()
  for (const [oid, mode] of await connection.query(WRITING)) {
    held.set(oid ?? '', (held.get(oid ?? '') ?? new Set()).add(mode ?? ''))
  }
  return held
}

/**
 * Rows of the catalogue that this transaction has written, savepoints and all: it holds a lock on each of its own numbers. A
 * state where the relation may be as it was all the same.
 */
const CHANGED = `
  WITH ours AS MATERIALIZED (
    SELECT l.transactionid AS id FROM pg_catalog.pg_locks l
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'transactionid' AND l.granted
  )
  SELECT c.oid::text, ${STATE} FROM pg_catalog.pg_class c WHERE c.xmin IN (SELECT id FROM ours) OR c.oid = ANY ($1::pg_catalog.oid[])
  UNION ALL
  SELECT a.attrelid::text, NULL FROM pg_catalog.pg_attribute a WHERE a.xmin IN (SELECT id FROM ours)
  UNION ALL
  SELECT t.tgrelid::text, NULL FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND t.xmin IN (SELECT id FROM ours)
  UNION ALL
  SELECT k.conrelid::text, NULL FROM pg_catalog.pg_constraint k WHERE k.conrelid <> 0 AND k.xmin IN (SELECT id FROM ours)`

/** Which of them this transaction has written to, altered or dropped. */
export async function readWritten(connection: Connection, { relations, held }: Bystanders): Promise<TableRef[]> {
  const touched = new Set<string>()
  for (const [oid, modes] of await readLocks(connection)) {
    const own = held.get(oid)
    if ([...modes].some((mode) => own?.has(mode) !== true)) touched.add(oid)
  }
  // What a lock of the restore itself hides shows in the state, and where nothing is left of it.
  const known = [...held.keys()].filter((oid) => relations.has(oid))
  const gone = new Set(known)
  for (const [oid, state] of await connection.query(CHANGED, [known])) {
    gone.delete(oid ?? '')
    if (state === null || state !== relations.get(oid ?? '')?.state) touched.add(oid ?? '')
  }
  const partitions = await readPartitions(connection)
  return [...touched, ...gone].flatMap((oid) => {
    const bystander = relations.get(oid)
    if (bystander === undefined) return []
    // Rows go into a partition by way of its root.
    return [(relations.get(partitions.get(oid) ?? '') ?? bystander).ref]
  })
}

async function readPartitions(connection: Connection): Promise<ReadonlyMap<string, string>> {
  const rows = await connection.query(
    `SELECT c.oid::text, pg_catalog.pg_partition_root(c.oid)::oid::text FROM pg_catalog.pg_class c WHERE c.relispartition`,
  )
  return new Map(rows.map(([oid, root]) => [oid ?? '', root ?? '']))
}
