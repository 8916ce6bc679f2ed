/**
 * Whatever ends an import before its commit, the target is as it was: at no statement do others see anything of it, and no cut
 * connection and no stop leaves anything behind (promise P14, hazards B1, B3, A15).
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Adapter } from '#adapters/adapter.ts'
import { openDatabase } from '#adapters/registry.ts'
import type { Restoration } from '#adapters/restore-target.ts'
import { checkDump } from '#dump/check-dump.ts'
import { importDump } from '#dump/import-dump.ts'
import { planImport } from '#dump/plan-import.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { fileOf, importInto, pgDump, plan, readOptions, withoutKey } from '#test/harness/import.ts'
import { permitWrite } from '#test/harness/permit.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'

const { source: server } = sharedServers()

const TABLES = 20
const ROWS = 200

/** A target that has something, and a dump of some 200 statements that replaces it and brings more. */
async function createTarget(): Promise<{ target: Database; file: Buffer; after: string }> {
  await using source = await createDatabase(server)
  const tables = Array.from(
    { length: TABLES },
    (_, i) => `CREATE TABLE t${i} (id serial PRIMARY KEY, name text UNIQUE, p int REFERENCES t${Math.max(0, i - 1)});
      INSERT INTO t${i} (name) SELECT md5(n::text) FROM generate_series(1, ${ROWS}) n; COMMENT ON TABLE t${i} IS 'new';`,
  )
  await source.sql(tables.join('\n'))
  const file = (await dump(source)).packed
  const after = withoutKey(await pgDump(source))
  const target = await createDatabase(server)
  await target.sql(`CREATE TABLE t3 (old text); INSERT INTO t3 VALUES ('old'); CREATE TABLE t4 (LIKE t3)`)
  return { target, file, after }
}

/** What the catalogue and the rows are to somebody else; cheap enough to be asked at every statement. */
const AS_SEEN = `
  SELECT (SELECT md5(string_agg(concat_ws(' ', c.oid, c.relname, c.relkind, c.relfilenode, c.relnatts, c.relacl), ',' ORDER BY c.oid))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_'),
         (SELECT md5(string_agg(concat_ws(' ', nspname, oid), ',' ORDER BY oid)) FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'),
         (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_description), (SELECT count(*) FROM pg_proc)`

/** Looks at the target before and after each thing that a restore does. */
function watched(restoration: Restoration, look: () => Promise<void>): Restoration {
  const around = async <T>(work: () => Promise<T>): Promise<T> => {
    const result = await work()
    await look()
    return result
  }
  return {
    connection: restoration.connection,
    transaction: restoration.transaction,
    hold: (what) => around(() => restoration.hold(what)),
    clear: (what) => around(() => restoration.clear(what)),
    quiet: (tables) => around(() => restoration.quiet(tables)),
    wake: () => around(() => restoration.wake()),
    renew: (sequences) => around(() => restoration.renew(sequences)),
    setAside: (what) => around(() => restoration.setAside(what)),
    exchange: (what, carry) => around(() => restoration.exchange(what, carry)),
    mind: (tables) => around(() => restoration.mind(tables)),
    giveBack: (carry) => around(() => restoration.giveBack(carry)),
    written: () => around(() => restoration.written()),
    guardSequences: () => restoration.guardSequences(),
    knowsSetting: (name) => restoration.knowsSetting(name),
    run: async (statements) => {
      const affected: number[] = []
      for (const statement of statements) affected.push(...(await around(() => restoration.run([statement]))))
      return affected
    },
    load: (copy, rows) => around(() => restoration.load(copy, rows)),
    commit: (how) => restoration.commit(how),
    [Symbol.asyncDispose]: () => restoration[Symbol.asyncDispose](),
  }
}

class GivenUp extends Error {}

describe.each([false, true])('B1: at every statement (exchanged at the end: %s)', (swap) => {
  test('others see what was there, and giving up there leaves it', async () => {
    const { target, file, after } = await createTarget()
    await using held = target
    const wish = { replace: true, swap, trusted: false, owners: false, grants: false }
    const source = fileOf(file)
    const options = readOptions()
    const checked = await checkDump(source, { ...options, ...wish })
    const write = permitWrite(held.url)
    const before = await held.sql(AS_SEEN)
    const whole = withoutKey(await pgDump(held))
    /** @param stopAt the look at which it is given up */
    const attempt = async (stopAt: number): Promise<number> => {
      await using adapter = await openDatabase(held.url, { write, signal: options.signal })
      let looks = 0
      const look = async (): Promise<void> => {
        looks += 1
        // One of the old tables is locked in the end, so that only the catalogue can be asked.
        expect(await held.sql(AS_SEEN), `statement ${looks}`).toEqual(before)
        if (looks === stopAt) throw new GivenUp()
      }
      const planned = await planImport(adapter, checked, { ...wish, trusted: true })
      const restore = must(adapter.restore, 'a target that takes dumps')
      const begin = must(restore.begin, 'a target that is open for writing')
      const opened: Adapter = Object.create(adapter, {
        restore: {
          value: {
            inspect: restore.inspect.bind(restore),
            fateOf: restore.fateOf.bind(restore),
            begin: async () => watched(await begin(), look),
          },
        },
      }) as Adapter
      const tools = { journal: { record: () => undefined }, backup: null }
      await importDump(opened, { file: source, plan: planned }, { ...options, ...wish }, tools)
      return looks
    }
    const seed = printedSeed()
    for (let stop = 1; stop <= 200; stop += 20 + (seed % 10)) {
      await expect(attempt(stop), `given up at ${stop}`).rejects.toThrow(GivenUp)
      expect(withoutKey(await pgDump(held)), `given up at ${stop}`).toBe(whole)
    }
    expect(await attempt(0)).toBeGreaterThan(150)
    expect(withoutKey(await pgDump(held))).toBe(after)
  })
})

