/**
 * The parts of the service that run jobs, as they are installed: a control store of either kind, two datasources, a sync
 * config, and workers as processes of their own.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import type { ChangeSetTools } from '#control/change-set-tools.ts'
import { createDatasource } from '#control/datasources.ts'
import { getJob, readJobEvents, type Hold, type Job } from '#control/jobs.ts'
import { claimNextJob, releaseJob } from '#control/leases.ts'
import { Store } from '#control/store.ts'
import { createConfig } from '#control/sync-configs.ts'
import type { ToJobProcess } from '#jobs/messages.ts'
import { approveJob } from '#jobs/review-job.ts'
import { startJob, type JobWish } from '#jobs/start-job.ts'
import { must } from '#lib/assert.ts'
import { systemClock, wallMs } from '#lib/clock.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { Secret } from '#lib/secret.ts'
import { SYSTEM } from '#model/access.ts'
import type { ConfigPolicies } from '#model/config-document.ts'
import { makeId, type IdKind } from '#model/id.ts'
import type { JobStatus } from '#model/job.ts'
import { toConfig } from '#service/config.ts'
import { changeSetTools } from '#service/staging.ts'

import type { TestServer } from './postgres.ts'
import { startProgram, type Program } from './process.ts'
import { createStorePlace, type StoreKind } from './store.ts'

/** How often a job is looked at that is waited for. */
const POLL_MS = 50

/** Longer than any test runs. */
const LEASE_MS = 600_000

const PROGRAM = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

const SECRET_KEY = randomBytes(32).toString('hex')

const RULES = { protectedEnvironments: ['production', 'staging'] } as const

/** A mirror in small batches, so that there are many places to be killed in. */
export const MIRROR_POLICIES = {
  delete_policy: 'delete',
  delete_scope: 'mirror',
  max_delete_percent: 100,
  max_overwrite_percent: 100,
  batch_size: 50,
} as const satisfies ConfigPolicies

export interface ServiceOptions {
  readonly leaseSeconds?: number
  readonly maxJobs?: number
  /** Further settings. */
  readonly env?: Readonly<Record<string, string>>
}

function newId(kind: IdKind): string {
  return makeId(kind, wallMs(), randomBytes(10))
}

