import { z } from 'zod'
import type { ColumnMask } from '#model/copy.ts'
import { DEFAULT_READING, DUMP_CONTENTS, MOST_PARALLEL, type ReadingOptions } from '#model/dump.ts'
import { fromStep, toStep, TransformStepDocument } from '#model/field-document.ts'
import { BadName, parsePattern } from '#model/table-pattern.ts'

/** What of a database an export and a copy carry, as requests ask for it and jobs tell it again. */

const MOST_NAMES = 1_000
const MOST_RULES = 1_000

const schemaNames = z.array(z.string().min(1).max(63)).max(MOST_NAMES).optional()

const tablePattern = z
  .string()
  .min(1)
  .max(500)
  .superRefine((text, context) => {
    try {
      parsePattern(text)
    } catch (error) {
      if (!(error instanceof BadName)) throw error
      context.addIssue({ code: 'custom', message: `This names no table: ${error.message}.` })
    }
  })

const tablePatterns = z.array(tablePattern).max(MOST_NAMES).optional()

export const READING_FIELDS = {
  content: z.enum(DUMP_CONTENTS).optional().meta({ description: 'Definitions and rows, or one of them. Default all.' }),
  schemas: schemaNames.meta({
    description: 'Only these schemas. Default: all but those of the system, of the provider and our own.',
  }),
  exclude_schemas: schemaNames.meta({ description: 'None of these schemas.' }),
  tables: tablePatterns.meta({
    description:
      'Only these tables, as schema.table, with * for any characters; with the types, functions and sequences that they need.',
  }),
  exclude_tables: tablePatterns.meta({
    description: 'No rows of these tables; they are made all the same, unless tables are named.',
  }),
  owners: z.boolean().optional().meta({ description: 'Who owns what. Default false.' }),
  grants: z.boolean().optional().meta({ description: 'Who has been granted what. Default false.' }),
  same_provider: z.boolean().optional().meta({
    description:
      'It goes into a project of the same provider: foreign keys, policies and all else that leads to its schemas and roles stays. Default false: what could not be made elsewhere is left out, and named.',
  }),
  parallel: z.int().min(1).max(MOST_PARALLEL).optional().meta({
    description: 'Tables, and pieces of large ones, that are read at once. What comes of it is the same. Default 1.',
  }),
}

const ReadingInput = z.strictObject(READING_FIELDS)

export function toReading(body: z.infer<typeof ReadingInput>): ReadingOptions {
  const d = DEFAULT_READING
  return {
    content: body.content ?? d.content,
    schemas: body.schemas ?? d.schemas,
    excludeSchemas: body.exclude_schemas ?? d.excludeSchemas,
    tables: body.tables ?? d.tables,
    excludeTables: body.exclude_tables ?? d.excludeTables,
    owners: body.owners ?? d.owners,
    grants: body.grants ?? d.grants,
    sameProvider: body.same_provider ?? d.sameProvider,
    parallel: body.parallel ?? d.parallel,
  }
}

/** The same of a job. */
export const READING_ASKED = {
  content: z.enum(DUMP_CONTENTS),
  schemas: z.array(z.string()).nullable(),
  exclude_schemas: z.array(z.string()),
  tables: z.array(z.string()).nullable(),
  exclude_tables: z.array(z.string()),
  owners: z.boolean(),
  grants: z.boolean(),
  same_provider: z.boolean(),
  parallel: z.int(),
}

export const RowFilter = z
  .strictObject({
    table: tablePattern.meta({
      description: 'Tables as schema.table, with * for any characters; a table stands for its partitions and children.',
    }),
    where: z
      .string()
      .min(1)
      .max(4_000)
      .meta({ description: 'A CEL condition on the columns of a row, as a filter of a sync config.' }),
  })
  .meta({ id: 'RowFilter' })

export const RowFilters = z.array(RowFilter).max(MOST_RULES)

export const ColumnMaskDocument = z
  .strictObject({
    table: tablePattern.meta({ description: 'As of a filter. It must name a table that is copied.' }),
    column: z.string().min(1).max(200).meta({ description: 'A column as the catalogue stores its name.' }),
    transforms: z
      .array(TransformStepDocument)
      .min(1)
      .max(50)
      .meta({ description: 'What happens to each value, the first step first: see docs/transforms.md.' }),
  })
  .meta({ id: 'ColumnMask' })

export const ColumnMasks = z.array(ColumnMaskDocument).max(MOST_RULES)

/** Whether the steps fit their columns is seen when the copy is planned. */
export function toMasks(masks: z.infer<typeof ColumnMasks> = []): readonly ColumnMask[] {
  return masks.map(({ transforms, ...mask }) => ({ ...mask, transforms: transforms.map(toStep) }))
}

/** The same as requests have it. */
export function fromMasks(masks: readonly ColumnMask[]): z.infer<typeof ColumnMasks> {
  return masks.map(({ table, column, transforms }) => ({ table, column, transforms: transforms.map(fromStep) }))
}
