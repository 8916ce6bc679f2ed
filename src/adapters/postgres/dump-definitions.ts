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

/** What an entry of a verbose dump is of: the row of a catalogue ('0' where there is none), and entries that it goes with. */
export interface EntryHead {
  /** pg_dump's own number of it. */
  readonly id: string
  readonly classId: string
  readonly objectId: string
  readonly dependencies: readonly string[]
}

/** A statement of a section. */
export interface Entry {
  /** Null for what stands between entries, and where the dump is not verbose. */
  readonly head: EntryHead | null
  readonly tokens: readonly Token[]
  readonly definition: Definition
}

export type SectionStatement = Omit<Entry, 'head'>

/** What a section has of one object, or says of it. */
export interface SectionEntry extends EntryHead {
  readonly statements: readonly SectionStatement[]
}

const NO_HEAD: EntryHead = { id: '', dependencies: [], classId: '0', objectId: '0' }

/** The entries of a section, each with its statements. @throws AppError as `readEntries` */
export function readSection(dump: string, others: Grantors = new Set()): readonly SectionEntry[] {
  const found: (EntryHead & { readonly statements: SectionStatement[] })[] = []
  for (const { head, ...statement } of readEntries(dump, others)) {
    const last = found.at(-1)
    if (head !== null && last?.id === head.id) last.statements.push(statement)
    else found.push({ ...(head ?? NO_HEAD), statements: [statement] })
  }
  return found
}

/** Roles that have given rights on what others own. */
export type Grantors = Set<string>

/**
 * The statements of a section, as they are read. Rights that somebody else than the owner has given are given by whoever
 * restores the dump: nobody goes on as somebody else for them.
 * @throws AppError `internal` where the dump is cut or has a statement of an unknown kind; `unsafe_definition`
 */
export function* readEntries(dump: string, others: Grantors): Generator<Entry> {
  let about: string | null = null
  let head: EntryHead | null = null
  let complete = false
  for (const item of splitScript(dump)) {
    if (item.kind === 'backslash') {
      if (!/^\\(?:un)?restrict /.test(item.text)) throw unsafe(item.text)
    } else if (item.kind === 'comment') {
      if (item.text.startsWith(ABOUT)) about = item.text.slice('-- '.length)
      head = headOf(item.text, head)
      complete ||= item.text === END_MARK
    } else {
      const { tokens } = item
      const grantor = grantorOf(tokens)
      if (grantor !== null) others.add(grantor)
      const sql = keep(item.text, tokens)
      if (sql === null) continue
      const definition = { sql, about, isConstraint: isForeignKey(tokens) }
      yield { head: isSessionSetting(tokens) ? null : head, tokens, definition }
      about = null
    }
  }
  if (!complete) throw new AppError('internal', 'The definitions are cut.')
}

function headOf(comment: string, head: EntryHead | null): EntryHead | null {
  const [, id, classId, objectId] = HEADER.exec(comment) ?? []
  if (id !== undefined && classId !== undefined && objectId !== undefined) {
    return { id, classId, objectId, dependencies: [] }
  }
  const dependencies = DEPENDENCIES.exec(comment)?.[1]?.trim().split(' ')
  // A definition may hold such a line too: the first one is of the entry.
  if (head === null || dependencies === undefined || head.dependencies.length > 0) return head
  return { ...head, dependencies }
}

/** The role in SET SESSION AUTHORIZATION. */
function grantorOf(tokens: readonly Token[]): string | null {
  const isSet = isWord(tokens[0], 'SET') && isWord(tokens[1], 'SESSION') && isWord(tokens[2], 'AUTHORIZATION')
  return isSet ? (tokens[3]?.text ?? null) : null
}

/** As what follows it is run again by whoever restores the dump. */
function isReset(tokens: readonly Token[]): boolean {
  return isWord(tokens[0], 'RESET') && isWord(tokens[1], 'SESSION') && isWord(tokens[2], 'AUTHORIZATION')
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
  if (isUserMapping(tokens) || isReset(tokens)) return null
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
