/**
 * Digests of buckets, and of parts of them, against a comparison of every row: the same edits on two pairs of databases, of
 * which one is compared by `hash` and the other by `full`, have the same outcome in every count and in every row.
 * SYNCLINE_TEST_HISTORIES sets how many histories, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'

const HISTORIES = Number(process.env['SYNCLINE_TEST_HISTORIES'] ?? 4)

const { source, target } = sharedServers()

/**
 * A run of keys, some behind `at`, a share of all keys; beyond 0 and 1 lie keys that no row had when the baseline was made.
 * The places are few, so that what one round leaves apart lies beside what the next one changes.
 */
const edit = fc.record({
  sides: fc.constantFrom<readonly ('source' | 'target')[]>(['source'], ['target'], ['source', 'target']),
  op: fc.constantFrom('update', 'delete', 'insert'),
  at: fc.constantFrom(-0.05, 0, 0.5, 1),
  behind: fc.nat(150),
  keys: fc.constantFrom(1, 1, 2, 40),
  value: fc.constantFrom('x', 'y'),
})

type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never

const history = fc.record({
  config: fc.constantFrom(
    { conflictStrategy: 'source_wins' },
    { conflictStrategy: 'target_wins' },
    { conflictStrategy: 'merge' },
    { conflictStrategy: 'manual' },
    { conflictStrategy: 'target_wins', direction: 'two_way' },
  ),
  rows: fc.constantFrom(1_500, 3_000, 9_000),
  /** Of the key: keys are `first`, `first + step`, … */
  first: fc.constantFrom(-4_000, 0, 1, 2 ** 31 - 200_000),
  step: fc.constantFrom(1, 3, 15, 40),
  rounds: fc.array(fc.array(edit, { minLength: 1, maxLength: 5, size: 'max' }), {
    minLength: 2,
    maxLength: 4,
    size: 'max',
  }),
})

type History = typeof history extends fc.Arbitrary<infer T> ? T : never

const DELETING = {
  deletePolicy: 'delete',
  deleteScope: 'mirror',
  maxDeletePercent: 100,
  maxOverwritePercent: 100,
} as const

async function carryOut(pair: Pair, { rows, first, step }: History, edit: Edit): Promise<void> {
  const { sides, op, at, behind, keys, value } = edit
  const from = first + (Math.round(at * rows) + behind) * step
  const range = `id BETWEEN ${from} AND ${from + (keys - 1) * step}`
  for (const side of sides) {
    const own = `'${value} of the ${side}'`
    if (op === 'update') await pair[side].sql(`UPDATE t SET a = ${own} WHERE ${range}`)
    else if (op === 'delete') await pair[side].sql(`DELETE FROM t WHERE ${range}`)
    else {
      await pair[side].sql(`INSERT INTO t SELECT ${from} + n * ${step}, ${own}, 'b'
        FROM generate_series(0, ${keys - 1}) n ON CONFLICT DO NOTHING`)
    }
  }
}

test('what digests find is what a comparison of all rows finds', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (given) => {
      const { config, rows, first, step, rounds } = given
      await using byDigests = await createPair(source, target)
      await using byRows = await createPair(source, target)
      const pairs = [
        { pair: byDigests, strategy: 'hash', conflicts: new MemoryConflicts() },
        { pair: byRows, strategy: 'full', conflicts: new MemoryConflicts() },
      ] as const
      for (const { pair } of pairs) {
        await pair.both('CREATE TABLE t (id int8 PRIMARY KEY, a text, b text)')
        await pair.source.sql(
          `INSERT INTO t SELECT ${first} + n * ${step}::int8, 'a', 'b' FROM generate_series(0, ${rows - 1}) n; ANALYZE t`,
        )
      }
      for (const edits of [[], ...rounds]) {
        const found = []
        for (const { pair, strategy, conflicts } of pairs) {
          for (const one of edits) await carryOut(pair, given, one)
          const policies = { ...DELETING, ...config, detectionStrategy: strategy } as const
          const twoWays = policies.direction === 'two_way'
          const { counts } = await pair.run(policies, { conflicts, twoWays, approve: true })
          const open = conflicts.open.map(({ key, kind }) => `${key.join()} ${kind}`).toSorted()
          found.push({ counts, open })
        }
        expect(found[0]).toEqual(found[1])
        await expectSameTable(byDigests.target, byRows.target, 't')
        await expectSameTable(byDigests.source, byRows.source, 't')
      }
    }),
    { seed: printedSeed(), numRuns: HISTORIES, endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined },
  )
}, 600_000)
