import type { Claim, MappingIdentity, Snapshot, WritePlan } from '#adapters/adapter.ts'
import type { RememberedRow } from '#adapters/baseline.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { importSnapshot } from './snapshot.ts'
import { DETAIL_TYPES, detailColumns, detailText } from './baseline-details.ts'
import { quote } from './sql.ts'
import { baselineTable, holdEpoch, markWriterSql, staleEpoch } from './state.ts'
import { keyParameters, TableSql } from './table-sql.ts'

/**
 * Makes the baseline of a mapping where there is none: the key's columns in their own types, two fingerprints, of which one
 * is NULL where that side had no row, and what else may be kept of the row that both had.
 */
export async function createBaseline(connection: Connection, mapping: MappingIdentity, table: PgTable): Promise<void> {
  const key = must(mapping.key, 'the key of a mapping with a baseline')
  const columns = key.map((name, i) => `t.${quote(name)} AS k${i}`)
  const details = Object.entries(DETAIL_TYPES).map(([name, type]) => `NULL::${type} AS ${name}`)
  const baseline = baselineTable(mapping.mappingId)
  const from = new TableSql({ table: mapping.target, columns: [], keyLength: 0, algorithm: 'md5', filter: null }, table)
    .from
  await connection.transaction('write', async () => {
    const [found] = await connection.query('SELECT pg_catalog.to_regclass($1)', [baseline])
    if (found?.[0]) return
    await connection.query(
      `CREATE TABLE ${baseline} AS SELECT ${columns.join(', ')}, 0::int8 AS source_fingerprint,
         0::int8 AS target_fingerprint, ${details.join(', ')} FROM ${from} t WITH NO DATA`,
    )
    await connection.query(`ALTER TABLE ${baseline} ADD PRIMARY KEY (${key.map((_, i) => `k${i}`).join(', ')})`)
  })
}

/**
 * Fills the baseline with the rows of the target as they are in `moment`, but for those with the keys in `except`: of them
 * it keeps what it has. Returns how many it holds then. @throws AppError `stale_epoch`
 */
