/** The definitions of a database as pg_dump writes them, without what belongs to one server or one version. */
import type { Definition, DumpWish } from '#adapters/dump-source.ts'
import type { TableDdl } from '#adapters/table-ddl.ts'
import { AppError } from '#model/errors.ts'
import { OWN_SCHEMAS, type SchemaChoice } from './dump-relations.ts'
import { DEPENDENCIES, HEADER, isSessionSetting, withoutVersionOption } from './dump-entries.ts'
import { quote } from './sql.ts'
import { isWord, splitScript, type Token } from './sql-statements.ts'

export type DumpSection = 'pre-data' | 'post-data'

/** Names are quoted, because one may be a key word to a newer server. */
export function sectionArguments(section: DumpSection, wish: DumpWish, schemas: SchemaChoice): string[] {
  return [
    `--section=${section}`,
    // Each entry then names the row of the catalogue that it is of.
    '--verbose',
    '--quote-all-identifiers',
    '--no-tablespaces',
    // They hold passwords, or are of no use where rows of theirs are not dumped.
    '--no-subscriptions',
    '--no-large-objects',
    '--no-statistics',
    ...(wish.owners ? [] : ['--no-owner']),
    ...(wish.grants ? [] : ['--no-privileges']),
    ...OWN_SCHEMAS.map((pattern) => `--exclude-schema=${pattern}`),
    ...schemas.exclude.map((name) => `--exclude-schema=${quote(name)}`),
    // Where schemas are named, pg_dump leaves out extensions unless they are named too.
    ...(schemas.only === null ? [] : ['--extension=*', ...schemas.only.map((name) => `--schema=${quote(name)}`)]),
  ]
}

const ABOUT = '-- Name: '
const END_MARK = '-- PostgreSQL database dump complete'

/** What a section may do; a dump that holds anything else is refused. */
const ALLOWED = ['CREATE', 'ALTER', 'COMMENT', 'GRANT', 'REVOKE', 'REFRESH', 'SECURITY']

/** What a section has of one object, or says of it. */
export interface SectionEntry {
  /** pg_dump's own number of it, and those of the entries that it says something of. */
  readonly id: string
  readonly dependencies: readonly string[]
  /** OIDs of the catalogue and of the row in it; '0' where it is a part of another object, or a setting. */
  readonly classId: string
  readonly objectId: string
  readonly statements: readonly SectionStatement[]
}

export interface SectionStatement {
  readonly definition: Definition
  readonly tokens: readonly Token[]
}

const NO_ENTRY = { id: '', dependencies: [], classId: '0', objectId: '0' } as const

/**
 * The entries of a section.
 * @throws AppError `internal` where the dump is cut or has a statement of an unknown kind; `unsafe_definition`
 */
export function readSection(dump: string): readonly SectionEntry[] {
  const found: SectionEntry[] = []
  let header: Omit<SectionEntry, 'statements'> = NO_ENTRY
  let statements: SectionStatement[] = []
  let about: string | null = null
  let complete = false
  const begin = (next: typeof header): void => {
    if (statements.length > 0) found.push({ ...header, statements })
    header = next
    statements = []
  }
  for (const item of splitScript(dump)) {
    if (item.kind === 'backslash') {
      if (!/^\\(?:un)?restrict /.test(item.text)) throw unsafe(item.text)
    } else if (item.kind === 'comment') {
      const [, id, classId, objectId] = HEADER.exec(item.text) ?? []
      if (id !== undefined && classId !== undefined && objectId !== undefined) {
        begin({ id, classId, objectId, dependencies: [] })
      }
      const dependencies = statements.length === 0 ? DEPENDENCIES.exec(item.text)?.[1] : undefined
      if (dependencies !== undefined) header = { ...header, dependencies: dependencies.trim().split(' ') }
      if (item.text.startsWith(ABOUT)) about = item.text.slice('-- '.length)
      complete ||= item.text === END_MARK
    } else {
      const kept = keep(item.text, item.tokens)
      if (kept === null) continue
      // Settings stand between the entries, and hold for all that come after them.
      if (isSessionSetting(item.tokens)) begin(NO_ENTRY)
      const definition = { sql: kept, about, isConstraint: isForeignKey(item.tokens) }
      statements.push({ definition, tokens: item.tokens })
      about = null
    }
  }
  begin(NO_ENTRY)
  if (!complete) throw new AppError('internal', 'The definitions are cut.')
  return found
}

export function definitionsOf(entries: readonly SectionEntry[]): readonly Definition[] {
  return entries.flatMap(({ statements }) => statements.map(({ definition }) => definition))
}

/** What fills a materialized view. */
export function isRefresh({ statements }: SectionEntry): boolean {
  return isWord(statements[0]?.tokens[0], 'REFRESH')
}

function keep(sql: string, tokens: readonly Token[]): string | null {
  refuseBackslash(sql, tokens)
  if (isSessionSetting(tokens)) return isWord(tokens[1], 'DEFAULT_TABLE_ACCESS_METHOD') ? sql : null
  if (isUserMapping(tokens)) return null
  if (!ALLOWED.some((word) => isWord(tokens[0], word))) {
    throw new AppError('internal', `The definitions hold an unknown statement: ${sql.slice(0, 200)}`)
  }
  // Every database has it, but pg_dump makes it where it is named.
  if (sql === `COMMENT ON SCHEMA "public" IS 'standard public schema'`) return null
  if (sql === 'CREATE SCHEMA "public"') return 'CREATE SCHEMA IF NOT EXISTS "public"'
  return withoutVersionOption({ sql, tokens })?.sql ?? null
}

/** psql takes a backslash outside of quotes for a command, also in the middle of a statement (hazard D13). */
function refuseBackslash(sql: string, tokens: readonly Token[]): void {
  if (tokens.some(({ kind, text }) => kind === 'symbol' && text === '\\')) throw unsafe(sql)
}

function unsafe(sql: string): AppError {
  return new AppError(
    'unsafe_definition',
    `The server gave a definition with a backslash outside of quotes: ${sql.slice(0, 200)}`,
  )
}

/** Its options are passwords. */
function isUserMapping([first, second, third]: readonly Token[]): boolean {
  return (
    (isWord(first, 'CREATE') || isWord(first, 'ALTER') || isWord(first, 'COMMENT')) &&
    isWord(second, 'USER') &&
    isWord(third, 'MAPPING')
  )
}

function isForeignKey(tokens: readonly Token[]): boolean {
  const at = tokens.findIndex((token) => isWord(token, 'FOREIGN'))
  return isWord(tokens[0], 'ALTER') && isWord(tokens[1], 'TABLE') && at > 0 && isWord(tokens[at + 1], 'KEY')
}

/** The definitions of some tables, with what these need. */
export function fromTableDdl({ beforeData, afterData, foreignKeys }: TableDdl): {
  readonly beforeRows: readonly Definition[]
  readonly afterRows: readonly Definition[]
} {
  const toDefinition = ({ sql, kind, object }: TableDdl['beforeData'][number], isConstraint: boolean): Definition => {
    for (const item of splitScript(`${sql};`)) if (item.kind === 'statement') refuseBackslash(sql, item.tokens)
    // A name may hold a line's end, and would go on outside of the comment.
    const about = object === undefined ? null : `Type: ${kind}; Name: ${JSON.stringify(object.name)}`
    return { sql, about, isConstraint }
  }
  return {
    beforeRows: beforeData.map((statement) => toDefinition(statement, false)),
    afterRows: [
      ...afterData.map((statement) => toDefinition(statement, false)),
      ...foreignKeys.map((statement) => toDefinition(statement, true)),
    ],
  }
}
