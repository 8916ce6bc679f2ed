/** Suggests which tables of a source go to which tables of a target: by their names, and by what their columns mean. Pure. */
import type { TableRef } from '#model/table.ts'
import { likeness, readColumnNames, tableMeaning, type Meaning } from './suggest/names.ts'
import type { SuggestTable } from './suggest-mapping.ts'

export interface TableSuggestion {
  readonly source: TableRef
  readonly target: TableRef
  /** 0 to 1: how likely it is meant. */
  readonly score: number
  readonly reasons: readonly string[]
}

interface Read {
  readonly table: SuggestTable
  readonly meaning: Meaning
  readonly columns: readonly (readonly Meaning[])[]
}

/** Pairs below it are not suggested. */
const SUGGESTED_FROM = 0.45

/** As many counterparts make up for names that say nothing of one another. */
const ENOUGH = 4

/** More pairs than this are told apart by their names alone before their columns are looked at. */
const MOST_PAIRS = 10_000

/** One to one, best first. A table that suits none is left out. */
export function suggestTables(sources: readonly SuggestTable[], targets: readonly SuggestTable[]): TableSuggestion[] {
  const [from, to] = [sources.map(read), targets.map(read)]
  const many = from.length * to.length > MOST_PAIRS
  const pairs = from.flatMap((source, s) =>
    to.flatMap((target, t) => {
      const name = tableLikeness(source, target)
      if (many && name < 0.5) return []
      const scored = score(source, target, name)
      return scored.score < SUGGESTED_FROM ? [] : [{ s, t, scored }]
    }),
  )
  const best = pairs.toSorted((a, b) => b.scored.score - a.scored.score || a.s - b.s || a.t - b.t)
  const taken = { s: new Set<number>(), t: new Set<number>() }
  return best.flatMap(({ s, t, scored }) => {
    if (taken.s.has(s) || taken.t.has(t)) return []
    taken.s.add(s)
    taken.t.add(t)
    return [scored]
  })
}

function read(table: SuggestTable): Read {
  const names = table.columns.map(({ name }) => name)
  return { table, meaning: tableMeaning(table.ref.name), columns: readColumnNames(table.ref.name, names) }
}

function tableLikeness(source: Read, target: Read): number {
  if (source.table.ref.name.toLowerCase() === target.table.ref.name.toLowerCase()) return 1
  return likeness(source.meaning, target.meaning)
}

function score(source: Read, target: Read, name: number): TableSuggestion {
  const { share: covered, found } = coverage(source, target)
  const reasons = [
    name >= 0.95 ? 'the names say the same' : name >= 0.5 ? 'the names are alike' : null,
    found > 1 ? `${found} columns have a counterpart` : null,
  ].filter((reason) => reason !== null)
  const total = Math.max(0.45 * name + 0.55 * covered, covered >= 0.5 && found >= ENOUGH ? covered * 0.85 : 0)
  const { table } = source
  return { source: table.ref, target: target.table.ref, score: Math.round(total * 100) / 100, reasons }
}

/** Columns that most tables have: that two tables share them says little. */
const COMMON = new Set(['id', 'uuid', 'name', 'created_at', 'updated_at', 'status', 'type', 'description'])
const COMMON_WEIGHT = 0.4

/** Columns are counterparts from this likeness of their names on. */
const COUNTERPART = 0.6

/** The share of the columns of the smaller table that the other one has too, by their names. */
function coverage(source: Read, target: Read): { readonly share: number; readonly found: number } {
  const [small, large] =
    source.columns.length <= target.columns.length ? [source.columns, target.columns] : [target.columns, source.columns]
  const free = new Set(large.keys())
  let [shared, total, found] = [0, 0, 0]
  for (const readings of small) {
    let best = { at: -1, score: 0 }
    for (const at of free) {
      const alike = Math.max(...readings.flatMap((one) => (large[at] ?? []).map((other) => likeness(one, other))))
      if (alike > best.score) best = { at, score: alike }
    }
    const weight = readings.some((words) => words.length === 1 && COMMON.has(words[0] ?? '')) ? COMMON_WEIGHT : 1
    total += weight
    if (best.score < COUNTERPART) continue
    free.delete(best.at)
    shared += best.score * weight
    found += 1
  }
  // Many columns of the larger one without a counterpart speak against it, if less.
  const share = total === 0 ? 0 : (shared / total) * (0.7 + (0.3 * small.length) / large.length)
  return { share, found }
}
