import { fork, type ChildProcess } from 'node:child_process'
import type { Hold, Job } from '#control/jobs.ts'
import { claimNextJob, readHolds, releaseExpired, releaseJob, renewLease } from '#control/leases.ts'
import type { Store } from '#control/store.ts'
import type { AppError } from '#model/errors.ts'
import type { JobProgress } from '#model/job.ts'
import { Turns } from './turns.ts'
import { shareOf } from './connections.ts'
import { MEMORY_MS, memoryExceeded, residentBytes } from './memory.ts'
import type { FromJobProcess, ToJobProcess } from './messages.ts'

/** How the process of a job is started: this very program, with the arguments that make it one. */
export interface JobProgram {
  readonly path: string
  readonly args: readonly string[]
  /** Options of Node.js. */
  readonly nodeOptions: readonly string[]
}

/** What happens to the processes of jobs, for a log. */
export type SupervisorEvent =
  | { readonly type: 'started'; readonly jobId: string; readonly pid: number; readonly epoch: number }
  | { readonly type: 'ended'; readonly jobId: string; readonly pid: number; readonly how: string }
  | { readonly type: 'killed'; readonly jobId: string; readonly pid: number; readonly reason: string }
  | { readonly type: 'released'; readonly jobId: string; readonly owner: string }
  | { readonly type: 'store failed'; readonly reason: string }

export interface SupervisorOptions {
  readonly store: Store
  /** Names this supervisor among all that share the store; never used twice. */
  readonly owner: string
  readonly maxJobs: number
  readonly leaseMs: number
  /** What the process of a job may have resident. */
  readonly memoryBytes: number
  readonly pollMs?: number
  readonly program: JobProgram
  readonly onEvent?: (event: SupervisorEvent) => void
  /** Several times a second, for those who look on; what is durable is in the store. */
  readonly onProgress?: (jobId: string, progress: JobProgress) => void
}

const POLL_MS = 500

/** What processes that were told to end may take, before they are killed. */
const SHUTDOWN_MS = 10_000
/** A process whose job is not held any more ends by itself, unless it is paused. */
const GRACE_MS = 3_000

/** How long a process may take to start; until it has, its supervisor keeps the lease. */
const START_MS = 60_000

/** Characters of what a process said last. */
const LAST_WORDS = 500

interface Child {
  readonly hold: Hold
  readonly process: ChildProcess
  readonly ended: Promise<void>
  /** When its job was first seen not to be held any more. */
  lostMs: number | null
  words: string
  /** What it last told of its memory, where the kernel does not. */
  toldBytes: number
  /** Why it was ended, where that was its memory. */
  excess: AppError | null
}

