import { sql, type Expression, type ExpressionBuilder, type SqlBool } from 'kysely'
import type { SecretBox } from '#lib/secret-box.ts'
import type { ConflictKind, ConflictStatus, ConflictStrategy, ConflictTable } from '#model/conflict.ts'
import { AppError } from '#model/errors.ts'
import { tableId, type TableRef } from '#model/table.ts'
import {
  openBuilt,
  openImage,
  openMarks,
  toConflict,
  type BuiltRow,
  type ConflictImage,
  type ConflictMarks,
  type StoredConflict,
} from './conflict-codec.ts'
import type { ConflictTools } from './conflicts.ts'
import { toRef } from './rejections.ts'
import type { ConflictRow, Tables, WebhookDeliveryRow } from './schema.ts'
import type { Store } from './store.ts'

/** Conflicts as people look for them and at them. */

/** Which conflicts; what is left out matters not. */
export interface ConflictFilter {
  readonly scope?: string
  readonly configId?: string
  /** Only those that this job saw first or last. */
  readonly jobId?: string
  /** Only those of jobs and sync configs between these datasources. */
  readonly datasources?: readonly string[]
  readonly ids?: readonly string[]
  readonly target?: TableRef
  readonly status?: readonly ConflictStatus[]
  readonly kind?: readonly ConflictKind[]
  readonly strategy?: readonly ConflictStrategy[]
  /** One of the columns that both sides changed. */
  readonly field?: string
  /** These very columns, as `StoredConflict.fields` has them. */
  readonly fields?: readonly string[]
  /** The JSON of a key. */
  readonly key?: string
}

type Where = ExpressionBuilder<Tables, 'conflict'>

export function conflictConditions(
  where: Where,
  { isPostgres }: Pick<Store, 'isPostgres'>,
  filter: ConflictFilter,
): Expression<SqlBool>[] {
  const { scope, configId, jobId, datasources, ids, target, status, kind, strategy, field, fields, key } = filter
  const conditions: Expression<SqlBool>[] = []
  if (scope !== undefined) conditions.push(where('scope', '=', scope))
  if (configId !== undefined) conditions.push(where('config_id', '=', configId))
  if (jobId !== undefined) {
    conditions.push(where.or([where('first_job_id', '=', jobId), where('last_job_id', '=', jobId)]))
  }
  if (datasources !== undefined) conditions.push(isBetween(where, datasources))
  if (ids !== undefined) conditions.push(isAnyOf('id', ids, isPostgres))
  if (target !== undefined) conditions.push(where('target_table', '=', tableId(target)))
  if (status !== undefined) conditions.push(where('status', 'in', [...status]))
  if (kind !== undefined) conditions.push(where('kind', 'in', [...kind]))
  if (strategy !== undefined) conditions.push(where('strategy', 'in', [...strategy]))
  if (field !== undefined) conditions.push(holdsName('fields', field, isPostgres))
  if (fields !== undefined) conditions.push(where('fields', '=', JSON.stringify(fields)))
  if (key !== undefined) conditions.push(where('key', '=', key))
  return conditions
}

/** What lies within the scope of a key (S9). */
function isBetween(where: Where, datasources: readonly string[]): Expression<SqlBool> {
  if (datasources.length === 0) return sql<SqlBool>`1 = 0`
  const ids = [...datasources]
  const jobs = where
    .selectFrom('job')
    .select('job.id')
    .where('source_datasource_id', 'in', ids)
    .where('target_datasource_id', 'in', ids)
  const configs = where
    .selectFrom('sync_config')
    .select('sync_config.id')
    .where('source_datasource_id', 'in', ids)
    .where('target_datasource_id', 'in', ids)
  return where.or([where('last_job_id', 'in', jobs), where('config_id', 'in', configs)])
}

function isAnyOf(column: string, texts: readonly string[], isPostgres: boolean): Expression<SqlBool> {
  return isPostgres
    ? sql<SqlBool>`${sql.ref(column)} = ANY (${[...texts]}::text[])`
    : sql<SqlBool>`${sql.ref(column)} IN (SELECT value FROM json_each(${JSON.stringify(texts)}))`
}

/** Whether a column holds a list in JSON with this name in it. */
function holdsName(column: string, name: string, isPostgres: boolean): Expression<SqlBool> {
  return isPostgres
    ? sql<SqlBool>`${sql.ref(column)}::jsonb @> ${JSON.stringify([name])}::jsonb`
    : sql<SqlBool>`EXISTS (SELECT 1 FROM json_each(${sql.ref(column)}) WHERE value = ${name})`
}

/** All columns but what is sealed, of which a thousand may be large. */
const SHOWN = [
  'id',
  'scope',
  'config_id',
  'first_job_id',
  'last_job_id',
  'seq',
  'table_id',
  'source_table',
  'target_table',
  'kind',
  'fields',
  'strategy',
  'reason',
  'key',
  'key_hash',
  'large',
  'status',
  'resolution',
  'resolved_by',
  'resolved_name',
  'resolved_at',
  'reopened',
  'first_at',
  'last_at',
  'version',
] as const satisfies readonly (keyof ConflictRow)[]

