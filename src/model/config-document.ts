import { z } from 'zod'
import { STAGING_KINDS, type StagingKind } from './change-set.ts'
import { CONFLICT_STRATEGIES, FIELD_STRATEGIES } from './conflict.ts'
import { DETECTION_STRATEGIES } from './detection.ts'
import { FieldDocument, toFieldMapping } from './field-document.ts'
import { ScheduleFields } from './schedule-document.ts'
import {
  BASELINES,
  DEFAULT_POLICIES as D,
  DIRECTIONS,
  NO_OWN_CONFLICT,
  NO_OWN_DETECTION,
  type Policies,
} from './sync-config.ts'
import {
  asRef,
  BadName,
  formatPattern,
  formatTableName,
  parsePattern,
  parseTableName,
  type TableChoice,
} from './table-pattern.ts'
import { toZeroDates, ZERO_DATES } from './zero-dates.ts'

/**
 * The document of a sync config: one object that the API takes and gives, that files under version control hold, and
 * from which the JSON Schema is made. What is left out has its default, and is left out of the canonical form too.
 */

export const COMMIT_MODES = ['streaming', 'staged', 'approval'] as const
export const AUDIT_LEVELS = ['none', 'summary', 'standard', 'detailed'] as const

/** How a job goes about it, beside what the engine is told. */
export interface Conduct {
  readonly commitMode: (typeof COMMIT_MODES)[number]
  readonly staging: StagingKind
  readonly approvalHours: number
  readonly auditLevel: (typeof AUDIT_LEVELS)[number]
}

const CONDUCT: Conduct = { commitMode: 'streaming', staging: 'embedded', approvalHours: 72, auditLevel: 'standard' }

const WEBHOOK_TIMEOUT_HOURS = 24

/** Names of datasources and sync configs, fit for a command line and a path. */
export const NAME = z
  .string()
  .regex(/^[\p{L}\p{N}](?:[\p{L}\p{N} ._-]{0,98}[\p{L}\p{N}])?$/u, {
    error:
      'A name has 1 to 100 letters, digits, spaces, dots, dashes or underscores, and begins and ends with a letter or digit.',
  })
  .meta({ description: 'A name, unique among its kind.', examples: ['shop to analytics'] })

const tableName = readable((text) => formatTableName(parseTableName(text))).meta({
  description:
    'A table as the catalogue stores its name: schema.table, or table for one in public. A part that holds one of . : = , * " goes into double quotes.',
  examples: ['orders', 'shop.orders'],
})

const tablePattern = readable((text) => formatPattern(parsePattern(text))).meta({
  description: 'As the name of a table; * stands for any characters.',
  examples: ['shop.*', 'log_*'],
})

const column = z.string().min(1).max(200).meta({ description: 'A column as the catalogue stores its name.' })
const columns = z.array(column).min(1).max(1_600)

const conflictStrategy = z.enum(CONFLICT_STRATEGIES)
const detectionStrategy = z.enum(DETECTION_STRATEGIES)

