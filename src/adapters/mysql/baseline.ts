import type { MappingIdentity, Snapshot } from '#adapters/adapter.ts'
import type { RememberedRow } from '#adapters/baseline.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { BaselineDetail } from '#model/conflict.ts'
import { fingerprint } from '#model/fingerprint.ts'
import { detailText } from './baseline-details.ts'
import { createBaselineSql, keyColumns } from './baseline-sql.ts'
import { deleteKeys, loadKept, namesOf, writeKept, type KeptMapping, type KeptRow } from './baseline-write.ts'
import type { Connection } from './connection.ts'
import type { MyTable } from './introspect.ts'
import { baselineTable, ownTable } from './own-tables.ts'
import { quoteTable } from './sql.ts'
import { holdEpoch } from './state.ts'
import { keyParameter, TableSql } from './table-sql.ts'

/** Makes the baseline of a mapping where there is none. Not inside of a transaction: DDL commits by itself. */
export async function createBaseline(connection: Connection, mapping: MappingIdentity, table: MyTable): Promise<void> {
  const key = must(mapping.key, 'the key of a mapping with a baseline')
  const baseline = baselineTable(connection.endpoint.database, mapping.mappingId)
  await connection.execute(createBaselineSql(baseline, mapping.target, { columns: keyColumns(table, key) }))
}

/**
 * Fills the baseline with the rows of the target as they are in `moment`, but for those with the keys in `except`: of them
 * it keeps what it has. No other session can see that moment, so that keys and fingerprints come by way of its own.
 * Returns how many rows it holds then. @throws AppError `stale_epoch`
 */
export async function adoptRows(
  connection: Connection,
  mapping: KeptMapping,
  { moment, except }: { moment: Snapshot; except: () => Iterable<readonly Key[]> },
): Promise<number> {
  const { claim, plan } = mapping
  const { database } = connection.endpoint
  const baseline = baselineTable(database, claim.mappingId)
  const apart = quoteTable({ schema: database, name: 'syncline_apart' })
  const names = namesOf(mapping)
  const same = Array.from({ length: plan.scan.keyLength }, (_, i) => `b.k${i} = a.k${i}`).join(' AND ')
  await connection.execute(`DROP TEMPORARY TABLE IF EXISTS ${apart}`)
  // The keys alone say which rows stand apart; what the baseline has of them is laid beside them.
  await connection.execute(`CREATE TEMPORARY TABLE ${apart} LIKE ${baseline}`)
  await connection.execute(`ALTER TABLE ${apart} ADD COLUMN known TINYINT NOT NULL DEFAULT 0`)
  try {
    return await connection.transaction('write', async () => {
      await holdEpoch(connection, claim)
      for (const some of except()) {
        const keys = some.map((key): KeptRow => ({ key, source: null, target: null, fields: null, image: null }))
        await loadKept(connection, { table: apart, names }, keys)
      }
      const kept = names.slice(plan.scan.keyLength).map((name) => `a.${name} = b.${name}`)
      await connection.execute(`UPDATE ${apart} a JOIN ${baseline} b ON ${same} SET ${kept.join(', ')}, a.known = 1`)
      await connection.execute(`DELETE FROM ${baseline}`)
      await loadKept(connection, { table: baseline, names }, keptRows(mapping, moment))
      await connection.execute(`DELETE b FROM ${apart} a JOIN ${baseline} b ON ${same}`)
      const [row] = await connection.query(`SELECT COUNT(*) FROM ${baseline}`)
      await connection.execute(
        `INSERT INTO ${baseline} (${names.join(', ')}) SELECT ${names.join(', ')} FROM ${apart} WHERE known = 1`,
      )
      const state = ownTable(database, 'state')
      await connection.execute(`UPDATE ${state} SET baseline_complete = 1 WHERE mapping_id = ?`, [claim.mappingId])
      return Number(row?.[0])
    })
  } finally {
    if (!connection.broken) await connection.execute(`DROP TEMPORARY TABLE IF EXISTS ${apart}`)
  }
}

