/** Change sets over the API: a dry run that is looked at, ticked, taken along and approved. */
import { describe, expect, test } from 'vitest'

import { createDatabase, expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createLab, type Fields } from '#test/harness/quarantine.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

import { approve, cellsOf, changesOf, readCsv, SMALL, small, type Page } from './change-calls.ts'

const CANARY = 'canary-row-value'

const TABLES = `
  CREATE TYPE mood AS ENUM ('calm', 'wild');
  CREATE TYPE size AS (w int, h int);
  CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, price numeric(10,2), tags text[],
    doc jsonb, raw json, bin bytea, at timestamptz, feel mood, box size, ratio float8, spell interval, code char(4));
  CREATE TABLE line (item_id int REFERENCES item (id), n int, note text, PRIMARY KEY (item_id, n));
  CREATE TABLE "we""ird; --" ("a'b" text PRIMARY KEY, "UPDATE" text)`

const ROWS = `
  INSERT INTO item OVERRIDING SYSTEM VALUE
    SELECT i, 'name ' || i, i * 1.5, ARRAY['a', NULL, 'b"c'], jsonb_build_object('n', i), '{"b": 1,  "a": 2}',
      decode('00ff27', 'hex'), '2026-01-02 03:04:05.678+00', 'calm', ROW(i, NULL)::size, 0.1, '1 day 2 hours', 'ab'
    FROM generate_series(1, 40) i;
  INSERT INTO line SELECT i, 1, 'first' FROM generate_series(1, 40) i;
  INSERT INTO "we""ird; --" SELECT 'k' || i, 'v' FROM generate_series(1, 5) i`

/** 10 updates of the price, 3 of name and price, 4 inserts with lines, 5 deletes with their lines. */
const EDITS = String.raw`
  UPDATE item SET price = price + 1 WHERE id <= 10;
  UPDATE item SET price = 7, name = NULL WHERE id = 11;
  UPDATE item SET price = 8, name = '=1+1 "x", it''s
a \ line' WHERE id = 12;
  UPDATE item SET price = 9, name = '${CANARY}', raw = '{"a": 1}', feel = 'wild', box = NULL, tags = '{}' WHERE id = 13;
  INSERT INTO item OVERRIDING SYSTEM VALUE VALUES (101, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'NaN', NULL, NULL),
    (102, '''apostrophe', -5, '{x}', '{"a": 1.50}', 'null', '\x', 'infinity', 'wild', '(,)', -0.5, '-1 mons', 'abcd'),
    (103, '@SUM(A1)', 1e7, '{}', '[]', '[1,  2]', '\x5c27', '1999-12-31', 'calm', '(1,2)', '1e300', '1 year', ''),
    (104, NULL, 0, '{NULL}', '"\""', '""', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  INSERT INTO line SELECT i, 1, 'new' FROM generate_series(101, 104) i;
  DELETE FROM line WHERE item_id BETWEEN 36 AND 40;
  DELETE FROM item WHERE id BETWEEN 36 AND 40;
  UPDATE "we""ird; --" SET "UPDATE" = E'it''s; -- \\ \n' WHERE "a'b" = 'k1';
  INSERT INTO "we""ird; --" VALUES ('''); DROP TABLE item; --', 'x');
  DELETE FROM "we""ird; --" WHERE "a'b" = 'k2'`

const MIRROR = {
  delete_policy: 'delete',
  delete_scope: 'mirror',
  max_delete_percent: 100,
  max_overwrite_percent: 100,
  tables: [{ source: 'item' }, { source: 'line' }, { source: '"we""ird; --"' }],
}

const SIDES = { source: `${TABLES}; ${ROWS}; ${EDITS}`, target: `${TABLES}; ${ROWS}` }

