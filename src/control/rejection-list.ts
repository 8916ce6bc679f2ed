import type { SecretBox } from '#lib/secret-box.ts'
import type { Actor } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import type { EditableColumn, NamedCells, RejectionStatus } from '#model/rejection.ts'
import { tableId, type TableRef } from '#model/table.ts'
import { audited } from './audit.ts'
import { versionConflict } from './datasources.ts'
import {
  MARKED,
  open,
  SETTLED,
  toRef,
  toRejection,
  type RejectionImage,
  type RejectionTools,
  type StoredRejection,
} from './rejections.ts'
import { owners } from './reseal-rejections.ts'
import type { RejectionRow } from './schema.ts'
import type { Store } from './store.ts'

/** The quarantine as people look at it and decide. */

/** A rejection with all that is sealed of it. */
export interface OpenedRejection extends StoredRejection {
  /** Null where the key that sealed it is not known any more. */
  readonly image: RejectionImage | null
  readonly edits: NamedCells | null
}

/** The fields of the target that an edit of this rejection may give. */
export async function editableColumns(
  store: Store,
  { scope, target }: Pick<StoredRejection, 'scope' | 'target'>,
): Promise<readonly EditableColumn[]> {
  const row = await store.db
    .selectFrom('rejecting_table')
    .select('columns')
    .where('scope', '=', scope)
    .where('target_table', '=', tableId(target))
    .executeTakeFirst()
  return row === undefined ? [] : (JSON.parse(row.columns) as EditableColumn[])
}

function toOpened(box: SecretBox, row: RejectionRow): OpenedRejection {
  const { id } = row
  return {
    ...toRejection(row),
    image: open<RejectionImage>(box, row.image_sealed, owners.image(id)),
    edits: open<NamedCells>(box, row.edit_sealed, owners.edit(id)),
  }
}

/** @throws AppError `not_found` */
export async function getRejection({ store, box }: RejectionTools, id: string): Promise<OpenedRejection> {
  const row = await store.db.selectFrom('rejection').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw rejectionNotFound(id)
  return toOpened(box, row)
}

export interface RejectionFilter {
  readonly scope: string
  /** Only those that this job saw first or last. */
  readonly jobId?: string
  readonly target?: TableRef
  readonly status?: readonly RejectionStatus[]
  readonly column?: string
  readonly code?: string
  /** The JSON of a key. */
  readonly key?: string
}

/** A page of rejections, in their order. */
export async function listRejections(
  store: Store,
  filter: RejectionFilter,
  { after, limit }: { after: number | null; limit: number },
): Promise<readonly StoredRejection[]> {
  const rows = await filtered(store, filter)
    .select(MARKED)
    .$if(after !== null, (query) => query.where('seq', '>', after ?? 0))
    .orderBy('seq')
    .limit(limit)
    .execute()
  return rows.map(toRejection)
}

/** Rejections by what caused them. */
export interface RejectionGroup {
  readonly target: TableRef
  readonly column: string | null
  readonly code: string
  readonly status: RejectionStatus
  /** Of one of them. */
  readonly reason: string
  readonly rows: number
}

/** Groups that are told; of more the largest. */
const MOST_GROUPS = 100

export async function groupRejections(store: Store, filter: RejectionFilter): Promise<readonly RejectionGroup[]> {
  const rows = await filtered(store, filter)
    .select(['target_table', 'column_name', 'code', 'status'])
    .select((select) => [select.fn.min('reason').as('reason'), select.fn.countAll().as('n')])
    .groupBy(['target_table', 'column_name', 'code', 'status'])
    .orderBy('n', 'desc')
    .orderBy('target_table')
    .orderBy('code')
    .limit(MOST_GROUPS)
    .execute()
  return rows.map((row) => ({
    target: toRef(row.target_table),
    column: row.column_name,
    code: row.code,
    status: row.status as RejectionStatus,
    reason: row.reason,
    rows: Number(row.n),
  }))
}

