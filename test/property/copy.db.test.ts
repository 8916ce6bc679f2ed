/**
 * Whatever a schema and its rows are, a copy is equal, a second run writes nothing, and after any changes of the source
 * the next run makes it equal again, on each pair of engines (promises P1 and P5). SYNCLINE_TEST_SCHEMAS sets how many schemas, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { written } from '#model/counts.ts'
import type { Receipt } from '#model/receipt.ts'

import { mutate, mutation } from '#test/harness/mutate.ts'
import { usePairs, type AnyPair } from '#test/harness/pairs.ts'
import { expectSameRows } from '#test/harness/plain-rows.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { loadSchema, randomSchema, type RandomSchema } from '#test/harness/random-schema.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { postgresWays, waysWithMariadb } from '#test/harness/random-ways.ts'
import { MIRROR, wroteNothing } from '#test/harness/sync.ts'

const SCHEMAS = Number(process.env['SYNCLINE_TEST_SCHEMAS'] ?? 12)

const { source, target } = sharedServers()
const WAYS = [
  ...postgresWays([
    [source, source],
    [source, target],
    [target, source],
    [target, target],
  ]),
  ...waysWithMariadb(usePairs()),
]

test.each(WAYS)(
  'a random schema arrives, stays, and follows changes ($name)',
  async ({ open, dialect }) => {
    const input = fc.record({
      schema: randomSchema({ dialect }),
      mutations: fc.array(mutation, { minLength: 1, maxLength: 40, size: 'max' }),
      batchSize: fc.constantFrom(1, 2, 3, 7, 1_000),
      strategy: fc.constantFrom('hash' as const, 'full' as const),
      owned: fc.boolean(),
    })
    const property = fc.asyncProperty(input, async ({ schema, mutations, batchSize, strategy, owned }) => {
      await using pair = await open()
      await loadSchema(pair.source, schema)
      const policies = {
        ...MIRROR,
        deleteScope: owned ? ('owned' as const) : ('mirror' as const),
        create: true,
        batchSize,
        detectionStrategy: strategy,
      }
      const first = await pair.run(policies)
      expect(first.tables.flatMap((table) => table.rejections)).toEqual([])
      expect(first.counts.inserted).toBe(schema.tables.reduce((sum, table) => sum + table.rows.length, 0))
      await expectInStep(pair, schema, first)
      expect(wroteNothing(await pair.run(policies)), 'the second run writes nothing').toBe(true)

      for (const each of mutations) await mutate(pair.source, schema, each)
      const next = await pair.run(policies, { approve: true })
      await expectInStep(pair, schema, next)
      expect(wroteNothing(await pair.run(policies)), 'the run after the changes writes nothing').toBe(true)
    })
    const numRuns = Math.ceil(SCHEMAS / WAYS.length)
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns,
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  Math.max(120_000, SCHEMAS * 10_000),
)

async function expectInStep(pair: AnyPair, schema: RandomSchema, receipt: Receipt): Promise<void> {
  await expectSameRows(
    pair,
    schema.tables.map(({ name }) => name),
  )
  const { conflicted, rejected, skipped, read, unchanged } = receipt.counts
  expect({ conflicted, rejected, skipped }).toEqual({ conflicted: 0, rejected: 0, skipped: 0 })
  expect(read).toBe(written(receipt.counts) + unchanged)
  for (const table of receipt.tables) {
    expect(table.rejections).toEqual([])
    expect(table.verification.changedSince).toBe(0)
  }
}
