import { z } from 'zod'
import { agreedPlan } from '#api/contract/dumps.ts'
import { idOrName } from '#api/contract/ids.ts'
import { CONSENT_FIELDS } from '#api/contract/jobs.ts'
import { ColumnMasks, READING_FIELDS, RowFilters } from '#api/contract/reading.ts'

export const CopyInput = z
  .strictObject({
    source: idOrName.meta({ description: 'What is copied: a datasource, by id or name.' }),
    target: idOrName.meta({ description: 'Into what: another datasource, by id or name.' }),
    ...READING_FIELDS,
    filters: RowFilters.optional().meta({
      description: 'Only rows that meet these; several of one table must all be met.',
    }),
    masks: ColumnMasks.optional().meta({ description: 'Columns whose values become others on their way.' }),
    dry_run: z.boolean().optional().meta({
      description: 'Tell what would be made, replaced and refused. Writes nothing.',
    }),
    replace: z.boolean().optional().meta({
      description: 'Replace what the copy makes and is there already; else that is refused. Default false.',
    }),
    backup: z
      .boolean()
      .optional()
      .meta({ description: 'Keep what is replaced as a dump, which is read back and checked, first. Default true.' }),
    trust_source: z.boolean().optional().meta({
      description:
        'What the source brings may do whatever the login of the target may: it is copied with a superuser, and may hold event triggers, foreign tables and untrusted languages. Default false.',
    }),
    agreed_plan: agreedPlan,
    allow_protected_write: CONSENT_FIELDS.allow_protected_write,
    confirm: CONSENT_FIELDS.confirm,
  })
  .meta({ id: 'CopyRequest' })
