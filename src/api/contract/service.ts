import { z } from 'zod'
import { time } from '#api/contract/fields.ts'
import { ScheduleSummary } from '#api/contract/schedules.ts'
import { JOB_STATUSES } from '#model/job.ts'

export const Health = z.object({ status: z.enum(['up', 'down']) }).meta({ id: 'Health' })

export const StoreHealth = z
  .object({
    status: z.enum(['up', 'down']),
    store: z.enum(['sqlite', 'postgres']),
    store_version: z.int(),
    latency_ms: z.number(),
  })
  .meta({ id: 'StoreHealth' })

export const Status = z
  .object({
    status: z.enum(['up', 'down']),
    version: z.string(),
    started_at: time,
    workers: z.int().meta({ description: 'Job processes that are running.' }),
    datasources: z.int(),
    sync_configs: z.int(),
    jobs: z.record(z.enum(JOB_STATUSES), z.int()).meta({ description: 'How many jobs there are in each status.' }),
  })
  .meta({ id: 'Status' })

const rows = z.number()

export const Overview = z
  .object({
    configs: z.array(
      z.object({
        config_id: z.string(),
        last_job: z
          .object({ id: z.string(), status: z.enum(JOB_STATUSES), created_at: time })
          .nullable()
          .meta({ description: 'The sync that was asked for last, dry runs among them.' }),
        last_succeeded_at: time.nullable().meta({ description: 'When a sync that writes came to a good end last.' }),
        open_conflicts: z.int(),
        open_rejections: z.int(),
        schema_drift: z.object({ changes: z.int(), first: z.string(), seen_at: time }).nullable().meta({
          description:
            'What of the tables has changed since the mapping was looked over, when they were last looked at; null: nothing.',
        }),
        schedule: ScheduleSummary.nullable().meta({ description: 'null: it does not run by itself.' }),
      }),
    ),
    days: z
      .array(
        z.object({
          day: z.string().meta({ description: 'A day in UTC, such as 2026-01-31.' }),
          succeeded: z.int().meta({ description: 'Syncs that write, and undos, by how they ended on this day.' }),
          failed: z.int(),
          inserted: rows,
          updated: rows,
          deleted: rows,
        }),
      )
      .meta({ description: 'The last 14 days, the oldest first.' }),
  })
  .meta({ id: 'Overview' })
