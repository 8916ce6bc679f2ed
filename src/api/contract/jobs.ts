import { z } from 'zod'
import { CopyAsked, DrillAsked, ExportAsked, ImportAsked } from '#api/contract/asked.ts'
import { confirm, tableName, time } from '#api/contract/fields.ts'
import { idOrName } from '#api/contract/ids.ts'
import { PoliciesInput } from './config-input.ts'
import { cursor, limit, page, sort, span } from '#api/contract/paging.ts'
import { AUDIT_LEVELS, COMMIT_MODES } from '#model/config-document.ts'
import { JOB_KINDS, JOB_STATUSES, STATUS_MEANING } from '#model/job.ts'
import { DIRECTIONS } from '#model/sync-config.ts'

const approval = z.int().min(0).max(Number.MAX_SAFE_INTEGER).nullable().optional()

/** What lets a run write more than it would by itself. */
export const CONSENT_FIELDS = {
  allow_protected_write: z
    .boolean()
    .optional()
    .meta({ description: 'Write although the environment of the target is protected; needs confirm.' }),
  allow_protected_source_write: z.boolean().optional().meta({
    description:
      'Two ways: write although the environment of the source is protected; needs confirm, the name of the target.',
  }),
  approve_deletes: approval.meta({ description: 'The very number of deletes that a brake named; needs confirm.' }),
  approve_overwrites: approval.meta({
    description: 'The very number of overwrites that a brake named; needs confirm.',
  }),
  confirm,
}

/** What a sync config can be run as. */
const RUN_KINDS = ['sync', 'verify', 'validate'] as const

const RUN_FIELDS = {
  dry_run: z.boolean().optional().meta({ description: 'Find what would be done, and write nothing.' }),
  tables: z
    .array(tableName)
    .min(1)
    .max(10_000)
    .nullable()
    .optional()
    .meta({ description: 'Only these tables of the config, by their names in the source.' }),
  ...CONSENT_FIELDS,
}

export const RunInput = z
  .strictObject({
    mode: z.enum(['incremental', 'full']).optional().meta({ description: 'Default incremental.' }),
    kind: z.enum(RUN_KINDS).optional().meta({
      description:
        'verify compares, validate judges the columns and counts what does not fit; neither writes. Default sync.',
    }),
    ...RUN_FIELDS,
  })
  .meta({ id: 'RunRequest' })

export const ValidateInput = z.strictObject({ tables: RUN_FIELDS.tables }).meta({ id: 'ValidateRequest' })

export const TableValidation = z
  .object({
    source: z.string(),
    target: z.string(),
    ready: z.boolean().meta({ description: 'A run would carry the table, apart from the rows that do not fit.' }),
    problems: z.array(z.object({ code: z.string(), message: z.string() })),
    fields: z.array(
      z.object({
        columns: z.array(z.string()),
        source_type: z.string(),
        target: z.string(),
        target_type: z.string(),
        verdict: z.enum(['lossless', 'checked', 'impossible']),
        reason: z.string().nullable(),
        next_step: z.string().nullable(),
        way: z
          .enum(DIRECTIONS)
          .nullable()
          .meta({ description: 'Whether what the target changes comes back, where the table is synced two ways.' }),
        one_way: z.string().nullable().meta({ description: 'Why it does not come back.' }),
        misfits: z
          .object({
            rows: z.int(),
            keys: z
              .array(z.array(z.string().nullable()))
              .meta({ description: 'Of some of these rows; none for a viewer, who does not see rows.' }),
          })
          .nullable(),
      }),
    ),
    unmapped: z.object({
      source: z.array(z.string()),
      target: z.array(z.object({ column: z.string(), filled_by: z.string() })),
    }),
    counted: z
      .object({ rows: z.int(), partial: z.boolean().meta({ description: 'The time was over before the table was.' }) })
      .nullable(),
  })
  .meta({ id: 'TableValidation' })

const connection = z.string().min(1).max(2_000)

export const RunAnyInput = z
  .strictObject({
    config_id: idOrName.optional().meta({ description: 'A saved sync config, by id or name.' }),
    source_connection: connection
      .optional()
      .meta({ description: 'In place of config_id: a connection URL, or the id or name of a datasource.' }),
    target_connection: connection.optional().meta({ description: 'As source_connection.' }),
    config: PoliciesInput.optional().meta({ description: 'Tables and policies of a run between two connections.' }),
    ...RUN_FIELDS,
  })
  .refine(({ config_id: id, config, source_connection: from, target_connection: to }) => {
    return id === undefined ? from !== undefined && to !== undefined : !from && !to && !config
  }, 'Give config_id, or source_connection and target_connection (with config where wanted), not both.')
  .meta({ id: 'RunAnyRequest' })

export type RunFields = Pick<z.infer<typeof RunInput>, keyof typeof RUN_FIELDS>

export const ConsentInput = z.strictObject(CONSENT_FIELDS).meta({ id: 'ConsentRequest' })

/** Which version of its sync config a job is done again with. */
export const RETRY_CONFIGS = ['current', 'original'] as const

export const RetryInput = z
  .strictObject({
    config: z.enum(RETRY_CONFIGS).optional().meta({
      description:
        'current: the sync config as it is now. original: as it was when the job was asked for, between the databases of that time. Default current.',
    }),
    ...CONSENT_FIELDS,
  })
  .meta({ id: 'RetryRequest' })

export const NoInput = z.strictObject({}).meta({ id: 'NoFields', description: 'Nothing.' })