/** Rows whose details are read together. */
const ROWS = 500

async function* keptRows({ plan }: KeptMapping, moment: Snapshot): AsyncGenerator<KeptRow> {
  const { scan, baselineDetails } = plan
  const all = moment.keys(scan, { by: 'key hash', count: 1 }, 'all')
  if (baselineDetails.length === 0) {
    for await (const { key, fingerprint: both } of all) {
      yield { key, source: both, target: both, fields: null, image: null }
    }
    return
  }
  let some: Key[] = []
  for await (const { key } of all) {
    some.push(key)
    if (some.length < ROWS) continue
    yield* await detailedRows(moment, { scan, keys: some }, baselineDetails)
    some = []
  }
  yield* await detailedRows(moment, { scan, keys: some }, baselineDetails)
}

async function detailedRows(
  moment: Snapshot,
  { scan, keys }: { scan: KeptMapping['plan']['scan']; keys: readonly Key[] },
  details: readonly BaselineDetail[],
): Promise<KeptRow[]> {
  if (keys.length === 0) return []
  return (await moment.rows(scan, keys)).map((row) => {
    const both = fingerprint(row)
    const textOf = (name: BaselineDetail): string | null => (details.includes(name) ? detailText(name, { row }) : null)
    return {
      key: row.slice(0, scan.keyLength),
      source: both,
      target: both,
      fields: textOf('fields'),
      image: textOf('image'),
    }
  })
}

/**
 * Sets what the baseline has for rows that nobody writes, inside of an open transaction. Of rows that are in step the server
 * has the values. Returns the keys of those that are other rows by now. @throws AppError `stale_epoch`
 */
export async function rememberInTransaction(
  connection: Connection,
  mapping: KeptMapping,
  rows: readonly RememberedRow[],
): Promise<readonly Key[]> {
  const { claim, plan } = mapping
  const details = plan.baselineDetails
  await holdEpoch(connection, claim)
  const gone = rows.filter(({ source, target }) => source === null && target === null)
  const kept = rows.filter(({ source, target }) => source !== null || target !== null)
  await deleteKeys(
    connection,
    mapping,
    gone.map(({ key }) => key),
  )
  const isEqual = ({ source, target, base }: RememberedRow): boolean =>
    base === null && source !== null && source === target
  const there = await rowsOf(connection, mapping, details.length === 0 ? [] : kept.filter(isEqual))
  const lost: Key[] = []
  const written = kept.map((row): KeptRow => {
    const found = there.get(JSON.stringify(row.key))
    const isSame = found !== undefined && fingerprint(found) === row.target
    if (details.length > 0 && isEqual(row) && !isSame) lost.push(row.key)
    const base = row.base ?? (isSame ? { row: found } : null)
    const textOf = (name: BaselineDetail): string | null => (details.includes(name) ? detailText(name, base) : null)
    return { ...row, fields: textOf('fields'), image: textOf('image') }
  })
  await writeKept(connection, mapping, written)
  return lost
}

/** The target's rows, by their keys as JSON. */
async function rowsOf(
  connection: Connection,
  { plan, table }: KeptMapping,
  rows: readonly RememberedRow[],
): Promise<ReadonlyMap<string, readonly (string | null)[]>> {
  const found = new Map<string, readonly (string | null)[]>()
  const sql = new TableSql(plan.scan, table)
  for (let start = 0; start < rows.length; start += ROWS) {
    const keys = rows.slice(start, start + ROWS).map(({ key }) => key)
    const some = await connection.query(
      `SELECT ${sql.expressions.join(', ')} FROM ${sql.keysFrom} STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('k.k')} ${sql.where()}`,
      [keyParameter(keys)],
    )
    for (const row of some) found.set(JSON.stringify(row.slice(0, plan.scan.keyLength)), row)
  }
  return found
}
