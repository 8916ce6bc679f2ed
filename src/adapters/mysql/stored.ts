import type { KeyFingerprint, Scan, WritePlan } from '#adapters/adapter.ts'
import type { SentRow } from '#model/value.ts'
import { hashLargeRow } from './cells.ts'
import type { Connection } from './connection.ts'
import { asRowsRefused } from './errors.ts'
import type { MyTable } from './introspect.ts'
import { quote, quoteTable } from './sql.ts'
import { stagedValue } from './staged.ts'
import { BATCH_STAGE } from './stage.ts'
import { TableSql } from './table-sql.ts'

/** The temporary table that rows are stored in, to see what becomes of them. */
const COPY = 'syncline_stored'
/** Its own column. */
const SEQ = quote('syncline seq')

/** The columns by which a row is known to be what was sent: all that is written, and the key. */
export function storedScan({ scan, written }: WritePlan): Scan {
  const columns = scan.columns.filter(({ name }, i) => i < scan.keyLength || written.includes(name))
  return { ...scan, columns, filter: null }
}

/**
 * What the server makes of rows when it stores them in a table: their keys and the fingerprints of `storedScan`, as they are
 * in a temporary table whose columns have the types, lengths and collations of that one and which has no triggers, indexes
 * and checks. The values are those that a batch would write. Of rows that the server refuses, nothing.
 */
export async function readStored(
  connection: Connection,
  { plan, table }: { plan: WritePlan; table: MyTable },
  rows: readonly SentRow[],
): Promise<KeyFingerprint[]> {
  if (rows.length === 0) return []
  const ref = { schema: connection.endpoint.database, name: COPY }
  const scan: Scan = { ...storedScan(plan), table: ref }
  const stored = new TableSql(scan, table)
  await BATCH_STAGE.fill(
    connection,
    plan.scan.columns.length,
    rows.values().map((row, seq): SentRow => [String(seq), 'i', ...row]),
  )
  await createCopy(connection, { table, scan })
  await connection.takeZeroDates(plan.keepsZeroDates)
  await storeRows(connection, { plan, table, scan, rows: rows.length })
  const found = await connection.query(
    `SELECT CAST(${stored.fingerprint} AS CHAR), CAST(${stored.bytes} AS CHAR), ${stored.keyExpressions.join(', ')}
     FROM ${stored.from} t`,
  )
  const all: KeyFingerprint[] = []
  for (const [hash, bytes, ...key] of found) {
    const fingerprint = hash ?? (await hashLargeRow(connection, stored, key)).readBigInt64BE(0).toString()
    all.push({ bucket: 0, key, fingerprint, bytes: Number(bytes) })
  }
  await connection.execute(`DROP TEMPORARY TABLE ${quoteTable(ref)}`)
  return all
}

/** By SELECT: a table that is made LIKE another one cannot be temporary where that has partitions or a full-text index. */
async function createCopy(connection: Connection, { table, scan }: { table: MyTable; scan: Scan }): Promise<void> {
  const copy = quoteTable(scan.table)
  const columns = scan.columns.map(({ name }) => quote(name)).join(', ')
  // Defaults come along, also those that are days of zeros.
  await connection.takeZeroDates(true)
  await connection.execute(`DROP TEMPORARY TABLE IF EXISTS ${copy}`)
  // Servers may be set to refuse tables without a primary key.
  await connection.execute(
    `CREATE TEMPORARY TABLE ${copy} (${SEQ} INT NOT NULL PRIMARY KEY) ENGINE = ${table.transactional ? 'InnoDB' : 'MyISAM'}
     AS SELECT 0 AS ${SEQ}, ${columns} FROM ${quoteTable(table.schema.ref)} LIMIT 0`,
  )
}

/** All rows at once; one by one where the server refuses some of them. */
async function storeRows(
  connection: Connection,
  { plan, table, scan, rows }: { plan: WritePlan; table: MyTable; scan: Scan; rows: number },
): Promise<void> {
  const names = scan.columns.map(({ name }) => name)
  const values = plan.scan.columns.flatMap(({ name }, i) =>
    names.includes(name) ? [stagedValue(table, plan.scan, i)] : [],
  )
  const copy = quoteTable(scan.table)
  const store = (where: string): Promise<number> =>
    connection.execute(
      `INSERT INTO ${copy} (${[SEQ, ...names.map(quote)].join(', ')}) SELECT ${['s.seq', ...values].join(', ')} FROM ${BATCH_STAGE.of(connection)} s ${where}`,
    )
  try {
    await store('')
  } catch (error) {
    if (asRowsRefused(error) === null) throw error
    await connection.execute(`DELETE FROM ${copy}`)
    for (let seq = 0; seq < rows; seq++) {
      try {
        await store(`WHERE s.seq = ${seq}`)
      } catch (refusal) {
        if (asRowsRefused(refusal) === null) throw refusal
      }
    }
  }
}
