import { z } from 'zod'
import { confirm, isOwnName, NOT_OWN_NAME, tableName, time } from '#api/contract/fields.ts'
import { cursor, limit, page, search, sort } from '#api/contract/paging.ts'
import { LIST_SORTS } from '#control/paging.ts'
import { NAME } from '#model/config-document.ts'
import { DATASOURCE_KINDS, DEFAULT_CONNECT_TIMEOUT_MS, DEFAULT_POOL_SIZE, SSL_MODES } from '#model/datasource.ts'
import { ENVIRONMENTS } from '#model/environment.ts'

const text = (most: number): z.ZodString => z.string().min(1).max(most)

const connectionUrl = text(2_000).meta({
  description:
    'postgres://user:password@host:5432/database or mysql://user:password@host:3306/database. It is taken apart; the password is kept sealed.',
  examples: ['postgres://app:secret@db.example.com:5432/shop?sslmode=verify-full'],
})

const environment = z.enum([...ENVIRONMENTS, 'prod', 'stage', 'dev'])

/** How a datasource is reached: a URL, or its parts. */
const CONNECTION_FIELDS = {
  kind: z.enum(DATASOURCE_KINDS).optional().meta({ description: 'Default: what the address says.' }),
  url: connectionUrl.optional(),
  host: text(255).optional().meta({ description: 'A host name or an address.' }),
  port: z.int().min(1).max(65_535).optional().meta({ description: 'Default 5432; 3306 of the kind mysql.' }),
  database: text(200).optional().meta({ description: 'The name of the database on its server.' }),
  user: text(200).optional().meta({ description: 'The role to log in as.' }),
  password: z
    .string()
    .max(2_000)
    .nullable()
    .optional()
    .meta({ description: 'Kept sealed and never shown. null removes it; left out in a change, the old one stays.' }),
  password_reference: text(500)
    .optional()
    .meta({ description: 'env:NAME, file:PATH or vault:PATH#FIELD, looked up at each connection.' }),
  project_url: text(500)
    .optional()
    .meta({
      description:
        'https://PROJECT.supabase.co: the project is read over its REST API, in place of url, host and user.',
      examples: ['https://abcdefghijklmnop.supabase.co'],
    }),
  service_role_key: z.string().max(2_000).nullable().optional().meta({
    description: 'The secret key or service_role key that goes with project_url. Kept sealed and never shown.',
  }),
  service_role_key_reference: text(500)
    .optional()
    .meta({ description: 'env:NAME, file:PATH or vault:PATH#FIELD, looked up at each connection.' }),
  ssl: z
    .enum(SSL_MODES)
    .nullable()
    .optional()
    .meta({ description: 'Default: verify-full, and prefer on this machine.' }),
  ca: z.string().max(100_000).nullable().optional().meta({ description: 'PEM certificates, pasted.' }),
  connect_timeout_ms: z
    .int()
    .min(100)
    .max(300_000)
    .optional()
    .meta({ description: `Default ${DEFAULT_CONNECT_TIMEOUT_MS}.` }),
}

export const ConnectionInput = z
  .strictObject(CONNECTION_FIELDS)
  .meta({ id: 'ConnectionRequest', description: 'A connection, as a URL or as parts.' })

export type ConnectionInput = z.infer<typeof ConnectionInput>

export const DatasourceInput = z
  .strictObject({
    name: NAME.refine(isOwnName, { error: NOT_OWN_NAME }),
    ...CONNECTION_FIELDS,
    schemas: z
      .array(text(200))
      .min(1)
      .max(1_000)
      .nullable()
      .optional()
      .meta({ description: 'Schemas that are offered; null: all that are the user’s own.' }),
    pool_size: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .meta({ description: `Connections of all jobs together. Default ${DEFAULT_POOL_SIZE}.` }),
    environment: environment
      .nullable()
      .optional()
      .meta({ description: 'Default: local on this machine, production elsewhere.' }),
    writable: z.boolean().optional().meta({ description: 'Whether syncs may write to it. Default false.' }),
  })
  .meta({ id: 'DatasourceRequest' })

export type DatasourceInput = z.infer<typeof DatasourceInput>

const Check = z
  .object({
    step: z.string(),
    state: z.enum(['pass', 'warn', 'fail']),
    found: z.string(),
    next: z.string().nullable().meta({ description: 'The next step, where there is one.' }),
    ms: z.number(),
  })
  .meta({ id: 'Check' })

export const ConnectionTest = z
  .object({ at: time, ok: z.boolean(), checks: z.array(Check) })
  .meta({ id: 'ConnectionTest', description: 'A connection, step by step.' })

