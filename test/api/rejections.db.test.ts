/** The quarantine, from a row that cannot be carried to the run that leaves alone what somebody made of it. */
import { describe, expect, test } from 'vitest'

import { createLab, type Fields } from '#test/harness/quarantine.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

const CANARY = 'canary-row-value'

const FIELDS = {
  person: ['id', 'name', 'born', 'mail'].map((name) => ({ target: name, column: name })),
  pet: ['id', 'owner_id', 'name'].map((name) => ({ target: name, column: name })),
}

const SOURCE = `
  CREATE TABLE person (id int PRIMARY KEY, name text, born text, mail text);
  CREATE TABLE pet (id int PRIMARY KEY, owner_id int, name text);
  INSERT INTO person SELECT i, 'name ' || i, '2000-01-01', 'mail' || i FROM generate_series(1, 20) i;
  UPDATE person SET name = repeat('${CANARY}', 3) WHERE id = 3;
  UPDATE person SET mail = '${CANARY}' WHERE id IN (4, 5);
  INSERT INTO pet SELECT i, i, 'pet ' || i FROM generate_series(1, 20) i`

/** A name of id 3 is too long for the mapping; the mail of 4 and 5 breaks a constraint; the pets of all three lack an owner. */
const TARGET = `
  CREATE TABLE person (id int PRIMARY KEY, name varchar(20), born text, mail text CHECK (mail NOT LIKE 'canary%'));
  CREATE TABLE pet (id int PRIMARY KEY, owner_id int REFERENCES person (id), name text)`

const POLICIES = {
  delete_policy: 'delete',
  delete_scope: 'mirror',
  max_overwrite_percent: 100,
  tables: [
    { source: 'person', target: 'person', field_mappings: FIELDS.person },
    { source: 'pet', target: 'pet', field_mappings: FIELDS.pet },
  ],
}

const idOf = (rows: readonly Fields[], table: string, key: string): string => {
  const found = rows.find(
    ({ target, key: own }) => (target as Fields)['name'] === table && JSON.stringify(own) === `["${key}"]`,
  )
  return String(found?.['id'])
}

