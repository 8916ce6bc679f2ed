import type { ApiTools } from '#api/tools.ts'
import { getJob, readJobEvents, type JobEventRecord } from '#control/jobs.ts'
import { AppError } from '#model/errors.ts'
import { isActive, type JobProgress } from '#model/job.ts'

/** What whoever follows a job gets: events in order; where it is by now; nothing for a while; or the end, and why. */
export type Step =
  | { readonly kind: 'events'; readonly events: readonly JobEventRecord[] }
  | { readonly kind: 'progress'; readonly progress: JobProgress }
  | { readonly kind: 'idle' }
  | { readonly kind: 'end'; readonly reason: 'ended' | 'gone' | 'refused' }

/** Events that are read at once: it bounds what a slow reader makes us hold. */
const AT_ONCE = 200

/**
 * Follows a job from after event `after` until it ends or `allowed` says no, each event once and in order. The store is
 * the only source: announcements wake the reader, and it looks by itself every `pollMs` besides, so that events that
 * another process wrote are found too. Progress is no event: it is told as it is, when it is another one than before.
 */
export async function* followJob(
  { store, live, config }: ApiTools,
  { jobId, after, signal }: { jobId: string; after: number; signal: AbortSignal },
  allowed: () => Promise<boolean>,
): AsyncGenerator<Step, void> {
  using bell = new Bell((heard) => live.subscribe(jobId, heard))
  let last = after
  let told = ''
  while (!signal.aborted) {
    bell.clear()
    if (!(await allowed())) return yield { kind: 'end', reason: 'refused' }
    // Read before the events: an end that is seen here has all its events in the store already.
    const { state, progress } = await stateOf(store, jobId)
    const events = await readJobEvents(store, jobId, { after: last, limit: AT_ONCE })
    const newest = events.at(-1)
    if (newest !== undefined) {
      last = newest.seq
      yield { kind: 'events', events }
      continue
    }
    const text = JSON.stringify(progress)
    if (progress !== null && text !== told) {
      told = text
      yield { kind: 'progress', progress }
    }
    if (state !== 'active') return yield { kind: 'end', reason: state }
    yield { kind: 'idle' }
    await bell.wait(config.limits.pollMs, signal)
  }
}

interface State {
  readonly state: 'active' | 'ended' | 'gone'
  readonly progress: JobProgress | null
}

async function stateOf(store: ApiTools['store'], jobId: string): Promise<State> {
  try {
    const { status, progress } = await getJob(store, jobId)
    return { state: isActive(status) ? 'active' : 'ended', progress }
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return { state: 'gone', progress: null }
    throw error
  }
}

/** Rings once, however often it was pulled since it was cleared. */
class Bell implements Disposable {
  readonly #stop: () => void
  #rung = false
  #wake: (() => void) | null = null

  constructor(subscribe: (heard: () => void) => () => void) {
    this.#stop = subscribe(() => {
      this.#rung = true
      this.#wake?.()
    })
  }

  clear(): void {
    this.#rung = false
  }

  /** Until it rings, for at most `ms`, or until the signal. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#rung || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = null
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done, { once: true })
      this.#wake = done
    })
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}