const Counts = z
  .object({
    read: z.number(),
    inserted: z.number(),
    updated: z.number(),
    deleted: z.number(),
    unchanged: z.number(),
    skipped: z.number(),
    conflicted: z.number(),
    rejected: z.number(),
  })
  .meta({
    id: 'Counts',
    description:
      'read is the sum of all the others. Of a job that has not succeeded: the rows that it is known to have written until now.',
  })

const Progress = z
  .object({
    phase: z.string(),
    rows: z.number(),
    bytes: z.number(),
    percent: z.number().nullable(),
    estimated: z.boolean().meta({ description: 'Percent and time left rest on statistics.' }),
    rows_per_second: z.number(),
    bytes_per_second: z.number(),
    seconds_left: z.object({ low: z.number(), high: z.number() }).nullable(),
    tables: z.array(
      z.object({
        table: z.object({ schema: z.string(), name: z.string() }),
        phase: z.string(),
        state: z.enum(['waiting', 'running', 'done']),
        rows: z.number(),
        bytes: z.number(),
        total: z.number().nullable(),
        estimated: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'Progress' })

const status = z.enum(JOB_STATUSES).meta({
  description: JOB_STATUSES.map((name) => `${name}: ${STATUS_MEANING[name]}.`).join(' '),
})

export const Job = z
  .object({
    id: z.string(),
    kind: z.enum(JOB_KINDS),
    status,
    config_id: z.string().nullable(),
    config_version: z.int().nullable(),
    source_datasource_id: z.string(),
    target_datasource_id: z.string(),
    mode: z.enum(['incremental', 'full']),
    dry_run: z.boolean(),
    direction: z.enum(DIRECTIONS).meta({
      description: 'Of its own policies, whatever its sync config has become: in two ways the source is written too.',
    }),
    tables: z.array(z.string()).nullable(),
    replays: z
      .string()
      .nullable()
      .meta({ description: 'The job whose rejected rows this one tries again, and no others.' }),
    commit_mode: z.enum(COMMIT_MODES),
    audit_level: z.enum(AUDIT_LEVELS),
    approves: z.string().nullable().meta({ description: 'The dry run whose changes this one applies, and no others.' }),
    reverts: z.string().nullable().meta({ description: 'The job that this one undoes.' }),
    export: ExportAsked.nullable().meta({ description: 'Of an export: what was asked for.' }),
    import: ImportAsked.nullable().meta({ description: 'Of an import: what was asked for.' }),
    copy: CopyAsked.nullable().meta({ description: 'Of a copy: what was asked for.' }),
    drill: DrillAsked.nullable().meta({ description: 'Of a trial of a dump: what was asked for.' }),
    requested_by: z.string(),
    started_by: z.string().nullable().meta({ description: 'The name of who asked for it, as the audit log knows it.' }),
    stopping_for: z.enum(['stop', 'cancel']).nullable(),
    attempt: z.int(),
    not_before: time.nullable().meta({ description: 'A failed attempt is tried again after this.' }),
    created_at: time,
    started_at: time.nullable(),
    finished_at: time.nullable(),
    updated_at: time,
    progress: Progress.nullable(),
    counts: Counts.nullable(),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string(), retry: z.string() }).nullable(),
    last_event: z.int(),
    links: z.object({
      self: z.string(),
      events: z.string(),
      log: z.string(),
      receipt: z.string(),
      changes: z.string().nullable().meta({ description: 'Null where changes are committed as they go.' }),
    }),
  })
  .meta({ id: 'Job' })

export const StartedJob = z
  .object({ job_id: z.string(), status: z.enum(JOB_STATUSES), status_url: z.string(), events_url: z.string() })
  .meta({ id: 'StartedJob' })

export const JobPage = page(Job, 'JobPage')

export const JobListQuery = z.strictObject({
  status: z
    .string()
    .regex(new RegExp(`^(${JOB_STATUSES.join('|')})(,(${JOB_STATUSES.join('|')})){0,8}$`), {
      error: `status is one or several of ${JOB_STATUSES.join(', ')}, with commas between.`,
    })
    .optional(),
  kind: z.enum(JOB_KINDS).optional(),
  config_id: z.string().min(1).max(100).optional(),
  datasource: idOrName.optional().meta({ description: 'Only jobs that read or write this datasource.' }),
  ...span,
  sort: sort(['created_at'], '-created_at'),
  limit,
  cursor,
})

export const Receipt = z
  .object({
    job_id: z.string(),
    kind: z.enum(JOB_KINDS),
    status: z.enum(JOB_STATUSES),
    counts: Counts.nullable(),
    receipt: z.unknown().meta({ description: 'What was done and proved; for a dry run, what would be.' }),
  })
  .meta({ id: 'Receipt' })

const eventNumber = (name: string) => z.string().regex(/^\d{1,15}$/, { error: `${name} is the number of an event.` })

export const LogQuery = z.strictObject({
  after: eventNumber('after')
    .optional()
    .meta({ description: 'Only what happened after the event of this number; a cursor goes before it.' }),
  limit,
  cursor,
})

export const JobLogPage = page(
  z.object({ seq: z.int(), at: time, type: z.string(), data: z.unknown() }).meta({ id: 'JobEvent' }),
  'JobLogPage',
)

export const EventsQuery = z.strictObject({
  after: eventNumber('after')
    .optional()
    .meta({ description: 'The number of the last event that is known; Last-Event-ID says the same.' }),
})

export const EventsHeaders = z.looseObject({
  'last-event-id': eventNumber('Last-Event-ID').optional(),
})
