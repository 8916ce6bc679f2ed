import type { OpenedConflict } from '#control/conflict-list.ts'
import type { NamedCells } from '#model/rejection.ts'
import { ValueRefused, type Row, type Value } from '#model/value.ts'
import { fitEdit } from '#sync/fit-edit.ts'
import type { EditProblem } from './edit-rejection.ts'

/** How somebody builds a row in place of the two that are in conflict. */
export interface RowWish {
  /** By the names of columns. */
  readonly values: NamedCells
  /** Where the other columns come from; null: from what merges by itself, else from the target, else from the source. */
  readonly rest: 'merged' | 'source' | 'target' | null
}

/** The whole row, or what is wrong with it, column by column and without the values. */
export function buildRow(
  { image, table, key }: Pick<OpenedConflict, 'image' | 'table' | 'key'>,
  { values, rest }: RowWish,
): { readonly row: Row } | { readonly problems: readonly EditProblem[] } {
  const given = new Map(values)
  const known = rest === null ? (image?.merged ?? image?.target ?? image?.source) : image?.[rest]
  const problems: EditProblem[] = [...given.keys()]
    .filter((name) => !table.columns.some((column) => column.name === name))
    .map((field) => ({ field, message: 'The target has no such field in this sync.' }))
  const row = table.columns.map((column, place): Value => {
    const { name } = column
    const ofKey = key[table.key.indexOf(name)]
    const text = given.get(name)
    if (text === undefined) {
      const value = ofKey ?? known?.[place]
      if (value === undefined) {
        problems.push({ field: name, message: 'Nothing is kept to take it from: give a value for it.' })
      }
      return value ?? null
    }
    try {
      const value = fitEdit(text, { ...column, form: column.form ?? 'own' })
      if (ofKey !== undefined && value !== ofKey) {
        problems.push({ field: name, message: 'The key of a row cannot be changed here.' })
      }
      return value
    } catch (error) {
      if (!(error instanceof ValueRefused)) throw error
      problems.push({ field: name, message: `It ${error.message}.` })
      return null
    }
  })
  return problems.length > 0 ? { problems } : { row }
}
