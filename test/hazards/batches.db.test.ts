/** Batches that are under way at once: what each of them is known by (hazards B2, B3). */
import { expect, test } from 'vitest'

import { sharedServers } from '#test/harness/postgres.ts'
import { createPair } from '#test/harness/sync.ts'

const ROWS = 400

test('each batch of a run has a number and a label of its own, by which a lost COMMIT is looked for (B3)', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  for (const db of [pair.source, pair.target]) await db.sql('CREATE TABLE t (id int PRIMARY KEY, v text)')
  await pair.source.sql(`INSERT INTO t SELECT g, 'new ' || g FROM generate_series(1, ${ROWS}) g`)
  await pair.target.sql(`INSERT INTO t SELECT g, 'old ' || g FROM generate_series(1, ${ROWS / 2}) g`)

  const { counts } = await pair.run({ batchSize: 10, maxOverwritePercent: 100 })

  expect(counts).toMatchObject({ inserted: ROWS / 2, updated: ROWS / 2 })
  const [batches] = await pair.target.sql(
    `SELECT count(*), count(DISTINCT batch), count(DISTINCT label), sum(inserted + updated) FROM syncline.batch`,
  )
  expect(batches).toEqual(['40', '40', '40', String(ROWS)])
})
