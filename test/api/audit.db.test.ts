/** The audit log, the history of rows and the reports of jobs, as the API gives them. */
import { describe, expect, test } from 'vitest'

import { csvCell } from '#api/csv-cell.ts'
import { getJob, type Job } from '#control/jobs.ts'
import { historyOf } from '#jobs/history.ts'
import { must } from '#lib/assert.ts'
import type { WrittenBatch, WrittenChange } from '#sync/history.ts'

import type { ApiUnderTest } from '#test/harness/api.ts'
import { createLab, type Fields, type Lab } from '#test/harness/quarantine.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { createSet, createWorld } from './world.ts'

const CANARY = 'canary-row-value'
const TABLE = { schema: 'public', name: 't' }

/** Texts that are formulas to a spreadsheet, or markup to a browser, or that end a cell, a line or a page. */
const HOSTILE = [
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '\t=1',
  '\r=1',
  "'=1",
  '＝1',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</td></table></body></html>',
  '<!--',
  '&lt;b&gt;',
  'a,b',
  'a"b',
  'a\r\nb',
  '',
  '\u202Eabc',
] as const

function update(id: string, from: string | null, to: string | null): WrittenChange {
  const baseline = { source: 'f1', target: 'f2' }
  return { op: 'update', key: [id], image: { before: [id, from], after: [id, to], baseline, large: false } }
}

async function feed(api: ApiUnderTest, job: Job, changes: readonly WrittenChange[], given: Partial<WrittenBatch> = {}) {
  const history = must(historyOf(job, 'detailed', api), 'a history')
  const batch = {
    mappingId: 'm',
    mappingHash: 'h',
    target: TABLE,
    key: ['id'],
    columns: ['id', 'v'],
    batch: 1,
    kind: 'apply' as const,
  }
  await history.keep({ ...batch, changes, ...given })
}

const SHOP = `CREATE TABLE t (id int PRIMARY KEY, v text)`

/**
 * A run between two real databases that sets one row aside. At `summary` the job itself tells nothing, so that what is kept
 * is what the test tells in its place.
 */
async function ranLab(kind: (typeof STORE_KINDS)[number], level = 'summary'): Promise<Lab & { readonly job: Job }> {
  const source = `${SHOP}; INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 5) i`
  const policies = { audit_level: level, delete_policy: 'delete', tables: [{ source: 't', target: 't' }] }
  const lab = await createLab(kind, { source, target: `${SHOP}; ALTER TABLE t ADD CHECK (v <> 'v5')` }, policies)
  const job = await lab.run()
  return { ...lab, job, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() }
}

const as = async (api: ApiUnderTest, secret: string, path: string): Promise<Fields> => {
  const answer = await api.send(secret, 'GET', path)
  expect(answer.statusCode, `${path}: ${answer.body}`).toBe(200)
  return answer.json<Fields>()
}

const itemsOf = (page: unknown): readonly Fields[] => (page as { items: readonly Fields[] }).items

