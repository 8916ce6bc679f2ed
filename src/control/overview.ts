import { sql, type Expression, type SqlBool } from 'kysely'
import { addMs } from '#lib/clock.ts'
import type { JobStatus } from '#model/job.ts'
import { isBetween } from './job-counts.ts'
import { listDrift, type SchemaDrift } from './schema-drift.ts'
import { listSchedules, type ScheduleState } from './schedules.ts'
import type { Store } from './store.ts'

/** How things stand, for a page that is looked at first: sync config by sync config, and day by day. */
export interface Overview {
  readonly configs: readonly ConfigState[]
  /** The last days in UTC, the oldest first, those on which nothing ended too. */
  readonly days: readonly DayTotals[]
}

export interface ConfigState {
  readonly configId: string
  /** The sync that was asked for last, dry runs among them; null: none was. */
  readonly lastJob: { readonly id: string; readonly status: JobStatus; readonly createdAt: string } | null
  /** When a sync that writes came to a good end last. */
  readonly lastSucceededAt: string | null
  readonly openConflicts: number
  readonly openRejections: number
  /** Null: nobody has looked at its tables. */
  readonly schemaDrift: SchemaDrift | null
  /** Null: it does not run by itself. */
  readonly schedule: ScheduleState | null
}

export interface DayTotals {
  /** `2026-01-31` */
  readonly day: string
  readonly succeeded: number
  readonly failed: number
  /** Rows that syncs which ended on this day wrote. */
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

const DAY_MS = 24 * 3_600_000
const DAYS = 14

/** @param configs ids of the sync configs that are asked about; days are those of jobs between `datasources` (null: all) */
export async function readOverview(
  store: Store,
  { configs, datasources }: { configs: readonly string[]; datasources: readonly string[] | null },
): Promise<Overview> {
  const [states, days] = await Promise.all([readStates(store, configs), readDays(store, datasources)])
  return { configs: states, days }
}

async function readStates(store: Store, configs: readonly string[]): Promise<readonly ConfigState[]> {
  if (configs.length === 0) return []
  const { db } = store
  const lastIds = db
    .selectFrom('job')
    .select(({ fn }) => fn.max('id').as('id'))
    .where('config_id', 'in', [...configs])
    .where('kind', '=', 'sync')
    .groupBy('config_id')
  const [last, good, conflicts, rejections, schedules, drifts] = await Promise.all([
    db.selectFrom('job').select(['id', 'config_id', 'status', 'created_at']).where('id', 'in', lastIds).execute(),
    db
      .selectFrom('job')
      .select(['config_id', ({ fn }) => fn.max('finished_at').as('at')])
      .where('config_id', 'in', [...configs])
      .where('kind', '=', 'sync')
      .where('status', '=', 'succeeded')
      .where(isNoDryRun(store))
      .groupBy('config_id')
      .execute(),
    countOpen(store, 'conflict', configs),
    countOpen(store, 'rejection', configs),
    listSchedules(store, configs),
    listDrift(store, configs),
  ])
  const lastOf = new Map(last.map((job) => [job.config_id, job]))
  const goodOf = new Map(good.map(({ config_id: id, at }) => [id, at]))
  return configs.map((configId) => {
    const job = lastOf.get(configId)
    return {
      configId,
      lastJob: job === undefined ? null : { id: job.id, status: job.status as JobStatus, createdAt: job.created_at },
      lastSucceededAt: goodOf.get(configId) ?? null,
      openConflicts: conflicts.get(configId) ?? 0,
      openRejections: rejections.get(configId) ?? 0,
      schemaDrift: drifts.get(configId) ?? null,
      schedule: schedules.get(configId) ?? null,
    }
  })
}

async function countOpen(
  store: Store,
  table: 'conflict' | 'rejection',
  configs: readonly string[],
): Promise<ReadonlyMap<string | null, number>> {
  const rows = await store.db
    .selectFrom(table)
    .select(['config_id', ({ fn }) => fn.countAll().as('rows')])
    .where('config_id', 'in', [...configs])
    .where('status', '=', 'open')
    .groupBy('config_id')
    .execute()
  return new Map(rows.map(({ config_id: id, rows: count }) => [id, Number(count)]))
}

async function readDays(store: Store, datasources: readonly string[] | null): Promise<readonly DayTotals[]> {
  const today = (await store.now(store.db)).slice(0, 10)
  const days = Array.from({ length: DAYS }, (_, i) => addMs(today, (i + 1 - DAYS) * DAY_MS).slice(0, 10))
  const day = sql<string>`substr(finished_at, 1, 10)`
  const rows = await store.db
    .selectFrom('job')
    .select([
      day.as('day'),
      'status',
      ({ fn }) => fn.countAll().as('jobs'),
      sql<string | null>`sum(${written(store, 'inserted')})`.as('inserted'),
      sql<string | null>`sum(${written(store, 'updated')})`.as('updated'),
      sql<string | null>`sum(${written(store, 'deleted')})`.as('deleted'),
    ])
    .where('finished_at', '>=', days[0] ?? today)
    .where('status', 'in', ['succeeded', 'failed', 'stopped', 'cancelled'])
    .where('kind', 'in', ['sync', 'revert'])
    .where(isNoDryRun(store))
    .where(isBetween(datasources))
    .groupBy([day, 'status'])
    .execute()
  return days.map((of) => {
    const ended = rows.filter((row) => row.day === of)
    const total = (name: 'inserted' | 'updated' | 'deleted'): number =>
      ended.reduce((sum, row) => sum + Number(row[name] ?? 0), 0)
    const jobs = (status: JobStatus): number => Number(ended.find((row) => row.status === status)?.jobs ?? 0)
    return {
      day: of,
      succeeded: jobs('succeeded'),
      failed: jobs('failed'),
      inserted: total('inserted'),
      updated: total('updated'),
      deleted: total('deleted'),
    }
  })
}

/** A dry run counts what it would write. */
function isNoDryRun({ isPostgres }: Store): Expression<SqlBool> {
  return isPostgres
    ? sql<SqlBool>`request::jsonb -> 'dryRun' = 'false'::jsonb`
    : sql<SqlBool>`request ->> '$.dryRun' = 0`
}

/** A field of the counts, which are JSON with numbers as JSON has them. */
function written({ isPostgres }: Store, name: string): Expression<number> {
  return isPostgres ? sql`(counts::jsonb ->> ${name})::bigint` : sql`counts ->> ${`$.${name}`}`
}
