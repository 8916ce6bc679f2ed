import type { Claim, Closing, CommittedCounts, JobIdentity, MappingIdentity, StatePhase } from '#adapters/adapter.ts'
import type { BatchRecord, WrittenPart } from '#adapters/commits.ts'
import { DETAILS, toClaim, toDetails } from '#adapters/state-row.ts'
import { failpoint } from '#lib/failpoint.ts'
import { must } from '#lib/assert.ts'
import type { BaselineDetail } from '#model/conflict.ts'
import { AppError } from '#model/errors.ts'
import type { Connection, Parameter, TextRow } from './connection.ts'
import { writeKnown } from './new-columns.ts'
import { baselineName, baselineTable, ownTable, type OwnTable } from './own-tables.ts'
import { endWriter } from './sessions.ts'
import { hasOwnTable, hasTable } from './state-tables.ts'

/**
 * The tables `syncline_…` in the target: what a sync knows of itself, committed with the rows that it is about. `state`
 * has a row per table mapping with the epoch, the phase and the counters of the current job; `batch` has a row per
 * committed batch of that job; `baseline_…` has a row per row in step. Everything a kill could tear apart is in one
 * transaction with the rows (invariants 1, 2 and 8).
 */

const STATE_COLUMNS = `mapping_id, job_id, epoch, phase, inserted, updated, deleted, batches, baseline_complete,
  TIMESTAMPDIFF(SECOND, verified_at, NOW(6)), mapping_hash, baseline_details, writer`

function own(connection: Connection, name: OwnTable): string {
  return ownTable(connection.endpoint.database, name)
}

/** Who takes over: a job, and the writer that its sessions are known by. */
export interface Claimer {
  readonly job: JobIdentity
  readonly writer: string
}

/**
 * Takes over the mappings for a run. The epoch moves in any case, and whoever held the old one can commit no more: its
 * sessions are ended first, because they may be paused and hold locks for as long as they live. Without a lease an
 * unfinished job is gone on with: its id, its counters and its phase are kept; a finished one makes way. With a lease the
 * job goes on with its own counters, finished or not, and every other makes way.
 */
export async function claimMappings(
  connection: Connection,
  mappings: readonly MappingIdentity[],
  claimer: Claimer,
): Promise<Claim[]> {
  const ids = mappings.map(({ mappingId }) => mappingId)
  for (const row of await readStates(connection, ids)) {
    const writer = row[12] ?? ''
    if (writer !== claimer.writer) await endWriter(connection, writer)
  }
  return await connection.transaction('write', async () => {
    const before = await readStates(connection, ids, 'FOR UPDATE')
    const unfinished = before.find((row) => row[3] !== 'done')
    const { id, lease } = claimer.job
    const job = lease === null ? (unfinished?.[1] ?? id) : id
    const claims: Claim[] = []
    for (const mapping of mappings) {
      const row = before.find((state) => state[0] === mapping.mappingId)
      const goesOn = row !== undefined && row[1] === job && (row[3] !== 'done' || lease !== null)
      claims.push(await claimOne(connection, mapping, { job, row, goesOn, writer: claimer.writer }))
    }
    return claims
  })
}

function readStates(connection: Connection, ids: readonly string[], lock: '' | 'FOR UPDATE' = ''): Promise<TextRow[]> {
  return connection.query(
    `SELECT ${STATE_COLUMNS} FROM ${own(connection, 'state')} WHERE mapping_id IN (${marks(ids)}) ORDER BY mapping_id ${lock}`,
    ids,
  )
}

function marks(values: readonly unknown[]): string {
  return values.length === 0 ? 'NULL' : values.map(() => '?').join(', ')
}

