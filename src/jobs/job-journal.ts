import type { Clock } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import type { Hold, JobEventRecord } from '#control/jobs.ts'
import { recordJob } from '#control/leases.ts'
import type { Store } from '#control/store.ts'
import type { JobProgress } from '#model/job.ts'
import { tableName } from '#model/table.ts'
import type { Journal, RunEvent } from '#sync/journal.ts'
import { ProgressBook, type Work } from './progress.ts'

const DURABLE_MS = 1_000
const LIVE_MS = 250

/** Events that wait while the store does not answer; more are dropped. */
const MOST_WAITING = 5_000

type NewEvent = Omit<JobEventRecord, 'seq' | 'at'>

export interface JobJournalOptions {
  readonly store: Store
  readonly hold: Hold
  readonly work: Work
  readonly clock: Clock
  /** Called more often than progress is kept, for those who look on. */
  readonly onProgress: (progress: JobProgress) => void
}

/** Takes what a run tells, keeps it in the store once a second, and shows it to the parent process more often. */
export class JobJournal implements Journal, Disposable {
  readonly #options: JobJournalOptions
  readonly #book: ProgressBook
  readonly #timers: readonly NodeJS.Timeout[]
  #waiting: NewEvent[] = []
  #writing: Promise<void> = Promise.resolve()
  #changed = { live: false, durable: false }
  #gotOn: 'no' | 'yes' | 'kept' = 'no'

  constructor(options: JobJournalOptions) {
    this.#options = options
    this.#book = new ProgressBook(options.work, options.clock)
    this.#timers = [
      setInterval(() => void this.flush().catch(() => undefined), DURABLE_MS),
      setInterval(() => this.#show(), LIVE_MS),
    ]
  }

  /** Something was written in the target since the job was taken. */
  get gotOn(): boolean {
    return this.#gotOn !== 'no'
  }

  record(event: RunEvent): void {
    this.#book.record(event)
    this.#changed = { live: true, durable: true }
    if (isProgress(event) && this.#gotOn === 'no') this.#gotOn = 'yes'
    for (const told of toEvents(event)) this.#tell(told)
  }

  log(level: 'info' | 'warn' | 'error', text: string): void {
    this.#tell({ type: 'log', data: { level, text } })
    this.#changed.durable = true
  }

  end(): void {
    this.#book.end()
    this.#changed = { live: true, durable: true }
  }

  #tell(event: NewEvent): void {
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(event)
  }

  #show(): void {
    if (!this.#changed.live) return
    this.#changed.live = false
    this.#options.onProgress(this.#book.snapshot())
  }

  /** Keeps what is not kept yet. @throws AppError `lease_lost`, or what the store fails with */
  flush(): Promise<void> {
    const write = this.#writing.then(() => this.#write())
    this.#writing = write.catch(() => undefined)
    return write
  }

  async #write(): Promise<void> {
    if (!this.#changed.durable) return
    const events = this.#waiting
    const gotOn = this.#gotOn === 'yes'
    this.#waiting = []
    this.#changed.durable = false
    const { store, hold } = this.#options
    try {
      await recordJob(store, hold, { events, progress: this.#book.snapshot(), gotOn })
      if (gotOn) this.#gotOn = 'kept'
    } catch (error) {
      this.#changed.durable = !(error instanceof AppError)
      this.#waiting = [...events, ...this.#waiting]
      throw error
    }
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer)
  }
}

/** Rows that reached the target: what a process that dies now does not have to do again. */
function isProgress(event: RunEvent): boolean {
  if (event.type !== 'progress') return false
  return event.phase === 'load' || event.phase === 'delete' || event.phase === 'write' || event.phase === 'index'
}

function toEvents(event: RunEvent): readonly NewEvent[] {
  switch (event.type) {
    case 'planned':
      return [
        { type: 'log', data: { level: 'info', text: `Tables: ${event.tables.length}.` } },
        ...event.notes.map((text): NewEvent => ({ type: 'log', data: { level: 'info', text } })),
      ]
    case 'stage':
      return [{ type: 'phase', data: { phase: event.stage, state: 'started' } }]
    case 'phase': {
      const { phase, total, estimated } = event
      return [{ type: 'phase', data: { table: tableName(event.table), phase, state: 'started', total, estimated } }]
    }
    case 'phase done':
      return [{ type: 'phase', data: { table: tableName(event.table), phase: event.phase, state: 'done' } }]
    case 'note':
      return [{ type: 'log', data: { level: 'info', text: event.text } }]
    case 'retry': {
      const { attempt, afterMs, reason } = event
      return [{ type: 'log', data: { level: 'warn', text: `Trying again: ${reason}`, attempt, after_ms: afterMs } }]
    }
    case 'step':
    case 'progress':
      return []
  }
}
