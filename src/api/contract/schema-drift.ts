import { z } from 'zod'
import { time } from '#api/contract/fields.ts'
import { DRIFT_KINDS } from '#model/schema-drift.ts'

const text = z.string().nullable()

export const SchemaDrift = z
  .object({
    known_at: time
      .nullable()
      .meta({ description: 'When the mapping was last looked over with the tables as they were; null: never yet.' }),
    seen_at: time.nullable().meta({ description: 'When the databases were last looked at.' }),
    digest: text.meta({ description: 'Of the tables as they were seen then: what is accepted is this.' }),
    changes: z.array(
      z
        .object({
          side: z.enum(['source', 'target']),
          table: z.object({ schema: z.string(), name: z.string() }),
          kind: z.enum(DRIFT_KINDS),
          column: text.meta({ description: 'null where the table as a whole has changed.' }),
          before: text.meta({ description: 'The type, the name or the key as it was.' }),
          after: text.meta({ description: 'The same as it is.' }),
          words: z.string(),
        })
        .meta({ id: 'SchemaChange' }),
    ),
  })
  .meta({ id: 'SchemaDrift' })

export const AcceptDriftInput = z
  .strictObject({
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/, { error: 'A digest has 64 hexadecimal digits.' })
      .meta({ description: 'The digest of the tables that were looked at: if they are others now, it is refused.' }),
  })
  .meta({ id: 'AcceptDriftRequest' })
