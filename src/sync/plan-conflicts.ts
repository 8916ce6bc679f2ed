import type { ConflictPolicy } from '#model/conflict.ts'
import { summedFields, type Policies } from '#model/sync-config.ts'
import { tableName, type TableSchema } from '#model/table.ts'
import type { Problem } from './plan.ts'
import type { Field } from './plan-fields.ts'

/** Why conflicts of a table cannot be decided as they are to be. */
export function conflictProblem(
  conflict: ConflictPolicy,
  carried: readonly Field[],
  { target, baseline }: { target: TableSchema; baseline: Policies['baseline'] },
): Problem | null {
  const { newerBy, fields } = conflict
  const wanted = [...(newerBy === null ? [] : [newerBy]), ...fields.keys()]
  const unknown = wanted.find((name) => !carried.some((field) => field.target.name === name))
  const name = tableName(target.ref)
  if (unknown !== undefined) {
    const message = `${name} has no column "${unknown}" that is carried, and conflicts are to be decided by it.`
    return { code: 'column_not_found', message }
  }
  const [summed] = summedFields(conflict)
  if (summed === undefined || baseline === 'auto' || baseline === 'images') return null
  const message = `"${summed}" of ${name} cannot be summed up with baseline: ${baseline}, which keeps no values: a sum begins with the last common one. Leave baseline out, or set it to images.`
  return { code: 'impossible_mapping', message }
}
