import { z } from 'zod'
import { time } from '#api/contract/fields.ts'
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
