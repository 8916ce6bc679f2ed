import type { Schemas } from '#api/client.ts'

/** How much of a database: all of it, or what is chosen. */
export type Part = 'all' | 'schemas' | 'tables'

/** What of a database is exported or copied, as somebody puts it together. */
export interface ReadingDraft {
  readonly content: Schemas['ExportAsked']['content']
  readonly part: Part
  readonly schemas: readonly string[]
  readonly tables: readonly string[]
  readonly withoutSchemas: readonly string[]
  readonly withoutRows: readonly string[]
  readonly owners: boolean
  readonly grants: boolean
  readonly sameProvider: boolean
  readonly parallel: number
}

export const FIRST_READING: ReadingDraft = {
  content: 'all',
  part: 'all',
  schemas: [],
  tables: [],
  withoutSchemas: [],
  withoutRows: [],
  owners: false,
  grants: false,
  sameProvider: false,
  parallel: 1,
}

/** What it comes to in another database: names are of one alone. */
export const NO_NAMES = { schemas: [], tables: [], withoutSchemas: [], withoutRows: [] } as const

type ReadingRequest = Pick<
  Schemas['ExportRequest'] & Schemas['CopyRequest'],
  | 'content'
  | 'schemas'
  | 'exclude_schemas'
  | 'tables'
  | 'exclude_tables'
  | 'owners'
  | 'grants'
  | 'same_provider'
  | 'parallel'
>

/** Only what is not as it would be anyway. */
export function readingRequest(draft: ReadingDraft): ReadingRequest {
  const { content, part, parallel } = draft
  return {
    ...(content === FIRST_READING.content ? {} : { content }),
    ...(part === 'schemas' ? { schemas: [...draft.schemas] } : {}),
    ...(part === 'tables' ? { tables: [...draft.tables] } : {}),
    ...(draft.withoutSchemas.length === 0 ? {} : { exclude_schemas: [...draft.withoutSchemas] }),
    ...(draft.withoutRows.length === 0 ? {} : { exclude_tables: [...draft.withoutRows] }),
    ...(draft.owners ? { owners: true } : {}),
    ...(draft.grants ? { grants: true } : {}),
    ...(draft.sameProvider ? { same_provider: true } : {}),
    ...(parallel === FIRST_READING.parallel ? {} : { parallel }),
  }
}

/** Whether what is to be chosen has been. */
export function isChosen({ part, schemas, tables }: ReadingDraft): boolean {
  return part === 'all' || (part === 'schemas' ? schemas : tables).length > 0
}

/** What a job was asked for. */
export function readingDraftOf(
  asked: Omit<Schemas['CopyAsked'], 'filters' | 'masks' | 'replace' | 'backup' | 'trust_source'>,
): ReadingDraft {
  const { content, schemas, tables, owners, grants, same_provider: sameProvider, parallel } = asked
  return {
    content,
    part: tables !== null ? 'tables' : schemas !== null ? 'schemas' : 'all',
    schemas: schemas ?? [],
    tables: tables ?? [],
    withoutSchemas: asked.exclude_schemas,
    withoutRows: asked.exclude_tables,
    owners,
    grants,
    sameProvider,
    parallel,
  }
}

/** The same by the command line. */
export function readingFlags(request: ReadingRequest): readonly string[] {
  const { content, parallel } = request
  const named = (flag: string, names: readonly string[] | undefined): string[] =>
    (names ?? []).flatMap((name) => [flag, name])
  return [
    ...(content === undefined ? [] : ['--content', content]),
    ...named('--schema', request.schemas),
    ...named('--exclude-schema', request.exclude_schemas),
    ...named('--table', request.tables),
    ...named('--exclude-table', request.exclude_tables),
    ...(request.owners === true ? ['--owners'] : []),
    ...(request.grants === true ? ['--grants'] : []),
    ...(request.same_provider === true ? ['--same-provider'] : []),
    ...(parallel === undefined ? [] : ['--parallel', String(parallel)]),
  ]
}
