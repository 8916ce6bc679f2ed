import { getDatasource } from '#control/datasources.ts'
import { RunningJob, type Job } from '#control/jobs.ts'
import {
  dueTicks,
  findSchedule,
  passTick,
  realignSchedules,
  takeTick,
  TickTaken,
  type Due,
  type ScheduleConsent,
  type Scheduled,
} from '#control/schedules.ts'
import { isStoreAway, type Store } from '#control/store.ts'
import { getConfig, type StoredConfig } from '#control/sync-configs.ts'
import type { Actor } from '#model/access.ts'
import type { ExportOptions } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import type { TickOutcome } from '#model/schedule.ts'
import { BY_ITSELF, type JobWish, type StartTools } from './start-job.ts'
import { Turns } from './turns.ts'

/** What happens to ticks, for a log. */
export type ScheduleEvent =
  | {
      readonly type: 'tick seen to'
      /** The id of a sync config, or of a datasource whose export runs by itself. */
      readonly subject: string
      readonly tick: string
      readonly missed: number
      readonly outcome: TickOutcome
      readonly jobId: string | null
      readonly reason: string | null
    }
  | { readonly type: 'store failed'; readonly reason: string }

export interface SchedulerOptions {
  readonly store: Store
  /** The one door, as whom, and with what belongs into the transaction that makes the job. */
  readonly startJob: (wish: JobWish, actor: Actor, jobId: string, also: NonNullable<StartTools['also']>) => Promise<Job>
  readonly newJobId: () => string
  /** Default: the store's own time. */
  readonly readNow?: () => Promise<string>
  readonly onEvent?: (event: ScheduleEvent) => void
  readonly pollMs?: number
}

const POLL_MS = 1_000

/** Schedules that are looked at in one statement. */
const AT_ONCE = 100

/**
 * Starts the jobs of schedules whose time has come. All state is in the store: any number of these may be at work on it. A
 * store that does not answer is asked again: it ends by its signal alone.
 */
export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #turns: Turns
  /** The time of the last turn: where it goes back, a clock was wrong. */
  #before: string | null = null

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#turns = new Turns({
      pollMs: options.pollMs ?? POLL_MS,
      onStoreFailed: (reason) => this.#options.onEvent?.({ type: 'store failed', reason }),
    })
  }

  /** Runs until the signal is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#turns.run(() => this.look(signal), signal)
  }

  /** One look: sees to all ticks whose time has come. */
  async look(signal: AbortSignal): Promise<void> {
    const { store, readNow = () => store.now(store.db) } = this.#options
    const now = await readNow()
    if (this.#before === null || now < this.#before) await realignSchedules(store, now)
    this.#before = now
    for (;;) {
      const due = await dueTicks(store, now, AT_ONCE)
      const failures: unknown[] = []
      for (const each of due) {
        if (signal.aborted) return
        // One that cannot be seen to holds up no other.
        await this.#seeTo(each, now).catch((error: unknown) => {
          if (isStoreAway(error)) throw error
          failures.push(error)
        })
      }
      if (failures.length > 0) throw failures[0]
      if (due.length < AT_ONCE) return
    }
  }

  async #seeTo(due: Due, now: string): Promise<void> {
    const { store } = this.#options
    const id = this.#options.newJobId()
    try {
      const state = await findSchedule(store.db, due.of.id)
      if (state === null) return
      const { name, wish } = await wishOf(store, state)
      await this.#options.startJob(wish, actorOf(name), id, (tx) =>
        takeTick(tx, due, { outcome: 'started', at: now, jobId: id, reason: null }),
      )
      this.#tell(due, { outcome: 'started', jobId: id, reason: null })
    } catch (error) {
      if (error instanceof TickTaken) return passTick(store, due)
      if (!(error instanceof AppError) || isStoreAway(error.cause)) throw error
      await this.#leaveOut(due, now, error)
    }
  }

  /** A tick that came to nothing is told, and the next one is tried. */
  async #leaveOut(due: Due, now: string, { code, message, cause }: AppError): Promise<void> {
    const { store } = this.#options
    const isBusy = code === 'already_running'
    const end = {
      outcome: isBusy ? ('skipped' as const) : ('refused' as const),
      at: now,
      jobId: cause instanceof RunningJob ? cause.jobId : null,
      reason: isBusy ? null : message,
    }
    try {
      await store.write((tx) => takeTick(tx, due, end))
    } catch (error) {
      // What it was for is gone, or another service was quicker.
      if (error instanceof TickTaken) return passTick(store, due)
      throw error
    }
    this.#tell(due, end)
  }

  #tell(
    { of, tick, missed }: Due,
    end: { readonly outcome: TickOutcome; readonly jobId: string | null; readonly reason: string | null },
  ): void {
    const { outcome, jobId, reason } = end
    this.#options.onEvent?.({ type: 'tick seen to', subject: of.id, tick, missed, outcome, jobId, reason })
  }
}

/** What a tick asks for, and the name of what it is for. @throws AppError `not_found` where that is gone */
async function wishOf(
  store: Store,
  { of, consent }: { readonly of: Scheduled; readonly consent: ScheduleConsent | null },
): Promise<{ readonly name: string; readonly wish: JobWish }> {
  if (of.kind === 'sync config') {
    const config = await getConfig(store, of.id)
    return { name: config.document.name, wish: scheduledWish(config, consent) }
  }
  const { id, name } = await getDatasource(store, of.id)
  return { name: `exports of ${name}`, wish: exportWish(id, of.options) }
}

/** An export of a datasource, which writes to no database. */
function exportWish(datasource: string, options: ExportOptions): JobWish {
  return {
    ...BY_ITSELF,
    kind: 'export',
    what: { source: datasource, target: datasource, policies: {} },
    export: options,
  }
}

/** What a tick of a sync config asks for. Consent to a write is for the databases that it was given for. Brakes are approved run by run, by people. */
export function scheduledWish({ id, document }: StoredConfig, consent: ScheduleConsent | null): JobWish {
  const holds =
    consent !== null &&
    consent.source === document.source_datasource_id &&
    consent.target === document.target_datasource_id
  return {
    kind: 'sync',
    what: { config: id },
    mode: 'incremental',
    dryRun: false,
    tables: null,
    allowProtectedWrite: holds && consent.protectedWrite,
    allowProtectedSourceWrite: holds && consent.protectedSourceWrite,
    approvedDeletes: null,
    approvedOverwrites: null,
  }
}

/** A schedule, as jobs and the audit log name it. */
function actorOf(name: string): Actor {
  return { id: 'schedule', name: `schedule of ${name}`, role: 'operator', datasources: null, address: null }
}
