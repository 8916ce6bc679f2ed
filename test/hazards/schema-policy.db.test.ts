/**
 * Hazard D10: what becomes of a column that the source has and the target lacks. It is added, stops the run, or is left
 * out with a note, as the schema policy says; a column that was renamed is never taken for a new one; and a run that is
 * killed between the new column and its rows is completed by the next.
 */
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import type { Receipt } from '#model/receipt.ts'
import type { SyncConfig } from '#model/sync-config.ts'

import { expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import type { TextRow } from '#test/harness/side.ts'
import { createPair, mapping, MIRROR, wroteNothing, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()
const ROWS = 300
const ADD: Partial<SyncConfig> = { newColumns: 'add', batchSize: 50, parallel: 1 }
const STRICT: Partial<SyncConfig> = { ...ADD, newColumns: 'stop' }

/** Two tables in step, after a run. */
async function pairInStep(policies: Partial<SyncConfig> = ADD): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE other (id int PRIMARY KEY)')
  await pair.source.sql(
    `INSERT INTO t SELECT i, 'a' || i FROM generate_series(1, ${ROWS}) i; INSERT INTO other VALUES (1)`,
  )
  await pair.run(policies)
  return pair
}

/** Columns of the target's table with all that was said of them. */
async function columnsOf({ target: db }: Pair, table = 't'): Promise<TextRow[]> {
  return db.sql(
    `SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef, attidentity, attgenerated
     FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  )
}

async function refusal(pair: Pair, config: Partial<SyncConfig>): Promise<{ code: string; message: string }> {
  const before = await columnsOf(pair)
  const error: unknown = await pair.run(config).catch((thrown: unknown) => thrown)
  expect(await columnsOf(pair)).toEqual(before)
  if (error instanceof Error && 'code' in error) return { code: String(error.code), message: error.message }
  throw new Error(`the run was not refused: ${JSON.stringify(error)}`)
}

function notes({ notes: all }: Receipt, about: string): string[] {
  return all.filter((note) => note.includes(about))
}

const NEW: readonly (readonly [what: string, ddl: string, native: string])[] = [
  ['a column', 'ADD x int', 'integer'],
  ['one with a modifier', 'ADD x numeric(9,3)', 'numeric(9,3)'],
  ['a timestamp of few digits', 'ADD x timestamp(3) with time zone', 'timestamp(3) with time zone'],
  ['a bounded text', `ADD x varchar(7) NOT NULL DEFAULT 'seven'`, 'character varying(7)'],
  ['an array', `ADD x int[] DEFAULT '{1,NULL}'`, 'integer[]'],
  ['a uuid', 'ADD x uuid DEFAULT gen_random_uuid()', 'uuid'],
  ['a boolean that must have a value', 'ADD x bool NOT NULL DEFAULT true', 'boolean'],
  ['an identity', 'ADD x bigint GENERATED ALWAYS AS IDENTITY', 'bigint'],
  ['a generated column', 'ADD x int GENERATED ALWAYS AS (id * 2) STORED', 'integer'],
  ['a text with a collation of its own', `ADD x text COLLATE "POSIX" DEFAULT 'ä'`, 'text'],
  ['a hostile name', `ADD "x""; --😀" text DEFAULT 'v'`, 'text'],
]

test.each(NEW)('D10: %s that the source got is added, may be NULL, and is filled', async (_what, ddl, native) => {
  await using pair = await pairInStep()
  await pair.source.sql(
    `ALTER TABLE t ${ddl}; UPDATE t SET a = 'changed' WHERE id = 1; INSERT INTO t (id) VALUES (1000)`,
  )
  const preview = await pair.preview(ADD)
  expect(preview.notes.filter((note) => note.includes('ALTER TABLE "public"."t" ADD COLUMN'))).toHaveLength(1)
  expect(preview.tables.find(({ target: { name } }) => name === 't')).toMatchObject({ inserts: 1 })
  expect(await columnsOf(pair)).toHaveLength(2)
  const receipt = await pair.run(ADD)
  expect(notes(receipt, 'ADD COLUMN')).toHaveLength(1)
  expect((await columnsOf(pair))[2]?.slice(1)).toEqual([native, 'f', 'f', '', ''])
  await expectSameTable(pair.source, pair.target, 't')
  const table = receipt.tables.find(({ target: { name } }) => name === 't')
  expect(table).toMatchObject({ bulkLoaded: false, verification: { changedSince: 0 } })
  // No first contact: the rows were ours before, and no brake asks.
  expect(wroteNothing(await pair.run(ADD))).toBe(true)
})

test('D10: into an empty table the new column is loaded whole', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(
    `CREATE TABLE t (id int PRIMARY KEY, a text, b bigint); INSERT INTO t SELECT i, 'a', i FROM generate_series(1, 500) i`,
  )
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY)')
  const receipt = await pair.run({ ...ADD, verifyAfter: 'full' })
  expect(receipt.tables[0]).toMatchObject({ bulkLoaded: true, counts: { inserted: 500 } })
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: a partitioned table gets the column with all its partitions', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
    CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (1000)`)
  await pair.source.sql(`INSERT INTO t SELECT i, 'a' FROM generate_series(1, 200) i`)
  await pair.run(ADD)
  await pair.source.sql(`ALTER TABLE t ADD b int DEFAULT 5`)
  await pair.run(ADD)
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: under strict the run stops with the difference, and with the statement', async () => {
  await using pair = await pairInStep(STRICT)
  await pair.source.sql('ALTER TABLE t ADD x int')
  const error = await refusal(pair, STRICT)
  expect(error).toEqual({
    code: 'schema_differs',
    message:
      'public.t has no column "x": the schema policy is strict. It would be added by ALTER TABLE "public"."t" ADD COLUMN "x" integer;',
  })
  await pair.run({ ...STRICT, tables: [mapping('t', { exclude: ['x'] })] })
  await pair.target.sql('ALTER TABLE t ADD COLUMN x integer')
  await pair.run(STRICT)
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: where nobody chose a policy, the column is left out with a note', async () => {
  await using pair = await pairInStep({})
  await pair.source.sql('ALTER TABLE t ADD x int')
  const receipt = await pair.run()
  expect(notes(receipt, 'has no column "x"')).toHaveLength(1)
  expect(await columnsOf(pair)).toHaveLength(2)
})

