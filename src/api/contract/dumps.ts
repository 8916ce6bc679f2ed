import { z } from 'zod'
import { time } from '#api/contract/fields.ts'
import { idOrName } from '#api/contract/ids.ts'
import { CONSENT_FIELDS } from '#api/contract/jobs.ts'
import { cursor, limit, sort } from '#api/contract/paging.ts'
import { READING_FIELDS, toReading } from '#api/contract/reading.ts'
import {
  DEFAULT_EXPORT,
  DUMP_COMPRESSIONS,
  DUMP_CONTENTS,
  DUMP_ORIGINS,
  DUMP_STYLES,
  type ExportOptions,
} from '#model/dump.ts'

/** What is exported, and how. */
export const EXPORT_FIELDS = {
  ...READING_FIELDS,
  style: z
    .enum(DUMP_STYLES)
    .optional()
    .meta({ description: 'Rows as COPY blocks, or as INSERTs of several rows, which are slower. Default copy.' }),
  compression: z.enum(DUMP_COMPRESSIONS).optional().meta({ description: 'Default zstd.' }),
  passphrase_reference: z.string().min(1).max(500).optional().meta({
    description: 'Seals the file with the passphrase that is found under env:NAME, file:PATH or vault:PATH#FIELD.',
  }),
}

const ExportFields = z.strictObject(EXPORT_FIELDS)

export function toExport(body: z.infer<typeof ExportFields>): ExportOptions {
  return {
    ...toReading(body),
    style: body.style ?? DEFAULT_EXPORT.style,
    compression: body.compression ?? DEFAULT_EXPORT.compression,
    passphrase: body.passphrase_reference ?? null,
  }
}

export const ExportInput = z
  .strictObject({
    datasource: idOrName.meta({ description: 'What is exported: a datasource, by id or name.' }),
    ...EXPORT_FIELDS,
  })
  .meta({ id: 'ExportRequest' })

/** Of whatever was planned by a dry run before. */
export const agreedPlan = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .optional()
  .meta({
    description:
      'plan_digest of the receipt of a dry run: where something else would be made or replaced by now, it is refused.',
  })

/** Of whatever restores a file. */
const RESTORE_FIELDS = {
  trust_file: z.boolean().optional().meta({
    description:
      'The file may do whatever the login may: it is imported with a superuser, and may hold event triggers, foreign tables and untrusted languages. Default false.',
  }),
  owners: z.boolean().optional().meta({ description: 'Who owns what, as the dump has it. Default false.' }),
  grants: z.boolean().optional().meta({ description: 'Who has been granted what. Default false.' }),
  passphrase_reference: z.string().min(1).max(500).optional().meta({
    description: 'Where the passphrase is found of a dump that is sealed: env:NAME, file:PATH or vault:PATH#FIELD.',
  }),
  allow_protected_write: CONSENT_FIELDS.allow_protected_write,
  confirm: CONSENT_FIELDS.confirm,
}

export const ImportInput = z
  .strictObject({
    datasource: idOrName.meta({ description: 'Into what it is imported: a datasource, by id or name.' }),
    dump: z.string().min(1).max(100).meta({ description: 'The id of a dump in the directory.' }),
    dry_run: z.boolean().optional().meta({
      description: 'Check the whole file and tell what would be made, replaced and refused. Writes nothing.',
    }),
    replace: z.boolean().optional().meta({
      description: 'Replace what the dump makes and is there already; else that is refused. Default false.',
    }),
    backup: z
      .boolean()
      .optional()
      .meta({ description: 'Keep what is replaced as a dump, which is read back and checked, first. Default true.' }),
    swap: z.boolean().optional().meta({
      description:
        'Keep what is replaced readable while the dump is restored, and exchange it at the end. Refused where the schemas hold what cannot be carried over. Default false: readers wait for the end of the import.',
    }),
    agreed_plan: agreedPlan,
    ...RESTORE_FIELDS,
  })
  .meta({ id: 'ImportRequest' })