function filtered(store: Store, { scope, jobId, target, status, column, code, key }: RejectionFilter) {
  return store.db
    .selectFrom('rejection')
    .where('scope', '=', scope)
    .$if(jobId !== undefined, (query) =>
      query.where((where) =>
        where.or([
          where('first_job_id', '=', jobId ?? ''),
          where('last_job_id', '=', jobId ?? ''),
          where('replay_job_id', '=', jobId ?? ''),
        ]),
      ),
    )
    .$if(target !== undefined, (query) => query.where('target_table', '=', target === undefined ? '' : tableId(target)))
    .$if(status !== undefined, (query) => query.where('status', 'in', [...(status ?? [])]))
    .$if(column !== undefined, (query) => query.where('column_name', '=', column ?? ''))
    .$if(code !== undefined, (query) => query.where('code', '=', code ?? ''))
    .$if(key !== undefined, (query) => query.where('key', '=', key ?? ''))
}

/** What somebody does to a rejection as it is at `version` (null: whatever it is). */
export interface RejectionAct {
  readonly id: string
  readonly version: number | null
  readonly actor: Actor
}

/** Keeps the values that somebody gives for fields of the target. @throws AppError `not_found`, `version_conflict`, `wrong_state` */
export function editRejection(
  { store, box }: RejectionTools,
  act: RejectionAct,
  edits: NamedCells,
): Promise<OpenedRejection> {
  const data = { fields: edits.map(([name]) => name) }
  return decide({ store, box }, act, { action: 'rejection.edit', from: ['open', 'edited', 'dismissed'], data }, () => ({
    status: 'edited',
    edit_sealed: box.seal(JSON.stringify(edits), owners.edit(act.id)),
  }))
}

/** Leaves the row as it is. @throws AppError as `editRejection` */
export function dismissRejection(tools: RejectionTools, act: RejectionAct): Promise<OpenedRejection> {
  return decide(tools, act, { action: 'rejection.dismiss', from: ['open', 'edited', 'dismissed'], data: {} }, () => ({
    status: 'dismissed',
    edit_sealed: null,
  }))
}

function decide(
  { store, box }: RejectionTools,
  { id, version, actor }: RejectionAct,
  how: { action: string; from: readonly RejectionStatus[]; data: Readonly<Record<string, unknown>> },
  change: () => Partial<RejectionRow>,
): Promise<OpenedRejection> {
  return audited(store, actor, async (tx, audit) => {
    const row = await tx
      .selectFrom('rejection')
      .selectAll()
      .where('id', '=', id)
      .$call((query) => (store.isPostgres ? query.forUpdate() : query))
      .executeTakeFirst()
    if (row === undefined) throw rejectionNotFound(id)
    if (version !== null && row.version !== version) throw versionConflict('rejection', row.version)
    if (!how.from.includes(row.status as RejectionStatus)) {
      throw new AppError('wrong_state', `The rejection ${id} is ${row.status}: there is nothing left to decide.`, {
        hint: 'See the rejections of the job: only those that are open, edited or dismissed can be changed.',
      })
    }
    const changes = { ...change(), version: row.version + 1 }
    await tx.updateTable('rejection').set(changes).where('id', '=', id).execute()
    await audit({ action: how.action, subject: id, data: { table: row.target_table, ...how.data } })
    return toOpened(box, { ...row, ...changes })
  })
}

/**
 * Removes rejections whose last job is gone; what somebody has settled is heeded for as long as its sync config is there.
 */
export async function purgeRejections(store: Store): Promise<void> {
  await store.write(async (tx) => {
    await tx
      .deleteFrom('rejection')
      .where((where) =>
        where.not(where.exists(where.selectFrom('job').select('job.id').whereRef('job.id', '=', 'last_job_id'))),
      )
      .where((where) =>
        where.or([
          where.not(SETTLED),
          where('config_id', 'is', null),
          where.not(
            where.exists(
              where.selectFrom('sync_config').select('sync_config.id').whereRef('sync_config.id', '=', 'config_id'),
            ),
          ),
        ]),
      )
      .execute()
    await tx
      .deleteFrom('rejecting_table')
      .where((where) =>
        where.not(
          where.exists(
            where
              .selectFrom('rejection')
              .select('rejection.id')
              .whereRef('rejection.scope', '=', 'rejecting_table.scope'),
          ),
        ),
      )
      .execute()
  })
}

function rejectionNotFound(id: string): AppError {
  return new AppError('not_found', `There is no rejection ${id}.`)
}
