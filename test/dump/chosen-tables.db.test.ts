/** Tables and schemas that somebody names for a dump or a copy: what these names lead to, and what they do not. */
import { randomBytes } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import type { ExportOptions } from '#model/dump.ts'

import { copyInto, databases, oldest, planOf } from '#test/harness/copy.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump, restoreByPsql } from '#test/harness/dump.ts'
import { importInto, refusal } from '#test/harness/import.ts'

const SHOP = `
  CREATE TABLE cust (id int PRIMARY KEY); INSERT INTO cust VALUES (1), (2);
  CREATE TABLE log (id int, email text, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
  CREATE TABLE log_2025 PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
  CREATE TABLE log_2025_1 PARTITION OF log_2025 FOR VALUES IN (1);
  CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  INSERT INTO log VALUES (1, 'ada@example.com', '2025-06-01'), (2, 'alan@example.com', '2026-06-01');
  CREATE TABLE animal (name text); CREATE TABLE cat (purrs bool) INHERITS (animal); CREATE TABLE lion (mane bool) INHERITS (cat);
  INSERT INTO animal VALUES ('any'); INSERT INTO cat VALUES ('tom'); INSERT INTO lion VALUES ('leo');
  CREATE TABLE bare (id int) PARTITION BY LIST (id);
  CREATE VIEW v AS SELECT * FROM cust; CREATE MATERIALIZED VIEW mv AS SELECT * FROM cust; CREATE SEQUENCE seq;
  CREATE SCHEMA s2; CREATE TABLE s2.t AS SELECT 1 AS a`

async function shop(): Promise<Database> {
  const db = await createDatabase(oldest())
  await db.sql(SHOP)
  return db
}

/** What psql makes of an export: how many rows each of these tables has, null where it is not there. */
async function restored(
  from: Database,
  options: Partial<ExportOptions>,
  tables: readonly string[],
): Promise<unknown[]> {
  const { sql } = await dump(from, options)
  await using into = await createDatabase(oldest())
  await restoreByPsql(into, sql)
  return await Promise.all(tables.map((table) => rowsOf(into, table)))
}

async function rowsOf(db: Database, table: string): Promise<number | null> {
  const [[there]] = (await db.sql('SELECT to_regclass($1)', [table])) as [[string | null]]
  if (there === null) return null
  return Number((await db.sql(`SELECT count(*) FROM ONLY ${table}`))[0]?.[0])
}

const LOGS = ['cust', 'log_2025_1', 'log_2026']

describe('a table stands for its partitions and its children', () => {
  test('no rows of partitions come where their root is left out', async () => {
    await using db = await shop()
    const { notes } = await dump(db, { excludeTables: ['public.log'] })
    expect(notes).toContain('Made without rows, so that foreign keys to them may not hold: log.')
    expect(await restored(db, { excludeTables: ['public.log'] }, LOGS)).toEqual([2, 0, 0])
    expect(await restored(db, { excludeTables: ['log_2025'] }, LOGS)).toEqual([2, 0, 1])
  })

  test('nor are they copied', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    expect((await planOf(a, b, { excludeTables: ['log'] })).expected.map(({ table }) => table.name)).not.toContain(
      'log_2026',
    )
    await copyInto(a, b, { excludeTables: ['public.log', 'cat'] })
    expect(
      await b.sql('SELECT (SELECT count(*) FROM log), (SELECT count(*) FROM animal), (SELECT count(*) FROM cust)'),
    ).toEqual([['0', '1', '2']])
  })

  test('partitions come where their root is named', async () => {
    await using db = await shop()
    const { notes, tables } = await dump(db, { tables: ['public.cust', 'public.log'] })
    expect(tables.map(({ name }) => name)).toEqual(['cust', 'log_2025_1', 'log_2026'])
    expect(notes).not.toContainEqual(expect.stringContaining('Made without rows'))
    expect(await restored(db, { tables: ['cust', 'log'] }, [...LOGS, 'animal'])).toEqual([2, 1, 1, null])
    expect(await restored(db, { tables: ['log'], excludeTables: ['log_2025'] }, LOGS)).toEqual([null, 0, 1])
    expect(await restored(db, { tables: ['log'], content: 'schema' }, LOGS)).toEqual([null, 0, 0])
  })

  test('a root that has no partitions is made', async () => {
    await using db = await shop()
    expect(await restored(db, { tables: ['bare'] }, ['bare', 'cust'])).toEqual([0, null])
    expect(await restored(db, { tables: ['bare', 'cust'], excludeTables: ['bare'] }, ['bare', 'cust'])).toEqual([
      null,
      2,
    ])
  })

  test('children go with their parent', async () => {
    await using db = await shop()
    const animals = ['animal', 'cat', 'lion']
    expect(await restored(db, { tables: ['animal'] }, animals)).toEqual([1, 1, 1])
    expect(await restored(db, { excludeTables: ['animal'] }, animals)).toEqual([0, 0, 0])
    expect(await restored(db, { excludeTables: ['cat'] }, animals)).toEqual([1, 0, 0])
  })

  test('the note names what was left out, and nothing that has rows', async () => {
    await using db = await shop()
    const { notes } = await dump(db, { excludeTables: ['log_2025', 's2.*', 'lion'] })
    expect(notes).toContain('Made without rows, so that foreign keys to them may not hold: lion, log_2025, s2.t.')
  })
})

