/**
 * Hazard D10, promise P18: tables that are altered while a run is under way. What could change the meaning of a value
 * stops that table before its next write, and the others go on; what changes nothing is told, and the run goes on.
 */
import { expect, test } from 'vitest'

import type { Scan } from '#adapters/adapter.ts'
import { openDatabase } from '#adapters/registry.ts'
import type { Receipt } from '#model/receipt.ts'
import type { SyncConfig } from '#model/sync-config.ts'

import { expectSameTable, type Database, expectSameTables } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, MIRROR, wroteNothing, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const TABLES = `CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE t (id int PRIMARY KEY, n int, m int NOT NULL, o int, word varchar(20), mood mood, g int GENERATED ALWAYS AS (id + 1) STORED);
  CREATE TABLE other (id int PRIMARY KEY, v text);
  CREATE TABLE apart (id int PRIMARY KEY)`
const ROWS = `INSERT INTO t SELECT i, i, i, -i, 'w' || i, 'good' FROM generate_series(1, 60) i;
  INSERT INTO other SELECT i, 'v' FROM generate_series(1, 60) i`
const CHANGE = `UPDATE t SET n = n + 1000, word = 'new' || id WHERE id <= 30; UPDATE other SET v = 'changed' WHERE id <= 30`
const CONFIG: Partial<SyncConfig> = { ...MIRROR, batchSize: 10, parallel: 1, maxOverwritePercent: 100 }
/** Sessions that wait for a lock. */
/** Sessions of the test, not autovacuum's, which waits for the same locks. */
const WAITING = `SELECT count(*) FROM pg_stat_activity
  WHERE wait_event_type = 'Lock' AND datname = current_database() AND application_name = 'syncline test'`

const CARRIED = ['id', 'n', 'm', 'o', 'word', 'mood', 'g']

async function changedPair(): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both(TABLES)
  await pair.source.sql(ROWS)
  await pair.run(CONFIG)
  await pair.source.sql(CHANGE)
  return pair
}

/** A run in which something happens right before the second of the three batches of `t`. */
async function runWith(pair: Pair, act: () => Promise<unknown>): Promise<Receipt> {
  let done = false
  const receipt = await pair.run(CONFIG, {
    beforeBatch: async (_batch, { name, batch }) => {
      if (name !== 't' || batch !== 2) return
      done = true
      await act()
    },
  })
  expect(done).toBe(true)
  return receipt
}

