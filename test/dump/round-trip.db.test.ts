import { randomBytes } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import type { ExportOptions } from '#model/dump.ts'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { EVERYTHING } from '#test/harness/everything.ts'
import { dump, isWhole, nativeDump, restoreByPsql } from '#test/harness/dump.ts'
import { eachServer, type TestServer } from '#test/harness/postgres.ts'

/** What PostgreSQL 13 has in the place of what came with 14. */
const BEFORE_14: readonly (readonly [RegExp, string])[] = [[/, \(parent_id \+ 1\) FROM twin/, ', parent_id FROM twin']]

/** What came with PostgreSQL 15 and 18. */
const SINCE_15 = `CREATE PUBLICATION filtered FOR TABLE parent (id, t) WHERE (id > 7); CREATE PUBLICATION whole FOR TABLES IN SCHEMA "odd ;""schema";
  CREATE TABLE nulls (a int UNIQUE NULLS NOT DISTINCT);`
const SINCE_18 = `CREATE TABLE temporal (id int CONSTRAINT "named ;" NOT NULL, during daterange, CHECK (id > 0) NOT ENFORCED,
  twice int GENERATED ALWAYS AS (id * 2) VIRTUAL, PRIMARY KEY (id, during WITHOUT OVERLAPS));
  INSERT INTO temporal VALUES (1, '[2020-01-01,2021-01-01)');`

/** The schema on a server, with a role of its own that has been granted things. */
async function makeEverything(db: Database, role: string): Promise<void> {
  const text = BEFORE_14.reduce((sql, [from, to]) => (db.major < 14 ? sql.replace(from, to) : sql), EVERYTHING)
  await db.sql(text)
  if (db.major >= 15) await db.sql(SINCE_15)
  if (db.major >= 18) await db.sql(SINCE_18)
  await db.sql(`
    GRANT SELECT ON twin TO ${role}; GRANT UPDATE (small) ON twin TO ${role}; GRANT USAGE ON SCHEMA "odd ;""schema" TO ${role};
    REVOKE EXECUTE ON FUNCTION tricky(int) FROM PUBLIC; GRANT USAGE ON SEQUENCE free TO ${role};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ${role};
    ALTER TABLE booking OWNER TO ${role}`)
}

/**
 * Two databases are the same where these texts are: by the server's own pg_dump where that knows it, else by ours. In which
 * partition by hash a label lies, its OID says, which is another one in each database: such rows are compared as a whole.
 */
async function described(db: Database): Promise<string> {
  const [[there]] = (await db.sql(`SELECT to_regclass('moods')`)) as [[string | null]]
  const moods = there === null ? [] : await db.sql('SELECT m, n FROM moods ORDER BY m, n')
  return `${await describedAll(db)}${JSON.stringify(moods)}`
}

async function describedAll(db: Database): Promise<string> {
  if (db.major <= 15) return nativeDump(db, ['--exclude-table-data=public.moods_*'])
  const { sql } = await dump(db, { owners: true, grants: true })
  const others = sql.replaceAll(/^COPY "public"."moods" [^]*?^\\\.$|^-- rows .*"name":"moods".*$/gm, '')
  return others.split('\n').slice(2, -3).join('\n')
}

async function withRole(server: TestServer, body: (role: string) => Promise<void>): Promise<void> {
  const role = `role_${randomBytes(6).toString('hex')}`
  await using db = await createDatabase(server)
  await db.sql(`CREATE ROLE ${role}`)
  try {
    await body(role)
  } finally {
    await db.sql(`DROP ROLE ${role}`)
  }
}

describe.each(eachServer().map((server) => ({ server, major: server.major })))('PostgreSQL $major', ({ server }) => {
  const ways: readonly Partial<ExportOptions>[] = [
    { style: 'copy' },
    { style: 'insert', compression: 'gzip' },
    { style: 'copy', parallel: 3, compression: 'none' },
  ]
  test.each(ways)('P14: everything that a database can hold comes back by psql as it was: %o', async (options) => {
    await withRole(server, async (role) => {
      await using source = await createDatabase(server)
      await makeEverything(source, role)
      const before = await described(source)
      const dumped = await dump(source, { ...options, owners: true, grants: true })
      expect(isWhole(Buffer.from(dumped.sql))).toBe(true)
      await using restored = await createDatabase(server)
      await restoreByPsql(restored, dumped.sql)
      expect(await described(restored)).toBe(before)
      expect(dumped.notes).toEqual([expect.stringContaining('public.remote')])
      // The source is as it was: also its sequences.
      expect(await described(source)).toBe(before)
    })
  })

  test('without owners and grants it is restored where the roles are not', async () => {
    await withRole(server, async (role) => {
      await using source = await createDatabase(server)
      await makeEverything(source, role)
      const { sql } = await dump(source)
      expect(sql).not.toContain(role)
      await using restored = await createDatabase(server)
      await restoreByPsql(restored, sql)
      expect(await restored.sql('SELECT count(*) FROM always')).toEqual([['1490']])
    })
  })

  test('definitions, then rows, in two files are the same as one', async () => {
    await using source = await createDatabase(server)
    await source.sql(`
      CREATE TABLE a_line (id int PRIMARY KEY, z int); CREATE TABLE z_head (id int PRIMARY KEY);
      ALTER TABLE a_line ADD FOREIGN KEY (z) REFERENCES z_head;
      CREATE TABLE m (id int REFERENCES a_line, s serial);
      INSERT INTO z_head VALUES (1), (2); INSERT INTO a_line VALUES (5, 1); INSERT INTO m VALUES (5), (5);`)
    const [definitions, rows] = [await dump(source, { content: 'schema' }), await dump(source, { content: 'data' })]
    expect(definitions.tables).toEqual([])
    await using restored = await createDatabase(server)
    await restoreByPsql(restored, definitions.sql)
    await restoreByPsql(restored, rows.sql)
    expect(await described(restored)).toBe(await described(source))
  })

  test('some tables come with what they need, and nothing else', async () => {
    await withRole(server, async (role) => {
      await using source = await createDatabase(server)
      await makeEverything(source, role)
      const some = await dump(source, { tables: ['parent', 'always', 'measure*'], excludeTables: ['measure_other'] })
      await using restored = await createDatabase(server)
      await restoreByPsql(restored, some.sql)
      expect(await restored.sql('SELECT count(*) FROM ONLY parent')).toEqual([['4']])
      expect(await restored.sql('SELECT nextval(pg_get_serial_sequence($1, $2))', ['always', 'id'])).toEqual([['1501']])
      expect(await restored.sql(`SELECT to_regclass('twin'), to_regclass('booking')`)).toEqual([[null, null]])
      expect(some.head.partial).toBe(true)
    })
  })

  test('one schema comes with its extensions', async () => {
    await using source = await createDatabase(server)
    await source.sql(`CREATE EXTENSION citext; CREATE TABLE t (c citext); INSERT INTO t VALUES ('x');
      CREATE SCHEMA other; CREATE TABLE other.u (id int)`)
    const { sql } = await dump(source, { schemas: ['public'] })
    await using restored = await createDatabase(server)
    await restoreByPsql(restored, sql)
    expect(await restored.sql(`SELECT c, to_regclass('other.u') FROM t`)).toEqual([['x', null]])
    const { sql: without } = await dump(source, { excludeSchemas: ['other'] })
    expect(without).not.toContain('other')
  })
})