describe.each(STORE_KINDS)('on %s', (kind) => {
  test('B4: a row whose key is no value of the target is set aside, and replayed where it has become one', async () => {
    await using lab = await createLab(
      kind,
      {
        source:
          'CREATE TABLE t (code numeric PRIMARY KEY, n int); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i',
        target: `CREATE DOMAIN code AS numeric CONSTRAINT low CHECK (VALUE < 8); CREATE TABLE t (code code PRIMARY KEY, n int)`,
      },
      { tables: [{ source: 't', target: 't' }] },
    )
    const first = await lab.run()
    expect(first).toMatchObject({ status: 'succeeded', counts: { inserted: 7, rejected: 2 } })
    expect((await lab.rejections()).map(({ key, code }) => [key, code])).toEqual([
      [['8'], '23514'],
      [['9'], '23514'],
    ])
    await lab.ask('POST', `/api/jobs/${first.id}/rejections/replay`, {})
    expect(await lab.work()).toMatchObject({ status: 'succeeded', counts: { inserted: 0, rejected: 2 } })
    await lab.target.sql('ALTER DOMAIN code DROP CONSTRAINT low')
    await lab.ask('POST', `/api/jobs/${first.id}/rejections/replay`, {})
    expect(await lab.work()).toMatchObject({ status: 'succeeded', counts: { inserted: 2, rejected: 0 } })
  })

  test('B4, S10: rows are set aside, mended and replayed with what hangs on them, and runs leave them alone', async () => {
    await using lab = await createLab(kind, { source: SOURCE, target: TARGET }, POLICIES)
    const first = await lab.run()
    expect(first.counts).toMatchObject({ read: 40, inserted: 34, rejected: 6 })
    const rows = await lab.rejections()
    expect(
      rows.map(({ target, key, code, column, status }) => [(target as Fields)['name'], key, code, column, status]),
    ).toEqual([
      ['person', ['3'], 'value_refused', 'name', 'open'],
      ['person', ['4'], '23514', null, 'open'],
      ['person', ['5'], '23514', null, 'open'],
      ['pet', ['3'], '23503', null, 'open'],
      ['pet', ['4'], '23503', null, 'open'],
      ['pet', ['5'], '23503', null, 'open'],
    ])

    // Values are for those who may mend them, and nowhere else.
    const three = idOf(rows, 'person', '3')
    const [shown, hidden] = [
      await lab.api.send(lab.operator, 'GET', `/api/rejections/${three}`),
      await lab.api.send(lab.viewer, 'GET', `/api/rejections/${three}`),
    ]
    expect(shown.json<Fields>()).toMatchObject({ value: CANARY.repeat(3), values_shown: true })
    expect(hidden.json<Fields>()).toMatchObject({ value: null, row: null, mapped: null, key: ['3'], column: 'name' })
    for (const path of [`/jobs/${first.id}/rejections`, `/jobs/${first.id}/receipt`, `/jobs/${first.id}/log`]) {
      expect((await lab.api.send(lab.viewer, 'GET', `/api${path}`)).body, path).not.toContain(CANARY)
    }
    const stored = await lab.api.store.db.selectFrom('rejection').selectAll().execute()
    const jobs = await lab.api.store.db.selectFrom('job').selectAll().execute()
    expect(JSON.stringify([stored, jobs])).not.toContain(CANARY)

    // A value is checked by the column; a version by its tag.
    const refused = await lab.api.send(lab.operator, 'PUT', `/api/rejections/${three}`, {
      body: { values: { name: 'x'.repeat(21), nothing: '1' } },
    })
    expect(refused.statusCode).toBe(400)
    expect(refused.body).toContain('longer than 20 characters')
    expect(refused.body).not.toContain('xxxxx')
    const stale = await lab.api.send(lab.operator, 'PUT', `/api/rejections/${three}`, {
      body: { values: { name: 'Three' } },
      headers: { 'if-match': '"99"' },
    })
    expect(stale.statusCode).toBe(412)
    expect(await lab.ask('PUT', `/api/rejections/${three}`, { values: { name: 'Three' } })).toMatchObject({
      status: 'edited',
      edited: [{ column: 'name', value: 'Three' }],
    })
    await lab.ask('PUT', `/api/rejections/${idOf(rows, 'person', '4')}`, { values: { mail: 'four@mail.example' } })
    await lab.ask('POST', `/api/rejections/${idOf(rows, 'person', '5')}/dismiss`, {})

    // Parents and children in one replay: the counts close, and what cannot go yet stays with its reason.
    await lab.ask('POST', `/api/jobs/${first.id}/rejections/replay`, {})
    const replay = await lab.work()
    expect(replay.counts).toMatchObject({ read: 5, inserted: 4, rejected: 1 })
    expect(await lab.target.sql('SELECT id, name, mail FROM person WHERE id IN (3, 4, 5)')).toEqual([
      ['3', 'Three', 'mail3'],
      ['4', 'name 4', 'four@mail.example'],
    ])
    const statuses = async () => (await lab.rejections()).map(({ status }) => status)
    expect(await statuses()).toEqual(['replayed', 'replayed', 'dismissed', 'replayed', 'replayed', 'open'])

    // The next run does not fight what people decided.
    const quiet = await lab.run()
    expect(quiet.counts).toMatchObject({
      read: 40,
      unchanged: 36,
      skipped: 3,
      rejected: 1,
      inserted: 0,
      updated: 0,
      deleted: 0,
    })
    expect(quiet.result).toMatchObject({ tables: [{ verification: { changedSince: 0 } }, {}] })
    const full = await lab.run({ mode: 'full' })
    expect(full.counts).toMatchObject({ unchanged: 36, skipped: 3, rejected: 1, deleted: 0 })

    // A row of the source that changes is judged anew, whatever was decided before.
    await lab.source.sql(`UPDATE person SET name = 'Anew' WHERE id = 3; UPDATE person SET mail = 'five' WHERE id = 5;
      UPDATE person SET mail = '${CANARY} again' WHERE id = 4`)
    const anew = await lab.run()
    expect(anew.counts).toMatchObject({ inserted: 2, updated: 1, rejected: 1, skipped: 0 })
    expect(await statuses()).toEqual(['gone', 'open', 'gone', 'replayed', 'replayed', 'gone'])
    expect(lab.api.log.join('\n')).not.toContain(CANARY)
  })
})

