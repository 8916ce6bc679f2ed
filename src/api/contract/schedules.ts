import { z } from 'zod'
import { confirm, time } from '#api/contract/fields.ts'
import { JOB_STATUSES } from '#model/job.ts'
import { refuseTwoSchedules, ScheduleFields } from '#model/schedule-document.ts'
import { TICK_OUTCOMES } from '#model/schedule.ts'

export const SchedulePreviewInput = ScheduleFields.pick({ sync_interval: true, schedule: true })
  .superRefine(refuseTwoSchedules)
  .meta({ id: 'SchedulePreviewRequest', description: 'A schedule as a document would have it; with neither, none.' })

const words = z
  .string()
  .nullable()
  .meta({ description: 'The schedule as a sentence; null: there is none.', examples: ['At 02:30, every day (UTC)'] })

const nextRuns = z
  .array(
    z.object({
      at: time,
      local: z.string().meta({ description: 'The same moment as clocks of the time zone show it, with their offset.' }),
    }),
  )
  .meta({ description: 'The next five; none while it is paused.' })

export const SCHEDULE_FIELDS = {
  words,
  time_zone: z.string().nullable().meta({ description: 'Of a cron text; null for an interval.' }),
  note: z.string().nullable().meta({ description: 'What becomes of it when clocks are changed next; null: nothing.' }),
  next_runs: nextRuns,
}

export const SchedulePreview = z.object(SCHEDULE_FIELDS).meta({ id: 'SchedulePreview' })

export const ScheduleTick = z
  .object({
    tick: time.meta({ description: 'The time that it was for.' }),
    fired_at: time.meta({ description: 'When it was seen to.' }),
    late: z.boolean().meta({ description: 'More than a minute after its time.' }),
    missed: z.int().meta({
      description: 'Runs before it that were missed, as no service was there: this one stands for all. 100: or more.',
    }),
    outcome: z.enum(TICK_OUTCOMES).meta({
      description:
        'A job was started; it was left out, as a job was still open (skipped); or it was refused, for the reason.',
    }),
    job_id: z.string().nullable().meta({ description: 'The job that was started, or that was in the way.' }),
    job_status: z.enum(JOB_STATUSES).nullable().meta({ description: 'null where the job is gone.' }),
    reason: z.string().nullable(),
  })
  .meta({ id: 'ScheduleTick' })

export const ScheduleState = z
  .object({
    ...SCHEDULE_FIELDS,
    paused_at: time.nullable(),
    paused_by: z.string().nullable(),
    refused_for: z
      .object({ code: z.string(), message: z.string(), hint: z.string() })
      .nullable()
      .meta({ description: 'Why the next run would be refused as things stand; null: it would not.' }),
    consent: z
      .object({
        allow_protected_write: z.boolean(),
        allow_protected_source_write: z.boolean(),
        holds: z.boolean().meta({ description: 'It was given for the databases that the sync config has now.' }),
        at: time,
        by: z.string(),
      })
      .nullable()
      .meta({ description: 'What somebody let its runs write to.' }),
    ticks: z.array(ScheduleTick).meta({ description: 'The last 20, the newest first.' }),
  })
  .meta({ id: 'ScheduleState' })

export const ScheduleConsentInput = z
  .strictObject({
    allow_protected_write: z.boolean().optional().meta({
      description: 'Runs may write to the target although its environment is protected. Default false.',
    }),
    allow_protected_source_write: z.boolean().optional().meta({ description: 'The same of the source, two ways.' }),
    confirm,
  })
  .meta({ id: 'ScheduleConsentRequest' })

/** Of a sync config in an overview. */
export const ScheduleSummary = z
  .object({
    words: z.string(),
    next_run_at: time.nullable().meta({ description: 'null while it is paused.' }),
    paused: z.boolean(),
    expected_interval_seconds: z.number().nullable().meta({
      description: 'From the next run to the one after it: how fresh the target is kept.',
    }),
    overdue_since: time.nullable().meta({
      description:
        'The first run since the last good sync, where the one after it has passed as well and still none came to a good end; null: it is as fresh as its schedule has it.',
    }),
  })
  .meta({ id: 'ScheduleSummary' })
