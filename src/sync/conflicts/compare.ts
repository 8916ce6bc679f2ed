import type { ColumnType } from '#model/column-type.ts'
import { ValueRefused, type Value } from '#model/value.ts'
import { celTypeOf } from '#sync/expressions/types.ts'
import { comparer, isOrdered, reader } from '#sync/expressions/values.ts'
import { DAY, readTimestamp } from '#sync/values/time-text.ts'

/** Whether two cells are the same, NULL being the same as NULL alone. */
export function isSameCell(a: Value, b: Value): boolean {
  if (a === null || b === null || (typeof a === 'string' && typeof b === 'string')) return a === b
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0
}

/**
 * Negative, zero or positive, by the order of the type: numbers and times by their value, texts by code point; null
 * where its values have none that people would expect. @throws ValueRefused where a cell cannot be read
 */
export function orderOf(type: ColumnType): ((a: Value, b: Value) => number) | null {
  if (type.kind === 'time' && type.zoned) return (a, b) => zonedMicros(a) - zonedMicros(b)
  // As texts, their values would stand in an order of their own.
  if (type.kind === 'enum' || type.kind === 'interval' || type.kind === 'other') return null
  const known = celTypeOf(type)
  if (!isOrdered(known)) return null
  const [read, compare] = [reader(type), comparer(known)]
  return (a, b) => compare(read(a), read(b))
}

/** Microseconds of a time of day with its zone, in UTC; less than no time where the day is another one there. */
function zonedMicros(cell: Value): number {
  const found = typeof cell === 'string' ? readTimestamp(`1970-01-01 ${cell}`) : null
  if (found === null) throw new ValueRefused('holds no time of day that can be compared')
  return found.moment.day * DAY + found.moment.micros
}