const Table = z
  .strictObject({
    source: tablePattern.meta({
      description:
        'As the name of a table; * stands for any characters. With a query, the name that the query goes by.',
      examples: ['shop.*', 'log_*'],
    }),
    query: z
      .string()
      .min(1)
      .max(100_000)
      .optional()
      .meta({ description: 'A SELECT of the source that stands for the table; it needs a key.' }),
    target: tableName.optional().meta({ description: 'Where the table has another name in the target.' }),
    key: columns
      .optional()
      .meta({ description: 'Columns of the source that identify a row; else the primary key, else a unique index.' }),
    columns: columns.optional().meta({ description: 'Only these columns of the source.' }),
    exclude: columns.optional().meta({ description: 'Not these columns of the source.' }),
    rename: z
      .record(column, column)
      .optional()
      .meta({ description: 'Source column → target column, where the names differ.' }),
    filter: z
      .string()
      .min(1)
      .max(4_000)
      .optional()
      .meta({
        description:
          'A CEL condition on the columns of the source: rows that do not meet it do not exist for the sync.',
        examples: ["country == 'NO' && total > 100"],
      }),
    filter_exit: z.enum(['ignore', 'delete']).optional().meta({
      description: 'What becomes of the row of the target when its source row leaves the filter. Default ignore.',
    }),
    detection_strategy: detectionStrategy.optional().meta({ description: 'For this table alone.' }),
    cursor_column: column.optional().meta({ description: 'For this table alone.' }),
    conflict_strategy: conflictStrategy.optional().meta({ description: 'For this table alone.' }),
    newer_by: column.optional().meta({ description: 'For this table alone.' }),
    conflict_fields: z
      .record(column, z.enum(FIELD_STRATEGIES))
      .optional()
      .meta({ description: 'Column of the target → who has the last word on it in a merge. Default manual.' }),
    zero_dates: ZERO_DATES,
    field_mappings: z.array(FieldDocument).min(1).max(1_600).optional().meta({
      description: 'Every column of the target that is written, each by itself, in place of columns and rename.',
    }),
  })
  .superRefine((table, context) => {
    const problem = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
    const one = isOneTable(table.source)
    for (const name of ['query', 'filter', 'zero_dates', 'field_mappings'] as const) {
      if (table[name] !== undefined && !one) problem(name, `${name} is for one table, and the source is a pattern.`)
    }
    if (table.query !== undefined && table.target === undefined) problem('query', 'A query needs a target.')
    if (table.filter_exit !== undefined && table.filter === undefined) problem('filter_exit', 'There is no filter.')
    const { field_mappings: fields } = table
    if (fields === undefined) return
    for (const name of ['columns', 'exclude', 'rename'] as const) {
      if (table[name] !== undefined) problem(name, `field_mappings names every field: ${name} has no place beside it.`)
    }
    const twice = fields.findIndex((field, i) => fields.findIndex(({ target }) => target === field.target) < i)
    if (twice < 0) return
    const path = ['field_mappings', twice, 'target']
    context.addIssue({ code: 'custom', path, message: `${fields[twice]?.target} is mapped twice.` })
  })
  .meta({ id: 'TableMapping', description: 'One table of the source, or a pattern of tables, and where it goes.' })

