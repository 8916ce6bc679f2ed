import { describe, expect, test } from 'vitest'

import { reserve } from '#control/idempotency.ts'
import { listJobs } from '#control/jobs.ts'
import { addMs } from '#lib/clock.ts'

import { STORE_KINDS } from '#test/harness/store.ts'
import { createWorld, type World } from './world.ts'

const DAY_MS = 24 * 60 * 60_000

describe.each(STORE_KINDS)('what is asked for twice, on %s', (kind) => {
  const run = (world: World, key: string | null, body: unknown = {}, secret = world.admin) =>
    world.api.send(secret, 'POST', `/api/v1/sync/${world.config}`, {
      body,
      headers: key === null ? {} : { 'idempotency-key': key },
    })
  const jobs = async (world: World) => (await listJobs(world.api.store, { limit: 100 })).length

  test('B6: of 50 triggers at once one starts a job, and the others name it', async () => {
    await using world = await createWorld(kind)
    const answers = await Promise.all(Array.from({ length: 50 }, () => run(world, null)))
    const started = answers.filter(({ statusCode }) => statusCode === 202)
    expect(started).toHaveLength(1)
    const { job_id: id } = started[0]?.json<{ job_id: string }>() ?? {}
    for (const answer of answers.filter(({ statusCode }) => statusCode !== 202)) {
      expect(answer.json(), answer.body).toMatchObject({ status: 409, code: 'already_running', job_id: id })
    }
  })

  test('20 requests of one key at once start one job, and all get its answer', async () => {
    await using world = await createWorld(kind)
    const before = await jobs(world)
    const answers = await Promise.all(Array.from({ length: 20 }, () => run(world, 'k')))
    expect(new Set(answers.map(({ statusCode, body }) => `${statusCode} ${body}`)).size, answers[0]?.body).toBe(1)
    expect(answers[0]?.statusCode).toBe(202)
    expect(new Set(answers.map(({ headers }) => headers.location)).size).toBe(1)
    expect(await jobs(world)).toBe(before + 1)
  })

  test('a key stands for one request of one caller; a refusal is not kept', async () => {
    await using world = await createWorld(kind)
    const other = (await world.api.key('operator')).secret
    const first = await run(world, 'k')
    expect((await run(world, 'k', { dry_run: true })).json()).toMatchObject({ code: 'idempotency_mismatch' })
    expect((await run(world, 'k', {}, other)).json()).toMatchObject({ code: 'already_running' })
    const { job_id: id } = first.json<{ job_id: string }>()
    await world.api.send(world.admin, 'POST', `/api/jobs/${id}/cancel`)
    expect((await run(world, 'k', {}, other)).statusCode).toBe(202)
    expect((await run(world, 'k')).body).toBe(first.body)
    expect((await run(world, 'k')).headers['idempotent-replayed']).toBe('true')
  })

  test('after 24 hours a key is free again', async () => {
    await using world = await createWorld(kind)
    const first = await run(world, 'k')
    await world.api.send(world.admin, 'POST', `/api/jobs/${first.json<{ job_id: string }>().job_id}/cancel`)
    const { store } = world.api
    await store.db
      .updateTable('idempotency')
      .set({ created_at: addMs(store.clock.now(), -DAY_MS) })
      .execute()
    expect((await run(world, 'k')).json()).not.toEqual(first.json())
  })

  test('where a process ended between the deed and its answer, the deed is found and not done again', async () => {
    await using world = await createWorld(kind)
    const { store } = world.api
    const first = await run(world, 'k')
    const { job_id: id } = first.json<{ job_id: string }>()
    await world.api.send(world.admin, 'POST', `/api/jobs/${id}/cancel`)
    const before = await jobs(world)
    const long = addMs(store.clock.now(), -61_000)
    await store.db.updateTable('idempotency').set({ status: null, body: id, created_at: long }).execute()
    expect((await run(world, 'k')).json()).toMatchObject({ job_id: id, status: 'cancelled' })
    expect(await jobs(world)).toBe(before)
  })

  test('whoever comes while the first is at work waits for nothing of its own', async () => {
    await using world = await createWorld(kind)
    const { store } = world.api
    const claim = (mac: string) =>
      reserve(store, { actor: 'a', key: 'k' }, { mac, matches: (other) => other === mac, id: 'job_1' })
    const claims = await Promise.all(Array.from({ length: 10 }, () => claim('m')))
    expect(claims.filter(({ state }) => state === 'mine')).toHaveLength(1)
    expect(claims.filter(({ state }) => state === 'busy')).toHaveLength(9)
    await expect(claim('n')).rejects.toMatchObject({ code: 'idempotency_mismatch' })
  })

  test('a change that rests on an older state is refused with 412, and changes nothing', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    for (const { url, body } of [
      { url: `/api/datasources/${world.source}`, body: { name: 'source', url: 'postgres://a:b@localhost/moved' } },
      {
        url: `/api/sync-configs/${world.config}`,
        body: { name: 'config', source_datasource_id: 'source', target_datasource_id: 'target', batch_size: 7 },
      },
    ]) {
      const tag = String((await api.send(admin, 'GET', url)).headers.etag)
      const put = (headers: Record<string, string>) => api.send(admin, 'PUT', url, { body, headers })
      const both = await Promise.all([put({ 'if-match': tag }), put({ 'if-match': tag })])
      expect(
        both.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b),
        both[0]?.body,
      ).toEqual([200, 412])
      expect(both.find(({ statusCode }) => statusCode === 412)?.json()).toMatchObject({ code: 'version_conflict' })
      expect((await put({ 'if-match': 'nonsense' })).statusCode).toBe(400)
      expect((await put({ 'if-match': '*' })).statusCode).toBe(200)
      const name = url.includes('sync-configs') ? 'config' : 'source'
      const removed = await api.send(admin, 'DELETE', `${url}?confirm=${name}`, { headers: { 'if-match': tag } })
      expect(removed.statusCode, removed.body).toBe(412)
      expect((await api.send(admin, 'GET', url)).statusCode).toBe(200)
    }
  })
})

