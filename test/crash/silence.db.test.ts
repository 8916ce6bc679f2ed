/** Sessions of our own that fell silent while they held locks (RELIABILITY A15, F4). */
import { expect, test } from 'vitest'

import { Connection } from '#adapters/postgres/connection.ts'
import { parseEndpoint } from '#adapters/postgres/endpoint.ts'
import { createDatabase } from '#test/harness/database.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair } from '#test/harness/sync.ts'

/** The key of the lock by which the test holds up a batch in the middle of its UPDATE. */
const HOLD = 4_711

test('a run that loses all its connections in the middle of a batch ends the sessions that are left on the server', async () => {
  await using pair = await createPair(sharedServers().source, sharedServers().target)
  const { source, target } = pair
  await pair.both(
    'CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item SELECT n, 0 FROM generate_series(1, 50) n',
  )
  await target.sql(`
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN IF NEW.id = 40 THEN PERFORM pg_catalog.pg_advisory_xact_lock_shared(${HOLD}); END IF; RETURN NEW; END';
    CREATE TRIGGER hold BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION hold();
    ALTER TABLE item ENABLE ALWAYS TRIGGER hold`)
  await source.sql('UPDATE item SET n = id')
  await using proxy = await startFaultProxyFor(target.url)
  await using holder = await target.connect()
  await holder.query(`SELECT pg_advisory_lock(${HOLD})`)
  const run = pair.run({ maxOverwritePercent: 100, batchSize: 50 }, { targetUrl: proxy.url(target.url) })
  const waiting = `SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'advisory' AND application_name = 'syncline'`
  await expect.poll(() => target.sql(waiting), { timeout: 60_000, interval: 20 }).toHaveLength(1)
  const silenced = await target.sql(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'syncline'`,
  )
  proxy.cut('silence')
  await holder.query(`SELECT pg_advisory_unlock(${HOLD})`)
  expect((await run).counts).toMatchObject({ updated: 50 })
  const left = await target.sql('SELECT pid FROM pg_stat_activity WHERE pid = ANY($1::int[])', [
    `{${silenced.flat().join(',')}}`,
  ])
  // Those that only read hold nothing, and end when the network is whole again.
  expect(left.length).toBeLessThan(silenced.length)
  expect(await source.sql('SELECT * FROM item ORDER BY id')).toEqual(await target.sql('SELECT * FROM item ORDER BY id'))
})

test('A15 a session counts as working where its account may have no other one to be asked over', async () => {
  await using database = await createDatabase(sharedServers().target)
  const role = `${database.name}_alone`
  await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'alone' CONNECTION LIMIT 1`)
  const url = new URL(database.url)
  url.username = role
  url.password = 'alone'
  const endpoint = parseEndpoint(url.href)
  await using alone = await Connection.open(endpoint)
  await expect(Connection.open(endpoint)).rejects.toMatchObject({ cause: { code: '53300' } })
  expect(await alone.probe()).toBe('working')
})