describe('a name that leads to nothing is an error, before anything is written', () => {
  test.for([
    [{ tables: ['public.cust', 'public.ordd'] }, 'No table of the source is called ordd.'],
    [{ tables: ['cust', 'x*', 'y'] }, 'No table of the source is called x*, y.'],
    [{ excludeTables: ['nope'] }, 'No table of the source is called nope.'],
    [{ excludeTables: ['cust', 's2.u'], content: 'data' }, 'No table of the source is called s2.u.'],
    [{ tables: ['cust', 's2.t'], schemas: ['public'] }, 'No table of the source is called s2.t.'],
    [{ tables: ['public.mv'] }, 'public.mv is a materialized view'],
    [{ tables: ['cust', 'v', 'seq'] }, 'public.v is a view'],
    [{ excludeTables: ['mv'] }, 'public.mv is a materialized view'],
    [{ schemas: ['nope'] }, 'The source has no schema nope.'],
    [{ schemas: ['nope'], content: 'data' }, 'The source has no schema nope.'],
    [{ schemas: ['nope', 's2'] }, 'The source has no schema nope.'],
    [{ excludeSchemas: ['nope'] }, 'The source has no schema nope.'],
    [{ schemas: ['nope'], tables: ['cust'] }, 'The source has no schema nope.'],
    [{ schemas: ['pg_catalog'] }, 'The source has no schema pg_catalog.'],
    [{ schemas: ['s2'], excludeSchemas: ['s2'] }, 'No schema is left'],
  ] as const)('%o', async ([options, words]) => {
    await using db = await shop()
    const error = await refusal(dump(db, options))
    expect([error.code, error.message]).toEqual(['table_not_found', expect.stringContaining(words)])
    expect(`${error.message} ${error.hint}`).not.toMatch(/\/|binary/)
  })

  test('so it is in the plan of a copy', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    expect((await refusal(planOf(a, b, { excludeTables: ['custt'] }))).code).toBe('table_not_found')
    expect((await refusal(planOf(a, b, { schemas: ['nope'] }))).code).toBe('table_not_found')
  })

  test('patterns that meet tables beside views are taken', async () => {
    await using db = await shop()
    expect((await dump(db, { tables: ['public.*'] })).tables).toHaveLength(6)
    expect((await dump(db, { excludeTables: ['public.*'] })).tables.map(({ name }) => name)).toEqual(['t'])
  })

  test('what a copy cannot mask is said in words of a copy', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql('CREATE TABLE doc (id int PRIMARY KEY, body jsonb, tags text[])')
    for (const column of ['body', 'tags']) {
      const masks = [{ table: 'doc', column, transforms: [{ name: 'hash', args: {} }] }]
      const error = await refusal(planOf(a, b, { masks }))
      expect([error.code, error.message]).toEqual(['impossible_mapping', expect.stringContaining(column)])
      expect(`${error.message} ${error.hint}`).not.toMatch(/--exclude\b(?!-table)|target column/)
      expect(error.hint).toContain('--exclude-table')
    }
  })
})