export async function adoptRows(
  connection: Connection,
  { claim, plan, table }: { claim: Claim; plan: WritePlan; table: PgTable },
  { moment, except }: { moment: Snapshot; except: () => Iterable<readonly Key[]> },
): Promise<number> {
  const { scan } = plan
  const sql = new TableSql(scan, table)
  const baseline = baselineTable(claim.mappingId)
  const keys = Array.from({ length: scan.keyLength }, (_, i) => `k${i}`)
  const named = scan.columns.slice(0, scan.keyLength).map((column, i) => `t.${quote(column.name)} AS k${i}`)
  const details = detailColumns(plan, sql)
  return connection.transaction('write', async () => {
    await connection.script('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    await importSnapshot(connection, moment.id)
    await connection.query(markWriterSql(claim.mappingId))
    // First of all: where this was committed already, that moment is over, and the server says so.
    const moved = await connection.execute(
      'UPDATE syncline.state SET baseline_complete = true WHERE mapping_id = $1 AND epoch = $2',
      [claim.mappingId, claim.epoch],
    )
    if (moved === 0) throw staleEpoch(claim)
    await connection.query(
      `CREATE TEMP TABLE ${APART} ON COMMIT DROP AS SELECT ${keys.join(', ')} FROM ${baseline} WITH NO DATA`,
    )
    for (const some of except()) {
      await connection.query(
        `INSERT INTO ${APART} SELECT ${keys.map((key) => `k.${key}`).join(', ')} FROM ${sql.keysFrom(1)}`,
        keyParameters(some, scan.keyLength),
      )
    }
    const isApart = (of: string): string => `EXISTS (SELECT FROM ${APART} a WHERE ${sql.matches('a.k', `${of}.k`)})`
    await connection.query(`ANALYZE ${APART}`)
    await connection.query(`DELETE FROM ${baseline} b WHERE NOT ${isApart('b')}`)
    return await connection.execute(
      `INSERT INTO ${baseline} (${keys.join(', ')}, source_fingerprint, target_fingerprint${details.map(({ name }) => `, ${name}`).join('')})
       SELECT ${keys.map((key) => `x.${key}`).join(', ')}, x.f, x.f${details.map(({ name }) => `, x.${name}`).join('')}
       FROM (SELECT ${named.join(', ')}, ${sql.fingerprint} AS f${details.map(({ name, ofTable }) => `, ${ofTable} AS ${name}`).join('')} FROM ${sql.from} t OFFSET 0) x
       WHERE NOT ${isApart('x')}`,
    )
  })
}

/** The keys that a proof left out. */
const APART = 'pg_temp.syncline_apart'

async function setDetails(
  connection: Connection,
  { baseline, plan, sql }: { baseline: string; plan: WritePlan; sql: TableSql },
  rows: readonly RememberedRow[],
): Promise<readonly Key[]> {
  const { keyLength } = sql.scan
  const details = detailColumns(plan, sql)
  if (details.length === 0) return []
  const sets = details.map(({ name, type }, i) => `${name} = ($${keyLength + 1 + i}::text[])[k.n]::${type}`)
  await connection.query(
    `UPDATE ${baseline} b SET ${sets.join(', ')} FROM ${sql.keysFrom(1)} WHERE ${sql.matches('b.k', 'k.k')}`,
    [
      ...keyParameters(
        rows.map(({ key }) => key),
        keyLength,
      ),
      ...details.map(({ name }) => rows.map(({ base }) => detailText(name, base))),
    ],
  )
  // Of rows that are in step the server has the values.
  const equal = rows.filter(({ source, target, base }) => base === null && source !== null && source === target)
  if (equal.length === 0) return []
  const filled = await connection.query(
    `UPDATE ${baseline} b SET ${details.map(({ name }) => `${name} = x.${name}`).join(', ')}
     FROM (SELECT ${sql.keyExpressions.map((_, i) => `k.k${i}`).join(', ')}, k.n, ${sql.fingerprint} AS f,
             ${details.map(({ name, ofTable }) => `${ofTable} AS ${name}`).join(', ')}
           FROM ${sql.keysFrom(1)} JOIN ${sql.from} t ON ${sql.keyEquals('k.k')} OFFSET 0) x
     WHERE ${sql.matches('b.k', 'x.k')} AND b.target_fingerprint = x.f AND b.source_fingerprint = x.f
     RETURNING x.n`,
    keyParameters(
      equal.map(({ key }) => key),
      keyLength,
    ),
  )
  const known = new Set(filled.map(([n]) => Number(n)))
  return equal.flatMap(({ key }, i) => (known.has(i + 1) ? [] : [key]))
}

/**
 * Sets what the baseline has for rows that nobody writes, in a transaction of its own. @throws AppError `stale_epoch`
 */
export async function rememberRows(
  connection: Connection,
  mapping: RememberedMapping,
  rows: readonly RememberedRow[],
): Promise<readonly Key[]> {
  return connection.transaction(
    'write',
    () => rememberInTransaction(connection, mapping, rows),
    markWriterSql(mapping.claim.mappingId),
  )
}

/** The mapping that rows are remembered for. */
interface RememberedMapping {
  readonly claim: Claim
  readonly plan: WritePlan
  readonly table: PgTable
}

/** The same inside of an open transaction that has marked its writer. @throws AppError `stale_epoch` */
export async function rememberInTransaction(
  connection: Connection,
  { claim, plan, table }: RememberedMapping,
  rows: readonly RememberedRow[],
): Promise<readonly Key[]> {
  const { scan } = plan
  const sql = new TableSql(scan, table)
  const baseline = baselineTable(claim.mappingId)
  const keys = Array.from({ length: scan.keyLength }, (_, i) => `k${i}`)
  const gone = rows.filter(({ source, target }) => source === null && target === null)
  const kept = rows.filter(({ source, target }) => source !== null || target !== null)
  await holdEpoch(connection, claim)
  if (gone.length > 0) {
    await connection.query(
      `DELETE FROM ${baseline} b USING ${sql.keysFrom(1)} WHERE ${sql.matches('b.k', 'k.k')}`,
      keyParameters(
        gone.map(({ key }) => key),
        scan.keyLength,
      ),
    )
  }
  if (kept.length === 0) return []
  const [s, t] = [scan.keyLength + 1, scan.keyLength + 2]
  await connection.query(
    `INSERT INTO ${baseline} (${keys.join(', ')}, source_fingerprint, target_fingerprint)
       SELECT ${keys.map((key) => `k.${key}`).join(', ')}, ($${s}::int8[])[k.n], ($${t}::int8[])[k.n]
       FROM ${sql.keysFrom(1)}
       ON CONFLICT (${keys.join(', ')}) DO UPDATE SET source_fingerprint = excluded.source_fingerprint,
         target_fingerprint = excluded.target_fingerprint`,
    [
      ...keyParameters(
        kept.map(({ key }) => key),
        scan.keyLength,
      ),
      kept.map(({ source }) => source),
      kept.map(({ target }) => target),
    ],
  )
  return setDetails(connection, { baseline, plan, sql }, kept)
}
