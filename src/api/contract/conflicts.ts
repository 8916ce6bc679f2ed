import { z } from 'zod'
import { tableName, time } from '#api/contract/fields.ts'
import { idOf, idOrName } from '#api/contract/ids.ts'
import { cursor, limit, sort } from '#api/contract/paging.ts'
import {
  ASKING_STATUSES,
  CONFLICT_KINDS,
  CONFLICT_STATUSES,
  CONFLICT_STRATEGIES,
  RESOLUTIONS,
  RULE_RESOLUTIONS,
} from '#model/conflict.ts'
import { CONSENT_FIELDS } from './jobs.ts'

const kind = z.enum(CONFLICT_KINDS).meta({
  description:
    'What happened to the row, in the source first. first_contact: the rows differ, and were never known to agree. unique_clash: where it is to be written, another row holds a unique value of it.',
})
const status = z.enum(CONFLICT_STATUSES).meta({
  description:
    'open: it waits for somebody. resolved: somebody has decided, and the next run carries that out. applied: a run has. closed: it went away by itself.',
})
const strategy = z.enum(CONFLICT_STRATEGIES)
const table = z.object({ schema: z.string(), name: z.string() })
const value = z.string().nullable()
const cells = z
  .array(z.object({ column: z.string(), value }))
  .nullable()
  .meta({ description: 'Cells as text; null where there is no such row, it is not kept, or not for the caller.' })

const asking = z
  .object({
    id: z.string().meta({ description: 'The webhook-id, which all attempts carry.' }),
    status: z.enum(ASKING_STATUSES).meta({
      description:
        'waiting: it is asked, or will be. accepted: it answers later, over the API. answered: it has decided, and a run that carries that out is to be started. given_up: it has not decided in time, and somebody has to. ended: there is nothing to ask any more.',
    }),
    attempts: z.int(),
    next_at: time.nullable().meta({ description: 'When it is asked again.' }),
    last_at: time.nullable(),
    last_error: z.string().nullable().meta({ description: 'Why the last attempt failed, or why no run was started.' }),
    deadline_at: time.meta({ description: 'From then on somebody has to decide.' }),
  })
  .nullable()
  .meta({ description: 'The asking of a webhook; null where none was asked.' })

const FIELDS = {
  id: z.string(),
  config_id: z.string().nullable(),
  first_job_id: z.string(),
  last_job_id: z.string().meta({ description: 'The last job that found it, or that carried out what was decided.' }),
  seq: z.int().meta({ description: 'The order in which conflicts were found.' }),
  source: table,
  target: table,
  key: z.array(value),
  kind,
  fields: z.array(z.string()).meta({
    description:
      'The columns that both sides changed to different values, or those of a unique index; empty: it is about the whole row.',
  }),
  strategy: strategy.meta({ description: 'The strategy that left it to somebody.' }),
  reason: z.string().nullable().meta({ description: 'Why it could not be decided; null where the strategy says so.' }),
  webhook: asking,
  large: z.boolean().meta({ description: 'A row was too large to be kept.' }),
  status,
  resolution: z.enum(RESOLUTIONS).nullable().meta({
    description:
      'source, target: the row of that side. skip: both stay as they are. row: one that was built. Of a unique_clash, the side whose row is kept out: that row, and the row in the way gives its value up.',
  }),
  resolved: z.object({ by: z.string(), name: z.string(), at: time }).nullable(),
  reopened: z
    .int()
    .meta({ description: 'Decisions that did not apply, because a side had changed once more: it was opened again.' }),
  first_at: time,
  last_at: time,
  version: z.int(),
}

export const ConflictEntry = z.object(FIELDS).meta({ id: 'ConflictEntry' })

const side = z
  .enum(['kept', 'none', 'not_kept', 'unknown'])
  .meta({ description: 'kept: its row is here. none: it has no row. not_kept: the row was too large.' })