export const Datasource = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.string(),
    host: z.string(),
    port: z.int(),
    database: z.string(),
    user: z.string(),
    ssl: z.string().nullable(),
    ca: z.string().nullable().meta({ description: 'PEM certificates; they are no secret.' }),
    project_url: z.string().nullable().meta({ description: 'Where it is reached over its REST API, or null.' }),
    has_password: z.boolean().meta({ description: 'Or a key, with project_url.' }),
    password_reference: z.string().nullable(),
    service_role_key_reference: z.string().nullable(),
    schemas: z.array(z.string()).nullable(),
    pool_size: z.int(),
    connect_timeout_ms: z.int(),
    environment: z.enum(ENVIRONMENTS).nullable().meta({ description: 'As somebody said.' }),
    effective_environment: z.enum(ENVIRONMENTS).meta({ description: 'As it counts.' }),
    protected: z.boolean().meta({ description: 'A write needs allow_protected_write and the typed name.' }),
    writable: z.boolean(),
    origin: z.enum(['stored', 'environment', 'ad_hoc']),
    last_test: ConnectionTest.nullable(),
    created_at: time,
    updated_at: time,
    version: z.int(),
  })
  .meta({ id: 'Datasource' })

export const DatasourcePage = page(Datasource, 'DatasourcePage')

export const ListQuery = z.strictObject({ limit, cursor })

export const DatasourceListQuery = z.strictObject({
  search,
  kind: z.enum(DATASOURCE_KINDS).optional(),
  writable: z.enum(['true', 'false']).optional(),
  sort: sort(LIST_SORTS, 'name'),
  limit,
  cursor,
})

export const ConfirmServerInput = z.strictObject({ confirm }).meta({ id: 'ConfirmServerRequest' })

export const DeleteQuery = z.strictObject({ confirm })

export const ParseUrlInput = z.strictObject({ url: connectionUrl }).meta({ id: 'ParseUrlRequest' })

export const ParsedUrl = z
  .object({
    kind: z.string(),
    host: z.string(),
    port: z.int(),
    database: z.string(),
    user: z.string(),
    ssl: z.string().nullable(),
    has_password: z.boolean(),
    connect_timeout_ms: z.int(),
    notes: z.array(Check),
  })
  .meta({ id: 'ParsedUrl', description: 'The parts of a URL; its password is not given back.' })

export const DatabaseTestInput = z
  .strictObject({
    ...CONNECTION_FIELDS,
    datasource_id: text(100)
      .optional()
      .meta({ description: 'The id or name of a datasource, in place of a connection.' }),
  })
  .meta({ id: 'DatabaseTestRequest' })

export const SchemaQuery = z.strictObject({
  search: z.string().min(1).max(200).optional().meta({ description: 'A part of the name of schema or table.' }),
  schemas: text(2_000)
    .optional()
    .meta({ description: 'Only these schemas, with commas between, those of the provider included.' }),
  refresh: z.enum(['true', 'false']).optional().meta({ description: 'Read the catalogue anew.' }),
  limit,
  cursor,
})

const TableName = z.object({ schema: z.string(), name: z.string() }).meta({ id: 'TableName' })

const TableDescription = z
  .object({
    table: TableName,
    kind: z.string(),
    columns: z.array(
      z.object({
        name: z.string(),
        type: z.string(),
        nullable: z.boolean(),
        default: z.string().nullable(),
        generated: z.boolean(),
      }),
    ),
    primary_key: z.array(z.string()),
    unique_keys: z.array(z.array(z.string())),
    foreign_keys: z.array(
      z.object({ columns: z.array(z.string()), references: TableName, referenced_columns: z.array(z.string()) }),
    ),
    estimated_rows: z.number().nullable().meta({ description: 'By the server’s statistics.' }),
    hides_rows: z.boolean().meta({ description: 'Row-level security would hide rows from this login.' }),
  })
  .meta({ id: 'TableDescription' })

export const SchemaPage = page(TableDescription, 'SchemaPage')
  .extend({ at: time, total: z.int().meta({ description: 'Tables on all pages together.' }) })
  .meta({ id: 'SchemaAnswer' })

export const PreviewQuery = z.strictObject({
  table: tableName,
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, { error: 'limit is a number from 1 to 100.' })
    .optional()
    .meta({ description: 'Rows: 1 to 100, default 20.' }),
})

export const RowsPreview = z
  .object({
    columns: z.array(z.object({ name: z.string(), type: z.string() })),
    rows: z.array(z.array(z.string().nullable())).meta({ description: 'Each value as the server writes it.' }),
    cut: z.boolean().meta({ description: 'Some values are longer than what is shown.' }),
    cuts: z
      .array(z.object({ row: z.int(), column: z.string(), characters: z.int() }))
      .meta({ description: 'Those values, with their real length.' }),
  })
  .meta({ id: 'RowsPreview' })
