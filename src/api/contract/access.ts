import { z } from 'zod'
import { time } from '#api/contract/fields.ts'
import { page } from '#api/contract/paging.ts'
import { NAME } from '#model/config-document.ts'
import { ROLES } from '#model/access.ts'

const secret = z.string().min(1).max(200)

export const ApiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string().meta({ description: 'How the key begins, to find it again.' }),
    role: z.enum(ROLES),
    datasources: z.array(z.string()).nullable().meta({ description: 'Ids that it may see and use; null: all.' }),
    created_at: time,
    expires_at: time.nullable(),
    last_used_at: time.nullable(),
    revoked_at: time.nullable(),
  })
  .meta({ id: 'ApiKey' })

export const ApiKeyPage = page(ApiKey, 'ApiKeyPage')

export const NewApiKey = z
  .object({ ...ApiKey.shape, key: z.string().meta({ description: 'The key itself, shown this once.' }) })
  .meta({ id: 'NewApiKey' })

export const ApiKeyInput = z
  .strictObject({
    name: NAME,
    role: z.enum(ROLES),
    datasources: z.array(z.string().min(1).max(100)).min(1).max(1_000).nullable().optional(),
    expires_at: z.iso.datetime({ offset: true }).nullable().optional().meta({ description: 'Default: never.' }),
  })
  .meta({ id: 'ApiKeyRequest' })

export const SetupInput = z
  .strictObject({
    token: secret.meta({ description: 'The setup token that serve prints at its first start.' }),
    name: NAME.optional().meta({ description: 'A name for the key. Default: admin.' }),
  })
  .meta({ id: 'SetupRequest' })

export const SignInInput = z
  .strictObject({
    key: secret.optional().meta({ description: 'A key.' }),
    code: secret.optional().meta({ description: 'In place of a key: the code of a link that the service made, once.' }),
  })
  .refine(({ key, code }) => (key === undefined) !== (code === undefined), 'Give key or code, not both.')
  .meta({ id: 'SignInRequest' })

const SessionInfo = z
  .object({
    id: z.string(),
    key_id: z.string(),
    created_at: time,
    seen_at: time,
    confirmed_at: time.meta({ description: 'When the key was entered.' }),
    expires_at: time,
    address: z.string().nullable(),
    current: z.boolean(),
  })
  .meta({ id: 'Session' })

export const SessionPage = page(SessionInfo, 'SessionPage')

export const WhoAmI = z
  .object({ key: ApiKey, session: SessionInfo.nullable() })
  .meta({ id: 'WhoAmI', description: 'Who asks, and with which rights.' })
