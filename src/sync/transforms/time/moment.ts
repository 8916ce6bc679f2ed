/** Moments of transforms. What they count in, UTC or a wall clock, is the business of whoever holds them. */
import type { ColumnType } from '#model/column-type.ts'
import {
  DAY,
  FIRST_DAY,
  LAST_DAY,
  readDay,
  readMicros,
  readTimestamp,
  writeDay,
  writeMicros,
  writeTimestamp,
  type Moment,
} from '#sync/values/time-text.ts'

import { fail } from '#sync/transforms/transform.ts'

/** A date or timestamp in canonical text. Infinities are rejected: `isInfinite` tells them before. */
export function readMoment(text: string): Moment {
  const day = readDay(text)
  if (day !== null) return { day, micros: 0 }
  const reason = isInfinite(text) ? 'infinity is no moment' : 'the text is no date or timestamp'
  return readTimestamp(text)?.moment ?? fail(reason)
}

/** Microseconds since midnight of a time in canonical text; 24:00:00 is the end of the day. */
export function readClock(text: string): number {
  return readMicros(text.replace(/\+00$/, '')) ?? fail('the text is no time of day')
}

export function isInfinite(text: string): boolean {
  return text === 'infinity' || text === '-infinity'
}

/** The canonical text of a date, a timestamp, or a time of day. */
export function writeMoment(moment: Moment, type: ColumnType): string {
  if (type.kind === 'time') return writeMicros(moment.micros)
  const last = type.kind === 'date' ? LAST_DAY.date : LAST_DAY.timestamp
  if (!(moment.day >= FIRST_DAY && moment.day <= last)) return fail('the moment lies beyond what databases can hold')
  if (type.kind === 'date') return writeDay(moment.day)
  return writeTimestamp(moment, type.kind === 'timestamp' && type.zoned)
}

/** A moment moved by whole microseconds of any size. */
export function moved({ day, micros }: Moment, by: bigint): Moment {
  const total = BigInt(micros) + by
  const days = floorDivide(total, BigInt(DAY))
  return { day: day + Number(days), micros: Number(total - days * BigInt(DAY)) }
}

/** Microseconds since 1970-01-01 00:00. */
export function microsOf({ day, micros }: Moment): bigint {
  return BigInt(day) * BigInt(DAY) + BigInt(micros)
}

export function momentOf(micros: bigint): Moment {
  return moved({ day: 0, micros: 0 }, micros)
}

export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}
