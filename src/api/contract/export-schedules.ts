import { z } from 'zod'
import { ExportAsked } from '#api/contract/asked.ts'
import { EXPORT_FIELDS } from '#api/contract/dumps.ts'
import { time } from '#api/contract/fields.ts'
import { SCHEDULE_FIELDS, ScheduleTick } from '#api/contract/schedules.ts'
import { Cron } from '#model/schedule-document.ts'

/** When datasources are exported by themselves, and what comes of it. */

export const ExportScheduleInput = z
  .strictObject({ schedule: Cron, ...EXPORT_FIELDS })
  .meta({ id: 'ExportScheduleRequest' })

const SUMMARY = {
  datasource_id: z.string(),
  datasource: z.string().meta({ description: 'The name of what is exported.' }),
  words: z.string().meta({ description: 'The schedule as a sentence.', examples: ['At 02:30, every day (UTC)'] }),
  paused_at: time.nullable(),
  paused_by: z.string().nullable(),
  last_dump: z.object({ id: z.string(), created_at: time, works: z.boolean().nullable() }).nullable().meta({
    description: 'The newest export of it that is still kept, and whether it works: null where nobody tried.',
  }),
  overdue_since: time.nullable().meta({
    description:
      'Since when there ought to be a newer export: two times have passed without one. null: there is none to wait for.',
  }),
}

export const ExportScheduleSummary = z
  .object({ ...SUMMARY, next_run_at: time.nullable().meta({ description: 'null while it is paused.' }) })
  .meta({ id: 'ExportScheduleSummary' })

export const ExportScheduleList = z.object({ items: z.array(ExportScheduleSummary) }).meta({ id: 'ExportScheduleList' })

export const ExportSchedule = z
  .object({
    ...SCHEDULE_FIELDS,
    ...SUMMARY,
    schedule: Cron,
    export: ExportAsked.meta({ description: 'What is exported, and how.' }),
    ticks: z.array(ScheduleTick).meta({ description: 'The last 20, the newest first.' }),
  })
  .meta({ id: 'ExportSchedule' })

export const DeletedExportSchedule = z
  .object({ datasource_id: z.string(), deleted: z.boolean() })
  .meta({ id: 'DeletedExportSchedule' })
