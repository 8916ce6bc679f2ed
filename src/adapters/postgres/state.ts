import type { Claim, CommittedCounts, JobIdentity, MappingIdentity, StatePhase } from '#adapters/adapter.ts'
import type { BatchRecord, WrittenPart } from '#adapters/commits.ts'
import { DETAILS, toClaim, toDetails } from '#adapters/state-row.ts'
import { failpoint } from '#lib/failpoint.ts'
import { must } from '#lib/assert.ts'
import type { BaselineDetail } from '#model/conflict.ts'
import { AppError } from '#model/errors.ts'
import type { Connection, TextRow } from './connection.ts'
import { DETAIL_TYPES } from './baseline-details.ts'
import { writeKnown } from './new-columns.ts'
import { quote } from './sql.ts'

/**
 * The schema `syncline` in the target: what a sync knows of itself, committed with the rows that it is about.
 * `state` has a row per table mapping with the epoch, the phase and the counters of the current job; `batch` has a row
 * per committed batch of that job; `baseline_…` has a row per row in step. Everything a kill could tear apart is in one
 * transaction with the rows (invariants 1, 2 and 8).
 */
export const STATE_VERSION = 4

/** Held while the schema is made, so that two first runs do not collide. */
const SCHEMA_LOCK = 7_359_204_881

const SCHEMA = [
  'CREATE SCHEMA IF NOT EXISTS syncline',
  'CREATE TABLE IF NOT EXISTS syncline.meta (version int4 NOT NULL)',
  `CREATE TABLE IF NOT EXISTS syncline.state (
     mapping_id text PRIMARY KEY, job_id text NOT NULL, epoch int8 NOT NULL, phase text NOT NULL,
     source text NOT NULL, target_schema text NOT NULL, target_table text NOT NULL, mapping_hash text NOT NULL,
     inserted int8 NOT NULL DEFAULT 0, updated int8 NOT NULL DEFAULT 0, deleted int8 NOT NULL DEFAULT 0,
     batches int8 NOT NULL DEFAULT 0, position text, baseline_complete bool NOT NULL DEFAULT false,
     verified_at timestamptz, source_columns text, detection text,
     carried text, baseline_details text NOT NULL DEFAULT '', updated_at timestamptz NOT NULL DEFAULT pg_catalog.now())`,
  `CREATE TABLE IF NOT EXISTS syncline.batch (
     mapping_id text NOT NULL REFERENCES syncline.state ON DELETE CASCADE, job_id text NOT NULL, batch int8 NOT NULL,
     epoch int8 NOT NULL, kind text NOT NULL, label text NOT NULL,
     inserted int8 NOT NULL, updated int8 NOT NULL, deleted int8 NOT NULL,
     xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
     committed_at timestamptz NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (mapping_id, job_id, batch))`,
  `CREATE TABLE IF NOT EXISTS syncline.pending_ddl (
     id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stage text NOT NULL, kind text NOT NULL, tables text NOT NULL,
     statement text NOT NULL)`,
  `INSERT INTO syncline.meta SELECT ${STATE_VERSION} WHERE NOT EXISTS (SELECT FROM syncline.meta)`,
]

/** What each version adds to the one before. */
const UPGRADES: readonly { readonly to: number; readonly sql: readonly string[] }[] = [
  { to: 2, sql: ['ALTER TABLE syncline.state ADD COLUMN IF NOT EXISTS source_columns text'] },
  { to: 3, sql: ['ALTER TABLE syncline.state ADD COLUMN IF NOT EXISTS detection text'] },
  {
    to: 4,
    sql: [
      `ALTER TABLE syncline.state ADD COLUMN IF NOT EXISTS carried text,
         ADD COLUMN IF NOT EXISTS baseline_details text NOT NULL DEFAULT ''`,
      `UPDATE syncline.state SET baseline_details = 'fields' WHERE EXISTS (
         SELECT FROM pg_catalog.pg_attribute WHERE attname = 'fields' AND NOT attisdropped
           AND attrelid = pg_catalog.to_regclass(pg_catalog.format('syncline.%I', 'baseline_' || mapping_id)))`,
      `DO $$ DECLARE baseline regclass; BEGIN
         FOR baseline IN SELECT to_regclass(format('syncline.%I', 'baseline_' || mapping_id)) FROM syncline.state LOOP
           IF baseline IS NULL THEN CONTINUE; END IF;
           EXECUTE format('ALTER TABLE %s ${Object.entries(DETAIL_TYPES)
             .map(([name, type]) => `ADD COLUMN IF NOT EXISTS ${name} ${type}`)
             .join(', ')}', baseline);
         END LOOP; END $$`,
    ],
  },
]