const POLICY_FIELDS = {
  direction: z
    .enum(DIRECTIONS)
    .optional()
    .meta({
      description: `Whether changes of the source reach the target, or those of either side the other. Default ${D.direction}.`,
    }),
  detection_strategy: detectionStrategy.optional().meta({
    description: `How changes are found: by digests of row ranges (hash), row by row (full), value by value (content), by keys alone (primary_key: no updates), or by a column that says what was written since (timestamp, rowversion: deletes by a pass of their own). Default ${D.detectionStrategy}.`,
  }),
  cursor_column: column.optional().meta({
    description: 'The column of the source, set by every insert and update, that timestamp and rowversion go by.',
  }),
  cursor_window_seconds: z
    .int()
    .min(1)
    .max(604_800)
    .optional()
    .meta({
      description: `How long a transaction of the source is taken to last where the login does not see the sessions of others: so much is read again. Default ${D.cursorWindowSeconds}.`,
    }),
  delete_check_hours: z
    .int()
    .min(0)
    .max(8_760)
    .optional()
    .meta({
      description: `With timestamp and rowversion: how often keys are compared to find deleted rows, where they are to be deleted; 0 is each run. Default ${D.deleteCheckHours}.`,
    }),
  conflict_strategy: conflictStrategy.optional().meta({
    description: `What becomes of a row that both sides changed since they were last in step. With any but source_wins, what the target alone changed stays there. Default ${D.conflictStrategy}.`,
  }),
  newer_by: column.optional().meta({
    description: 'The column of the target, a time or a version, by which newer_wins tells which row is newer.',
  }),
  tie_break: z
    .enum(['source', 'target'])
    .optional()
    .meta({
      description: `Whose row is taken by newer_wins where both are as new. Default ${D.tieBreak}.`,
    }),
  webhook_url: z
    .string()
    .max(2_000)
    .refine(isWebhookUrl, 'This is no URL of an endpoint: https://…, without a user, a password and a fragment.')
    .optional()
    .meta({
      description:
        'For conflict_strategy webhook: where both rows are posted to, signed. Whoever may see the sync config sees it.',
      examples: ['https://rules.example.com/conflicts'],
    }),
  webhook_timeout_hours: z
    .int()
    .min(1)
    .max(720)
    .optional()
    .meta({
      description: `Hours in which the webhook is asked again and may answer; then somebody has to decide. Default ${WEBHOOK_TIMEOUT_HOURS}.`,
    }),
  delete_policy: z
    .enum(['ignore', 'delete'])
    .optional()
    .meta({ description: `What becomes of rows that the source no longer has. Default ${D.deletePolicy}.` }),
  delete_scope: z
    .enum(['owned', 'mirror'])
    .optional()
    .meta({ description: `Which rows may be deleted: those that this sync wrote, or all. Default ${D.deleteScope}.` }),
  max_delete_percent: z
    .number()
    .min(0)
    .max(100)
    .optional()
    .meta({
      description: `The brake: percent of a table that a run may delete without being asked. Default ${D.maxDeletePercent}.`,
    }),
  max_overwrite_percent: z.number().min(0).max(100).optional().meta({
    description: 'Percent of a table that a run may overwrite without being asked; 10 on first contact where not set.',
  }),
  baseline: z
    .enum(BASELINES)
    .optional()
    .meta({
      description: `What the target remembers of each row: what the policies need (auto), fingerprints, the values that both sides had last as well (images: they are shown with a conflict, and a sum needs them), or nothing where no policy needs it (none). Default ${D.baseline}.`,
    }),
  commit_mode: z
    .enum(COMMIT_MODES)
    .optional()
    .meta({
      description: `When changes reach the target: batch by batch as they go (streaming), all in one transaction once nothing is left to decide (staged), or that once somebody has approved them (approval). Default ${CONDUCT.commitMode}.`,
    }),
  staging: z
    .enum(STAGING_KINDS)
    .optional()
    .meta({
      description: `Where changes are kept that are not committed as they go: by ourselves, or in the Redis of the settings. Default ${CONDUCT.staging}.`,
    }),
  approval_hours: z
    .int()
    .min(1)
    .max(720)
    .optional()
    .meta({
      description: `Hours that changes wait for an approval or a decision; then the job fails, and nothing of them is written. Default ${CONDUCT.approvalHours}.`,
    }),
  audit_level: z
    .enum(AUDIT_LEVELS)
    .optional()
    .meta({
      description: `What is kept of a run: nothing, what it came to, each change by operation and key (standard), or each row before and after as well (detailed), which undoing needs. Default ${CONDUCT.auditLevel}.`,
    }),
  schema_policy: z.enum(['strict', 'add_columns', 'create']).optional().meta({
    description:
      'What becomes of what the target lacks: the run stops with the difference (strict), columns are added that the source has (add_columns), and missing tables are made as well (create). Fields that are mapped one by one add nothing. Default add_columns.',
  }),
  on_reject: z.enum(['quarantine', 'stop']).optional().meta({
    description: 'What a row does that the target refuses: it is set aside, or stops the run. Default quarantine.',
  }),
  max_rejections: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .meta({ description: `Rows that may be set aside before the run stops. Default ${D.maxRejections}.` }),
  zero_dates: ZERO_DATES,
  batch_size: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .meta({ description: `Rows in a write batch. Default ${D.batchSize}.` }),
  max_parallel_tables: z.int().min(1).max(32).optional().meta({ description: 'Tables under way at once. Default 1.' }),
  max_parallel_operations: z
    .int()
    .min(1)
    .max(32)
    .optional()
    .meta({ description: 'Pieces of one table under way at once. Default 5.' }),
  verify_after: z
    .enum(['auto', 'full', 'changed', 'off'])
    .optional()
    .meta({ description: `How the result is proved. Default ${D.verifyAfter}.` }),
}

