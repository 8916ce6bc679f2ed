/**
 * Suggests which columns of a source feed which columns of a target, and how: by names, types, keys, and what samples of
 * both sides hold. Pure: the same tables and samples always give the same suggestions. Nothing is applied by it.
 *
 * Columns are resolved one to one by taking the best pair that is left, again and again: no two columns are parted that
 * suit each other better than what each of them is given. The assignment with the greatest sum could part such a pair to
 * make two mediocre ones, and nobody who looks at it would see why.
 */
import type { FieldSource, TransformStep } from '#model/field-mapping.ts'
import type { TableSchema } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import { findCombinations, type Combination } from './suggest/combine.ts'
import { expressionFor } from './suggest/expression.ts'
import { constantOf } from './suggest/induce.ts'
import { readSide, scorePair, type ReadSide, type Scored } from './suggest/score.ts'

/** What is asked of a table. */
export type SuggestTable = Pick<TableSchema, 'ref' | 'columns' | 'primaryKey' | 'uniqueKeys' | 'foreignKeys'>

/** A table with some of its rows, whose cells are in the order of the columns. */
export interface SuggestSide {
  readonly schema: SuggestTable
  readonly rows: readonly Row[]
}

/** The same rows on both sides, found by their key: the i-th of the one is the i-th of the other. */
export interface MatchedRows {
  readonly source: readonly Row[]
  readonly target: readonly Row[]
}

export interface FieldSuggestion {
  /** A column of the target. */
  readonly target: string
  readonly from: FieldSource
  readonly transforms: readonly TransformStep[]
  /** 0 to 1: how likely it is meant. */
  readonly score: number
  /** In words, without any value. */
  readonly reasons: readonly string[]
  /** Rows of both sides in which it was seen to be right; null where none were compared. */
  readonly verified: number | null
  /** The same as a CEL expression, where it can be said in one. */
  readonly expression: string | null
  /** Who thought of it: this module, or a model that somebody configured. */
  readonly by: 'offline' | 'ai'
}

export interface MappingSuggestion {
  /** One for each column of the target that something was found for, in the order of its columns. */
  readonly fields: readonly FieldSuggestion[]
  /** What else could feed a column of the target, best first. */
  readonly candidates: readonly FieldSuggestion[]
  /** Columns that no field speaks of. */
  readonly unmapped: { readonly source: readonly string[]; readonly target: readonly string[] }
}

/** Pairs below it are not suggested, only offered as candidates. */
export const SUGGESTED_FROM = 0.5

const CANDIDATE_FROM = 0.25
const CANDIDATES_EACH = 3

export function suggestFields(
  source: SuggestSide,
  target: SuggestSide,
  matched: MatchedRows = { source: [], target: [] },
): MappingSuggestion {
  const [from, to] = [readSide(source, matched.source), readSide(target, matched.target)]
  const scored = scoreAll(from, to)
  const combined = bestByTarget(findCombinations(from, to, new Set(writable(target.schema))))
  const chosen = resolve(scored).filter(
    ({ target: at, score }) => !combined.some((each) => each.target === at && each.score > score),
  )
  const open = new Set(writable(target.schema).filter((at) => !chosen.some((pair) => pair.target === at)))
  const parts = proven(scored, open)
  const fields = [
    ...chosen.map((pair) => toField(pair, from, to)),
    ...parts.map((pair) => toField(pair, from, to)),
    ...combined
      .filter((each) => open.has(each.target) && !parts.some((part) => part.target === each.target))
      .map((each) => toCombinedField(each, from, to)),
  ]
  const taken = new Set(fields.map((field) => field.target))
  fields.push(...constants(to, open).filter((field) => !taken.has(field.target)))
  return finish(fields, others(scored, [...chosen, ...parts], { from, to }), { from, to })
}

function scoreAll(from: ReadSide, to: ReadSide): Scored[] {
  const found: Scored[] = []
  for (const t of writable(to.side.schema)) {
    for (const s of from.side.schema.columns.keys()) {
      const scored = scorePair(from, to, { s, t })
      if (scored !== null) found.push(scored)
    }
  }
  // Equal scores: whatever stands at the like place comes first, so that the order is always the same.
  return found.toSorted(
    (a, b) =>
      b.score - a.score ||
      Math.abs(a.source - a.target) - Math.abs(b.source - b.target) ||
      a.target - b.target ||
      a.source - b.source,
  )
}

function writable(table: SuggestTable): number[] {
  return [...table.columns.entries()].filter(([, { generated }]) => generated === null).map(([at]) => at)
}

