/** A part of a run that fails takes the others down in order: one error, no uncaught one, and the next run heals. */
import { afterEach, expect, test } from 'vitest'

import { armFailpoint } from '#lib/failpoint.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair } from '#test/harness/sync.ts'

afterEach(() => armFailpoint('none:1:throw'))

test('a load that fails while others are under way ends the run with its own error, and the next one finishes (B4, B5)', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const name of names) {
    const table = `CREATE TABLE ${name} (id int PRIMARY KEY, text text)`
    await pair.source.sql(`${table}; INSERT INTO ${name} SELECT i, repeat('x', 500) FROM generate_series(1, 4000) i`)
    await pair.target.sql(table)
  }
  for (let pass = 1; pass <= 3; pass++) {
    armFailpoint(`load.copied:${pass}:throw`)
    await expect(pair.run({ parallel: 4 })).rejects.toThrow('failpoint load.copied')
    armFailpoint('none:1:throw')
  }
  const receipt = await pair.run({ parallel: 4 })
  expect(receipt.counts).toMatchObject({ inserted: 24_000, read: 24_000, rejected: 0 })
})
