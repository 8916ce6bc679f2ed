/**
 * Random histories of edits on both sides of a sync in two ways, with runs that break off anywhere: after each round both
 * sides are what the test itself makes of what each of them changed, on each pair of engines (RELIABILITY I1 to I7, I9).
 * SYNCLINE_TEST_HISTORIES sets how many histories, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { written } from '#model/counts.ts'
import { NO_OWN_CONFLICT, plainMapping, type TableMapping } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { PAIRS, usePairs, type AnyPair } from '#test/harness/pairs.ts'
import { printedSeed } from '#test/harness/seed.ts'
import type { RunHooks } from '#test/harness/sync.ts'

const HISTORIES = Number(process.env['SYNCLINE_TEST_HISTORIES'] ?? 4)

const open = usePairs()

const STRATEGIES = ['source_wins', 'target_wins', 'manual', 'merge'] as const

type Strategy = (typeof STRATEGIES)[number]

function summing({ source, target }: AnyPair): TableMapping {
  return {
    ...plainMapping(source.ref('item'), target.ref('item')),
    conflict: { ...NO_OWN_CONFLICT, fields: new Map([['n', 'sum']] as const) },
  }
}

/** The columns of a row behind its key; undefined where there is none. */
type Cells = readonly [a: string | null, b: string | null, n: string | null]
type State = ReadonlyMap<string, Cells>

const edit = fc.record({
  side: fc.constantFrom('source', 'target'),
  op: fc.constantFrom('a', 'b', 'both', 'add', 'add', 'delete', 'insert'),
  key: fc.integer({ min: 1, max: 8 }),
  value: fc.constantFrom('', 'x', 'y', 'é', null),
  more: fc.integer({ min: 1, max: 9 }),
})

type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never

const history = fc.record({
  strategy: fc.constantFrom(...STRATEGIES),
  /** With `merge`, the number is summed up, and so the rows that both had are kept. */
  sums: fc.boolean(),
  batchSize: fc.constantFrom(1, 2, 1_000),
  rounds: fc.array(
    fc.record({
      edits: fc.array(edit, { maxLength: 14, size: 'max' }),
      /** At which write the run breaks off; it is not meant to reach all of them. */
      breaks: fc.option(fc.integer({ min: 1, max: 6 })),
      /** Edits between the run that broke off and the next one. */
      late: fc.array(edit, { maxLength: 4, size: 'max' }),
      resolution: fc.constantFrom('source', 'target'),
    }),
    { minLength: 1, maxLength: 4, size: 'max' },
  ),
})

async function carryOut(pair: AnyPair, { side, op, key, value, more }: Edit): Promise<void> {
  const db = pair[side]
  const text = db.literal(value)
  switch (op) {
    case 'delete':
      await db.sql(`DELETE FROM item WHERE k = ${key}`)
      return
    case 'insert':
      await db.sql(`INSERT INTO item SELECT * FROM (SELECT ${key} AS k, ${text} AS a, ${text} AS b, 0 AS n) x
        WHERE NOT EXISTS (SELECT 1 FROM item WHERE item.k = ${key})`)
      return
    case 'add':
      // What both change to the same number counts once.
      await db.sql(`UPDATE item SET n = n + ${side === 'source' ? more : more * 1000} WHERE k = ${key}`)
      return
    case 'both':
      await db.sql(`UPDATE item SET a = ${text}, b = ${text} WHERE k = ${key}`)
      return
    default:
      await db.sql(`UPDATE item SET ${op} = ${text} WHERE k = ${key}`)
  }
}

async function stateOf(pair: AnyPair, side: 'source' | 'target'): Promise<State> {
  const rows = await pair[side].sql('SELECT k, a, b, n FROM item')
  return new Map(rows.map(([k, a, b, n]) => [k ?? '', [a ?? null, b ?? null, n ?? null]]))
}

const same = (a: Cells | undefined, b: Cells | undefined): boolean => JSON.stringify(a) === JSON.stringify(b)

/** What a key has on both sides after a round; a conflict leaves both as they are. */
function expected(
  { strategy, sums }: { readonly strategy: Strategy; readonly sums: boolean },
  [base, from, to]: readonly [Cells | undefined, Cells | undefined, Cells | undefined],
): { source: Cells | undefined; target: Cells | undefined; open: boolean } {
  const both = (cells: Cells | undefined) => ({ source: cells, target: cells, open: false })
  if (same(from, to)) return both(from)
  if (same(to, base)) return both(from)
  if (same(from, base)) return both(to)
  if (strategy === 'source_wins') return both(from)
  if (strategy === 'target_wins') return both(to)
  const parked = { source: from, target: to, open: true }
  if (strategy === 'manual' || from === undefined || to === undefined) return parked
  const cells = from.map((cell, i) => {
    const [other, before] = [to[i], base === undefined ? undefined : base[i]]
    if (cell === other || other === before) return cell
    if (cell === before) return other
    return sums && i === N ? summed([cell, other, before]) : undefined
  })
  return cells.includes(undefined) ? parked : both(cells as unknown as Cells)
}

/** The place of the number that both sides add to. */
const N = 2

