import { z } from 'zod'
import { ConnectionTest } from '#api/contract/datasources.ts'
import { time } from '#api/contract/fields.ts'
import {
  BACKUP_DAYS,
  DEFAULT_RETENTION,
  LEAST_RETENTION,
  MOST_DAYS,
  RETAINED,
  SPACES,
  type Retained,
  type Space,
} from '#model/retention.ts'

const URL_FIELDS = {
  url: z
    .string()
    .min(1)
    .max(2_000)
    .optional()
    .meta({
      description: 'redis:// or (TLS) rediss://user:password@host:6379/0. Kept sealed and never shown.',
      examples: ['rediss://syncline:secret@redis.example.com:6379/0'],
    }),
  url_reference: z.string().min(1).max(500).optional().meta({
    description: 'env:NAME, file:PATH or vault:PATH#FIELD in place of url: where the whole URL is looked up.',
  }),
}

export const RedisInput = z
  .strictObject(URL_FIELDS)
  .meta({ id: 'RedisRequest', description: 'A Redis, by its URL or by where that is found.' })

export type RedisInput = z.infer<typeof RedisInput>

export const RedisTestInput = z
  .strictObject(URL_FIELDS)
  .meta({ id: 'RedisTestRequest', description: 'A Redis that is not kept; with neither, the one that is set up.' })

export const RedisSettings = z
  .object({
    source: z.enum(['environment', 'store']).nullable().meta({
      description: 'Where the Redis that is used comes from: REDIS_URL, or what was set up here; null: none.',
    }),
    url: z.string().nullable().meta({ description: 'Without the password; null where it is a reference.' }),
    has_password: z.boolean(),
    url_reference: z.string().nullable(),
    overridden: z.boolean().meta({ description: 'One is set up here, but REDIS_URL comes before it.' }),
    updated_at: time.nullable(),
    updated_by: z.string().nullable(),
    last_test: ConnectionTest.nullable(),
  })
  .meta({ id: 'RedisSettings' })

const LIMIT_FIELDS = {
  source: z.enum(['environment', 'store', 'default']),
  variable: z.string().meta({ description: 'The variable that comes before what is set here, where it is set.' }),
  set: z.int().nullable().meta({ description: 'What is set here; null: nothing.' }),
  default: z.int(),
  least: z.int().meta({ description: 'The least and the most that may be set here.' }),
  most: z.int(),
}

const Kept = z
  .object({ of: z.enum(RETAINED), days: z.int().meta({ description: 'What holds now.' }), ...LIMIT_FIELDS })
  .meta({ id: 'RetentionEntry' })

const Room = z
  .object({ of: z.enum(SPACES), bytes: z.int().meta({ description: 'What holds now.' }), ...LIMIT_FIELDS })
  .meta({
    id: 'SpaceEntry',
    description: 'Room on the disk of the dumps: what all of them may take up together, and what they leave free.',
  })

export const RetentionSettings = z
  .object({
    entries: z.array(Kept),
    space: z.array(Room),
    updated_at: time.nullable(),
    updated_by: z.string().nullable(),
  })
  .meta({ id: 'RetentionSettings' })

const days = (of: Retained, what: string) =>
  z
    .int()
    .min(LEAST_RETENTION.days[of])
    .max(MOST_DAYS)
    .nullable()
    .optional()
    .meta({ description: `Days that ${what} are kept; null or left out: ${DEFAULT_RETENTION.days[of]}.` })

const bytes = (of: Space, what: string) =>
  z
    .int()
    .min(LEAST_RETENTION.bytes[of])
    .nullable()
    .optional()
    .meta({ description: `${what}; null or left out: ${DEFAULT_RETENTION.bytes[of]}.` })

export const RetentionInput = z
  .strictObject({
    jobs_days: days('jobs', 'ended jobs'),
    history_days: days('history', 'rows that jobs wrote'),
    audit_days: days('audit', 'events of the audit log'),
    dumps_days: days('dumps', `dumps (backups for ${BACKUP_DAYS} at least)`),
    dumps_bytes: bytes('dumps', 'Bytes that all dumps together may have'),
    free_bytes: bytes('free', 'Bytes of the disk of the dumps that they leave free'),
  })
  .meta({ id: 'RetentionRequest' })

const endpointUrl = z
  .string()
  .max(2_000)
  .refine(
    (text) => URL.canParse(text) && isEndpoint(new URL(text)),
    'This is no URL of an endpoint: https://…, without a user, a password, a query and a fragment.',
  )
  .meta({
    description: 'Up to and without /chat/completions. Without TLS only on this machine and its network.',
    examples: ['https://models.example.com/v1'],
  })

function isEndpoint({ protocol, username, password, search, hash }: URL): boolean {
  return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '')
}

const AI_FIELDS = {
  url: endpointUrl,
  model: z.string().min(1).max(200).meta({ description: 'The model to ask there.' }),
  send_samples: z.boolean().optional().meta({
    description: 'Also send a few values of each column. Default false: names and types of columns alone.',
  }),
  key: z.string().min(1).max(4_000).nullable().optional().meta({
    description:
      'Kept sealed and never shown. null: none. Left out: the one that is kept, as long as the URL leads to the same place.',
  }),
  key_reference: z.string().min(1).max(500).optional().meta({
    description: 'env:NAME, file:PATH or vault:PATH#FIELD in place of key: where it is looked up.',
  }),
}

export const AiInput = z.strictObject(AI_FIELDS).meta({
  id: 'AiRequest',
  description: 'An endpoint that speaks the chat API of OpenAI, which refines suggestions for mappings.',
})

export type AiInput = z.infer<typeof AiInput>

export const AiTestInput = z
  .strictObject({ endpoint: AiInput.optional() })
  .meta({ id: 'AiTestRequest', description: 'An endpoint that is not kept; without one, that which is set up.' })

export const AiSettings = z
  .object({
    source: z.enum(['environment', 'store']).nullable().meta({
      description:
        'Where the endpoint that is asked comes from: AI_URL and AI_MODEL, or what was set up here; null: none.',
    }),
    url: z.string().nullable(),
    model: z.string().nullable(),
    send_samples: z.boolean(),
    has_key: z.boolean(),
    key_reference: z.string().nullable(),
    overridden: z.boolean().meta({ description: 'One is set up here, but the environment comes before it.' }),
    updated_at: time.nullable(),
    updated_by: z.string().nullable(),
    last_test: ConnectionTest.nullable(),
  })
  .meta({ id: 'AiSettings' })
