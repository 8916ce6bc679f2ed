import { sql, type Transaction } from 'kysely'
import { must } from '#lib/assert.ts'
import type { Counts } from '#model/counts.ts'
import { AppError } from '#model/errors.ts'
import {
  ACTIVE_STATUSES,
  transition,
  type JobError,
  type JobEvent,
  type JobKind,
  type JobProgress,
  type JobStatus,
} from '#model/job.ts'
import type { JobRequest } from '#model/job-request.ts'
import { writeAudited, type Deed } from './audit.ts'
import { auditEnd } from './job-end.ts'
import type { JobRow, Tables } from './schema.ts'
import type { Db, Store } from './store.ts'

/** A job as it is kept. */
export interface Job {
  readonly id: string
  readonly kind: JobKind
  readonly status: JobStatus
  readonly configId: string | null
  readonly configVersion: number | null
  readonly sourceDatasourceId: string
  readonly targetDatasourceId: string
  readonly request: JobRequest
  readonly requestedBy: string
  readonly intent: 'stop' | 'cancel' | null
  readonly epoch: number
  readonly attempt: number
  readonly notBefore: string | null
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly updatedAt: string
  readonly progress: JobProgress | null
  readonly counts: Counts | null
  readonly error: JobError | null
  /** The receipt, the preview or the comparison that it ended with. */
  readonly result: unknown
  readonly lastEvent: number
}

export interface NewJob {
  readonly id: string
  readonly kind: JobKind
  readonly configId: string | null
  readonly configVersion: number | null
  readonly sourceDatasourceId: string
  readonly targetDatasourceId: string
  /** Two active jobs never share a lane. */
  readonly lane: string
  readonly request: JobRequest
  readonly requestedBy: string
}

/** The right to run a job, for as long as nobody has claimed it again. */
export interface Hold {
  readonly jobId: string
  readonly owner: string
  readonly epoch: number
}

/** Something that happened to a job, as it is streamed to those who look on. */
export interface JobEventRecord {
  /** 1, 2, 3 … within a job, without gaps. */
  readonly seq: number
  readonly at: string
  readonly type: JobEventType
  readonly data: Readonly<Record<string, unknown>>
}

export type JobEventType = 'status' | 'phase' | 'log'

const ENDED: readonly JobStatus[] = ['stopped', 'succeeded', 'failed', 'cancelled']

/** Written out, because an index with a condition is only found by its very words. */
const IS_ACTIVE = sql<boolean>`status in (${sql.join(ACTIVE_STATUSES.map((status) => sql.lit(status)))})`

/**
 * Puts a job in its lane. The unique index of the store decides between any number of callers at once (hazard B6).
 * @throws AppError `already_running`, with the id of the job that is in the way as `cause`
 */
export async function insertJob(
  store: Store,
  job: NewJob,
  deed: Deed | null = null,
  /** What belongs into the same transaction. */
  also: (tx: Transaction<Tables>) => Promise<void> = () => Promise.resolve(),
): Promise<Job> {
  return writeAudited(store, deed, async (tx) => {
    const now = await store.now(tx)
    const row: JobRow = {
      id: job.id,
      kind: job.kind,
      status: 'queued',
      config_id: job.configId,
      config_version: job.configVersion,
      source_datasource_id: job.sourceDatasourceId,
      target_datasource_id: job.targetDatasourceId,
      lane: job.lane,
      request: JSON.stringify(job.request),
      requested_by: job.requestedBy,
      intent: null,
      epoch: 0,
      lease_owner: null,
      lease_expires_at: null,
      attempt: 0,
      not_before: null,
      created_at: now,
      started_at: null,
      finished_at: null,
      updated_at: now,
      progress: null,
      counts: null,
      error: null,
      result: null,
      last_event: 0,
    }
    const inserted = await tx
      .insertInto('job')
      .values(row)
      .onConflict((conflict) => conflict.column('lane').where(IS_ACTIVE).doNothing())
      .returning('id')
      .executeTakeFirst()
    if (inserted === undefined) throw await laneTaken(tx, job.lane)
    await appendEvents(tx, job.id, now, [{ type: 'status', data: { status: 'queued' } }])
    await also(tx)
    return toJob({ ...row, last_event: 1 })
  })
}