const STOPS: readonly (readonly [what: string, ddl: string, reason: RegExp])[] = [
  ['a column is dropped', 'ALTER TABLE t DROP COLUMN n', /"n" was dropped or renamed/],
  ['a column is renamed', 'ALTER TABLE t RENAME COLUMN n TO nn', /"n" was dropped or renamed/],
  [
    'two columns change names',
    'ALTER TABLE t RENAME n TO x; ALTER TABLE t RENAME o TO n; ALTER TABLE t RENAME x TO o',
    /"n" is another one of that name/,
  ],
  ['a column is made wider', 'ALTER TABLE t ALTER n TYPE bigint', /"n" has become bigint, and was integer/],
  [
    'a column is made shorter',
    'ALTER TABLE t ALTER word TYPE varchar(10)',
    /"word" has become character varying\(10\)/,
  ],
  ['a column becomes text', 'ALTER TABLE t ALTER n TYPE text', /"n" has become text/],
  ['a column may not be NULL any more', 'ALTER TABLE t ALTER n SET NOT NULL', /"n" may not be NULL any more/],
  ['a collation changes', 'ALTER TABLE t ALTER word TYPE varchar(20) COLLATE "POSIX"', /"word" has another collation/],
  ['a column becomes an identity', 'ALTER TABLE t ALTER m ADD GENERATED ALWAYS AS IDENTITY', /"m" has become/],
  [
    'a column is generated otherwise',
    'ALTER TABLE t DROP COLUMN g; ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (id + 2) STORED',
    /"g" is/,
  ],
  [
    'a column without a default is added that may not be NULL',
    'ALTER TABLE t ADD COLUMN x int NOT NULL DEFAULT 1; ALTER TABLE t ALTER x DROP DEFAULT',
    /"x" must have a value now/,
  ],
  [
    'a label of an enum is renamed',
    "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'",
    /"mood" has become an enum without/,
  ],
  ['the table is dropped', 'DROP TABLE t', /.*/],
  ['the table is renamed', 'ALTER TABLE t RENAME TO was_t', /.*/],
  ['the table moves to another schema', 'CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s', /.*/],
  [
    'the table is dropped and made anew',
    'CREATE TABLE t2 (LIKE t INCLUDING ALL); INSERT INTO t2 SELECT id, n, m, o, word, mood FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t',
    /dropped and made anew/,
  ],
  [
    'the key moves',
    'ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (m)',
    /nothing keeps its key \(id\)/,
  ],
  ['row-level security comes on', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY', /row-level security was switched on/],
  [
    'a trigger is added',
    `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.word := NULL; RETURN NEW; END';
     CREATE TRIGGER nosy BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()`,
    /"nosy" was added/,
  ],
  [
    'a foreign key is added',
    'ALTER TABLE t ADD CONSTRAINT far FOREIGN KEY (n) REFERENCES apart NOT VALID',
    /"far" was added/,
  ],
  [
    'a foreign key to it is added',
    'ALTER TABLE apart ADD FOREIGN KEY (id) REFERENCES t',
    /a foreign key to it was added/,
  ],
]

test.each(STOPS)('D10: %s at the target: the table stops, the other goes on', async (_what, ddl, reason) => {
  await using pair = await changedPair()
  const receipt = await runWith(pair, () => pair.target.sql(ddl))
  expectStopped(receipt, reason)
  await expectSameTable(pair.source, pair.target, 'other')
  expect(await committedBatches(pair.target)).toEqual([['t', '1', '10', 'applying']])
})

/** A foreign key alters both its tables. */
function expectStopped(receipt: Receipt, reason: RegExp): void {
  const [table] = receipt.stopped.filter(({ target: { name } }) => name === 't')
  expect(table).toMatchObject({ code: 'schema_changed', reason: expect.stringMatching(reason) })
  expect(receipt.tables.map(({ target: { name } }) => name)).not.toContain('t')
  expect(receipt.tables.map(({ target: { name } }) => name)).toContain('other')
}

/** What the target itself has booked for the table: nothing after the change. */
async function committedBatches(db: Database): Promise<unknown> {
  return db.sql(
    "SELECT target_table, batches, updated, phase FROM syncline.state WHERE phase <> 'done' AND target_table = 't'",
  )
}

const GOES_ON: readonly (readonly [what: string, ddl: string, note: RegExp | null])[] = [
  ['a column that may be NULL is added', 'ALTER TABLE t ADD COLUMN x int', /"x" was added/],
  ['a column with a default is added', "ALTER TABLE t ADD COLUMN x text NOT NULL DEFAULT 'x'", /"x" was added/],
  ['an identity column is added', 'ALTER TABLE t ADD COLUMN x int GENERATED BY DEFAULT AS IDENTITY', /"x" was added/],
  ['a label is added to an enum', "ALTER TYPE mood ADD VALUE 'awful' BEFORE 'good'", /"mood" has new labels/],
  ['a unique key is added', 'ALTER TABLE t ADD CONSTRAINT only_m UNIQUE (m)', /"only_m" was added/],
  ['a column may be NULL', 'ALTER TABLE t ALTER m DROP NOT NULL', null],
  ['a default is set', 'ALTER TABLE t ALTER n SET DEFAULT 7', null],
  [
    'an index, a comment and statistics',
    "CREATE INDEX ON t (n); COMMENT ON TABLE t IS 'x'; ALTER TABLE t ALTER n SET STATISTICS 10; ANALYZE t",
    null,
  ],
  ['a check that all rows pass', 'ALTER TABLE t ADD CHECK (id > 0)', null],
  ['the owner and rights', 'GRANT SELECT ON t TO PUBLIC', null],
]

test.each(GOES_ON)('D10: %s at the target: the run goes on', async (_what, ddl, note) => {
  await using pair = await changedPair()
  const receipt = await runWith(pair, () => pair.target.sql(ddl))
  expect(receipt.stopped).toEqual([])
  const told = receipt.notes.filter((text) => text.includes('altered')).join()
  expect(told).toMatch(note ?? /^$/)
  await expectSameTable(pair.source, pair.target, 't', { columns: CARRIED })
  await expectSameTable(pair.source, pair.target, 'other')
  expect(wroteNothing(await pair.run(CONFIG))).toBe(true)
})

test('D10: a column that is added and filled at the target keeps its values where rows change places', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE)')
  await pair.source.sql('INSERT INTO t SELECT i, i FROM generate_series(1, 10) i')
  await pair.run(MIRROR)
  await pair.source.sql('UPDATE t SET u = -u; UPDATE t SET u = 11 + u')
  await pair.run(
    { ...MIRROR, maxOverwritePercent: 100 },
    {
      beforeBatch: async (batch) => {
        if (batch === 1) await pair.target.sql('ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = id')
      },
    },
  )
  await expectSameTable(pair.source, pair.target, 't', { columns: ['id', 'u'] })
  expect(await pair.target.sql('SELECT count(*) FROM t WHERE x = id')).toEqual([['10']])
})