describe.each(STORE_KINDS)('on %s', (kind) => {
  test('a dry run is looked at, taken along, ticked and approved, and exactly the rest of it is written', async () => {
    await using lab = await createLab(kind, SIDES, MIRROR)
    const plan = await lab.run({ dry_run: true })
    const all = await changesOf(lab, plan.id)
    expect(all.items).toHaveLength(13 + 4 + 5 + 4 + 5 + 3)
    expect(all.items.map(({ seq }) => seq)).toEqual(all.items.map((_, i) => i + 1))
    expect(all.summary).toMatchObject({ job_id: plan.id, state: 'ready', stop: null, open: 0, approval: null })
    const item = all.summary.tables.find(({ target }) => (target as Fields)['name'] === 'item')
    expect(item).toMatchObject({ inserts: 4, updates: 13, deletes: 5, marks: { planned: 22, left: 0, moved: 0 } })
    expect(item?.['changed_columns']).toEqual(
      expect.arrayContaining([
        { column: 'price', rows: 13 },
        { column: 'name', rows: 3 },
      ]),
    )
    expect(String(all.summary['expires_at']) > String(all.summary['sealed_at'])).toBe(true)

    // Filters, and pages that join without a gap.
    const count = async (query: string) => (await changesOf(lab, plan.id, query)).items.length
    expect(await count('table=item&op=update&column=name')).toBe(3)
    expect(await count('op=insert,delete')).toBe(20)
    expect(await count('table=line&key=["101","1"]')).toBe(1)
    expect(await count('table=item&key=12')).toBe(1)
    expect(await count('mark=planned')).toBe(34)
    expect(await count('mark=left,moved')).toBe(0)
    const pages: Fields[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Page = await changesOf(lab, plan.id, `limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`)
      pages.push(...page.items)
      cursor = page.next_cursor
    }
    expect(pages).toEqual(all.items)
    const twelve = (await changesOf(lab, plan.id, 'table=item&key=12')).items[0]
    expect(twelve).toMatchObject({
      op: 'update',
      key: ['12'],
      changed: ['name', 'price'],
      mark: 'planned',
      large: false,
    })
    expect(cellsOf(twelve?.['before'])).toMatchObject({ name: 'name 12', price: '18.00' })
    expect(cellsOf(twelve?.['after'])).toMatchObject({ name: '=1+1 "x", it\'s\na \\ line', price: '8.00' })

    // A row is ticked out, and a whole table.
    const decide = (body: object) => lab.ask('POST', `/api/jobs/${plan.id}/changes/decide`, body)
    expect(await decide({ verdict: 'leave', seqs: [twelve?.['seq']] })).toMatchObject({ changed: 1, open: 0 })
    expect(await decide({ verdict: 'leave', filter: { table: '"we""ird; --"' } })).toMatchObject({ changed: 3 })
    expect(await decide({ verdict: 'leave', filter: { table: '"we""ird; --"' } })).toMatchObject({ changed: 0 })
    expect(await decide({ verdict: 'apply', filter: { table: '"we""ird; --"', op: 'insert' } })).toMatchObject({
      changed: 1,
    })
    expect(await decide({ verdict: 'leave', filter: { table: '"we""ird; --"' } })).toMatchObject({ changed: 1 })
    const left = await changesOf(lab, plan.id, 'mark=left')
    expect(left.items).toHaveLength(4)
    expect(left.items[0]).toMatchObject({ mark: 'left', decided: { by: expect.any(String) as unknown } })

    // The statements do on a copy of the target what the job does on the target.
    await using copy = await createDatabase(sharedServers().target)
    await copy.sql(SIDES.target)
    const download = (format: string, query = '') =>
      lab.api.send(lab.operator, 'GET', `/api/jobs/${plan.id}/changes/download?format=${format}${query}`)
    const script = await download('sql')
    expect(script.headers['content-disposition']).toBe(`attachment; filename="${plan.id}-changes.sql"`)
    await copy.sql(script.body)
    const json = (await download('json')).json<{ changes: readonly Fields[]; digest: string }>()
    expect(json.changes).toEqual((await changesOf(lab, plan.id)).items)
    expect(json.digest).toBe(all.summary['digest'])
    const csv = await download('csv', '&table=item')
    expect(csv.body).toContain('"\'=1+1')
    expect(csv.body).not.toMatch(/"[=@+-]/)
    const lines = readCsv(csv.body)
    const cell = (seq: unknown, column: string) =>
      lines.find(([of, , , , , name]) => of === String(seq) && name === column)?.slice(6, 8)
    const seqOf = (key: string) =>
      json.changes.find((change) => JSON.stringify(change['key']) === `["${key}"]`)?.['seq']
    expect(cell(twelve?.['seq'], 'name')).toEqual(['name 12', '=1+1 "x", it\'s\na \\ line'])
    expect(cell(seqOf('11'), 'name')).toEqual(['name 11', null])
    expect(cell(seqOf('101'), 'name')).toEqual([null, ''])
    expect(cell(seqOf('102'), 'name')).toEqual([null, "'apostrophe"])
    expect(cell(seqOf('102'), 'price')).toEqual([null, '-5.00'])

    // Exactly that is approved, and exactly that is written.
    const wrong = await approve(lab, plan.id, { digest: '0'.repeat(64) })
    expect(wrong.json()).toMatchObject({ status: 409, code: 'change_set_moved' })
    const body = { digest: all.summary['digest'] }
    const approved = await approve(lab, plan.id, body, { 'idempotency-key': 'once' })
    expect(approved.statusCode, approved.body).toBe(202)
    const { job_id: id } = approved.json<{ job_id: string }>()
    expect(id).not.toBe(plan.id)
    const again = await approve(lab, plan.id, body, { 'idempotency-key': 'once' })
    expect([again.statusCode, again.body, again.headers['idempotent-replayed']]).toEqual([202, approved.body, 'true'])
    expect((await approve(lab, plan.id, body)).json()).toMatchObject({ status: 409, code: 'nothing_to_approve' })
    expect(
      (
        await lab.api.send(lab.operator, 'POST', `/api/jobs/${plan.id}/changes/decide`, {
          body: { verdict: 'apply', filter: {} },
        })
      ).json(),
    ).toMatchObject({ code: 'wrong_state' })
    const job = await lab.work()
    expect(job.id).toBe(id)
    expect(job.counts).toMatchObject({ inserted: 8, updated: 12, deleted: 10, skipped: 4, conflicted: 0, rejected: 0 })
    for (const name of ['item', 'line', 'we"ird; --']) await expectSameTable(lab.target, copy, ['public', name])
    expect(await lab.target.sql(`SELECT name FROM item WHERE id = 12`)).toEqual([['name 12']])
    expect(await lab.target.sql(`SELECT count(*) FROM "we""ird; --"`)).toEqual([['5']])
    expect(await lab.ask('GET', `/api/jobs/${id}`)).toMatchObject({
      approves: plan.id,
      commit_mode: 'streaming',
      dry_run: false,
    })

    // What is left of it is the summary; a repeated approval answers what it answered.
    const after = await changesOf(lab, plan.id)
    expect(after).toMatchObject({
      items: [],
      summary: { state: 'applied', taken_by: id, approval: { digest: body.digest } },
    })
    expect((await download('sql')).json()).toMatchObject({ status: 409, code: 'wrong_state' })
    expect((await approve(lab, plan.id, body, { 'idempotency-key': 'once' })).body).toBe(approved.body)
    expect(lab.api.log.join('\n')).not.toContain(CANARY)
    const stored = await lab.api.store.db.selectFrom('audit_event').selectAll().execute()
    expect(JSON.stringify(stored)).not.toContain(CANARY)
    expect(stored.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['change_set.download', 'change_set.leave']),
    )
  })

  test('S10: whoever may not see rows sees no values, wherever they are asked for', async () => {
    await using lab = await createLab(kind, SIDES, { ...MIRROR, commit_mode: 'approval' })
    const [plan, waiting] = [await lab.run({ dry_run: true }), await lab.run({}, 'awaiting_approval')]
    for (const { id } of [plan, waiting]) {
      const shown = await lab.api.send(lab.operator, 'GET', `/api/jobs/${id}/changes`)
      expect(shown.body).toContain(CANARY)
      const hidden = await lab.api.send(lab.viewer, 'GET', `/api/jobs/${id}/changes?table=item&key=13`)
      const { items, summary } = hidden.json<Page>()
      expect(summary['values_shown']).toBe(false)
      expect(items).toMatchObject([{ op: 'update', key: ['13'], before: null, after: null, now: null }])
      expect(items[0]?.['changed']).toEqual(['name', 'price', 'tags', 'raw', 'feel', 'box'])
      for (const path of ['', '/changes', '/receipt', '/log']) {
        const answer = await lab.api.send(lab.viewer, 'GET', `/api/jobs/${id}${path}`)
        expect(answer.statusCode, answer.body).toBe(200)
        expect(answer.body, path).not.toContain(CANARY)
      }
      expect((await lab.api.send(lab.viewer, 'GET', `/api/jobs/${id}/changes/download`)).statusCode).toBe(403)
      expect((await lab.api.send(lab.viewer, 'POST', `/api/jobs/${id}/approve`, { body: {} })).statusCode).toBe(403)
    }
    const stored = await lab.api.store.db.selectFrom('job').selectAll().execute()
    expect(JSON.stringify(stored).includes(CANARY)).toBe(false)
  })
})

