import { z } from 'zod'
import { tableName } from '#api/contract/fields.ts'
import { FieldDocument } from '#model/field-document.ts'

const refine = z
  .boolean()
  .optional()
  .meta({ description: 'Also ask the model that is configured, if there is one. Default true.' })

export const SuggestInput = z
  .strictObject({
    tables: z
      .array(tableName)
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'Only these tables of the source; default those of the config.' }),
    refine,
  })
  .meta({ id: 'SuggestRequest' })

export const SuggestDraftInput = z
  .strictObject({
    source_datasource_id: z.string().min(1).max(100).meta({ description: 'The id or the name of a datasource.' }),
    target_datasource_id: z.string().min(1).max(100).meta({ description: 'The id or the name of a datasource.' }),
    tables: z
      .array(
        z.strictObject({
          source: tableName,
          target: tableName
            .optional()
            .meta({ description: 'Where it goes; where not given, that is suggested as well.' }),
        }),
      )
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'Default: every table of the source for which the target has one that suits it.' }),
    refine,
  })
  .meta({ id: 'SuggestDraftRequest' })

const score = z.number().meta({ description: 'From 0 to 1: how likely it is meant. No probability.' })
const reasons = z.array(z.string()).meta({ description: 'What speaks for it and against it, in words.' })

const SuggestedField = z
  .object({
    mapping: FieldDocument.meta({ description: 'As an entry of field_mappings.' }),
    score,
    reasons,
    verified_rows: z
      .int()
      .nullable()
      .meta({ description: 'Rows with the same key on both sides in which it was seen to be right; null: none were.' }),
    expression: z.string().nullable().meta({ description: 'The same as a CEL expression, where that is short.' }),
    by: z.enum(['offline', 'ai']),
  })
  .meta({ id: 'SuggestedField' })

const names = z.array(z.string())

const SuggestedTable = z
  .object({
    source: z.string(),
    target: z.string(),
    score,
    reasons,
    fields: z
      .array(SuggestedField)
      .meta({ description: 'At most one for each column of the target, in the order of its columns.' }),
    candidates: z.array(SuggestedField).meta({ description: 'What else could feed a column of the target.' }),
    unmapped: z.object({ source: names, target: names }),
    sampled: z
      .object({ source: z.int(), target: z.int(), matched: z.int() })
      .meta({ description: 'Rows that were looked at on each side, and rows that both have.' }),
    notes: names,
  })
  .meta({ id: 'SuggestedTable' })

export const Suggestions = z
  .object({
    tables: z.array(SuggestedTable),
    unmatched: names.meta({ description: 'Tables of the source for which the target has none that suits.' }),
    left_out: z
      .array(z.object({ source: z.string(), target: z.string() }))
      .meta({ description: 'Pairs beyond what one request looks into: ask for them by name.' }),
  })
  .meta({ id: 'MappingSuggestions', description: 'Nothing of it is applied until somebody puts it into a config.' })

export type Suggestions = z.infer<typeof Suggestions>
