import { applyJobEvent, getJob, type Hold, type Job, type JobPatch } from '#control/jobs.ts'
import { recordJob, releaseJob } from '#control/leases.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import type { Store } from '#control/store.ts'
import { toError } from '#lib/assert.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import { backoffMs } from '#lib/backoff.ts'
import { addMs, delay, type Clock } from '#lib/clock.ts'
import type { Counts } from '#model/counts.ts'
import { SYSTEM } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { toJobError, type JobEvent, type JobProgress } from '#model/job.ts'
import type { Staging } from '#sync/staging.ts'
import { JobJournal } from './job-journal.ts'
import { doWork, readCommitted, type JobOutcome } from './job-work.ts'
import { Lease } from './lease.ts'
import type { DumpTools } from './dumps.ts'
import type { OpenDatasource } from './opener.ts'
import type { Work } from './progress.ts'
import { goOnWithDecisions } from './review-job.ts'
import { RESTORING } from './start-job.ts'

/** A failed job is tried again so often in a row without getting on; then it fails. */
const ATTEMPTS = 3
const BACKOFF = { firstMs: 2_000, ceilingMs: 60_000 }

/** How long work that was asked to stop may take for what it has in hand. */
const PATIENCE_MS = 5_000

/** How often the store is asked again that does not take how a job ended. */
const STORE_AGAIN_MS = 500

/** What a process needs to run jobs. */
export interface JobTools {
  readonly store: Store
  readonly openDatasource: OpenDatasource
  readonly openStaging: () => Staging
  readonly clock: Clock
  /** See `RunTools`. */
  readonly maskKey: Uint8Array | null
  /** Seals what is kept of rows that are set aside. */
  readonly box: SecretBox
  readonly changeSets: ChangeSetTools
  readonly dumps: DumpTools
}

/** How a process runs one job. */
export interface JobRun {
  readonly hold: Hold
  readonly leaseMs: number
  /** Aborted when the process is to end: the job goes on in another. */
  readonly shutdown: AbortSignal
  readonly onProgress: (progress: JobProgress) => void
  /** Called with what makes the job look at once whether somebody wants it to stop. */
  readonly onStart?: (look: () => void) => void
}

/**
 * Runs a job that was claimed to its end, or to where it was stopped, and records which of them it was. A process that
 * has lost the lease ends without a further write to target or store.
 */
export async function runJob(run: JobRun, tools: JobTools): Promise<void> {
  const { store, clock } = tools
  const { hold } = run
  const job = await getJob(store, hold.jobId)
  using stop = new Stop(run.shutdown)
  using lease = new Lease({ store, hold, leaseMs: run.leaseMs, onIntent: (intent) => stop.ask(intent) })
  lease.lost.addEventListener('abort', () => stop.now(toError(lease.lost.reason)))
  using journal = new JobJournal({ store, hold, work: workOf(job), clock, onProgress: run.onProgress })
  run.onStart?.(() => void lease.beat())
  // Whoever asked before the lease was taken is heard now.
  await lease.beat()
  if (hold.epoch > 1) await keepWhatWasLeft(job, hold, tools)
  const identity = { id: job.id, lease: hold.epoch, confirm: () => lease.confirm() }
  let ended: JobOutcome | Error
  try {
    stop.soft.throwIfAborted()
    ended = await doWork(job, {
      ...tools,
      journal,
      keepJournal: () => journal.flush(),
      identity,
      stop: stop.soft,
      end: stop.hard,
    })
    journal.end()
  } catch (error) {
    ended = toError(error)
  }
  const known = ended instanceof Error && !lease.lost.aborted ? await readCommitted(job, tools) : null
  await keep(lease.lost, async () => {
    await journal.flush()
    await recordEnd(store, job, { hold, ended, known, asked: stop.asked, gotOn: journal.gotOn })
  })
  const rests = !(ended instanceof Error) && ended.rests === 'resolution'
  // What was decided before it rested found nobody to wake. Where the store does not answer, the service looks later.
  if (rests) await goOnWithDecisions(tools.changeSets, SYSTEM, ({ id }) => id === job.id).catch(() => [])
}

/** What a job does to its tables, as its progress is told. */
function workOf({ kind, request }: Job): Work {
  if (kind === 'export') return 'export'
  if (RESTORING.includes(kind)) return 'import'
  if (kind !== 'sync' && kind !== 'revert') return 'verify'
  return request.dryRun ? 'preview' : 'sync'
}