/** The same statements for somebody who gives them to the server by hand; they may be run again. */
export function stateScript(): string[] {
  const upgrade = ({ to, sql }: (typeof UPGRADES)[number]): string => {
    const statements = sql.map((statement) => `EXECUTE $statement$${statement}$statement$;`)
    return `DO $upgrade$ BEGIN IF (SELECT max(version) FROM syncline.meta) < ${to} THEN
${statements.join('\n')}
UPDATE syncline.meta SET version = ${to}; END IF; END $upgrade$`
  }
  return [...SCHEMA, ...UPGRADES.map(upgrade)]
}

export function baselineTable(mappingId: string): string {
  return `syncline.${quote(`baseline_${mappingId}`)}`
}

/** Creates the schema where it is missing. @throws AppError `state_too_new`, or `missing_privilege` with the GRANT */
export async function ensureStateSchema(connection: Connection): Promise<void> {
  await connection.transaction('write', async () => {
    await connection.query('SELECT pg_catalog.pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
    const [found] = await connection.query(`SELECT pg_catalog.to_regclass('syncline.meta')`)
    if (!found?.[0]) {
      const [right] = await connection.query(
        `SELECT pg_catalog.has_database_privilege(current_database(), 'CREATE') OR EXISTS
           (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'syncline'), current_database(), current_user`,
      )
      if (right?.[0] !== 't') {
        throw new AppError(
          'missing_privilege',
          `The role ${right?.[2]} may not create the schema syncline, where the state of the sync is kept.`,
          {
            hint: `GRANT CREATE ON DATABASE ${quote(right?.[1] ?? '')} TO ${quote(right?.[2] ?? '')};`,
          },
        )
      }
      for (const statement of SCHEMA) await connection.query(statement)
    }
    const [version] = await connection.query('SELECT max(version) FROM syncline.meta')
    const has = Number(version?.[0])
    if (has > STATE_VERSION) {
      throw new AppError(
        'state_too_new',
        `The schema syncline in the target has version ${has}; this program knows ${STATE_VERSION}.`,
      )
    }
    for (const { to, sql } of UPGRADES.filter((upgrade) => upgrade.to > has)) {
      for (const statement of sql) await connection.query(statement)
      await connection.query('UPDATE syncline.meta SET version = $1', [to])
    }
  })
}

/** The key of the lock that every batch of a mapping shares for as long as its transaction is open. */
function writerKey(mappingId: string): string {
  return `pg_catalog.hashtextextended('syncline writer ${mappingId}', 0)`
}

/**
 * Marks a transaction as one that writes for a mapping, so that whoever takes over can find it: every transaction that may
 * hold a row of `syncline.state` while its process is paused.
 */
export function markWriterSql(mappingId: string): string {
  return `SELECT pg_catalog.pg_advisory_xact_lock_shared(${writerKey(mappingId)})`
}

/**
 * Ends the transactions that a run which has been overtaken left open: it may be paused or cut off, and would hold its
 * locks for as long as its sessions live. Its epoch is over either way.
 */
async function endStaleWriters(connection: Connection, mappings: readonly MappingIdentity[]): Promise<void> {
  for (const { mappingId } of mappings) {
    await connection.query(
      `SELECT pg_catalog.pg_terminate_backend(l.pid)
       FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
       WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.pid <> pg_catalog.pg_backend_pid()
         AND ((l.classid::int8 << 32) | l.objid::int8) = ${writerKey(mappingId)}
         AND a.datname = current_database() AND a.usename = current_user`,
    )
  }
}

/** The sessions of a job are known by a lock of two numbers: its name, hashed, and the number of the lease. */
function jobKey(jobId: string): string {
  return `pg_catalog.hashtext('syncline job ${jobId}')`
}

/** Marks a session as one that writes for a job under a lease. */
export function markJobSql(jobId: string, lease: number): string {
  return `SELECT pg_catalog.pg_advisory_lock_shared(${jobKey(jobId)}, ${lease})`
}

/** Ends the sessions that older leases of a job hold. They let go of their locks a little later. */
export async function endOlderLeases(connection: Connection, jobId: string, lease: number): Promise<void> {
  await connection.query(
    `SELECT pg_catalog.pg_terminate_backend(l.pid)
     FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid::int8 = (${jobKey(jobId)}::int8 & 4294967295)
       AND l.objid::int8 < $1 AND a.datname = current_database() AND a.usename = current_user`,
    [lease],
  )
}

const STATE_COLUMNS = `mapping_id, job_id, epoch, phase, inserted, updated, deleted, batches, baseline_complete,
  extract(epoch FROM pg_catalog.now() - verified_at)::int8, mapping_hash, baseline_details`

/**
 * Takes over the mappings for a run. The epoch moves in any case, and whoever held the old one can commit no more. Without
 * a lease an unfinished job is gone on with: its id, its counters and its phase are kept; a finished one makes way. With
 * a lease the job goes on with its own counters, finished or not, and every other makes way.
 */
export async function claimMappings(
  connection: Connection,
  mappings: readonly MappingIdentity[],
  { id, lease }: JobIdentity,
): Promise<Claim[]> {
  return connection.transaction('write', async () => {
    await endStaleWriters(connection, mappings)
    const ids = [mappings.map((mapping) => mapping.mappingId)]
    const before = await connection.query(
      `SELECT ${STATE_COLUMNS} FROM syncline.state WHERE mapping_id = ANY($1) ORDER BY mapping_id FOR UPDATE`,
      ids,
    )
    const unfinished = before.find((row) => row[3] !== 'done')
    const job = lease === null ? (unfinished?.[1] ?? id) : id
    const claims: Claim[] = []
    for (const mapping of mappings) {
      const row = before.find((state) => state[0] === mapping.mappingId)
      const goesOn = row !== undefined && row[1] === job && (row[3] !== 'done' || lease !== null)
      claims.push(await claimOne(connection, mapping, { job, row, goesOn }))
    }
    return claims
  })
}

async function claimOne(
  connection: Connection,
  mapping: MappingIdentity,
  { job, row, goesOn }: { job: string; row: TextRow | undefined; goesOn: boolean },
): Promise<Claim> {
  const { mappingId, target } = mapping
  if (!goesOn) await connection.query('DELETE FROM syncline.batch WHERE mapping_id = $1', [mappingId])
  const reset = goesOn
    ? `, phase = CASE s.phase WHEN 'done' THEN 'applying' ELSE s.phase END`
    : `, phase = 'new', inserted = 0, updated = 0, deleted = 0, batches = 0`
  const [there] = await connection.query('SELECT pg_catalog.to_regclass($1) IS NOT NULL', [baselineTable(mappingId)])
  const exists = there?.[0] === 't'
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
  const keepsBaseline = means && row[8] === 't' && mapping.baselineDetails.every((name) => had.includes(name))
  const [state] = await connection.query(
    `INSERT INTO syncline.state AS s
       (mapping_id, job_id, epoch, phase, source, target_schema, target_table, mapping_hash, source_columns,
        baseline_details, carried)
     VALUES ($1, $2, 1, 'new', $3, $4, $5, $6, $8, $10, $11)
     ON CONFLICT (mapping_id) DO UPDATE SET job_id = $2, epoch = s.epoch + 1, updated_at = pg_catalog.now(),
       baseline_complete = CASE WHEN $9::bool THEN s.baseline_complete ELSE $7::bool END,
       mapping_hash = CASE WHEN $9::bool THEN s.mapping_hash ELSE $6 END,
       baseline_details = CASE WHEN $9::bool THEN s.baseline_details ELSE $10 END,
       carried = CASE WHEN $9::bool THEN s.carried ELSE $11 END,
       detection = CASE WHEN $9::bool OR s.mapping_hash = $6 THEN s.detection END,
       source_columns = CASE WHEN $9::bool THEN s.source_columns ELSE $8 END${reset}
     RETURNING ${STATE_COLUMNS}`,
    [
      mappingId,
      job,
      mapping.source,
      target.schema,
      target.name,
      mapping.mappingHash,
      keepsBaseline,
      mapping.columns && writeKnown(mapping.columns),
      mapping.asItIs,
      mapping.baseline ? mapping.baselineDetails.join(',') : '',
      JSON.stringify(mapping.carried),
    ],
  )
  const hasBaseline = mapping.asItIs ? exists : mapping.baseline
  return toClaim(must(state, 'the state of a mapping'), hasBaseline)
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
  await connection.query(
    `UPDATE ${baselineTable(mappingId)} SET ${names.map((name) => `${name} = NULL`).join(', ')}
     WHERE ${names.map((name) => `${name} IS NOT NULL`).join(' OR ')}`,
  )
}

/**
 * Another mapping of the same two tables, of which this run writes columns: what both sides have last from now on, that one
 * does not hear of.
 */
async function forgetDetailsOfOthers(connection: Connection, mapping: MappingIdentity): Promise<void> {
  const { mappingId, source, target, key } = mapping
  const others = await connection.query(
    `SELECT mapping_id, baseline_details, carried FROM syncline.state
     WHERE source = $1 AND target_schema = $2 AND target_table = $3 AND mapping_id <> $4 AND baseline_details <> ''
     ORDER BY mapping_id FOR UPDATE`,
    [source, target.schema, target.name, mappingId],
  )
  for (const [other, details, names] of others) {
    const carried = typeof names === 'string' ? (JSON.parse(names) as string[]) : null
    const isApart = carried?.every((name) => key?.includes(name) || !mapping.carried.includes(name))
    if (other === null || other === undefined || isApart === true) continue
    const [there] = await connection.query('SELECT pg_catalog.to_regclass($1)', [baselineTable(other)])
    if (there?.[0]) await forgetDetails(connection, other, toDetails(details))
    await connection.query(`UPDATE syncline.state SET baseline_details = '' WHERE mapping_id = $1`, [other])
  }
}

/** Says what the job is about to do. Of a table that is loaded anew no earlier run knows anything. @throws AppError `stale_epoch` */
export async function enterPhase(connection: Connection, claim: Claim, phase: StatePhase): Promise<void> {
  const moved = await connection.execute(
    `UPDATE syncline.state SET phase = $3, detection = CASE WHEN $4::bool THEN NULL ELSE detection END
     WHERE mapping_id = $1 AND epoch = $2`,
    [claim.mappingId, claim.epoch, phase, phase === 'loading'],
  )
  if (moved === 0) throw staleEpoch(claim)
  failpoint('phase.entered')
}

/** Keeps the claim's epoch from moving until the transaction ends. @throws AppError `stale_epoch` */
export async function holdEpoch(connection: Connection, claim: Claim): Promise<void> {
  const held = await connection.query(
    'SELECT 1 FROM syncline.state WHERE mapping_id = $1 AND epoch = $2 AND job_id = $3 FOR UPDATE',
    [claim.mappingId, claim.epoch, claim.jobId],
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
  const [row] = await connection.query(
    `WITH mine AS (
       UPDATE syncline.state SET batches = batches + 1, inserted = inserted + $4, updated = updated + $5,
              deleted = deleted + $6, updated_at = pg_catalog.now()
       WHERE mapping_id = $1 AND epoch = $3 AND job_id = $2 RETURNING batches)
     INSERT INTO syncline.batch (mapping_id, job_id, batch, epoch, kind, label, inserted, updated, deleted)
     SELECT $1, $2, batches, $3, $7, $8, $4, $5, $6 FROM mine RETURNING batch`,
    [
      claim.mappingId,
      claim.jobId,
      claim.epoch,
      record.inserted,
      record.updated,
      record.deleted,
      record.kind,
      record.label,
    ],
  )
  if (row === undefined) throw staleEpoch(claim)
  return Number(row[0])
}

/**
 * Whether a batch whose COMMIT was never answered is in the target (hazard B3). Locking the state row waits for the
 * lost transaction, which holds that lock until it has ended one way or the other. Its number alone would not do: another
 * batch of the same run may have got it since.
 */
export async function isCommitted(connection: Connection, { claim, batch, record }: WrittenPart): Promise<boolean> {
  return connection.transaction('write', async () => {
    const state = await connection.query(
      'SELECT 1 FROM syncline.state WHERE mapping_id = $1 AND epoch = $2 FOR UPDATE',
      [claim.mappingId, claim.epoch],
    )
    if (state.length === 0) throw staleEpoch(claim)
    const found = await connection.query(
      'SELECT 1 FROM syncline.batch WHERE mapping_id = $1 AND job_id = $2 AND batch = $3 AND epoch = $4 AND label = $5',
      [claim.mappingId, claim.jobId, batch, claim.epoch, record.label],
    )
    return found.length > 0
  })
}

export async function readCommitted(connection: Connection, claim: Claim): Promise<CommittedCounts> {
  const [row] = await connection.query(
    'SELECT inserted, updated, deleted, batches FROM syncline.state WHERE mapping_id = $1 AND epoch = $2',
    [claim.mappingId, claim.epoch],
  )
  if (row === undefined) throw staleEpoch(claim)
  return { inserted: Number(row[0]), updated: Number(row[1]), deleted: Number(row[2]), batches: Number(row[3]) }
}

/** The counters of a job over all its mappings; null where no mapping is its, or nothing was ever written here. */
export async function readCommittedBy(connection: Connection, jobId: string): Promise<CommittedCounts | null> {
  const [there] = await connection.query(`SELECT pg_catalog.to_regclass('syncline.state')`)
  if (!there?.[0]) return null
  const [row] = await connection.query(
    `SELECT count(*), sum(inserted), sum(updated), sum(deleted), sum(batches) FROM syncline.state WHERE job_id = $1`,
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
