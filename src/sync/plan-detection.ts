import type { ServerInfo } from '#adapters/adapter.ts'
import type { Cursor, Detecting } from '#model/detection.ts'
import type { Policies, TableMapping } from '#model/sync-config.ts'
import { tableName, type Column, type TableSchema } from '#model/table.ts'
import type { Problem } from './plan.ts'

interface Planned {
  readonly detecting: Detecting
  readonly notes: readonly string[]
}

/**
 * How a table is looked at. A cursor that cannot be trusted is refused; a table that has no column of the name that the
 * policies give for all of them is compared by digests, which see more.
 */
export function planDetection(
  mapping: Pick<TableMapping, 'detection'>,
  { source, computed }: { source: TableSchema; computed: boolean },
  { policies, server }: { policies: Policies; server: ServerInfo },
): Planned | Problem {
  const own = mapping.detection
  const strategy = own.strategy ?? policies.detectionStrategy
  const name = tableName(source.ref)
  const wrong = (message: string): Problem => ({ code: 'impossible_mapping', message })
  const partial = strategy === 'primary_key' || strategy === 'timestamp' || strategy === 'rowversion'
  if (partial && policies.direction === 'two_way') {
    return wrong(`${name} is synced two ways, and ${strategy} does not see what the target has changed.`)
  }
  if (computed && strategy === 'primary_key') {
    return wrong(`The rows of ${name} are computed on their way; primary_key compares keys as they are stored.`)
  }
  if (strategy !== 'timestamp' && strategy !== 'rowversion') {
    return { detecting: { strategy, cursor: null }, notes: [] }
  }
  const wanted = own.cursorColumn ?? policies.cursorColumn
  if (wanted === null) return wrong(`${strategy} needs a cursor_column for ${name}.`)
  const isSystem = ['xmin', 'xmax', 'ctid', 'cmin', 'cmax'].includes(wanted)
  const column = source.columns.find((each) => each.name === wanted)
  if (column === undefined && !isSystem) {
    if (own.strategy !== null || own.cursorColumn !== null) {
      return { code: 'column_not_found', message: `${name} has no column "${wanted}" to find changes by.` }
    }
    const note = `${name} has no column "${wanted}"; its changes are found by digests.`
    return { detecting: { strategy: 'hash', cursor: null }, notes: [note] }
  }
  if (server.moments !== 'exact' || source.unsteady !== undefined) {
    return wrong(`${name} is read without a snapshot, so that no cursor can tell what was written since.`)
  }
  if (computed) return wrong(`The rows of ${name} are computed on their way; ${strategy} finds rows by what is stored.`)
  const judged = column === undefined ? TRANSACTION_ID : judge(column, strategy)
  if (typeof judged === 'string') return wrong(`${name} cannot be read by its column "${wanted}": ${judged}.`)
  return { detecting: { strategy, cursor: judged }, notes: [] }
}

const TRANSACTION_ID = 'transaction ids of 32 bits begin again at the end of their range; keep an xid8 in a column'

/** The cursor, or why there is none. */
function judge({ name, type, nativeType, nullable }: Column, strategy: 'timestamp' | 'rowversion'): Cursor | string {
  const cursor = { column: name, type: nativeType, nullable, guard: 'order', bytes: false } as const
  const isTime = type.kind === 'timestamp' || type.kind === 'date'
  if (isTime) {
    if (strategy === 'rowversion') return 'it is a time, for which there is the strategy timestamp'
    const isZoned = type.kind === 'timestamp' && type.zoned
    // A DATETIME or a DATE of MySQL: what the session's clock says.
    if (!isZoned) return type.within === 'calendar' ? { ...cursor, guard: 'wall clock' } : cursor
    // MySQL has such times since 1970, and begins a transaction when its first statement has got its table.
    return { ...cursor, guard: type.within === 'epoch' ? 'waiting clock' : 'clock' }
  }
  const isVersion = type.kind === 'integer' || type.kind === 'decimal' || type.kind === 'bytes' || nativeType === 'xid8'
  if (isVersion) {
    if (strategy === 'timestamp') return 'it is no time; numbers and versions are for the strategy rowversion'
    return { ...cursor, bytes: type.kind === 'bytes' }
  }
  if (nativeType === 'xid') return TRANSACTION_ID
  if (type.kind === 'text' || type.kind === 'padded text') {
    return 'texts are ordered as texts, where 9 comes after 10; give it as a number or a time, in a view or a query'
  }
  return `values of type ${nativeType} have no order in which they are written`
}
