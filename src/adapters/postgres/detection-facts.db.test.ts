import { describe, expect, test } from 'vitest'

import type { ColumnFacts, TableFacts } from '#adapters/adapter.ts'
import { openDatabase } from '#adapters/registry.ts'
import { must } from '#lib/assert.ts'
import { createDatabase, quote, type Database } from '#test/harness/database.ts'
import { eachServer } from '#test/harness/postgres.ts'

const { signal } = new AbortController()

const TABLES = `
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
  CREATE TABLE kept (id bigserial PRIMARY KEY, at timestamptz NOT NULL, local timestamp DEFAULT now(), due timestamptz,
    v bigint GENERATED ALWAYS AS IDENTITY (CACHE 5), part bytea, note text);
  CREATE INDEX kept_at ON kept (at);
  CREATE INDEX kept_some ON kept (due) WHERE due IS NOT NULL;
  CREATE INDEX kept_second ON kept (note, local);
  CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TRIGGER late AFTER UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION touch();
  INSERT INTO kept (local, due, part) SELECT NULL, CASE WHEN n % 4 = 0 THEN now() + interval '1 day' END, '\\x0001' FROM generate_series(1, 100) n;
  UPDATE kept SET note = 'x' WHERE id <= 10;
  DELETE FROM kept WHERE id = 100;
  CREATE TABLE long (id int PRIMARY KEY, n int, filler text);
  INSERT INTO long SELECT n, n % 1000, repeat('x', 400) FROM generate_series(1, 20000) n;
  ANALYZE long;
  CREATE TABLE parts (id int, at timestamptz DEFAULT now(), PRIMARY KEY (id)) PARTITION BY RANGE (id);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
  CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
  CREATE INDEX parts_at ON parts (at);
  INSERT INTO parts SELECT n FROM generate_series(0, 199) n;
  CREATE TRIGGER touch BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION touch();
  ALTER TABLE parts_2 DISABLE TRIGGER touch;
  CREATE VIEW seen AS SELECT id, at FROM kept WHERE id <= 5;
  CREATE VIEW broken AS SELECT id, 1 / (id - id) AS n FROM kept;
  CREATE TABLE empty (id int PRIMARY KEY, at timestamptz)`

const NAMES = ['kept', 'long', 'parts', 'seen', 'broken', 'empty'] as const
const COLUMNS = ['id', 'at', 'local', 'due', 'v', 'part', 'n']

interface Facts {
  readonly sessions: { readonly complete: boolean; readonly why: string | null; readonly remedy: string | null }
  readonly of: (name: (typeof NAMES)[number]) => TableFacts
  readonly column: (name: (typeof NAMES)[number], column: string) => ColumnFacts
}

async function factsOf(url: string): Promise<Facts> {
  await using adapter = await openDatabase(url, { write: null, signal })
  const refs = NAMES.map((name) => ({ schema: 'public', name }))
  await adapter.describe(refs)
  const { sessions, tables } = await adapter.detectionFacts(refs.map((table) => ({ table, columns: COLUMNS })))
  const of: Facts['of'] = (name) => must(tables[NAMES.indexOf(name)], name)
  const column: Facts['column'] = (name, wanted) =>
    must(
      of(name).columns.find((each) => each.column === wanted),
      wanted,
    )
  return { sessions, of, column }
}

/** What a session has written reaches the counters when it ends, or a moment later. */
async function endAndCount(db: Database): Promise<void> {
  await db.close()
  await using reader = await db.connect()
  const deleted = "SELECT pg_stat_get_tuples_deleted('kept'::regclass)::int AS n"
  await expect.poll(async () => (await reader.query(deleted)).rows).toEqual([{ n: 1 }])
}

