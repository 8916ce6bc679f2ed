import type { CursorReached, Horizon } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Cursor } from '#model/detection.ts'
import type { Connection } from './connection.ts'
import { isServerError } from './errors.ts'
import { inForm } from './forms.ts'
import type { MyTable } from './introspect.ts'
import { accountOf } from './rights.ts'
import { literal, queryInFrom, quote, quoteTable } from './sql.ts'
import type { TableSql } from './table-sql.ts'

const NOW = 'CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS DECIMAL(20,0))'

/** The server shows sessions and transactions of others to administrators alone. */
const NEEDS_PROCESS = 1227

/** By the clock of the server's machine, whatever the zone of the session is. */
const STARTED = `UNIX_TIMESTAMP(CONVERT_TZ(x.trx_started, 'SYSTEM', '+00:00'))`

/** Where a clock is put back by this, the same time comes twice: the first of the two counts. */
const PUT_BACK = [1_800, 3_600, 7_200].map(
  (seconds) =>
    `IF(CONVERT_TZ(FROM_UNIXTIME(${STARTED} - ${seconds}), '+00:00', 'SYSTEM') = x.trx_started, ${seconds}, 0)`,
)

/** Those that only read write nothing, and our own snapshots are among them. The beginning is told in whole seconds, cut off. */
const TRANSACTIONS = `
  SELECT CAST(MIN(${STARTED} - GREATEST(${PUT_BACK.join(', ')})) AS CHAR), CAST(COUNT(*) - COUNT(${STARTED}) AS CHAR)
  FROM information_schema.innodb_trx x WHERE x.trx_is_read_only = 0 AND x.trx_mysql_thread_id <> CONNECTION_ID()`

/**
 * A statement that waits for a lock on its table has the time already that it will write, and is in no transaction yet. How
 * long it has run is told in whole seconds. What a replica repeats has times of its source.
 */
const STATEMENTS = `
  SELECT CAST(MAX(IF(p.user = 'system user', NULL, p.time)) AS CHAR),
         CAST(COALESCE(SUM(p.user = 'system user'), 0) AS CHAR)
  FROM information_schema.processlist p
  WHERE p.id <> CONNECTION_ID() AND p.command NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')`

/** The clock is asked first: what begins after that is younger than `now`. */
export async function readHorizon(connection: Connection): Promise<Horizon> {
  const [clock] = await connection.query(`SELECT CAST(${NOW} AS CHAR)`)
  const now = BigInt(must(clock?.[0], 'the time of the server'))
  try {
    // Statements before transactions, so that one that gets its lock between the two is seen as the one or the other.
    const [statements] = await connection.query(STATEMENTS)
    const [transactions] = await connection.query(TRANSACTIONS)
    const [longest, replicating] = statements ?? []
    const [started, untimed] = transactions ?? []
    const begun = [
      now,
      ...(longest ? [now - (BigInt(longest) + 1n) * 1_000_000n] : []),
      ...(started ? [BigInt(started.split('.')[0] ?? started) * 1_000_000n] : []),
    ]
    const oldest = begun.reduce((first, each) => (each < first ? each : first))
    const why = replicating === '0' ? null : 'the source repeats what another server writes, with the times of that one'
    return { now, oldest: untimed === '0' ? oldest : null, complete: why === null, why, remedy: null }
  } catch (error) {
    if (!isServerError(error) || error.errno !== NEEDS_PROCESS) throw error
    const remedy = `GRANT PROCESS ON *.* TO ${await accountOf(connection)};`
    return { now, oldest: now, complete: false, why: 'this login does not see the transactions of others', remedy }
  }
}

/** Compared by the server, as values of the column's type: nothing of a position is ever rounded or ordered as text. */
export async function* readChangedKeys(
  connection: Connection,
  sql: TableSql,
  { cursor, from }: { cursor: Cursor; from: string },
): AsyncGenerator<Key> {
  const column = `t.${quote(cursor.column)}`
  const position = sql.native(cursor.column, 'own', literal(from)) ?? literal(from)
  const conditions = [
    `${column} >= ${position}`,
    ...(cursor.nullable ? [`${column} IS NULL`] : []),
    // Bytes are ordered from the left: 0xff comes after 0x0100.
    ...(cursor.bytes ? [`LENGTH(${column}) <> LENGTH(${position})`] : []),
  ]
  const statement = `SELECT ${sql.keyExpressions.join(', ')} FROM ${sql.from} t ${sql.where(conditions.join(' OR '))}`
  for await (const key of connection.stream(statement)) yield key
}

/** The largest value of a column, but none beyond the ceiling. */
export async function readCursorReached(
  connection: Connection,
  table: MyTable,
  { cursor, ceiling }: { cursor: Cursor; ceiling: bigint | null },
): Promise<CursorReached> {
  const { ref, columns } = table.schema
  const from = table.query === null ? quoteTable(ref) : queryInFrom(table.query)
  const own = must(
    columns.find(({ name }) => name === cursor.column),
    'the column of the cursor',
  )
  const column = `t.${quote(cursor.column)}`
  const limit = `CAST(FROM_UNIXTIME(0) + INTERVAL ${ceiling ?? 0n} MICROSECOND AS DATETIME(6))`
  const largest = `(SELECT MAX(${column}) AS v FROM ${from} t)`
  const cut = own.type.kind === 'date' ? `LEAST(m.v, DATE(${limit}))` : `LEAST(CAST(m.v AS DATETIME(6)), ${limit})`
  const text = ceiling === null ? inForm('m.v', own.type, 'own') : inForm(cut, withSixDigits(own.type), 'own')
  const [row] = await connection.query(`SELECT IF(m.v IS NULL, NULL, ${text}) FROM ${largest} m`)
  const [clock] = await connection.query(`SELECT CAST(${NOW} AS CHAR)`)
  return { value: row?.[0] ?? null, at: BigInt(must(clock?.[0], 'the time of the server')), cached: false }
}

function withSixDigits(type: MyTable['schema']['columns'][number]['type']): typeof type {
  return type.kind === 'timestamp' ? { ...type, digits: 6 } : type
}
