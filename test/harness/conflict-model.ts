/**
 * Two sides and a baseline in memory, and rounds over them that may be cut off: what a run does with the verdicts of the
 * conflict rules, without a database. Key changes are a delete and an insert, as everywhere.
 */
import { CONFLICT_STRATEGIES, type Agreed, type ConflictKind, type Resolution } from '#model/conflict.ts'
import { fingerprint, type Fingerprint } from '#model/fingerprint.ts'
import type { Row } from '#model/value.ts'
import { decide, type DecisionPolicy, type ThreeWay } from '#sync/conflicts/decide.ts'
import { mergeRows, type MergeColumn } from '#sync/conflicts/merge.ts'
import { newerSide, type Newer } from '#sync/conflicts/newer.ts'
import type { Side } from '#sync/drift.ts'

export type Rows = Map<string, Row>

/** What is remembered of a key: the fingerprints, and the row where both had the same. */
interface Remembered {
  readonly agreed: Agreed
  readonly base: Row | null
  /** A row, or none, that was on its way to the source, by its number. */
  readonly sent?: { readonly row: Row | null; readonly number: number }
}

/** What somebody decided, and on which rows. */
export interface Decision {
  readonly source: Fingerprint | null
  readonly target: Fingerprint | null
  readonly resolution: Resolution
  readonly row: Row | null
}

/** A row that waits for somebody. */
interface Parked {
  readonly kind: ConflictKind
  readonly source: Fingerprint | null
  readonly target: Fingerprint | null
}

export interface World {
  readonly source: Rows
  readonly target: Rows
  readonly baseline: Map<string, Remembered>
  /** In the source: numbers of the rows that it got from the target, committed with them. */
  readonly marks: Set<number>
  readonly parked: Map<string, Parked>
  readonly decisions: Map<string, Decision>
  baselineComplete: boolean
  /** How many rows were sent to the source, arrived or not. */
  sent: number
}

export interface Rules extends DecisionPolicy {
  readonly columns: readonly MergeColumn[]
  /** The place of the time column, a whole number. */
  readonly timeAt: number
  readonly tieBreak: Side
  readonly skewMs: number
}

export const POLICIES = CONFLICT_STRATEGIES.flatMap((strategy) =>
  (['one_way', 'two_way'] as const).map((direction): DecisionPolicy => ({ strategy, direction })),
)

export function emptyWorld(): World {
  return {
    source: new Map(),
    target: new Map(),
    baseline: new Map(),
    marks: new Set(),
    parked: new Map(),
    decisions: new Map(),
    baselineComplete: true,
    sent: 0,
  }
}

export function copyOf(world: World): World {
  return {
    source: new Map(world.source),
    target: new Map(world.target),
    baseline: new Map(world.baseline),
    marks: new Set(world.marks),
    parked: new Map(world.parked),
    decisions: new Map(world.decisions),
    baselineComplete: world.baselineComplete,
    sent: world.sent,
  }
}

export function printOf(row: Row | null | undefined): Fingerprint | null {
  return row ? fingerprint(row) : null
}

export function threeWay(world: World, key: string): ThreeWay {
  return {
    source: printOf(world.source.get(key)),
    target: printOf(world.target.get(key)),
    agreed: world.baseline.get(key)?.agreed ?? null,
    baselineComplete: world.baselineComplete,
  }
}

export function keysOf(world: World): string[] {
  const { source, target, baseline, parked } = world
  return [...new Set([source, target, baseline, parked].flatMap((known) => [...known.keys()]))].toSorted()
}

/**
 * Decisions that are for the rows as they are (hazard D15). Where everything that differs is overwritten, nobody is asked,
 * and what somebody said before has no meaning any more.
 */
export function decisionsInForce(world: World, { strategy, direction }: DecisionPolicy): Map<string, Decision> {
  if (strategy === 'source_wins' && direction === 'one_way') return new Map()
  const inForce = [...world.decisions].filter(([key, decision]) => {
    const { source, target } = threeWay(world, key)
    return decision.source === source && decision.target === target
  })
  return new Map(inForce)
}

/** What became of a row that was on its way to the source: where it has arrived, both sides had it. */
export function findSent(world: World, key: string): void {
  const { sent } = world.baseline.get(key) ?? {}
  if (sent === undefined || !world.marks.has(sent.number)) return
  const both = printOf(sent.row)
  world.baseline.set(key, { agreed: { source: both, target: both }, base: sent.row })
}

export class Cut extends Error {}

export interface RoundResult {
  /** Rows written, on either side. */
  readonly writes: number
  /** Keys whose decisions were carried out. */
  readonly applied: readonly string[]
}

/**
 * A round over the keys in their order. It throws `Cut` before its step number `cutAt`, a step being all that becomes
 * durable at once.
 */
export function runRound(
  world: World,
  rules: Rules,
  keys: readonly string[] = keysOf(world),
  cutAt = Infinity,
): RoundResult {
  const round = new Round(world, rules, cutAt)
  for (const key of keys) round.visit(key)
  world.baselineComplete = true
  return { writes: round.writes, applied: round.applied }
}

class Round {
  readonly #world: World
  readonly #rules: Rules
  readonly #cutAt: number
  #steps = 0
  writes = 0
  readonly applied: string[] = []

