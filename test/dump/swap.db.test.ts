/** What is replaced stays readable while a dump is restored, and is exchanged at the end: wholly, or not at all. */
import { expect, test } from 'vitest'

import type { DumpFile } from '#dump/dump-file.ts'
import type { Backup } from '#dump/import-dump.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { fileOf, importInto, KEPT, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

const SHOP = `
  CREATE TYPE state AS ENUM ('new', 'paid');
  CREATE TABLE buyer (id serial PRIMARY KEY, name text NOT NULL);
  CREATE TABLE bill (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, buyer int REFERENCES buyer, state state);
  CREATE VIEW open_bill AS SELECT * FROM bill WHERE state = 'new';
  CREATE FUNCTION total(state) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.bill WHERE state = $1';
  INSERT INTO buyer (name) SELECT 'buyer ' || n FROM generate_series(1, 50) n;
  INSERT INTO bill (buyer, state) SELECT n, 'new' FROM generate_series(1, 50) n;`

/** At its second reading, which is the restore, it stops in the middle, until `meanwhile` is over. */
function pausing(bytes: Buffer | string, meanwhile: () => Promise<void>): DumpFile {
  const whole = fileOf(bytes, 512)
  let readings = 0
  return {
    name: whole.name,
    bytes: whole.bytes,
    async *read() {
      const pauses = ++readings === 2
      let at = 0
      for await (const chunk of whole.read()) {
        if (pauses && at <= whole.bytes * 0.8 && at + chunk.length > whole.bytes * 0.8) await meanwhile()
        at += chunk.length
        yield chunk
      }
    },
  }
}

const IMPATIENT = `SET lock_timeout = '100ms'; SET statement_timeout = '20s';`