/**
 * Takes jobs out of the store and runs each in a process of its own. Whatever dies is released at once and goes on in
 * another process; what falls silent loses its lease and is killed. A store that does not answer is asked again: the
 * supervisor itself ends by its signal alone.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #children = new Set<Child>()
  readonly #turns: Turns

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#turns = new Turns({
      pollMs: options.pollMs ?? POLL_MS,
      onStoreFailed: (reason) => this.#tell({ type: 'store failed', reason }),
    })
  }

  /** Ids of the jobs that run here. */
  get running(): readonly string[] {
    return [...this.#children].map(({ hold }) => hold.jobId)
  }

  /** Looks for work at once, and not at the next poll: a job has been put into the store by this process. */
  wake(): void {
    this.#turns.wake()
  }

  /** Runs until the signal is aborted and all processes have ended. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const watch = setInterval(() => this.#watchMemory(), MEMORY_MS)
    await this.#turns.run(() => this.#turn(signal), signal)
    await this.#shutDown()
    clearInterval(watch)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { store } = this.#options
    for (const { jobId, owner } of await releaseExpired(store)) this.#tell({ type: 'released', jobId, owner })
    await this.#lookAfter()
    while (this.#children.size < this.#options.maxJobs && !signal.aborted) {
      const { owner, leaseMs } = this.#options
      const job = await claimNextJob(store, { owner, leaseMs, share: shareOf })
      if (job === null) return
      this.#start(job)
    }
  }

  /** Passes on what somebody wants of a job, and ends what works on a job that it has lost. */
  async #lookAfter(): Promise<void> {
    if (this.#children.size === 0) return
    const held = await readHolds(this.#options.store, this.#options.owner)
    for (const child of this.#children) {
      const { jobId, epoch } = child.hold
      const job = held.get(jobId)
      if (job?.epoch === epoch) {
        if (job.intent !== null) send(child, { type: 'look' })
        continue
      }
      child.lostMs ??= performance.now()
      if (performance.now() - child.lostMs < GRACE_MS) continue
      this.#kill(child, 'It does not hold the job any more.')
    }
  }

  #start(job: Job): void {
    const { program, owner, leaseMs } = this.#options
    const hold: Hold = { jobId: job.id, owner, epoch: job.epoch }
    const process = fork(program.path, [...program.args], {
      execArgv: [...program.nodeOptions],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const child: Child = { hold, process, ended, lostMs: null, words: '', toldBytes: 0, excess: null }
    // What held the job before, and has not ended, is paused.
    for (const other of this.#children) {
      if (other.hold.jobId === job.id) this.#kill(other, 'Its lease ran out.')
    }
    this.#children.add(child)
    const forget = this.#keepWhileStarting(hold)
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      child.words = (child.words + text).slice(-LAST_WORDS)
    })
    process.on('message', (message: FromJobProcess) => {
      if (message.type === 'took') forget()
      else if (message.type === 'memory') child.toldBytes = message.bytes
      else this.#options.onProgress?.(job.id, message.progress)
    })
    // Told by `close` as well.
    process.on('error', (error) => (child.words += error.message))
    process.on('close', (code, signal) => {
      forget()
      void this.#onEnd(child, signal ?? `exit code ${code}`).finally(resolve)
    })
    this.#tell({ type: 'started', jobId: job.id, pid: process.pid ?? 0, epoch: job.epoch })
    send(child, { type: 'run', hold, leaseMs })
  }

  /** Returns how to stop. */
  #keepWhileStarting(hold: Hold): () => void {
    const { store, leaseMs } = this.#options
    const since = performance.now()
    const timer = setInterval(() => {
      if (performance.now() - since > START_MS) clearInterval(timer)
      // Where that fails, the lease runs out.
      else renewLease(store, hold, leaseMs).catch(() => undefined)
    }, leaseMs / 3)
    return () => clearInterval(timer)
  }

  /** Ends what has more memory than it may: the machine is shared, and a job can go on from what it has committed. */
  #watchMemory(): void {
    const { memoryBytes } = this.#options
    for (const child of this.#children) {
      const bytes = residentBytes(child.process.pid ?? 0) ?? child.toldBytes
      if (bytes <= memoryBytes || child.excess !== null) continue
      child.excess = memoryExceeded(bytes, memoryBytes)
      this.#kill(child, child.excess.message)
    }
  }

  #kill({ hold: { jobId }, process }: Child, reason: string): void {
    this.#tell({ type: 'killed', jobId, pid: process.pid ?? 0, reason })
    process.kill('SIGKILL')
  }

  /** A process that ended without letting go of its job is what died: the job goes on at once. */
  async #onEnd(child: Child, how: string): Promise<void> {
    const { jobId } = child.hold
    this.#tell({ type: 'ended', jobId, pid: child.process.pid ?? 0, how })
    const death = [`It ended by ${how}.`, child.words.trim()].join(' ').trim()
    // Where the store does not answer, the lease runs out.
    const because = child.excess === null ? {} : { excess: child.excess }
    await this.#turns.guarded(() => releaseJob(this.#options.store, child.hold, { death, ...because }))
    this.#children.delete(child)
    this.#turns.wake()
  }

  async #shutDown(): Promise<void> {
    const children = [...this.#children]
    for (const child of children) send(child, { type: 'shutdown' })
    const late = setTimeout(() => {
      for (const child of this.#children) this.#kill(child, 'It did not end in time.')
    }, SHUTDOWN_MS)
    await Promise.all(children.map(({ ended }) => ended))
    clearTimeout(late)
  }

  #tell(event: SupervisorEvent): void {
    this.#options.onEvent?.(event)
  }
}

/** A process that is ending does not hear any more. */
function send({ process }: Child, message: ToJobProcess): void {
  if (process.connected) process.send(message, () => undefined)
}