test('D10: fields that are mapped one by one add nothing, and neither do columns that are left out', async () => {
  await using pair = await pairInStep()
  await pair.source.sql('ALTER TABLE t ADD x int, ADD y int')
  const field = (name: string) =>
    ({ target: name, from: { kind: 'columns', columns: [name] }, transforms: [], rules: [] }) as const
  await pair.run({ ...ADD, tables: [mapping('t', { fields: [field('id'), field('a')] })] }, { approve: true })
  await pair.run({ ...ADD, tables: [mapping('t', { columns: ['id', 'a'] })] }, { approve: true })
  expect(await columnsOf(pair)).toHaveLength(2)
  await pair.run({ ...ADD, tables: [mapping('t', { exclude: ['x'] })] }, { approve: true })
  expect((await columnsOf(pair)).map(([name]) => name)).toEqual(['id', 'a', 'y'])
})

test('D10: a column of the key is never added', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql('CREATE TABLE t (id int, part int, PRIMARY KEY (id, part)); INSERT INTO t VALUES (1, 1)')
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY)')
  const error = await refusal(pair, ADD)
  expect(error).toMatchObject({
    code: 'schema_differs',
    message: expect.stringContaining('"part": it is part of the key'),
  })
})

test('D10: a type that the target lacks is refused with the statement that makes it; another one of its name as well', async () => {
  await using pair = await pairInStep()
  await pair.source.sql(`CREATE TYPE mood AS ENUM ('it''s good', 'bad'); ALTER TABLE t ADD m mood DEFAULT 'bad'`)
  const missing = await refusal(pair, ADD)
  expect(missing.code).toBe('schema_differs')
  expect(missing.message).toContain(`CREATE TYPE public.mood AS ENUM ('it''s good', 'bad');`)
  await pair.target.sql(`CREATE TYPE mood AS ENUM ('bad')`)
  const other = await refusal(pair, ADD)
  expect(other.message).toContain('is another one than that of the source')
  await pair.target.sql(`DROP TYPE mood; ${/CREATE TYPE.*?;/.exec(missing.message)?.[0]}`)
  await pair.run(ADD)
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: a login that does not own the table is told what the owner has to run', async () => {
  await using pair = await pairInStep()
  const role = `writer_${pair.target.name.slice(-8)}`
  await pair.target
    .sql(`CREATE ROLE ${role} LOGIN PASSWORD 'p'; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ${role};
    GRANT USAGE ON SCHEMA public, syncline TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA syncline TO ${role};
    GRANT CREATE ON DATABASE ${pair.target.name} TO ${role}`)
  try {
    await pair.source.sql('ALTER TABLE t ADD x int')
    const url = new URL(pair.target.url)
    ;[url.username, url.password] = [role, 'p']
    const error: unknown = await pair.run(ADD, { targetUrl: url.href }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'schema_differs',
      message: expect.stringMatching(
        /does not own the table; run this as .*: ALTER TABLE "public"\."t" ADD COLUMN "x" integer;/,
      ),
    })
    expect(await columnsOf(pair)).toHaveLength(2)
  } finally {
    await pair.target.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
})

