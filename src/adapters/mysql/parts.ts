import type { BatchKind, BatchPart, BatchResult, Claim, CommittedCounts, WritePlan } from '#adapters/adapter.ts'
import { batchWriting, type Applied } from '#adapters/batch-part.ts'
import type { BatchRecord, WrittenPart } from '#adapters/commits.ts'
import { must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import { BatchSql } from './batch.ts'
import type { Connection } from './connection.ts'
import { readOwnDefinition } from './introspect.ts'
import type { KnownTables } from './known-tables.ts'
import { asRefused } from './refusals.ts'
import { quoteTable } from './sql.ts'
import { recordBatch } from './state.ts'
import type { Mode } from './session.ts'

/** What one transaction does to one table. */
export interface Part {
  readonly claim: Claim
  readonly plan: WritePlan
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
  return { part: { claim, plan, record, tell }, found }
}

/** Without a unique key nothing but locks on what is not there keeps two writers from inserting one key twice. */
export function modeOf(parts: readonly Part[]): Mode {
  return parts.every(({ plan }) => plan.keyIsUnique) ? 'write' : 'write alone'
}

/**
 * Writes parts inside of a transaction: the rows, then the records with the test of the epoch, then whoever is told.
 * `onRecord` is called with each part once it is recorded, and may throw.
 */
export async function writeParts(
  connection: Connection,
  parts: readonly Part[],
  { known, onRecord }: { known: KnownTables; onRecord: (part: WrittenPart) => void },
): Promise<void> {
  for (const { plan } of parts) await refuseDrift(connection, plan, known)
  const records: BatchRecord[] = []
  for (const { plan, record } of parts) {
    await connection.takeZeroDates(plan.keepsZeroDates)
    try {
      records.push(await record(connection))
    } catch (error) {
      throw asRefused(error, known.get(plan.scan.table)) ?? error
    }
  }
  for (const [i, { claim, tell }] of parts.entries()) {
    const record = must(records[i], 'a record')
    const batch = await recordBatch(connection, claim, record)
    onRecord({ claim, batch, record })
    await tell?.(batch)
    failpoint('batch.told')
  }
}

/** What a transaction has looked at is not altered until the COMMIT; what was altered before is seen here. */
async function refuseDrift(
  connection: Connection,
  { scan: { table }, definition }: WritePlan,
  known: KnownTables,
): Promise<void> {
  await connection.query(`SELECT 1 FROM ${quoteTable(table)} LIMIT 0`)
  const { ownDefinition, schema } = known.get(table)
  // What was read of the catalogue since the plan was made does not fit the plan either.
  if (schema.definition === definition && (await readOwnDefinition(connection, table)) === ownDefinition) return
  throw new AppError('schema_changed', `${tableName(table)} is defined otherwise than when the run planned it.`)
}
