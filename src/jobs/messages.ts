import type { Hold } from '#control/jobs.ts'
import type { JobProgress } from '#model/job.ts'

/** What a supervisor says to the process of a job. Secrets never go this way. */
export type ToJobProcess =
  | { readonly type: 'run'; readonly hold: Hold; readonly leaseMs: number }
  /** Somebody wants the job to stop: look. */
  | { readonly type: 'look' }
  /** The process is to end; the job goes on in another. */
  | { readonly type: 'shutdown' }

/** What the process of a job says to its supervisor. What must not be lost goes into the store instead. */
export type FromJobProcess =
  /** It keeps the lease by itself from now on. */
  | { readonly type: 'took' }
  /** Memory that it has resident, where its supervisor cannot see it. */
  | { readonly type: 'memory'; readonly bytes: number }
  | { readonly type: 'progress'; readonly progress: JobProgress }
