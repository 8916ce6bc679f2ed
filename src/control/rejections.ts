import { createHash } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import type { Key, Operation, RowFault } from '#model/change.ts'
import {
  publicReason,
  type NamedCells,
  type RejectedRow,
  type RejectingTable,
  type RejectionStatus,
  type ReplayedRow,
} from '#model/rejection.ts'
import { tableId, type TableRef } from '#model/table.ts'
import { owners } from './reseal-rejections.ts'
import type { RejectionRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/**
 * The quarantine: a row that was set aside is known once under its key, in the scope of a sync config (or of the job,
 * where there is none). What may be personal is sealed and bound to its id; reason, column and key are not.
 */
export interface StoredRejection {
  readonly id: string
  readonly scope: string
  readonly configId: string | null
  readonly firstJobId: string
  readonly lastJobId: string
  readonly replayJobId: string | null
  /** The order in which rows of the scope were set aside. */
  readonly seq: number
  readonly source: TableRef
  readonly target: TableRef
  readonly op: Operation
  readonly key: Key
  readonly keyIn: RowFault['keyIn']
  readonly column: string | null
  readonly code: string
  /** Without values. */
  readonly reason: string
  readonly status: RejectionStatus
  readonly firstAt: string
  readonly lastAt: string
  readonly version: number
}

/** What is sealed of a rejection for people to look at. */
export type RejectionImage = Pick<RejectedRow, 'value' | 'reason' | 'source' | 'mapped' | 'note'>

/** What is sealed of it to know both sides' rows again. */
export interface RejectionMarks extends Pick<RejectedRow, 'sourceKey' | 'sourceFingerprint' | 'targetFingerprint'> {
  /** The key under which a replay has written it; null before. */
  readonly targetKey: Key | null
}

export interface RejectionTools {
  readonly store: Store
  readonly box: SecretBox
}

/** A job as the quarantine sees it. */
export interface RejectingJob {
  readonly id: string
  readonly configId: string | null
  readonly scope: string
}

/** Somebody has dealt with these: runs heed that for as long as the source's row is the same. */
export const SETTLED = sql<boolean>`(status = 'dismissed' OR (status = 'replayed' AND edit_sealed IS NOT NULL))`

/**
 * Keeps rows that a job set aside. The same key again is the same entry: what somebody decided about it stays for as long
 * as both sides are as they were then.
 */
export async function keepRejections(
  { store, box }: RejectionTools,
  job: RejectingJob,
  table: RejectingTable,
  rows: readonly (RejectedRow & { readonly id: string })[],
): Promise<void> {
  if (rows.length === 0) return
  await store.exclusively(`rejections ${job.scope}`, async (tx) => {
    const at = await store.now(tx)
    await keepColumns(tx, job, table)
    const last = await tx
      .selectFrom('rejection')
      .select((select) => select.fn.max('seq').as('seq'))
      .where('scope', '=', job.scope)
      .executeTakeFirst()
    let seq = Number(last?.seq ?? 0)
    for (const row of rows) {
      const before = await tx
        .selectFrom('rejection')
        .selectAll()
        .where('scope', '=', job.scope)
        .where('target_table', '=', tableId(table.target))
        .where('key_hash', '=', hashOf(row))
        .executeTakeFirst()
      if (before !== undefined) {
        await tx
          .updateTable('rejection')
          .set(again(before, row, { box, job, at }))
          .where('id', '=', before.id)
          .execute()
        continue
      }
      seq += 1
      await tx
        .insertInto('rejection')
        .values({
          id: row.id,
          scope: job.scope,
          config_id: job.configId,
          first_job_id: job.id,
          replay_job_id: null,
          seq,
          source_table: tableId(table.source),
          target_table: tableId(table.target),
          key_hash: hashOf(row),
          ...told(row, { box, id: row.id, job, at }),
          status: 'open',
          edit_sealed: null,
          first_at: at,
          version: 1,
        })
        .execute()
    }
  })
}

function hashOf({ key, keyIn }: Pick<RejectedRow, 'key' | 'keyIn'>): string {
  return createHash('sha256')
    .update(JSON.stringify([keyIn, key]))
    .digest('hex')
}

/** What every telling brings. */
function told(row: RejectedRow, { box, id, job, at }: { box: SecretBox; id: string; job: RejectingJob; at: string }) {
  const { value, reason, source, mapped, note, sourceKey, sourceFingerprint, targetFingerprint } = row
  const image: RejectionImage = { value, reason, source, mapped, note }
  const marks: RejectionMarks = { sourceKey, sourceFingerprint, targetFingerprint, targetKey: null }
  return {
    last_job_id: job.id,
    op: row.op,
    key: JSON.stringify(row.key),
    key_in: row.keyIn,
    column_name: row.column,
    code: row.code,
    reason: publicReason(row),
    image_sealed: box.seal(JSON.stringify(image), owners.image(id)),
    marks_sealed: box.seal(JSON.stringify(marks), owners.marks(id)),
    last_at: at,
  }
}

function again(
  before: RejectionRow,
  row: RejectedRow,
  { box, job, at }: { box: SecretBox; job: RejectingJob; at: string },
): Partial<RejectionRow> {
  const known = openMarks(box, before)
  const sourceSame = known?.sourceFingerprint === row.sourceFingerprint
  const same = sourceSame && known?.targetFingerprint === row.targetFingerprint
  const status = before.status as RejectionStatus
  // What was decided of the row of then holds.
  if (isSettled(before) && sourceSame) return { last_job_id: job.id, last_at: at }
  const stays = status === 'edited' && same && row.code !== 'row_moved'
  return {
    ...told(row, { box, id: before.id, job, at }),
    ...(stays ? {} : { status: 'open', edit_sealed: null }),
    version: before.version + 1,
  }
}

function isSettled({ status, edit_sealed: edit }: RejectionRow): boolean {
  return status === 'dismissed' || (status === 'replayed' && edit !== null)
}

/** The fields of a table as its last run saw them: edits are checked by them. */
async function keepColumns(tx: Transaction<Tables>, { scope }: RejectingJob, table: RejectingTable): Promise<void> {
  const columns = JSON.stringify(table.columns)
  await tx
    .insertInto('rejecting_table')
    .values({ scope, target_table: tableId(table.target), columns })
    .onConflict((conflict) => conflict.columns(['scope', 'target_table']).doUpdateSet({ columns }))
    .execute()
}

/** A rejection as a run needs it. */
export interface MarkedRejection extends StoredRejection {
  /** Null where the key that sealed them is not known any more. */
  readonly marks: RejectionMarks | null
  readonly edits: NamedCells | null
}

export type Unsealed = Omit<RejectionRow, 'image_sealed'>

function openMarks(box: SecretBox, { id, marks_sealed: sealed }: Unsealed): RejectionMarks | null {
  return open<RejectionMarks>(box, sealed, owners.marks(id))
}

/** What is in a box; null where the key that sealed it is not known any more. */
export function open<T>(box: SecretBox, sealed: string | null, owner: string): T | null {
  if (sealed === null) return null
  try {
    return JSON.parse(box.open(sealed, owner)) as T
  } catch (error) {
    if (error instanceof SealBroken) return null
    throw error
  }
}

function toMarked(box: SecretBox, row: Unsealed): MarkedRejection {
  return {
    ...toRejection(row),
    marks: openMarks(box, row),
    edits: open<NamedCells>(box, row.edit_sealed, owners.edit(row.id)),
  }
}

/** All columns but the image, of which a thousand may be large. */
export const MARKED = [
  'id',
  'scope',
  'config_id',
  'first_job_id',
  'last_job_id',
  'replay_job_id',
  'seq',
  'source_table',
  'target_table',
  'op',
  'key',
  'key_in',
  'key_hash',
  'column_name',
  'code',
  'reason',
  'status',
  'marks_sealed',
  'edit_sealed',
  'first_at',
  'last_at',
  'version',
] as const satisfies readonly (keyof RejectionRow)[]

/** The rows of a table that people have settled. */
export async function settledRejections(
  { store, box }: RejectionTools,
  { scope, target }: { scope: string; target: TableRef },
): Promise<readonly MarkedRejection[]> {
  const rows = await store.db
    .selectFrom('rejection')
    .select(MARKED)
    .where('scope', '=', scope)
    .where('target_table', '=', tableId(target))
    .where(SETTLED)
    .orderBy('seq')
    .execute()
  return rows.map((row) => toMarked(box, row))
}

/** The rows of a replay, in their order: those of `ids`, or (null) all that are open or edited. */
export async function rejectionsToReplay(
  { store, box }: RejectionTools,
  { scope, target, ids }: { scope: string; target: TableRef | null; ids: readonly string[] | null },
): Promise<readonly MarkedRejection[]> {
  const rows = await store.db
    .selectFrom('rejection')
    .select(MARKED)
    .where('scope', '=', scope)
    .$if(target !== null, (query) => query.where('target_table', '=', target === null ? '' : tableId(target)))
    .where('status', 'in', ids === null ? ['open', 'edited'] : ['open', 'edited', 'dismissed'])
    .orderBy('seq')
    .execute()
  const wanted = ids === null ? null : new Set(ids)
  return rows.filter(({ id }) => wanted === null || wanted.has(id)).map((row) => toMarked(box, row))
}

/**
 * A table was looked at whole by a job: what it was not told of has gone. Settled rows that were heeded are remembered for
 * as long as the job is.
 */
export async function closeRejections(
  store: Store,
  job: RejectingJob,
  { target, heeded, stale }: { target: TableRef; heeded: readonly string[]; stale: readonly string[] },
): Promise<void> {
  await store.exclusively(`rejections ${job.scope}`, async (tx) => {
    const at = await store.now(tx)
    const gone = { status: 'gone', edit_sealed: null, last_at: at }
    const mine = tx.updateTable('rejection').where('scope', '=', job.scope).where('target_table', '=', tableId(target))
    await mine
      .set(gone)
      .set((set) => ({ version: set('version', '+', 1) }))
      .where('status', 'in', ['open', 'edited'])
      .where('last_job_id', '<>', job.id)
      .execute()
    for (const some of chunks(stale)) {
      await mine
        .set(gone)
        .set((set) => ({ version: set('version', '+', 1) }))
        .where('id', 'in', some)
        .where(SETTLED)
        .execute()
    }
    for (const some of chunks(heeded)) await mine.set({ last_job_id: job.id }).where('id', 'in', some).execute()
  })
}

/** What a replay brought through, and what has left the source. Rows that somebody changed meanwhile stay as they are. */
export async function closeReplay(
  { store, box }: RejectionTools,
  job: RejectingJob,
  ended: {
    readonly through: readonly (ReplayedRow & { readonly version: number })[]
    readonly gone: readonly { readonly id: string; readonly version: number }[]
  },
): Promise<void> {
  await store.exclusively(`rejections ${job.scope}`, async (tx) => {
    const at = await store.now(tx)
    const change = async (id: string, version: number, set: (row: RejectionRow) => Partial<RejectionRow>) => {
      const row = await tx
        .selectFrom('rejection')
        .selectAll()
        .where('id', '=', id)
        .where('version', '=', version)
        .executeTakeFirst()
      if (row === undefined) return
      const changes = { ...set(row), replay_job_id: job.id, last_at: at, version: version + 1 }
      await tx.updateTable('rejection').set(changes).where('id', '=', id).execute()
    }
    for (const { id, version, targetKey, sourceFingerprint } of ended.through) {
      await change(id, version, (row) => {
        const marks = openMarks(box, row)
        const sealed = marks && box.seal(JSON.stringify({ ...marks, targetKey, sourceFingerprint }), owners.marks(id))
        return { status: 'replayed', ...(sealed === null ? {} : { marks_sealed: sealed }) }
      })
    }
    for (const { id, version } of ended.gone) await change(id, version, () => ({ status: 'gone', edit_sealed: null }))
  })
}

const CHUNK = 500

function chunks<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, i) => items.slice(i * CHUNK, (i + 1) * CHUNK))
}

export function toRef(id: string): TableRef {
  const [schema, name] = JSON.parse(id) as [string, string]
  return { schema, name }
}

export function toRejection(row: Unsealed): StoredRejection {
  return {
    id: row.id,
    scope: row.scope,
    configId: row.config_id,
    firstJobId: row.first_job_id,
    lastJobId: row.last_job_id,
    replayJobId: row.replay_job_id,
    seq: row.seq,
    source: toRef(row.source_table),
    target: toRef(row.target_table),
    op: row.op as Operation,
    key: JSON.parse(row.key) as Key,
    keyIn: row.key_in as RowFault['keyIn'],
    column: row.column_name,
    code: row.code,
    reason: row.reason,
    status: row.status as RejectionStatus,
    firstAt: row.first_at,
    lastAt: row.last_at,
    version: row.version,
  }
}