test.each([
  ['emptied', 'TRUNCATE t', 30],
  ['rewritten', 'VACUUM FULL t', 0],
])('D10: the target is %s in the middle of a run: everything is proved', async (_what, ddl, missing) => {
  await using pair = await changedPair()
  const receipt = await runWith(pair, () => pair.target.sql(ddl))
  expect(receipt.stopped).toEqual([])
  expect(receipt.notes).toEqual([expect.stringMatching(/emptied or rewritten by others/)])
  const table = receipt.tables.find((each) => each.target.name === 't')
  expect(table?.verification.mode).toBe('full')
  expect(table?.verification.changedSince).toBe(missing === 0 ? 0 : 40)
  await pair.run(CONFIG)
  await expectSameTable(pair.source, pair.target, 't')
})

test('D10: rights that are taken away at the target stop the table alone', async () => {
  await using pair = await changedPair()
  const login = `drift_${pair.target.name}`
  await pair.target.sql(`CREATE ROLE "${login}" LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO "${login}";
    GRANT CREATE ON DATABASE "${pair.target.name}" TO "${login}"; DROP SCHEMA syncline CASCADE`)
  try {
    const url = new URL(pair.target.url)
    url.username = login
    const receipt = await pair.run(CONFIG, {
      targetUrl: url.href,
      beforeBatch: async (_batch, { name, batch }) => {
        if (name === 't' && batch === 2) await pair.target.sql(`REVOKE ALL ON t FROM "${login}"`)
      },
    })
    expect(receipt.stopped).toMatchObject([{ target: { name: 't' }, code: 'missing_privilege' }])
    await expectSameTable(pair.source, pair.target, 'other')
  } finally {
    await pair.target.sql(`DROP OWNED BY "${login}" CASCADE; DROP ROLE "${login}"`)
  }
})

test.each(STOPS)('D10: %s at the target, before a table is loaded: nothing is written', async (_what, ddl, reason) => {
  await using pair = await createPair(source, target)
  await pair.both(TABLES)
  await pair.source.sql(ROWS)
  const receipt = await pair.run(CONFIG, {
    beforeLoad: async (piece, { name }) => {
      if (name === 't' && piece > 0) await pair.target.sql(ddl)
    },
  })
  expectStopped(receipt, reason)
  await expectSameTable(pair.source, pair.target, 'other')
  expect(await pair.target.sql("SELECT batches FROM syncline.state WHERE target_table = 't'")).toEqual([['0']])
})

