/**
 * Digests of buckets, and of parts of them, against a comparison of every row: the same edits on two pairs of databases, of
 * which one is compared by `hash` and the other by `full`, have the same outcome in every count and in every row, on each
 * pair of engines; and what a cursor and a comparison of keys say that they see, arrives.
 * SYNCLINE_TEST_HISTORIES sets how many histories, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { PAIRS, usePairs, type AnyPair } from '#test/harness/pairs.ts'
import { printedSeed } from '#test/harness/seed.ts'
import type { Side, TextRow } from '#test/harness/side.ts'

const HISTORIES = Number(process.env['SYNCLINE_TEST_HISTORIES'] ?? 4)

const open = usePairs()

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

async function carryOut(pair: AnyPair, { rows, first, step }: History, edit: Edit): Promise<void> {
  const { sides, op, at, behind, keys, value } = edit
  const from = first + (Math.round(at * rows) + behind) * step
  const range = `id BETWEEN ${from} AND ${from + (keys - 1) * step}`
  for (const side of sides) {
    const db = pair[side]
    const own = `'${value} of the ${side}'`
    if (op === 'update') await db.sql(`UPDATE t SET a = ${own} WHERE ${range}`)
    else if (op === 'delete') await db.sql(`DELETE FROM t WHERE ${range}`)
    else {
      await db.sql(`INSERT INTO t SELECT ${from} + n * ${step}, ${own}, 'b' FROM ${db.numbers(0, keys - 1)}
        WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = ${from} + n * ${step})`)
    }
  }
}

const rowsOf = (side: Side): Promise<unknown> => side.sql('SELECT id, a, b FROM t ORDER BY id')

test.each(PAIRS)(
  'what digests find is what a comparison of all rows finds ($name)',
  async (engines) => {
    await fc.assert(
      fc.asyncProperty(history, async (given) => {
        const { config, rows, first, step, rounds } = given
        await using byDigests = await open(engines)
        await using byRows = await open(engines)
        const pairs = [
          { pair: byDigests, strategy: 'hash', conflicts: new MemoryConflicts() },
          { pair: byRows, strategy: 'full', conflicts: new MemoryConflicts() },
        ] as const
        for (const { pair } of pairs) {
          await pair.both('CREATE TABLE t (id bigint PRIMARY KEY, a varchar(40), b varchar(40))')
          const numbers = pair.source.numbers(0, rows - 1)
          await pair.source.sql(`INSERT INTO t SELECT ${first} + n * ${step}, 'a', 'b' FROM ${numbers}`)
          await pair.source.analyze('t')
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
          expect(await rowsOf(byDigests.target)).toEqual(await rowsOf(byRows.target))
          expect(await rowsOf(byDigests.source)).toEqual(await rowsOf(byRows.source))
        }
      }),
      {
        seed: printedSeed(),
        numRuns: Math.ceil(HISTORIES / PAIRS.length),
        endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
      },
    )
  },
  600_000,
)

const seen = fc.record({
  strategy: fc.constantFrom('timestamp', 'primary_key'),
  rows: fc.constantFrom(1, 40, 700),
  rounds: fc.array(
    fc.array(
      fc.record({
        op: fc.constantFrom('update', 'delete', 'insert'),
        key: fc.integer({ min: 1, max: 720 }),
        keys: fc.constantFrom(1, 2, 30),
      }),
      { minLength: 1, maxLength: 5, size: 'max' },
    ),
    { minLength: 2, maxLength: 4, size: 'max' },
  ),
})

const NOW = 'CURRENT_TIMESTAMP(6)'

test.each(PAIRS)(
  'a cursor sees what was written, and keys what came and went ($name)',
  async (engines) => {
    await fc.assert(
      fc.asyncProperty(seen, async ({ strategy, rows, rounds }) => {
        await using pair = await open(engines)
        const { source, target } = pair
        for (const side of [source, target]) {
          const time = side.engine === 'PostgreSQL' ? 'timestamptz' : 'timestamp(6)'
          await side.sql(`CREATE TABLE t (id int PRIMARY KEY, a varchar(40), at ${time} NOT NULL DEFAULT ${NOW})`)
        }
        await source.sql(`INSERT INTO t (id, a) SELECT n, 'a' FROM ${source.numbers(1, rows)}`)
        const config = { ...DELETING, detectionStrategy: strategy, cursorColumn: 'at' } as const
        await pair.run(config)
        for (const [round, edits] of rounds.entries()) {
          for (const { op, key, keys } of edits) {
            const range = `BETWEEN ${key} AND ${key + keys - 1}`
            if (op === 'update') await source.sql(`UPDATE t SET a = 'round ${round}', at = ${NOW} WHERE id ${range}`)
            else if (op === 'delete') await source.sql(`DELETE FROM t WHERE id ${range}`)
            else {
              await source.sql(`INSERT INTO t (id, a) SELECT n, 'new in ${round}' FROM ${source.numbers(key, key + keys - 1)}
              WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = n)`)
            }
          }
          const { counts } = await pair.run(config, { approve: true })
          expect(counts).toMatchObject({ conflicted: 0, rejected: 0 })
          const [there = [], here = []] = await Promise.all(
            [source, target].map((side) => side.sql('SELECT id, a FROM t ORDER BY id')),
          )
          const seenOf = (rows: readonly TextRow[]): unknown[] =>
            strategy === 'primary_key' ? rows.map(([id]) => id) : [...rows]
          expect(seenOf(here)).toEqual(expect.arrayContaining(seenOf(there)))
          expect(strategy === 'timestamp' || here.length === there.length).toBe(true)
        }
        await pair.run({ ...DELETING, detectionStrategy: 'full' }, { approve: true })
        const read = 'SELECT id, a FROM t ORDER BY id'
        expect(await target.sql(read)).toEqual(await source.sql(read))
      }),
      {
        seed: printedSeed(),
        numRuns: Math.ceil(HISTORIES / PAIRS.length),
        endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
      },
    )
  },
  600_000,
)
