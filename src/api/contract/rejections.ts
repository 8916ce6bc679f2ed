import { z } from 'zod'
import { time } from '#api/contract/fields.ts'
import { idOf } from '#api/contract/ids.ts'
import { cursor, limit } from '#api/contract/paging.ts'
import { REJECTION_STATUSES } from '#model/rejection.ts'
import { CONSENT_FIELDS } from './jobs.ts'

const status = z.enum(REJECTION_STATUSES)
const table = z.object({ schema: z.string(), name: z.string() })
const cells = z
  .array(z.object({ column: z.string(), value: z.string().nullable() }))
  .nullable()
  .meta({ description: 'Cells as text; null where they are not kept, or not for the caller.' })

const FIELDS = {
  id: z.string(),
  config_id: z.string().nullable(),
  first_job_id: z.string(),
  last_job_id: z.string(),
  replay_job_id: z.string().nullable(),
  seq: z.int().meta({ description: 'The order in which rows were set aside, and are replayed.' }),
  source: table,
  target: table,
  op: z.enum(['insert', 'update', 'delete']),
  key: z.array(z.string().nullable()),
  key_in: z.enum(['source', 'target']).meta({ description: 'Whose key it is.' }),
  column: z.string().nullable().meta({ description: 'The field that it is about; null: the whole row.' }),
  code: z.string().meta({ description: 'A code of the server (SQLSTATE), or the name of the rule or step.' }),
  reason: z.string(),
  status,
  first_at: time,
  last_at: time,
  version: z.int(),
}

export const RejectionEntry = z.object(FIELDS).meta({ id: 'RejectionEntry' })

export const Rejection = z
  .object({
    ...FIELDS,
    values_shown: z.boolean().meta({ description: 'Values of rows are for operators and admins.' }),
    value: z.string().nullable().meta({ description: 'The value that was refused.' }),
    row: cells,
    mapped: cells,
    edited: cells,
    fields: z
      .array(z.object({ name: z.string(), type: z.string(), nullable: z.boolean() }))
      .meta({ description: 'The fields of the target that can be given values, the key first.' }),
    note: z.string().nullable(),
  })
  .meta({ id: 'Rejection' })

export const RejectionPage = z
  .object({
    items: z.array(RejectionEntry),
    next_cursor: z.string().nullable().meta({ description: 'Where the next page begins; null at the end.' }),
    groups: z
      .array(
        z.object({
          target: table,
          column: z.string().nullable(),
          code: z.string(),
          status,
          reason: z.string().meta({ description: 'Of one of the rows.' }),
          rows: z.int(),
        }),
      )
      .meta({ description: 'All that the filter lets through, by what caused them; the largest first.' }),
  })
  .meta({ id: 'RejectionPage' })

const names = REJECTION_STATUSES.join('|')

export const RejectionQuery = z.strictObject({
  table: z.string().min(1).max(500).optional().meta({ description: 'The table of the target: schema.name.' }),
  status: z
    .string()
    .regex(new RegExp(`^(${names})(,(${names})){0,4}$`), {
      error: `status is one or several of ${REJECTION_STATUSES.join(', ')}, with commas between.`,
    })
    .optional(),
  column: z.string().min(1).max(200).optional(),
  code: z.string().min(1).max(100).optional(),
  key: z
    .string()
    .min(1)
    .max(4_000)
    .optional()
    .meta({ description: 'The key of the row; of several columns a JSON list of texts.' }),
  limit,
  cursor,
})

export const EditInput = z
  .strictObject({
    values: z
      .record(z.string().min(1).max(200), z.string().max(500_000).nullable())
      .refine((values) => Object.keys(values).length > 0, 'Give a value for one field at least.')
      .meta({ description: 'Fields of the target as text, as the server would write them; null for NULL.' }),
  })
  .meta({ id: 'RejectionEdit' })

export const ReplayInput = z
  .strictObject({
    rejections: z
      .array(idOf('rejection'))
      .min(1)
      .max(10_000)
      .optional()
      .meta({ description: 'Only these; without it, all that are open or edited.' }),
    ...CONSENT_FIELDS,
  })
  .meta({ id: 'ReplayRequest' })