test.each([
  ['added', ADD],
  ['strict', STRICT],
])('D10: a column that was renamed is no new one (%s)', async (_name, policy) => {
  await using pair = await pairInStep(policy)
  await pair.source.sql('ALTER TABLE t RENAME a TO b')
  const error = await refusal(pair, policy)
  expect(error).toEqual({
    code: 'column_renamed',
    message:
      'public.t: the column "b" was renamed from "a" since the last run, and public.t still has "a". Rename it there as well: ALTER TABLE "public"."t" RENAME COLUMN "a" TO "b";',
  })
  const preview: unknown = await pair.preview(policy).catch((thrown: unknown) => thrown)
  expect(preview).toMatchObject({ code: 'column_renamed' })
  await pair.target.sql(error.message.slice(error.message.indexOf('ALTER')))
  const receipt = await pair.run(policy, { approve: true })
  expect(notes(receipt, 'renamed from "a"')).toHaveLength(1)
  expect(wroteNothing(receipt)).toBe(true)
  await expectSameTable(pair.source, pair.target, 't')
  expect(notes(await pair.run(policy), 'renamed')).toEqual([])
})

test('D10: where nobody chose a policy, a renamed column is told with the next step', async () => {
  await using pair = await pairInStep({})
  await pair.source.sql('ALTER TABLE t RENAME a TO b')
  const receipt = await pair.run({}, { approve: true })
  expect(notes(receipt, 'was renamed from "a"')[0]).toContain('RENAME COLUMN "a" TO "b";')
})

test('D10: a column that took the name of a dropped one is a new column, and so is every one of a table made anew', async () => {
  await using pair = await pairInStep()
  await pair.source.sql(`ALTER TABLE t DROP a, ADD b text DEFAULT 'b'`)
  await pair.run(ADD, { approve: true })
  expect((await columnsOf(pair)).map(([name]) => name)).toEqual(['id', 'a', 'b'])
  await pair.source.sql(
    `DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, c text); INSERT INTO t SELECT i, 'c' FROM generate_series(1, ${ROWS}) i`,
  )
  await pair.run(ADD, { approve: true })
  expect((await columnsOf(pair)).map(([name]) => name)).toEqual(['id', 'a', 'b', 'c'])
  await expectSameTable(pair.source, pair.target, 't', { columns: ['id', 'c'] })
})

