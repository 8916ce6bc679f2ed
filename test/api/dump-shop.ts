/** A database that is dumped by jobs, over the API. */
import { expect } from 'vitest'

import { claimNextJob } from '#control/leases.ts'
import { runJob } from '#jobs/run-job.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import { datasourceOpener } from '#service/datasource-tools.ts'
import { toConfig } from '#service/config.ts'

import { createApi, type ApiUnderTest } from '#test/harness/api.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const LEASE_MS = 60_000

export interface Shop extends AsyncDisposable {
  readonly api: ApiUnderTest
  readonly db: Database
  readonly admin: string
  readonly operator: string
  readonly datasource: string
  post(path: string, body: unknown): Promise<Record<string, unknown>>
  /** Runs the job that waits, in this process. */
  work(shutdown?: AbortSignal): Promise<string>
}

/** A database of one table, and a datasource of it. */
export async function createShop(
  kind: 'sqlite' | 'postgres',
  variables: Readonly<Record<string, string>> = {},
): Promise<Shop> {
  await using stack = new AsyncDisposableStack()
  const db = stack.use(await createDatabase(sharedServers().source))
  await db.sql(
    `CREATE TABLE item (id serial PRIMARY KEY, name text NOT NULL);
     INSERT INTO item (name) SELECT 'item ' || i FROM generate_series(1, 500) i`,
  )
  const api = stack.use(await createApi(kind, { variables }))
  await api.app.listen({ host: '127.0.0.1', port: 0 })
  const [admin, operator] = [(await api.key('admin')).secret, (await api.key('operator')).secret]
  const made = await api.send(admin, 'POST', '/api/datasources', { body: { name: 'shop', url: localUrl(db) } })
  const datasource = String(made.json<{ id: string }>().id)
  const { store, box } = api
  const held = stack.move()
  return {
    api,
    db,
    admin,
    operator,
    datasource,
    post: async (path, body) => {
      const answer = await api.send(operator, 'POST', path, { body })
      expect(answer.statusCode, answer.body).toBeLessThan(300)
      return answer.json<Record<string, unknown>>()
    },
    work: async (shutdown = new AbortController().signal) => {
      const owner = 'the test'
      const { id, epoch } = must(await claimNextJob(store, { owner, leaseMs: LEASE_MS }), 'a queued job')
      await runJob(
        { hold: { jobId: id, owner, epoch }, leaseMs: LEASE_MS, shutdown, onProgress: () => undefined },
        {
          store,
          box,
          openDatasource: datasourceOpener({ store, box, config: toConfig({}) }, { protectedEnvironments: [] }),
          openStaging: () => {
            throw new Error('an export stages nothing')
          },
          clock: systemClock,
          maskKey: null,
          changeSets: api.changeSets,
          dumps: api.dumps,
        },
      )
      return id
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

export function localUrl(db: Database): string {
  const url = new URL(db.url)
  url.hostname = 'localhost'
  return url.href
}
