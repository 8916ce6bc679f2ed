import type { ColumnType, Form } from '#model/column-type.ts'
import type { FieldBase, FieldStrategy } from '#model/conflict.ts'
import { fingerprint } from '#model/fingerprint.ts'
import { ValueRefused, type Row, type Value } from '#model/value.ts'
import type { Side } from '#sync/drift.ts'
import { addUp, unite, type Contested } from './combine.ts'
import { isSameCell, orderOf } from './compare.ts'

export interface MergeColumn {
  readonly type: ColumnType
  readonly form: Form
  /** A key is what rows are told apart by: it never merges, and the row has the target's spelling of it. */
  readonly isKey: boolean
  readonly strategy: FieldStrategy
}

/** Two rows of one key, in the order of the columns. */
export interface MergeInput {
  readonly source: Row
  readonly target: Row
  /** Null where they never had the same values: then each field that differs was changed on both sides. */
  readonly base: FieldBase | null
  /** The side whose row is newer, for fields of `newer_wins`; null where that is not known. */
  readonly newer: Side | null
}

export interface Merged {
  /** What is in conflict has the target's value. */
  readonly row: Row
  /** Positions of the columns that somebody has to decide. */
  readonly conflicts: readonly number[]
  /** Positions of the columns whose value was made of both, and may be that of neither side. */
  readonly combined: readonly number[]
}

/**
 * Merges two rows field by field, three-way where a base is known. What one side changed is taken from it, and what both
 * changed alike is no conflict.
 *
 * The target is written first. With the merged row in its place, both sides are to be remembered as having the source's
 * row, which is the next base too. One way, the target's own edits then remain edits of its own for every later merge;
 * two ways, they are what the source gets next, wherever a run was cut off. The target's row and what is remembered of it
 * have to become durable at once: merged twice, a `sum` would add twice, and a row that is remembered too late is taken for
 * a change. For the source's row see `to_source`.
 *
 * Owned fields bind rows too that a single side changed: where there are any, those are merged as well.
 */
export function mergeRows(columns: readonly MergeColumn[], input: MergeInput): Merged {
  const conflicts: number[] = []
  const combined: number[] = []
  const row = columns.map((column, place) => {
    const field: Field = { ...cellsOf(input, place), newer: input.newer }
    const made = mergeField(column, field)
    if (made === 'conflict') {
      conflicts.push(place)
      return field.target
    }
    if (typeof made === 'string') return field[made]
    combined.push(place)
    return made.combined
  })
  return { row, conflicts, combined }
}

interface Field extends Contested {
  readonly sourceChanged: boolean
  readonly targetChanged: boolean
  readonly newer: Side | null
}

/** Whose value is taken, a value of its own, or nothing that could be taken. */
type Made = Side | 'conflict' | { readonly combined: Value }

function cellsOf({ source: left, target: right, base }: MergeInput, place: number): Omit<Field, 'newer'> {
  const [source, target] = [left[place] ?? null, right[place] ?? null]
  if (base !== null && 'row' in base) {
    const before = base.row[place]
    const hasChanged = (cell: Value): boolean => before === undefined || !isSameCell(cell, before)
    return { source, target, base: before, sourceChanged: hasChanged(source), targetChanged: hasChanged(target) }
  }
  // A column that was added since has no base of its own.
  const before = base?.fingerprints[place]
  const hasChanged = (cell: Value): boolean => before !== fingerprint([cell])
  return { source, target, base: undefined, sourceChanged: hasChanged(source), targetChanged: hasChanged(target) }
}

function mergeField({ strategy, type, form, isKey }: MergeColumn, field: Field): Made {
  if (isKey || isSameCell(field.source, field.target)) return 'target'
  if (strategy === 'source_owns') return 'source'
  if (strategy === 'target_owns') return 'target'
  if (!field.targetChanged) return 'source'
  if (!field.sourceChanged) return 'target'
  try {
    return settleField(strategy, field, { type, form })
  } catch (error) {
    if (error instanceof ValueRefused) return 'conflict'
    throw error
  }
}

/** Both sides changed it, to different values. */
function settleField(
  strategy: Exclude<FieldStrategy, 'source_owns' | 'target_owns'>,
  field: Field,
  { type, form }: Pick<MergeColumn, 'type' | 'form'>,
): Made {
  switch (strategy) {
    case 'manual':
      return 'conflict'
    case 'source_wins':
      return 'source'
    case 'target_wins':
      return 'target'
    case 'newer_wins':
      return field.newer ?? 'conflict'
    case 'non_null':
      if (field.source === null) return 'target'
      return field.target === null ? 'source' : 'conflict'
    case 'max':
      return greater(field, type)
    case 'min':
      return opposite(greater(field, type))
    case 'sum':
      return { combined: addUp(field, type, form) }
    case 'union':
      return { combined: unite(field, type) }
  }
}

/** NULL is neither greater nor less. Of two texts for one value that of more digits is the greater, whatever the side. */
function greater({ source, target }: Field, type: ColumnType): Side | 'conflict' {
  const order = orderOf(type)
  if (order === null || source === null || target === null) return 'conflict'
  const compared = order(source, target) || Buffer.compare(Buffer.from(source), Buffer.from(target))
  return compared > 0 ? 'source' : 'target'
}

function opposite(made: Side | 'conflict'): Side | 'conflict' {
  if (made === 'conflict') return made
  return made === 'source' ? 'target' : 'source'
}