async function shops(): Promise<{ a: Database; b: Database; file: string } & AsyncDisposable> {
  const [a, b] = [await createDatabase(oldest()), await createDatabase(oldest())]
  await a.sql(SHOP)
  await b.sql(`${SHOP} UPDATE buyer SET name = 'old'; INSERT INTO buyer (name) VALUES ('older')`)
  const file = (await dump(a, { compression: 'none' })).sql
  return {
    a,
    b,
    file,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

test('readers see the old until the new is whole, and wait for nothing meanwhile; without it they wait', async () => {
  await using pair = await shops()
  const { a, b, file } = pair
  const seen: unknown[] = []
  const meanwhile = async (): Promise<void> => {
    seen.push(await b.sql(`${IMPATIENT} SELECT count(*), min(name) FROM buyer`))
    seen.push(await b.sql(`${IMPATIENT} SELECT total('new'), count(*) FROM open_bill`))
    await expect(b.sql(`${IMPATIENT} INSERT INTO buyer (name) VALUES ('lost')`)).rejects.toThrow(/lock timeout/)
  }
  await importInto(b, pausing(file, meanwhile), { replace: true, swap: true })
  expect(seen).toEqual([[['51', 'old']], [['50', '50']]])
  expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
  const blocked = async (): Promise<void> => {
    await expect(b.sql(`${IMPATIENT} SELECT count(*) FROM buyer`)).rejects.toThrow(/lock timeout/)
  }
  await importInto(b, pausing(file, blocked), { replace: true })
})

test.for([[false], [true]])(
  'what a view that is replaced looks at is written by others all the time, swapped: %s',
  async ([swap = false]) => {
    await using db = await createDatabase(oldest())
    await db.sql(`CREATE TABLE other (id int); CREATE SCHEMA shop; CREATE TABLE shop.t (id int);
      INSERT INTO shop.t SELECT generate_series(1, 500); CREATE VIEW shop.v AS SELECT * FROM public.other;
      CREATE MATERIALIZED VIEW shop.m AS SELECT * FROM public.other`)
    const file = await pgDump(db, ['--schema=shop'])
    const write = async (): Promise<void> => void (await db.sql(`${IMPATIENT} INSERT INTO other VALUES (1)`))
    const backup = async (): Promise<Backup> => {
      await write()
      return KEPT
    }
    await importInto(db, pausing(file, write), { replace: true, swap, backup })
    expect(await db.sql('SELECT count(*) FROM shop.v')).toEqual([['2']])
  },
)

test('rights of others on tables, columns, sequences, functions and the schema are carried over', async () => {
  await using pair = await shops()
  const { b, file } = pair
  const role = `reader_${b.name.slice(-12)}`
  await b.sql(`CREATE ROLE ${role}; COMMENT ON SCHEMA public IS 'ours'; GRANT CREATE, USAGE ON SCHEMA public TO ${role} WITH GRANT OPTION;
    GRANT SELECT, INSERT ON buyer TO ${role} WITH GRANT OPTION; GRANT SELECT (id, state) ON bill TO ${role}; GRANT SELECT ON open_bill TO PUBLIC;
    GRANT USAGE ON SEQUENCE buyer_id_seq TO ${role}; REVOKE ALL ON FUNCTION total(state) FROM PUBLIC; GRANT EXECUTE ON FUNCTION total(state) TO ${role}`)
  try {
    const rights = async (): Promise<string[]> =>
      (await pgDump(b)).split('\n').filter((line) => /^(GRANT|REVOKE|COMMENT ON SCHEMA|ALTER SCHEMA)/.test(line))
    const before = await rights()
    expect(before.length).toBeGreaterThan(6)
    await importInto(b, file, { replace: true, swap: true, owners: false, grants: false })
    expect(await rights()).toEqual(before)
    expect(await b.sql('SELECT min(name) FROM buyer')).toEqual([['buyer 1']])
  } finally {
    await b.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
})

test.for([
  ['a table besides', 'CREATE TABLE mine (id int)', 'table public.mine'],
  ['a type besides', `CREATE TYPE colour AS ENUM ('red')`, 'type public.colour'],
  ['a function besides', `CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`, 'function public.mine()'],
  ['a collation besides', `CREATE COLLATION mine (locale = 'C')`, 'collation public.mine'],
  [
    'an operator besides',
    `CREATE OPERATOR ~~~ (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)`,
    'operator public.~~~',
  ],
  [
    'rights on what comes later',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC',
    'default privileges',
  ],
  ['an owner', 'ALTER TABLE buyer OWNER TO pg_monitor', 'table public.buyer, which is not of the login'],
  [
    'an owner of a function',
    'ALTER FUNCTION total(state) SECURITY DEFINER; ALTER FUNCTION total(state) OWNER TO pg_monitor',
    'function public.total(public.state), which is not of the login',
  ],
  ['an owner of a type', 'ALTER TYPE state OWNER TO pg_monitor', 'type public.state, which is not of the login'],
  ['an extension with a table', 'CREATE EXTENSION pg_stat_statements', 'pg_stat_statements'],
] as const)('%s is in the way, and told: nothing is written', async ([, sql, named]) => {
  await using pair = await shops()
  const { b, file } = pair
  await b.sql(sql)
  const before = withoutKey(await pgDump(b))
  const error = await refusal(importInto(b, file, { replace: true, swap: true, owners: false, grants: false }))
  expect([error.code, error.message]).toEqual(['restore_unswappable', expect.stringContaining(named)])
  expect(withoutKey(await pgDump(b))).toBe(before)
})

test('what the file only fills cannot be exchanged', async () => {
  await using pair = await shops()
  const { a, b } = pair
  const rows = (await dump(a, { content: 'data' })).packed
  const { refusals } = await plan(b, fileOf(rows), { replace: true, swap: true })
  expect(refusals.map(({ code, message }) => [code, message])).toEqual([
    ['restore_unswappable', expect.stringMatching(/rows of public\.b.*sequence public\.b/)],
  ])
})

test('extensions of the schema move over', async () => {
  await using a = await createDatabase(oldest())
  await using b = await createDatabase(oldest())
  await a.sql(SHOP)
  await b.sql(`CREATE EXTENSION citext; ${SHOP} ALTER TABLE buyer ALTER COLUMN name TYPE citext`)
  await a.sql(`CREATE EXTENSION citext; ALTER TABLE buyer ALTER COLUMN name TYPE citext`)
  const file = (await dump(a, { compression: 'none' })).sql
  await importInto(b, file, { replace: true, swap: true })
  expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
})

test('a view on the old that somebody makes meanwhile: everything is rolled back, and nothing of theirs is lost', async () => {
  await using pair = await shops()
  const { b, file } = pair
  const meanwhile = async (): Promise<void> =>
    void (await b.sql('CREATE SCHEMA elsewhere; CREATE VIEW elsewhere.v AS SELECT id FROM public.buyer'))
  const error = await refusal(importInto(b, pausing(file, meanwhile), { replace: true, swap: true }))
  expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('view elsewhere.v')])
  expect(await b.sql('SELECT count(*), max(name) FROM buyer')).toEqual([['51', 'older']])
  expect(await b.sql('SELECT count(*) FROM elsewhere.v')).toEqual([['51']])
})

/** Waits until a session of the database that runs such a statement is in such a state. */
async function untilSession(db: Database, statement: string, state: string): Promise<void> {
  const sessions = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND query LIKE $1 AND coalesce(wait_event_type, '') = $2`
  await expect.poll(() => db.sql(sessions, [statement, state])).toEqual([['1']])
}

test.for([
  ['CREATE TABLE public.late (id int)', 'made', `to_regclass('public.late') IS NOT NULL`],
  [
    `CREATE FUNCTION public.late() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
    'referenced schema was concurrently dropped',
    `to_regproc('public.late') IS NULL`,
  ],
] as const)(
  'what somebody makes in the schema meanwhile waits, and is in the new one or told to its maker: %s',
  async ([sql, told, isSo]) => {
    await using pair = await shops()
    const { b, file } = pair
    await using other = await b.connect()
    let made: Promise<string> = Promise.resolve('')
    const meanwhile = async (): Promise<void> => {
      made = other.query(sql).then(
        () => 'made',
        (error: unknown) => String(error),
      )
      await untilSession(b, `${sql}%`, 'Lock')
    }
    await importInto(b, pausing(file, meanwhile), { replace: true, swap: true })
    expect(await made).toContain(told)
    expect(await b.sql(`SELECT count(*), ${isSo} FROM buyer`)).toEqual([['50', 't']])
  },
)