async function claimOne(
  connection: Connection,
  mapping: MappingIdentity,
  { job, row, goesOn, writer }: { job: string; row: TextRow | undefined; goesOn: boolean; writer: string },
): Promise<Claim> {
  const { mappingId, target } = mapping
  for (const name of goesOn ? [] : (['batch', 'answer'] as const)) {
    await connection.execute(`DELETE FROM ${own(connection, name)} WHERE mapping_id = ?`, [mappingId])
  }
  const exists = await hasTable(connection, baselineName(mappingId))
  const had = exists ? toDetails(row?.[11]) : []
  // Fingerprints mean something under the mapping alone that they were made with; the next proof fills them anew.
  const means = mapping.baseline && row?.[10] === mapping.mappingHash
  if (!mapping.asItIs) {
    const keeps = (name: BaselineDetail): boolean => means && mapping.baselineDetails.includes(name)
    const changed = exists ? DETAILS.filter((name) => keeps(name) !== had.includes(name)) : []
    await forgetDetails(connection, mappingId, changed)
    await forgetDetailsOfOthers(connection, mapping)
  }
  // What was remembered with less is filled in by that proof too.
  const keepsBaseline = means && row[8] === '1' && mapping.baselineDetails.every((name) => had.includes(name))
  const state = own(connection, 'state')
  if (row === undefined) {
    await connection.execute(
      `INSERT INTO ${state} (mapping_id, job_id, epoch, writer, phase, source, target_schema, target_table, mapping_hash)
       VALUES (?, ?, 0, ?, 'new', ?, ?, ?, ?) ON DUPLICATE KEY UPDATE batches = batches`,
      [mappingId, job, writer, mapping.source, target.schema, target.name, mapping.mappingHash],
    )
  }
  const sets = [
    ['job_id = ?', job],
    ['writer = ?', writer],
    ...(mapping.asItIs && row !== undefined ? [] : identitySets(mapping, { keepsBaseline, row })),
  ] as const
  const reset = goesOn
    ? `phase = IF(phase = 'done', 'applying', phase)`
    : `phase = 'new', inserted = 0, updated = 0, deleted = 0, batches = 0`
  await connection.execute(
    `UPDATE ${state} SET epoch = epoch + 1, updated_at = NOW(6), ${reset}, ${sets.map(([set]) => set).join(', ')}
     WHERE mapping_id = ?`,
    [...sets.map(([, value]) => value), mappingId],
  )
  const [claimed] = await readStates(connection, [mappingId])
  return toClaim(must(claimed, 'the state of a mapping'), mapping.asItIs ? exists : mapping.baseline)
}

/** What a claim says anew of a mapping; where it is to stay as it is, nothing. */
function identitySets(
  mapping: MappingIdentity,
  { keepsBaseline, row }: { keepsBaseline: boolean; row: TextRow | undefined },
): (readonly [string, Parameter])[] {
  // What the next run finds changes by holds under the mapping that it was written down under.
  const forgets = row?.[10] === mapping.mappingHash ? [] : ([['detection = ?', null]] as const)
  return [
    ['baseline_complete = ?', keepsBaseline ? '1' : '0'],
    ['mapping_hash = ?', mapping.mappingHash],
    ['baseline_details = ?', mapping.baseline ? mapping.baselineDetails.join(',') : ''],
    ['carried = ?', JSON.stringify(mapping.carried)],
    ['source_columns = ?', mapping.columns && writeKnown(mapping.columns)],
    ...forgets,
  ]
}

/**
 * Nobody has kept these columns up, or will from now on, or they are of another mapping: what stands in them would be taken
 * for the last common values.
 */
async function forgetDetails(
  connection: Connection,
  mappingId: string,
  names: readonly BaselineDetail[],
): Promise<void> {
  if (names.length === 0) return
  await connection.execute(
    `UPDATE ${baselineTable(connection.endpoint.database, mappingId)} SET ${names.map((name) => `${name} = NULL`).join(', ')}
     WHERE ${names.map((name) => `${name} IS NOT NULL`).join(' OR ')}`,
  )
}

/**
 * Another mapping of the same two tables, of which this run writes columns: what both sides have last from now on, that one
 * does not hear of.
 */
async function forgetDetailsOfOthers(connection: Connection, mapping: MappingIdentity): Promise<void> {
  const { mappingId, source, target, key } = mapping
  const state = own(connection, 'state')
  const others = await connection.query(
    `SELECT mapping_id, baseline_details, carried FROM ${state}
     WHERE source = ? AND target_schema = ? AND target_table = ? AND mapping_id <> ? AND baseline_details <> ''
     ORDER BY mapping_id FOR UPDATE`,
    [source, target.schema, target.name, mappingId],
  )
  for (const [other, details, names] of others) {
    const isApart = readNames(names)?.every((name) => key.includes(name) || !mapping.carried.includes(name))
    if (other === null || other === undefined || isApart === true) continue
    if (await hasTable(connection, baselineName(other))) await forgetDetails(connection, other, toDetails(details))
    await connection.execute(`UPDATE ${state} SET baseline_details = '' WHERE mapping_id = ?`, [other])
  }
}

function readNames(text: string | null | undefined): string[] | null {
  if (text === null || text === undefined) return null
  const names: unknown = JSON.parse(text)
  return Array.isArray(names) ? names.map(String) : null
}

/** Says what the job is about to do. Of a table that is loaded anew no earlier run knows anything. @throws AppError `stale_epoch` */
export async function enterPhase(connection: Connection, claim: Claim, phase: StatePhase): Promise<void> {
  await holdEpoch(connection, claim)
  const forget = phase === 'loading' ? ', detection = NULL' : ''
  await connection.execute(`UPDATE ${own(connection, 'state')} SET phase = ?${forget} WHERE mapping_id = ?`, [
    phase,
    claim.mappingId,
  ])
  failpoint('phase.entered')
}

