/** A history of two sides as it goes on, and what must hold of it. */
import assert from 'node:assert/strict'

import type { ColumnType } from '#model/column-type.ts'
import type { ConflictStrategy, FieldStrategy, Resolution } from '#model/conflict.ts'
import type { Row } from '#model/value.ts'
import type { MergeColumn } from '#sync/conflicts/merge.ts'
import type { Side } from '#sync/drift.ts'
import {
  copyOf,
  Cut,
  decisionsInForce,
  findSent,
  keysOf,
  runRound,
  threeWay,
  type Rules,
  type World,
} from './conflict-model.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }
const BIGINT: ColumnType = { kind: 'integer', bits: 64 }
const TEXTS: ColumnType = { kind: 'array', of: TEXT }

export const [A, B, N, TAGS, AT] = [1, 2, 3, 4, 5] as const
export const FIELDS = [A, B, N, TAGS] as const

/** The key, two texts, a number, a list, and when the row was changed. */
export function columnsOf(text: FieldStrategy): MergeColumn[] {
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

export type Step =
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

export function newRow(key: string): Row {
  return [key, 'a', '', '0', '{}', '0']
}

/** A history as it goes on, with what is known of it without asking the rules. */
export class History {
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
      assert.deepEqual(applied.toSorted(), current.map(([key]) => key).toSorted())
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
    assert.deepEqual(contentsOf(undecided), contentsOf(this.world))
    // I9: a row that waits stays as it was on both sides, and no other row waits for it.
    for (const key of this.world.parked.keys()) {
      assert.deepEqual(pick(this.world, key), pick(before, key))
    }
    for (const key of keys) {
      if (this.world.parked.has(key)) continue
      const alone = copyOf(before)
      for (const other of this.world.parked.keys()) for (const rows of [alone.source, alone.target]) rows.delete(other)
      runRound(alone, this.rules, [key])
      assert.deepEqual(pick(alone, key), pick(this.world, key))
    }
    // I3: another round writes nothing and remembers nothing else.
    const again = copyOf(this.world)
    assert.equal(runRound(again, this.rules).writes, 0)
    assert.deepEqual(contentsOf(again), contentsOf(this.world))
  }

  /** I5: a row that was deleted on a side comes back to it only by a strategy or a decision that says so. */
  #checkDeleted(before: World): void {
    const { strategy, direction } = this.rules
    for (const key of before.baseline.keys()) findSent(before, key)
    for (const [key, { agreed }] of before.baseline) {
      if (before.decisions.has(key)) continue
      const { source, target } = threeWay(before, key)
      if (agreed.source !== null && source === null && this.world.source.has(key)) {
        assert.deepEqual({ strategy, direction }, { strategy: 'target_wins', direction: 'two_way' })
        assert.notEqual(target, agreed.target)
      }
      if (agreed.target !== null && target === null && this.world.target.has(key)) {
        if (strategy === 'source_wins' && direction === 'one_way') continue
        assert.notEqual(source, agreed.source)
        // The target is not what it was remembered as, so that both have changed.
        assert.equal(strategy, 'source_wins')
      }
    }
  }

  /** I6: what one side changed, and what both changed alike, does not wait for anybody. */
  #checkParked(before: World): void {
    for (const [key, parked] of this.world.parked) {
      if (before.parked.get(key) === parked) continue
      const { agreed } = before.baseline.get(key) ?? { agreed: { source: null, target: null } }
      assert.notEqual(parked.source, parked.target)
      assert.notEqual(parked.source, agreed.source)
      assert.notEqual(parked.target, agreed.target)
      assert.deepEqual([this.#edited.source.has(key), this.#edited.target.has(key)], [true, true])
    }
  }

  /** I1: once nothing is edited any more and every conflict is resolved, both sides are in step. */
  checkConvergence(): void {
    this.round()
    for (let i = 0; this.world.parked.size > 0; i++) {
      assert.ok(i < 8, 'conflicts that are resolved go away')
      for (const [place] of [...this.world.parked].entries()) {
        this.click(this.world, place, (['source', 'target', 'row'] as const)[(i + place) % 3] ?? 'source')
      }
      this.round()
    }
    for (const key of keysOf(this.world)) {
      const { source, target } = threeWay(this.world, key)
      if (this.direction === 'two_way' ? this.skipped.has(key) : this.touched.has(key)) continue
      assert.equal(target, source, key)
    }
    if (this.direction === 'one_way') {
      runRound(this.world, { ...this.rules, strategy: 'source_wins' })
      assert.deepEqual(contentsOf(this.world).target, contentsOf(this.world).source)
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
