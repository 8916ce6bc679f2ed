import type { CursorReached, Horizon, MappingIdentity, SessionFacts } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Cursor } from '#model/detection.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { only, queryInFrom, quote } from './sql.ts'
import type { TableSql } from './table-sql.ts'

const micros = (time: string): string => `(extract(epoch FROM ${time}) * 1000000)::int8`

/**
 * The clock is asked first: what begins after that is younger than `now`. The start of a transaction that is prepared is
 * not kept anywhere. Sessions of a standby are not those that write, and what is replayed lags behind its clock.
 */
const NOW = `
  SELECT ${micros(`least(pg_catalog.clock_timestamp(), CASE WHEN pg_catalog.pg_is_in_recovery()
           THEN pg_catalog.pg_last_xact_replay_timestamp() END)`)},
         pg_catalog.pg_is_in_recovery(),
         pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), current_user`

/** A session whose role is not ours hides when its transaction began, and one that tracks nothing has not said so. */
const SESSIONS = `
  SELECT ${micros('min(a.xact_start)')},
         coalesce(bool_and(a.state IS DISTINCT FROM 'disabled'), true),
         coalesce(bool_and(a.usesysid IS NULL OR pg_catalog.pg_has_role(a.usesysid, 'USAGE')), true)
  FROM pg_catalog.pg_stat_activity a
  WHERE a.datname = current_database() AND a.pid <> pg_catalog.pg_backend_pid()`

const PREPARED = 'SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()'

/** Sessions before what is prepared, so that a transaction which is prepared between the two is seen as the one or the other. */
export async function readHorizon(connection: Connection): Promise<Horizon> {
  const [clock] = await connection.query(NOW)
  const [sessions] = await connection.query(SESSIONS)
  const [prepared] = await connection.query(PREPARED)
  const now = BigInt(must(clock?.[0], 'the time of the server'))
  const started = sessions?.[0] ?? null
  const oldest = started === null || BigInt(started) > now ? now : BigInt(started)
  const seesAll = clock?.[2] === 't' || sessions?.[2] === 't'
  return {
    now,
    oldest: prepared?.[0] === '0' ? oldest : null,
    ...unseen({ isStandby: clock?.[1] === 't', tracksAll: sessions?.[1] === 't', seesAll, user: clock?.[3] ?? '' }),
  }
}

function unseen(of: { isStandby: boolean; tracksAll: boolean; seesAll: boolean; user: string }): SessionFacts {
  const hidden = { complete: false, remedy: null } as const
  if (of.isStandby) return { ...hidden, why: 'the source is a standby, which does not know the sessions that write' }
  if (!of.seesAll) {
    const remedy = `GRANT pg_read_all_stats TO ${quote(of.user)};`
    return { complete: false, why: 'this login does not see the sessions of other roles', remedy }
  }
  if (!of.tracksAll) return { ...hidden, why: 'some sessions do not track what they do (track_activities)' }
  return { complete: true, why: null, remedy: null }
}

/** Compared by the server, as values of the column's type: nothing of a position is ever rounded or ordered as text. */
export async function* readChangedKeys(
  connection: Connection,
  sql: TableSql,
  { cursor, from }: { cursor: Cursor; from: string },
): AsyncGenerator<Key> {
  const column = `t.${quote(cursor.column)}`
  const position = `$1::${castType(sql.table, cursor)}`
  const conditions = [
    `${column} >= ${position}`,
    ...(cursor.nullable ? [`${column} IS NULL`] : []),
    // Bytes are ordered from the left: 0xff comes after 0x0100.
    ...(cursor.bytes ? [`pg_catalog.octet_length(${column}) <> pg_catalog.octet_length(${position})`] : []),
  ]
  const statement = `SELECT ${sql.keyExpressions.join(', ')} FROM ${sql.from} t WHERE ${conditions.join(' OR ')}`
  for await (const key of connection.stream(statement, [from])) yield key
}

/** Values that stand for no end are left out: they would come after whatever is written later. */
export async function readCursorReached(
  connection: Connection,
  table: PgTable,
  { cursor, ceiling }: { cursor: Cursor; ceiling: bigint | null },
): Promise<CursorReached> {
  const { ref, kind, columns } = table.schema
  const from = table.query === null ? only(ref, kind !== 'table') : queryInFrom(table.query)
  const column = `t.${quote(cursor.column)}`
  const own = columns.find(({ name }) => name === cursor.column)
  const isTime = own?.type.kind === 'timestamp' || own?.type.kind === 'date'
  const ends = own?.type.kind === 'decimal' ? (connection.major >= 14 ? ['NaN', 'Infinity'] : ['NaN']) : []
  const conditions = [
    `${column} IS NOT NULL`,
    ...(isTime ? [`pg_catalog.isfinite(${column})`] : []),
    ...ends.map((end) => `${column} < '${end}'`),
  ]
  const limit = `'epoch'::pg_catalog.timestamptz + $1::pg_catalog.float8 * '1 microsecond'::pg_catalog.interval`
  const value = ceiling === null ? column : `least(${column}, ${limit})`
  const [row] = await connection.query(
    `SELECT (${value})::text FROM ${from} t WHERE ${conditions.join(' AND ')} ORDER BY ${column} DESC LIMIT 1`,
    ceiling === null ? [] : [ceiling],
  )
  const sequence = own?.sequence ?? null
  const [facts] = await connection.query(
    `SELECT ${micros('pg_catalog.clock_timestamp()')},
       (SELECT s.seqcache > 1 FROM pg_catalog.pg_sequence s WHERE s.seqrelid = pg_catalog.to_regclass($1))`,
    [sequence],
  )
  return { value: row?.[0] ?? null, at: BigInt(must(facts?.[0], 'the time of the server')), cached: facts?.[1] === 't' }
}

function castType(table: PgTable, { column }: Cursor): string {
  return must(table.comparison.get(column), `no type of ${column}`).castType
}

/** By way of JSON: a state of an older version has no such column until a run claims it. */
export async function readDetectionState(
  connection: Connection,
  { mappingId, mappingHash }: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>,
): Promise<string | null> {
  const [there] = await connection.query(`SELECT pg_catalog.to_regclass('syncline.state')`)
  if (!there?.[0]) return null
  const [row] = await connection.query(
    `SELECT pg_catalog.to_jsonb(s) ->> 'detection' FROM syncline.state s WHERE mapping_id = $1 AND mapping_hash = $2`,
    [mappingId, mappingHash],
  )
  return row?.[0] ?? null
}