export const Conflict = z
  .object({
    ...FIELDS,
    values_shown: z.boolean().meta({ description: 'Values of rows are for operators and admins.' }),
    key_columns: z.array(z.string()),
    columns: z.array(z.object({ name: z.string(), type: z.string(), nullable: z.boolean() })),
    sides: z.object({ source: side, target: side }),
    source_row: cells,
    target_row: cells,
    base_row: cells.meta({ description: 'What both sides agreed on last, where that is known by its values.' }),
    merged_row: cells.meta({
      description: 'The row as far as it merges by itself, with the values of the target else.',
    }),
    built_row: cells.meta({ description: 'The row that somebody built in place of both.' }),
    holder: z
      .object({
        side: z.enum(['source', 'target']).meta({ description: 'Where the row cannot be written.' }),
        key: z.array(value),
        index: z.string().meta({ description: 'The unique index, or constraint.' }),
        columns: z.array(z.string()),
        row: cells,
        yields: z.string().nullable().meta({
          description:
            'The column that becomes NULL in it where the row of the other side is taken; null: none can, and such a decision is refused.',
        }),
      })
      .nullable()
      .meta({ description: 'Of a unique_clash: the other row that has the value.' }),
    removes_row: z.boolean().meta({ description: 'Somebody has decided that there is to be no row.' }),
    differences: z
      .array(
        z.object({
          column: z.string(),
          source: value,
          target: value,
          base: value,
          changed_by: z.enum(['source', 'target', 'both', 'unknown']),
          in_conflict: z.boolean(),
        }),
      )
      .meta({ description: 'The columns in which the rows differ; values are null for who may not see them.' }),
    note: z.string().nullable(),
  })
  .meta({ id: 'Conflict' })

export const ConflictPage = z
  .object({
    items: z.array(ConflictEntry),
    next_cursor: z.string().nullable().meta({ description: 'Where the next page begins; null at the end.' }),
    groups: z
      .array(
        z.object({
          target: table,
          kind,
          fields: z.array(z.string()),
          conflicts: z.int(),
          open: z.int().meta({ description: 'How many of them wait for somebody.' }),
        }),
      )
      .meta({ description: 'All that the filter lets through, by what caused them; the largest first.' }),
  })
  .meta({ id: 'ConflictPage' })

function several(name: string, names: readonly string[]) {
  const one = names.join('|')
  return z
    .string()
    .regex(new RegExp(`^(${one})(,(${one})){0,${names.length - 1}}$`), {
      error: `${name} is one or several of ${names.join(', ')}, with commas between.`,
    })
    .optional()
}

const FILTERS = {
  table: tableName.optional().meta({ description: 'The table of the target.' }),
  field: z.string().min(1).max(200).optional().meta({ description: 'A column that both sides changed.' }),
  key: z
    .string()
    .min(1)
    .max(4_000)
    .optional()
    .meta({ description: 'The key of the row; of several columns a JSON list of texts.' }),
}

export const ConflictQuery = z.strictObject({
  status: several('status', CONFLICT_STATUSES),
  kind: several('kind', CONFLICT_KINDS),
  strategy: several('strategy', CONFLICT_STRATEGIES),
  job: idOf('job').optional().meta({ description: 'Only those that this job saw first or last.' }),
  ...FILTERS,
  sort: sort(['seq'], 'seq'),
  limit,
  cursor,
})

export const JobConflictsQuery = ConflictQuery.omit({ job: true })

export const AllConflictsQuery = ConflictQuery.extend({
  config: idOrName.optional().meta({ description: 'Only those of this sync config.' }),
})

const START_FIELDS = {
  start: z.boolean().optional().meta({
    description: 'Start a run that carries out what was decided, of the tables that it is about. Default true.',
  }),
  ...CONSENT_FIELDS,
}

const REMEMBER_FIELDS = {
  remember: z.boolean().optional().meta({
    description:
      'Decide all later conflicts of the same sort alike: of the same table of the sync config and the same kind, in which both sides changed the same columns.',
  }),
  remember_any_fields: z
    .boolean()
    .optional()
    .meta({ description: 'With remember: whichever columns both sides changed.' }),
}

