import { parseKey, type ChangeFilters } from '#api/contract/changes.ts'
import type { Operation } from '#model/change.ts'
import type { ChangeFilter, ChangeMark } from '#model/change-set.ts'
import { parseTableName } from '#model/table-pattern.ts'

/** Which changes somebody asks for, as they say it in a query or a body. */
export function toChangeFilter({ table, op, column, key, mark }: ChangeFilters): ChangeFilter {
  return {
    target: table === undefined ? null : parseTableName(table),
    ops: op === undefined ? null : (op.split(',') as Operation[]),
    column: column ?? null,
    key: key === undefined ? null : parseKey(key),
    marks:
      mark === undefined ? null : mark.split(',').map((name) => (name === 'planned' ? 'none' : (name as ChangeMark))),
    seqs: null,
  }
}