test('D10: a column that the source gets while the run is under way waits for the next run', async () => {
  await using pair = await pairInStep()
  await pair.source.sql(`ALTER TABLE t ADD x int DEFAULT 1; UPDATE other SET id = 2`)
  let ddl: Promise<unknown> = Promise.resolve()
  const receipt = await pair.run(ADD, {
    beforeBatch: async (batch) => {
      // The source's tables are held: the statement waits until the run lets go of them.
      if (batch === 1) ddl = pair.source.sql('ALTER TABLE t ADD late int DEFAULT 7')
    },
  })
  await ddl
  expect(receipt.stopped).toEqual([])
  expect((await columnsOf(pair)).map(([name]) => name)).toEqual(['id', 'a', 'x'])
  await pair.run(ADD)
  expect((await columnsOf(pair)).map(([name]) => name)).toEqual(['id', 'a', 'x', 'late'])
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: a column that the source gets between plan and snapshot is added by the same run', async () => {
  await using pair = await pairInStep()
  const receipt = await pair.run(ADD, {
    beforeHold: async (attempt) => {
      if (attempt === 1) await pair.source.sql('ALTER TABLE t ADD x int DEFAULT 1')
    },
  })
  expect(receipt.stopped).toEqual([])
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: a target that is altered right after our own column stops that table, and the other goes on', async () => {
  await using pair = await pairInStep()
  await pair.source.sql('ALTER TABLE t ADD x int DEFAULT 1; INSERT INTO other VALUES (2)')
  const receipt = await pair.run(ADD, {
    beforeBatch: async (_batch, { name, batch }) => {
      if (name === 't' && batch === 2) await pair.target.sql('ALTER TABLE t ALTER x TYPE bigint')
    },
  })
  expect(receipt.stopped).toMatchObject([
    { code: 'schema_changed', reason: expect.stringContaining('"x" has become bigint') },
  ])
  await expectSameTable(pair.source, pair.target, 'other')
})

test('D10: a run that dies between the new column and its rows is completed by the next, with no brake', async () => {
  await using pair = await pairInStep({ ...ADD, ...MIRROR })
  await pair.source.sql('ALTER TABLE t ADD x int NOT NULL DEFAULT 1')
  const cut = pair.run(
    { ...ADD, ...MIRROR },
    {
      beforeBatch: async (batch) => {
        if (batch >= 2) throw new Error('cut off')
      },
    },
  )
  await expect(cut).rejects.toThrow('cut off')
  expect((await columnsOf(pair)).map(([name]) => name)).toEqual(['id', 'a', 'x'])
  expect(await pair.target.sql('SELECT count(x) FROM t')).toEqual([['50']])
  const receipt = await pair.run({ ...ADD, ...MIRROR })
  expect(receipt.tables.find(({ target: { name } }) => name === 't')?.counts).toMatchObject({
    updated: ROWS,
    unchanged: 0,
  })
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: a diff adds nothing', async () => {
  await using pair = await pairInStep()
  await pair.source.sql('ALTER TABLE t ADD x int DEFAULT 1')
  const comparison = await pair.compare('rows', ADD)
  expect(comparison.equal).toBe(true)
  expect(comparison.notes.join()).toContain('has no column "x"')
  expect(await columnsOf(pair)).toHaveLength(2)
})

test('the state of an older version of the program is taken over', async () => {
  await using pair = await pairInStep()
  await pair.target.sql(
    'ALTER TABLE syncline.state DROP source_columns, DROP detection; UPDATE syncline.meta SET version = 1',
  )
  await pair.preview(ADD)
  await pair.source.sql('ALTER TABLE t ADD x int')
  await pair.run(ADD)
  expect(await pair.target.sql('SELECT version FROM syncline.meta')).toEqual([['4']])
  expect(await pair.target.sql(`SELECT count(*) FROM syncline.state WHERE source_columns IS NULL`)).toEqual([['1']])
  await using adapter = await openDatabase(pair.target.url, { write: null, signal: new AbortController().signal })
  const nobody = { source: 'nobody', target: { schema: 'public', name: 't' } }
  expect(await adapter.lastColumns([nobody])).toEqual([null])
})
