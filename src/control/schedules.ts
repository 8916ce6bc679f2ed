import type { Transaction } from 'kysely'
import type { Actor } from '#model/access.ts'
import type { Datasource } from '#model/datasource.ts'
import type { ExportOptions } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import type { JobStatus } from '#model/job.ts'
import { dueTick, nextTick, type Schedule, type TickOutcome } from '#model/schedule.ts'
import { audited } from './audit.ts'
import type { ScheduleRow, ScheduleTickRow, Tables } from './schema.ts'
import type { Db, Store } from './store.ts'

/** What runs by itself: a sync config, or the export of a datasource. */
export type Scheduled =
  | { readonly kind: 'sync config'; readonly id: string }
  | { readonly kind: 'export'; readonly id: string; readonly options: ExportOptions }

/**
 * What a schedule has come to. A tick is a row whose key makes it one of its kind, kept in the transaction that starts its
 * job: however many services see to it, it is seen to once, and whichever of them dies, it is not lost.
 */
export interface ScheduleState {
  readonly of: Scheduled
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
    await tx.deleteFrom('schedule').where('subject_id', '=', configId).execute()
    return
  }
  await putSchedule(tx, { of: { kind: 'sync config', id: configId }, schedule }, now)
}

/**
 * A datasource is exported by itself from now on, or in another way or at other times than before.
 * @throws AppError `not_found` where the datasource is gone
 */
export function keepExportSchedule(
  store: Store,
  { datasource, schedule, options }: { datasource: Datasource; schedule: Schedule; options: ExportOptions },
  actor: Actor,
): Promise<ScheduleState> {
  return audited(store, actor, async (tx, audit) => {
    const there = await tx.selectFrom('datasource').select('id').where('id', '=', datasource.id).executeTakeFirst()
    if (there === undefined) throw new AppError('not_found', `There is no datasource ${datasource.name}.`)
    const of = { kind: 'export', id: datasource.id, options } as const
    const row = await putSchedule(tx, { of, schedule }, store.clock.now())
    await audit({ action: 'export_schedule.update', subject: datasource.id, data: { schedule, options } })
    return toState(row)
  })
}

/** It is no longer exported by itself; what its times came to stays told. @throws AppError `not_found` */
export function dropExportSchedule(store: Store, datasourceId: string, actor: Actor): Promise<void> {
  return audited(store, actor, async (tx, audit): Promise<void> => {
    const gone = await tx
      .deleteFrom('schedule')
      .where('datasource_id', '=', datasourceId)
      .returning('subject_id')
      .executeTakeFirst()
    if (gone === undefined) throw noSchedule()
    await audit({ action: 'export_schedule.delete', subject: datasourceId, data: {} })
  })
}

async function putSchedule(
  tx: Transaction<Tables>,
  { of, schedule }: Pick<ScheduleState, 'of' | 'schedule'>,
  now: string,
): Promise<ScheduleRow> {
  const text = JSON.stringify(schedule)
  const options = of.kind === 'export' ? JSON.stringify(of.options) : null
  const before = await findRow(tx, of.id)
  if (before === undefined) {
    const fresh: ScheduleRow = {
      ...ownerOf(of),
      export_options: options,
      schedule: text,
      since: now,
      next_at: nextTick(schedule, now, now),
      paused_at: null,
      paused_by: null,
      consent: null,
    }
    await tx.insertInto('schedule').values(fresh).execute()
    return fresh
  }
  const isPaused = before.paused_at !== null
  const anew =
    before.schedule === text
      ? {}
      : { schedule: text, since: now, next_at: isPaused ? null : nextTick(schedule, now, now) }
  await tx
    .updateTable('schedule')
    .set({ ...anew, export_options: options })
    .where('subject_id', '=', of.id)
    .execute()
  return { ...before, ...anew, export_options: options }
}

function findRow(db: Db, subjectId: string): Promise<ScheduleRow | undefined> {
  return db.selectFrom('schedule').selectAll().where('subject_id', '=', subjectId).executeTakeFirst()
}

function noSchedule(): AppError {
  return new AppError('not_found', 'There is no schedule.')
}