async function laneTaken(db: Db, lane: string): Promise<AppError> {
  const other = await db
    .selectFrom('job')
    .select('id')
    .where('lane', '=', lane)
    .where('status', 'in', [...ACTIVE_STATUSES])
    .executeTakeFirst()
  return new AppError('already_running', `The job ${other?.id ?? ''} of the same sync is under way.`, {
    cause: other === undefined ? undefined : new RunningJob(other.id),
  })
}

/** Names the job that is in the way. */
export class RunningJob extends Error {
  override readonly name = 'RunningJob'
  readonly jobId: string

  constructor(jobId: string) {
    super(`The job ${jobId} is under way.`)
    this.jobId = jobId
  }
}

/** What goes with a change of status. */
export interface JobPatch {
  readonly error?: JobError | null
  readonly counts?: Counts | null
  readonly result?: unknown
  /** ISO 8601: not to be claimed before. */
  readonly notBefore?: string | null
  /** Counts attempts from the beginning again. */
  readonly fresh?: boolean
}

/**
 * Lets something happen to a job. With a hold, only while it is still held.
 * @throws AppError `not_found`, `wrong_state` where it cannot happen in the present status, `lease_lost`,
 *   `already_running` where another job has taken the lane
 */
export function applyJobEvent(
  store: Store,
  { id, event, hold }: { id: string; event: JobEvent; hold?: Hold },
  patch: JobPatch = {},
  deed: Deed | null = null,
): Promise<Job> {
  const body = (tx: Transaction<Tables>): Promise<Job> =>
    changeStatus(store, tx, { id, event, ...(hold === undefined ? {} : { hold }) }, patch)
  return deed === null ? mayEndJobs(store, body) : writeAudited(store, deed, body)
}

/**
 * A transaction in which jobs may end, which the audit log is told. It takes the end of the log's chain before it takes
 * any job, as all deeds do, so that no two of them wait for each other.
 */
export function mayEndJobs<T>(store: Store, body: (tx: Transaction<Tables>) => Promise<T>): Promise<T> {
  return store.exclusively('audit', body)
}

/** `applyJobEvent` inside a transaction: one of `mayEndJobs`, or of a deed. */
export async function changeStatus(
  store: Store,
  tx: Transaction<Tables>,
  { id, event, hold }: { id: string; event: JobEvent; hold?: Hold },
  patch: JobPatch,
): Promise<Job> {
  const now = await store.now(tx)
  const row = await tx
    .selectFrom('job')
    .selectAll()
    .where('id', '=', id)
    .$call((query) => (store.isPostgres ? query.forUpdate() : query))
    .executeTakeFirst()
  if (row === undefined) throw jobNotFound(id)
  if (hold !== undefined && (row.epoch !== hold.epoch || row.lease_owner !== hold.owner)) throw leaseLost(hold)
  const status = transition(row.status as JobStatus, event)
  if (status === null)
    throw new AppError('wrong_state', `The job ${id} is ${row.status}: it cannot ${event.replace('_', ' ')}.`)
  if (event === 'resume') {
    const other = await tx
      .selectFrom('job')
      .select('id')
      .where('lane', '=', row.lane)
      .where('status', 'in', [...ACTIVE_STATUSES])
      .executeTakeFirst()
    if (other !== undefined) throw await laneTaken(tx, row.lane)
    await refuseOvertaken(tx, row)
  }
  const changes = {
    ...leave(status, row, now),
    ...columnsOf(patch),
    ...(status === 'stopping' ? { intent: intentOf(event, row.intent) } : {}),
    ...(event === 'resume' ? { attempt: 0, not_before: null } : {}),
    status,
    updated_at: now,
  }
  await tx.updateTable('job').set(changes).where('id', '=', id).execute()
  if (status !== row.status) {
    const data = { status, ...(patch.error ? { error: patch.error } : {}) }
    await appendEvents(tx, id, now, [{ type: 'status', data }])
    if (ENDED.includes(status)) await auditEnd(store, tx, { ...row, ...changes })
  }
  return toJob({ ...row, ...changes, last_event: row.last_event + (status === row.status ? 0 : 1) })
}

