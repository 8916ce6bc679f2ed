/** Hazards A13, A14, B4, B5, B12, C19 and D6: what must stop a run, and what must not. */
import { expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'

import { expectSameTable, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, MIRROR, wroteNothing, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

/** The AppError that a promise ends in. */
async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error: unknown = await promise.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof AppError) return error
  throw error
}

async function inStep(tables: string, rows: string): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both(tables)
  await pair.source.sql(rows)
  await pair.run(MIRROR)
  return pair
}

const T = 'CREATE TABLE t (id int PRIMARY KEY, v text)'
const rows = (count: number): string => `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, ${count}) i`

test('A13: an empty source is a fault, however small the table', async () => {
  await using pair = await inStep(T, rows(3))
  await pair.source.sql('DELETE FROM t')
  const error = await failure(pair.run(MIRROR))
  expect(error.code).toBe('delete_brake')
  expect(error.message).toContain('3 of 3 rows of public.t, and the source has none')
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['3']])
  expect((await pair.preview(MIRROR)).stop?.code).toBe('delete_brake')
  expect((await failure(pair.run({ ...MIRROR, approvedDeletes: 2 }))).code).toBe('delete_brake')
  expect((await pair.run({ ...MIRROR, approvedDeletes: 3 })).counts.deleted).toBe(3)
})

test('A13: more than 100 rows and 10 percent need the very number', async () => {
  await using pair = await inStep(T, rows(1_200))
  await pair.source.sql('DELETE FROM t WHERE id <= 120')
  expect((await pair.run(MIRROR)).counts.deleted).toBe(120)
  await pair.source.sql('DELETE FROM t WHERE id <= 229')
  const error = await failure(pair.run(MIRROR))
  expect([error.code, error.hint]).toEqual(['delete_brake', expect.stringContaining('--approve-deletes 109')])
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['1080']])
  // What was approved is a number: one row more asks again.
  await pair.source.sql('DELETE FROM t WHERE id = 230')
  expect((await failure(pair.run({ ...MIRROR, approvedDeletes: 109 }))).hint).toContain('110')
  expect((await pair.run({ ...MIRROR, approvedDeletes: 110 })).counts.deleted).toBe(110)
})

test('P7: rows that were there before the first run are not overwritten in number without a word', async () => {
  await using pair = await createPair(source, target)
  await pair.both(T)
  await pair.source.sql(rows(500))
  await pair.target.sql("INSERT INTO t SELECT i, 'mine' FROM generate_series(1, 200) i")
  const error = await failure(pair.run())
  expect([error.code, error.hint]).toEqual(['overwrite_brake', expect.stringContaining('--approve-overwrites 200')])
  expect(await pair.target.sql("SELECT count(*) FROM t WHERE v = 'mine'")).toEqual([['200']])
  expect((await failure(pair.run({ approvedOverwrites: 199 }))).code).toBe('overwrite_brake')
  expect((await pair.run({ approvedOverwrites: 200 })).counts).toMatchObject({ updated: 200, inserted: 300 })
  await pair.source.sql("UPDATE t SET v = v || '!'")
  expect((await pair.run()).counts.updated).toBe(500)
})

test('A13: only rows of the sync itself are deleted unless the target is a mirror', async () => {
  await using pair = await createPair(source, target)
  await pair.both(T)
  await pair.source.sql(rows(10))
  await pair.target.sql("INSERT INTO t VALUES (100, 'mine')")
  const policies = { deletePolicy: 'delete' } as const
  await pair.run(policies)
  await pair.source.sql('DELETE FROM t WHERE id = 3')
  const { counts, tables } = await pair.run(policies)
  expect(counts).toMatchObject({ deleted: 1, skipped: 1, unchanged: 9, read: 11 })
  expect(tables[0]?.targetOnly).toBe(1)
  expect(await pair.target.sql('SELECT count(*), max(id) FROM t')).toEqual([['10', '100']])
})