/** What a run does, without whose data it moves: also the `config` of a run that names its connections itself. */
export const ConfigPolicies = z
  .strictObject({
    tables: z
      .array(Table)
      .min(1)
      .max(10_000)
      .optional()
      .meta({ description: 'Default: every table that both sides have.' }),
    exclude_tables: z
      .array(tablePattern)
      .max(10_000)
      .optional()
      .meta({ description: 'Tables that a pattern would pick, and that stay out.' }),
    ...POLICY_FIELDS,
  })
  .meta({ id: 'SyncPolicies' })

const datasource = z.string().min(1).max(100).meta({ description: 'The id or the name of a datasource.' })

export const ConfigDocument = z
  .strictObject({
    name: NAME,
    source_datasource_id: datasource,
    target_datasource_id: datasource,
    ...ScheduleFields.shape,
    ...ConfigPolicies.shape,
  })
  .meta({ id: 'SyncConfigDocument', description: 'What flows from one source to one target, under which policies.' })

export type ConfigDocument = z.infer<typeof ConfigDocument>
export type ConfigPolicies = z.infer<typeof ConfigPolicies>

/** Names of the fields as they were called elsewhere, for input that was written for that. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  master_datasource_id: 'source_datasource_id',
  slave_datasource_id: 'target_datasource_id',
}

/** Takes the other names of fields for the own ones; a document that has both is left as it is, and refused. */
export function acceptOtherNames(document: unknown): unknown {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return document
  return Object.fromEntries(
    Object.entries(document).map(([name, value]) => {
      const own = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name] : undefined
      return [own === undefined || Object.hasOwn(document, own) ? name : own, value]
    }),
  )
}

/** The fields in the order of the schema: the same document always gives the same text. */
export function canonicalDocument<T extends ConfigPolicies>(schema: z.ZodObject, document: T): T {
  const fields: Readonly<Record<string, unknown>> = document
  const order = Object.keys(schema.shape).filter((name) => fields[name] !== undefined)
  return Object.fromEntries(order.map((name) => [name, fields[name]])) as T
}

/** The policies of a document: not its name, nor whose data it moves, nor when. */
export function policiesOf(document: ConfigDocument): ConfigPolicies {
  return canonicalDocument<ConfigPolicies>(ConfigPolicies, document)
}

/** Used where a document names none. */
const PARALLEL_TABLES = 1
const PARALLEL_OPERATIONS = 5

/** What the engine is told: policies with their defaults. */
export function toPolicies(document: ConfigPolicies): Policies & { readonly onReject: 'quarantine' | 'stop' } {
  const tables = document.max_parallel_tables ?? PARALLEL_TABLES
  const pieces = document.max_parallel_operations ?? PARALLEL_OPERATIONS
  return {
    detectionStrategy: document.detection_strategy ?? D.detectionStrategy,
    cursorColumn: document.cursor_column ?? D.cursorColumn,
    cursorWindowSeconds: document.cursor_window_seconds ?? D.cursorWindowSeconds,
    deleteCheckHours: document.delete_check_hours ?? D.deleteCheckHours,
    direction: document.direction ?? D.direction,
    conflictStrategy: document.conflict_strategy ?? D.conflictStrategy,
    newerBy: document.newer_by ?? D.newerBy,
    tieBreak: document.tie_break ?? D.tieBreak,
    deletePolicy: document.delete_policy ?? D.deletePolicy,
    deleteScope: document.delete_scope ?? D.deleteScope,
    maxDeletePercent: document.max_delete_percent ?? D.maxDeletePercent,
    approvedDeletes: null,
    maxOverwritePercent: document.max_overwrite_percent ?? D.maxOverwritePercent,
    approvedOverwrites: null,
    baseline: document.baseline ?? D.baseline,
    verifyAfter: document.verify_after ?? D.verifyAfter,
    create: document.schema_policy === 'create',
    newColumns: document.schema_policy === 'strict' ? 'stop' : 'add',
    batchSize: document.batch_size ?? D.batchSize,
    parallel: tables * pieces,
    parallelTables: tables,
    parallelPieces: pieces,
    maxRejections: document.on_reject === 'stop' ? 0 : (document.max_rejections ?? D.maxRejections),
    onReject: document.on_reject ?? 'quarantine',
    zeroDates: toZeroDates(document.zero_dates) ?? D.zeroDates,
  }
}