/** A tick whose time has come, and what it is to be recorded against. */
export interface Due {
  readonly of: Scheduled
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
    .selectFrom('schedule')
    .selectAll()
    .where('next_at', '<=', now)
    .orderBy('next_at')
    .limit(limit)
    .execute()
  return rows.flatMap((row) => {
    const { of, schedule, since, nextAt } = toState(row)
    if (nextAt === null) return []
    const { tick, missed } = dueTick(schedule, since, nextAt, now)
    return [{ of, expected: nextAt, tick, missed, following: nextTick(schedule, since, tick) }]
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
  { of, expected, tick, missed, following }: Due,
  { outcome, at, jobId, reason }: TickEnd,
): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('schedule')
    .set({ next_at: following })
    .where('subject_id', '=', of.id)
    .where('next_at', '=', expected)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new TickTaken()
  const taken = await tx
    .insertInto('schedule_tick')
    .values({ ...ownerOf(of), tick, fired_at: at, missed, outcome, job_id: jobId, reason })
    .onConflict((conflict) => conflict.columns(['subject_id', 'tick']).doNothing())
    .returning('tick')
    .executeTakeFirst()
  if (taken === undefined) throw new TickTaken()
}

/** Moves schedules on whose tick was seen to before. */
export async function passTick(store: Store, { of, expected, tick, following }: Due): Promise<void> {
  await store.write(async (tx) => {
    const seen = await tx
      .selectFrom('schedule_tick')
      .select('tick')
      .where('subject_id', '=', of.id)
      .where('tick', '=', tick)
      .executeTakeFirst()
    if (seen === undefined) return
    await tx
      .updateTable('schedule')
      .set({ next_at: following })
      .where('subject_id', '=', of.id)
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
    const rows = await tx.selectFrom('schedule').selectAll().where('next_at', '>', now).execute()
    for (const row of rows) {
      const { schedule, since } = toState(row)
      const next = nextTick(schedule, since, now)
      if (next === null || row.next_at === null || next >= row.next_at) continue
      await tx.updateTable('schedule').set({ next_at: next }).where('subject_id', '=', row.subject_id).execute()
    }
  })
}

/** Of a sync config, or of a datasource whose export runs by itself. */
export async function findSchedule(db: Db, subjectId: string): Promise<ScheduleState | null> {
  const row = await findRow(db, subjectId)
  return row === undefined ? null : toState(row)
}

/** By the ids of what they are of. */
export async function listSchedules(
  store: Store,
  subjects: readonly string[],
): Promise<ReadonlyMap<string, ScheduleState>> {
  if (subjects.length === 0) return new Map()
  const rows = await store.db
    .selectFrom('schedule')
    .selectAll()
    .where('subject_id', 'in', [...subjects])
    .execute()
  return new Map(rows.map((row) => [row.subject_id, toState(row)]))
}

/** Exports that run by themselves. */
export async function listExportSchedules(store: Store): Promise<readonly ScheduleState[]> {
  const rows = await store.db
    .selectFrom('schedule')
    .selectAll()
    .where('datasource_id', 'is not', null)
    .orderBy('subject_id')
    .execute()
  return rows.map(toState)
}

/** The last ticks of a schedule, the newest first. */
export async function listTicks(store: Store, subjectId: string, limit: number): Promise<readonly Tick[]> {
  const rows = await store.db
    .selectFrom('schedule_tick')
    .leftJoin('job', 'job.id', 'schedule_tick.job_id')
    .selectAll('schedule_tick')
    .select('job.status as job_status')
    .where('schedule_tick.subject_id', '=', subjectId)
    .orderBy('tick', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toTick)
}

/** @throws AppError `not_found` where there is no schedule */
export function pauseSchedule(store: Store, subjectId: string, actor: Actor): Promise<ScheduleState> {
  return change(store, { subjectId, actor, action: 'schedule.pause' }, (before, now) =>
    before.paused_at === null ? { next_at: null, paused_at: now, paused_by: actor.name } : null,
  )
}

/** What came meanwhile is not made up for: the first tick after now is the next. @throws as `pauseSchedule` */
export function resumeSchedule(store: Store, subjectId: string, actor: Actor): Promise<ScheduleState> {
  return change(store, { subjectId, actor, action: 'schedule.resume' }, (before, now) =>
    before.paused_at === null
      ? null
      : { since: now, next_at: nextTick(toState(before).schedule, now, now), paused_at: null, paused_by: null },
  )
}

/** Lets its runs write to what is protected, or (null) no longer. @throws as `pauseSchedule` */
export function consentToSchedule(
  store: Store,
  subjectId: string,
  consent: Pick<ScheduleConsent, 'source' | 'target' | 'protectedWrite' | 'protectedSourceWrite'> | null,
  actor: Actor,
): Promise<ScheduleState> {
  return change(store, { subjectId, actor, action: 'schedule.consent' }, (_, now) => {
    const kept: ScheduleConsent | null = consent === null ? null : { ...consent, at: now, by: actor.name }
    return { consent: kept === null ? null : JSON.stringify(kept) }
  })
}

function change(
  store: Store,
  { subjectId, actor, action }: { subjectId: string; actor: Actor; action: string },
  edit: (before: ScheduleRow, now: string) => Partial<ScheduleRow> | null,
): Promise<ScheduleState> {
  return audited(store, actor, async (tx, audit) => {
    const before = await findRow(tx, subjectId)
    if (before === undefined) throw noSchedule()
    const edited = edit(before, store.clock.now())
    if (edited === null) return toState(before)
    await tx.updateTable('schedule').set(edited).where('subject_id', '=', subjectId).execute()
    const { consent } = edited
    const data = consent === undefined ? {} : { consent: consent === null ? null : (JSON.parse(consent) as unknown) }
    await audit({ action, subject: subjectId, data })
    return toState({ ...before, ...edited })
  })
}

/** Forgets ticks that were seen to before a time (ISO 8601). Returns how many. */
export async function purgeTicks(store: Store, before: string): Promise<number> {
  const result = await store.db.deleteFrom('schedule_tick').where('fired_at', '<', before).executeTakeFirst()
  return Number(result.numDeletedRows)
}

function toState(row: ScheduleRow): ScheduleState {
  return {
    of: toScheduled(row),
    schedule: JSON.parse(row.schedule) as Schedule,
    since: row.since,
    nextAt: row.next_at,
    paused: row.paused_at === null ? null : { at: row.paused_at, by: row.paused_by ?? '' },
    consent: row.consent === null ? null : (JSON.parse(row.consent) as ScheduleConsent),
  }
}

function ownerOf({ kind, id }: Scheduled): Pick<ScheduleRow, 'subject_id' | 'config_id' | 'datasource_id'> {
  return kind === 'export'
    ? { subject_id: id, config_id: null, datasource_id: id }
    : { subject_id: id, config_id: id, datasource_id: null }
}

function toScheduled(row: ScheduleRow): Scheduled {
  if (row.export_options === null) return { kind: 'sync config', id: row.subject_id }
  return { kind: 'export', id: row.subject_id, options: JSON.parse(row.export_options) as ExportOptions }
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
