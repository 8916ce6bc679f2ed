import type { AppError, ErrorCode, Retry } from './errors.ts'
import type { TableRef } from './table.ts'

export const JOB_STATUSES = [
  'queued',
  'running',
  'awaiting_resolution',
  'awaiting_approval',
  'stopping',
  'stopped',
  'succeeded',
  'failed',
  'cancelled',
] as const

export type JobStatus = (typeof JOB_STATUSES)[number]

/** What each status says, for people. */
export const STATUS_MEANING: Readonly<Record<JobStatus, string>> = {
  queued: 'it waits for a process, for connections or for its next try',
  running: 'a process is at work on it',
  awaiting_resolution: 'it waits until somebody has decided about rows that moved, or that both sides changed',
  awaiting_approval: 'it waits until somebody approves its changes',
  stopping: 'somebody wants it to stop; the batch in hand is being finished',
  stopped: 'it was stopped, and can go on from what is committed',
  succeeded: 'it has come to its end, and its receipt proves it',
  failed: 'it has ended with an error, and can go on once that is mended',
  cancelled: 'it was ended for good; what was committed stays',
}

/**
 * What can happen to a job. `claim`: a process takes it. `release`: that process is gone, and the job is to go on.
 * `stop`, `cancel`: somebody asks for it; `stopped`, `cancelled`: it has come to pass. `resume`: somebody lets it go on.
 * `decide`: what it waited for has been decided.
 */
export const JOB_EVENTS = [
  'claim',
  'release',
  'stop',
  'stopped',
  'cancel',
  'cancelled',
  'resume',
  'await_resolution',
  'await_approval',
  'decide',
  'succeed',
  'fail',
] as const

export type JobEvent = (typeof JOB_EVENTS)[number]

const NONE = {
  claim: null,
  release: null,
  stop: null,
  stopped: null,
  cancel: null,
  cancelled: null,
  resume: null,
  await_resolution: null,
  await_approval: null,
  decide: null,
  succeed: null,
  fail: null,
} as const satisfies Record<JobEvent, null>

const AWAITING = { ...NONE, stop: 'stopped', cancel: 'cancelled', decide: 'queued', fail: 'failed' } as const

/** The whole life of a job: the status that follows, or null where the event cannot happen. */
export const TRANSITIONS: Readonly<Record<JobStatus, Readonly<Record<JobEvent, JobStatus | null>>>> = {
  queued: { ...NONE, claim: 'running', stop: 'stopped', cancel: 'cancelled', fail: 'failed' },
  running: {
    ...NONE,
    release: 'queued',
    stop: 'stopping',
    cancel: 'stopping',
    await_resolution: 'awaiting_resolution',
    await_approval: 'awaiting_approval',
    succeed: 'succeeded',
    fail: 'failed',
  },
  awaiting_resolution: AWAITING,
  awaiting_approval: AWAITING,
  // A job may have ended before it heard that it should stop.
  stopping: {
    ...NONE,
    stop: 'stopping',
    cancel: 'stopping',
    stopped: 'stopped',
    cancelled: 'cancelled',
    succeed: 'succeeded',
    fail: 'failed',
  },
  stopped: { ...NONE, resume: 'queued', cancel: 'cancelled' },
  failed: { ...NONE, resume: 'queued', cancel: 'cancelled' },
  succeeded: NONE,
  cancelled: NONE,
}

/** The status that follows, or null where the event cannot happen to a job in this status. */
export function transition(status: JobStatus, event: JobEvent): JobStatus | null {
  return TRANSITIONS[status][event]
}

/** Statuses in which no second job of the same lane may be under way. */
export const ACTIVE_STATUSES = [
  'queued',
  'running',
  'awaiting_resolution',
  'awaiting_approval',
  'stopping',
] as const satisfies readonly JobStatus[]

export function isActive(status: JobStatus): boolean {
  return ACTIVE_STATUSES.some((active) => active === status)
}

export const JOB_KINDS = ['sync', 'verify', 'validate', 'revert', 'export', 'import', 'copy', 'drill'] as const

export type JobKind = (typeof JOB_KINDS)[number]

/** What ended a job, fit to be kept and shown: no stack, no values. */
export interface JobError {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  readonly retry: Retry
}

export function toJobError({ code, message, hint, retry }: AppError): JobError {
  return { code, message, hint, retry }
}

/** Where one table of a job is. Rows and bytes are of the current phase. */
export interface TableProgress {
  readonly table: TableRef
  readonly phase: string
  readonly state: 'waiting' | 'running' | 'done'
  readonly rows: number
  readonly bytes: number
  /** Rows that the phase expects, null where nobody knows. */
  readonly total: number | null
  /** The total is the server's statistics, or rests on them. */
  readonly estimated: boolean
}

/** Where a job is, as somebody sees it who looks on. */
export interface JobProgress {
  readonly phase: string
  readonly tables: readonly TableProgress[]
  readonly rows: number
  readonly bytes: number
  /** 0 to 100, null where nobody knows the whole. */
  readonly percent: number | null
  /** The whole, and with it percent and time left, rests on statistics. */
  readonly estimated: boolean
  /** Over the last seconds. */
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
  /** Seconds, from the fastest and the slowest of the recent rates; null while nobody can tell. */
  readonly secondsLeft: { readonly low: number; readonly high: number } | null
}