describe.each(STORE_KINDS)('the audit in %s', (kind) => {
  test('a job is told from its start to its end, with what it wrote; rows are for operators', async () => {
    await using lab = await ranLab(kind)
    const { api, job, operator, viewer } = lab
    await feed(api, job, [update('1', CANARY, `${CANARY} 2`), update('2', null, 'x')])
    const told = await as(api, viewer, `/api/sync/audit/${job.id}`)
    expect(told).toMatchObject({ audit_level: 'summary', started_by: 'a operator', more_events: false })
    const events = told['events'] as readonly Fields[]
    expect(events.map(({ action, address }) => [action, address])).toEqual([
      ['job.start', null],
      ['job.end', null],
    ])
    expect(events[1]?.['data']).toMatchObject({ status: 'succeeded', counts: { inserted: 4, rejected: 1 } })
    expect(told['changes']).toMatchObject({
      values_shown: false,
      items: [
        { op: 'update', key: ['1'], key_columns: ['id'], table: TABLE, before: null, after: null, batch: 1 },
        { key: ['2'] },
      ],
    })
    expect(JSON.stringify(told)).not.toContain(CANARY)
    const full = await as(api, operator, `/api/jobs/${job.id}/history?key=1`)
    const cells = (v: string) => [
      { column: 'id', value: '1' },
      { column: 'v', value: v },
    ]
    expect(full).toMatchObject({
      values_shown: true,
      next_cursor: null,
      items: [{ before: cells(CANARY), after: cells(`${CANARY} 2`) }],
    })
    expect(itemsOf(full)).toHaveLength(1)
    const first = await as(api, viewer, `/api/sync/audit/${job.id}?limit=1`)
    const { next_cursor: cursor } = first['changes'] as Fields
    const second = await as(api, viewer, `/api/sync/audit/${job.id}?limit=1&cursor=${String(cursor)}`)
    expect(second).toMatchObject({ events: [], changes: { items: [{ key: ['2'] }], next_cursor: null } })
    const none = await as(api, viewer, `/api/jobs/${job.id}/history?op=delete`)
    expect(itemsOf(none)).toEqual([])
    // What people decide about rows of the job belongs to it.
    const [rejection] = await lab.rejections()
    await lab.ask('POST', `/api/rejections/${String(rejection?.['id'])}/dismiss`, {})
    const later = (await as(api, viewer, `/api/sync/audit/${job.id}`))['events'] as readonly Fields[]
    expect(later.map(({ action }) => action)).toEqual(['job.start', 'job.end', 'rejection.dismiss'])
  })

  test('S18, S19: a report holds everything in each form, and no text in it is markup or formula', async () => {
    await using lab = await ranLab(kind)
    const { api, job, operator, viewer } = lab
    const changes = HOSTILE.map((text, i) => update(`${i} ${text}`, text, `${CANARY} ${text}`))
    await feed(api, job, changes, { columns: ['id', '<b>=v</b>'] })
    const history = must(historyOf(job, 'detailed', api), 'a history')
    await history.loaded({ mappingId: 'l', target: { schema: 's', name: '<i>' }, rows: 7, digest: 'abc' })
    const ask = async (secret: string, format: string) => {
      const answer = await api.send(secret, 'GET', `/api/sync/audit/${job.id}/report?format=${format}`)
      expect(answer.statusCode, answer.body).toBe(200)
      return answer
    }
    const json = await ask(operator, 'json')
    const report = json.json<Fields>()
    expect(report).toMatchObject({
      started_by: 'a operator',
      job: { id: job.id, config_version: 1, counts: { inserted: 4, rejected: 1 } },
      config: { name: 'config', version: 1 },
      source: { name: 'source' },
      target: { name: 'target' },
      tables: [
        {
          target: TABLE,
          verification: { mode: 'full', source_digest: expect.stringMatching(/^[0-9a-f]{32,}$/) as string },
          rejections: 1,
        },
      ],
      rejections: [{ rows: 1, code: '23514' }],
      written: [
        { table: TABLE, updated: HOSTILE.length },
        { table: { name: '<i>' }, loaded: 7 },
      ],
      values_shown: true,
    })
    const told = report['changes'] as readonly Fields[]
    expect(
      told.map(({ key, after }) => [(key as string[] | null)?.[0], (after as Fields[] | null)?.[1]?.['value']]),
    ).toEqual([...HOSTILE.map((text, i) => [`${i} ${text}`, `${CANARY} ${text}`]), [undefined, undefined]])
    expect(json.headers['content-disposition']).toBe(`attachment; filename="audit-${job.id}.json"`)

    const csv = await ask(operator, 'csv')
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8')
    const lines = readCsv(csv.body)
    const width = lines[0]?.length
    for (const line of lines) {
      expect(line).toHaveLength(width ?? 0)
      for (const cell of line) expect(cell ?? '').not.toMatch(/^[=+\-@\t\r＝]/)
    }
    const of = (record: string) => lines.filter(([first]) => first === record)
    expect(of('change')).toHaveLength(HOSTILE.length + 1)
    const values = of('cell').filter((line) => line[6]?.includes('v'))
    const without = (cell: string | null | undefined) => cell?.replace(/^'/, '')
    expect(values.map((line) => without(line[7]))).toEqual([...HOSTILE])
    expect(of('fact').find((line) => line[6] === 'started_by')?.[8]).toBe('a operator')
    expect(of('table').find((line) => line[6] === 'target_digest')?.[8]).toMatch(/^[0-9a-f]{32,}$/)
    expect(lines.at(-1)?.[0]).toBe('end')

    const html = await ask(operator, 'html')
    const policy = String(html.headers['content-security-policy'])
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    )
    const tags = new Set([...html.body.matchAll(/<\/?([a-z!][a-z0-9]*)/gi)].map(([, name]) => name))
    const ours = '!doctype html head meta title style body h1 h2 table thead tbody tr th td ul li div p code bdi'
    expect(tags).toEqual(new Set(ours.split(' ')))
    expect(html.body).not.toMatch(/<[^>]*\son\w+=/i)
    expect(html.body).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
    expect(html.body).toContain('&amp;lt;b&amp;gt;')
    expect(html.body.trimEnd()).toMatch(/End of the report\.<\/p>\n<\/body>\n<\/html>$/)

    for (const format of ['json', 'csv', 'html']) {
      const { body } = await ask(viewer, format)
      expect(body).not.toContain(CANARY)
      expect(body, 'keys are shown').toContain('0 =1+1')
    }
    const admin = (await api.key('admin')).secret
    const exported = itemsOf(await as(api, admin, '/api/audit?action=audit.report&sort=seq'))
    expect(exported.map(({ data }) => data)).toEqual([
      ...['json', 'csv', 'html'].map((format) => ({ format, values: true })),
      ...['json', 'csv', 'html'].map((format) => ({ format, values: false })),
    ])
    for (const line of api.log) expect(line).not.toContain(CANARY)
  })

  test('why a row is as it is: every change of its key by any job, with who started it', async () => {
    await using lab = await ranLab(kind)
    const { api, job, operator, viewer, config } = lab
    await feed(api, job, [update('1', 'a', 'b'), update('2', 'x', 'y')])
    const second = await lab.run()
    await feed(api, second, [update('1', 'b', CANARY)])
    await must(historyOf(job, 'detailed', api), 'a history').loaded({
      mappingId: 'l',
      target: TABLE,
      rows: 4,
      digest: 'd',
    })
    const path = (more: string) => `/api/history?table=t&key=1&${more}`
    const found = await as(api, operator, path(`config=${config}`))
    expect(found).toMatchObject({
      values_shown: true,
      items: [
        { job_id: second.id, op: 'update', job_status: 'succeeded', started_by: 'a operator', config_id: config },
        {
          job_id: job.id,
          before: [
            { column: 'id', value: '1' },
            { column: 'v', value: 'a' },
          ],
        },
      ],
      loads: [{ job_id: job.id, rows: 4, started_by: 'a operator' }],
      next_cursor: null,
    })
    const page = await as(api, operator, path('datasource=target&limit=1'))
    const next = await as(api, operator, path(`datasource=target&limit=1&cursor=${String(page['next_cursor'])}`))
    expect([...itemsOf(page), ...itemsOf(next)]).toEqual(itemsOf(found))
    expect(JSON.stringify(await as(api, viewer, path('config=config')))).not.toContain(CANARY)
    for (const bad of ['', `config=${config}&datasource=target`, 'config=config&limit=101', 'config=config&cursor=x']) {
      expect((await api.send(viewer, 'GET', path(bad))).statusCode, bad).toBe(400)
    }
    expect((await api.send(viewer, 'GET', path('config=nothing'))).statusCode).toBe(404)
    // The job is gone; what it wrote is known for as long as the history is.
    await api.store.db.deleteFrom('job').where('id', '=', second.id).execute()
    const [last] = itemsOf(await as(api, viewer, path('config=config')))
    expect(last).toMatchObject({ job_id: second.id, job_status: null, started_by: 'a operator' })
  })

  test('what real runs write is kept as it was and as it became, and each change of a row is found by its key', async () => {
    await using lab = await ranLab(kind, 'detailed')
    const { api, job, operator } = lab
    await lab.source.sql(
      `UPDATE t SET v = 'new' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (6, NULL)`,
    )
    const second = await lab.run()
    expect(second.counts).toMatchObject({ inserted: 1, updated: 1, deleted: 1 })
    const written = itemsOf(await as(api, operator, `/api/jobs/${second.id}/history`))
    const valueIn = (cells: unknown) => (cells as Fields[] | null)?.map(({ value }) => value) ?? null
    const found = written.map(({ op, key, before, after }) => [
      op,
      (key as string[])[0],
      valueIn(before),
      valueIn(after),
    ])
    expect(found.toSorted((a, b) => (String(a[1]) < String(b[1]) ? -1 : 1))).toEqual([
      ['update', '2', ['2', 'v2'], ['2', 'new']],
      ['delete', '3', ['3', 'v3'], null],
      ['insert', '6', null, ['6', null]],
    ])
    const history = await as(api, operator, '/api/history?config=config&table=t&key=2')
    const jobs = [...itemsOf(history), ...(history['loads'] as readonly Fields[])].map(({ job_id: id }) => id)
    expect(jobs).toEqual([second.id, job.id])
    const { body: csv } = await api.send(operator, 'GET', `/api/sync/audit/${second.id}/report?format=csv`)
    const cells = readCsv(csv).filter(([record, , , , , key]) => record === 'cell' && key === '2')
    expect(cells.map((line) => [line[6], line[7], line[8]])).toEqual([
      ['id', '2', '2'],
      ['v', 'v2', 'new'],
    ])
    const told = await as(api, operator, `/api/audit?job=${second.id}&action=job.end`)
    expect(itemsOf(told)[0]?.['data']).toMatchObject({ history: { rows: 3 } })
    expect((await as(api, operator, `/api/audit/stats?job=${second.id}`))['written']).toMatchObject([
      { inserted: 1, updated: 1, deleted: 1 },
    ])
  })

  test('S61: the check names what is wrong, and counts what happened', async () => {
    await using lab = await ranLab(kind)
    const { api, job, viewer } = lab
    await feed(api, job, [update('1', 'a', 'b')])
    const check = await as(api, viewer, '/api/audit/verify')
    expect(check).toMatchObject({ whole: true, damage: null, cut_through: null })
    expect(await as(api, viewer, `/api/audit/verify?noted=${String(check['head'])}`)).toMatchObject({ whole: true })
    const stats = await as(api, viewer, '/api/audit/stats?job=' + job.id)
    expect(stats).toMatchObject({
      events: 2,
      actions: expect.arrayContaining([{ action: 'job.end', events: 1 }]) as unknown,
      actors: expect.arrayContaining([{ actor: 'system', name: 'system', events: 1 }]) as unknown,
      days: [{ events: 2 }],
      written: [{ table: TABLE, updated: 1, inserted: 0, batches: 1 }],
    })
    expect(await as(api, viewer, '/api/audit/stats?until=2020-01-01')).toMatchObject({ events: 0, written: [] })
    const [end] = itemsOf(await as(api, viewer, '/api/audit?action=job.end'))
    await api.store.db.updateTable('audit_event').set({ data: '{}' }).where('action', '=', 'job.end').execute()
    expect(await as(api, viewer, '/api/audit/verify')).toMatchObject({
      whole: false,
      damage: { seq: end?.['seq'], kind: 'changed' },
    })
    expect((await api.send(viewer, 'GET', '/api/audit/verify?noted=1')).statusCode).toBe(400)
  })
})

