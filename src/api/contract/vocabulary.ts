import { z } from 'zod'

const schema = z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema of its value.' })

const Argument = z
  .object({ name: z.string(), description: z.string(), required: z.boolean(), schema })
  .meta({ id: 'TransformArgument' })

export const Transforms = z
  .object({
    items: z.array(
      z
        .object({
          name: z.string(),
          group: z.string(),
          summary: z.string(),
          takes: z
            .enum(['one', 'many'])
            .meta({ description: 'one value, or many columns: then it stands first in its chain.' }),
          accepts: z.string().meta({ description: 'The types that it takes, in words.' }),
          nulls: z.string().nullable().meta({ description: 'What NULL becomes; null where it stays NULL.' }),
          arguments: z.array(Argument),
          example: z.object({
            arguments: z.record(z.string(), z.unknown()),
            input: z.array(z.string().nullable()),
            output: z.string().nullable().meta({ description: 'A ? stands for what depends on the mask key.' }),
            type: z.string().nullable(),
            loses: z.string().nullable().meta({ description: 'What is lost for good; null where nothing is.' }),
          }),
        })
        .meta({ id: 'Transform' }),
    ),
  })
  .meta({ id: 'Transforms' })

export const Rules = z
  .object({
    items: z.array(
      z
        .object({
          name: z.string(),
          description: z.string(),
          note: z.string(),
          schema,
          example: z.unknown().meta({ description: 'What may stand beside the name.' }),
        })
        .meta({ id: 'Rule' }),
    ),
  })
  .meta({ id: 'Rules' })
