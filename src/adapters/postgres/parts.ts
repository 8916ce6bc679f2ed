import type { BatchKind, BatchPart, BatchResult, Claim, CommittedCounts, WritePlan } from '#adapters/adapter.ts'
import { batchWriting, type Applied } from '#adapters/batch-part.ts'
import type { BatchRecord, WrittenPart } from '#adapters/commits.ts'
import { assert, must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import { BatchSql } from './batch.ts'
import type { Connection } from './connection.ts'
import { readDefinitions } from './definition.ts'
import type { KnownTables } from './known-tables.ts'
import { quoteTable } from './sql.ts'
import { markWriterSql, recordBatch } from './state.ts'
import { STAGE, STAGE_REST } from './table-sql.ts'

/** Both keep ALTER TABLE out; the stronger one other writers as well. */
type TableLock = 'ROW EXCLUSIVE' | 'SHARE ROW EXCLUSIVE'

/** What one transaction does to one table. */
export interface Part {
  readonly claim: Claim
  readonly plan: WritePlan
  readonly lock: TableLock
  readonly prepare?: (connection: Connection) => Promise<void>
  /** See `BatchSql.furnish`. */
  readonly furnish?: (connection: Connection, before: string | null) => Promise<string | null>
  readonly record: (connection: Connection) => Promise<BatchRecord>
  /** Told of the number of the batch, before its COMMIT. */
  readonly tell?: (batch: number) => Promise<void>
}

/** A batch of one table as a part of a transaction, and what came of it once that was committed. */
export function batchPart(
  { claim, plan, rows, telling }: BatchPart,
  { kind, known, number }: { kind: BatchKind; known: KnownTables; number: number },
): { part: Part; found: (committed: CommittedCounts) => BatchResult } {
  const batch = new BatchSql(plan, known.get(plan.scan.table))
  const apply = (connection: Connection): Promise<Applied> =>
    batch.apply(connection, claim, { rows, kind, images: telling?.images ?? null })
  const { record, tell, found } = batchWriting({ rows, telling }, { kind, number, apply })
  // Without a unique key nothing but the lock keeps two writers from inserting one key twice.
  const lock = plan.keyIsUnique ? 'ROW EXCLUSIVE' : 'SHARE ROW EXCLUSIVE'
  const prepare = (connection: Connection): Promise<void> => batch.keepStage(connection)
  const furnish: Part['furnish'] = (connection, before) => batch.furnish(connection, before)
  return { part: { claim, plan, lock, prepare, furnish, record, tell }, found }
}

export function beginPartSql({ claim, plan, lock }: Part): string {
  const silence = plan.silenceTriggers ? '; SET LOCAL session_replication_role = replica' : ''
  return `${markWriterSql(claim.mappingId)}${silence}; LOCK TABLE ONLY ${quoteTable(plan.scan.table)} IN ${lock} MODE`
}

/**
 * Writes parts inside of a transaction that has begun with `beginPartSql`: the rows, then the records with the test of the
 * epoch, then whoever is told. Where there are several, constraints that can be deferred are looked at when all rows are
 * there. `onRecord` is called with each part once it is recorded, and may throw.
 */
export async function writeParts(
  connection: Connection,
  parts: readonly Part[],
  { known, onRecord }: { known: KnownTables; onRecord: (part: WrittenPart) => void },
): Promise<void> {
  for (const { plan } of parts) await refuseDrift(connection, plan, known)
  if (parts.length > 1) await connection.script('SET CONSTRAINTS ALL DEFERRED')
  const records: BatchRecord[] = []
  for (const { plan, record } of parts) {
    assert(parts.length === 1 || !plan.silenceTriggers, 'foreign keys hold where rows of several tables are written')
    if (records.length > 0) await connection.script(`DROP TABLE IF EXISTS ${STAGE}, ${STAGE_REST}`)
    records.push(await record(connection))
  }
  if (parts.length > 1) await connection.script('SET CONSTRAINTS ALL IMMEDIATE')
  for (const [i, { claim, tell }] of parts.entries()) {
    const record = must(records[i], 'a record')
    const batch = await recordBatch(connection, claim, record)
    onRecord({ claim, batch, record })
    await tell?.(batch)
    failpoint('batch.told')
  }
}

/** The lock keeps the table from being altered until the COMMIT; what was altered before it is seen here. */
async function refuseDrift(
  connection: Connection,
  { scan: { table }, definition }: WritePlan,
  known: KnownTables,
): Promise<void> {
  const { enums, schema } = known.get(table)
  const [now] = await readDefinitions(connection, [{ ref: table, enums }])
  // What was read of the catalogue since the plan was made does not fit the plan either.
  if (now === definition && schema.definition === definition) return
  throw new AppError('schema_changed', `${tableName(table)} is defined otherwise than when the run planned it.`)
}
