import { z } from 'zod'
import { tableName } from '#api/contract/fields.ts'
import { DETECTION_STRATEGIES } from '#model/detection.ts'

export const AdviseInput = z
  .strictObject({
    tables: z.array(tableName).min(1).max(100).optional().meta({
      description:
        'Only these tables of the source; default those of the sync config, or all tables of the datasource.',
    }),
  })
  .meta({ id: 'AdviseRequest' })

const strategy = z.enum(DETECTION_STRATEGIES)
const words = z.array(z.string())

const DetectionProposal = z
  .object({
    strategy,
    cursor_column: z.string().nullable().meta({ description: 'Null where the strategy needs none.' }),
    label: z.enum(['exact', 'bounded', 'best effort']).meta({
      description:
        'How much a run is sure to see, as far as the facts bear that: with a cursor, exact is said of inserts and updates.',
    }),
    cost: z.string().meta({ description: 'What a run reads, in words.' }),
    reasons: words,
    cannot_see: words.meta({ description: 'What a run by this strategy does not find.' }),
    needs: z.array(
      z.object({
        text: z.string(),
        sql: z.string().nullable().meta({ description: 'The statement that mends it, where there is one.' }),
        required: z
          .boolean()
          .meta({ description: 'Without it no run can be; else it makes runs cheaper or see more.' }),
      }),
    ),
  })
  .meta({ id: 'DetectionProposal' })

const AdvisedTable = z
  .object({
    source: z.string(),
    current: z
      .object({ strategy, cursor_column: z.string().nullable() })
      .nullable()
      .meta({ description: 'As the sync config has it now; null where there is none.' }),
    proposals: z.array(DetectionProposal).meta({ description: 'Best first.' }),
    ruled_out: z
      .array(z.object({ strategy: strategy.nullable(), column: z.string().nullable(), why: z.string() }))
      .meta({ description: 'What one might think of, and why it does not do.' }),
    unknown: words.meta({ description: 'What could not be read of the table; no proposal rests on it.' }),
    notes: words.meta({ description: 'What stands in the way of the table whatever the strategy.' }),
  })
  .meta({ id: 'AdvisedTable' })

export const Advice = z
  .object({
    tables: z.array(AdvisedTable),
    left_out: words.meta({ description: 'Tables beyond what one request looks into: ask for them by name.' }),
  })
  .meta({ id: 'DetectionAdvice', description: 'Nothing of it is applied until somebody puts it into a config.' })

export type Advice = z.infer<typeof Advice>