export const ResolveInput = z
  .strictObject({
    ...REMEMBER_FIELDS,
    take: z.enum(RESOLUTIONS),
    values: z.record(z.string().min(1).max(200), z.string().max(500_000).nullable()).nullable().optional().meta({
      description:
        'For row: columns of the target as text, as the server would write them, null for NULL. In place of all of them null: there is to be no row.',
    }),
    rest: z
      .enum(['merged', 'source', 'target'])
      .optional()
      .meta({ description: 'For row: where the other columns come from. Default merged, else target, else source.' }),
    ...START_FIELDS,
  })
  .superRefine(({ take, values, rest, remember }, context) => {
    const problem = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
    if (take === 'row' && values === undefined) problem('values', 'take row needs values: columns, or null for no row.')
    if (take !== 'row' && values !== undefined) problem('values', 'values is for take row.')
    if (take !== 'row' && rest !== undefined) problem('rest', 'rest is for take row.')
    if (take === 'row' && remember === true) problem('remember', 'A row that is built is for one conflict alone.')
  })
  .meta({ id: 'ResolveRequest' })

const WhichInput = z.strictObject({
  status: z
    .array(z.enum(['open', 'resolved', 'applied']))
    .min(1)
    .optional()
    .meta({ description: 'Default open.' }),
  kind: z.array(kind).min(1).optional(),
  strategy: z.array(strategy).min(1).optional(),
  ...FILTERS,
})

const MANY_FIELDS = {
  ...REMEMBER_FIELDS,
  take: z.enum(RULE_RESOLUTIONS),
  ids: z.array(idOf('conflict')).min(1).max(10_000).optional().meta({ description: 'Only these.' }),
  dry_run: z.boolean().optional().meta({ description: 'Say what it would be about, and decide nothing.' }),
  expect: z.int().min(0).optional().meta({ description: 'Refuse unless it is about this very number of conflicts.' }),
  digest: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'digest is what a dry run answered.' })
    .optional()
    .meta({ description: 'Refuse unless the conflicts are still those of the dry run that answered it.' }),
  ...START_FIELDS,
}

const which = { description: 'Which conflicts; an empty one is for all that are open.' }

export const ResolveAllInput = z
  .strictObject({ filter: WhichInput.optional().meta(which), ...MANY_FIELDS })
  .meta({ id: 'ResolveAllRequest' })

export const ResolveManyInput = z
  .strictObject({
    filter: WhichInput.extend({ job: idOf('job').optional() })
      .optional()
      .meta(which),
    ...MANY_FIELDS,
  })
  .refine(({ filter, ids }) => filter !== undefined || ids !== undefined, 'Say which conflicts: filter, ids, or both.')
  .meta({ id: 'ResolveManyRequest' })

const CARRIED_OUT = {
  job_id: z.string().nullable().meta({ description: 'The run that carries it out, where one was started.' }),
  active_job_id: z
    .string()
    .nullable()
    .meta({ description: 'The job of the same sync because of which none was started.' }),
  note: z.string().nullable().meta({ description: 'Why no run was started, where one was to be.' }),
}

export const Resolved = z.object({ conflict: Conflict, ...CARRIED_OUT }).meta({ id: 'ResolvedConflict' })

export const ResolvedMany = z
  .object({
    dry_run: z.boolean(),
    conflicts: z.int().meta({ description: 'How many it is about.' }),
    kinds: z.array(z.object({ kind, conflicts: z.int() })),
    tables: z.array(z.object({ target: table, conflicts: z.int() })),
    digest: z.string(),
    ...CARRIED_OUT,
  })
  .meta({ id: 'ResolvedConflicts' })

export const ConflictRules = z
  .object({
    items: z.array(
      z.object({
        id: z.string(),
        target: table,
        kind,
        fields: z
          .array(z.string())
          .nullable()
          .meta({ description: 'The columns that both sides changed; null: whichever they are.' }),
        take: z.enum(RULE_RESOLUTIONS),
        created_at: time,
        created_by: z.object({ id: z.string(), name: z.string() }),
      }),
    ),
  })
  .meta({ id: 'ConflictRules', description: 'What somebody has decided once for all conflicts of a sort.' })
