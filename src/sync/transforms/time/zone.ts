/** Time zones: between UTC and the clocks on a wall, where an hour may be missing or come twice. */
import { Temporal } from 'temporal-polyfill'
import { z } from 'zod'

import { fail } from '#sync/transforms/transform.ts'
import { dateOf } from '#sync/values/calendar.ts'
import { type Moment } from '#sync/values/time-text.ts'
import { microsOf, momentOf } from './moment.ts'

export const zoneName = z
  .string()
  .max(60)
  .refine(isZone, {
    error: 'There is no time zone of this name. Names are those of IANA, such as Europe/Berlin, or UTC.',
  })
  .meta({ description: 'A time zone by its IANA name.', examples: ['Europe/Berlin', 'UTC'] })

/** What becomes of a wall time that no moment has, as the clock was put forward. */
export const gap = z.enum(['reject', 'forward', 'backward']).default('reject').meta({
  description: 'A time that the clocks skip: reject it, or move it forward or backward by the skipped time.',
})

/** What becomes of a wall time that two moments have, as the clock was put back. */
export const overlap = z.enum(['reject', 'earlier', 'later']).default('reject').meta({
  description: 'A time that the clocks show twice: reject it, or take the earlier or the later moment.',
})

export interface WallPolicy {
  readonly gap: z.output<typeof gap>
  readonly overlap: z.output<typeof overlap>
}

function isZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name)
    return true
  } catch {
    return false
  }
}

/** Rules of a zone change at whole quarters of an hour, in UTC, wherever they are not of solar time. */
const QUARTER = 900n * 1_000_000n
const MAX_CACHED = 10_000

/** The wall clock of a zone, at moments of UTC. */
export function toWall(zone: string): (utc: Moment) => Moment {
  const offset = offsets(zone)
  return (utc) => {
    const micros = microsOf(utc)
    return momentOf(micros + offset(micros))
  }
}

/** The offset from UTC in microseconds, remembered by the quarter of an hour. */
function offsets(zone: string): (micros: bigint) => bigint {
  const known = new Map<bigint, bigint>()
  return (micros) => {
    const quarter = micros / QUARTER
    let offset = known.get(quarter)
    if (offset !== undefined) return offset
    const begins = instant(micros).toZonedDateTimeISO(zone)
    offset = BigInt(begins.offsetNanoseconds) / 1000n
    // Solar time changed at odd seconds: such quarters are looked up each time.
    if (offset % 60_000_000n === 0n && micros > 0n) {
      if (known.size >= MAX_CACHED) known.clear()
      known.set(quarter, offset)
    }
    return offset
  }
}

function instant(micros: bigint): Temporal.Instant {
  try {
    return Temporal.Instant.fromEpochNanoseconds(micros * 1000n)
  } catch {
    return fail('the moment lies beyond what is known of time zones')
  }
}

/** The moment of UTC at which the wall clock of a zone shows a time. */
export function toUtc(zone: string, policy: WallPolicy): (wall: Moment) => Moment {
  const offset = offsets(zone)
  return (wall) => {
    const micros = microsOf(wall)
    // Offsets are less than a day: those a day around are the candidates.
    const before = offset(micros - 86_400_000_000n)
    const after = offset(micros + 86_400_000_000n)
    if (before === after) {
      const utc = micros - before
      if (offset(utc) === before) return momentOf(utc)
    }
    return momentOf(microsOf(unclear(zone, wall, policy)))
  }
}

/** Near a change of the clocks Temporal tells which it is. */
function unclear(zone: string, wall: Moment, policy: WallPolicy): Moment {
  const { year, month, day } = dateOf(wall.day)
  const micros = wall.micros
  const plain = Temporal.PlainDateTime.from({ year, month, day }).add({ microseconds: micros })
  const earlier = plain.toZonedDateTime(zone, { disambiguation: 'earlier' })
  const later = plain.toZonedDateTime(zone, { disambiguation: 'later' })
  const pick = (which: Temporal.ZonedDateTime): Moment => momentOf(which.epochNanoseconds / 1000n)
  if (earlier.epochNanoseconds === later.epochNanoseconds) return pick(earlier)
  if (!earlier.toPlainDateTime().equals(plain)) {
    if (policy.gap === 'reject') return fail(`the clocks of ${zone} skip this time`)
    return pick(policy.gap === 'forward' ? later : earlier)
  }
  if (policy.overlap === 'reject') return fail(`the clocks of ${zone} show this time twice`)
  return pick(policy.overlap === 'earlier' ? earlier : later)
}
