import { FIRST_CRON, VIEWER_ZONE } from '#features/schedules/zones.ts'
import type { Document } from '#features/sync-configs/document.ts'

/** When a config runs by itself, as its document says it. */

export type ScheduleKind = 'none' | 'interval' | 'cron'

export type IntervalUnit = 'second' | 'minute' | 'hour' | 'day'

const FIRST_INTERVAL = 300

export function kindOf({ sync_interval: interval, schedule }: Document): ScheduleKind {
  if (schedule !== undefined) return 'cron'
  return interval === undefined ? 'none' : 'interval'
}

/** The document with a schedule of another kind, which begins with what most people want. */
export function withKind(document: Document, kind: ScheduleKind): Document {
  const { sync_interval: interval, schedule, ...rest } = document
  if (kind === 'interval') return { ...rest, sync_interval: interval ?? FIRST_INTERVAL }
  if (kind === 'cron') return { ...rest, schedule: schedule ?? { cron: FIRST_CRON, time_zone: VIEWER_ZONE } }
  return rest
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

/** Seconds in the largest unit that they fill. */
export function intervalOf(seconds: number): { readonly amount: number; readonly unit: IntervalUnit } {
  const [unit, size] = UNITS.find(([, each]) => seconds > 0 && seconds % each === 0) ?? (['second', 1] as const)
  return { amount: seconds / size, unit }
}