function resolve(scored: readonly Scored[]): Scored[] {
  const sources = new Set<number>()
  const targets = new Set<number>()
  return scored.filter(({ source, target, score }) => {
    if (score < SUGGESTED_FROM || sources.has(source) || targets.has(target)) return false
    sources.add(source)
    targets.add(target)
    return true
  })
}

/** A part of a column, and a copy of one, may feed a second column: where all matched rows say so. */
function proven(scored: readonly Scored[], open: ReadonlySet<number>): Scored[] {
  const sure = scored.filter(({ target, verified, score }) => open.has(target) && verified !== null && score >= 0.7)
  return bestByTarget(sure)
}

function bestByTarget<T extends { readonly target: number; readonly score: number }>(all: readonly T[]): T[] {
  const best = new Map<number, T>()
  for (const each of all) {
    const known = best.get(each.target)
    if (known === undefined || each.score > known.score) best.set(each.target, each)
  }
  return [...best.values()]
}

function toField({ source, target, ...rest }: Scored, from: ReadSide, to: ReadSide): FieldSuggestion {
  return makeField([source], target, rest, { from, to })
}

function toCombinedField({ columns, target, ...rest }: Combination, from: ReadSide, to: ReadSide): FieldSuggestion {
  return makeField(columns, target, rest, { from, to })
}

function makeField(
  columns: readonly number[],
  target: number,
  { steps, score, reasons, verified }: Pick<Scored, 'steps' | 'score' | 'reasons' | 'verified'>,
  { from, to }: { from: ReadSide; to: ReadSide },
): FieldSuggestion {
  const found = columns.map((at) => from.side.schema.columns[at]).filter((column) => column !== undefined)
  return {
    target: to.side.schema.columns[target]?.name ?? '',
    from: { kind: 'columns', columns: found.map(({ name }) => name) },
    transforms: steps,
    score: round(score),
    reasons,
    verified,
    expression: expressionFor(found, steps),
    by: 'offline',
  }
}

/** Two digits: more would claim what a score does not know. */
function round(score: number): number {
  return Math.round(Math.min(1, Math.max(0, score)) * 100) / 100
}

/** Columns that have the same value in all matched rows. What it is, is not told where samples must not be shown. */
function constants(to: ReadSide, open: ReadonlySet<number>): FieldSuggestion[] {
  return [...open].flatMap((at) => {
    const value = constantOf(to.paired[at] ?? [])
    const column = to.side.schema.columns[at]
    if (value === null || column === undefined) return []
    const verified = to.paired[at]?.length ?? 0
    const reasons = [`the same value in all ${verified} matched rows`]
    const from: FieldSource = { kind: 'constant', value }
    const rest = { transforms: [], score: 0.5, reasons, verified, expression: null, by: 'offline' } as const
    return [{ target: column.name, from, ...rest }]
  })
}

function others(
  scored: readonly Scored[],
  taken: readonly Scored[],
  { from, to }: { from: ReadSide; to: ReadSide },
): FieldSuggestion[] {
  const left = scored.filter((pair) => pair.score >= CANDIDATE_FROM && !taken.includes(pair))
  const byTarget = Map.groupBy(left, ({ target }) => target)
  return [...byTarget.values()].flatMap((pairs) =>
    pairs.slice(0, CANDIDATES_EACH).map((pair) => toField(pair, from, to)),
  )
}

/** In the order of the target's columns, with what is left over. */
function finish(
  fields: readonly FieldSuggestion[],
  candidates: readonly FieldSuggestion[],
  { from, to }: { from: ReadSide; to: ReadSide },
): MappingSuggestion {
  const places = new Map(to.side.schema.columns.map(({ name }, at) => [name, at]))
  const place = ({ target }: FieldSuggestion): number => places.get(target) ?? 0
  return {
    fields: fields.toSorted((a, b) => place(a) - place(b)),
    candidates: candidates.toSorted((a, b) => place(a) - place(b) || b.score - a.score),
    unmapped: unmappedColumns(fields, from.side.schema, to.side.schema),
  }
}

/** Columns that no field speaks of. */
export function unmappedColumns(
  fields: readonly Pick<FieldSuggestion, 'target' | 'from'>[],
  source: SuggestTable,
  target: SuggestTable,
): MappingSuggestion['unmapped'] {
  const used = new Set(fields.flatMap(({ from }) => (from.kind === 'columns' ? from.columns : [])))
  const fed = new Set(fields.map((field) => field.target))
  return {
    source: source.columns.map(({ name }) => name).filter((name) => !used.has(name)),
    target: writable(target)
      .map((at) => target.columns[at]?.name ?? '')
      .filter((name) => !fed.has(name)),
  }
}
