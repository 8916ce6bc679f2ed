/** What of the tables of a sync config has changed since its mapping was looked over (UX 33). */
import { describe, expect, test } from 'vitest'

import { noteSchemas } from '#control/schema-drift.ts'
import { getConfig } from '#control/sync-configs.ts'

import { createLab, type Fields, type Lab } from '#test/harness/quarantine.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

const TABLES = `
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE goods (id int PRIMARY KEY, name varchar(40), price numeric(10,2), m mood);
  CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE)`

const DOCUMENT = { name: 'config', source_datasource_id: 'source', target_datasource_id: 'target' }

interface Drift extends Fields {
  readonly digest: string
  readonly changes: readonly (Fields & { readonly words: string })[]
}

const path = (lab: Lab): string => `/api/sync-configs/${lab.config}/schema-drift`
const look = async (lab: Lab): Promise<Drift> => (await lab.ask('POST', `${path(lab)}/look`, {})) as Drift
const wordsOf = ({ changes }: Drift): readonly string[] => changes.map(({ words }) => words)
const overviewOf = async (lab: Lab): Promise<Fields> =>
  ((await lab.ask('GET', '/api/overview'))['configs'] as readonly Fields[])[0] ?? {}

describe.each(STORE_KINDS)('on %s', (kind) => {
  test('UX 33: each thing that has changed on either side is named, until somebody accepts exactly that', async () => {
    await using lab = await createLab(kind, { source: TABLES, target: TABLES }, {})
    expect(await lab.ask('GET', path(lab))).toEqual({ known_at: null, seen_at: null, digest: null, changes: [] })
    expect(wordsOf(await look(lab))).toEqual([])
    await lab.source.sql(`
      ALTER TABLE goods ADD COLUMN weight int NOT NULL DEFAULT 1;
      ALTER TABLE goods RENAME COLUMN name TO title;
      ALTER TABLE goods ALTER COLUMN price TYPE numeric(12,2);
      ALTER TYPE mood ADD VALUE 'great'`)
    await lab.target.sql(`
      ALTER TABLE goods DROP COLUMN m;
      ALTER TABLE people ALTER COLUMN email SET NOT NULL, DROP CONSTRAINT people_email_key;
      CREATE TABLE stray (id int)`)
    const found = await look(lab)
    expect(wordsOf(found)).toEqual([
      '"name" in public.goods of the source is called "title" now',
      '"price" in public.goods of the source has become numeric(12,2); it was numeric(10,2)',
      '"m" in public.goods of the source has become public.mood (sad, ok, great); it was public.mood (sad, ok)',
      'public.goods of the source has a new column "weight": integer NOT NULL with a default',
      'public.goods of the target has no column "m" any more; it was public.mood (sad, ok)',
      '"email" in public.people of the target has become text NOT NULL; it was text',
      'the keys of public.people of the target have changed: unique (email) is gone',
    ])
    expect(await lab.ask('GET', path(lab))).toEqual(found)
    expect(await overviewOf(lab)).toMatchObject({ schema_drift: { changes: 7, first: wordsOf(found)[0] } })

    // Somebody alters a table while it is looked over.
    await lab.source.sql('ALTER TABLE people ADD COLUMN phone text')
    const anew = await look(lab)
    const accept = (digest: string) => lab.api.send(lab.operator, 'POST', `${path(lab)}/accept`, { body: { digest } })
    const late = await accept(found.digest)
    expect([late.statusCode, late.json<Fields>()['code']]).toEqual([412, 'version_conflict'])
    expect((await accept(anew.digest)).json()).toMatchObject({ changes: [] })
    expect(wordsOf(await look(lab))).toEqual([])
    expect(await overviewOf(lab)).toMatchObject({ schema_drift: null })
    const log = await lab.api.store.db
      .selectFrom('audit_event')
      .select(['subject', 'data'])
      .where('action', '=', 'sync_config.accept_schema_drift')
      .execute()
    expect(log.map(({ subject, data }) => [subject, JSON.parse(data)])).toEqual([
      [lab.config, { digest: anew.digest, changes: 8 }],
    ])
  })
})