/** From now on a job may write to a protected target. */
export async function allowProtectedWrite(tx: Transaction<Tables>, { id, request }: Job): Promise<void> {
  const allowing: JobRequest = { ...request, allowProtectedWrite: true }
  await tx
    .updateTable('job')
    .set({ request: JSON.stringify(allowing) })
    .where('id', '=', id)
    .execute()
}

/** A job whose sync has run since has no place any more that it could go on from, and its history would be two. */
async function refuseOvertaken(tx: Transaction<Tables>, { id, lane, created_at: at }: JobRow): Promise<void> {
  const later = await tx
    .selectFrom('job')
    .select(['id', 'request'])
    .where('lane', '=', lane)
    .where('created_at', '>=', at)
    .where('id', '<>', id)
    .where('started_at', 'is not', null)
    .execute()
  const wrote = later.find(({ request }) => !(JSON.parse(request) as JobRequest).dryRun)
  if (wrote === undefined) return
  throw new AppError('wrong_state', `The job ${id} cannot go on: ${wrote.id} of the same sync has run since.`, {
    hint: 'Start a new job: it finds what is left to do.',
  })
}

/** A job that is to be cancelled is not saved by somebody who only wants it stopped. */
function intentOf(event: JobEvent, before: JobRow['intent']): JobRow['intent'] {
  return event === 'cancel' || before === 'cancel' ? 'cancel' : 'stop'
}

/** What a status means for lease and times. */
function leave(status: JobStatus, row: JobRow, now: string): Partial<JobRow> {
  const free = { lease_owner: null, lease_expires_at: null, intent: null }
  switch (status) {
    case 'running':
    case 'stopping':
      return {}
    case 'queued':
      return { ...free, finished_at: null, error: null }
    case 'awaiting_resolution':
    case 'awaiting_approval':
      return free
    case 'stopped':
    case 'succeeded':
    case 'failed':
    case 'cancelled':
      return { ...free, finished_at: row.finished_at ?? now }
    default:
      throw new Error(`unknown status ${String(status satisfies never)}`)
  }
}

function columnsOf(patch: JobPatch): Partial<JobRow> {
  return {
    ...(patch.error === undefined ? {} : { error: patch.error === null ? null : JSON.stringify(patch.error) }),
    ...(patch.counts === undefined ? {} : { counts: patch.counts === null ? null : JSON.stringify(patch.counts) }),
    ...(patch.result === undefined ? {} : { result: toJson(patch.result) }),
    ...(patch.notBefore === undefined ? {} : { not_before: patch.notBefore }),
    ...(patch.fresh ? { attempt: 0 } : {}),
  }
}

/** 64-bit numbers as text, maps as objects. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => {
    if (field instanceof Map) return Object.fromEntries(field)
    return typeof field === 'bigint' ? field.toString() : field
  })
}

/** @throws AppError `not_found` */
export async function getJob(store: Store, id: string): Promise<Job> {
  const row = await store.db.selectFrom('job').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw jobNotFound(id)
  return toJob(row)
}

/** What has become of jobs, by their ids; those that are gone are left out. */
export async function statusesOf(store: Store, ids: readonly string[]): Promise<ReadonlyMap<string, JobStatus>> {
  if (ids.length === 0) return new Map()
  const rows = await store.db
    .selectFrom('job')
    .select(['id', 'status'])
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(rows.map(({ id, status }) => [id, status as JobStatus]))
}

export interface JobFilter {
  readonly status?: readonly JobStatus[]
  readonly kind?: readonly JobKind[]
  readonly configId?: string
  /** Only jobs between these datasources; undefined: all. */
  readonly datasources?: readonly string[]
  /** Only jobs that read or write this one. */
  readonly datasource?: string
  /** ISO 8601: only jobs that were asked for at this time or later, and before that one. */
  readonly since?: string
  readonly until?: string
  /** The newest come first, unless they are asked for from the oldest on. */
  readonly oldestFirst?: boolean
  /** Only jobs that come after this id in that order (ids are in the order of time). */
  readonly after?: string
  readonly limit: number
}

