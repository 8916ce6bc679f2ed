/** Unique values that two rows are to have, as people see and decide them over the API, also where all is written at once. */
import { describe, expect, test } from 'vitest'

import { must } from '#lib/assert.ts'
import { written } from '#model/counts.ts'
import { approve } from '#test/api/change-calls.ts'
import { createLab, type Fields, type Lab } from '#test/harness/quarantine.ts'

const PERSON = 'CREATE TABLE person (id int PRIMARY KEY, mail text UNIQUE, login text NOT NULL UNIQUE)'
const POLICIES = { conflict_strategy: 'manual', delete_policy: 'delete', max_delete_percent: 100 } as const

/** In step but for 3, whose mail 4 has in the target, and for 6, whose login 7 has; 5 is new and in nobody's way. */
async function clashing(
  mode: 'streaming' | 'staged' | 'approval',
  kind: 'sqlite' | 'postgres' = 'sqlite',
): Promise<Lab> {
  const first = "INSERT INTO person VALUES (1, 'ann@x', 'ann'), (6, 'six@x', 'six')"
  const sides = { source: `${PERSON}; ${first}`, target: `${PERSON}; ${first}` }
  const lab = await createLab(kind, sides, { ...POLICIES, commit_mode: mode })
  await lab.run()
  await lab.source.sql(`INSERT INTO person VALUES (3, 'new@x', 'cid'), (5, 'eve@x', 'eve');
    UPDATE person SET login = 'seven' WHERE id = 6`)
  await lab.target.sql("INSERT INTO person VALUES (4, 'new@x', 'dan'), (7, 'seven@x', 'seven')")
  return lab
}

async function people(lab: Lab): Promise<string> {
  const rows = await lab.target.sql('SELECT id, mail, login FROM person ORDER BY id')
  return rows.map(([id, mail, login]) => `${id} ${mail?.replace('@x', '') ?? '–'} ${login}`).join(', ')
}

async function conflictsOf(lab: Lab, status = 'open'): Promise<readonly Fields[]> {
  const { items } = await lab.ask('GET', `/api/sync/${lab.config}/conflicts?status=${status}&limit=100`)
  return items as readonly Fields[]
}

async function find(lab: Lab, key: string): Promise<string> {
  const found = (await conflictsOf(lab, 'open,resolved,applied')).find((one) => String(one['key']) === key)
  return String(must(found, `a conflict of ${key}`)['id'])
}

async function decide(lab: Lab, key: string, body: object) {
  const path = `/api/sync/${lab.config}/resolve/${await find(lab, key)}`
  return await lab.api.send(lab.operator, 'POST', path, { body })
}

test.each(['sqlite', 'postgres'] as const)(
  'D3: what is in the way is shown to whoever may decide, and grouped by its columns, on %s',
  async (kind) => {
    await using lab = await clashing('streaming', kind)
    const job = await lab.run()
    expect(job.counts).toMatchObject({ inserted: 1, conflicted: 2, rejected: 0 })
    const page = await lab.ask('GET', `/api/sync/${lab.config}/conflicts?kind=unique_clash`)
    expect(page['groups']).toMatchObject([
      { kind: 'unique_clash', fields: ['login'], conflicts: 1, open: 1 },
      { kind: 'unique_clash', fields: ['mail'], conflicts: 1, open: 1 },
    ])
    expect(JSON.stringify(page)).not.toContain('new@x')
    const shown = await lab.ask('GET', `/api/conflicts/${await find(lab, '6')}`)
    expect(shown).toMatchObject({
      kind: 'unique_clash',
      reason: 'Another row of the target has its value of (login), which person_login_key lets one row have.',
      source_row: [
        { column: 'id', value: '6' },
        { column: 'mail', value: 'six@x' },
        { column: 'login', value: 'seven' },
      ],
      target_row: [
        { column: 'id', value: '6' },
        { column: 'mail', value: 'six@x' },
        { column: 'login', value: 'six' },
      ],
      holder: {
        side: 'target',
        key: ['7'],
        index: 'person_login_key',
        columns: ['login'],
        yields: null,
        row: [
          { column: 'id', value: '7' },
          { column: 'mail', value: 'seven@x' },
          { column: 'login', value: 'seven' },
        ],
      },
    })
    const seen = (await lab.api.send(lab.viewer, 'GET', `/api/conflicts/${await find(lab, '6')}`)).json<Fields>()
    expect(seen['holder']).toMatchObject({ key: ['7'], row: null })
  },
)

test('D3: the row in the way must be able to give way; all decisions are carried out, kept, and can be turned round', async () => {
  await using lab = await clashing('streaming')
  await lab.run()
  const refused = await decide(lab, '6', { take: 'source' })
  expect([refused.statusCode, refused.json<Fields>()]).toMatchObject([
    409,
    { code: 'wrong_state', detail: 'The row of the target that is in the way cannot go without its value of (login).' },
  ])
  expect((await decide(lab, '6', { take: 'row', values: { login: 'six6' }, start: false })).statusCode).toBe(200)
  expect((await decide(lab, '3', { take: 'source' })).statusCode).toBe(200)
  const job = await lab.work()
  expect(job.counts).toMatchObject({ inserted: 1, updated: 2, conflicted: 0, rejected: 0 })
  expect(await people(lab)).toBe('1 ann ann, 3 new cid, 4 – dan, 5 eve eve, 6 six six6, 7 seven seven')
  expect(written(must((await lab.run()).counts, 'counts'))).toBe(0)
  expect((await conflictsOf(lab, 'applied')).map(({ key }) => String(key)).toSorted()).toEqual(['3', '6'])
  // The row that lost its value is changed, and its value is not given back with the decision: its job can be undone.
  expect((await decide(lab, '3', { take: 'target' })).statusCode).toBe(200)
  await lab.work()
  expect(await people(lab)).toBe('1 ann ann, 4 – dan, 5 eve eve, 6 six six6, 7 seven seven')
  expect((await decide(lab, '3', { take: 'source' })).statusCode).toBe(200)
  await lab.work()
  expect(await people(lab)).toBe('1 ann ann, 3 new cid, 4 – dan, 5 eve eve, 6 six six6, 7 seven seven')
})