test('S9: events and rows outside the scope of a key are not there for it; events about rights are for admins', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const foreign = await createSet(api, admin, { ...world, suffix: ' 2' })
  await api.send('sl_wrong', 'GET', '/api/jobs')
  for (const set of [world, foreign]) {
    await feed(api, await getJob(api.store, set.job), [update(set.job, 'a', 'b')], {
      target: { schema: 'public', name: 'a' },
    })
  }
  const scoped = (await api.key('operator', [world.source, world.target])).secret
  const viewer = (await api.key('viewer')).secret
  const subjects = async (secret: string, query = '') =>
    new Set(itemsOf(await as(api, secret, `/api/audit?limit=1000${query}`)).map(({ subject }) => subject))
  const { source, target, config, job } = world
  expect(await subjects(scoped)).toEqual(new Set([source, target, config, job, world.dump]))
  const theirs = [foreign.source, foreign.target, foreign.config, foreign.job, foreign.dump]
  const all = [source, target, config, job, world.dump, ...theirs]
  expect(await subjects(viewer)).toEqual(new Set(all))
  const events = itemsOf(await as(api, admin, '/api/audit?limit=1000'))
  expect(new Set(events.map(({ action }) => action))).toContain('login.refuse')
  expect(new Set(events.map(({ action }) => action))).toContain('key.create')
  expect(new Set(events.map(({ address }) => address))).toContain('127.0.0.1')
  expect(await subjects(viewer, '&config=config')).toEqual(new Set([config, job]))
  expect(await subjects(viewer, '&datasource=source')).toEqual(new Set([source, config, job]))
  expect(await subjects(viewer, '&datasource=target')).toEqual(new Set([target, config, job, world.dump]))
  expect(await subjects(viewer, `&search=${foreign.job.toUpperCase()}`)).toEqual(new Set([foreign.job]))
  for (const hidden of [`job=${foreign.job}`, 'config=config%202', 'datasource=source%202']) {
    expect((await api.send(scoped, 'GET', `/api/audit?${hidden}`)).statusCode, hidden).toBe(404)
    expect((await api.send(scoped, 'GET', `/api/audit/stats?${hidden}`)).statusCode, hidden).toBe(404)
  }
  const document = { name: 'config', source_datasource_id: source, target_datasource_id: target, batch_size: 7 }
  await api.send(admin, 'PUT', `/api/sync-configs/${config}`, { body: document })
  const [changed] = itemsOf(await as(api, viewer, '/api/audit?action=sync_config.update'))
  const digest = expect.stringMatching(/^[0-9a-f]{64}$/) as string
  expect(changed?.['data']).toEqual({
    name: 'config',
    version: 2,
    changed: ['batch_size'],
    before: digest,
    after: digest,
  })
  expect((await api.send(scoped, 'GET', '/api/audit/verify')).statusCode).toBe(403)
  const stats = await as(api, scoped, '/api/audit/stats')
  expect(stats['written']).toMatchObject([{ datasource_id: target, updated: 1 }])
  for (const set of ['config=config%202', 'datasource=target%202']) {
    expect((await api.send(scoped, 'GET', `/api/history?table=a&key=${foreign.job}&${set}`)).statusCode).toBe(404)
  }
  // Another source writes to the same target: who may not see that source does not see its rows.
  await api.store.db.updateTable('history_batch').set({ target_datasource_id: target }).execute()
  const through = await as(api, scoped, `/api/history?table=a&key=${foreign.job}&datasource=target`)
  expect(through).toMatchObject({ items: [], loads: [] })
})

test('S19: a cell of a CSV file is no formula, and is read back as it was', () => {
  expect([null, '', 'a', "'a", 'a b', 'a"b', '=1', '-5', '\n'].map(csvCell)).toEqual([
    '',
    '""',
    'a',
    "''a",
    '"a b"',
    '"a""b"',
    "'=1",
    "'-5",
    '"\'\n"',
  ])
})

/** RFC 4180; an empty cell without quotes is null. */
function readCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = []
  let row: (string | null)[] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy
  for (let match = cell.exec(text); match !== null; match = cell.exec(text)) {
    const [, quoted, plain, end] = match
    row.push(quoted === undefined ? plain || null : quoted.replaceAll('""', '"'))
    if (end !== ',') {
      rows.push(row)
      row = []
    }
    if (cell.lastIndex === text.length) return rows
  }
  throw new Error(`not read to its end: ${text.slice(cell.lastIndex, cell.lastIndex + 100)}`)
}
