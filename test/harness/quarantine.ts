/**
 * Two databases, an API over a control store of its own, a sync config between the databases, and its jobs run in the
 * test's own process: `await using lab = await createLab('sqlite', …)`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { claimNextJob } from '#control/leases.ts'
import { getJob, type Job } from '#control/jobs.ts'
import { runJob } from '#jobs/run-job.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import type { JobStatus } from '#model/job.ts'
import { toConfig } from '#service/config.ts'
import { datasourceOpener } from '#service/datasource-tools.ts'

import { createApi, type ApiUnderTest } from './api.ts'
import { createDatabase, type Database } from './database.ts'
import { sharedServers } from './postgres.ts'
import type { StoreKind } from './store.ts'

const LEASE_MS = 60_000

export type Fields = Readonly<Record<string, unknown>>

export interface Lab extends AsyncDisposable {
  readonly api: ApiUnderTest
  readonly source: Database
  readonly target: Database
  readonly operator: string
  readonly viewer: string
  readonly config: string
  /** Starts a run of the config and runs it to its end, or to where it is to rest. */
  run(body?: object, until?: JobStatus): Promise<Job>
  /** Runs the job that is queued. */
  work(until?: JobStatus): Promise<Job>
  /** A call that must succeed. */
  ask(method: string, path: string, body?: unknown): Promise<Fields>
  rejections(query?: string): Promise<readonly Fields[]>
}

export async function createLab(
  kind: StoreKind,
  sides: { source: string; target: string },
  policies: object,
): Promise<Lab> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(sharedServers().source))
  const target = stack.use(await createDatabase(sharedServers().target))
  await source.sql(sides.source)
  await target.sql(sides.target)
  const api = stack.use(await createApi(kind))
  const folder = mkdtempSync(join(tmpdir(), 'syncline-lab-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const admin = (await api.key('admin')).secret
  const operator = (await api.key('operator')).secret
  const viewer = (await api.key('viewer')).secret
  const as =
    (secret: string) =>
    async (method: string, path: string, body?: unknown): Promise<Fields> => {
      const answer = await api.send(secret, method, path, body === undefined ? {} : { body })
      if (answer.statusCode >= 400) throw new Error(`${method} ${path}: ${answer.statusCode} ${answer.body}`)
      return answer.json<Fields>()
    }
  await as(admin)('POST', '/api/datasources', { name: 'source', url: source.url })
  await as(admin)('POST', '/api/datasources', { name: 'target', url: target.url, writable: true })
  const made = await as(admin)('POST', '/api/sync-configs', {
    name: 'config',
    source_datasource_id: 'source',
    target_datasource_id: 'target',
    ...policies,
  })
  const { store, box } = api
  const base = { store, box, config: toConfig({}) }
  let stagings = 0
  const work = async (until: JobStatus = 'succeeded'): Promise<Job> => {
    const owner = 'the test'
    const { id, epoch } = must(await claimNextJob(store, { owner, leaseMs: LEASE_MS }), 'a queued job')
    await runJob(
      {
        hold: { jobId: id, owner, epoch },
        leaseMs: LEASE_MS,
        shutdown: new AbortController().signal,
        onProgress: () => undefined,
      },
      {
        store,
        box,
        openDatasource: datasourceOpener(base, { protectedEnvironments: [] }),
        openStaging: () => new EmbeddedStaging(join(folder, `staging-${(stagings += 1)}.sqlite`)),
        clock: systemClock,
        maskKey: null,
        changeSets: api.changeSets,
        dumps: api.dumps,
      },
    )
    const job = await getJob(store, id)
    if (job.status !== until) throw new Error(`The job ${id} is ${job.status}: ${JSON.stringify(job.error)}`)
    return job
  }
  const ask = as(operator)
  const config = String(made['id'])
  const held = stack.move()
  return {
    api,
    source,
    target,
    operator,
    viewer,
    config,
    work,
    ask,
    run: async (body = {}, until = 'succeeded') => {
      await ask('POST', `/api/sync/${config}`, body)
      return await work(until)
    },
    rejections: async (query = '') => {
      const { items } = await ask('GET', `/api/sync-configs/${config}/rejections${query}`)
      return items as readonly Fields[]
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