test.for(['fin', 'rst', 'silence'] as const)(
  'A15, B3: a connection that is cut (%s) after any number of bytes: the target is as it was',
  { timeout: 300_000 },
  async (by) => {
    const { target, file, after } = await createTarget()
    await using held = target
    const before = withoutKey(await pgDump(held))
    await using proxy = await startFaultProxyFor(held.url)
    const url = `${proxy.url(held.url)}?connect_timeout=2`
    await plan(held, fileOf(file), { url })
    const looking = proxy.bytes.toServer
    await importInto(held, file, { url, replace: true })
    expect(withoutKey(await pgDump(held))).toBe(after)
    // What the connection of the restore alone sends: the others only look.
    const bytes = proxy.bytes.toServer - 2 * looking
    await held.sql(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC;
      CREATE TABLE t3 (old text); INSERT INTO t3 VALUES ('old'); CREATE TABLE t4 (LIKE t3)`)
    const start = withoutKey(await pgDump(held))
    expect(start.includes(`'old'`) || start.includes('old\n')).toBe(true)
    expect(before).toContain('old')
    const cuts = by === 'silence' ? 1 : Number(process.env['SYNCLINE_TEST_KILLS'] ?? 5)
    const property = fc.asyncProperty(fc.integer({ min: 2_000, max: bytes - 400 }), async (bytesToPass) => {
      await proxy.faults.set({ cut: { after: bytesToPass, direction: 'toServer', by } })
      await expect(importInto(held, file, { url, replace: true })).rejects.toThrow(AppError)
      await proxy.faults.clear()
      proxy.cut('rst')
      await expect
        .poll(() =>
          held.sql(
            `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'syncline'`,
          ),
        )
        .toEqual([['0']])
      expect(withoutKey(await pgDump(held)), `cut after ${bytesToPass} bytes`).toBe(start)
    })
    await fc.assert(property, { seed: printedSeed(), numRuns: cuts, endOnFailure: true })
  },
)

/** Its COMMIT waits for whoever holds the lock. */
const WAITING = `-- PostgreSQL database dump
CREATE TABLE public.t (a int);
CREATE FUNCTION public.waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(4711); RETURN NEW; END $$;
CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON public.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.waits();
INSERT INTO public.t VALUES (1);
-- PostgreSQL database dump complete
`

test('B3: stopped while it is committed: what is told is what became of it', async () => {
  await using held = await createDatabase(server)
  await held.sql('SELECT pg_advisory_lock(4711)')
  const stop = new AbortController()
  const told = importInto(held, WAITING, { signal: stop.signal }).then(
    () => 'imported',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  )
  const committing = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND wait_event = 'advisory'`
  await expect.poll(() => held.sql(committing)).toEqual([['1']])
  stop.abort(new AppError('interrupted', 'Somebody stops it.'))
  expect(await told).toBe('connection_lost')
  await held.sql('SELECT pg_advisory_unlock(4711)')
  const others = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
  await expect.poll(() => held.sql(others)).toEqual([['0']])
  expect(await held.sql(`SELECT to_regclass('public.t') IS NULL`)).toEqual([['t']])
})

test('B1: stopped by whoever asked for it, at any piece of rows', async () => {
  const { target, file } = await createTarget()
  await using held = target
  const before = withoutKey(await pgDump(held))
  const seed = printedSeed()
  for (let round = 0; round < 5; round++) {
    const stop = new AbortController()
    let events = 0
    const last = (seed + round * 7) % 60
    const onEvent = (): void => {
      if ((events += 1) > last) stop.abort(new AppError('interrupted', 'somebody wants it to stop'))
    }
    await expect(importInto(held, file, { replace: true, signal: stop.signal, onEvent })).rejects.toThrow(
      'somebody wants it to stop',
    )
    expect(withoutKey(await pgDump(held)), `stopped at event ${last}`).toBe(before)
  }
})
