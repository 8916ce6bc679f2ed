/**
 * Random histories of two sides: edits, rounds that are cut off anywhere, decisions that come late. SYNCLINE_TEST_STEPS
 * sets how many steps are tried in all.
 */
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'

import { RESOLUTIONS, type ConflictStrategy, type FieldStrategy } from '#model/conflict.ts'
import type { Side } from '#sync/drift.ts'
import { readArray, writeArray } from '#sync/values/array-text.ts'
import { A, AT, B, columnsOf, FIELDS, History, N, newRow, TAGS, type Step } from '#test/harness/conflict-history.ts'
import { copyOf, Cut, emptyWorld, POLICIES, runRound, type Rules, type World } from '#test/harness/conflict-model.ts'
import { printedSeed } from '#test/harness/seed.ts'

const STEPS = Number(process.env['SYNCLINE_TEST_STEPS'] ?? 20_000)
const STEPS_A_HISTORY = 40
/** A step takes less than a millisecond on an idle machine. */
const timeout = Math.max(60_000, STEPS * 3)
const seed = printedSeed()

const anySide = fc.constantFrom<Side>('source', 'target')
const anyKey = fc.constantFrom('k1', 'k2', 'k3')
const anySet = fc.record({
  is: fc.constant('set' as const),
  side: anySide,
  key: anyKey,
  field: fc.constantFrom(...FIELDS),
  value: fc.nat(3),
  ticks: fc.boolean(),
})
const anyRound = fc.record({
  is: fc.constant('round' as const),
  cutAt: fc.option(fc.nat(5), { nil: null }),
  rotate: fc.nat(2),
})
const anyStrategy = fc.constantFrom(...new Set(POLICIES.map(({ strategy }) => strategy)))

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: anySet, weight: 10 },
  { arbitrary: anyRound, weight: 6 },
  { arbitrary: fc.record({ is: fc.constant('delete' as const), side: anySide, key: anyKey }), weight: 3 },
  { arbitrary: fc.record({ is: fc.constant('rekey' as const), side: anySide, key: anyKey, to: anyKey }), weight: 1 },
  { arbitrary: fc.constant({ is: 'show' as const }), weight: 2 },
  {
    arbitrary: fc.record({
      is: fc.constant('click' as const),
      which: fc.nat(2),
      resolution: fc.constantFrom(...RESOLUTIONS),
      fresh: fc.boolean(),
    }),
    weight: 3,
  },
  { arbitrary: fc.record({ is: fc.constant('policy' as const), strategy: anyStrategy }), weight: 1 },
)

const anyRules: fc.Arbitrary<Rules> = fc
  .record({
    policy: fc.constantFrom(...POLICIES),
    text: fc.constantFrom<FieldStrategy>('manual', 'manual', 'newer_wins', 'max', 'non_null', 'source_wins'),
    tieBreak: anySide,
    skewMs: fc.constantFrom(0, 0, 0, 3_600_000),
  })
  .map(({ policy, text, tieBreak, skewMs }) => ({
    ...policy,
    columns: columnsOf(text),
    timeAt: AT,
    tieBreak,
    skewMs,
  }))

/** Rows that both sides may have before they ever met. */
const anyFirst = fc.option(fc.array(anySet, { maxLength: 6 }), { nil: null })

let taken = 0
afterAll(() => console.log(`${taken} steps`))

const runs = {
  seed,
  numRuns: Math.ceil(STEPS / STEPS_A_HISTORY),
  endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
}

test(
  'I1, I3, I5, I6, I8, I9, I10: whatever happens on both sides, and wherever rounds are cut off',
  { timeout },
  () => {
    const steps = fc.array(anyStep, { minLength: STEPS_A_HISTORY, maxLength: STEPS_A_HISTORY })
    fc.assert(
      fc.property(anyRules, anyFirst, steps, (rules, first, following) => {
        const met = new History(rules, emptyWorld())
        for (const step of first ?? []) met.take(step)
        const history = new History(rules, { ...met.world, baselineComplete: first === null })
        for (const step of following) history.take(step)
        history.checkConvergence()
        taken += following.length
      }),
      runs,
    )
  },
)

/** One side's row and the other's change places, and so do the strategies. */
function mirrorOf(world: World): World {
  const baseline = [...world.baseline].map(
    ([key, { agreed, base }]) => [key, { agreed: { source: agreed.target, target: agreed.source }, base }] as const,
  )
  const { source, target } = world
  return { ...copyOf(world), source: new Map(target), target: new Map(source), baseline: new Map(baseline) }
}

