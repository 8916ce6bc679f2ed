import { sql, type ExpressionBuilder, type Expression, type SqlBool } from 'kysely'
import { holds } from './paging.ts'
import type { Tables } from './schema.ts'
import type { Store } from './store.ts'

/** The audit log as people search it and count it. */

/** What events are about: one job, sync config or datasource, with all that belongs to it. */
export interface AuditConcern {
  readonly kind: 'job' | 'config' | 'datasource'
  readonly id: string
}

/** Which events of the log; what is left out matters not. */
export interface AuditFilter {
  /** An action (`job.start`), or all of one noun (`job`). */
  readonly action?: string
  readonly subject?: string
  /** An id or a name. */
  readonly actor?: string
  /** ISO 8601: only events at this time or later, and before that one. */
  readonly since?: string
  readonly until?: string
  /** A part of the action, the subject or the actor's name, in any case. */
  readonly search?: string
  /** All of them. */
  readonly concerns?: readonly AuditConcern[]
  /** Only events about these datasources, and about configs, jobs, rejections and conflicts between them. */
  readonly datasources?: readonly string[]
  /** Leaves out events of these nouns. */
  readonly without?: readonly string[]
}

/** A part of a list of events: the newest first, unless asked for from the oldest on. */
export interface AuditWish {
  readonly oldestFirst: boolean
  /** Only events that come after this number in that order; null: the first page. */
  readonly after: number | null
  readonly limit: number
}

export async function listAudit(
  store: Store,
  filter: AuditFilter,
  { oldestFirst, after, limit }: AuditWish,
): Promise<readonly Tables['audit_event'][]> {
  return store.db
    .selectFrom('audit_event')
    .selectAll()
    .where((where) => where.and(conditionsOf(where, filter)))
    .$if(after !== null, (query) => query.where('seq', oldestFirst ? '>' : '<', after ?? 0))
    .orderBy('seq', oldestFirst ? 'asc' : 'desc')
    .limit(limit)
    .execute()
}

/** How many events there are of each kind. */
export interface AuditCounts {
  readonly events: number
  readonly actions: readonly { readonly action: string; readonly events: number }[]
  /** Under the name that the actor had last. */
  readonly actors: readonly { readonly actor: string; readonly name: string; readonly events: number }[]
  /** Days in UTC: 2026-01-31. */
  readonly days: readonly { readonly day: string; readonly events: number }[]
}

/** Counts of the events that a filter lets through: by action and actor the most frequent first, by day in order. */
export async function countAudit(store: Store, filter: AuditFilter): Promise<AuditCounts> {
  const chosen = store.db.selectFrom('audit_event').where((where) => where.and(conditionsOf(where, filter)))
  const actions = await chosen
    .select((select) => ['action', select.fn.countAll().as('events')])
    .groupBy('action')
    .execute()
  const actors = await chosen
    .select((select) => ['actor', select.fn.max('actor_name').as('name'), select.fn.countAll().as('events')])
    .groupBy('actor')
    .execute()
  const day = sql<string>`substr(${sql.ref('at')}, 1, 10)`
  const days = await chosen
    .select((select) => [day.as('day'), select.fn.countAll().as('events')])
    .groupBy(day)
    .orderBy(day)
    .execute()
  const toNumber = <T extends { events: unknown }>(rows: readonly T[]) =>
    rows.map((row) => ({ ...row, events: Number(row.events) }))
  const byCount = (a: { events: number }, b: { events: number }): number => b.events - a.events
  const counted = toNumber(actions).toSorted(byCount)
  return {
    events: counted.reduce((sum, { events }) => sum + events, 0),
    actions: counted,
    actors: toNumber(actors).toSorted(byCount),
    days: toNumber(days),
  }
}

/** Who asked for jobs, by their ids, as the log knows it. */
export async function startersOf(
  store: Store,
  jobIds: readonly string[],
): Promise<ReadonlyMap<string, { readonly actor: string; readonly name: string; readonly at: string }>> {
  if (jobIds.length === 0) return new Map()
  const rows = await store.db
    .selectFrom('audit_event')
    .select(['subject', 'actor', 'actor_name', 'at'])
    .where('subject', 'in', [...new Set(jobIds)])
    .where('action', '=', 'job.start')
    .execute()
  return new Map(rows.map(({ subject, actor, actor_name: name, at }) => [subject ?? '', { actor, name, at }]))
}

