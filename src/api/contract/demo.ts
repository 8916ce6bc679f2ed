import { z } from 'zod'

const id = z.string().nullable()

export const DemoData = z
  .object({
    state: z.enum(['none', 'ready', 'ended']).meta({
      description:
        'none: there is no demo data. ready: it is there. ended: the databases have gone with the process of the service that held them; what is registered of them is still there.',
    }),
    source_datasource_id: id,
    target_datasource_id: id,
    config_id: id,
    unavailable: z
      .object({ message: z.string(), hint: z.string() })
      .nullable()
      .meta({ description: 'Why none can be made here, and what to do instead; null where it can.' }),
  })
  .meta({ id: 'DemoData' })

export const DemoEdits = z
  .object({ edits: z.array(z.object({ end: z.enum(['source', 'target']), words: z.string() })) })
  .meta({ id: 'DemoEdits' })
