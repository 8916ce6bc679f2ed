/**
 * Random histories of two sides: edits, rounds that are cut off anywhere, decisions that come late. SYNCLINE_TEST_STEPS
 * sets how many steps are tried in all.
 */
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import { RESOLUTIONS, type ConflictStrategy, type FieldStrategy, type Resolution } from '#model/conflict.ts'
import type { Row } from '#model/value.ts'
import type { Side } from '#sync/drift.ts'
import { readArray, writeArray } from '#sync/values/array-text.ts'
import {
  copyOf,
  Cut,
  decisionsInForce,
  emptyWorld,
  findSent,
  keysOf,
  POLICIES,
  printOf,
  runRound,
  threeWay,
  type Rules,
  type World,
} from '#test/harness/conflict-model.ts'
import { printedSeed } from '#test/harness/seed.ts'
import type { MergeColumn } from './merge.ts'

const STEPS = Number(process.env['SYNCLINE_TEST_STEPS'] ?? 20_000)
const STEPS_A_HISTORY = 40
/** A step takes less than a millisecond on an idle machine. */
const timeout = Math.max(60_000, STEPS * 3)
const seed = printedSeed()

const TEXT: ColumnType = { kind: 'text', maxLength: null }
const BIGINT: ColumnType = { kind: 'integer', bits: 64 }
const TEXTS: ColumnType = { kind: 'array', of: TEXT }

const [A, B, N, TAGS, AT] = [1, 2, 3, 4, 5] as const
const FIELDS = [A, B, N, TAGS] as const

/** The key, two texts, a number, a list, and when the row was changed. */
function columnsOf(text: FieldStrategy): MergeColumn[] {
  const column = (type: ColumnType, strategy: FieldStrategy): MergeColumn => ({
    type,
    form: 'own',
    isKey: false,
    strategy,
  })
  return [
    { ...column(TEXT, 'manual'), isKey: true },
    column(TEXT, text),
    column(TEXT, text),
    column(BIGINT, 'sum'),
    column(TEXTS, 'union'),
    column(BIGINT, 'max'),
  ]
}

type Step =
  | {
      readonly is: 'set'
      readonly side: Side
      readonly key: string
      readonly field: (typeof FIELDS)[number]
      readonly value: number
      readonly ticks: boolean
    }
  | { readonly is: 'delete'; readonly side: Side; readonly key: string }
  | { readonly is: 'rekey'; readonly side: Side; readonly key: string; readonly to: string }
  | { readonly is: 'round'; readonly cutAt: number | null; readonly rotate: number }
  | { readonly is: 'show' }
  | { readonly is: 'click'; readonly which: number; readonly resolution: Resolution; readonly fresh: boolean }
  | { readonly is: 'policy'; readonly strategy: ConflictStrategy }

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

function newRow(key: string): Row {
  return [key, 'a', '', '0', '{}', '0']
}

/** A history as it goes on, with what is known of it without asking the rules. */
class History {
  readonly world: World
  readonly direction: Rules['direction']
  rules: Rules
  /** Keys that somebody wrote to in the target, or decided on. */
  readonly touched = new Set<string>()
  /** Keys of which somebody said that both rows stay. */
  readonly skipped = new Set<string>()
  /** Keys that somebody wrote to on a side since a round brought them in step. */
  readonly #edited = { source: new Set<string>(), target: new Set<string>() }
  #clock = 0
  #shown: World

  constructor(rules: Rules, world: World) {
    this.rules = rules
    this.direction = rules.direction
    this.world = world
    this.#shown = copyOf(world)
    for (const key of world.target.keys()) this.touched.add(key)
    for (const side of ['source', 'target'] as const) for (const key of keysOf(world)) this.#edited[side].add(key)
  }

