import type { Choice, Conflict } from '#features/conflicts/queries.ts'

/** A row that somebody builds field by field, in place of the two that are in conflict. */

export type Cell = string | null

/** What a field is to be: the value of a side, what both agreed on last, what merges by itself, or something else. */
export type FieldChoice =
  | { readonly from: 'source' | 'target' | 'base' | 'merged' }
  | { readonly from: 'own'; readonly value: Cell }

export type Draft = Readonly<Record<string, FieldChoice>>

/** A column in all that is known of a row; undefined where there is no such row, or it is not kept. */
export interface Field {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  readonly isKey: boolean
  readonly source: Cell | undefined
  readonly target: Cell | undefined
  readonly base: Cell | undefined
  readonly merged: Cell | undefined
  readonly built: Cell | undefined
  /** Null where it is not known, or nothing changed. */
  readonly changedBy: 'source' | 'target' | 'both' | 'unknown' | null
  readonly inConflict: boolean
  /** To be looked at: the others are the same wherever they are. */
  readonly differs: boolean
}

type Rows = Pick<
  Conflict,
  'columns' | 'key_columns' | 'source_row' | 'target_row' | 'base_row' | 'merged_row' | 'built_row' | 'differences'
>

export function fieldsOf(found: Rows): readonly Field[] {
  const differences = new Map(found.differences.map((one) => [one.column, one]))
  const single = (found.source_row === null) !== (found.target_row === null)
  const only = found.source_row ?? found.target_row
  return found.columns.map(({ name, type, nullable }, place): Field => {
    const difference = differences.get(name)
    const base = found.base_row?.[place]?.value
    const merged = found.merged_row?.[place]?.value
    const changed = single && base !== undefined && only?.[place]?.value !== base
    return {
      name,
      type,
      nullable,
      isKey: found.key_columns.includes(name),
      source: found.source_row?.[place]?.value,
      target: found.target_row?.[place]?.value,
      base,
      merged,
      built: found.built_row?.[place]?.value,
      changedBy:
        difference === undefined
          ? changed
            ? found.source_row === null
              ? 'target'
              : 'source'
            : null
          : sideOf(difference, merged),
      inConflict: difference?.in_conflict ?? false,
      differs: difference !== undefined || changed,
    }
  })
}

/** Where a row merges, it is known of each of its fields which side changed it, also without what it was before. */
function sideOf(
  { changed_by: changedBy, in_conflict: inConflict, source, target }: Conflict['differences'][number],
  merged: Cell | undefined,
): Field['changedBy'] {
  if (changedBy !== 'unknown' || merged === undefined) return changedBy
  if (inConflict) return 'both'
  return merged === source ? 'source' : merged === target ? 'target' : 'both'
}

/** What a field is under a choice; undefined where that is not known. */
export function chosen(field: Field, choice: FieldChoice): Cell | undefined {
  return choice.from === 'own' ? choice.value : field[choice.from]
}

/** What merges by itself needs nobody to choose it. */
export function mergedDraft(fields: readonly Field[]): Draft {
  const merging = fields.filter(({ differs, inConflict, merged }) => differs && !inConflict && merged !== undefined)
  return Object.fromEntries(
    merging.map(({ name, merged, source, target }): [string, FieldChoice] => [
      name,
      { from: merged === source ? 'source' : merged === target ? 'target' : 'merged' },
    ]),
  )
}

/** The fields that still have to be chosen before there is a row. */
export function missing(fields: readonly Field[], draft: Draft): readonly string[] {
  return fields.flatMap((field) => {
    if (!field.differs || field.isKey) return []
    const choice = draft[field.name]
    return choice === undefined || chosen(field, choice) === undefined ? [field.name] : []
  })
}

/**
 * The decision that a draft comes to: a side where it is the very row of that side, else the values in which it differs from
 * the side that needs fewer of them to be sent.
 */
export function choiceOf(fields: readonly Field[], draft: Draft): Choice {
  const row = fields.map((field) => {
    const choice = draft[field.name]
    return {
      field,
      value: choice === undefined ? (field.target ?? field.source ?? null) : (chosen(field, choice) ?? null),
    }
  })
  const apart = (side: 'source' | 'target') => row.filter(({ field, value }) => field[side] !== value)
  const kept = (['target', 'source'] as const).filter((side) => fields.some((field) => field[side] !== undefined))
  const same = kept.find((side) => apart(side).length === 0)
  if (same !== undefined) return { take: same }
  const weight = (side: 'source' | 'target'): number =>
    apart(side).reduce((sum, { value }) => sum + 1 + (value?.length ?? 0), 0)
  const [rest = 'target'] = kept.toSorted((a, b) => weight(a) - weight(b))
  return {
    take: 'row',
    values: Object.fromEntries(apart(rest).map(({ field, value }) => [field.name, value])),
    rest,
  }
}

/** The row as far as it merges by itself, as a decision; null where that is no other row than the target's. */
export function mergedChoice(fields: readonly Field[]): Choice | null {
  const merges = fields.some(({ merged, target }) => merged !== undefined && merged !== target)
  return merges ? { take: 'row', values: {}, rest: 'merged' } : null
}