/** How a job is to go about it, with the defaults. */
export function toConduct(document: ConfigPolicies): Conduct {
  return {
    commitMode: document.commit_mode ?? CONDUCT.commitMode,
    staging: document.staging ?? CONDUCT.staging,
    approvalHours: document.approval_hours ?? CONDUCT.approvalHours,
    auditLevel: document.audit_level ?? CONDUCT.auditLevel,
  }
}

/** Who is asked about conflicts; `url` null: nobody. */
export function toWebhook(document: ConfigPolicies): { readonly url: string | null; readonly timeoutHours: number } {
  return {
    url: document.webhook_url ?? null,
    timeoutHours: document.webhook_timeout_hours ?? WEBHOOK_TIMEOUT_HOURS,
  }
}

/** Which tables a document picks. */
export function toTableChoice({ tables = [], exclude_tables: exclude = [] }: ConfigPolicies): TableChoice {
  return {
    include: tables.map(({ source, target, query }) => ({
      source: parsePattern(source),
      target: target === undefined ? null : parseTableName(target),
      query: query ?? null,
    })),
    exclude: exclude.map(parsePattern),
    options: tables.flatMap((each) => {
      const {
        source,
        key,
        columns: only,
        exclude: not,
        rename,
        filter,
        filter_exit: exit,
        field_mappings: fields,
        conflict_strategy: strategy,
        newer_by: newerBy,
        conflict_fields: conflictFields,
        detection_strategy: detection,
        cursor_column: cursorColumn,
        zero_dates: zeros,
      } = each
      const table = asRef(parsePattern(source))
      const decided = strategy ?? newerBy ?? conflictFields
      const looked = detection ?? cursorColumn
      const said = key ?? only ?? not ?? rename ?? filter ?? fields ?? decided ?? looked ?? zeros
      if (table === null || said === undefined) return []
      return [
        {
          table,
          filter: filter ?? null,
          filterExit: exit ?? 'ignore',
          fields: fields?.map(toFieldMapping) ?? null,
          key: key ?? null,
          columns: only ?? null,
          exclude: not ?? [],
          rename: new Map(Object.entries(rename ?? {})),
          conflict:
            decided === undefined
              ? NO_OWN_CONFLICT
              : {
                  strategy: strategy ?? null,
                  newerBy: newerBy ?? null,
                  fields: new Map(Object.entries(conflictFields ?? {})),
                },
          detection:
            looked === undefined
              ? NO_OWN_DETECTION
              : { strategy: detection ?? null, cursorColumn: cursorColumn ?? null },
          zeroDates: toZeroDates(zeros),
        },
      ]
    }),
  }
}

function isOneTable(source: string): boolean {
  try {
    return asRef(parsePattern(source)) !== null
  } catch {
    // Whoever reads the name says what is wrong with it.
    return true
  }
}

function isWebhookUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hash } = new URL(text)
  return /^https?:$/.test(protocol) && username === '' && password === '' && hash === ''
}

/** A text that can be read; the reading gives its canonical form. */
function readable(canonical: (text: string) => string): z.ZodType<string, string> {
  return z
    .string()
    .min(1)
    .max(500)
    .superRefine((text, context) => {
      try {
        canonical(text)
      } catch (error) {
        if (!(error instanceof BadName)) throw error
        context.addIssue({ code: 'custom', message: `This is no name of a table: ${error.message}.` })
      }
    })
    .overwrite(canonicalOr)

  function canonicalOr(text: string): string {
    try {
      return canonical(text)
    } catch {
      return text
    }
  }
}
