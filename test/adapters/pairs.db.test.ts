/** On each pair of engines a table goes its whole way (promises P1 and P5). */
import { expect, test } from 'vitest'

import type { SyncConfig } from '#model/sync-config.ts'

import { PAIRS, usePairs } from '#test/harness/pairs.ts'
import { expectSameRows } from '#test/harness/plain-rows.ts'
import { MIRROR, wroteNothing } from '#test/harness/sync.ts'

const open = usePairs()
const POLICIES: Partial<SyncConfig> = { ...MIRROR, maxOverwritePercent: 100, verifyAfter: 'full' }

test.each(PAIRS)('a table arrives, follows what becomes of it, and is proved equal ($name)', async (engines) => {
  await using pair = await open(engines)
  const { source, target } = pair
  for (const side of [source, target]) {
    const time = side.engine === 'PostgreSQL' ? 'timestamp' : 'datetime(6)'
    await side.sql(
      `CREATE TABLE t (id int PRIMARY KEY, v varchar(40) NOT NULL, n decimal(12,3), at ${time}, on_ boolean)`,
    )
  }
  await source.sql(
    `INSERT INTO t SELECT n, md5(concat('', n)), n / 8.0, '2024-02-29 12:00:00.5', n % 2 = 1 FROM ${source.numbers(1, 20_000)}`,
  )
  const receipt = await pair.run(POLICIES)
  expect(receipt).toMatchObject({ completeness: 'exact', counts: { inserted: 20_000 } })
  expect(wroteNothing(await pair.run(POLICIES))).toBe(true)
  await source.each([
    'UPDATE t SET v = upper(v) WHERE id % 5000 = 7',
    'DELETE FROM t WHERE id = 12345',
    `INSERT INTO t VALUES (-5, 'new', NULL, NULL, NULL)`,
  ])
  expect(await pair.preview(POLICIES)).toMatchObject({ tables: [{ inserts: 1, updates: 4, deletes: 1 }] })
  expect(await pair.run(POLICIES)).toMatchObject({ counts: { inserted: 1, updated: 4, deleted: 1 } })
  for (const by of ['rows', 'proof'] as const) expect((await pair.compare(by)).equal).toBe(true)
  const sums = 'SELECT count(*), min(id), sum(n), sum(length(v)), count(on_) FROM t'
  expect(await target.sql(sums)).toEqual(await source.sql(sums))
  await source.sql('DELETE FROM t WHERE id > 100')
  expect((await pair.compare('proof')).equal).toBe(false)
  await pair.run(POLICIES, { approve: true })
  await expectSameRows(pair, ['t'])
})