export async function listJobs(store: Store, filter: JobFilter): Promise<readonly Job[]> {
  if (filter.datasources?.length === 0) return []
  const { oldestFirst = false } = filter
  const rows = await store.db
    .selectFrom('job')
    .selectAll()
    .$if(filter.status !== undefined, (query) => query.where('status', 'in', [...(filter.status ?? [])]))
    .$if(filter.kind !== undefined, (query) => query.where('kind', 'in', [...(filter.kind ?? [])]))
    .$if(filter.configId !== undefined, (query) => query.where('config_id', '=', filter.configId ?? ''))
    .$if(filter.after !== undefined, (query) => query.where('id', oldestFirst ? '>' : '<', filter.after ?? ''))
    .$if(filter.since !== undefined, (query) => query.where('created_at', '>=', filter.since ?? ''))
    .$if(filter.until !== undefined, (query) => query.where('created_at', '<', filter.until ?? ''))
    .$if(filter.datasource !== undefined, (query) =>
      query.where((where) =>
        where.or([
          where('source_datasource_id', '=', filter.datasource ?? ''),
          where('target_datasource_id', '=', filter.datasource ?? ''),
        ]),
      ),
    )
    .$if(filter.datasources !== undefined, (query) =>
      query
        .where('source_datasource_id', 'in', [...(filter.datasources ?? [])])
        .where('target_datasource_id', 'in', [...(filter.datasources ?? [])]),
    )
    .orderBy('id', oldestFirst ? 'asc' : 'desc')
    .limit(filter.limit)
    .execute()
  return rows.map(toJob)
}

/** Events of a job after a number, in order. */
export async function readJobEvents(
  store: Store,
  id: string,
  { after, limit }: { after: number; limit: number },
): Promise<readonly JobEventRecord[]> {
  const rows = await store.db
    .selectFrom('job_event')
    .selectAll()
    .where('job_id', '=', id)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute()
  return rows.map(({ seq, at, type, data }) => ({
    seq,
    at,
    type: type as JobEventType,
    data: JSON.parse(data) as Record<string, unknown>,
  }))
}

/** Removes ended jobs that are older than a time, with their events. Returns how many. */
export async function purgeJobs(store: Store, endedBefore: string): Promise<number> {
  const result = await store.db
    .deleteFrom('job')
    .where('finished_at', '<', endedBefore)
    .where('status', 'in', ['succeeded', 'failed', 'cancelled', 'stopped'])
    .executeTakeFirst()
  return Number(result.numDeletedRows)
}

/** Numbers events and keeps them, inside the transaction of what they tell. */
export async function appendEvents(
  tx: Transaction<Tables>,
  jobId: string,
  at: string,
  events: readonly Omit<JobEventRecord, 'seq' | 'at'>[],
): Promise<readonly JobEventRecord[]> {
  if (events.length === 0) return []
  const row = await tx
    .updateTable('job')
    .set((set) => ({ last_event: set('last_event', '+', events.length) }))
    .where('id', '=', jobId)
    .returning('last_event')
    .executeTakeFirst()
  const first = must(row, 'a job with events').last_event - events.length + 1
  const records = events.map((event, i) => ({ ...event, seq: first + i, at }))
  await tx
    .insertInto('job_event')
    .values(records.map(({ seq, type, data }) => ({ job_id: jobId, seq, at, type, data: JSON.stringify(data) })))
    .execute()
  return records
}

export function toJob(row: JobRow): Job {
  return {
    id: row.id,
    kind: row.kind as JobKind,
    status: row.status as JobStatus,
    configId: row.config_id,
    configVersion: row.config_version,
    sourceDatasourceId: row.source_datasource_id,
    targetDatasourceId: row.target_datasource_id,
    request: JSON.parse(row.request) as JobRequest,
    requestedBy: row.requested_by,
    intent: row.intent,
    epoch: row.epoch,
    attempt: row.attempt,
    notBefore: row.not_before,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    updatedAt: row.updated_at,
    progress: row.progress === null ? null : (JSON.parse(row.progress) as JobProgress),
    counts: row.counts === null ? null : (JSON.parse(row.counts) as Counts),
    error: row.error === null ? null : (JSON.parse(row.error) as JobError),
    result: row.result === null ? null : (JSON.parse(row.result) as unknown),
    lastEvent: row.last_event,
  }
}

export function leaseLost({ jobId }: Hold): AppError {
  return new AppError('lease_lost', `Another process has taken over the job ${jobId}.`)
}

function jobNotFound(id: string): AppError {
  return new AppError('not_found', `There is no job ${id}.`)
}
