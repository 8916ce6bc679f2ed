import { z } from 'zod'
import { time } from '#api/contract/fields.ts'
import { idOrName } from '#api/contract/ids.ts'
import { cursor, limit, page, search, sort } from '#api/contract/paging.ts'
import { LIST_SORTS } from '#control/paging.ts'
import { ConfigDocument } from '#model/config-document.ts'

export const SyncConfig = z
  .object({
    ...ConfigDocument.shape,
    id: z.string(),
    version: z.int(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'SyncConfig' })

export const ConfigListQuery = z.strictObject({
  search,
  datasource: idOrName.optional().meta({ description: 'Only configs that read or write this datasource.' }),
  sort: sort(LIST_SORTS, 'name'),
  limit,
  cursor,
})

export const SyncConfigPage = page(SyncConfig, 'SyncConfigPage')

const Change = z
  .object({
    path: z.string().meta({ description: 'A JSON pointer into the document.' }),
    before: z.unknown().meta({ description: 'null where there was nothing.' }),
    after: z.unknown().meta({ description: 'null where there is nothing any more.' }),
  })
  .meta({ id: 'DocumentChange' })

export const ConfigVersionPage = page(
  z
    .object({
      version: z.int(),
      changed_at: time,
      changed_by: z.string(),
      document: z.unknown().meta({ description: 'The whole document as it was.' }),
      changes: z.array(Change).meta({ description: 'What is different from the version before.' }),
    })
    .meta({ id: 'ConfigVersion' }),
  'ConfigVersionPage',
)
