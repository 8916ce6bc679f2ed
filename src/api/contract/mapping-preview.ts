import { z } from 'zod'
import { tableName } from '#api/contract/fields.ts'
import { ConfigInput } from './config-input.ts'

const options = {
  table: tableName.optional().meta({
    description: 'The table as it is called in the source. Default: the first one that the sync config names.',
  }),
  limit: z.int().min(1).max(200).optional().meta({ description: 'Rows to be looked at. Default 20.' }),
}

export const PreviewInput = z.strictObject(options).meta({ id: 'MappingQuestion' })

export const PreviewDraftInput = z.strictObject({ ...options, config: ConfigInput }).meta({ id: 'MappingPreviewDraft' })

export const ValidateDraftInput = z
  .strictObject({
    table: options.table,
    count: z.boolean().optional().meta({ description: 'Count the rows that do not fit, too. Default true.' }),
    config: ConfigInput,
  })
  .meta({ id: 'ValidateDraftRequest' })

const cells = z.array(z.string().nullable())

export const MappingPreviewBody = z
  .strictObject({
    source: z.string(),
    target: z.string(),
    columns: z
      .array(z.string())
      .meta({ description: 'Columns of the source that the mapping reads: the cells of `source`.' }),
    fields: z
      .array(
        z.strictObject({
          target: z.string(),
          type: z.string().meta({ description: 'As the target spells it.' }),
          columns: z.array(z.string()),
          kind: z.enum(['direct', 'computed']),
          losses: z.array(z.string()).meta({ description: 'What steps that somebody chose lose for good.' }),
          one_way: z
            .string()
            .nullable()
            .meta({ description: 'Why the field could not be carried back; null where it could.' }),
        }),
      )
      .meta({ description: 'The cells of `before` and `after`, the key first.' }),
    key_length: z.int(),
    unmapped: z.strictObject({ source: z.array(z.string()), target: z.array(z.string()) }),
    rows: z.array(
      z.strictObject({
        source: cells,
        before: cells.nullable().meta({ description: 'What the target has under the key now.' }),
        after: cells
          .nullable()
          .meta({ description: 'What it would have; null where the row cannot be carried or is filtered.' }),
        fault: z
          .strictObject({
            code: z.string(),
            column: z.string().nullable(),
            reason: z.string(),
            value: z.string().nullable(),
          })
          .nullable(),
        warnings: z.array(z.string()),
        filtered: z.boolean(),
        micros: z.int().meta({ description: 'What the mapping of the row took, in microseconds.' }),
      }),
    ),
    notes: z.array(z.string()),
  })
  .meta({ id: 'MappingPreview' })