test('a sync config tells what each of its versions changed', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const document = { name: 'config', source_datasource_id: 'source', target_datasource_id: 'target' }
  await api.send(admin, 'PUT', '/api/sync-configs/config', { body: { ...document, tables: [{ source: 'orders' }] } })
  await api.send(admin, 'PUT', '/api/sync-configs/config', { body: { ...document, tables: [{ source: 'a/b' }] } })
  const { items } = (await api.send(admin, 'GET', '/api/sync-configs/config/versions')).json<{
    items: { version: number; changes: unknown }[]
  }>()
  expect(items.map(({ version, changes }) => [version, changes])).toEqual([
    [3, [{ path: '/tables/0/source', before: 'orders', after: 'a/b' }]],
    [2, [{ path: '/tables', before: null, after: [{ source: 'orders' }] }]],
    [1, []],
  ])
})

test('S11: what cannot be taken back, and what is protected, needs the typed name', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  await api.send(admin, 'POST', `/api/jobs/${world.job}/cancel`)
  const run = (body: unknown) => api.send(admin, 'POST', `/api/sync/${world.config}`, { body })
  const put = await api.send(admin, 'PUT', '/api/datasources/target', {
    body: { name: 'target', url: 'postgres://a:b@localhost/target', writable: true, environment: 'prod' },
  })
  expect(put.json(), put.body).toMatchObject({ environment: 'production', protected: true })
  expect((await run({})).json()).toMatchObject({ status: 409, code: 'target_protected' })
  expect((await run({ allow_protected_write: true })).json()).toMatchObject({
    status: 403,
    code: 'confirmation_needed',
  })
  expect((await run({ allow_protected_write: true, confirm: 'config' })).statusCode).toBe(403)
  expect((await run({ approve_deletes: 5, dry_run: true })).statusCode).toBe(202)
  const { items } = (await api.send(admin, 'GET', '/api/jobs')).json<{ items: { id: string }[] }>()
  await api.send(admin, 'POST', `/api/jobs/${items[0]?.id}/cancel`)
  expect((await run({ allow_protected_write: true, confirm: 'target' })).statusCode).toBe(202)
  for (const url of [`/api/sync-configs/${world.config}`, '/api/datasources/source']) {
    expect((await api.send(admin, 'DELETE', url)).json()).toMatchObject({ code: 'confirmation_needed' })
    expect((await api.send(admin, 'DELETE', `${url}?confirm=yes`)).statusCode).toBe(403)
  }
})
