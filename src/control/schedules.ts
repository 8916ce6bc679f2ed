import type { Transaction } from 'kysely'
import type { Actor } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import type { JobStatus } from '#model/job.ts'
import { dueTick, nextTick, type Schedule, type TickOutcome } from '#model/schedule.ts'
import { audited } from './audit.ts'
import type { ScheduleTickRow, SyncScheduleRow, Tables } from './schema.ts'
import type { Db, Store } from './store.ts'

/**
 * What the schedules of sync configs have come to. A tick is a row whose key makes it one of its kind, kept in the
 * transaction that starts its job: however many services see to it, it is seen to once, and whichever of them dies, it is
 * not lost.
 */
export interface ScheduleState {
  readonly configId: string
  readonly schedule: Schedule
  /** When it came to be, or went on after a pause. */
  readonly since: string
  /** Null while it is paused, and where no tick comes any more. */
  readonly nextAt: string | null
  readonly paused: { readonly at: string; readonly by: string } | null
  readonly consent: ScheduleConsent | null
}

/** What somebody lets the runs of a schedule do, between the very databases that were meant. */
export interface ScheduleConsent {
  readonly source: string
  readonly target: string
  readonly protectedWrite: boolean
  readonly protectedSourceWrite: boolean
  readonly at: string
  /** The name of whoever gave it. */
  readonly by: string
}

/** A tick that was seen to. */
export interface Tick {
  readonly tick: string
  readonly firedAt: string
  readonly missed: number
  readonly outcome: TickOutcome
  /** The job that was started, or that was in the way. */
  readonly jobId: string | null
  /** Null where that is gone. */
  readonly jobStatus: JobStatus | null
  readonly reason: string | null
}

/** In the transaction that keeps a document: a schedule that is another one begins now, one that is as it was goes on. */
export async function keepSchedule(
  tx: Transaction<Tables>,
  configId: string,
  schedule: Schedule | null,
  now: string,
): Promise<void> {
  if (schedule === null) {
    await tx.deleteFrom('sync_schedule').where('config_id', '=', configId).execute()
    return
  }
  const text = JSON.stringify(schedule)
  const before = await tx.selectFrom('sync_schedule').selectAll().where('config_id', '=', configId).executeTakeFirst()
  if (before?.schedule === text) return
  const isPaused = before !== undefined && before.paused_at !== null
  const row = { schedule: text, since: now, next_at: isPaused ? null : nextTick(schedule, now, now) }
  if (before !== undefined) {
    await tx.updateTable('sync_schedule').set(row).where('config_id', '=', configId).execute()
    return
  }
  const fresh = { config_id: configId, ...row, paused_at: null, paused_by: null, consent: null }
  await tx.insertInto('sync_schedule').values(fresh).execute()
}

/** A tick whose time has come, and what it is to be recorded against. */
export interface Due {
  readonly configId: string
  /** The tick as it stands in the store. */
  readonly expected: string
  readonly tick: string
  readonly missed: number
  /** The tick after it. */
  readonly following: string | null
}

/** Schedules whose time has come, the oldest first. */
export async function dueTicks(store: Store, now: string, limit: number): Promise<readonly Due[]> {
  const rows = await store.db
    .selectFrom('sync_schedule')
    .selectAll()
    .where('next_at', '<=', now)
    .orderBy('next_at')
    .limit(limit)
    .execute()
  return rows.flatMap((row) => {
    const { configId, schedule, since, nextAt } = toState(row)
    if (nextAt === null) return []
    const { tick, missed } = dueTick(schedule, since, nextAt, now)
    return [{ configId, expected: nextAt, tick, missed, following: nextTick(schedule, since, tick) }]
  })
}

/** What was done about a tick. */
export interface TickEnd {
  readonly outcome: TickOutcome
  readonly at: string
  readonly jobId: string | null
  readonly reason: string | null
}

/** Somebody else has seen to a tick, or its schedule is another one by now. */
export class TickTaken extends Error {
  override readonly name = 'TickTaken'
}

/** Records a tick, and moves its schedule on. @throws TickTaken, with which the transaction is to be given up */
export async function takeTick(
  tx: Transaction<Tables>,
  { configId, expected, tick, missed, following }: Due,
  { outcome, at, jobId, reason }: TickEnd,
): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('sync_schedule')
    .set({ next_at: following })
    .where('config_id', '=', configId)
    .where('next_at', '=', expected)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new TickTaken()
  const taken = await tx
    .insertInto('schedule_tick')
    .values({ config_id: configId, tick, fired_at: at, missed, outcome, job_id: jobId, reason })
    .onConflict((conflict) => conflict.columns(['config_id', 'tick']).doNothing())
    .returning('tick')
    .executeTakeFirst()
  if (taken === undefined) throw new TickTaken()
}

/** Moves schedules on whose tick was seen to before. */
export async function passTick(store: Store, { configId, expected, tick, following }: Due): Promise<void> {
  await store.write(async (tx) => {
    const seen = await tx
      .selectFrom('schedule_tick')
      .select('tick')
      .where('config_id', '=', configId)
      .where('tick', '=', tick)
      .executeTakeFirst()
    if (seen === undefined) return
    await tx
      .updateTable('sync_schedule')
      .set({ next_at: following })
      .where('config_id', '=', configId)
      .where('next_at', '=', expected)
      .execute()
  })
}

