/** A backup that a restore kept before it takes back what that restore made besides: one step leads back to what was there. */
import { expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import type { RunEvent } from '#sync/journal.ts'
import { Backups } from '#test/harness/backups.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey, type ImportHooks } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

/** Beside `buyer` all of it is new to the target, and all of it needs `buyer`, or what needs it. */
const SHOP = `
  CREATE TABLE buyer (id int PRIMARY KEY, name text);
  INSERT INTO buyer SELECT n, 'new ' || n FROM generate_series(1, 30) n;
  CREATE TYPE state AS ENUM ('new', 'paid');
  CREATE TABLE bill (id serial PRIMARY KEY, buyer int REFERENCES buyer, state state) PARTITION BY RANGE (id);
  CREATE TABLE bill_1 PARTITION OF bill FOR VALUES FROM (1) TO (1000);
  INSERT INTO bill (buyer, state) SELECT n, 'paid' FROM generate_series(1, 30) n;
  CREATE VIEW payer AS SELECT b.name, bill.state FROM buyer b JOIN bill ON bill.buyer = b.id;
  CREATE MATERIALIZED VIEW payers AS SELECT count(*) FROM payer;
  CREATE FUNCTION paid(buyer) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.bill WHERE buyer = $1.id';
  CREATE SCHEMA sales;
  CREATE TABLE sales.visit (buyer int REFERENCES public.buyer, was public.state);`

const OWN = `
  CREATE TABLE buyer (id int PRIMARY KEY, old text);
  INSERT INTO buyer SELECT n, 'old ' || n FROM generate_series(1, 10) n;
  CREATE TABLE mine (id int); CREATE VIEW my_buyers AS SELECT 1 AS one; COMMENT ON TABLE buyer IS 'of before'`

interface Restored extends AsyncDisposable {
  readonly target: Database
  readonly backups: Backups
  /** The target before and after the import. */
  readonly before: string
  readonly after: string
}

const textOf = async (db: Database): Promise<string> => withoutKey(await pgDump(db))

/** A target into which a shop was imported in the place of its own table. */
async function imported(hooks: ImportHooks = {}): Promise<Restored> {
  await using source = await createDatabase(oldest())
  await source.sql(SHOP)
  const target = await createDatabase(oldest())
  await target.sql(OWN)
  const before = await textOf(target)
  const backups = new Backups(target)
  await importInto(target, (await dump(source)).packed, { replace: true, backup: backups.keep, ...hooks })
  const after = await textOf(target)
  return { target, backups, before, after, [Symbol.asyncDispose]: () => target[Symbol.asyncDispose]() }
}

test('UX 13: a backup takes back what the import made besides, whatever of it needs what is replaced', async () => {
  await using restored = await imported()
  const { target, backups, before, after } = restored
  expect(await target.sql('SELECT count(*) FROM payer')).toEqual([['30']])
  const planned = await plan(target, fileOf(backups.last), { replace: true })
  expect(planned.refusals).toEqual([])
  expect(planned.takesBack.map(({ what, schema, name }) => `${what} ${schema}.${name}`).toSorted()).toEqual([
    'function public.paid',
    'materialized view public.payers',
    'schema .sales',
    'sequence public.bill_id_seq',
    'table public.bill',
    'table public.bill_1',
    'table sales.visit',
    'type public.state',
    'view public.payer',
  ])
  await importInto(target, backups.last, { replace: true, backup: backups.keep })
  expect(await textOf(target)).toBe(before)
  // And back again: what was taken back is kept too.
  await importInto(target, backups.last, { replace: true })
  expect(await textOf(target)).toBe(after)
})

test('D16: nothing is taken back without a word: it is a refusal that names it', async () => {
  await using restored = await imported()
  const { target, backups, after } = restored
  const error = await refusal(importInto(target, backups.last))
  expect(error.code).toBe('restore_exists')
  expect(error.message).toMatch(/take back what a restore after it has made: .*table public\.bill.*schema sales/s)
  expect(await textOf(target)).toBe(after)
})

test('in another database nothing is taken back, whatever is called the same there', async () => {
  await using restored = await imported()
  const { backups } = restored
  await using other = await createDatabase(oldest())
  await other.sql(`CREATE TABLE bill (id int); INSERT INTO bill VALUES (1); CREATE SCHEMA sales`)
  expect((await plan(other, fileOf(backups.last), { replace: true })).takesBack).toEqual([])
  await importInto(other, backups.last, { replace: true })
  expect(await other.sql('SELECT (SELECT count(*) FROM bill), (SELECT count(*) FROM buyer)')).toEqual([['1', '10']])
  expect(await other.sql(`SELECT to_regnamespace('sales') IS NOT NULL`)).toEqual([['t']])
})

test('a schema stays in which somebody has made something since, and so does what nobody imported', async () => {
  await using restored = await imported()
  const { target, backups } = restored
  await target.sql('CREATE TABLE sales.own (id int); DROP MATERIALIZED VIEW payers; DROP TABLE sales.visit')
  await importInto(target, backups.last, { replace: true })
  expect(
    await target.sql(
      `SELECT to_regclass('sales.own') IS NULL, to_regclass('mine') IS NULL, to_regclass('bill') IS NULL`,
    ),
  ).toEqual([['f', 'f', 't']])
})

test('what somebody has made since and needs what is taken back is named, and nothing is written', async () => {
  await using restored = await imported()
  const { target, backups } = restored
  await target.sql('CREATE VIEW since AS SELECT * FROM bill')
  const before = await textOf(target)
  const error = await refusal(importInto(target, backups.last, { replace: true }))
  expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('view public.since')])
  expect(await textOf(target)).toBe(before)
})

test('SPEC 7: it is taken back in an exchange at the end too', async () => {
  // Nothing else is in the schemas that are exchanged.
  await using source = await createDatabase(oldest())
  await source.sql(SHOP)
  await using target = await createDatabase(oldest())
  await target.sql(`CREATE TABLE buyer (id int PRIMARY KEY, old text); INSERT INTO buyer VALUES (1, 'old')`)
  const before = await textOf(target)
  const backups = new Backups(target)
  await importInto(target, (await dump(source)).packed, { replace: true, swap: true, backup: backups.keep })
  await importInto(target, backups.last, { replace: true, swap: true })
  expect(await textOf(target)).toBe(before)
})

const FAILS = `-- PostgreSQL database dump
CREATE TABLE public.buyer (id int);
INSERT INTO public.buyer VALUES ('x');
-- PostgreSQL database dump complete
`

test('B3: of an import that replaced nothing in the end no backup stays; of one whose end nobody knows it does', async () => {
  await using target = await createDatabase(oldest())
  await target.sql(OWN)
  const backups = new Backups(target)
  const failed = importInto(target, FAILS, { replace: true, backup: backups.keep })
  expect((await refusal(failed)).code).toBe('restore_failed')
  expect(backups.discarded).toEqual(['backup 1'])
  const onEvent = ({ type }: RunEvent): void => {
    if (type === 'phase') throw new AppError('restore_unknown', 'The server did not say how it ended.')
  }
  const doubtful = importInto(target, FAILS.replace("'x'", '1'), { replace: true, backup: backups.keep, onEvent })
  expect((await refusal(doubtful)).code).toBe('restore_unknown')
  expect([backups.files.length, backups.discarded]).toEqual([2, ['backup 1']])
})