describe.each(eachServer().map((server) => [server.major, server] as const))('PostgreSQL %i', (major, server) => {
  test('what sets a column, which index leads with it, and what a sample shows are read as they are', async () => {
    await using db = await createDatabase(server)
    await db.sql(TABLES)
    await endAndCount(db)
    const { sessions, of, column } = await factsOf(db.url)
    expect(sessions).toEqual({ complete: true, why: null, remedy: null })
    expect(of('kept')).toMatchObject({
      writes: { inserted: 100, updated: 10, deleted: 1 },
      replicated: false,
      sample: { rows: 99, whole: true },
      unknown: [],
    })
    const trigger = { value: 'clock', when: 'always', by: 'trigger "touch"', inReplication: false, cached: false }
    expect(column('kept', 'at')).toMatchObject({ onInsert: trigger, onUpdate: trigger, index: 'kept_at' })
    expect(column('kept', 'at').sample).toEqual({ nulls: 0, future: 0, distinct: 1, mostOfOne: 99, disorder: 0 })
    expect(column('kept', 'local')).toMatchObject({
      onInsert: { value: 'local clock', when: 'omitted' },
      onUpdate: null,
      index: null,
      remedies: { trigger: null },
      sample: { nulls: 99, distinct: 0, mostOfOne: 0 },
    })
    expect(column('kept', 'due')).toMatchObject({ onInsert: null, index: null, sample: { nulls: 75, future: 24 } })
    expect(column('kept', 'v')).toMatchObject({ onInsert: { value: 'sequence', when: 'omitted', cached: true } })
    expect(column('kept', 'id')).toMatchObject({
      onInsert: { cached: false },
      index: 'kept_pkey',
      remedies: { trigger: null },
    })
    expect(column('kept', 'part').sample).toMatchObject({ distinct: 1, future: null })

    expect(of('parts')).toMatchObject({ rows: 200, writes: { inserted: 200 }, sample: { rows: 200, whole: true } })
    expect(column('parts', 'at')).toMatchObject({
      index: 'parts_at',
      onInsert: { by: 'default now()' },
      // One partition has it switched off.
      onUpdate: { by: 'trigger "touch"', when: 'perhaps' },
    })
    expect(of('seen')).toMatchObject({ rows: null, bytes: null, writes: null, sample: { rows: 5 } })
    expect(column('seen', 'at').remedies).toEqual({ index: null, trigger: null })
    expect(of('empty')).toMatchObject({ sample: null, unknown: ['No rows were sampled: none were found.'] })
    // The server's own words may hold values.
    expect(of('broken').unknown).toContain('No rows were sampled: the server refused it (SQLSTATE 22012).')

    // Of a larger table some pages from all over are read, and the same ones each time.
    const { sample, rows, bytes } = of('long')
    expect(rows).toBe(20_000)
    expect(bytes).toBeGreaterThan(8_000_000)
    expect(sample?.whole).toBe(false)
    expect(sample?.rows).toBeGreaterThan(500)
    expect(sample?.rows).toBeLessThanOrEqual(2_001)
    expect(column('long', 'n').sample?.distinct).toBeGreaterThan(10)
    expect(column('long', 'n').sample?.disorder).toBeGreaterThan(0)
    expect(column('long', 'id').sample?.disorder).toBe(0)
    expect((await factsOf(db.url)).column('long', 'n').sample).toEqual(column('long', 'n').sample)
  })

  test('the statements that are proposed do what they say', async () => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE TABLE "odd ""'t" (id int PRIMARY KEY, "aT" timestamptz, v bigserial);
      CREATE TABLE parts (id int PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id)`)
    await using adapter = await openDatabase(db.url, { write: null, signal })
    const read = async (name: string, columns: string[]): Promise<readonly ColumnFacts[]> => {
      const table = { schema: 'public', name }
      await adapter.describe([table])
      return (await adapter.detectionFacts([{ table, columns }])).tables[0]?.columns ?? []
    }
    for (const [name, columns] of [
      [`odd "'t`, ['aT', 'v']],
      ['parts', ['at']],
    ] as const) {
      for (const { remedies } of await read(name, [...columns])) {
        await db.sql(must(remedies.index, 'an index'))
        await db.sql(must(remedies.trigger, 'a trigger'))
      }
      for (const column of await read(name, [...columns])) {
        expect(column, `${major} ${name}`).toMatchObject({ onInsert: { when: 'always' }, onUpdate: { when: 'always' } })
        expect(column.index).not.toBeNull()
      }
    }
    const [row] = await db.sql(`INSERT INTO "odd ""'t" VALUES (1, '1999-01-01') RETURNING "aT" > '2000-01-01', v`)
    expect(row).toEqual(['t', '2'])
    expect(await db.sql(`UPDATE "odd ""'t" SET id = 2 RETURNING v`)).toEqual([['3']])
  })

  test('a login of few rights is told what it cannot see, and guesses nothing', async () => {
    await using db = await createDatabase(server)
    await db.sql(TABLES)
    await db.sql('ALTER TABLE long ENABLE ROW LEVEL SECURITY')
    const role = `syncline_few_${db.name.slice(-12)}`
    await db.sql(`CREATE ROLE ${quote(role)} LOGIN PASSWORD 'few'; GRANT SELECT ON long TO ${quote(role)}`)
    try {
      const url = Object.assign(new URL(db.url), { username: role, password: 'few' })
      const { sessions, of, column } = await factsOf(url.href)
      // Another's session is there: that of the test.
      expect(sessions).toEqual({
        complete: false,
        why: 'this login does not see the sessions of other roles',
        remedy: `GRANT pg_read_all_stats TO "${role}";`,
      })
      expect(of('kept')).toMatchObject({ sample: null, unknown: ['No rows were sampled: this login may not.'] })
      expect(column('kept', 'at')).toMatchObject({
        onUpdate: { by: 'trigger "touch"' },
        index: 'kept_at',
        sample: null,
      })
      expect(of('long').unknown).toEqual(['No rows were sampled: row-level security would hide rows from this login.'])
    } finally {
      await db.sql(`DROP OWNED BY ${quote(role)}; DROP ROLE ${quote(role)}`)
    }
  })
})

test('a table that somebody holds is not waited for', async () => {
  const [server] = eachServer()
  await using db = await createDatabase(must(server, 'a server'))
  await db.sql(`CREATE TABLE kept (id int PRIMARY KEY, at timestamptz DEFAULT now()); INSERT INTO kept VALUES (1);
    CREATE TABLE other (LIKE kept INCLUDING ALL); INSERT INTO other VALUES (1)`)
  await using adapter = await openDatabase(db.url, { write: null, signal })
  const refs = ['kept', 'other'].map((name) => ({ schema: 'public', name }))
  await adapter.describe(refs)
  await using holder = await db.connect()
  await holder.query('BEGIN; LOCK TABLE kept')
  const { tables } = await adapter.detectionFacts(refs.map((table) => ({ table, columns: ['at'] })))
  expect(tables[0]?.sample).toBeNull()
  expect(tables[0]?.unknown.join()).toContain('No rows were sampled: somebody holds a lock on it.')
  // What the others tell is read all the same.
  expect(tables[1]).toMatchObject({ columns: [{ onInsert: { by: 'default now()' } }], sample: { rows: 1 } })
})