test('statements leave a row that is another one by now; those of a decision name the row that it was taken on', async () => {
  await using lab = await createLab('sqlite', small, { ...SMALL, commit_mode: 'approval' })
  await lab.source.sql(`UPDATE t SET v = repeat('x', 1200000) WHERE id = 20`)
  const job = await lab.run({}, 'awaiting_approval')
  const script = async () =>
    (await lab.api.send(lab.operator, 'GET', `/api/jobs/${job.id}/changes/download?format=sql`)).body
  const planned = await script()
  expect(planned).toContain('-- change 20: the row is too large to be kept')
  const twenty = (await changesOf(lab, job.id, 'key=20')).items
  expect(twenty).toMatchObject([{ large: true, after: null, changed: null }])
  await using copy = await createDatabase(sharedServers().target)
  await copy.sql(`${small.target}; UPDATE t SET v = 'theirs' WHERE id = 1`)
  await copy.sql(planned)
  expect(await copy.sql(`SELECT id, v FROM t WHERE v <> 'new' ORDER BY id`)).toEqual([
    ['1', 'theirs'],
    ['20', 'old'],
  ])

  await lab.target.sql(`UPDATE t SET v = 'theirs' WHERE id = 1; DELETE FROM t WHERE id = 2`)
  await approve(lab, job.id)
  await lab.work('awaiting_resolution')
  const csv = await lab.api.send(lab.operator, 'GET', `/api/jobs/${job.id}/changes/download?format=csv&mark=moved`)
  expect(readCsv(csv.body).map((fields) => fields.slice(2))).toEqual(
    expect.arrayContaining([
      ['update', '["1"]', 'moved', 'v', 'old', 'new', 'theirs', expect.any(String) as unknown],
      ['update', '["2"]', 'moved', 'v', 'old', 'new', null, expect.any(String) as unknown],
    ]),
  )
  await using moved = await createDatabase(sharedServers().target)
  await moved.sql(`CREATE TABLE t AS SELECT * FROM (VALUES (1, 'theirs'), (3, 'old')) r (id, v)`)
  await lab.ask('POST', `/api/jobs/${job.id}/changes/decide`, { verdict: 'apply', filter: {} })
  const decided = await lab.api.send(lab.operator, 'GET', `/api/jobs/${job.id}/changes/download?format=sql&mark=again`)
  await moved.sql(decided.body)
  expect(await moved.sql(`SELECT * FROM t ORDER BY id`)).toEqual([
    ['1', 'new'],
    ['2', 'new'],
    ['3', 'old'],
  ])
  expect((await lab.work()).status).toBe('succeeded')
})

