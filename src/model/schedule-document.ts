import { z } from 'zod'
import { cronProblem, zoneProblem } from '#lib/cron.ts'
import type { Schedule } from './schedule.ts'

/** When a sync config or an export runs by itself, as documents and requests have it. */

export const OVERLAP_POLICIES = ['skip'] as const

const LEAST_SECONDS = 10
const MOST_SECONDS = 31_536_000
const DEFAULT_ZONE = 'UTC'

/** A text of which something may be wrong, as a sentence. */
function checked(problemOf: (text: string) => string | null): z.ZodString {
  return z
    .string()
    .min(1)
    .max(200)
    .superRefine((text, context) => {
      const message = problemOf(text)
      if (message !== null) context.addIssue({ code: 'custom', message })
    })
}

export const Cron = z
  .strictObject({
    cron: checked(cronProblem).meta({
      description:
        'Minute, hour, day of the month, month and day of the week: *, values, names such as MON, ranges, lists and steps; L is the last day of the month. Where both kinds of days are given, either will do.',
      examples: ['30 2 * * *', '*/15 8-18 * * MON-FRI'],
    }),
    time_zone: checked(zoneProblem)
      .optional()
      .meta({
        description: `A time zone of the IANA list. A time that its clocks skip runs at the moment of the change, one that comes twice runs once. Default ${DEFAULT_ZONE}.`,
        examples: ['Europe/Berlin'],
      }),
  })
  .meta({ id: 'CronSchedule', description: 'Times by a cron text, in a time zone.' })

export const ScheduleFields = z.strictObject({
  sync_interval: z.int().min(LEAST_SECONDS).max(MOST_SECONDS).optional().meta({
    description:
      'Seconds from one run to the next, counted from when this was set. Not beside schedule. Default: none.',
  }),
  schedule: Cron.optional().meta({ description: 'Times at which it runs. Not beside sync_interval. Default: none.' }),
  overlap_policy: z.enum(OVERLAP_POLICIES).optional().meta({
    description:
      'What becomes of a run whose time comes while a job of the sync config is still open: it is left out, and that is told (skip). Default skip.',
  }),
})

export type ScheduleFields = z.infer<typeof ScheduleFields>

/** Refuses two schedules in one document. */
export function refuseTwoSchedules(fields: ScheduleFields, context: z.RefinementCtx): void {
  if (fields.sync_interval === undefined || fields.schedule === undefined) return
  const message = 'There is a sync_interval too: give one of them.'
  context.addIssue({ code: 'custom', path: ['schedule'], message })
}

export function toCronSchedule({ cron, time_zone: timeZone }: z.infer<typeof Cron>): Schedule {
  return { cron, timeZone: timeZone ?? DEFAULT_ZONE }
}

/** Null: the document has none. */
export function toSchedule({ sync_interval: everySeconds, schedule }: ScheduleFields): Schedule | null {
  if (schedule !== undefined) return toCronSchedule(schedule)
  return everySeconds === undefined ? null : { everySeconds }
}