test('D15: what is in the way has changed: what was decided does not apply, in bulk neither', async () => {
  await using lab = await clashing('streaming')
  await lab.run()
  const body = { take: 'skip', filter: { kind: ['unique_clash'] } }
  const would = await lab.ask('POST', `/api/sync/${lab.config}/resolve`, { ...body, dry_run: true })
  expect(would).toMatchObject({ conflicts: 2, kinds: [{ kind: 'unique_clash', conflicts: 2 }] })
  await lab.ask('POST', `/api/sync/${lab.config}/resolve`, body)
  await lab.target.sql("UPDATE person SET login = 'dora' WHERE id = 4")
  await lab.work()
  expect(await conflictsOf(lab)).toMatchObject([{ key: ['3'], status: 'open', reopened: 1 }])
  expect(await conflictsOf(lab, 'applied')).toMatchObject([{ key: ['6'], resolution: 'skip' }])
  const cellsOf = async () => {
    const { holder } = await lab.ask('GET', `/api/conflicts/${await find(lab, '3')}`)
    return (holder as { readonly row: readonly Fields[] }).row.map(({ value }) => value)
  }
  expect(await cellsOf()).toEqual(['4', 'new@x', 'dora'])
  await lab.target.sql("UPDATE person SET login = 'dorothy' WHERE id = 4")
  await lab.run()
  expect(await cellsOf()).toEqual(['4', 'new@x', 'dorothy'])
  await lab.run()
  expect(await conflictsOf(lab)).toMatchObject([{ key: ['3'], reopened: 1 }])
})

test('a rule decides clashes of its columns from the next run on', async () => {
  await using lab = await clashing('streaming')
  await lab.run()
  expect((await decide(lab, '3', { take: 'source', remember: true })).statusCode).toBe(200)
  await lab.work()
  await lab.source.sql("INSERT INTO person VALUES (10, 'ten@x', 'ten')")
  await lab.target.sql("INSERT INTO person VALUES (11, 'ten@x', 'eleven')")
  await lab.run()
  expect(await conflictsOf(lab, 'resolved')).toMatchObject([{ key: ['10'], resolution: 'source' }])
  await lab.run()
  expect(await lab.target.sql('SELECT mail FROM person WHERE id IN (10, 11) ORDER BY id')).toEqual([['ten@x'], [null]])
  expect((await conflictsOf(lab)).map(({ key }) => key)).toEqual([['6']])
})

describe.each(['staged', 'approval'] as const)('commit_mode %s', (mode) => {
  test('nothing is written before it is decided who has the value', async () => {
    await using lab = await clashing(mode)
    const before = await people(lab)
    const { id } = await lab.run({}, 'awaiting_resolution')
    expect((await conflictsOf(lab)).map(({ key, kind }) => `${String(key)} ${String(kind)}`).toSorted()).toEqual([
      '3 unique_clash',
      '6 unique_clash',
    ])
    expect(await people(lab)).toBe(before)
    await decide(lab, '3', { take: 'source' })
    // That login is in use too, and still is: it is asked about once more, and all waits for that.
    for (const [login, reopened] of [
      ['ann', 1],
      ['ann', 2],
    ] as const) {
      await decide(lab, '6', { take: 'row', values: { login, mail: `${login}6@x` } })
      await lab.work('awaiting_resolution')
      expect(await conflictsOf(lab)).toMatchObject([{ key: ['6'], reopened }])
    }
    expect(await people(lab)).toBe(before)
    await decide(lab, '6', { take: 'target' })
    if (mode === 'approval') {
      await lab.work('awaiting_approval')
      await approve(lab, id)
    }
    const done = await lab.work()
    expect([done.id, done.counts]).toMatchObject([id, { inserted: 2, updated: 1, conflicted: 0, rejected: 0 }])
    expect(await people(lab)).toBe('1 ann ann, 3 new cid, 4 – dan, 5 eve eve, 6 six six, 7 seven seven')
    expect((await conflictsOf(lab, 'applied')).map(({ key }) => String(key)).toSorted()).toEqual(['3', '6'])
  })

  test('D4: rows that change places, and values that are freed by the same changes, are in nobody’s way', async () => {
    const rows = "INSERT INTO person SELECT n, 'm' || n, 'l' || n FROM generate_series(1, 4) n"
    await using lab = await createLab(
      'sqlite',
      { source: `${PERSON}; ${rows}`, target: `${PERSON}; ${rows}` },
      { ...POLICIES, commit_mode: mode },
    )
    await lab.run()
    await lab.source.sql(`UPDATE person SET mail = 'x' || id; UPDATE person SET mail = 'm' || (3 - id) WHERE id < 3;
      DELETE FROM person WHERE id = 3; INSERT INTO person VALUES (9, 'm3', 'l9'), (8, 'm4', 'l8')`)
    let done = await lab.run({}, mode === 'staged' ? 'succeeded' : 'awaiting_approval')
    if (mode === 'approval') {
      await approve(lab, done.id)
      done = await lab.work()
    }
    expect(done.counts).toMatchObject({ updated: 3, inserted: 2, deleted: 1, conflicted: 0, rejected: 0 })
    const all = 'SELECT * FROM person ORDER BY id'
    expect(await lab.target.sql(all)).toEqual(await lab.source.sql(all))
  })
})
