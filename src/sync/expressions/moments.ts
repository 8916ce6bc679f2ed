import {
  DAY as DAY_MICROS,
  FIRST_DAY,
  LAST_DAY,
  readDay,
  readMicros,
  readTimestamp,
  writeClock,
  writeDay,
  writeTimestamp,
} from '#sync/values/time-text.ts'
import { fail } from './failure.ts'

/**
 * Dates and times as numbers: microseconds since 1970 as bigint, and days since 1970, infinities among them, read from
 * and written as texts.
 */

/** `infinity` as a moment: beyond every other, as in the server. */
export const FOREVER = 2n ** 64n
const NEVER = -FOREVER

const DAY = BigInt(DAY_MICROS)

/** Reads a moment, with or without a zone; without one it is taken as it stands. Null where the text is none. */
export function parseMoment(text: string): { readonly micros: bigint; readonly zoned: boolean } | null {
  if (text === 'infinity') return { micros: FOREVER, zoned: true }
  if (text === '-infinity') return { micros: NEVER, zoned: true }
  const found = readTimestamp(text)
  if (found === null) return null
  return { micros: BigInt(found.moment.day) * DAY + BigInt(found.moment.micros), zoned: found.zoned }
}

/** Reads a moment in the server's own text. */
export function readMoment(text: string): bigint {
  return (parseMoment(text) ?? fail('A time cannot be read.')).micros
}

export function momentText(micros: bigint, zoned: boolean): string {
  if (micros === FOREVER) return 'infinity'
  if (micros === NEVER) return '-infinity'
  return writeTimestamp({ day: dayOf(moment(micros)), micros: Number(modulo(micros, DAY)) }, zoned)
}

/** Days of a date, in the server's own text or as people write it; null where it is none. */
export function parseDate(text: string): number | null {
  if (text === 'infinity') return Infinity
  return text === '-infinity' ? -Infinity : readDay(text)
}

export function readDate(text: string): number {
  return parseDate(text) ?? fail('A date cannot be read.')
}

export function dateText(days: number): string {
  if (days === Infinity) return 'infinity'
  if (days === -Infinity) return '-infinity'
  if (days < FIRST_DAY || days > LAST_DAY.date) fail('A date lies outside of what a date can hold.')
  return writeDay(days)
}

/** The day that a moment lies in. */
export function dayOf(micros: bigint): number {
  if (micros === FOREVER) return Infinity
  if (micros === NEVER) return -Infinity
  return Number((micros - modulo(micros, DAY)) / DAY)
}

/** Midnight of a day. */
export function midnight(days: number): bigint {
  if (days === Infinity) return FOREVER
  return days === -Infinity ? NEVER : BigInt(days) * DAY
}

/** Microseconds since midnight. */
export function clockOf(micros: bigint): bigint {
  return modulo(finite(micros), DAY)
}

/** Microseconds since midnight; null where the text is no time of day. */
export function parseClock(text: string): bigint | null {
  const micros = readMicros(text)
  return micros === null ? null : BigInt(micros)
}

export function readClock(text: string): bigint {
  return parseClock(text) ?? fail('A time of day cannot be read.')
}

export function clockText(micros: bigint): string {
  return writeClock(Number(micros / 1_000_000n), Number(micros % 1_000_000n))
}

const UNITS: Readonly<Record<string, bigint>> = {
  d: DAY,
  h: 3_600_000_000n,
  m: 60_000_000n,
  s: 1_000_000n,
  ms: 1_000n,
  us: 1n,
}

/** Reads `1h30m`, `-2.5s`, `7d`; null where it is none. */
export function parseDuration(text: string): bigint | null {
  if (!/^-?(?:\d{1,9}(?:\.\d{1,6})?(?:d|h|ms|us|m|s))+$/.test(text)) return null
  let micros = 0n
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(/(\d+)(?:\.(\d+))?(d|h|ms|us|m|s)/g)) {
    const size = UNITS[unit] ?? 0n
    const part = BigInt(fraction.padEnd(6, '0')) * size
    if (part % 1_000_000n !== 0n) return null
    micros += BigInt(whole) * size + part / 1_000_000n
  }
  return text.startsWith('-') ? -micros : micros
}

/** As PostgreSQL writes an interval of hours, minutes and seconds. */
export function durationText(micros: bigint): string {
  return micros < 0n ? `-${clockText(-micros)}` : clockText(micros)
}

/** A moment that was calculated: within what a timestamp can hold. */
export function moment(micros: bigint): bigint {
  const inside = micros >= BigInt(FIRST_DAY) * DAY && micros < BigInt(LAST_DAY.timestamp + 1) * DAY
  return inside ? micros : fail('A time lies outside of what a timestamp can hold.')
}

/** A moment that is not infinite. */
export function finite(micros: bigint): bigint {
  return micros === FOREVER || micros === NEVER ? fail('Nothing can be calculated with an infinite time.') : micros
}

export function finiteDay(days: number): number {
  return Number.isFinite(days) ? days : fail('Nothing can be calculated with an infinite date.')
}

function modulo(a: bigint, b: bigint): bigint {
  const rest = a % b
  return rest < 0n ? rest + b : rest
}
