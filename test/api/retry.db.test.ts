/** A job is done again with its sync config as it is now, or as it was for the job (UX 22). */
import { expect, test } from 'vitest'

import { must } from '#lib/assert.ts'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createLab, type Fields, type Lab } from '#test/harness/quarantine.ts'

import { createWorld, type World } from './world.ts'

const SIDES = {
  source: `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text);
    INSERT INTO a VALUES (1, 'new'); INSERT INTO b VALUES (1, 'new')`,
  target: 'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text)',
}

const DOCUMENT = { name: 'config', source_datasource_id: 'source', target_datasource_id: 'target' }

/** Retries a job and runs the one that it makes. */
async function retry(lab: Lab, id: string, body: object): Promise<Fields> {
  const { job_id: made } = await lab.ask('POST', `/api/jobs/${id}/retry`, body)
  await lab.work()
  return lab.ask('GET', `/api/jobs/${String(made)}`)
}

const tablesIn = async (lab: Lab): Promise<unknown> =>
  lab.target.sql(`SELECT 'a' FROM a UNION ALL SELECT 'b' FROM b ORDER BY 1`)

test('UX 22: the original config is the tables and policies of the job, and the version that it had', async () => {
  await using lab = await createLab('sqlite', SIDES, { tables: [{ source: 'a' }] })
  const first = await lab.run({ dry_run: true })
  expect(first.configVersion).toBe(1)
  await lab.ask('PUT', `/api/sync-configs/${lab.config}`, { ...DOCUMENT, tables: [{ source: 'b' }] })
  // What is not said is what it was before there was a choice.
  for (const body of [{}, { config: 'current' }]) {
    const now = await retry(lab, first.id, body)
    expect(now).toMatchObject({ config_id: lab.config, config_version: 2, dry_run: true })
    const { summary } = await lab.ask('GET', `/api/jobs/${String(now['id'])}/changes`)
    expect(summary).toMatchObject({ tables: [{ source: { name: 'b' } }] })
  }
  const then = await retry(lab, first.id, { config: 'original' })
  expect(then).toMatchObject({ config_id: lab.config, config_version: 1, dry_run: true })
  const { summary } = await lab.ask('GET', `/api/jobs/${String(then['id'])}/changes`)
  expect(summary).toMatchObject({ tables: [{ source: { name: 'a' } }] })
  expect(await tablesIn(lab)).toEqual([])
  const log = await lab.api.store.db.selectFrom('audit_event').selectAll().where('action', '=', 'job.start').execute()
  expect(log).toHaveLength(4)
  const bad = await lab.api.send(lab.operator, 'POST', `/api/jobs/${first.id}/retry`, { body: { config: 'other' } })
  expect(bad.json()).toMatchObject({ status: 400, code: 'invalid_request' })
})

test('UX 22: the original config goes between the databases of that time, shares the lane of the config, and outlives it', async () => {
  await using lab = await createLab('sqlite', SIDES, { tables: [{ source: 'a' }] })
  await using other = await createDatabase(sharedServers().target)
  await other.sql(SIDES.target)
  const admin = (await lab.api.key('admin')).secret
  const made = await lab.api.send(admin, 'POST', '/api/datasources', {
    body: { name: 'other', url: other.url, writable: true },
  })
  expect(made.statusCode, made.body).toBe(201)
  const first = await lab.run()
  expect(await tablesIn(lab)).toEqual([['a']])
  await lab.target.sql('DELETE FROM a')
  await lab.ask('PUT', `/api/sync-configs/${lab.config}`, {
    ...DOCUMENT,
    target_datasource_id: 'other',
    tables: [{ source: 'b' }],
  })
  const ask = (id: string, body: object) => lab.api.send(lab.operator, 'POST', `/api/jobs/${id}/retry`, { body })
  expect((await ask(first.id, { config: 'original' })).statusCode).toBe(202)
  expect((await ask(first.id, {})).json()).toMatchObject({ code: 'already_running' })
  await lab.work()
  expect(await tablesIn(lab)).toEqual([['a']])
  expect(await other.sql('SELECT count(*) FROM b')).toEqual([['0']])
  await retry(lab, first.id, { config: 'current' })
  expect(await other.sql('SELECT count(*) FROM b')).toEqual([['1']])
  const gone = await lab.api.send(admin, 'DELETE', `/api/sync-configs/${lab.config}?confirm=config`)
  expect(gone.statusCode, gone.body).toBe(204)
  expect((await ask(first.id, {})).json()).toMatchObject({ status: 404, code: 'not_found' })
  await lab.target.sql('DELETE FROM a')
  await retry(lab, first.id, { config: 'original' })
  expect(await tablesIn(lab)).toEqual([['a']])
})