const MIRRORED: Partial<Record<ConflictStrategy, ConflictStrategy>> = {
  source_wins: 'target_wins',
  target_wins: 'source_wins',
}

test('I4: two ways, sides that are swapped with the policy end swapped', { timeout }, () => {
  const steps = fc.array(anyStep, { minLength: 1, maxLength: STEPS_A_HISTORY })
  fc.assert(
    fc.property(anyRules, steps, (rules, before) => {
      fc.pre(rules.direction === 'two_way' && rules.columns[A]?.strategy !== 'source_wins')
      const history = new History(rules, emptyWorld())
      for (const step of before) history.take(step.is === 'round' ? { ...step, cutAt: null } : step)
      const { world, rules: last } = history
      world.decisions.clear()
      const mirror = mirrorOf(world)
      runRound(world, last)
      runRound(mirror, {
        ...last,
        strategy: MIRRORED[last.strategy] ?? last.strategy,
        tieBreak: last.tieBreak === 'source' ? 'target' : 'source',
      })
      expect(rowsOf(mirror, 'target')).toEqual(rowsOf(world, 'source'))
      expect(rowsOf(mirror, 'source')).toEqual(rowsOf(world, 'target'))
      expect([...mirror.parked.keys()].toSorted()).toEqual([...world.parked.keys()].toSorted())
    }),
    { ...runs, numRuns: Math.ceil(runs.numRuns / 4) },
  )
})

/** The rows of a side. A union begins with what the target has, so that the order of lists is let be. */
function rowsOf(world: World, side: Side): unknown[] {
  return [...world[side]]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, row]) => row.map((value, place) => (place === TAGS ? new Set(elementsOf(value)) : value)))
}

function elementsOf(value: unknown): (string | null)[] {
  return readArray(String(value), () => {
    throw new Error('no array')
  })
}

/** Each side edits fields of its own, and adds to a number and a list that both have. */
interface Edit {
  readonly side: Side
  readonly value: number
  readonly cutAt: number | null
}

const anyEdit: fc.Arbitrary<Edit> = fc.record({
  side: anySide,
  value: fc.nat(9),
  cutAt: fc.option(fc.nat(3), { nil: null }),
})

test(
  'I7: what the sides edit apart from each other is kept for good, and what both add is added once',
  { timeout },
  () => {
    fc.assert(
      fc.property(
        anyRules,
        fc.array(anyEdit, { minLength: 10, maxLength: STEPS_A_HISTORY, size: 'max' }),
        (given, edits) => {
          const rules: Rules = { ...given, strategy: 'merge', columns: columnsOf('manual') }
          const world = emptyWorld()
          world.source.set('k1', newRow('k1'))
          runRound(world, rules)
          const added = { source: 0, target: 0 }
          const tags = { source: new Set<string>(), target: new Set<string>() }
          const last = { source: 'a', target: '' }
          for (const [i, { side, value, cutAt }] of edits.entries()) {
            const row = [...(world[side].get('k1') ?? [])]
            last[side] = `${side} ${i}`
            // Whole thousands on one side: what both change to the same number counts once.
            const more = side === 'source' ? value : value * 1000
            added[side] += more
            tags[side].add(`${side} ${value}`)
            row[side === 'source' ? A : B] = last[side]
            row[N] = String(Number(row[N]) + more)
            row[TAGS] = writeArray([...new Set([...elementsOf(row[TAGS]), `${side} ${value}`])])
            world[side].set('k1', row)
            try {
              if (value % 3 > 0) runRound(world, rules, ['k1'], cutAt ?? Infinity)
            } catch (error) {
              if (!(error instanceof Cut)) throw error
            }
            taken += 1
          }
          runRound(world, rules)
          expect(world.parked.size).toBe(0)
          const [, a, b, n, list] = world.target.get('k1') ?? []
          expect([a, b]).toEqual([last.source, last.target])
          expect(n).toBe(String(added.source + added.target))
          expect(new Set(elementsOf(list))).toEqual(new Set([...tags.source, ...tags.target]))
          const twoWay = rules.direction === 'two_way'
          const inSource = twoWay ? [last.source, last.target, n, list] : [last.source, '', String(added.source)]
          expect(world.source.get('k1')?.slice(A, A + inSource.length)).toEqual(inSource)
        },
      ),
      { ...runs, numRuns: Math.ceil(runs.numRuns / 2) },
    )
  },
)