/** The process before this one may have died without a word: what it committed is known from now on. */
async function keepWhatWasLeft(job: Job, hold: Hold, tools: JobTools): Promise<void> {
  const counts = await readCommitted(job, tools)
  if (counts === null) return
  // Where the store does not take it now, the end of this process will tell.
  await recordJob(tools.store, hold, { events: [], progress: null, counts }).catch(() => undefined)
}

/** Two signals: one asks the work to stop in order, the other ends its connections. */
class Stop implements Disposable {
  readonly #soft = new AbortController()
  readonly #hard = new AbortController()
  readonly #shutdown: AbortSignal
  #patience: NodeJS.Timeout | undefined
  #asked: 'stop' | 'cancel' | 'shutdown' | null = null

  constructor(shutdown: AbortSignal) {
    this.#shutdown = shutdown
    shutdown.addEventListener('abort', this.#onShutdown)
    if (shutdown.aborted) this.#onShutdown()
  }

  get soft(): AbortSignal {
    return this.#soft.signal
  }

  get hard(): AbortSignal {
    return this.#hard.signal
  }

  /** What somebody asked for; a person's wish goes before the end of the process. */
  get asked(): 'stop' | 'cancel' | 'shutdown' | null {
    return this.#asked
  }

  ask(what: 'stop' | 'cancel' | 'shutdown'): void {
    if (what !== 'shutdown' || this.#asked === null) this.#asked = what
    if (this.soft.aborted) return
    const reason = new AppError('interrupted', `The job was asked to stop (${what}).`)
    this.#soft.abort(reason)
    this.#patience = setTimeout(() => this.#hard.abort(reason), PATIENCE_MS)
  }

  now(reason: Error): void {
    this.#soft.abort(reason)
    this.#hard.abort(reason)
  }

  readonly #onShutdown = (): void => this.ask('shutdown');

  [Symbol.dispose](): void {
    clearTimeout(this.#patience)
    this.#shutdown.removeEventListener('abort', this.#onShutdown)
  }
}

/** Does what must not be lost for a store that is away for a moment, for as long as the lease lasts. */
async function keep(lost: AbortSignal, body: () => Promise<void>): Promise<void> {
  while (!lost.aborted) {
    try {
      return await body()
    } catch (error) {
      if (error instanceof AppError && error.code === 'lease_lost') return
      if (error instanceof AppError) throw error
      await delay(STORE_AGAIN_MS, lost).catch(() => undefined)
    }
  }
}

interface End {
  readonly hold: Hold
  readonly ended: JobOutcome | Error
  /** What is known to be committed where it did not come to its end. */
  readonly known: Counts | null
  readonly asked: 'stop' | 'cancel' | 'shutdown' | null
  readonly gotOn: boolean
}

async function recordEnd(store: Store, job: Job, { hold, ended, known, asked, gotOn }: End): Promise<void> {
  // What was known before stays, where nothing is known now.
  const counts = known === null ? {} : { counts: known }
  const happen = (event: JobEvent, patch: JobPatch = {}): Promise<Job> =>
    applyJobEvent(store, { id: job.id, event, hold }, patch)
  if (!(ended instanceof Error)) {
    const { result, stopped, rests } = ended
    const of = { counts: ended.counts, result }
    if (rests === 'approval') await happen('await_approval', { ...of, error: null })
    else if (rests === 'resolution') await happen('await_resolution', { ...of, error: null })
    else if (stopped === null) await happen('succeed', { ...of, error: null })
    else await happen('fail', { ...of, error: toJobError(stopped) })
  } else if (asked !== null) {
    await releaseJob(store, hold, { death: null, ...counts })
  } else {
    const error = ended instanceof AppError ? ended : new AppError('internal', ended.message, { cause: ended })
    const attempt = gotOn ? 1 : job.attempt
    if (!isWorthwhile(error) || attempt >= ATTEMPTS) await happen('fail', { ...counts, error: toJobError(error) })
    else {
      const notBefore = addMs(await store.now(store.db), backoffMs(BACKOFF, attempt, Math.random()))
      await releaseJob(store, hold, { death: null, notBefore, because: error, ...counts })
    }
  }
}

/** Another run that took the mappings over has had its turn; rows that never prove equal do not by being tried again. */
function isWorthwhile({ code, retry }: AppError): boolean {
  return code === 'stale_epoch' || (retry === 'later' && code !== 'verification_failed')
}