export const DrillInput = z
  .strictObject({
    into: idOrName.meta({
      description:
        'A datasource, by id or name: on its server a database is made, and dropped again, that the dump is restored into.',
    }),
    ...RESTORE_FIELDS,
  })
  .meta({ id: 'DrillRequest' })

const Drill = z
  .object({
    job_id: z.string(),
    at: time,
    server: z.string().meta({ description: 'On which server, as it calls itself.' }),
    works: z.boolean().meta({ description: 'It was restored, and what was restored is what the dump says.' }),
    faults: z.array(z.string()).meta({ description: 'What is wrong with it; empty where it works.' }),
  })
  .meta({ id: 'Drill' })

const Head = z
  .object({
    program: z.string().meta({ description: 'The version of the program that wrote it.' }),
    made_at: time,
    database: z.string(),
    server: z.string(),
    server_major: z.int(),
    content: z.enum(DUMP_CONTENTS),
    style: z.enum(DUMP_STYLES),
    partial: z.boolean().meta({ description: 'Schemas or tables were left out because somebody wanted that.' }),
    tables: z.int().meta({ description: 'Tables whose rows are in it.' }),
  })
  .meta({ id: 'DumpHead' })

export const Dump = z
  .object({
    id: z.string(),
    file: z.string().meta({ description: 'The name of the file, in the directory of dumps.' }),
    origin: z.enum(DUMP_ORIGINS),
    database: z.string().nullable(),
    datasource_id: z.string().nullable().meta({ description: 'Null of a file that was uploaded.' }),
    job_id: z.string().nullable(),
    compression: z.enum(DUMP_COMPRESSIONS),
    sealed: z.boolean().meta({ description: 'It opens with its passphrase alone.' }),
    bytes: z.int(),
    sha256: z.string().meta({ description: 'Of the file, in hex.' }),
    head: Head.nullable().meta({
      description:
        'What the dump says of itself; null of a sealed one that was uploaded, and of what another program wrote.',
    }),
    rows: z.number().nullable(),
    sql_bytes: z.number().nullable().meta({ description: 'Of SQL, before it was packed.' }),
    notes: z.array(z.string()),
    drill: Drill.nullable().meta({ description: 'What came of the last trial; null where nobody has tried it.' }),
    created_by: z.string(),
    created_at: time,
    links: z.object({ self: z.string(), file: z.string(), job: z.string().nullable() }),
  })
  .meta({ id: 'Dump' })

export const DumpPage = z
  .object({
    items: z.array(Dump),
    next_cursor: z.string().nullable().meta({ description: 'Where the next page begins; null at the end.' }),
    total: z.object({ dumps: z.int(), bytes: z.number(), most_bytes: z.number() }).meta({
      description: 'What all dumps that the key may see come to, and what those in the directory may.',
    }),
    drills: z
      .object({
        into: z.string().meta({ description: 'The datasource on whose server they are tried, as it is called.' }),
        datasource_id: z.string().nullable().meta({ description: 'Null where there is none of that name.' }),
      })
      .nullable()
      .meta({
        description:
          'How the newest export of each datasource is tried by itself (DUMP_DRILL_INTO); null where it is not, or where the key does not see that datasource.',
      }),
  })
  .meta({ id: 'DumpPage' })

export const DumpListQuery = z.strictObject({
  origin: z.enum(DUMP_ORIGINS).optional(),
  datasource: idOrName.optional().meta({ description: 'Only dumps of this datasource.' }),
  job_id: z.string().min(1).max(100).optional(),
  search: z.string().min(1).max(200).optional().meta({
    description: 'Only dumps whose file has this in its name, which is made of database, time and content.',
  }),
  sort: sort(['created_at', 'file'], '-created_at'),
  limit,
  cursor,
})

export const DeletedDump = z.object({ id: z.string(), deleted: z.boolean() }).meta({ id: 'DeletedDump' })