test('UX 33: runs and dry runs look by themselves; what both sides went through alike, and what a run made, is in step', async () => {
  await using lab = await createLab('sqlite', { source: TABLES, target: 'SELECT 1' }, { schema_policy: 'create' })
  await lab.run()
  expect(await overviewOf(lab)).toMatchObject({ schema_drift: null })
  // The tables are there now, made by the run itself; so is a column that the next run adds.
  await lab.source.sql('ALTER TABLE goods ADD COLUMN weight int; INSERT INTO goods (id, weight) VALUES (1, 5)')
  await lab.run({ dry_run: true })
  expect(await overviewOf(lab)).toMatchObject({ schema_drift: { changes: 1 } })
  await lab.run()
  expect(await lab.target.sql('SELECT weight FROM goods')).toEqual([['5']])
  expect(wordsOf(await look(lab))).toEqual([])

  // A table that the config takes in by itself, and one that it cannot find any more.
  await lab.source.sql('CREATE TABLE more (id int PRIMARY KEY); DROP TABLE people')
  expect(wordsOf(await look(lab))).toEqual([
    'public.more of the source is new to this sync',
    'public.people of the source is not there any more',
  ])
})

test('UX 33: a table that a run has made is known from then on: what somebody does to it there is told', async () => {
  await using lab = await createLab('sqlite', { source: TABLES, target: 'SELECT 1' }, { schema_policy: 'create' })
  await look(lab)
  // New to both sides, once the run has made the table with it.
  await lab.source.sql('ALTER TABLE people ADD COLUMN phone text')
  await lab.run()
  expect(await overviewOf(lab)).toMatchObject({ schema_drift: null })
  await lab.target.sql('ALTER TABLE goods DROP COLUMN name')
  const told = ['public.goods of the target has no column "name" any more; it was character varying(40)']
  expect(wordsOf(await look(lab))).toEqual(told)
  expect(wordsOf(await look(lab))).toEqual(told)
})

test('UX 33: another mapping is looked over by whoever saves it; another name or schedule says nothing of the tables', async () => {
  await using lab = await createLab('sqlite', { source: TABLES, target: TABLES }, { tables: [{ source: 'goods' }] })
  await look(lab)
  await lab.source.sql('ALTER TABLE goods ADD COLUMN weight int; ALTER TABLE people ADD COLUMN phone text')
  expect(wordsOf(await look(lab))).toEqual(['public.goods of the source has a new column "weight": integer'])
  const document = { ...DOCUMENT, tables: [{ source: 'goods' }] }
  await lab.ask('PUT', `/api/sync-configs/${lab.config}`, { ...document, batch_size: 10, sync_interval: 3_600 })
  expect(wordsOf(await look(lab))).toHaveLength(1)
  const tables = [{ source: 'goods' }, { source: 'people' }]
  const { store } = lab.api
  const before = await getConfig(store, lab.config)
  await lab.ask('PUT', `/api/sync-configs/${lab.config}`, { ...document, tables })
  // What was told of the mapping before is not told of this one, and a look that began with that one comes too late.
  expect(await overviewOf(lab)).toMatchObject({ schema_drift: null })
  expect(await noteSchemas(store, before, { pairs: [], source: [], target: [] })).toBeNull()
  expect(await lab.ask('GET', path(lab))).toMatchObject({ known_at: null, changes: [] })
  expect(wordsOf(await look(lab))).toEqual([])

  // A job of the version before says nothing of the mapping of now.
  const first = await lab.run({ dry_run: true })
  await lab.ask('PUT', `/api/sync-configs/${lab.config}`, document)
  expect(wordsOf(await look(lab))).toEqual([])
  await lab.source.sql('ALTER TABLE goods ADD COLUMN size int')
  await lab.ask('POST', `/api/jobs/${first.id}/retry`, { config: 'original' })
  await lab.work()
  expect(await overviewOf(lab)).toMatchObject({ schema_drift: null })
  await lab.run({ dry_run: true })
  expect(await overviewOf(lab)).toMatchObject({ schema_drift: { changes: 1 } })
})

test('S9: the drift of a config is there for whoever may see the config, and its tables are looked at by operators', async () => {
  await using lab = await createLab('sqlite', { source: TABLES, target: TABLES }, {})
  await look(lab)
  expect((await lab.api.send(lab.viewer, 'GET', path(lab))).statusCode).toBe(200)
  for (const [act, body] of [
    ['look', {}],
    ['accept', { digest: '0'.repeat(64) }],
  ] as const) {
    expect((await lab.api.send(lab.viewer, 'POST', `${path(lab)}/${act}`, { body })).statusCode).toBe(403)
  }
  const other = (await lab.api.key('operator', ['ds_00000000000000000000000000'])).secret
  expect((await lab.api.send(other, 'GET', path(lab))).statusCode).toBe(404)
  await lab.source.close()
  await lab.api.store.db.deleteFrom('config_schema').execute()
  const early = await lab.api.send(lab.operator, 'POST', `${path(lab)}/accept`, { body: { digest: '0'.repeat(64) } })
  expect(early.json()).toMatchObject({ status: 404, code: 'not_found' })
})