/** A service without its API: `await using service = await TestService.create('sqlite')`. */
export class TestService implements AsyncDisposable {
  readonly store: Store
  /** The data directory. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly #stack: AsyncDisposableStack
  #changeSets: (ChangeSetTools & AsyncDisposable) | null = null
  readonly #box = new SecretBox([Buffer.from(SECRET_KEY)])

  private constructor(
    store: Store,
    { folder, env }: { folder: string; env: Readonly<Record<string, string>> },
    stack: AsyncDisposableStack,
  ) {
    this.store = store
    this.folder = folder
    this.env = env
    this.#stack = stack
  }

  static async create(
    kind: StoreKind | TestServer,
    { leaseSeconds = 5, maxJobs = 4, env: more = {} }: ServiceOptions = {},
  ): Promise<TestService> {
    await using stack = new AsyncDisposableStack()
    const { location } = stack.use(await createStorePlace(kind))
    const store = stack.use(await Store.open(location, { clock: systemClock, migrate: true }))
    const own = stack.use(mkdtempDisposableSync(join(tmpdir(), 'syncline-service-')))
    const folder = 'url' in location ? own.path : dirname(location.file)
    const env = {
      SECRET_KEY,
      SYNCLINE_DATA_DIR: folder,
      SYNCLINE_LEASE_SECONDS: String(leaseSeconds),
      MAX_JOBS: String(maxJobs),
      ...('url' in location ? { SYNCLINE_DATABASE_URL: location.url } : {}),
      ...more,
    }
    return new TestService(store, { folder, env }, stack.move())
  }

  /** Registers a database by its URL. Returns the id of the datasource. */
  async addDatasource(url: string, { poolSize = 20 }: { poolSize?: number } = {}): Promise<string> {
    const { hostname, port, pathname, username, password, searchParams } = new URL(url)
    const id = newId('datasource')
    await createDatasource(
      { store: this.store, box: this.#box },
      {
        name: id,
        kind: 'postgres',
        connection: {
          host: searchParams.get('host') ?? hostname,
          port: Number(port || 5432),
          database: decodeURIComponent(pathname.slice(1)),
          user: decodeURIComponent(username),
          ssl: null,
          ca: null,
          projectUrl: null,
        },
        password: password === '' ? null : new Secret(decodeURIComponent(password)),
        schemas: null,
        poolSize,
        connectTimeoutMs: 10_000,
        environment: null,
        writable: true,
      },
      { id, actor: SYSTEM, origin: 'stored' },
    )
    return id
  }

  /** Makes a sync config between two databases. Returns its id. */
  async addConfig(
    ends: { source: string; target: string; poolSize?: number },
    policies: ConfigPolicies = MIRROR_POLICIES,
  ): Promise<string> {
    const { poolSize = 20 } = ends
    return this.connect(
      {
        source: await this.addDatasource(ends.source, { poolSize }),
        target: await this.addDatasource(ends.target, { poolSize }),
      },
      policies,
    )
  }

  /** Makes a sync config between two datasources. Returns its id. */
  async connect(ends: { source: string; target: string }, policies: ConfigPolicies = MIRROR_POLICIES): Promise<string> {
    const id = newId('sync config')
    const document = {
      name: id,
      source_datasource_id: ends.source,
      target_datasource_id: ends.target,
      ...policies,
    }
    await createConfig(this.store, document, { id, actor: SYSTEM })
    return id
  }

  start(config: string, wish: Partial<Omit<JobWish, 'what'>> = {}): Promise<Job> {
    const tools = { store: this.store, rules: RULES, newJobId: () => newId('job') }
    const wanted: JobWish = {
      kind: 'sync',
      what: { config },
      dryRun: false,
      tables: null,
      mode: 'incremental',
      allowProtectedWrite: false,
      approvedDeletes: null,
      approvedOverwrites: null,
      ...wish,
    }
    return startJob(tools, wanted, SYSTEM)
  }

  /** A worker as somebody starts it, which ends with its holder. */
  startWorker(env: Readonly<Record<string, string>> = {}): Program {
    return startProgram(['worker'], { env: { ...this.env, ...env } })
  }

  /**
   * Does what a supervisor does for the next job, once: forks its process, and lets go of the job where that dies. Returns
   * the job as it is then, and the signal that ended the process; null where it ended by itself.
   */
  async work(env: Readonly<Record<string, string>> = {}): Promise<{ job: Job; signal: NodeJS.Signals | null }> {
    const { child, hold, ended } = await this.fork(env)
    await ended
    if (child.signalCode !== null) await releaseJob(this.store, hold, { death: `It ended by ${child.signalCode}.` })
    return { job: await getJob(this.store, hold.jobId), signal: child.signalCode }
  }

  /** Claims the next job and forks its process, as a supervisor does. */
  async fork(
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ child: ChildProcess; hold: Hold; ended: Promise<unknown> }> {
    const owner = 'the test'
    const claimed = must(await claimNextJob(this.store, { owner, leaseMs: LEASE_MS }), 'a queued job')
    const hold = { jobId: claimed.id, owner, epoch: claimed.epoch }
    const child = fork(PROGRAM, ['job-process'], {
      execArgv: ['--max-semi-space-size=2', '--max-old-space-size=400'],
      env: { ...process.env, ...this.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.send({ type: 'run', hold, leaseMs: LEASE_MS } satisfies ToJobProcess)
    return { child, hold, ended: once(child, 'close') }
  }

  /** Waits until a job has one of these statuses. @throws with its log, where that takes too long */
  async until(id: string, statuses: readonly JobStatus[], timeoutMs = 120_000): Promise<Job> {
    for (const deadline = performance.now() + timeoutMs; performance.now() < deadline;) {
      const job = await getJob(this.store, id)
      if (statuses.includes(job.status)) return job
      await pause(POLL_MS)
    }
    throw new Error(`The job ${id} did not become ${statuses.join(' or ')}:\n${await this.log(id)}`)
  }

  /** Waits until a job has succeeded. @throws with its log, where it ends otherwise */
  async succeeded(id: string, timeoutMs?: number): Promise<Job> {
    const job = await this.until(id, ['succeeded', 'failed', 'stopped', 'cancelled'], timeoutMs)
    if (job.status === 'succeeded') return job
    throw new Error(`The job ${id} is ${job.status}: ${JSON.stringify(job.error)}\n${await this.log(id)}`)
  }

  /** Approves the changes of a job that waits for that. */
  approve(id: string): Promise<Job> {
    const consent = { digest: null, deletes: null, overwrites: null, allowProtectedWrite: false }
    return approveJob(this.changeSets, id, { actor: SYSTEM, ...consent })
  }

  /** How the service keeps change sets. */
  get changeSets(): ChangeSetTools {
    this.#changeSets ??= this.#stack.use(
      changeSetTools({ store: this.store, box: this.#box, config: toConfig(this.env) }),
    )
    return this.#changeSets
  }

  job(id: string): Promise<Job> {
    return getJob(this.store, id)
  }

  async log(id: string): Promise<string> {
    const events = await readJobEvents(this.store, id, { after: 0, limit: 10_000 })
    return events
      .filter(({ type }) => type !== 'phase')
      .map(({ at, type, data }) => `${at} ${type} ${JSON.stringify(data)}`)
      .join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

const execute = promisify(execFile)

/** The processes of jobs that a worker has forked and that are there still. */
export async function jobProcesses({ pid }: Program): Promise<readonly number[]> {
  const { stdout } = await execute('ps', ['-o', 'pid=,state=', '--ppid', String(pid)]).catch(() => ({ stdout: '' }))
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([child, state]) => child && state && !state.startsWith('Z'))
    .map(([child]) => Number(child))
}

/** The state of a process as `ps` writes it (`R`, `S`, `T` for stopped …), or `gone`. */
export async function processState(pid: number): Promise<string> {
  const { stdout } = await execute('ps', ['-o', 'state=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  const state = stdout.trim().slice(0, 1)
  return state === '' || state === 'Z' ? 'gone' : state
}