test('a reader that holds on to the old is waited for, and others go on reading in between', async () => {
  await using pair = await shops()
  const { a, b, file } = pair
  await using holder = await b.connect()
  await holder.query('BEGIN; SELECT count(*) FROM buyer')
  const done = importInto(b, file, { replace: true, swap: true })
  await untilSession(b, 'LOCK TABLE%', 'Lock')
  // Its lock is given up, and asked for again, until the reader has gone.
  expect(await b.sql(`SET statement_timeout = '20s'; SELECT count(*) FROM buyer`)).toEqual([['51']])
  await holder.query('COMMIT')
  await done
  expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
})

test('an error at the end leaves the old as it was, and no schema besides', async () => {
  await using pair = await shops()
  const { a, b } = pair
  const before = withoutKey(await pgDump(b))
  const end = '--\n-- PostgreSQL database dump complete'
  const failing = (await pgDump(a)).replace(end, `INSERT INTO public.buyer (id, name) VALUES (1, 'again');\n\n${end}`)
  const error = await refusal(importInto(b, failing, { replace: true, swap: true }))
  expect([error.code, error.message]).toEqual(['restore_failed', expect.stringContaining('23505')])
  expect(withoutKey(await pgDump(b))).toBe(before)
  expect(await b.sql(`SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'syncline%'`)).toEqual([['0']])
})
