/**
 * B11: a transaction pooler gives every transaction another session. What a run needs holds inside of one transaction,
 * and what cannot be done that way is refused with the reason.
 */
import pg from 'pg'
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import { testDatasource } from '#jobs/test-datasource.ts'
import { createRegistry } from '#test/harness/datasources.ts'
import { expectSameTables } from '#test/harness/database.ts'
import { startPgBouncer } from '#test/harness/pgbouncer.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, MIRROR, wroteNothing } from '#test/harness/sync.ts'

const { signal } = new AbortController()

const SHOP = `CREATE TABLE customer (id int8 PRIMARY KEY, name text, joined timestamptz);
  CREATE TABLE ord (id int8 PRIMARY KEY, customer int8 REFERENCES customer (id), total numeric(12,2), tags text[])`
const ROWS = `INSERT INTO customer SELECT g, 'n' || g, '2024-01-01'::timestamptz + g * interval '1 h' FROM generate_series(1, 3000) g;
  INSERT INTO ord SELECT g, 1 + g % 3000, g / 7.0, ARRAY['a', g::text] FROM generate_series(1, 9000) g`
const TABLES = [mapping('customer'), mapping('ord')]

/** Other clients of the same pooler, so that sessions do change hands; each leaves a setting behind that would hurt. */
async function disturb(url: string, until: () => boolean): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  let rounds = 0
  try {
    for (; !until(); rounds++) {
      await client.query(`SET datestyle = 'German, DMY'`)
      await client.query(`SET search_path = nowhere`)
      await client.query(`SET statement_timeout = '20s'`)
    }
  } finally {
    await client.end()
  }
  return rounds
}

test('B11: load, changes, deletes and proof through a pooler on both sides, among clients that leave settings behind', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await using before = await startPgBouncer(servers.source, { poolSize: 6 })
  await using behind = await startPgBouncer(servers.target, { poolSize: 6 })
  await pair.both(SHOP)
  await pair.source.sql(ROWS)
  const sourceUrl = before.url(pair.source.url)
  const targetUrl = behind.url(pair.target.url)
  const hooks = { sourceUrl, targetUrl, approve: true }
  let done = false
  const others = [disturb(sourceUrl, () => done), disturb(targetUrl, () => done)]
  try {
    const loaded = await pair.run({ tables: TABLES, parallel: 2 }, hooks)
    expect(loaded.counts).toMatchObject({ inserted: 12_000, rejected: 0 })
    await pair.source.sql(`UPDATE customer SET name = name || '!' WHERE id % 10 = 0; DELETE FROM ord WHERE id % 100 = 0;
      INSERT INTO ord SELECT g, 1, 0, '{}' FROM generate_series(9001, 9500) g`)
    const changed = await pair.run({ tables: TABLES, ...MIRROR, parallel: 2 }, hooks)
    expect(changed.counts).toMatchObject({ inserted: 500, updated: 300, deleted: 90, rejected: 0 })
    expect(wroteNothing(await pair.run({ tables: TABLES, ...MIRROR }, hooks))).toBe(true)
  } finally {
    done = true
    for (const rounds of await Promise.all(others)) expect(rounds).toBeGreaterThan(10)
  }
  await expectSameTables(pair.source, pair.target, ['customer', 'ord'])
})

test('B11: tables are not made through a pooler without a word: made whole, or refused with the reason', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await using pooler = await startPgBouncer(servers.source)
  await pair.source.sql(SHOP)
  await pair.source.sql(ROWS)
  const run = pair.run({ tables: TABLES, create: true }, { sourceUrl: pooler.url(pair.source.url) })
  await expect(run).rejects.toMatchObject({
    code: 'pooler_not_supported',
    hint: expect.stringContaining('direct') as string,
  })
  expect(await pair.target.sql(`SELECT to_regclass('customer'), to_regnamespace('syncline')`)).toEqual([[null, null]])
})

test('B11: the connection test tells of the pooler, and what it stands in the way of', async () => {
  const { source } = sharedServers()
  await using registry = await createRegistry('sqlite')
  await using pooler = await startPgBouncer(source)
  await using pair = await createPair(source, source)
  const datasource = await registry.add(pooler.url(pair.source.url))
  const { ok, checks } = await testDatasource(registry.tools, datasource, signal)
  expect(ok, JSON.stringify(checks.filter(({ state }) => state === 'fail'))).toBe(true)
  const steps = new Map(checks.map((check) => [check.step, check]))
  expect(steps.get('pooler')).toMatchObject({ state: 'warn', next: expect.stringContaining('direct') as string })
  expect(steps.get('change capture: slots')).toMatchObject({ state: 'warn', found: 'none through a pooler' })
  await using adapter = await openDatabase(pooler.url(pair.source.url), { write: null, signal })
  expect(adapter.server.pooled).toBe(true)
})
