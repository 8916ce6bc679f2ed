/**
 * Two databases on the servers of the tests, datasources of them, a config between them and a job, made through the API by
 * an admin; and a second set that nobody has a key for.
 */
import { must } from '#lib/assert.ts'
import { listConflicts } from '#control/conflict-list.ts'
import { applyJobEvent, getJob } from '#control/jobs.ts'
import { keepRejections } from '#control/rejections.ts'
import { conflictsOf } from '#jobs/conflicts.ts'
import { writeDump } from '#jobs/dumps.ts'
import { SYSTEM } from '#model/access.ts'

import { createApi, testId, type ApiUnderTest } from '#test/harness/api.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import type { StoreKind } from '#test/harness/store.ts'

/** The password in every URL: the servers of the tests ask for none, and nothing may show it. */
export const CANARY = 'canary-pa55word'

/** In every row that is in conflict: only who may see values may see it. */
export const CANARY_VALUE = 'canary-row-value'

export interface Places {
  readonly sourceUrl: string
  readonly targetUrl: string
}

export interface World extends AsyncDisposable, Places {
  readonly api: ApiUnderTest
  readonly admin: string
  readonly source: string
  readonly target: string
  readonly config: string
  readonly job: string
  /** Of two rows that the job set aside, the first. */
  readonly rejection: string
  /** Of two rows that the job found both sides to have changed, the first. */
  readonly conflict: string
  /** Of the target. */
  readonly dump: string
}

export async function createWorld(kind: StoreKind, given: Parameters<typeof createApi>[1] = {}): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(sharedServers().source))
  const target = stack.use(await createDatabase(sharedServers().target))
  await source.sql('CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY REFERENCES a)')
  await source.close()
  await target.sql('CREATE TABLE a (id integer PRIMARY KEY)')
  await target.close()
  const api = stack.use(await createApi(kind, given))
  const admin = (await api.key('admin')).secret
  const places = { sourceUrl: withPassword(source.url), targetUrl: withPassword(target.url) }
  const made = await createSet(api, admin, { ...places, suffix: '' })
  const held = stack.move()
  return { api, admin, ...places, ...made, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

function withPassword(given: string): string {
  const url = new URL(given)
  url.hostname = 'localhost'
  url.password = CANARY
  return url.href
}

/** Its job has been stopped. */
export async function createSet(
  api: ApiUnderTest,
  admin: string,
  { sourceUrl, targetUrl, suffix }: Places & { readonly suffix: string },
): Promise<Pick<World, 'source' | 'target' | 'config' | 'job' | 'rejection' | 'conflict' | 'dump'>> {
  const source = await make(api, admin, '/api/datasources', { name: `source${suffix}`, url: sourceUrl })
  const target = await make(api, admin, '/api/datasources', {
    name: `target${suffix}`,
    url: targetUrl,
    writable: true,
  })
  const config = await make(api, admin, '/api/sync-configs', {
    name: `config${suffix}`,
    source_datasource_id: source,
    target_datasource_id: target,
  })
  const started = await api.send(admin, 'POST', `/api/sync/${config}`, { body: {} })
  const job = started.json<{ job_id: string }>().job_id
  await applyJobEvent(api.store, { id: job, event: 'stop' })
  const rejection = await setAside(api, { config, job })
  return { source, target, config, job, rejection, conflict: await park(api, job), dump: await keepDump(api, target) }
}

/** A file as an export would leave it. */
async function keepDump(api: ApiUnderTest, datasourceId: string): Promise<string> {
  const draft = {
    origin: 'export',
    database: 'shop',
    datasourceId,
    writer: null,
    compression: 'none',
    sealed: false,
    createdBy: 'somebody',
    createdAt: '2026-01-01T00:00:00.000Z',
  } as const
  const { id } = await writeDump(api.dumps, { draft, content: 'all', actor: SYSTEM }, async (file) => {
    await file.write(Buffer.from('SELECT 1;\n'))
    return { head: null, rows: null, sqlBytes: null, notes: [] }
  })
  return id
}

/** Two rows of the table a, as a run would tell of them. */
async function setAside(api: ApiUnderTest, { config, job }: { config: string; job: string }): Promise<string> {
  const ids = [testId('rejection'), testId('rejection')] as const
  const table = { schema: 'public', name: 'a' }
  const columns = [{ name: 'id', type: { kind: 'integer', bits: 32 }, nullable: false }] as const
  const rows = ids.map((id, i) => ({
    id,
    op: 'insert' as const,
    key: [String(i)],
    keyIn: 'target' as const,
    code: '23514',
    reason: 'It breaks a rule.',
    column: 'id',
    value: String(i),
    sourceKey: [String(i)],
    sourceFingerprint: '1',
    targetFingerprint: null,
    source: [['id', String(i)]] as const,
    mapped: [['id', String(i)]] as const,
    note: null,
  }))
  await keepRejections(
    api,
    { id: job, configId: config, scope: config },
    { source: table, target: table, columns },
    rows,
  )
  return ids[0]
}

/** Two rows of the table a, as a run would tell of them. */
async function park(api: ApiUnderTest, job: string): Promise<string> {
  const ref = { schema: 'public', name: 'a' }
  const columns = [
    { name: 'id', type: { kind: 'integer', bits: 32 }, nullable: false },
    { name: 'name', type: { kind: 'text', maxLength: 10 }, nullable: true },
  ] as const
  const table = { source: ref, target: ref, mappingId: 'm', mappingHash: 'h', key: ['id'], columns }
  const conflicts = ['1', '2'].map((id) => ({
    key: [id],
    kind: 'update_update' as const,
    sourceFingerprint: '1',
    targetFingerprint: '2',
    agreed: { source: '0', target: '0' },
    fields: ['name'],
    source: [id, `${CANARY_VALUE} of the source`],
    target: [id, `${CANARY_VALUE} of the target`],
    base: [id, CANARY_VALUE],
    merged: null,
    holder: null,
    large: false,
    strategy: 'manual' as const,
    reason: null,
  }))
  await conflictsOf(await getJob(api.store, job), api).park(table, conflicts)
  const [first] = await listConflicts(api.store, { jobId: job }, { after: null, limit: 1 })
  return must(first, 'a conflict').id
}

async function make(api: ApiUnderTest, admin: string, path: string, body: unknown): Promise<string> {
  const answer = await api.send(admin, 'POST', path, { body })
  return must(answer.json<{ id?: string }>().id, `an id in ${answer.body}`)
}
