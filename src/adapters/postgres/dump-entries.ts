/**
 * Reads the entries of a plain, verbose dump with all identifiers quoted. Each entry is headed by the catalog row that
 * it came from, so that no name has to be read from a comment, where names are mangled.
 */
import { AppError } from '#model/errors.ts'

import { isWord, splitScript, type Token } from './sql-statements.ts'

export interface DumpStatement {
  readonly sql: string
  readonly tokens: readonly Token[]
}

export interface DumpEntry {
  /** pg_dump's own number of the entry. */
  readonly id: string
  /** OIDs of the catalog and of the row in it; '0' where the entry is a part of another object. */
  readonly classId: string
  readonly objectId: string
  /** Numbers of entries that this one belongs to; pg_dump writes them for comments and owned sequences only. */
  readonly dependencies: readonly string[]
  readonly statements: readonly DumpStatement[]
}

/** The line of a comment that an entry begins with. */
export const HEADER = /^-- TOC entry (\d+) \(class (\d+) OID (\d+)\)$/
export const DEPENDENCIES = /^-- Dependencies:((?: \d+)+)$/
const END_MARK = '-- PostgreSQL database dump complete'

/** What an entry of a schema may do; a dump that holds anything else is refused. */
const ALLOWED = ['CREATE', 'ALTER', 'COMMENT', 'GRANT', 'REVOKE']

/**
 * The entries in pg_dump's order, without session settings, and without the storage parameter `pg_attver` that some
 * servers keep for themselves and others refuse.
 *
 * @throws {AppError} `internal` if the dump is cut or has a statement of an unknown kind.
 */
export function readDumpEntries(dump: string): DumpEntry[] {
  const entries: DumpEntry[] = []
  let statements: DumpStatement[] = []
  let header: { id: string; classId: string; objectId: string } | undefined
  let dependencies: readonly string[] = []
  let complete = false
  const close = (): void => {
    if (header) entries.push({ ...header, dependencies, statements })
    statements = []
    dependencies = []
  }
  for (const item of splitScript(dump)) {
    if (item.kind === 'backslash') {
      if (!/^\\(?:un)?restrict /.test(item.text)) throw new AppError('internal', 'the dump holds a command of psql')
    } else if (item.kind === 'comment') {
      const [, id, classId, objectId] = HEADER.exec(item.text) ?? []
      if (id !== undefined && classId !== undefined && objectId !== undefined) {
        close()
        header = { id, classId, objectId }
      }
      if (statements.length === 0) dependencies = DEPENDENCIES.exec(item.text)?.[1]?.trim().split(' ') ?? dependencies
      complete ||= item.text === END_MARK
    } else if (!isSessionSetting(item.tokens)) {
      if (!header || !ALLOWED.some((word) => isWord(item.tokens[0], word))) {
        throw new AppError('internal', `the dump holds an unknown statement: ${item.text.slice(0, 200)}`)
      }
      const statement = withoutVersionOption({ sql: item.text, tokens: item.tokens })
      if (statement) statements.push(statement)
    }
  }
  close()
  if (!complete) throw new AppError('internal', 'the dump is cut')
  return entries
}

/** SET, or the SELECT that sets the search path: pg_dump writes them between entries. */
export function isSessionSetting(tokens: readonly Token[]): boolean {
  return (
    isWord(tokens[0], 'SET') || (isWord(tokens[0], 'SELECT') && tokens.some((token) => token.text === 'set_config'))
  )
}

const VERSION_OPTION = 'pg_attver'

/** `ALTER TABLE … ALTER COLUMN … SET (options)` less one option; undefined if none is left. */
export function withoutVersionOption(statement: DumpStatement): DumpStatement | undefined {
  const { sql, tokens } = statement
  if (!isWord(tokens[0], 'ALTER')) return statement
  const open = tokens.findIndex((token, index) => token.text === '(' && isWord(tokens[index - 1], 'SET'))
  const close = tokens.at(-1)
  const opening = tokens[open]
  if (!opening || close?.text !== ')') return statement
  const options = splitOptions(tokens.slice(open + 1, -1))
  const kept = options.filter(([first]) => first?.text.replaceAll('"', '') !== VERSION_OPTION)
  if (kept.length === options.length) return statement
  if (kept.length === 0) return undefined
  const offset = tokens[0]?.start ?? 0
  const texts = kept.map((option) => sql.slice((option[0]?.start ?? 0) - offset, (option.at(-1)?.end ?? 0) - offset))
  return { sql: `${sql.slice(0, opening.end - offset)}${texts.join(', ')})`, tokens: [] }
}

function splitOptions(tokens: readonly Token[]): Token[][] {
  const options: Token[][] = [[]]
  for (const token of tokens) {
    if (token.text === ',') options.push([])
    else options.at(-1)?.push(token)
  }
  return options
}
