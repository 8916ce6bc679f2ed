import { z } from 'zod'
import { tableName, time } from '#api/contract/fields.ts'
import { cursor, limit } from '#api/contract/paging.ts'
import { CHANGE_MARKS, STAGING_KINDS } from '#model/change-set.ts'
import { DDL_RISKS, DDL_STAGES } from '#model/planned-ddl.ts'
import { CONSENT_FIELDS } from './jobs.ts'

const OPS = ['insert', 'update', 'delete'] as const

/** As people name it: what no mark stands beside is planned. */
export const MARKS = ['planned', ...CHANGE_MARKS] as const

const table = z.object({ schema: z.string(), name: z.string() })
const cells = z
  .array(z.object({ column: z.string(), value: z.string().nullable() }))
  .nullable()
  .meta({ description: 'Cells as text; null where there is no such row, it is not kept, or not for the caller.' })

const mark = z.enum(MARKS).meta({
  description:
    'planned: it is applied. left: somebody wants it not to be. moved: its row was another one when it was to be applied; somebody decides. again: it is applied to the row as it is now. refused: the target refused it. in_step: the target had it already. written: the job has written it, while it waits for decisions on others.',
})

export const Change = z
  .object({
    seq: z.int().meta({ description: '1, 2, 3 … over the whole change set.' }),
    table,
    op: z.enum(OPS),
    key: z.array(z.string().nullable()),
    changed: z
      .array(z.string())
      .nullable()
      .meta({ description: 'The columns that an update changes; null where the row is too large to be kept.' }),
    before: cells,
    after: cells,
    now: cells.meta({ description: 'The row of the target as it was found, where it had moved.' }),
    large: z.boolean().meta({ description: 'The row is too large to be kept; it is read again when it is applied.' }),
    mark,
    moved: z
      .boolean()
      .meta({ description: 'Its row had moved when it was to be applied, whatever was decided since.' }),
    reason: z.string().nullable(),
    decided: z.object({ by: z.string(), at: time }).nullable(),
  })
  .meta({ id: 'Change' })

const ChangedTable = z
  .object({
    source: table,
    target: table,
    key: z.array(z.string()),
    columns: z.array(z.object({ name: z.string(), type: z.string() })),
    created: z.boolean().meta({ description: 'The table is missing, and is made when the changes are applied.' }),
    added: z.array(z.string()).meta({ description: 'Columns that the table lacks, and that are added then.' }),
    inserts: z.int(),
    updates: z.int(),
    deletes: z.int(),
    changed_columns: z
      .array(z.object({ column: z.string(), rows: z.int() }))
      .meta({ description: 'Of the updates, how many change each column.' }),
    unchanged: z.int(),
    kept: z.int().meta({ description: 'Rows of the target alone that stay.' }),
    rejected: z.int().meta({ description: 'Rows of the source that cannot be carried.' }),
    conflicts: z.int().meta({
      description: 'Rows that both sides changed and that nobody had decided on when the changes were computed.',
    }),
    marks: z.object(
      Object.fromEntries(MARKS.map((name) => [name, z.int()])) as Record<(typeof MARKS)[number], z.ZodInt>,
    ),
  })
  .meta({ id: 'ChangedTable' })

const PlannedDdl = z
  .object({
    sql: z.string().meta({ description: 'Without the semicolon at its end.' }),
    kind: z.string().meta({ description: 'What it makes: TABLE, INDEX, COLUMN, …' }),
    tables: z.array(table),
    stage: z.enum(DDL_STAGES).meta({ description: 'When it runs: before the rows are written, or after that.' }),
    risk: z.enum(DDL_RISKS).nullable().meta({
      description:
        'locks: it alters a table that is there, which nobody else reads or writes for that moment. code: it brings code along that the target runs from then on.',
    }),
  })
  .meta({ id: 'PlannedDdl' })

export const ChangeSummary = z
  .object({
    job_id: z.string().meta({ description: 'The job that the changes are kept with.' }),
    state: z.enum(['building', 'ready', 'applied', 'lost', 'expired']).meta({
      description:
        'building: they are being computed. ready: they can be looked at. Of the others only this summary is left. lost: they are computed again when the job goes on.',
    }),
    generation: z
      .string()
      .meta({ description: 'Another one each time that the changes are computed; empty before the first.' }),
    digest: z.string().nullable().meta({ description: 'SHA-256 over all changes: what an approval is for.' }),
    changes: z.int(),
    staging: z.enum(STAGING_KINDS),
    sealed_at: time.nullable(),
    position: z.string().nullable().meta({ description: 'Where the source was.' }),
    tables: z.array(ChangedTable),
    ddl: z.array(PlannedDdl).meta({
      description: "The statements that change the target's tables when the changes are applied, in their order.",
    }),
    notes: z.array(z.string()),
    stop: z
      .object({ code: z.string(), message: z.string(), hint: z.string(), retry: z.string() })
      .nullable()
      .meta({ description: 'The brake at which applying would stop: an approval has to name its number.' }),
    open: z.int().meta({ description: 'Changes whose row had moved and that nobody has decided about.' }),
    approval: z.object({ by: z.string(), name: z.string(), at: time, digest: z.string() }).nullable(),
    expires_at: time.nullable().meta({ description: 'Until when it may be approved, or decided on.' }),
    taken_by: z.string().nullable().meta({ description: 'The job that applies it, where that is another one.' }),
    values_shown: z.boolean().meta({ description: 'Values of rows are for operators and admins.' }),
  })
  .meta({ id: 'ChangeSummary' })