/** A page of conflicts, in the order in which they were found, or the other way round. */
export async function listConflicts(
  store: Store,
  filter: ConflictFilter,
  { after, limit, descending = false }: { after: number | null; limit: number; descending?: boolean },
): Promise<readonly StoredConflict[]> {
  const rows = await store.db
    .selectFrom('conflict')
    .select(SHOWN)
    .where((where) => where.and(conflictConditions(where, store, filter)))
    .$if(after !== null, (query) => query.where('seq', descending ? '<' : '>', after ?? 0))
    .orderBy('seq', descending ? 'desc' : 'asc')
    .limit(limit)
    .execute()
  const asked = await askedAbout(
    store.db,
    rows.map(({ id }) => id),
  )
  return rows.map((row) => toConflict(row, asked.get(row.id)))
}

async function askedAbout(db: Store['db'], ids: readonly string[]): Promise<ReadonlyMap<string, WebhookDeliveryRow>> {
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('webhook_delivery')
    .selectAll()
    .where('conflict_id', 'in', [...ids])
    .execute()
  return new Map(rows.map((row) => [row.conflict_id, row]))
}

/** Conflicts of one sync by what caused them. */
export interface ConflictGroup {
  readonly configId: string | null
  /** The youngest of the jobs that saw them last. */
  readonly lastJobId: string
  readonly target: TableRef
  readonly kind: ConflictKind
  readonly fields: readonly string[]
  readonly conflicts: number
  /** Of these, how many wait for somebody. */
  readonly open: number
}

/** Groups that are told; of more the largest. */
const MOST_GROUPS = 100

export async function groupConflicts(store: Store, filter: ConflictFilter): Promise<readonly ConflictGroup[]> {
  const rows = await store.db
    .selectFrom('conflict')
    .where((where) => where.and(conflictConditions(where, store, filter)))
    .select(['config_id', 'target_table', 'kind', 'fields'])
    .select((select) => [
      select.fn.max('last_job_id').as('last_job_id'),
      select.fn.countAll().as('n'),
      sql<number>`sum(CASE WHEN status = 'open' THEN 1 ELSE 0 END)`.as('open'),
    ])
    .groupBy(['scope', 'config_id', 'target_table', 'kind', 'fields'])
    .orderBy('n', 'desc')
    .orderBy('scope')
    .orderBy('target_table')
    .orderBy('kind')
    .orderBy('fields')
    .limit(MOST_GROUPS)
    .execute()
  return rows.map((row) => ({
    configId: row.config_id,
    lastJobId: row.last_job_id,
    target: toRef(row.target_table),
    kind: row.kind as ConflictKind,
    fields: JSON.parse(row.fields) as string[],
    conflicts: Number(row.n),
    open: Number(row.open),
  }))
}

/** How many conflicts there are of each status, whatever the filter says of that. */
export async function countByStatus(
  store: Store,
  filter: ConflictFilter,
): Promise<Readonly<Record<ConflictStatus, number>>> {
  const { status: _status, ...ofAny } = filter
  const rows = await store.db
    .selectFrom('conflict')
    .where((where) => where.and(conflictConditions(where, store, ofAny)))
    .select(['status'])
    .select((select) => select.fn.countAll().as('n'))
    .groupBy('status')
    .execute()
  const counted = new Map(rows.map(({ status, n }) => [status, Number(n)]))
  const of = (status: ConflictStatus): number => counted.get(status) ?? 0
  return { open: of('open'), resolved: of('resolved'), applied: of('applied'), closed: of('closed') }
}

/** A conflict with all that is sealed of it; null where the key that sealed it is not known any more. */
export interface OpenedConflict extends StoredConflict {
  readonly image: ConflictImage | null
  readonly marks: ConflictMarks | null
  /** The row that somebody built in place of both; null where nobody has. */
  readonly built: BuiltRow | null
  /** What the rows are read by. */
  readonly table: Pick<ConflictTable, 'key' | 'columns'>
}

/** @throws AppError `not_found` */
export async function getConflict({ store, box }: ConflictTools, id: string): Promise<OpenedConflict> {
  const row = await store.db.selectFrom('conflict').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw conflictNotFound(id)
  return openConflict(store.db, box, row)
}

export async function openConflict(db: Store['db'], box: SecretBox, row: ConflictRow): Promise<OpenedConflict> {
  const shape = await db
    .selectFrom('conflict_table')
    .select(['key_columns', 'columns'])
    .where('id', '=', row.table_id)
    .executeTakeFirstOrThrow()
  const asked = await askedAbout(db, [row.id])
  return {
    ...toConflict(row, asked.get(row.id)),
    image: openImage(box, row),
    marks: openMarks(box, row),
    built: openBuilt(box, row),
    table: {
      key: JSON.parse(shape.key_columns) as string[],
      columns: JSON.parse(shape.columns) as ConflictTable['columns'],
    },
  }
}

export function conflictNotFound(id: string): AppError {
  return new AppError('not_found', `There is no conflict ${id}.`)
}