/** A login that may do everything with the tables but does not own them, so that policies hold for it. */
async function policed(db: Database): Promise<string> {
  const url = new URL(db.url)
  const role = `${db.name}_role`
  await db.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'policed'; GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role};
    GRANT CREATE ON DATABASE ${db.name} TO ${role}; ALTER TABLE t ENABLE ROW LEVEL SECURITY;
    CREATE POLICY half ON t USING (id % 2 = 0)`)
  url.username = role
  url.password = 'policed'
  return url.href
}

async function dropRole(db: Database): Promise<void> {
  await db.sql(`DROP OWNED BY ${db.name}_role CASCADE; DROP ROLE ${db.name}_role`)
}

test('A14: rows that a policy hides from us are refused, on either side', async () => {
  await using pair = await inStep(T, rows(10))
  const sourceUrl = await policed(pair.source)
  const hidden = await failure(pair.run(MIRROR, { sourceUrl }))
  expect(hidden.code).toBe('row_level_security')
  await pair.source.sql('ALTER TABLE t DISABLE ROW LEVEL SECURITY')
  await pair.source.sql('DELETE FROM t WHERE id = 1')
  const targetUrl = await policed(pair.target)
  const role = `${pair.target.name}_role`
  await pair.target.sql(
    `GRANT ALL ON SCHEMA syncline TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA syncline TO ${role}`,
  )
  expect((await failure(pair.run(MIRROR, { targetUrl }))).code).toBe('row_level_security')
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['10']])
  await dropRole(pair.source)
  await dropRole(pair.target)
})

const CHECKED = "CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v <> 'bad'))"

test('B4: one bad row at any place of a batch is set aside with its reason, and 499 arrive', async () => {
  for (const bad of [1, 2, 250, 499, 500]) {
    await using pair = await createPair(source, target)
    await pair.source.sql(T)
    await pair.target.sql(`${CHECKED}; INSERT INTO t VALUES (1000, 'first')`)
    await pair.source.sql(`${rows(500)}; UPDATE t SET v = 'bad' WHERE id = ${bad}`)
    const { counts, tables } = await pair.run({ batchSize: 500 })
    expect(counts).toMatchObject({ read: 501, inserted: 499, rejected: 1, skipped: 1 })
    expect(tables[0]?.rejections).toMatchObject([{ op: 'insert', key: [String(bad)], code: '23514' }])
    expect(tables[0]?.rejections[0]?.reason).toContain('t_v_check')
    const again = await pair.run({ batchSize: 500 })
    expect(again.counts).toMatchObject({ inserted: 0, rejected: 1, unchanged: 499 })
  }
})

test('B5: a COPY that fails at its last row leaves nothing but that row behind', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(T)
  await pair.target.sql(CHECKED)
  await pair.source.sql(`${rows(2_000)}; INSERT INTO t VALUES (5000, 'bad')`)
  const { counts, tables } = await pair.run()
  expect(counts).toMatchObject({ read: 2_001, inserted: 2_000, rejected: 1 })
  expect(tables[0]?.rejections).toMatchObject([{ key: ['5000'], code: '23514' }])
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['2000']])
})

test('B12: every outcome at once, and the books close', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(T)
  await pair.target.sql(CHECKED)
  await pair.source.sql(rows(100))
  const policies = { deletePolicy: 'delete' } as const
  await pair.run(policies)
  await pair.target.sql("INSERT INTO t VALUES (900, 'mine')")
  await pair.source
    .sql(`INSERT INTO t VALUES (200, 'new'), (201, 'bad'), (202, 'bad'); UPDATE t SET v = 'bad' WHERE id = 4;
    UPDATE t SET v = 'changed' WHERE id IN (5, 6); DELETE FROM t WHERE id IN (7, 8, 9)`)
  let contested = 0
  const receipt = await pair.run(policies, {
    beforeBatch: async () => {
      await pair.target.sql(`UPDATE t SET v = 'edited ${(contested += 1)}' WHERE id = 5`)
    },
  })
  expect(receipt.counts).toMatchObject({ inserted: 1, deleted: 3, rejected: 3, skipped: 1, unchanged: 94 })
  expect(receipt.counts.updated + receipt.counts.conflicted).toBe(2)
  expect(receipt.counts.read).toBe(104)
})

test('B12: more rejections than are allowed stop the run', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(`${T}; INSERT INTO t SELECT i, 'bad' FROM generate_series(1, 20) i`)
  await pair.target.sql(CHECKED)
  expect((await failure(pair.run({ maxRejections: 5 }))).code).toBe('too_many_rejections')
})

test('C19: columns whose names mean something to JavaScript', async () => {
  await using pair = await createPair(source, target)
  await pair.both(
    'CREATE TABLE t ("__proto__" int PRIMARY KEY, "constructor" text, "toString" text, "hasOwnProperty" text)',
  )
  await pair.source.sql("INSERT INTO t VALUES (1, 'a', 'b', 'c'), (2, NULL, '', NULL)")
  await pair.run()
  await expectSameTable(pair.source, pair.target, 't')
  await pair.source.sql(`UPDATE t SET "constructor" = 'x'; INSERT INTO t VALUES (3, 'q', 'w', 'e')`)
  await pair.run()
  await expectSameTable(pair.source, pair.target, 't')
})

test('D6: a table without a key is refused, and a declared key is looked at row by row', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (a int, b text)')
  await pair.source.sql(
    "INSERT INTO t VALUES (1, 'x'), (1, 'y'), (1, 'z'), (NULL, 'n'), (NULL, 'm'), (2, 'x'), (2, 'x'), (3, NULL)",
  )
  expect((await failure(pair.run())).code).toBe('no_key')
  const error = await failure(pair.run({ tables: [mapping('t', { key: ['a'] })] }))
  expect(error.code).toBe('key_not_unique')
  expect(error.message).toContain('NULL in 2 rows, and 2 keys stand in more than one row')
  await pair.source.sql('DELETE FROM t; ALTER TABLE t ADD UNIQUE (a)')
  await pair.source.sql("INSERT INTO t VALUES (1, 'x'), (NULL, 'n')")
  expect((await failure(pair.run())).code).toBe('no_key')
  await pair.source.sql('DELETE FROM t WHERE a IS NULL')
  const config = { ...MIRROR, tables: [mapping('t', { key: ['a'] })] }
  await pair.run(config)
  await expectSameTable(pair.source, pair.target, 't')
  await pair.source.sql("INSERT INTO t VALUES (2, 'two'), (3, NULL); UPDATE t SET b = 'one' WHERE a = 1")
  await pair.run(config)
  await expectSameTable(pair.source, pair.target, 't')
  await pair.target.sql("INSERT INTO t VALUES (2, 'again')")
  expect((await failure(pair.run(config))).code).toBe('key_not_unique')
  await pair.target.sql("DELETE FROM t WHERE b = 'again'")
  expect(wroteNothing(await pair.run(config))).toBe(true)
})

test('a row that somebody edits between detection and write is looked at again, never overwritten unseen', async () => {
  await using pair = await inStep(T, rows(10))
  await pair.source.sql(
    "UPDATE t SET v = 'ours' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (11, 'ours')",
  )
  const seen: string[] = []
  await pair.target.sql('CREATE TABLE seen (v text)')
  const receipt = await pair.run(
    { ...MIRROR, tables: [mapping('t')] },
    {
      beforeBatch: async (batch) => {
        seen.push(String(batch))
        if (batch !== 1) return
        await pair.target.sql("UPDATE t SET v = 'theirs' WHERE id IN (1, 2); INSERT INTO t VALUES (11, 'theirs')")
      },
    },
  )
  await expectSameTable(pair.source, pair.target, 't')
  expect(receipt.counts).toMatchObject({ updated: 2, deleted: 1, inserted: 0, conflicted: 0 })
  expect(seen.length).toBeGreaterThan(2)
})

test('a row that somebody keeps editing is a conflict in the end, and its edit stands', async () => {
  await using pair = await inStep(T, rows(10))
  await pair.source.sql("UPDATE t SET v = 'ours' WHERE id IN (1, 2)")
  const receipt = await pair.run(MIRROR, {
    beforeBatch: async (batch) => {
      await pair.target.sql(`UPDATE t SET v = 'theirs ${batch}' WHERE id = 1`)
    },
  })
  expect(receipt.counts).toMatchObject({ updated: 1, conflicted: 1, read: 10, unchanged: 8 })
  expect(await pair.target.sql('SELECT v FROM t WHERE id <= 2 ORDER BY id')).toEqual([['theirs 4'], ['ours']])
})
