import { z } from 'zod'
import { ConnectionTest } from '#api/contract/datasources.ts'
import { time } from '#api/contract/fields.ts'

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
