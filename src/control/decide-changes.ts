import type { Transaction } from 'kysely'
import type { Actor } from '#model/access.ts'
import type { ChangeFilter, ChangeMark } from '#model/change-set.ts'
import { AppError } from '#model/errors.ts'
import { tableId, tableName } from '#model/table.ts'
import { audited } from './audit.ts'
import { isOneOf, rowsTable } from './bulk.ts'
import { BINDING_COLUMNS, MARK_COLUMNS, bindingsOf } from './change-marks.ts'
import { ALL_CHANGES, findChanges } from './change-pages.ts'
import { readyChangeSet, type ChangeSetTools, type ReadyChangeSet } from './change-set-tools.ts'
import type { Tables } from './schema.ts'

/** What people decide about single changes, or about many at once. */

export interface ChangeDecision {
  /** Null: no condition but `seqs`. */
  readonly filter: ChangeFilter | null
  readonly seqs: readonly number[] | null
  /** `leave`: it is not to be applied. `apply`: it is, and where its row had moved, to the row as it was found. */
  readonly verdict: 'leave' | 'apply'
  readonly actor: Actor
}

/** Changes that one decision may be about: as many as are held in memory until they are written at once. */
const MOST = 1_000_000

/** Which marks a verdict turns into another one. */
const TURNED: Readonly<Record<ChangeDecision['verdict'], readonly (ChangeMark | 'none')[]>> = {
  leave: ['none', 'moved', 'again'],
  apply: ['left', 'moved'],
}

/** Rows for one statement each, as what is told apart in memory. */
interface Batch {
  readonly rows: ReturnType<typeof bindingsOf>
}

/**
 * Decides about all changes that a filter is for, at once or not at all. What somebody has approved stays as it was
 * approved: from then on only changes whose row had moved are decided. Returns how many decisions are others now.
 * @throws AppError `not_found`, `wrong_state`, `change_set_lost`, `change_set_expired`, `change_set_moved` where the set was
 *   computed anew meanwhile, `redis_unavailable`
 */
export async function decideChanges(tools: ChangeSetTools, jobId: string, decision: ChangeDecision): Promise<number> {
  const set = await readyChangeSet(tools, jobId)
  // Read before the transaction, which waits for nothing but the store.
  const batches = await collect(tools, set, decision)
  const { store } = tools
  const { verdict, actor } = decision
  return audited(store, actor, async (tx, audit) => {
    await refuseMoved(store, tx, set)
    let affected = 0
    for (const batch of batches) {
      affected += await (verdict === 'leave' ? leave : apply)(tools, tx, { set, batch, actor })
    }
    const { filter, seqs } = decision
    const data = {
      digest: set.summary.digest,
      changes: affected,
      ...describeFilter(filter),
      ...(seqs && { seqs: seqs.length }),
    }
    if (affected > 0) await audit({ action: `change_set.${verdict}`, subject: jobId, data })
    return affected
  })
}

async function collect(
  tools: ChangeSetTools,
  set: ReadyChangeSet,
  { filter, seqs, verdict }: ChangeDecision,
): Promise<readonly Batch[]> {
  const wanted = filter ?? ALL_CHANGES
  const numbers = wanted.seqs === null ? seqs : wanted.seqs.filter((seq) => seqs === null || seqs.includes(seq))
  const marks = TURNED[verdict].filter((mark) => wanted.marks === null || wanted.marks.includes(mark))
  const batches: Batch[] = []
  let found = 0
  let blocked = 0
  for await (const changes of findChanges(tools, set, { ...wanted, seqs: numbers, marks }, 0)) {
    const free = changes.filter(({ moved }) => !set.approved || moved)
    blocked += changes.length - free.length
    found += free.length
    if (found > MOST) {
      throw new AppError('invalid_request', `One decision can be about ${MOST} changes; these are more.`, {
        hint: 'Decide table by table, or by operation.',
      })
    }
    const target = set.summary.tables[changes[0]?.table ?? -1]?.target
    if (free.length === 0 || target === undefined) continue
    const rows = free.flatMap((change) => bindingsOf([change], { first: change.seq }, tableId(target)))
    batches.push({ rows })
  }
  if (found === 0 && blocked > 0) {
    throw new AppError('wrong_state', 'The change set has been approved as it is.', {
      hint: 'Only changes whose row had moved can be decided now. To change more, cancel the job and preview again.',
    })
  }
  return batches
}

