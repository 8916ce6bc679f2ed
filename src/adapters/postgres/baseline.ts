import type { Claim, MappingIdentity, Snapshot, WritePlan } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { importSnapshot } from './snapshot.ts'
import { quote } from './sql.ts'
import { baselineTable, markWriterSql, staleEpoch } from './state.ts'
import { keyParameters, TableSql } from './table-sql.ts'

/** Makes the baseline of a mapping where there is none: the key's columns in their own types, and two fingerprints. */
export async function createBaseline(connection: Connection, mapping: MappingIdentity, table: PgTable): Promise<void> {
  const key = must(mapping.key, 'the key of a mapping with a baseline')
  const columns = key.map((name, i) => `t.${quote(name)} AS k${i}`)
  const baseline = baselineTable(mapping.mappingId)
  const from = new TableSql({ table: mapping.target, columns: [], keyLength: 0, algorithm: 'md5', filter: null }, table)
    .from
  await connection.transaction('write', async () => {
    const [found] = await connection.query('SELECT pg_catalog.to_regclass($1)', [baseline])
    if (found?.[0]) return
    await connection.query(
      `CREATE TABLE ${baseline} AS SELECT ${columns.join(', ')}, 0::int8 AS source_fingerprint, 0::int8 AS target_fingerprint
       FROM ${from} t WITH NO DATA`,
    )
    await connection.query(`ALTER TABLE ${baseline} ADD PRIMARY KEY (${key.map((_, i) => `k${i}`).join(', ')})`)
  })
}

/**
 * Fills the baseline with the rows of the target as they are in `moment`, but for those with the keys in `except`.
 * Returns how many it holds then. @throws AppError `stale_epoch`
 */
export async function adoptRows(
  connection: Connection,
  { claim, plan, table }: { claim: Claim; plan: WritePlan; table: PgTable },
  { moment, except }: { moment: Snapshot; except: Iterable<readonly Key[]> },
): Promise<number> {
  const { scan } = plan
  const sql = new TableSql(scan, table)
  const baseline = baselineTable(claim.mappingId)
  const keys = Array.from({ length: scan.keyLength }, (_, i) => `k${i}`)
  const named = scan.columns.slice(0, scan.keyLength).map((column, i) => `t.${quote(column.name)} AS k${i}`)
  return connection.transaction('write', async () => {
    await connection.script('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    await importSnapshot(connection, moment.id)
    await connection.query(markWriterSql(claim.mappingId))
    await connection.query(`DELETE FROM ${baseline}`)
    let adopted = await connection.execute(
      `INSERT INTO ${baseline} (${keys.join(', ')}, source_fingerprint, target_fingerprint)
       SELECT ${keys.map((key) => `x.${key}`).join(', ')}, x.f, x.f
       FROM (SELECT ${named.join(', ')}, ${sql.fingerprint} AS f FROM ${sql.from} t OFFSET 0) x`,
    )
    for (const some of except) {
      adopted -= await connection.execute(
        `DELETE FROM ${baseline} b USING ${sql.keysFrom(1)} WHERE ${sql.matches('b.k', 'k.k')}`,
        keyParameters(some, scan.keyLength),
      )
    }
    const moved = await connection.execute(
      'UPDATE syncline.state SET baseline_complete = true WHERE mapping_id = $1 AND epoch = $2',
      [claim.mappingId, claim.epoch],
    )
    if (moved === 0) throw staleEpoch(claim)
    return adopted
  })
}