function summed(numbers: readonly (string | null | undefined)[]): string | undefined {
  const [from, to, base] = numbers.map((n) => (typeof n === 'string' ? BigInt(n) : null))
  return typeof from === 'bigint' && typeof to === 'bigint' && typeof base === 'bigint'
    ? String(from + to - base)
    : undefined
}

/** What both sides had before a run that broke off, and what they have after it. */
type Cut = Readonly<Record<'base' | 'from' | 'to' | 'left' | 'right', State>>

type Wanted = ReturnType<typeof expected>

/**
 * Edits of rows that the broken run left to nobody, one a row. Of rows that it made of both sides nobody knows the halves,
 * but where values are kept; then those are left out that show no sign of whether they were sent.
 */
function meantime(
  edits: readonly Edit[],
  wanted: ReadonlyMap<string, Wanted>,
  { base, from, to, sums }: Cut & { readonly sums: boolean },
): Edit[] {
  const keys = new Set<number>()
  return edits.filter(({ key }) => {
    const id = String(key)
    const ends = wanted.get(id)
    if (keys.has(key) || ends?.open === true) return false
    keys.add(key)
    if (ends === undefined) return true
    if (sums) return !same(ends.source, from.get(id)) || same(to.get(id), base.get(id))
    return same(ends.source, from.get(id)) || same(ends.source, to.get(id))
  })
}

/** What both sides last agreed on in a row, when a run broke off: the source is written first, then the target. */
function knownAfter(key: string, ends: Wanted | undefined, { base, from, to, left, right }: Cut): Cells | undefined {
  if (!same(right.get(key), to.get(key))) return ends?.target
  return same(left.get(key), from.get(key)) ? base.get(key) : to.get(key)
}

async function failureOf(run: Promise<unknown>): Promise<string | null> {
  try {
    await run
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Breaks off at its n-th write. */
function breakingOff(at: number | null): Pick<RunHooks, 'beforeWrite'> {
  let writes = 0
  return {
    beforeWrite: async () => {
      if ((writes += 1) === at) throw new Error('broken off by the test')
    },
  }
}

test.each(PAIRS)(
  'after every round both sides are what was made of what each of them changed ($name)',
  async (engines) => {
    const property = fc.asyncProperty(history, async ({ strategy, sums: wish, batchSize, rounds }) => {
      const sums = wish && strategy === 'merge'
      await using pair = await open(engines)
      await pair.both('CREATE TABLE item (k int PRIMARY KEY, a varchar(20), b varchar(20), n bigint)')
      await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b', 0 FROM ${pair.source.numbers(1, 5)}`)
      const config = {
        direction: 'two_way',
        conflictStrategy: strategy,
        tables: sums ? [summing(pair)] : null,
        deletePolicy: 'delete',
        maxDeletePercent: 100,
        maxOverwritePercent: 100,
        batchSize,
      } as const
      const conflicts = new MemoryConflicts()
      const run = (hooks: RunHooks = {}) => pair.run(config, { conflicts, twoWays: true, approve: true, ...hooks })
      await run()
      let base = await stateOf(pair, 'source')
      for (const { edits, breaks, late, resolution } of rounds) {
        for (const each of edits) await carryOut(pair, each)
        const [from, to] = [await stateOf(pair, 'source'), await stateOf(pair, 'target')]
        const keys = [...new Set([...base.keys(), ...from.keys(), ...to.keys()])]
        const wanted = new Map(
          keys.map((key) => [key, expected({ strategy, sums }, [base.get(key), from.get(key), to.get(key)])] as const),
        )
        const broken = breaks === null ? null : await failureOf(run(breakingOff(breaks)))
        expect([null, 'broken off by the test']).toContain(broken)
        if (broken !== null) {
          const cut = { base, from, to, left: await stateOf(pair, 'source'), right: await stateOf(pair, 'target') }
          for (const each of meantime(late, wanted, { ...cut, sums })) {
            await carryOut(pair, each)
            const key = String(each.key)
            const [here, there] = [(await stateOf(pair, 'source')).get(key), (await stateOf(pair, 'target')).get(key)]
            wanted.set(key, expected({ strategy, sums }, [knownAfter(key, wanted.get(key), cut), here, there]))
          }
        }
        await run()
        const [left, right] = [await stateOf(pair, 'source'), await stateOf(pair, 'target')]
        for (const [key, { source: here, target: there, open }] of wanted) {
          expect({ key, here: left.get(key), there: right.get(key) }).toEqual({ key, here, there })
          const waits = conflicts.open.some((one) => one.key[0] === key)
          expect({ key, waits }).toEqual({ key, waits: open })
        }
        const again = await run({})
        expect(written(again.counts), 'I3: a further round writes nothing').toBe(0)
        const decided = resolution === 'source' ? left : right
        const open = new Set(conflicts.open.map(({ key }) => String(key[0])))
        conflicts.resolve(resolution)
        await run()
        base = await stateOf(pair, 'source')
        expect(await stateOf(pair, 'target')).toEqual(base)
        for (const key of open) expect({ key, cells: base.get(key) }).toEqual({ key, cells: decided.get(key) })
      }
      const proved = await pair.run({ ...config, verifyAfter: 'full' }, { conflicts, twoWays: true })
      expect(written(proved.counts)).toBe(0)
    })
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns: Math.ceil(HISTORIES / PAIRS.length),
      endOnFailure: true,
    })
  },
  1_800_000,
)