type Where = ExpressionBuilder<Tables, 'audit_event'>

function conditionsOf(where: Where, filter: AuditFilter): Expression<SqlBool>[] {
  const { action, subject, actor, since, until, search, concerns, datasources, without } = filter
  const conditions: Expression<SqlBool>[] = []
  if (action !== undefined) conditions.push(where.or([where('action', '=', action), isOfNoun(where, action)]))
  if (subject !== undefined) conditions.push(where('subject', '=', subject))
  if (actor !== undefined) conditions.push(where.or([where('actor', '=', actor), where('actor_name', '=', actor)]))
  if (since !== undefined) conditions.push(where('at', '>=', since))
  if (until !== undefined) conditions.push(where('at', '<', until))
  if (search !== undefined) {
    conditions.push(where.or([holds('action', search), holds('subject', search), holds('actor_name', search)]))
  }
  for (const concern of concerns ?? []) conditions.push(where.or(subjectsOf(where, concern)))
  if (datasources !== undefined) conditions.push(where.or(subjectsBetween(where, datasources)))
  for (const noun of without ?? []) conditions.push(where.not(isOfNoun(where, noun)))
  return conditions
}

function isOfNoun(where: Where, noun: string): Expression<SqlBool> {
  return where(sql`substr(${sql.ref('action')}, 1, ${sql.lit(noun.length + 1)})`, '=', `${noun}.`)
}

/** The subjects of events that concern something: itself, and what belongs to it. */
function subjectsOf(where: Where, { kind, id }: AuditConcern): Expression<SqlBool>[] {
  const itself = where('subject', '=', id)
  if (kind === 'job') {
    const rejections = where
      .selectFrom('rejection')
      .select('rejection.id')
      .where((row) =>
        row.or([row('first_job_id', '=', id), row('last_job_id', '=', id), row('replay_job_id', '=', id)]),
      )
    const conflicts = where
      .selectFrom('conflict')
      .select('conflict.id')
      .where((row) => row.or([row('first_job_id', '=', id), row('last_job_id', '=', id)]))
    const dumps = where.selectFrom('dump').select('dump.id').where('job_id', '=', id)
    return [
      itself,
      where('subject', 'in', rejections),
      where('subject', 'in', conflicts),
      where('subject', 'in', dumps),
    ]
  }
  if (kind === 'config') {
    const jobs = where.selectFrom('job').select('job.id').where('config_id', '=', id)
    const rejections = where.selectFrom('rejection').select('rejection.id').where('config_id', '=', id)
    const conflicts = where.selectFrom('conflict').select('conflict.id').where('config_id', '=', id)
    return [itself, where('subject', 'in', jobs), where('subject', 'in', rejections), where('subject', 'in', conflicts)]
  }
  const jobs = where
    .selectFrom('job')
    .select('job.id')
    .where((row) => row.or([row('source_datasource_id', '=', id), row('target_datasource_id', '=', id)]))
  const configs = where
    .selectFrom('sync_config')
    .select('sync_config.id')
    .where((row) => row.or([row('source_datasource_id', '=', id), row('target_datasource_id', '=', id)]))
  return [itself, where('subject', 'in', jobs), where('subject', 'in', configs), ofDumpsOf(where, id)]
}

/**
 * Events of dumps name their datasource, because they outlive the dump. In a text of JSON quotes that belong to a value are
 * escaped, so that these stand nowhere but round the field.
 */
function ofDumpsOf(where: Where, datasource: string): Expression<SqlBool> {
  return where.and([isOfNoun(where, 'dump'), holds('data', `"datasource":"${datasource}"`)])
}

/** What lies within the scope of a key (S9). What is gone, nobody can tell the scope of. */
function subjectsBetween(where: Where, datasources: readonly string[]): Expression<SqlBool>[] {
  if (datasources.length === 0) return [sql<SqlBool>`1 = 0`]
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
  const rejections = where.selectFrom('rejection').select('rejection.id').where('last_job_id', 'in', jobs)
  const conflicts = where.selectFrom('conflict').select('conflict.id').where('last_job_id', 'in', jobs)
  return [
    where('subject', 'in', ids),
    where('subject', 'in', jobs),
    where('subject', 'in', configs),
    where('subject', 'in', rejections),
    where('subject', 'in', conflicts),
    ...ids.map((id) => ofDumpsOf(where, id)),
  ]
}
