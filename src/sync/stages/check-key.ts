import type { RowSource, Snapshot } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { TablePlan } from '#sync/plan.ts'
import { checkMerged, type MergingSides } from './check-merged.ts'

/**
 * Asks a key row by row where no constraint guards it: a NULL or a duplicate would make endless copies (hazard D6).
 * @throws AppError `key_not_unique` with the counts and an example
 */
export async function checkKey(plan: TablePlan, side: 'source' | 'target', rows: RowSource): Promise<void> {
  const guarded = side === 'source' ? plan.sourceKeyIsUnique : plan.write.keyIsUnique
  if (guarded) return
  const scan = side === 'source' ? plan.sourceScan : plan.write.scan
  const { nulls, duplicates, sample } = await rows.keyFaults(scan)
  if (nulls + duplicates === 0) return
  const columns = scan.columns.slice(0, scan.keyLength).map((column) => column.name)
  const example = sample === null ? '' : `, such as (${sample.join(', ')})`
  throw new AppError(
    'key_not_unique',
    `${tableName(scan.table)} (${side}): the key (${columns.join(', ')}) is NULL in ${nulls} rows, and ${duplicates} keys stand in more than one row${example}.`,
  )
}

/**
 * What the rows of the source must be like for a table to be looked at: each has a key of its own, for the source and for
 * the unique indexes of the target, where that is there.
 * @throws AppError `key_not_unique`, `values_merged`
 */
export async function checkSource(
  plan: TablePlan,
  { target, ...sides }: Omit<MergingSides, 'target'> & { readonly target: Snapshot | null },
): Promise<void> {
  await checkKey(plan, 'source', sides.source)
  if (target !== null) await checkMerged(plan, { ...sides, target })
}