  take(step: Step): void {
    switch (step.is) {
      case 'set':
        return this.#set(step)
      case 'delete':
        return this.#delete(step.side, step.key)
      case 'rekey': {
        const row = this.world[step.side].get(step.key)
        if (row === undefined) return undefined
        this.#delete(step.side, step.key)
        return this.#write(step.side, step.to, [step.to, ...row.slice(1)])
      }
      case 'round': {
        const keys = keysOf(this.world)
        const at = step.rotate % Math.max(keys.length, 1)
        return this.round([...keys.slice(at), ...keys.slice(0, at)], step.cutAt ?? Infinity)
      }
      case 'show':
        this.#shown = copyOf(this.world)
        return undefined
      case 'click':
        return this.click(step.fresh ? this.world : this.#shown, step.which, step.resolution)
      case 'policy':
        this.rules = { ...this.rules, strategy: step.strategy }
        return undefined
    }
  }

  #set({ side, key, field, value, ticks }: Extract<Step, { is: 'set' }>): void {
    const row = [...(this.world[side].get(key) ?? newRow(key))]
    const texts = [null, '', 'é', '😀']
    if (field === N) row[N] = String(Number(row[N]) + value)
    else if (field === TAGS) row[TAGS] = value === 0 ? '{}' : `{"${side}, ${value}",both}`
    else row[field] = texts[value] ?? null
    if (ticks) this.#clock += 1
    row[AT] = String(this.#clock)
    this.#write(side, key, row)
  }

  #write(side: Side, key: string, row: Row): void {
    this.world[side].set(key, row)
    this.#edited[side].add(key)
    if (side === 'target') this.touched.add(key)
  }

