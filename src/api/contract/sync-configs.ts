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

/** The longest that two secrets are good for at once. */
const MOST_KEPT_HOURS = 168

export const WebhookSecretInput = z
  .strictObject({
    keep_previous_hours: z.int().min(0).max(MOST_KEPT_HOURS).optional().meta({
      description:
        'How long the secret before signs as well, so that the receiver can be given the new one. Default 24.',
    }),
  })
  .meta({ id: 'WebhookSecretRequest' })

export const WebhookSecret = z
  .object({
    created_at: time,
    created_by: z.string(),
    previous_until: time
      .nullable()
      .meta({ description: 'Until when the secret before signs as well; null: none does.' }),
  })
  .meta({ id: 'WebhookSecret' })

export const NewWebhookSecret = z
  .object({
    ...WebhookSecret.shape,
    secret: z.string().meta({
      description:
        'whsec_ and base64: the key of the HMAC by which messages are signed (Standard Webhooks). Shown this once.',
    }),
  })
  .meta({ id: 'NewWebhookSecret' })