export const ChangePage = z
  .object({
    items: z.array(Change),
    next_cursor: z.string().nullable().meta({
      description: 'Where the next page begins; null at the end. A page of large rows may be shorter than its limit.',
    }),
    summary: ChangeSummary,
  })
  .meta({ id: 'ChangePage' })

const words = (names: readonly string[]): RegExp => {
  const one = names.join('|')
  return new RegExp(`^(${one})(,(${one})){0,${names.length - 1}}$`)
}

const FILTERS = {
  table: tableName.optional().meta({ description: 'Only changes of this table of the target.' }),
  op: z
    .string()
    .regex(words(OPS), { error: `op is one or several of ${OPS.join(', ')}, with commas between.` })
    .optional()
    .meta({ examples: ['insert,delete'] }),
  column: z.string().min(1).max(200).optional().meta({ description: 'Only updates that change this column.' }),
  key: z
    .string()
    .min(1)
    .max(4_000)
    .optional()
    .meta({ description: 'The key of the row; of several columns a JSON list of texts.' }),
  mark: z
    .string()
    .regex(words(MARKS), { error: `mark is one or several of ${MARKS.join(', ')}, with commas between.` })
    .optional()
    .meta({ examples: ['planned,again'] }),
}

export const ChangeQuery = z.strictObject({ ...FILTERS, limit, cursor })

export const DOWNLOAD_FORMATS = ['json', 'csv', 'sql'] as const

export const DownloadQuery = z.strictObject({
  format: z.enum(DOWNLOAD_FORMATS).optional().meta({
    description:
      'Default json. csv has a line per cell, and an apostrophe before what a spreadsheet would take for a formula. sql makes the changes that are to be applied, unless mark asks for others.',
  }),
  ...FILTERS,
})

const Filter = z
  .strictObject(FILTERS)
  .meta({ id: 'ChangeFilter', description: 'All of what is named; {} is all changes.' })

export type ChangeFilters = z.infer<typeof Filter>

/** A list of texts as JSON, or the one text of a key of one column. */
export function parseKey(text: string): readonly (string | null)[] {
  try {
    const parsed: unknown = JSON.parse(text)
    const isKey = Array.isArray(parsed) && parsed.every((part) => part === null || typeof part === 'string')
    if (isKey) return parsed as readonly (string | null)[]
  } catch {
    // It is the text of a key.
  }
  return [text]
}

export const DecideInput = z
  .strictObject({
    verdict: z.enum(['apply', 'leave']).meta({
      description: 'apply: it is applied, and where its row had moved, to the row as it is now. leave: it is not.',
    }),
    filter: Filter.optional(),
    seqs: z.array(z.int().min(1)).min(1).max(10_000).optional().meta({ description: 'Changes by their numbers.' }),
  })
  .refine(({ filter, seqs }) => (filter === undefined) !== (seqs === undefined), 'Give filter or seqs, one of them.')
  .meta({ id: 'ChangeDecision' })

export const Decided = z
  .object({
    changed: z.int().meta({ description: 'Decisions that are others now.' }),
    open: z.int().meta({ description: 'Changes that still wait for a decision.' }),
    job_id: z.string(),
    status: z.string().meta({ description: 'Of the job: it goes on once nothing is open.' }),
  })
  .meta({ id: 'ChangesDecided' })

export const ApproveInput = z
  .strictObject({
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/, { error: 'A digest has 64 hexadecimal digits.' })
      .optional()
      .meta({ description: 'The digest of the changes that were looked at: if they are others now, it is refused.' }),
    ...CONSENT_FIELDS,
  })
  .meta({ id: 'ApproveRequest' })

export const RevertInput = z
  .strictObject({
    tables: z
      .array(tableName)
      .min(1)
      .max(10_000)
      .optional()
      .meta({ description: 'Only these tables, by their names in the target.' }),
    keys: z
      .array(z.array(z.string().max(4_000).nullable()).min(1).max(32))
      .min(1)
      .max(10_000)
      .optional()
      .meta({ description: 'Only the rows of these keys, of the one table that is named.' }),
    allow_protected_write: CONSENT_FIELDS.allow_protected_write,
    confirm: CONSENT_FIELDS.confirm,
  })
  .refine(({ tables, keys }) => keys === undefined || tables?.length === 1, {
    error: 'Keys are of one table: name it in tables.',
    path: ['keys'],
  })
  .meta({ id: 'RevertRequest' })