interface Deciding {
  readonly set: ReadyChangeSet
  readonly batch: Batch
  readonly actor: Actor
}

/** Somebody may have decided meanwhile, and the job may have settled: only marks that the verdict turns are turned. */
async function leave(
  { store }: ChangeSetTools,
  tx: Transaction<Tables>,
  { set, batch, actor }: Deciding,
): Promise<number> {
  const at = store.clock.now()
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('change_mark')
    .columns(MARK_COLUMNS)
    .expression((build) =>
      build
        .selectFrom(rowsTable(store, BINDING_COLUMNS, batch.rows).as('v'))
        .select((select) => [
          select.val(set.jobId).as('job_id'),
          select.val(set.generation).as('generation'),
          'v.seq',
          'v.target_table',
          'v.op',
          'v.key_hash',
          'v.change_digest',
          select.val('left').as('mark'),
          select.val(0).as('moved'),
          select.val(actor.id).as('actor'),
          select.val(at).as('at'),
        ])
        .where('v.seq', '>', 0),
    )
    .onConflict((conflict) =>
      conflict
        .columns(['job_id', 'generation', 'seq'])
        .doUpdateSet((set) => ({
          mark: 'left',
          key_hash: set.ref('excluded.key_hash'),
          change_digest: set.ref('excluded.change_digest'),
          op: set.ref('excluded.op'),
          actor: actor.id,
          at,
        }))
        .where('change_mark.mark', 'in', ['moved', 'again']),
    )
    .executeTakeFirst()
  return Number(numInsertedOrUpdatedRows ?? 0)
}

async function apply(
  { store }: ChangeSetTools,
  tx: Transaction<Tables>,
  { set, batch, actor }: Deciding,
): Promise<number> {
  const seqs = batch.rows.map(({ seq }) => seq)
  const turned = await tx
    .updateTable('change_mark')
    .set({ mark: 'again', actor: actor.id, at: store.clock.now() })
    .where('job_id', '=', set.jobId)
    .where('generation', '=', set.generation)
    .where('seq', '>=', seqs[0] ?? 0)
    .where('seq', '<=', seqs.at(-1) ?? 0)
    .where(isOneOf(store, 'seq', seqs))
    .where('moved', '=', 1)
    .where('mark', 'in', ['moved', 'left'])
    .executeTakeFirst()
  const removed = await tx
    .deleteFrom('change_mark')
    .where('job_id', '=', set.jobId)
    .where('generation', '=', set.generation)
    .where('seq', '>=', seqs[0] ?? 0)
    .where('seq', '<=', seqs.at(-1) ?? 0)
    .where(isOneOf(store, 'seq', seqs))
    .where('moved', '=', 0)
    .where('mark', '=', 'left')
    .executeTakeFirst()
  return Number(turned.numUpdatedRows) + Number(removed.numDeletedRows)
}

/** The set must be the one that was looked at, and not have been approved since. */
async function refuseMoved({ isPostgres }: ChangeSetTools['store'], tx: Transaction<Tables>, set: ReadyChangeSet) {
  const row = await tx
    .selectFrom('change_set')
    .select(['generation', 'state', 'approved_at'])
    .where('job_id', '=', set.jobId)
    .$call((query) => (isPostgres ? query.forUpdate() : query))
    .executeTakeFirst()
  const same =
    row?.generation === set.generation && row.state === 'ready' && (row.approved_at !== null) === set.approved
  if (!same) {
    throw new AppError('change_set_moved', `The change set of the job ${set.jobId} has become another one meanwhile.`)
  }
}

/** What a filter names, for the audit log: values of keys stay out (invariant 7). */
export function describeFilter(filter: ChangeFilter | null): Readonly<Record<string, unknown>> {
  if (filter === null) return {}
  const { target, ops, column, key, marks } = filter
  return {
    ...(target && { table: tableName(target) }),
    ...(ops && { ops }),
    ...(column !== null && { column }),
    ...(key && { key: 'one key' }),
    ...(marks && { marks }),
  }
}
