import { z } from 'zod'
import { tableName, time } from '#api/contract/fields.ts'
import { idOrName } from '#api/contract/ids.ts'
import { cursor, limit, page, sort, span } from '#api/contract/paging.ts'
import { AUDIT_LEVELS } from '#model/config-document.ts'
import { Job } from './jobs.ts'

const table = z.object({ schema: z.string(), name: z.string() })
const operation = z.enum(['insert', 'update', 'delete'])
const cells = z
  .array(z.object({ column: z.string(), value: z.string().nullable() }))
  .nullable()
  .meta({
    description:
      'Cells as text, bytes as \\x and hex; null where there is no row, rows are not kept, or not for the caller.',
  })
const valuesShown = z.boolean().meta({ description: 'Values of rows are for operators and admins.' })

const AuditEvent = z
  .object({
    seq: z.int().meta({ description: 'The place in the log: 1, 2, 3 … without gaps.' }),
    at: time,
    actor: z.string().meta({ description: 'The id of a key, or system, cli or nobody.' }),
    actor_name: z.string(),
    address: z.string().nullable().meta({ description: 'Where the request came from; for admins.' }),
    action: z.string(),
    subject: z.string().nullable(),
    data: z.unknown(),
    previous_hash: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEvent' })

export const AuditPage = page(AuditEvent, 'AuditPage')

const word = (about: string) => z.string().min(1).max(100).optional().meta({ description: about })

const FILTER = {
  action: word('An action such as job.start, or all of one noun: job.'),
  actor: word('The id or the name of who did it.'),
  subject: word('The id of what it was done to.'),
  job: word('The id of a job: its events, and those of rows that it set aside.'),
  config: word('The id or the name of a sync config: its events, and those of its jobs.'),
  datasource: word('The id or the name of a datasource: its events, and those of its configs and jobs.'),
  search: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .meta({ description: 'A part of the action, the subject or the name of who did it, in any case.' }),
  ...span,
}

export const AuditQuery = z.strictObject({ ...FILTER, sort: sort(['seq'], '-seq'), limit, cursor })

export const StatsQuery = z.strictObject(FILTER)

export const AuditStats = z
  .object({
    events: z.int(),
    actions: z.array(z.object({ action: z.string(), events: z.int() })),
    actors: z.array(z.object({ actor: z.string(), name: z.string(), events: z.int() })),
    days: z.array(z.object({ day: z.string(), events: z.int() })).meta({ description: 'Days in UTC.' }),
    written: z
      .array(
        z.object({
          datasource_id: z.string(),
          table,
          inserted: z.int(),
          updated: z.int(),
          deleted: z.int(),
          loaded: z.int().meta({ description: 'Of the inserted rows, those that came by loads of whole tables.' }),
          batches: z.int(),
        }),
      )
      .meta({ description: 'Rows that jobs wrote in the span of time, as far as their history is kept.' }),
  })
  .meta({ id: 'AuditStats' })

export const VerifyQuery = z.strictObject({
  noted: z
    .string()
    .regex(/^\d{1,15}:[0-9a-f]{64}$/, { error: 'noted is the head of an earlier check: SEQ:HASH.' })
    .optional()
    .meta({ description: 'head of an earlier check: that event must still be there.' }),
})

export const AuditCheck = z
  .object({
    whole: z.boolean(),
    events: z.int().meta({ description: 'Events that were checked.' }),
    cut_through: z
      .int()
      .nullable()
      .meta({ description: 'Events up to this one were cut off by the retention, as the log says.' }),
    head: z
      .string()
      .nullable()
      .meta({ description: 'The last event as SEQ:HASH: note it elsewhere, and give it as noted the next time.' }),
    damage: z
      .object({
        seq: z.int(),
        kind: z.enum(['missing', 'changed', 'unlinked', 'cut', 'noted']),
        message: z.string(),
      })
      .nullable()
      .meta({ description: 'The first event that does not fit, and what is wrong.' }),
  })
  .meta({ id: 'AuditCheck' })

const CHANGE = {
  job_id: z.string(),
  at: time.meta({ description: 'When the batch was told of, shortly before it was committed.' }),
  table,
  batch: z.int().meta({ description: 'The number of the batch in the target.' }),
  kind: z.enum(['apply', 'patch', 'load']).meta({
    description: 'patch: completes rows that the job wrote before; load: rows that came at once, without their keys.',
  }),
  rows: z.int().meta({ description: 'More than one only where single rows are not told.' }),
  op: operation.nullable().meta({ description: 'Null where it cannot be read.' }),
  key_columns: z.array(z.string()),
  key: z.array(z.string().nullable()).nullable(),
  before: cells,
  after: cells,
  note: z.string().nullable(),
}

const WrittenChange = z.object(CHANGE).meta({ id: 'WrittenChange' })

const CHANGES = {
  items: z.array(WrittenChange),
  values_shown: valuesShown,
  next_cursor: z.string().nullable().meta({ description: 'Where the next page begins; null at the end.' }),
}

export const ChangePage = z.object(CHANGES).meta({ id: 'WrittenChangePage' })

const key = z
  .string()
  .min(1)
  .max(4_000)
  .meta({ description: 'The key of a row; of several columns a JSON list of texts.' })

const CHANGE_FILTER = {
  table: tableName.optional().meta({ description: 'The table of the target: schema.name.' }),
  op: operation.optional(),
  key: key.optional(),
  limit,
  cursor,
}

export const ChangeQuery = z.strictObject({
  ...CHANGE_FILTER,
  sort: z
    .enum(['seq', '-seq'])
    .optional()
    .meta({ description: 'In the order in which they were written, or (-seq) the newest first. Default seq.' }),
})

export const JobAuditQuery = z.strictObject(CHANGE_FILTER)

export const JobAudit = z
  .object({
    job: Job,
    audit_level: z.enum(AUDIT_LEVELS),
    started_by: z.string().nullable(),
    events: z.array(AuditEvent).meta({ description: 'The oldest first, on the first page alone.' }),
    more_events: z.boolean().meta({ description: 'There are more events than shown: see /audit with job.' }),
    changes: ChangePage,
  })
  .meta({ id: 'JobAudit' })

export const ReportQuery = z.strictObject({
  format: z.enum(['json', 'csv', 'html']).optional().meta({ description: 'Default json.' }),
})

/** It is written out piece by piece: no schema sees the whole. */
const whole = { schema: z.unknown().meta({ description: 'See docs/audit.md.' }) }

export const Report = {
  description: 'The report.',
  content: {
    'application/json': whole,
    'text/csv': whole,
    'text/html': whole,
  },
}

const MOST_OF_A_KEY = 100

export const KeyQuery = z.strictObject({
  config: idOrName.optional().meta({ description: 'The id or the name of a sync config. Either this or datasource.' }),
  datasource: idOrName
    .optional()
    .meta({ description: 'The id or the name of a target, for what all configs wrote there. Either this or config.' }),
  table: tableName.meta({ description: 'The table of the target: schema.name.' }),
  key,
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, { error: `limit is a number from 1 to ${MOST_OF_A_KEY}.` })
    .optional()
    .meta({ description: `Entries in a page: 1 to ${MOST_OF_A_KEY}, default 20.` }),
  cursor,
})

const byJob = {
  job_status: z.string().nullable().meta({ description: 'Null where the job is not kept any more.' }),
  started_by: z.string().nullable().meta({ description: 'The name of who started it.' }),
  config_id: z.string().nullable(),
}

export const KeyHistory = z
  .object({
    items: z.array(z.object({ ...CHANGE, ...byJob })).meta({ description: 'The newest first.' }),
    loads: z
      .array(z.object({ job_id: z.string(), at: time, rows: z.int(), ...byJob }))
      .meta({ description: 'The last loads of the whole table, by which the row may have come; on the first page.' }),
    values_shown: valuesShown,
    next_cursor: CHANGES.next_cursor,
  })
  .meta({ id: 'KeyHistory' })
