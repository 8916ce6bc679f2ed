import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Actor } from '#model/access.ts'
import { CONFLICT_KINDS, takesValue, type ConflictKind, type ConflictStatus, type Resolution } from '#model/conflict.ts'
import { AppError } from '#model/errors.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { audited, type AuditEntry } from './audit.ts'
import {
  conflictConditions,
  conflictNotFound,
  openConflict,
  type ConflictFilter,
  type OpenedConflict,
} from './conflict-list.ts'
import { canTake, sealBuilt, standingHolder, UNDECIDED, type BuiltRow } from './conflict-codec.ts'
import { keepRules } from './conflict-rules.ts'
import { CONFLICTS_LOCK, type ConflictTools } from './conflicts.ts'
import { versionConflict } from './datasources.ts'
import { toRef } from './rejections.ts'
import type { ConflictRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** What people decide about one conflict or about many. The next run carries it out. */

/** One that has been carried out can be turned round: the losing version is kept. */
const DECIDABLE: readonly ConflictStatus[] = ['open', 'resolved', 'applied']

/** What somebody does to a conflict as it is at `version` (null: whatever it is). */
export interface ConflictAct {
  readonly id: string
  readonly version: number | null
  readonly actor: Actor
}

/** With `row`, the whole row, or that there is to be none. */
export type ConflictChoice =
  | { readonly resolution: Exclude<Resolution, 'row'> }
  | ({ readonly resolution: 'row' } & BuiltRow)

/** What goes with a decision about one conflict. */
export interface OneMore {
  readonly remember?: Remember | null
  /** What belongs into the same transaction. */
  readonly also?: (tx: Transaction<Tables>) => Promise<void>
}

/** A decision is to hold for all later conflicts of the same sort in a sync config. */
export interface Remember {
  readonly configId: string
  /** Whichever fields both sides changed; else only the same ones. */
  readonly anyFields: boolean
}

/** @throws AppError `not_found`, `version_conflict`, `wrong_state` */
export function resolveConflict(
  { store, box }: ConflictTools,
  { id, version, actor }: ConflictAct,
  choice: ConflictChoice,
  { remember = null, also = () => Promise.resolve() }: OneMore = {},
): Promise<OpenedConflict> {
  return decided(store, actor, async (tx, audit) => {
    const row = await tx.selectFrom('conflict').selectAll().where('id', '=', id).executeTakeFirst()
    if (row === undefined) throw conflictNotFound(id)
    if (version !== null && row.version !== version) throw versionConflict('conflict', row.version)
    const { resolution } = choice
    refuseUndecidable(await openConflict(tx, box, row), resolution)
    const changes = {
      ...by(store, actor),
      resolution,
      row_sealed: resolution === 'row' ? sealBuilt(box, id, choice) : null,
      version: row.version + 1,
    }
    await tx.updateTable('conflict').set(changes).where('id', '=', id).execute()
    await also(tx)
    if (remember !== null && resolution !== 'row') {
      const sorts = [{ ...row, fields: remember.anyFields ? null : row.fields }]
      await keepRules(tx, audit, { configId: remember.configId, sorts, resolution, actor, at: changes.resolved_at })
    }
    const table = tableName(toRef(row.target_table))
    await audit({
      action: 'conflict.resolve',
      subject: id,
      data: { table, kind: row.kind, resolution, was: row.status },
    })
    return openConflict(tx, box, { ...row, ...changes })
  })
}

/** @throws AppError `wrong_state` */
function refuseUndecidable(
  { id, status, image, marks }: Pick<OpenedConflict, 'id' | 'status' | 'image' | 'marks'>,
  resolution: Resolution,
): void {
  if (!DECIDABLE.includes(status)) {
    throw new AppError('wrong_state', `The conflict ${id} is ${status}: there is nothing left to decide.`, {
      hint: 'It went away by itself. Should it come back, a run finds it again.',
    })
  }
  const holder = marks === null ? null : standingHolder(marks, resolution)
  if (holder !== null && takesValue(holder, resolution) && holder.yields === null) {
    throw new AppError(
      'wrong_state',
      `The row of the ${holder.side} that is in the way cannot go without its value of (${holder.columns.join(', ')}).`,
      { hint: 'Build a row with another value, or change the row in the way where it is; the next run finds that.' },
    )
  }
  if (status !== 'applied' || resolution === 'skip' || resolution === 'row') return
  if (canTake(marks, image, resolution)) return
  throw new AppError(
    'wrong_state',
    `The row of the ${resolution} was too large to be kept, and has been written over.`,
    {
      hint: 'Change it in the database itself; the next run finds it.',
    },
  )
}

/** What a decision about many conflicts is about, or would be. */
export interface ConflictSelection {
  readonly conflicts: number
  readonly kinds: readonly { readonly kind: ConflictKind; readonly conflicts: number }[]
  readonly tables: readonly { readonly source: TableRef; readonly target: TableRef; readonly conflicts: number }[]
  /** Over all of them as they are: another one as soon as one comes, goes or changes. */
  readonly digest: string
}

export interface ManyConflicts {
  /** Without a status, the open ones. What went away by itself is never among them. */
  readonly filter: ConflictFilter
  readonly resolution: Exclude<Resolution, 'row'>
  readonly actor: Actor
  /** The sync config, or the job, by which they were chosen: what the audit log knows it by. */
  readonly subject: string
  /** Refuses where there are other ones, or more or fewer, than somebody has looked at; null: whatever there is. */
  readonly expect: number | null
  readonly digest: string | null
  readonly remember?: Remember | null
}

/** Conflicts that one decision may be about. */
const MOST = 1_000_000

/** What a decision would be about. */
export function previewConflicts(store: Store, { filter }: Pick<ManyConflicts, 'filter'>): Promise<ConflictSelection> {
  return select(store, store.db, decidable(filter)).then(({ selection }) => selection)
}

/**
 * Decides about all conflicts that a filter lets through, at once or not at all.
 * @throws AppError `version_conflict` where they are others than were expected
 */
export function resolveConflicts(
  { store }: Pick<ConflictTools, 'store'>,
  { filter, resolution, actor, subject, expect, digest, remember = null }: ManyConflicts,
): Promise<ConflictSelection> {
  const wanted = decidable(filter)
  return decided(store, actor, async (tx, audit) => {
    const { selection, condition } = await select(store, tx, wanted)
    const { conflicts } = selection
    if ((expect !== null && expect !== conflicts) || (digest !== null && digest !== selection.digest)) {
      throw new AppError('version_conflict', `These are ${conflicts} conflicts, and not those that were looked at.`, {
        hint: 'Look at them again with dry_run, and decide on what is there now.',
      })
    }
    if (conflicts === 0) return selection
    if (remember !== null) {
      const { configId, anyFields } = remember
      const found = await tx
        .selectFrom('conflict')
        .select(['target_table', 'kind', 'fields'])
        .distinct()
        .where(condition)
        .execute()
      const sorts = found.map((sort) => (anyFields ? { ...sort, fields: null } : sort))
      await keepRules(tx, audit, { configId, sorts, resolution, actor, at: store.clock.now() })
    }
    await tx
      .updateTable('conflict')
      .set({ ...by(store, actor), resolution, row_sealed: null })
      .set((set) => ({ version: set('version', '+', 1) }))
      .where(condition)
      .execute()
    const { kinds, tables } = selection
    const data = {
      resolution,
      conflicts,
      kinds: Object.fromEntries(kinds.map((each) => [each.kind, each.conflicts])),
      tables: tables.map(({ target }) => tableName(target)),
      ...describe(wanted),
    }
    await audit({ action: 'conflict.resolve_many', subject, data })
    return selection
  })
}

/** What a filter names, for the audit log: values of keys stay out (invariant 7). */
function describe({ status, ids, field, key }: ConflictFilter): Readonly<Record<string, unknown>> {
  return {
    status,
    ...(ids === undefined ? {} : { ids: ids.length }),
    ...(field === undefined ? {} : { field }),
    ...(key === undefined ? {} : { key: 'one key' }),
  }
}

function decidable(filter: ConflictFilter): ConflictFilter {
  const status = filter.status?.filter((one) => DECIDABLE.includes(one)) ?? ['open' as const]
  // An empty list is no list in SQL.
  return status.length === 0 ? { ...filter, status: ['open'], ids: [] } : { ...filter, status }
}

async function select(store: Store, db: Store['db'] | Transaction<Tables>, filter: ConflictFilter) {
  const condition = (where: Parameters<typeof conflictConditions>[0]) =>
    where.and([
      ...conflictConditions(where, store, filter),
      // What was written over cannot be brought back where it was too large to be kept.
      where.not(where.and([where('status', '=', 'applied'), where('large', '=', 1)])),
    ])
  const rows = await db
    .selectFrom('conflict')
    .select(['id', 'version', 'kind', 'source_table', 'target_table'])
    .where(condition)
    .orderBy('id')
    .limit(MOST + 1)
    .execute()
  if (rows.length > MOST) {
    throw new AppError('invalid_request', `One decision can be about ${MOST} conflicts; these are more.`, {
      hint: 'Decide table by table, or by kind.',
    })
  }
  return { selection: toSelection(rows), condition }
}

type Selected = Pick<ConflictRow, 'id' | 'version' | 'kind' | 'source_table' | 'target_table'>

function toSelection(rows: readonly Selected[]): ConflictSelection {
  const hash = createHash('sha256')
  for (const { id, version } of rows) hash.update(`${id} ${version}\n`)
  const tables = Map.groupBy(rows, (row) => `${row.source_table} ${row.target_table}`)
  const kinds = Map.groupBy(rows, ({ kind }) => kind)
  return {
    conflicts: rows.length,
    kinds: CONFLICT_KINDS.flatMap((kind) => {
      const conflicts = kinds.get(kind)?.length ?? 0
      return conflicts === 0 ? [] : [{ kind, conflicts }]
    }),
    tables: [...tables.values()].flatMap((some) => {
      const [first] = some
      if (first === undefined) return []
      return [{ source: toRef(first.source_table), target: toRef(first.target_table), conflicts: some.length }]
    }),
    digest: hash.digest('hex'),
  }
}

function by(store: Store, { id, name }: Actor) {
  return {
    ...UNDECIDED,
    status: 'resolved',
    resolved_by: id,
    resolved_name: name,
    resolved_at: store.clock.now(),
  } satisfies Partial<ConflictRow>
}

/** A decision and its audit event in one transaction, which no run tells of conflicts beside. */
function decided<T>(
  store: Store,
  actor: Actor,
  deed: (tx: Transaction<Tables>, audit: (entry: AuditEntry) => Promise<void>) => Promise<T>,
): Promise<T> {
  return audited(store, actor, async (tx, audit) => {
    await store.exclude(tx, CONFLICTS_LOCK)
    return deed(tx, audit)
  })
}