/**
 * Puts right what a clock did that was wrong for a while: a schedule waits for its first tick after now, not for one that
 * such a clock was ahead by. Ticks that were seen to stay so.
 */
export async function realignSchedules(store: Store, now: string): Promise<void> {
  await store.write(async (tx) => {
    const rows = await tx.selectFrom('sync_schedule').selectAll().where('next_at', '>', now).execute()
    for (const row of rows) {
      const { configId, schedule, since } = toState(row)
      const next = nextTick(schedule, since, now)
      if (next === null || row.next_at === null || next >= row.next_at) continue
      await tx.updateTable('sync_schedule').set({ next_at: next }).where('config_id', '=', configId).execute()
    }
  })
}

export async function findSchedule(db: Db, configId: string): Promise<ScheduleState | null> {
  const row = await db.selectFrom('sync_schedule').selectAll().where('config_id', '=', configId).executeTakeFirst()
  return row === undefined ? null : toState(row)
}

/** By the ids of their sync configs. */
export async function listSchedules(
  store: Store,
  configs: readonly string[],
): Promise<ReadonlyMap<string, ScheduleState>> {
  if (configs.length === 0) return new Map()
  const rows = await store.db
    .selectFrom('sync_schedule')
    .selectAll()
    .where('config_id', 'in', [...configs])
    .execute()
  return new Map(rows.map((row) => [row.config_id, toState(row)]))
}

/** The last ticks of a sync config, the newest first. */
export async function listTicks(store: Store, configId: string, limit: number): Promise<readonly Tick[]> {
  const rows = await store.db
    .selectFrom('schedule_tick')
    .leftJoin('job', 'job.id', 'schedule_tick.job_id')
    .selectAll('schedule_tick')
    .select('job.status as job_status')
    .where('schedule_tick.config_id', '=', configId)
    .orderBy('tick', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toTick)
}

/** @throws AppError `not_found` where the sync config has no schedule */
export function pauseSchedule(store: Store, configId: string, actor: Actor): Promise<ScheduleState> {
  return change(store, { configId, actor, action: 'schedule.pause' }, (before, now) =>
    before.paused_at === null ? { next_at: null, paused_at: now, paused_by: actor.name } : null,
  )
}

/** What came meanwhile is not made up for: the first tick after now is the next. @throws as `pauseSchedule` */
export function resumeSchedule(store: Store, configId: string, actor: Actor): Promise<ScheduleState> {
  return change(store, { configId, actor, action: 'schedule.resume' }, (before, now) =>
    before.paused_at === null
      ? null
      : { since: now, next_at: nextTick(toState(before).schedule, now, now), paused_at: null, paused_by: null },
  )
}

/** Lets its runs write to what is protected, or (null) no longer. @throws as `pauseSchedule` */
export function consentToSchedule(
  store: Store,
  configId: string,
  consent: Pick<ScheduleConsent, 'source' | 'target' | 'protectedWrite' | 'protectedSourceWrite'> | null,
  actor: Actor,
): Promise<ScheduleState> {
  return change(store, { configId, actor, action: 'schedule.consent' }, (_, now) => {
    const kept: ScheduleConsent | null = consent === null ? null : { ...consent, at: now, by: actor.name }
    return { consent: kept === null ? null : JSON.stringify(kept) }
  })
}

function change(
  store: Store,
  { configId, actor, action }: { configId: string; actor: Actor; action: string },
  edit: (before: SyncScheduleRow, now: string) => Partial<SyncScheduleRow> | null,
): Promise<ScheduleState> {
  return audited(store, actor, async (tx, audit) => {
    const before = await tx.selectFrom('sync_schedule').selectAll().where('config_id', '=', configId).executeTakeFirst()
    if (before === undefined) throw new AppError('not_found', 'The sync config has no schedule.')
    const edited = edit(before, store.clock.now())
    if (edited === null) return toState(before)
    await tx.updateTable('sync_schedule').set(edited).where('config_id', '=', configId).execute()
    const { consent } = edited
    const data = consent === undefined ? {} : { consent: consent === null ? null : (JSON.parse(consent) as unknown) }
    await audit({ action, subject: configId, data })
    return toState({ ...before, ...edited })
  })
}

/** Forgets ticks that were seen to before a time (ISO 8601). Returns how many. */
export async function purgeTicks(store: Store, before: string): Promise<number> {
  const result = await store.db.deleteFrom('schedule_tick').where('fired_at', '<', before).executeTakeFirst()
  return Number(result.numDeletedRows)
}

function toState(row: SyncScheduleRow): ScheduleState {
  return {
    configId: row.config_id,
    schedule: JSON.parse(row.schedule) as Schedule,
    since: row.since,
    nextAt: row.next_at,
    paused: row.paused_at === null ? null : { at: row.paused_at, by: row.paused_by ?? '' },
    consent: row.consent === null ? null : (JSON.parse(row.consent) as ScheduleConsent),
  }
}

function toTick(row: ScheduleTickRow & { readonly job_status: string | null }): Tick {
  return {
    tick: row.tick,
    firedAt: row.fired_at,
    missed: row.missed,
    outcome: row.outcome as TickOutcome,
    jobId: row.job_id,
    jobStatus: row.job_status as JobStatus | null,
    reason: row.reason,
  }
}
