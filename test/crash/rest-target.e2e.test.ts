/**
 * The process of a job is killed while it writes over REST: the job goes on by itself, loses nothing and applies nothing
 * twice (RELIABILITY F2, B1, B2).
 */
import { expect, test } from 'vitest'

import { createDatabase, expectSameTables } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { startWritableApi, tokenOf } from '#test/harness/postgrest.ts'
import { expectNoProgramSurvives, killNow } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'
import { jobProcesses, MIRROR_POLICIES } from '#test/harness/service.ts'

import { expectBatchesAddUp } from './runs.ts'

expectNoProgramSurvives()

const TABLES = `CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL);
  CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent, price numeric(10,2))`

/** Counts what is done to each row, in the transaction that does it. */
const LEDGER = `CREATE TABLE ledger (op text NOT NULL); GRANT INSERT ON ledger TO service_role;
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.ledger VALUES (TG_OP); RETURN NULL; END $$;
  CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION note()`

/** The calls during which the process of the job dies: before they are carried out, and after. */
const KILLED = [3, 8] as const

const ENDED = ['succeeded', 'failed', 'stopped', 'cancelled'] as const

test('F2, B1, B2: killed at calls of a first load and of a later run', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const db of [source, target]) await db.sql(TABLES)
  await source.sql(`INSERT INTO parent SELECT n, 'p' || n FROM generate_series(1, 200) n;
    INSERT INTO child SELECT n, 1 + n % 200, n / 4.0 FROM generate_series(1, 400) n`)
  await using api = await startWritableApi(target)
  await target.sql(LEDGER)
  await using service = await new ServeUnderTest({ APP_KEY: tokenOf('service_role') }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  const project = { name: 'app', project_url: api.url, service_role_key_reference: 'env:APP_KEY', writable: true }
  await service.ask('POST', '/api/v1/datasources', project)
  const ends = { source_datasource_id: 'shop', target_datasource_id: 'app' }
  await service.ask('POST', '/api/v1/sync-configs', { name: 'up', ...ends, ...MIRROR_POLICIES })

  const kills: Promise<void>[] = []
  let calls = 0
  api.fault = (_number, { url }) => {
    if (!url.includes('syncline_write')) return null
    calls += 1
    if (!KILLED.some((each) => each === calls % 20)) return null
    kills.push(jobProcesses(service.program).then((pids) => pids.forEach((pid) => killNow(pid))))
    // One is not carried out; the other is, and nobody hears of it.
    return calls % 2 === 0 ? { status: 503 } : { cutAfter: 0 }
  }
  const run = async (): Promise<unknown> => {
    const job = String((await service.ask('POST', '/api/v1/sync/up', {}))['job_id'])
    // Each kill costs the start of a program, on a machine that may be busy.
    const { status, counts } = await service.until(job, ENDED, 480_000)
    expect(status).toBe('succeeded')
    return counts
  }
  expect(await run()).toMatchObject({ inserted: 600, updated: 0, deleted: 0 })
  await expectSameTables(source, target, ['parent', 'child'])
  await source.sql(`DELETE FROM child WHERE id % 4 = 0; UPDATE child SET price = price + 1 WHERE id % 2 = 1;
    INSERT INTO parent SELECT n, 'new' FROM generate_series(1000, 1099) n`)
  expect(await run()).toMatchObject({ inserted: 100, updated: 200, deleted: 100 })
  await expectSameTables(source, target, ['parent', 'child'])
  await Promise.all(kills)
  expect(kills.length).toBeGreaterThan(1)
  expect(await target.sql('SELECT op, count(*) FROM ledger GROUP BY op ORDER BY op')).toEqual([
    ['DELETE', '100'],
    ['INSERT', '700'],
    ['UPDATE', '200'],
  ])
  await expectBatchesAddUp(target)
})