  constructor(world: World, rules: Rules, cutAt: number) {
    this.#world = world
    this.#rules = rules
    this.#cutAt = cutAt
  }

  visit(key: string): void {
    const decision = decisionsInForce(this.#world, this.#rules).get(key)
    if (decision) {
      this.#carryOut(key, decision)
      return
    }
    this.#world.decisions.delete(key)
    findSent(this.#world, key)
    const verdict = decide(threeWay(this.#world, key), this.#rules)
    if (verdict.do !== 'contest') this.#world.parked.delete(key)
    switch (verdict.do) {
      case 'adopt':
        return this.#durably(() => this.#remember(key, 'source', 'source'))
      case 'nothing':
        return undefined
      case 'to_target':
        return this.#toTarget(key)
      case 'to_source':
        return this.#toSource(key)
      case 'settle':
        return this.#durably(() => this.#remember(key, 'source', 'target'))
      case 'contest':
        return this.#contest(key, verdict.kind)
    }
  }

  #contest(key: string, kind: ConflictKind): void {
    const { strategy } = this.#rules
    if (strategy === 'newer_wins') {
      const newer = this.#newer(key)
      if ('newer' in newer && newer.newer !== null) return this.#take(key, newer.newer)
    }
    const [source, target] = [this.#world.source.get(key), this.#world.target.get(key)]
    if (strategy === 'merge' && source && target) {
      const base = this.#world.baseline.get(key)?.base ?? null
      const newer = this.#newer(key)
      const side = 'newer' in newer ? newer.newer : null
      const merged = mergeRows(this.#rules.columns, { source, target, base: base && { row: base }, newer: side })
      if (merged.conflicts.length === 0) return this.#put(key, merged.row)
    }
    const { source: left, target: right } = threeWay(this.#world, key)
    const known = this.#world.parked.get(key)
    // Found again with the same rows, it is the same.
    if (known && known.source === left && known.target === right) return undefined
    this.#durably(() => this.#world.parked.set(key, { kind, source: left, target: right }))
    return undefined
  }

  #newer(key: string): Newer {
    const rows = { source: this.#world.source.get(key) ?? null, target: this.#world.target.get(key) ?? null }
    const { timeAt, tieBreak, skewMs } = this.#rules
    return newerSide(rows, { at: timeAt, type: { kind: 'integer', bits: 64 } }, { skewMs, forced: false, tieBreak })
  }

  #carryOut(key: string, { resolution, row }: Decision): void {
    this.applied.push(key)
    if (resolution === 'row') return this.#put(key, row)
    if (resolution !== 'skip') return this.#take(key, resolution)
    return this.#durably(() => this.#remember(key, 'source', 'target'))
  }

  /** That side's row is taken by both; one way, the target's stays what it is. */
  #take(key: string, side: Side): void {
    if (side === 'source') return this.#toTarget(key)
    if (this.#rules.direction === 'two_way') return this.#toSource(key)
    return this.#durably(() => this.#remember(key, 'source', 'target'))
  }

  #toTarget(key: string): void {
    this.#writeTarget(key, this.#world.source.get(key) ?? null)
  }

  #toSource(key: string): void {
    const row = this.#world.target.get(key) ?? null
    const { agreed, base } = this.#world.baseline.get(key) ?? { agreed: { source: null, target: null }, base: null }
    const number = this.#world.sent + 1
    this.#durably(() => {
      this.#world.sent = number
      this.#world.baseline.set(key, { agreed, base, sent: { row, number } })
    })
    this.#durably(() => {
      this.#write('source', key, row)
      this.#world.marks.add(number)
    })
    this.#durably(() => this.#remember(key, 'source', 'source'))
  }

  /** A row that neither side has to have: into the target first, and two ways from there into the source. */
  #put(key: string, row: Row | null): void {
    this.#writeTarget(key, row)
    const isInSource = printOf(row) === printOf(this.#world.source.get(key))
    if (this.#rules.direction === 'two_way' && !isInSource) this.#toSource(key)
  }

  /** The target gets a row, and is remembered as having the source's; both become durable at once. */
  #writeTarget(key: string, row: Row | null): void {
    this.#durably(() => {
      this.#write('target', key, row)
      this.#remember(key, 'source', 'source')
    })
  }

  #write(side: Side, key: string, row: Row | null): void {
    const rows = this.#world[side]
    if (printOf(row) === printOf(rows.get(key))) return
    this.writes += 1
    if (row === null) rows.delete(key)
    else rows.set(key, row)
  }

  /** What each side is remembered to have: what the one or the other has now. Nothing waits under the key then. */
  #remember(key: string, asSource: Side, asTarget: Side): void {
    const [source, target] = [this.#world[asSource].get(key) ?? null, this.#world[asTarget].get(key) ?? null]
    if (source === null && target === null) this.#world.baseline.delete(key)
    else {
      const agreed = { source: printOf(source), target: printOf(target) }
      this.#world.baseline.set(key, { agreed, base: agreed.source === agreed.target ? source : null })
    }
    this.#world.parked.delete(key)
    this.#world.decisions.delete(key)
  }

  #durably(step: () => void): void {
    if (this.#steps === this.#cutAt) throw new Cut()
    this.#steps += 1
    step()
  }
}