/** Keeps the claim's epoch from moving until the transaction ends. @throws AppError `stale_epoch` */
export async function holdEpoch(connection: Connection, claim: Claim): Promise<void> {
  const held = await connection.query(
    `SELECT 1 FROM ${own(connection, 'state')} WHERE mapping_id = ? AND epoch = CAST(? AS SIGNED) AND job_id = ? FOR UPDATE`,
    [claim.mappingId, String(claim.epoch), claim.jobId],
  )
  if (held.length === 0) throw staleEpoch(claim)
}

/**
 * The last statement of every batch: counters, batch record and the test of the epoch, in the transaction of the rows.
 * @returns the number of the batch
 * @throws AppError `stale_epoch`: then nothing of the transaction may be committed
 */
export async function recordBatch(connection: Connection, claim: Claim, record: BatchRecord): Promise<number> {
  failpoint('batch.record')
  const { mappingId, jobId, epoch } = claim
  const counts = [record.inserted, record.updated, record.deleted].map(String)
  const state = own(connection, 'state')
  const moved = await connection.execute(
    `UPDATE ${state} SET batches = batches + 1, inserted = inserted + CAST(? AS SIGNED),
       updated = updated + CAST(? AS SIGNED), deleted = deleted + CAST(? AS SIGNED), updated_at = NOW(6)
     WHERE mapping_id = ? AND epoch = CAST(? AS SIGNED) AND job_id = ?`,
    [...counts, mappingId, String(epoch), jobId],
  )
  if (moved === 0) throw staleEpoch(claim)
  const [row] = await connection.query(`SELECT batches FROM ${state} WHERE mapping_id = ?`, [mappingId])
  const batch = must(row?.[0], 'the number of a batch')
  await connection.execute(
    `INSERT INTO ${own(connection, 'batch')} (mapping_id, job_id, batch, epoch, kind, label, inserted, updated, deleted)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [mappingId, jobId, batch, String(epoch), record.kind, record.label, ...counts],
  )
  return Number(batch)
}

/**
 * Whether a batch whose COMMIT was never answered is in the target (hazard B3). Locking the state row waits for the
 * lost transaction, which holds that lock until it has ended one way or the other. Its number alone would not do: another
 * batch of the same run may have got it since.
 */
export async function isCommitted(connection: Connection, { claim, batch, record }: WrittenPart): Promise<boolean> {
  return await connection.transaction('write', async () => {
    await holdEpoch(connection, claim)
    const found = await connection.query(
      `SELECT 1 FROM ${own(connection, 'batch')}
       WHERE mapping_id = ? AND job_id = ? AND batch = CAST(? AS SIGNED) AND epoch = CAST(? AS SIGNED) AND label = ?`,
      [claim.mappingId, claim.jobId, String(batch), String(claim.epoch), record.label],
    )
    return found.length > 0
  })
}

/** The counters of a claim, whose epoch does not move until the transaction ends. @throws AppError `stale_epoch` */
export async function readCommitted(connection: Connection, claim: Claim): Promise<CommittedCounts> {
  await holdEpoch(connection, claim)
  const [row] = await readStates(connection, [claim.mappingId])
  const { committed } = toClaim(must(row, 'the state of a mapping'), false)
  return committed
}

/** The counters of a job over all its mappings; null where no mapping is its, or nothing was ever written here. */
export async function readCommittedBy(connection: Connection, jobId: string): Promise<CommittedCounts | null> {
  if (!(await hasOwnTable(connection, 'state'))) return null
  const [row] = await connection.query(
    `SELECT COUNT(*), SUM(inserted), SUM(updated), SUM(deleted), SUM(batches) FROM ${own(connection, 'state')} WHERE job_id = ?`,
    [jobId],
  )
  if (row === undefined || row[0] === '0') return null
  return { inserted: Number(row[1]), updated: Number(row[2]), deleted: Number(row[3]), batches: Number(row[4]) }
}

export function staleEpoch(claim: Claim): AppError {
  return new AppError(
    'stale_epoch',
    `Another run has taken over the mapping ${claim.mappingId}; epoch ${claim.epoch} is over.`,
  )
}

/** Says that a job has done what it was to do with a mapping. @throws AppError `stale_epoch` */
export async function closeMapping(connection: Connection, claim: Claim, facts: Closing): Promise<void> {
  const { mappingId } = claim
  const verified = facts.verified.includes(mappingId) ? ', verified_at = NOW(6)' : ''
  const detection = facts.detection.has(mappingId) ? ', detection = ?' : ''
  const parameters = facts.detection.has(mappingId) ? [facts.detection.get(mappingId) ?? null] : []
  const moved = await connection.execute(
    `UPDATE ${own(connection, 'state')} SET phase = 'done', updated_at = NOW(6), position = ?${verified}${detection}
     WHERE mapping_id = ? AND epoch = CAST(? AS SIGNED)`,
    [facts.position.label, ...parameters, mappingId, String(claim.epoch)],
  )
  if (moved === 0) throw staleEpoch(claim)
}