test('P9, D15: a row of the target that moved since it was set aside stays, is said, and is open again', async () => {
  await using lab = await createLab('sqlite', { source: SOURCE, target: TARGET }, POLICIES)
  const first = await lab.run({ tables: ['person'] })
  const rows = await lab.rejections()
  await lab.ask('PUT', `/api/rejections/${idOf(rows, 'person', '3')}`, { values: { name: 'Three' } })
  await lab.ask('PUT', `/api/rejections/${idOf(rows, 'person', '4')}`, { values: { mail: 'x' } })
  await lab.target.sql(`INSERT INTO person VALUES (3, 'theirs', NULL, NULL)`)
  await lab.source.sql(`UPDATE person SET name = 'other' WHERE id = 4`)
  await lab.ask('POST', `/api/jobs/${first.id}/rejections/replay`, {})
  const replay = await lab.work()
  expect(replay.counts).toMatchObject({ read: 3, conflicted: 2, rejected: 1, inserted: 0 })
  expect(JSON.stringify(replay.result)).toContain('rows that moved since they were set aside')
  expect(await lab.target.sql('SELECT name FROM person WHERE id = 3')).toEqual([['theirs']])
  const after = await lab.rejections()
  expect(after.map(({ status, code }) => [status, code])).toEqual([
    ['open', 'row_moved'],
    ['open', 'row_moved'],
    ['open', '23514'],
  ])
  // On what is there now, it can be mended again.
  await lab.ask('PUT', `/api/rejections/${idOf(after, 'person', '3')}`, { values: { name: 'Ours' } })
  const only = idOf(after, 'person', '3')
  await lab.ask('POST', `/api/rejections/${only}/replay`, {})
  expect((await lab.work()).counts).toMatchObject({ read: 1, updated: 1 })
  expect(await lab.target.sql('SELECT name FROM person WHERE id = 3')).toEqual([['Ours']])
})

test('rows of a table with a computed key, and a thousand of them, page by page and by cause', async () => {
  const source = `CREATE TABLE item (id int PRIMARY KEY, code text, price text);
    INSERT INTO item SELECT i, 'c' || i, CASE WHEN i <= 1000 THEN 'dear' ELSE '1.50' END FROM generate_series(1, 1200) i`
  const target = `CREATE TABLE item (code text PRIMARY KEY, price numeric(10,2))`
  const fields = [
    { target: 'code', column: 'code', transforms: ['upper'] },
    { target: 'price', column: 'price', transforms: [{ cast: { to: 'decimal' } }] },
  ]
  const tables = [{ source: 'item', target: 'item', key: ['id'], field_mappings: fields }]
  await using lab = await createLab('sqlite', { source, target }, { ...POLICIES, tables })
  const first = await lab.run()
  expect(first.counts).toMatchObject({ inserted: 200, rejected: 1000 })
  const seen = new Set<string>()
  let cursor: string | null = null
  do {
    const mark = cursor === null ? '' : `&cursor=${cursor}`
    const page: Fields = await lab.ask('GET', `/api/jobs/${first.id}/rejections?limit=300&column=price${mark}`)
    for (const { id, key_in: keyIn } of page['items'] as readonly Fields[]) {
      expect(keyIn).toBe('source')
      seen.add(String(id))
    }
    expect(page['groups']).toMatchObject([{ column: 'price', code: 'value_refused', rows: 1000 }])
    const next = page['next_cursor']
    cursor = typeof next === 'string' ? next : null
  } while (cursor !== null)
  expect(seen.size).toBe(1000)
  const [one] = await lab.rejections('?key=7')
  expect(one).toMatchObject({ key: ['7'], status: 'open' })
  const id = String(one?.['id'])
  const at = await lab.ask('GET', `/api/rejections/${id}`)
  expect(at).toMatchObject({ value: 'dear', row: expect.arrayContaining([{ column: 'code', value: 'c7' }]) as unknown })
  await lab.ask('PUT', `/api/rejections/${id}`, { values: { price: '007.50' } })
  await lab.ask('POST', `/api/rejections/${id}/replay`, {})
  expect((await lab.work()).counts).toMatchObject({ read: 1, inserted: 1 })
  expect(await lab.target.sql(`SELECT price FROM item WHERE code = 'C7'`)).toEqual([['7.50']])
  // Told again by the next run, the others are the same entries, and the mended row is left to itself.
  const second = await lab.run()
  expect(second.counts).toMatchObject({ unchanged: 200, rejected: 999, skipped: 1, deleted: 0 })
  const all = await lab.api.store.db.selectFrom('rejection').select(['id', 'last_job_id']).execute()
  expect(all).toHaveLength(1000)
  expect(new Set(all.map((row) => row.last_job_id))).toEqual(new Set([second.id]))
})

