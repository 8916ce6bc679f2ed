import { presentExport } from '#api/present-dump.ts'
import type { ScheduleConsent, ScheduleState, Tick } from '#control/schedules.ts'
import type { StoredConfig } from '#control/sync-configs.ts'
import { msBetween } from '#lib/clock.ts'
import { toWallTime } from '#lib/cron.ts'
import type { Datasource } from '#model/datasource.ts'
import type { Dump } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import {
  clockChangeInWords,
  intervalSeconds,
  LATE_MS,
  nextTicks,
  overdueSince,
  scheduleInWords,
  type Schedule,
} from '#model/schedule.ts'

/** How schedules look in answers: field by field (S10). */

const RUNS = 5

/** `next`: the ticks that come, the first one of `state` where that is kept. */
export function presentSchedule(schedule: Schedule | null, next: readonly string[], now: string) {
  const timeZone = schedule !== null && 'cron' in schedule ? schedule.timeZone : null
  return {
    words: schedule === null ? null : scheduleInWords(schedule),
    time_zone: timeZone,
    note: schedule === null ? null : clockChangeInWords(schedule, now),
    next_runs: next.map((at) => ({ at, local: toWallTime(at, timeZone ?? 'UTC') })),
  }
}

/** The next runs of one that begins now. */
export function draftRuns(schedule: Schedule | null, now: string): readonly string[] {
  return schedule === null ? [] : nextTicks(schedule, now, now, RUNS)
}

function keptRuns(state: ScheduleState | null): readonly string[] {
  if (state === null || state.nextAt === null) return []
  return [state.nextAt, ...nextTicks(state.schedule, state.since, state.nextAt, RUNS - 1)]
}

export function presentScheduleState(
  {
    state,
    config,
    refusal,
    ticks,
  }: {
    readonly state: ScheduleState | null
    readonly config: StoredConfig
    readonly refusal: AppError | null
    readonly ticks: readonly Tick[]
  },
  now: string,
) {
  return {
    ...presentSchedule(state?.schedule ?? null, keptRuns(state), now),
    paused_at: state?.paused?.at ?? null,
    paused_by: state?.paused?.by ?? null,
    refused_for: refusal === null ? null : { code: refusal.code, message: refusal.message, hint: refusal.hint },
    consent: state === null || state.consent === null ? null : presentConsent(state.consent, config),
    ticks: ticks.map(presentTick),
  }
}

function presentConsent({ source, target, ...consent }: ScheduleConsent, { document }: StoredConfig) {
  return {
    allow_protected_write: consent.protectedWrite,
    allow_protected_source_write: consent.protectedSourceWrite,
    holds: source === document.source_datasource_id && target === document.target_datasource_id,
    at: consent.at,
    by: consent.by,
  }
}

function presentTick({ tick, firedAt, missed, outcome, jobId, jobStatus, reason }: Tick) {
  const late = msBetween(tick, firedAt) > LATE_MS
  return { tick, fired_at: firedAt, late, missed, outcome, job_id: jobId, job_status: jobStatus, reason }
}

export function presentScheduleSummary(state: ScheduleState, lastSucceededAt: string | null, now: string) {
  const { schedule, since, nextAt, paused } = state
  return {
    words: scheduleInWords(schedule),
    next_run_at: nextAt,
    paused: paused !== null,
    expected_interval_seconds: nextAt === null ? null : intervalSeconds(schedule, since, nextAt),
    overdue_since: paused !== null ? null : overdueSince(schedule, since, lastSucceededAt, now),
  }
}

/** Of an export that runs by itself: `newest` is the newest one of the datasource. */
export function presentExportScheduleSummary({ state, datasource, newest }: ExportScheduleFacts, now: string) {
  const { schedule, since, nextAt, paused } = state
  return {
    datasource_id: datasource.id,
    datasource: datasource.name,
    words: scheduleInWords(schedule),
    next_run_at: nextAt,
    paused_at: paused?.at ?? null,
    paused_by: paused?.by ?? null,
    last_dump:
      newest === null ? null : { id: newest.id, created_at: newest.createdAt, works: newest.drill?.works ?? null },
    overdue_since: paused === null ? overdueSince(schedule, since, newest?.createdAt ?? null, now) : null,
  }
}

export interface ExportScheduleFacts {
  readonly state: ScheduleState
  readonly datasource: Pick<Datasource, 'id' | 'name'>
  readonly newest: Dump | null
}

export function presentExportSchedule(facts: ExportScheduleFacts, ticks: readonly Tick[], now: string) {
  const { state } = facts
  const { schedule, of } = state
  if (of.kind !== 'export' || !('cron' in schedule)) throw new AppError('internal', 'This is no schedule of an export.')
  const { next_run_at: _, ...summary } = presentExportScheduleSummary(facts, now)
  return {
    ...presentSchedule(schedule, keptRuns(state), now),
    ...summary,
    schedule: { cron: schedule.cron, time_zone: schedule.timeZone },
    export: presentExport(of.options),
    ticks: ticks.map(presentTick),
  }
}