  #delete(side: Side, key: string): void {
    this.world[side].delete(key)
    this.#edited[side].add(key)
    if (side === 'target') this.touched.add(key)
  }

  /** Somebody decides on a conflict as they saw it, which may be long ago. */
  click(seen: World, which: number, resolution: Resolution): void {
    const open = [...seen.parked.keys()].toSorted()
    const key = open[which % Math.max(open.length, 1)]
    const parked = seen.parked.get(key ?? '')
    if (key === undefined || parked === undefined) return
    const { source, target } = parked
    const built = seen.source.get(key) ?? seen.target.get(key) ?? newRow(key)
    const row = which === 2 ? null : [key, 'built', ...built.slice(2)]
    this.world.decisions.set(key, { source, target, resolution, row: resolution === 'row' ? row : null })
    this.touched.add(key)
  }

  round(keys: readonly string[] = keysOf(this.world), cutAt = Infinity): void {
    const before = copyOf(this.world)
    const current = [...decisionsInForce(before, this.rules)]
    try {
      const { applied } = runRound(this.world, this.rules, keys, cutAt)
      for (const key of keys) this.#findInStep(key)
      // I10: what was decided on other rows than these is not carried out, and makes no difference.
      expect(applied.toSorted()).toEqual(current.map(([key]) => key).toSorted())
      this.#checkWhole(before, keys)
      for (const [key, { resolution }] of current) if (resolution === 'skip') this.skipped.add(key)
    } catch (error) {
      if (!(error instanceof Cut)) throw error
      for (const [key, { resolution }] of current) if (resolution === 'skip') this.skipped.add(key)
    }
    this.#checkDeleted(before)
    this.#checkParked(before)
    // Where a round that was cut off made them the same, nobody need have heard of it.
    for (const key of keys) if (!isInStep(before, key)) this.#findInStep(key)
  }

  #findInStep(key: string): void {
    if (!isInStep(this.world, key)) return
    this.#edited.source.delete(key)
    this.#edited.target.delete(key)
  }

  /** Of a round that was not cut off. */
  #checkWhole(before: World, keys: readonly string[]): void {
    const current = decisionsInForce(before, this.rules)
    const undecided = copyOf(before)
    for (const key of before.decisions.keys()) if (!current.has(key)) undecided.decisions.delete(key)
    // I8: in whatever order the keys come. I10: with or without decisions on rows that have moved.
    runRound(undecided, this.rules, keys.toReversed())
    expect(contentsOf(undecided)).toEqual(contentsOf(this.world))
    // I9: a row that waits stays as it was on both sides, and no other row waits for it.
    for (const key of this.world.parked.keys()) {
      expect(threeWay(this.world, key)).toMatchObject({ ...pick(before, key) })
    }
    for (const key of keys) {
      if (this.world.parked.has(key)) continue
      const alone = copyOf(before)
      for (const other of this.world.parked.keys()) for (const rows of [alone.source, alone.target]) rows.delete(other)
      runRound(alone, this.rules, [key])
      expect(pick(alone, key)).toEqual(pick(this.world, key))
    }
    // I3: another round writes nothing and remembers nothing else.
    const again = copyOf(this.world)
    expect(runRound(again, this.rules).writes).toBe(0)
    expect(contentsOf(again)).toEqual(contentsOf(this.world))
  }

  /** I5: a row that was deleted on a side comes back to it only by a strategy or a decision that says so. */
  #checkDeleted(before: World): void {
    const { strategy, direction } = this.rules
    for (const key of before.baseline.keys()) findSent(before, key)
    for (const [key, { agreed }] of before.baseline) {
      if (before.decisions.has(key)) continue
      const { source, target } = threeWay(before, key)
      if (agreed.source !== null && source === null && this.world.source.has(key)) {
        expect({ strategy, direction }).toEqual({ strategy: 'target_wins', direction: 'two_way' })
        expect(target).not.toBe(agreed.target)
      }
      if (agreed.target !== null && target === null && this.world.target.has(key)) {
        if (strategy === 'source_wins' && direction === 'one_way') continue
        expect(source).not.toBe(agreed.source)
        // The target is not what it was remembered as, so that both have changed.
        expect(strategy).toBe('source_wins')
      }
    }
  }

  /** I6: what one side changed, and what both changed alike, does not wait for anybody. */
  #checkParked(before: World): void {
    for (const [key, parked] of this.world.parked) {
      if (before.parked.get(key) === parked) continue
      const { agreed } = before.baseline.get(key) ?? { agreed: { source: null, target: null } }
      expect(parked.source).not.toBe(parked.target)
      expect(parked.source).not.toBe(agreed.source)
      expect(parked.target).not.toBe(agreed.target)
      expect([this.#edited.source.has(key), this.#edited.target.has(key)]).toEqual([true, true])
    }
  }

  /** I1: once nothing is edited any more and every conflict is resolved, both sides are in step. */
  checkConvergence(): void {
    this.round()
    for (let i = 0; this.world.parked.size > 0; i++) {
      expect(i).toBeLessThan(8)
      for (const [place] of [...this.world.parked].entries()) {
        this.click(this.world, place, (['source', 'target', 'row'] as const)[(i + place) % 3] ?? 'source')
      }
      this.round()
    }
    for (const key of keysOf(this.world)) {
      const { source, target } = threeWay(this.world, key)
      if (this.direction === 'two_way' ? this.skipped.has(key) : this.touched.has(key)) continue
      expect(target, key).toBe(source)
    }
    if (this.direction === 'one_way') {
      runRound(this.world, { ...this.rules, strategy: 'source_wins' })
      expect(contentsOf(this.world).target).toEqual(contentsOf(this.world).source)
    }
  }
}

function isInStep(world: World, key: string): boolean {
  const { source, target } = threeWay(world, key)
  return source === target
}

function pick(world: World, key: string): object {
  const { source, target } = threeWay(world, key)
  return { source, target }
}

function contentsOf(world: World): Record<'source' | 'target' | 'baseline' | 'parked', unknown[]> {
  const sorted = <T>(entries: Iterable<[string, T]>): [string, T][] =>
    [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    source: sorted(world.source),
    target: sorted(world.target),
    baseline: sorted(world.baseline),
    parked: sorted(world.parked),
  }
}

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
    .map(([, row]) => row.map((value, place) => (place === TAGS ? elementsOf(value).toSorted() : value)))
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
          if (rules.direction === 'two_way')
            expect(printOf(world.source.get('k1'))).toBe(printOf(world.target.get('k1')))
          else expect(world.source.get('k1')?.slice(A, TAGS)).toEqual([last.source, '', String(added.source)])
        },
      ),
      { ...runs, numRuns: Math.ceil(runs.numRuns / 2) },
    )
  },
)