test('UX 22: a job says itself whether it goes in two ways, also where its config does not any more, or is gone', async () => {
  await using lab = await createLab('sqlite', SIDES, { tables: [{ source: 'a' }], direction: 'two_way' })
  const { id } = await lab.run({ dry_run: true })
  const job = (): Promise<Fields> => lab.ask('GET', `/api/jobs/${id}`)
  expect(await job()).toMatchObject({ direction: 'two_way' })
  await lab.ask('PUT', `/api/sync-configs/${lab.config}`, { ...DOCUMENT, tables: [{ source: 'a' }] })
  expect(await retry(lab, id, {})).toMatchObject({ direction: 'one_way' })
  const admin = (await lab.api.key('admin')).secret
  await lab.api.send(admin, 'DELETE', `/api/sync-configs/${lab.config}?confirm=config`)
  expect(await job()).toMatchObject({ config_id: expect.any(String) as unknown, direction: 'two_way' })
})

test('S21: a query that an admin has taken out of the config is not brought back by an operator', async () => {
  await using lab = await createLab('sqlite', SIDES, {
    tables: [{ source: 'q', target: 'a', query: 'SELECT id, v FROM public.a', key: ['id'] }],
  })
  const first = await lab.run({ dry_run: true })
  const ask = (secret: string) =>
    lab.api.send(secret, 'POST', `/api/jobs/${first.id}/retry`, { body: { config: 'original' } })
  expect((await ask(lab.operator)).statusCode).toBe(202)
  await lab.work()
  await lab.ask('PUT', `/api/sync-configs/${lab.config}`, { ...DOCUMENT, tables: [{ source: 'a' }] })
  expect((await ask(lab.operator)).json()).toMatchObject({ status: 403, code: 'forbidden' })
  const admin = must((await lab.api.key('admin')).secret, 'a key')
  expect((await ask(admin)).statusCode).toBe(202)
  await lab.work()
})

/** What an admin has started with each of these, and ended before it ran, is asked for again. */
const STARTS = (dump: string): readonly (readonly [string, object])[] => [
  ['/api/sync/import', { datasource: 'target', dump }],
  ['/api/sync/copy', { source: 'source', target: 'target' }],
  [`/api/dumps/${dump}/drill`, { into: 'target' }],
]

async function startAndCancel(world: World, path: string, body: object): Promise<string> {
  const started = await world.api.send(world.admin, 'POST', path, { body })
  expect(started.statusCode, started.body).toBe(202)
  const { job_id: id } = started.json<{ job_id: string }>()
  const over = await world.api.send(world.admin, 'POST', `/api/jobs/${id}/cancel`, { body: {} })
  expect(over.json()).toMatchObject({ status: 'cancelled' })
  return id
}

test('S33: what an admin has trusted as the login of a database is not done again by an operator', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin, dump } = world
  const operator = (await api.key('operator')).secret
  const retried = (secret: string, id: string) => api.send(secret, 'POST', `/api/jobs/${id}/retry`, { body: {} })
  for (const [path, body] of STARTS(dump)) {
    const plain = await startAndCancel(world, path, body)
    const again = await retried(operator, plain)
    expect(again.statusCode, again.body).toBe(202)
    await api.send(admin, 'POST', `/api/jobs/${again.json<{ job_id: string }>().job_id}/cancel`, { body: {} })
    const trust = path === '/api/sync/copy' ? { trust_source: true } : { trust_file: true }
    const trusted = await startAndCancel(world, path, { ...body, ...trust })
    const refused = await retried(operator, trusted)
    expect(refused.statusCode, path).toBe(403)
    expect(refused.json()).toMatchObject({ code: 'forbidden' })
    const allowed = await retried(admin, trusted)
    expect(allowed.statusCode, allowed.body).toBe(202)
    await api.send(admin, 'POST', `/api/jobs/${allowed.json<{ job_id: string }>().job_id}/cancel`, { body: {} })
  }
})

test('S9: a job is not done again with a dump that the key does not see', async () => {
  await using world = await createWorld('sqlite')
  const { api, dump, target } = world
  const own = { name: 'own', url: world.sourceUrl, writable: true }
  const made = (await api.send(world.admin, 'POST', '/api/datasources', { body: own })).json<{ id: string }>()
  const scoped = (await api.key('operator', [made.id])).secret
  const both = (await api.key('operator', [made.id, target])).secret
  const retried = (secret: string, id: string) => api.send(secret, 'POST', `/api/jobs/${id}/retry`, { body: {} })
  for (const [path, body] of [
    ['/api/sync/import', { datasource: 'own', dump }],
    [`/api/dumps/${dump}/drill`, { into: 'own' }],
  ] as const) {
    const id = await startAndCancel(world, path, body)
    const refused = await retried(scoped, id)
    expect(refused.statusCode, path).toBe(404)
    expect(refused.json()).toMatchObject({ code: 'not_found' })
    const seen = await retried(both, id)
    expect(seen.statusCode, seen.body).toBe(202)
    await api.send(world.admin, 'POST', `/api/jobs/${seen.json<{ job_id: string }>().job_id}/cancel`, { body: {} })
  }
})
