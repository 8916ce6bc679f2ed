/** Conflicts over the API: looked at, decided alone and many at once, and carried out by a run that is started for it. */
import { describe, expect, test } from 'vitest'

import { getJob } from '#control/jobs.ts'
import { purgeConflicts } from '#control/conflicts.ts'
import { conflictsOf } from '#jobs/conflicts.ts'
import type { ConflictTable, FoundConflict, ResolvedConflict } from '#model/conflict.ts'
import { testId, type Extra } from '#test/harness/api.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { CANARY_VALUE, createWorld, type World } from './world.ts'

type Fields = Readonly<Record<string, unknown>>

const REF = { schema: 'public', name: 'b' }
const TABLE: ConflictTable = {
  source: REF,
  target: REF,
  mappingId: 'm',
  mappingHash: 'h',
  key: ['id'],
  columns: [
    { name: 'id', type: { kind: 'integer', bits: 32 }, nullable: false },
    { name: 'name', type: { kind: 'text', maxLength: 10 }, nullable: false },
    { name: 'price', type: { kind: 'decimal', precision: 10, scale: 2 }, nullable: true },
  ],
}

function conflict(id: string, changes: Partial<FoundConflict> = {}): FoundConflict {
  return {
    key: [id],
    kind: 'update_update',
    sourceFingerprint: '1',
    targetFingerprint: '2',
    agreed: { source: '0', target: '0' },
    fields: ['name'],
    source: [id, 'ours', '1.50'],
    target: [id, 'theirs', '1.00'],
    base: [id, 'before', '1.00'],
    merged: [id, 'theirs', '1.50'],
    holder: null,
    large: false,
    strategy: 'merge',
    reason: null,
    ...changes,
  }
}