test('a download of which a part was altered has no end; where a part is gone, nothing is sent', async () => {
  const rows = (word: string) =>
    `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, '${word}' FROM generate_series(1, 1500) i`
  await using lab = await createLab('postgres', { source: rows('new'), target: rows('old') }, SMALL)
  const { app, store } = lab.api
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const ask = (job: string) =>
    fetch(`${address}/api/jobs/${job}/changes/download`, { headers: { 'x-api-key': lab.operator } })
  const [altered, gone] = [await lab.run({ dry_run: true }), await lab.run({ dry_run: true })]
  const whole = (await (await ask(altered.id)).json()) as { changes: readonly Fields[] }
  expect(whole.changes).toHaveLength(1_500)
  const body = Buffer.from('other')
  await store.db.updateTable('staged_chunk').set({ body }).where('job_id', '=', altered.id).where('n', '=', 2).execute()
  const cut = await ask(altered.id)
  expect(cut.status).toBe(200)
  await expect(cut.text()).rejects.toThrow('terminated')
  await store.db.deleteFrom('staged_chunk').where('job_id', '=', gone.id).where('n', '=', 2).execute()
  for (const { id } of [altered, gone]) {
    const late = await ask(id)
    expect([late.status, ((await late.json()) as Fields)['code']]).toEqual([410, 'change_set_lost'])
    expect((await changesOf(lab, id)).summary).toMatchObject({ state: 'lost' })
  }
})
