import { RowsRefused } from '#adapters/rows-refused.ts'
import { asRowsRefused, isServerError } from './errors.ts'
import type { MyTable } from './introspect.ts'

const DUPLICATE: ReadonlySet<number> = new Set([1062, 1586])

/** Whether a unique index refuses a row. */
export function isDuplicate(error: unknown): boolean {
  return isServerError(error) && DUPLICATE.has(error.errno)
}

/** As `asRowsRefused`, with the unique index of the table that says so, where it is one of it. */
export function asRefused(error: unknown, { schema }: MyTable): RowsRefused | null {
  const refused = asRowsRefused(error)
  if (refused === null || !isDuplicate(error)) return refused
  const named = /for key '(?:[^']*\.)?([^'.]+)'\s*$/.exec(refused.message)?.[1]
  const index = [schema.primaryKey, ...schema.uniqueKeys].find((unique) => unique?.name === named)
  if (index === undefined || index === null) return refused
  return new RowsRefused(refused.code, refused.message, {
    orderMatters: refused.orderMatters,
    column: refused.column,
    index: { schema: schema.ref.schema, name: index.name },
    cause: error,
  })
}
