import { sql, type Transaction } from 'kysely'
import { addMs } from '#lib/clock.ts'
import type { Counts } from '#model/counts.ts'
import { AppError } from '#model/errors.ts'
import { toJobError, type JobError, type JobProgress, type JobStatus } from '#model/job.ts'
import type { JobRequest } from '#model/job-request.ts'
import { takeProbe } from './breakers.ts'
import {
  appendEvents,
  changeStatus,
  leaseLost,
  mayEndJobs,
  toJob,
  type Hold,
  type Job,
  type JobEventRecord,
} from './jobs.ts'
import type { JobRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/**
 * The side of whoever runs jobs: a job is claimed, its lease is renewed while its process lives, and it is released where
 * that process ends without it. The epoch grows with every claim, so that a process that comes back too late is told.
 */
/** Connections that a job may hold open to each of its datasources, which have these pool sizes. */
export type ConnectionShare = (request: JobRequest, poolSizes: readonly number[]) => number

/** Queued jobs that are looked at for one that can begin. */
const CANDIDATES = 200

/**
 * Takes the queued job that has waited longest, and only one caller gets it. Left are jobs that wait for a later try, for
 * a datasource whose breaker is open, or for connections: with `share`, all running jobs together hold no more of them
 * than the pool size of each datasource.
 */
export function claimNextJob(
  store: Store,
  { owner, leaseMs, share }: { owner: string; leaseMs: number; share?: ConnectionShare },
): Promise<Job | null> {
  // One after the other, because what is running decides what can begin.
  return store.exclusively('claim a job', async (tx) => {
    const now = await store.now(tx)
    const candidates = await tx
      .selectFrom('job')
      .selectAll()
      .where('status', '=', 'queued')
      .where((where) => where.or([where('not_before', 'is', null), where('not_before', '<=', now)]))
      .where((where) =>
        where.not(
          where.exists(
            where
              .selectFrom('breaker')
              .select('datasource_id')
              .whereRef('datasource_id', 'in', sql`(source_datasource_id, target_datasource_id)`)
              .where('open_until', '>', now),
          ),
        ),
      )
      .orderBy('created_at')
      .orderBy('id')
      .limit(CANDIDATES)
      .$call((query) => (store.isPostgres ? query.forUpdate().skipLocked() : query))
      .execute()
    const next = share === undefined ? candidates[0] : await firstThatFits(tx, candidates, share)
    if (next === undefined) return null
    for (const id of datasourcesOf(next)) await takeProbe(tx, id, now)
    const claimed = {
      status: 'running',
      epoch: next.epoch + 1,
      lease_owner: owner,
      lease_expires_at: addMs(now, leaseMs),
      attempt: next.attempt + 1,
      not_before: null,
      started_at: next.started_at ?? now,
      updated_at: now,
    }
    await tx.updateTable('job').set(claimed).where('id', '=', next.id).execute()
    await appendEvents(tx, next.id, now, [{ type: 'status', data: { status: 'running', attempt: claimed.attempt } }])
    return toJob({ ...next, ...claimed })
  })
}

type JobEnds = Pick<JobRow, 'source_datasource_id' | 'target_datasource_id'>

function datasourcesOf({ source_datasource_id: source, target_datasource_id: target }: JobEnds): readonly string[] {
  return [...new Set([source, target])]
}

/** A job that asks for more than there is in all begins where nobody else holds any. */
async function firstThatFits(
  tx: Transaction<Tables>,
  candidates: readonly JobRow[],
  share: ConnectionShare,
): Promise<JobRow | undefined> {
  if (candidates.length === 0) return undefined
  const pools = await tx.selectFrom('datasource').select(['id', 'pool_size']).execute()
  const sizes = new Map(pools.map(({ id, pool_size: size }) => [id, size]))
  const running = await tx
    .selectFrom('job')
    .select(['request', 'source_datasource_id', 'target_datasource_id'])
    .where('status', 'in', ['running', 'stopping'])
    .execute()
  const needs = (job: JobEnds & Pick<JobRow, 'request'>): (readonly [string, number])[] => {
    const ids = datasourcesOf(job)
    const most = share(
      JSON.parse(job.request) as JobRequest,
      ids.map((id) => sizes.get(id) ?? 0),
    )
    return ids.map((id) => [id, most])
  }
  const held = new Map<string, number>()
  for (const [id, count] of running.flatMap(needs)) held.set(id, (held.get(id) ?? 0) + count)
  return candidates.find((job) =>
    needs(job).every(([id, count]) => {
      const others = held.get(id) ?? 0
      return others === 0 || others + count <= (sizes.get(id) ?? Infinity)
    }),
  )
}

/**
 * Keeps the hold on a job for another `leaseMs`, and says whether somebody wants it to stop.
 * @throws AppError `lease_lost` where another process has it
 */
export function renewLease(store: Store, hold: Hold, leaseMs: number): Promise<{ readonly intent: Job['intent'] }> {
  return store.write(async (tx) => {
    const now = await store.now(tx)
    const row = await tx
      .updateTable('job')
      .set({ lease_expires_at: addMs(now, leaseMs) })
      .where('id', '=', hold.jobId)
      .where('epoch', '=', hold.epoch)
      .where('lease_owner', '=', hold.owner)
      .returning(['intent'])
      .executeTakeFirst()
    if (row === undefined) throw leaseLost(hold)
    return row
  })
}

/** What a running job has to tell since the last time. */
export interface JobRecord {
  readonly events: readonly Omit<JobEventRecord, 'seq' | 'at'>[]
  /** Null: as it was. */
  readonly progress: JobProgress | null
  /** What it is known to have done until now. */
  readonly counts?: Counts
  /** It has got on: attempts are counted from the beginning again. */
  readonly gotOn?: boolean
}

/** What a running job records: events, and where it is. @throws AppError `lease_lost` */
export async function recordJob(
  store: Store,
  hold: Hold,
  { events, progress, counts, gotOn = false }: JobRecord,
): Promise<readonly JobEventRecord[]> {
  return store.write(async (tx) => {
    const now = await store.now(tx)
    const held = await tx
      .updateTable('job')
      .set({
        updated_at: now,
        ...(progress === null ? {} : { progress: JSON.stringify(progress) }),
        ...(counts === undefined ? {} : { counts: JSON.stringify(counts) }),
        ...(gotOn ? { attempt: 0 } : {}),
      })
      .where('id', '=', hold.jobId)
      .where('epoch', '=', hold.epoch)
      .where('lease_owner', '=', hold.owner)
      .returning('id')
      .executeTakeFirst()
    if (held === undefined) throw leaseLost(hold)
    return appendEvents(tx, hold.jobId, now, events)
  })
}

/** Processes of a job that may die in a row without getting on; then it fails. */
const MAX_DEATHS = 5

/** Why a job leaves its process before it has ended. */
export interface Release {
  /** ISO 8601: not to be claimed before. */
  readonly notBefore?: string
  /** Its process died or fell silent; its last words. Null: it let go in order, and no attempt is counted. */
  readonly death: string | null
  /** The error after which it is tried again. */
  readonly because?: AppError
  /** Its process was ended for the memory that it had: the job goes on once, and fails the second time. */
  readonly excess?: AppError
  /** What it is known to have done until now. */
  readonly counts?: Counts
}

/**
 * Lets go of a job, so that it goes on in another process, or comes to the end that somebody asked for. A job whose
 * processes keep dying fails. Returns null where it is not held any more.
 */
export function releaseJob(store: Store, hold: Hold, release: Release): Promise<Job | null> {
  return mayEndJobs(store, async (tx) => {
    const row = await tx
      .selectFrom('job')
      .selectAll()
      .where('id', '=', hold.jobId)
      .where('epoch', '=', hold.epoch)
      .where('lease_owner', '=', hold.owner)
      .where('status', 'in', ['running', 'stopping'])
      .$call((query) => (store.isPostgres ? query.forUpdate() : query))
      .executeTakeFirst()
    return row === undefined ? null : letGo(store, tx, row, release)
  })
}

/** Lets go of all jobs whose process has been silent for longer than its lease. Returns what was held. */
export async function releaseExpired(store: Store): Promise<readonly Hold[]> {
  const silent = await store.db
    .selectFrom('job')
    .select('id')
    .where('status', 'in', ['running', 'stopping'])
    .where('lease_expires_at', '<', await store.now(store.db))
    .execute()
  if (silent.length === 0) return []
  return mayEndJobs(store, async (tx) => {
    const now = await store.now(tx)
    const rows = await tx
      .selectFrom('job')
      .selectAll()
      .where(
        'id',
        'in',
        silent.map(({ id }) => id),
      )
      .where('status', 'in', ['running', 'stopping'])
      .where('lease_expires_at', '<', now)
      .$call((query) => (store.isPostgres ? query.forUpdate().skipLocked() : query))
      .execute()
    for (const row of rows) await letGo(store, tx, row, { death: 'It fell silent, and its lease ran out.' })
    return rows.map((row) => ({ jobId: row.id, owner: row.lease_owner ?? '', epoch: row.epoch }))
  })
}

async function letGo(
  store: Store,
  tx: Transaction<Tables>,
  { id, status, intent, attempt, error }: JobRow,
  { notBefore, death, because, counts, excess }: Release,
): Promise<Job> {
  const known = counts === undefined ? {} : { counts }
  if (status === 'stopping')
    return changeStatus(store, tx, { id, event: intent === 'cancel' ? 'cancelled' : 'stopped' }, known)
  const before = error === null ? null : (JSON.parse(error) as JobError)
  if (excess !== undefined && before?.code === excess.code) {
    return changeStatus(store, tx, { id, event: 'fail' }, { error: toJobError(excess) })
  }
  if (excess !== undefined) {
    await appendEvents(tx, id, await store.now(tx), [
      { type: 'log', data: { level: 'warn', text: `It goes on once more: ${excess.message}`, code: excess.code } },
    ])
  } else if (death !== null) {
    await appendEvents(tx, id, await store.now(tx), [
      { type: 'log', data: { level: 'warn', text: `The process of the job ended unexpectedly. ${death}`.trim() } },
    ])
    if (attempt >= MAX_DEATHS) {
      const { code, message, hint, retry } = new AppError(
        'worker_failed',
        `The process of the job ended unexpectedly ${attempt} times in a row. ${death}`.trim(),
      )
      return changeStatus(store, tx, { id, event: 'fail' }, { error: { code, message, hint, retry } })
    }
  }
  if (because !== undefined) {
    await appendEvents(tx, id, await store.now(tx), [
      {
        type: 'log',
        data: {
          level: 'warn',
          text: `It is tried again: ${because.message}`,
          code: because.code,
          not_before: notBefore,
        },
      },
    ])
  }
  return changeStatus(
    store,
    tx,
    { id, event: 'release' },
    {
      ...known,
      ...(notBefore === undefined ? {} : { notBefore }),
      fresh: death === null && notBefore === undefined,
      // It is remembered over whatever else lets the job go on, until somebody resumes it or it ends.
      ...(excess === undefined ? keptExcess(before) : { error: toJobError(excess) }),
    },
  )
}

function keptExcess(error: JobError | null): { readonly error?: JobError } {
  return error?.code === 'memory_exceeded' ? { error } : {}
}

/** The jobs that an owner holds at present, by id, each with what somebody wants of it. */
export async function readHolds(
  store: Store,
  owner: string,
): Promise<
  ReadonlyMap<string, { readonly epoch: number; readonly status: JobStatus; readonly intent: Job['intent'] }>
> {
  const rows = await store.db
    .selectFrom('job')
    .select(['id', 'epoch', 'status', 'intent'])
    .where('lease_owner', '=', owner)
    .where('status', 'in', ['running', 'stopping'])
    .execute()
  return new Map(rows.map(({ id, epoch, status, intent }) => [id, { epoch, status: status as JobStatus, intent }]))
}