test('D10: a table that refers to one that stopped waits, and the next run brings both', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t);
    CREATE TABLE other (id int PRIMARY KEY)`)
  await pair.source.sql(`INSERT INTO t SELECT i, i FROM generate_series(1, 30) i;
    INSERT INTO child SELECT i, i FROM generate_series(1, 30) i; INSERT INTO other SELECT generate_series(1, 30)`)
  await pair.target.sql('INSERT INTO t VALUES (1, 0)')
  const receipt = await runWith(pair, () => pair.target.sql('ALTER TABLE t ALTER n TYPE bigint'))
  expect(receipt.stopped.map((table) => [table.target.name, table.reason])).toEqual([
    ['child', expect.stringMatching(/waits for public.t/)],
    ['t', expect.stringMatching(/"n" has become bigint/)],
  ])
  await expectSameTable(pair.source, pair.target, 'other')
  expect(await pair.target.sql('SELECT count(*) FROM child')).toEqual([['0']])
  expect((await pair.run(CONFIG)).stopped).toEqual([])
  await expectSameTables(pair.source, pair.target, ['t', 'child', 'other'])
})

test('D10: what a table that stopped refers to is not deleted with its rows', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`CREATE TABLE p (id int PRIMARY KEY);
    CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, n int)`)
  await pair.source.sql(
    `INSERT INTO p SELECT generate_series(1, 30); INSERT INTO t SELECT i, i, i FROM generate_series(1, 30) i`,
  )
  await pair.run(CONFIG)
  await pair.source.sql('DELETE FROM p')
  const failure = pair.run(CONFIG, {
    approve: true,
    beforeBatch: async (_batch, { name, batch }) => {
      if (name === 't' && batch === 2) await pair.target.sql('ALTER TABLE t RENAME n TO nn')
    },
  })
  await expect(failure).rejects.toMatchObject({ code: 'schema_changed' })
  expect(await pair.target.sql('SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM t)')).toEqual([['30', '20']])
})

test('D10: with one table alone the run fails with the reason', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, n int)')
  await pair.source.sql('INSERT INTO t SELECT i, i FROM generate_series(1, 30) i')
  await pair.target.sql('INSERT INTO t VALUES (1, 0)')
  await expect(runWith(pair, () => pair.target.sql('ALTER TABLE t DROP COLUMN n'))).rejects.toMatchObject({
    code: 'schema_changed',
    message: expect.stringContaining('"n" was dropped or renamed'),
  })
})

const PARTED = `CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
  CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (31); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (31) TO (100)`

test.each([
  ['added', 'CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (100) TO (200)', false],
  ['taken out', 'ALTER TABLE t DETACH PARTITION t2', true],
])('D10: a partition of the target is %s', async (_what, ddl, stops) => {
  await using pair = await createPair(source, target)
  await pair.both(`${PARTED}; CREATE TABLE other (id int PRIMARY KEY)`)
  await pair.source.sql('INSERT INTO t SELECT i, i FROM generate_series(1, 60) i')
  await pair.run(CONFIG)
  await pair.source.sql('UPDATE t SET n = 0 WHERE id <= 30')
  const receipt = await runWith(pair, () => pair.target.sql(ddl))
  expect(receipt.stopped.map((table) => table.reason).join()).toMatch(
    stops ? /the partition public.t2 was taken out/ : /^$/,
  )
  if (!stops) await expectSameTable(pair.source, pair.target, 't')
})

test.each([
  ['a column is added', 'ALTER TABLE t ADD COLUMN x int DEFAULT 5'],
  ['a column is dropped', 'ALTER TABLE t DROP COLUMN n'],
  ['a column is rewritten', 'ALTER TABLE t ALTER n TYPE bigint'],
  ['the table is renamed', 'ALTER TABLE t RENAME TO was_t'],
  ['the table is emptied', 'TRUNCATE t'],
  ['the table is dropped', 'DROP TABLE t'],
])('D10: %s at the source while the run is under way: it waits, and the run brings its moment', async (_what, ddl) => {
  await using pair = await changedPair()
  const before = await pair.source.sql('SELECT id, n, m, word, mood, g FROM t ORDER BY id')
  await using other = await pair.source.connect()
  let altered: Promise<unknown> = Promise.resolve()
  const receipt = await runWith(pair, async () => {
    altered = other.query(ddl)
    await expect.poll(() => pair.source.sql(WAITING)).toEqual([['1']])
  })
  await altered
  expect(receipt.stopped).toEqual([])
  expect(await pair.target.sql('SELECT id, n, m, word, mood, g FROM t ORDER BY id')).toEqual(before)
})

test('D10: a label of an enum that the source renames under the run stops the table', async () => {
  await using pair = await changedPair()
  const receipt = await runWith(pair, () => pair.source.sql("ALTER TYPE mood RENAME VALUE 'bad' TO 'evil'"))
  expect(receipt.stopped).toMatchObject([{ target: { name: 't' }, code: 'schema_changed' }])
  await expectSameTable(pair.source, pair.target, 'other')
})

test('D10: every connection of a snapshot can read a table that somebody waits to alter', async () => {
  await using pair = await changedPair()
  const { signal } = new AbortController()
  await using adapter = await openDatabase(pair.source.url, { write: null, signal })
  const [table] = await adapter.describe([{ schema: 'public', name: 't' }])
  const ref = table?.ref ?? { schema: '', name: '' }
  const scan: Scan = { table: ref, columns: [], keyLength: 0, algorithm: 'md5', filter: null }
  await using other = await pair.source.connect()
  let altered: Promise<unknown> = Promise.resolve()
  {
    await using snapshot = await adapter.snapshot(4, signal)
    await snapshot.hold([ref])
    altered = other.query('ALTER TABLE t ADD COLUMN x int')
    await expect.poll(() => pair.source.sql(WAITING)).toEqual([['1']])
    expect(await Promise.all(Array.from({ length: 4 }, () => snapshot.count(scan)))).toEqual([60, 60, 60, 60])
    expect(await adapter.definitions([ref])).toEqual([table?.definition])
  }
  await altered
})

test.each([
  ['planned', 'beforeSnapshot', 'ALTER TABLE t ADD COLUMN x int'],
  ['seen', 'beforeHold', 'ALTER TABLE t ALTER n TYPE bigint; ALTER TABLE t ALTER n TYPE int'],
  ['seen', 'beforeHold', 'VACUUM FULL t'],
  ['seen', 'beforeHold', 'ALTER TABLE t ALTER m TYPE int USING m + 1'],
] as const)(
  'D10: the source is altered right after it was %s (%s, %s): the run begins again',
  async (_when, hook, ddl) => {
    await using pair = await changedPair()
    const retries: string[] = []
    await pair.run(CONFIG, {
      approve: true,
      [hook]: async (attempt: number) => {
        if (attempt === 1) await pair.source.sql(ddl)
      },
      onEvent: (event) => {
        if (event.type === 'retry') retries.push(event.reason)
      },
    })
    expect(retries).toEqual([expect.stringMatching(/altered|emptied or rewritten/)])
    await expectSameTable(pair.source, pair.target, 't', { columns: CARRIED })
  },
)

test('D10: another column takes the name of a planned one before the run has begun: nothing is written', async () => {
  await using pair = await changedPair()
  const run = pair.run(CONFIG, {
    beforeSnapshot: async (attempt) => {
      if (attempt === 1) await pair.source.sql('ALTER TABLE t RENAME n TO nn; ALTER TABLE t RENAME o TO n')
    },
  })
  await expect(run).rejects.toMatchObject({ code: 'schema_changed', message: expect.stringMatching(/"n" is another/) })
  expect(await pair.target.sql('SELECT count(*) FROM t WHERE n = id AND o = -id')).toEqual([['60']])
})

test('D10: a source that is emptied right after it was seen does not empty the target', async () => {
  await using pair = await changedPair()
  const run = pair.run(CONFIG, {
    beforeHold: async (attempt) => {
      if (attempt === 1) await pair.source.sql('TRUNCATE t')
    },
  })
  await expect(run).rejects.toMatchObject({ code: 'delete_brake' })
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['60']])
})

test('D10: two sides are compared as they were planned', async () => {
  await using pair = await changedPair()
  await pair.run(CONFIG)
  for (const by of ['rows', 'proof'] as const) expect((await pair.compare(by)).equal).toBe(true)
})