describe('owners and rights of chosen tables', () => {
  const WHOSE = `SELECT c.relname, r.rolname, c.relacl::text, (SELECT string_agg(attacl::text, ' ') FROM pg_attribute WHERE attrelid = c.oid)
    FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.relname IN ('bill', 'bill_id_seq', 'bill_1', 'counter') ORDER BY 1`
  const OTHERS = `SELECT (SELECT rolname FROM pg_roles r WHERE r.oid = t.typowner), typacl::text, (SELECT nspacl::text FROM pg_namespace WHERE nspname = 's3'),
      (SELECT proacl::text FROM pg_proc WHERE proname = 'one') FROM pg_type t WHERE typname = 'state'`

  async function withRoles(body: (owner: string, reader: string) => Promise<void>): Promise<void> {
    const [owner, reader] = ['owner', 'reader'].map((name) => `${name}_${randomBytes(6).toString('hex')}`)
    await using db = await createDatabase(oldest())
    await db.sql(`CREATE ROLE ${owner}; CREATE ROLE ${reader}`)
    try {
      await body(owner ?? '', reader ?? '')
    } finally {
      await db.sql(`DROP ROLE ${owner}, ${reader}`)
    }
  }

  const made = (owner: string, reader: string): string => `
    CREATE SCHEMA s3; GRANT USAGE ON SCHEMA s3 TO ${reader}; CREATE TYPE s3.state AS ENUM ('new'); GRANT USAGE ON TYPE s3.state TO ${reader};
    REVOKE USAGE ON TYPE s3.state FROM PUBLIC; ALTER TYPE s3.state OWNER TO ${owner};
    CREATE FUNCTION s3.one() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION s3.one() FROM PUBLIC; GRANT EXECUTE ON FUNCTION s3.one() TO ${reader};
    CREATE TABLE s3.bill (id serial, n int DEFAULT s3.one(), state s3.state, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE s3.bill_1 PARTITION OF s3.bill FOR VALUES FROM (0) TO (100); INSERT INTO s3.bill (state) VALUES ('new');
    CREATE SEQUENCE s3.counter; ALTER TABLE s3.bill ALTER n SET DEFAULT nextval('s3.counter'); ALTER TABLE s3.bill ADD m int DEFAULT s3.one();
    ALTER TABLE s3.bill OWNER TO ${owner}; ALTER TABLE s3.bill_1 OWNER TO ${owner}; ALTER SEQUENCE s3.counter OWNER TO ${owner};
    GRANT SELECT ON s3.bill, s3.bill_1 TO ${reader}; GRANT UPDATE (n) ON s3.bill TO ${reader} WITH GRANT OPTION; GRANT USAGE ON SEQUENCE s3.bill_id_seq TO ${reader};
    COMMENT ON TABLE s3.bill IS 'bills'; CREATE INDEX ON s3.bill (n)`

  test('are carried where that is wanted, by psql and by imports, and else are not', async () => {
    await withRoles(async (owner, reader) => {
      await using pair = await databases()
      const { a, b } = pair
      await a.sql(made(owner, reader))
      const { sql, packed, notes } = await dump(a, { tables: ['s3.bill'], owners: true, grants: true })
      expect(notes.join('\n')).not.toContain('privileges')
      await restoreByPsql(b, sql)
      expect(await b.sql(WHOSE)).toEqual(await a.sql(WHOSE))
      expect(await b.sql(OTHERS)).toEqual(await a.sql(OTHERS))
      await using c = await createDatabase(oldest())
      await importInto(c, packed, { owners: true, grants: true })
      expect(await c.sql(WHOSE)).toEqual(await a.sql(WHOSE))
      expect(await c.sql(OTHERS)).toEqual(await a.sql(OTHERS))
      const owners = await dump(a, { tables: ['s3.bill'], owners: true })
      expect(owners.sql).toContain(owner)
      expect(owners.sql).not.toContain(reader)
      const grants = await dump(a, { tables: ['s3.bill'], grants: true })
      expect(grants.sql).toContain(reader)
      expect(grants.sql).not.toContain('OWNER TO')
      const neither = await dump(a, { tables: ['s3.bill'] })
      expect(neither.sql).not.toMatch(new RegExp(`${owner}|${reader}`))
      expect(neither.notes.join('\n')).toContain('privileges')
    })
  })
})
