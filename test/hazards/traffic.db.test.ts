/** What a comparison reads of a table that is in step but for a few rows: its traffic follows what differs, not what is there. */
import { expect, test } from 'vitest'

import { DEFAULT_POLICIES, type SyncConfig } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { expectSameTable } from '#test/harness/database.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const ROWS = 60_000
/** The catalogue and the digests of 240 buckets; keys and fingerprints of all rows of one side would be 3 MB. */
const QUIET = 400_000
/** What six changes may add: of each the digests of its bucket's parts, and the rows of one part; else those of a bucket. */
const CHANGED = { parts: 100_000, buckets: 250_000 }

/** Bytes that both sides sent and got while a run went over the wire. */
async function bytesOf(pair: Pair, config: Partial<SyncConfig>): Promise<number> {
  await using from = await startFaultProxyFor(pair.source.url)
  await using to = await startFaultProxyFor(pair.target.url)
  await pair.run(config, {
    sourceUrl: from.url(pair.source.url),
    targetUrl: to.url(pair.target.url),
    conflicts: new MemoryConflicts(),
  })
  return [from, to].reduce((sum, { bytes }) => sum + bytes.toServer + bytes.toClient, 0)
}

const PLAIN = 'CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text, d text)'
const PARTITIONED = `CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text, d text) PARTITION BY RANGE (id);
  CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (MINVALUE) TO (30000);
  CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (30000) TO (MAXVALUE)`

test.for([
  ['a table with statistics', PLAIN, 'ANALYZE t', {}, 'parts'],
  ['a table that nobody has analyzed', PLAIN, '', {}, 'parts'],
  [
    'a table whose statistics are old',
    'CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text, d text); ANALYZE t',
    '',
    {},
    'parts',
  ],
  ['partitions, of which the whole is never analyzed', PARTITIONED, '', {}, 'parts'],
  ['a baseline with the fingerprint of each field', PLAIN, 'ANALYZE t', { conflictStrategy: 'merge' }, 'parts'],
  ['keys that are no numbers', PLAIN.replace('id int', 'id text'), 'ANALYZE t', {}, 'buckets'],
] as const)('six changes in 60,000 rows: %s', async ([, table, after, config, by]) => {
  await using pair = await createPair(source, target)
  await pair.both(table)
  await pair.both(`INSERT INTO t SELECT n, 'a', 'b', 'c', 'd' FROM generate_series(1, ${ROWS}) n; ${after}`)
  const policies = { ...config, deletePolicy: 'delete', deleteScope: 'mirror', verifyAfter: 'full' } as const
  await pair.run(policies)
  const then = { ...policies, verifyAfter: 'changed' } as const
  const quiet = await bytesOf(pair, then)
  expect(quiet).toBeLessThan(QUIET)
  await pair.source.sql(`UPDATE t SET a = 'changed' WHERE id IN ('70', '30000', '59999');
    DELETE FROM t WHERE id IN ('71', '45000'); INSERT INTO t VALUES ('60001', 'new')`)
  const bytes = await bytesOf(pair, then)
  expect(bytes - quiet).toBeLessThan(CHANGED[by])
  await expectSameTable(pair.source, pair.target, 't')
})

test('more conflicts than are looked at at once, with as few connections as there may be', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, a text)')
  await pair.source.sql(`INSERT INTO t SELECT n, 'a' FROM generate_series(1, ${ROWS}) n`)
  const config = { conflictStrategy: 'manual', parallel: 1, batchSize: DEFAULT_POLICIES.batchSize } as const
  await pair.run(config)
  await pair.both('ANALYZE t')
  await pair.source.sql(`UPDATE t SET a = 's' WHERE id <= 20000`)
  await pair.target.sql(`UPDATE t SET a = 't' WHERE id <= 20000`)
  const conflicts = new MemoryConflicts()
  const { counts } = await pair.run(config, { conflicts })
  expect(counts).toMatchObject({ read: ROWS, conflicted: 20_000 })
  expect(conflicts.open).toHaveLength(20_000)
})