test('a delete that the target refuses can be let be, or tried again', async () => {
  const rows = `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 10) i`
  const held = `${rows}; CREATE TABLE holder (t_id int REFERENCES t (id)); INSERT INTO holder VALUES (1), (2)`
  await using lab = await createLab(
    'sqlite',
    { source: rows, target: held },
    { ...POLICIES, tables: [{ source: 't', target: 't' }] },
  )
  await lab.source.sql('DELETE FROM t WHERE id IN (1, 2, 3)')
  const first = await lab.run()
  expect(first.counts).toMatchObject({ read: 10, deleted: 1, rejected: 2, unchanged: 7 })
  const set = await lab.rejections()
  expect(set.map(({ op, key, code }) => [op, key, code])).toEqual([
    ['delete', ['1'], '23503'],
    ['delete', ['2'], '23503'],
  ])
  const one = idOf(set, 't', '1')
  expect(
    (await lab.api.send(lab.operator, 'PUT', `/api/rejections/${one}`, { body: { values: { v: 'x' } } })).statusCode,
  ).toBe(400)
  await lab.ask('POST', `/api/rejections/${one}/dismiss`, {})
  const second = await lab.run()
  expect(second.counts).toMatchObject({ read: 9, deleted: 0, rejected: 1, skipped: 1, unchanged: 7 })
  await lab.target.sql('DELETE FROM holder')
  await lab.ask('POST', `/api/jobs/${first.id}/rejections/replay`, { rejections: [one, idOf(set, 't', '2')] })
  expect((await lab.work()).counts).toMatchObject({ read: 2, deleted: 2 })
  expect(await lab.target.sql('SELECT count(*) FROM t')).toEqual([['7']])
  expect((await lab.run()).counts).toMatchObject({ read: 7, unchanged: 7 })
})

test('values of every type that somebody types in are proved, or left out of the proof, and stay', async () => {
  const columns = `id int PRIMARY KEY, n numeric(10,3), f float8, b boolean, d date, ts timestamp, tz timestamptz, u uuid,
    j jsonb, i inet, a int[], s text`
  const source = `CREATE TABLE t (${columns}); INSERT INTO t (id, s) SELECT i, 'bad' FROM generate_series(1, 4) i`
  const target = `CREATE TABLE t (${columns}, CHECK (s <> 'bad'))`
  await using lab = await createLab(
    'sqlite',
    { source, target },
    { ...POLICIES, tables: [{ source: 't', target: 't' }] },
  )
  const first = await lab.run()
  expect(first.counts).toMatchObject({ rejected: 4 })
  const set = await lab.rejections()
  const values = [
    { n: '007.50', f: '1e2', b: 'true', d: '2024-02-29', ts: '2024-02-29 12:00:00', s: 'good' },
    { tz: '2024-02-29 12:00:00+02', u: 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', j: '{"b": 1, "a": [1.0]}', s: 'good' },
    { i: '10.0.0.1/32', a: '{1, 2}', s: null },
  ]
  for (const [place, given] of values.entries()) {
    await lab.ask('PUT', `/api/rejections/${idOf(set, 't', String(place + 1))}`, { values: given })
  }
  for (const bad of [
    { n: 'many' },
    { d: '2024-02-30' },
    { b: 'perhaps' },
    { j: '{' },
    { id: null },
    { nowhere: '1' },
  ]) {
    const answer = await lab.api.send(lab.operator, 'PUT', `/api/rejections/${idOf(set, 't', '4')}`, {
      body: { values: bad },
    })
    expect([answer.statusCode, bad]).toEqual([400, bad])
  }
  await lab.ask('POST', `/api/jobs/${first.id}/rejections/replay`, {})
  const replay = await lab.work()
  expect(replay.counts).toMatchObject({ read: 4, inserted: 3, rejected: 1 })
  expect(replay.result).toMatchObject({ tables: [{ verification: { mode: 'changed', changedSince: 0, rows: 1 } }] })
  expect(await lab.target.sql('SELECT n, f, b, d, ts FROM t WHERE id = 1')).toEqual([
    ['7.500', '100', 't', '2024-02-29', '2024-02-29 12:00:00'],
  ])
  expect(await lab.target.sql('SELECT i, a FROM t WHERE id = 3')).toEqual([['10.0.0.1', '{1,2}']])
  expect((await lab.run()).counts).toMatchObject({ read: 4, skipped: 3, rejected: 1 })
})