async function open(kind: (typeof STORE_KINDS)[number]) {
  const world = await createWorld(kind)
  const { api } = world
  const operator = (await api.key('operator')).secret
  const viewer = (await api.key('viewer')).secret
  const as =
    (secret: string) =>
    async (method: string, path: string, body?: unknown, headers: Extra['headers'] = {}): Promise<Fields> => {
      const answer = await api.send(secret, method, `/api${path}`, { ...(body === undefined ? {} : { body }), headers })
      expect(answer.statusCode, `${method} ${path}: ${answer.body}`).toBe(200)
      return answer.json<Fields>()
    }
  return {
    ...world,
    operator,
    viewer,
    ask: as(operator),
    view: as(viewer),
    refused: async (path: string, body: unknown, headers: Extra['headers'] = {}) => {
      const answer = await api.send(operator, 'POST', `/api${path}`, { body, headers })
      const { code, errors } = answer.json<{ code: string; errors?: readonly { place: string }[] }>()
      return [answer.statusCode, code, ...(errors ?? []).map(({ place }) => place)]
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}

async function conflictsOfJob(world: World, id = world.job) {
  return conflictsOf(await getJob(world.api.store, id), world.api)
}

async function decisions(world: World, id = world.job, target = REF): Promise<readonly ResolvedConflict[]> {
  const found: ResolvedConflict[] = []
  for await (const some of (await conflictsOfJob(world, id)).resolved(target)) found.push(...some)
  return found
}

const idsOf = (page: Fields): string[] => (page['items'] as readonly Fields[]).map((item) => String(item['id']))

describe.each(STORE_KINDS)('on %s', (kind) => {
  test('S10: conflicts are listed by config, by job and over all, and their rows are for those who may decide', async () => {
    await using it = await open(kind)
    const { api, conflict: id, config, job } = it
    const lists = ['/conflicts', `/conflicts?config=config`, `/sync/${config}/conflicts`, `/sync/conflicts/${job}`]
    for (const list of lists) {
      const page = await it.view('GET', list)
      expect(idsOf(page), list).toHaveLength(2)
      expect(page['groups'], list).toEqual([
        { target: { schema: 'public', name: 'a' }, kind: 'update_update', fields: ['name'], conflicts: 2, open: 2 },
      ])
      expect(JSON.stringify(page), list).not.toContain(CANARY_VALUE)
    }
    const shown = await it.ask('GET', `/conflicts/${id}`)
    expect(shown).toMatchObject({
      key: ['1'],
      status: 'open',
      values_shown: true,
      source_row: [{}, { column: 'name', value: `${CANARY_VALUE} of the source` }],
      differences: [
        {
          column: 'name',
          source: `${CANARY_VALUE} of the source`,
          target: `${CANARY_VALUE} of the target`,
          base: CANARY_VALUE,
          changed_by: 'both',
          in_conflict: true,
        },
      ],
      sides: { source: 'kept', target: 'kept' },
    })
    const hidden = await it.view('GET', `/conflicts/${id}`)
    expect(hidden).toMatchObject({
      values_shown: false,
      source_row: null,
      base_row: null,
      differences: [{ column: 'name', source: null, target: null, changed_by: 'both' }],
    })
    expect(JSON.stringify(hidden)).not.toContain(CANARY_VALUE)
    const filtered = async (query: string) => idsOf(await it.view('GET', `/sync/${config}/conflicts?${query}`)).length
    for (const [query, rows] of [
      ['status=open,resolved', 2],
      ['status=closed', 0],
      ['kind=update_update&strategy=manual&table=a&field=name', 2],
      ['key=2', 1],
      ['field=price', 0],
      [`job=${job}`, 2],
      [`job=${testId('job')}`, 0],
    ] as const) {
      expect(await filtered(query), query).toBe(rows)
    }
    const first = await it.view('GET', '/conflicts?limit=1&sort=-seq')
    const second = await it.view('GET', `/conflicts?limit=1&sort=-seq&cursor=${String(first['next_cursor'])}`)
    expect([...idsOf(first), ...idsOf(second)].toReversed()).toEqual(idsOf(await it.view('GET', '/conflicts')))
    expect(second['next_cursor']).toBeNull()
    expect(api.log.join('\n')).not.toContain(CANARY_VALUE)
  })

  test('a decision is carried out by a run that is started for it, by the one that is under way, or by the next', async () => {
    await using it = await open(kind)
    const { api, conflict: id, config } = it
    const [, other] = idsOf(await it.view('GET', '/conflicts'))
    const path = `/sync/${config}/resolve/${id}`
    const body = { take: 'source', start: false }
    expect(await it.ask('POST', path, body)).toMatchObject({
      conflict: { status: 'resolved', resolution: 'source', resolved: { name: 'a operator' }, source_row: null },
      job_id: null,
      note: null,
    })
    // Sent again with the same key, it is done once and answered alike.
    const started = await it.ask('POST', path, { take: 'target' }, { 'idempotency-key': 'once' })
    const again = await it.ask('POST', path, { take: 'target' }, { 'idempotency-key': 'once' })
    expect(again).toEqual(started)
    const job = await getJob(api.store, String(started['job_id']))
    expect(job).toMatchObject({ configId: config, kind: 'sync', status: 'queued', request: { tables: ['a'] } })
    expect((await it.view('GET', '/jobs'))['items']).toHaveLength(2)
    // One that is under way is enough.
    expect(await it.ask('POST', `/sync/${config}/resolve/${String(other)}`, { take: 'skip' })).toMatchObject({
      conflict: { status: 'resolved', resolution: 'skip' },
      job_id: null,
      active_job_id: job.id,
      note: expect.stringContaining('is under way') as unknown,
    })
    const a = { schema: 'public', name: 'a' }
    const read = await decisions(it, job.id, a)
    expect(read).toMatchObject([
      { key: ['1'], resolution: 'target', sourceFingerprint: '1', targetFingerprint: '2' },
      { key: ['2'], resolution: 'skip' },
    ])
    // What the run did is told, and can be turned round.
    const engine = conflictsOf(job, api)
    for await (const some of engine.resolved(a)) {
      await engine.settle(
        a,
        some.map((one) => ({ id: one.id, outcome: 'applied', sourceFingerprint: '2', targetFingerprint: '2' })),
      )
    }
    expect(await it.view('GET', `/conflicts/${id}`)).toMatchObject({ status: 'applied', last_job_id: job.id })
    await it.ask('POST', path, { take: 'source' })
    expect(await decisions(it, job.id, a)).toMatchObject([
      { key: ['1'], resolution: 'row', row: ['1', `${CANARY_VALUE} of the source`], sourceFingerprint: '2' },
    ])
    const { items } = await it.view('GET', `/audit?subject=${id}`)
    expect((items as readonly Fields[]).map((event) => [event['action'], event['actor_name']])).toEqual(
      Array.from({ length: 3 }, () => ['conflict.resolve', 'a operator']),
    )
    expect(JSON.stringify(items)).not.toContain(CANARY_VALUE)
    expect(JSON.stringify(await it.view('GET', `/sync/audit/${it.job}`))).toContain('conflict.resolve')
  })

  test('D15: a decision is made on the version that was looked at', async () => {
    await using it = await open(kind)
    const { api, config, conflict: id } = it
    const engine = await conflictsOfJob(it)
    await engine.park(TABLE, [conflict('1')])
    const [found] = idsOf(await it.view('GET', `/conflicts?table=b`))
    const path = `/sync/${config}/resolve/${String(found)}`
    const tag = (await api.send(it.operator, 'GET', `/api/conflicts/${String(found)}`)).headers['etag']
    expect(tag).toBe('"1"')
    await engine.park(TABLE, [conflict('1', { sourceFingerprint: '3', source: ['1', 'newer', '9.00'] })])
    const body = { take: 'source', start: false }
    expect(await it.refused(path, body, { 'if-match': '"1"' })).toEqual([412, 'version_conflict'])
    await it.ask('POST', path, body, { 'if-match': '"2"' })
    // Once the source moves again, nothing is left of it, and that is said.
    await engine.park(TABLE, [conflict('1', { sourceFingerprint: '4' })])
    expect(await it.view('GET', `/conflicts/${String(found)}`)).toMatchObject({
      status: 'open',
      resolution: null,
      reopened: 1,
    })
    // A conflict is decided where it belongs, and there alone.
    expect(await it.refused(`/sync/${config}/resolve/${testId('conflict')}`, body)).toEqual([404, 'not_found'])
    await engine.close(TABLE.target, 'go')
    expect(await it.refused(`/sync/conflicts/${it.job}/${id}/resolve`, { take: 'row' })).toEqual([
      400,
      'invalid_request',
      'body#/values',
    ])
  })

  test('a row is built column by column, checked by the types, and written as it was built', async () => {
    await using it = await open(kind)
    const engine = await conflictsOfJob(it)
    await engine.park(TABLE, [
      conflict('1'),
      conflict('2'),
      conflict('3', { large: true, source: null, target: null, base: null, merged: null }),
      conflict('4'),
    ])
    const [one, two, large, four] = idsOf(await it.view('GET', '/conflicts?table=b'))
    const resolve = (id: string | undefined): string => `/sync/conflicts/${it.job}/${String(id)}/resolve`
    const problems = async (id: string | undefined, values: unknown, rest?: string) =>
      it.refused(resolve(id), { take: 'row', values, ...(rest === undefined ? {} : { rest }) })
    const bad = [400, 'invalid_request']
    expect(await problems(one, { name: 'longer than ten', price: 'dear', nothing: '1' })).toEqual([
      ...bad,
      'body#/values/nothing',
      'body#/values/name',
      'body#/values/price',
    ])
    expect(await problems(one, { name: null })).toEqual([...bad, 'body#/values/name'])
    expect(await problems(one, { id: '9' })).toEqual([...bad, 'body#/values/id'])
    expect(await problems(large, { name: 'x' })).toEqual([...bad, 'body#/values/price'])
    const row = { take: 'row', start: false }
    const built = await it.ask('POST', resolve(one), { ...row, values: { name: 'both', id: '1' } })
    expect(built).toMatchObject({ conflict: { resolution: 'row', built_row: null } })
    await it.ask('POST', resolve(two), { ...row, values: { price: '007.5' }, rest: 'source' })
    await it.ask('POST', resolve(large), { ...row, values: { name: 'x', price: null } })
    await it.ask('POST', resolve(four), { ...row, values: null })
    expect((await decisions(it)).map(({ resolution, row: is }) => [resolution, is])).toEqual([
      ['row', ['1', 'both', '1.50']],
      ['row', ['2', 'ours', '7.50']],
      ['row', ['3', 'x', null]],
      ['row', null],
    ])
    expect(await it.ask('GET', `/conflicts/${String(one)}`)).toMatchObject({
      built_row: [{}, { column: 'name', value: 'both' }, { column: 'price', value: '1.50' }],
      removes_row: false,
    })
    expect(await it.ask('GET', `/conflicts/${String(four)}`)).toMatchObject({ built_row: null, removes_row: true })
    expect(await it.view('GET', `/conflicts/${String(large)}`)).toMatchObject({ sides: { source: 'not_kept' } })
  })

  test('a decision is remembered for all later conflicts of its sort, listed, and removed', async () => {
    await using it = await open(kind)
    const { api, config, conflict: id } = it
    const rules = '/sync-configs/config/conflict-rules'
    const body = { take: 'source', start: false, remember: true }
    await it.ask('POST', `/sync/${config}/resolve/${id}`, body)
    const { items } = (await it.view('GET', rules)) as { items: readonly Fields[] }
    const rule = { kind: 'update_update', target: { schema: 'public', name: 'a' }, created_by: { name: 'a operator' } }
    expect(items).toMatchObject([{ ...rule, fields: ['name'], take: 'source' }])
    const many = { ids: [id], filter: { status: ['resolved'] }, take: 'target', start: false }
    await it.ask('POST', `/sync/${config}/resolve`, { ...many, remember: true, remember_any_fields: true })
    expect((await it.view('GET', rules))['items']).toMatchObject([items[0], { ...rule, fields: null, take: 'target' }])
    const engine = await conflictsOfJob(it)
    const a = { schema: 'public', name: 'a' }
    expect(
      await engine.park({ ...TABLE, source: a, target: a }, [conflict('9'), conflict('10', { fields: [] })]),
    ).toMatchObject([
      { key: ['9'], resolution: 'source' },
      { key: ['10'], resolution: 'target' },
    ])
    expect(
      await it.refused(`/sync/${config}/resolve/${id}`, { take: 'row', values: { name: 'x' }, remember: true }),
    ).toEqual([400, 'invalid_request', 'body#/remember'])
    const remove = (key: string, name = 'config') =>
      api.send(key, 'DELETE', `/api/sync-configs/${name}/conflict-rules/${String(items[0]?.['id'])}`)
    expect((await remove(it.viewer)).statusCode).toBe(403)
    expect((await remove(it.operator, testId('sync config'))).statusCode).toBe(404)
    expect((await remove(it.operator)).statusCode).toBe(204)
    expect((await remove(it.operator)).statusCode).toBe(404)
    expect((await it.view('GET', rules))['items']).toHaveLength(1)
  })

  test('5,000 conflicts are decided in one action, after a look at what it is about', async () => {
    await using it = await open(kind)
    const { api, config } = it
    const engine = await conflictsOfJob(it)
    await engine.park(
      TABLE,
      Array.from({ length: 5_000 }, (_, i) =>
        conflict(String(i), i % 10 === 0 ? { kind: 'update_delete', target: null, targetFingerprint: null } : {}),
      ),
    )
    const path = `/sync/${config}/resolve`
    const ask = { take: 'target', filter: { table: 'b' } }
    const preview = await it.ask('POST', path, { ...ask, dry_run: true })
    expect(preview).toMatchObject({
      dry_run: true,
      conflicts: 5_000,
      kinds: [
        { kind: 'update_update', conflicts: 4_500 },
        { kind: 'update_delete', conflicts: 500 },
      ],
      tables: [{ target: REF, conflicts: 5_000 }],
      job_id: null,
    })
    const { digest } = preview
    expect(await it.refused(path, { ...ask, expect: 17 })).toEqual([412, 'version_conflict'])
    await engine.park(TABLE, [conflict('5', { sourceFingerprint: '9' })])
    expect(await it.refused(path, { ...ask, digest })).toEqual([412, 'version_conflict'])
    const fresh = await it.ask('POST', path, { ...ask, dry_run: true })
    const started = performance.now()
    const done = await it.ask('POST', path, { ...ask, expect: 5_000, digest: fresh['digest'] })
    console.log(`5,000 conflicts decided over the API on ${kind} in ${Math.round(performance.now() - started)} ms`)
    expect(done).toMatchObject({ dry_run: false, conflicts: 5_000, job_id: expect.stringMatching(/^job_/) as unknown })
    expect(await it.view('GET', '/conflicts?status=resolved&limit=1')).toMatchObject({
      groups: [
        { kind: 'update_update', conflicts: 4_500, open: 0 },
        { kind: 'update_delete', conflicts: 500, open: 0 },
      ],
    })
    expect(await it.view('GET', `/audit?action=conflict.resolve_many`)).toMatchObject({
      items: [{ subject: config, data: { conflicts: 5_000, resolution: 'target' } }],
    })
    // By kind, by id and by the job that found them; who names nothing decides nothing.
    expect(await it.refused(path, { take: 'target' })).toEqual([400, 'invalid_request', 'body#'])
    const again = { ...ask, filter: { table: 'b', kind: ['update_delete'], status: ['resolved'] }, dry_run: true }
    expect(await it.ask('POST', path, again)).toMatchObject({ conflicts: 500 })
    const some = idsOf(await it.view('GET', '/conflicts?table=b&limit=3'))
    const chosen = { take: 'skip', ids: some, filter: { status: ['resolved'] } }
    expect(await it.ask('POST', path, chosen)).toMatchObject({ conflicts: 3, job_id: null })
    const all = `/sync/conflicts/${it.job}/resolve-all`
    expect(await it.ask('POST', all, { take: 'source' })).toMatchObject({
      conflicts: 2,
      tables: [{ target: { schema: 'public', name: 'a' } }],
    })
    expect(await it.ask('POST', all, { take: 'source' })).toMatchObject({ conflicts: 0, job_id: null, note: null })
    expect(await api.store.db.selectFrom('conflict').select('id').where('status', '=', 'open').execute()).toEqual([])
  }, 120_000)
})

test('conflicts of a run without a config are carried out by a run that knows them, and go with its job', async () => {
  await using it = await open('sqlite')
  const { api, admin, source, target } = it
  const ends = { source_connection: source, target_connection: target, config: { tables: [{ source: 'b' }] } }
  const first = (await api.send(admin, 'POST', '/api/sync/full', { body: ends })).json<{ job_id: string }>().job_id
  await api.send(admin, 'POST', `/api/jobs/${first}/cancel`, { body: {} })
  await (await conflictsOfJob(it, first)).park(TABLE, [conflict('1')])
  const all = `/sync/conflicts/${first}/resolve-all`
  const { job_id: second } = await it.ask('POST', all, { take: 'source' })
  const job = await getJob(api.store, String(second))
  expect(job).toMatchObject({ configId: null, request: { conflictScope: first, policies: ends.config } })
  expect(await decisions(it, job.id)).toMatchObject([{ key: ['1'], resolution: 'source' }])
  await (await conflictsOfJob(it, job.id)).park(TABLE, [conflict('2')])
  expect(idsOf(await it.view('GET', `/sync/conflicts/${job.id}`))).toHaveLength(1)
  expect(idsOf(await it.view('GET', '/conflicts'))).toHaveLength(4)
  await api.store.db.deleteFrom('job').where('id', 'in', [first, job.id]).execute()
  await purgeConflicts(api.store)
  expect(idsOf(await it.view('GET', '/conflicts'))).toHaveLength(2)
})

test('S11: a run that writes to what is protected needs consent; without it the decision stands, and it is said', async () => {
  await using it = await open('sqlite')
  const { api, admin, config, conflict: id, target } = it
  const shown = await api.send(admin, 'GET', `/api/datasources/${target}`)
  const { host, port, database, user } = shown.json<Record<string, string>>()
  const changed = await api.send(admin, 'PUT', `/api/datasources/${target}`, {
    body: { name: 'target', host, port, database, user, writable: true, environment: 'production' },
  })
  expect(changed.statusCode, changed.body).toBe(200)
  const path = `/sync/${config}/resolve/${id}`
  expect(await it.refused(path, { take: 'source', allow_protected_write: true })).toEqual([403, 'confirmation_needed'])
  expect(await it.view('GET', `/conflicts/${id}`)).toMatchObject({ status: 'open' })
  expect(await it.ask('POST', path, { take: 'source' })).toMatchObject({
    conflict: { status: 'resolved' },
    job_id: null,
    active_job_id: null,
    note: expect.stringContaining('No run was started') as unknown,
  })
  const consent = { allow_protected_write: true, confirm: 'target' }
  const done = await it.ask('POST', path, { take: 'source', ...consent })
  expect((await getJob(api.store, String(done['job_id']))).request.allowProtectedWrite).toBe(true)
})

test('a name that stands beside sync configs in a path is no name of one', async () => {
  await using it = await open('sqlite')
  for (const name of ['conflicts', 'status', 'stop']) {
    const body = { name, source_datasource_id: it.source, target_datasource_id: it.target }
    expect((await it.api.send(it.admin, 'POST', '/api/sync-configs', { body })).statusCode, name).toBe(400)
  }
})
