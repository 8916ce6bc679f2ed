/**
 * The definitions of tables, as statements that make the same tables elsewhere. pg_dump writes and orders them; the
 * catalog says which of them the tables need; both look at one snapshot.
 */
import type { Client } from 'pg'

import type { TableDdl } from '#adapters/table-ddl.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'

import {
  readClosure,
  readExclusions,
  readForeignKeys,
  readTableFacts,
  readTableOids,
  type CatalogObject,
  type Exclusions,
  type TableFacts,
} from './ddl-catalog.ts'
import { selectTableDdl, type TableSet } from './ddl-select.ts'
import { readValue, withDumper, type DumperOptions } from './ddl-sessions.ts'
import { readDumpEntries } from './dump-entries.ts'
import { quote, quoteTable } from './sql.ts'

export interface TableDdlOptions extends DumperOptions {
  /** Ordinary and partitioned tables. A root brings its partitions, and a partition its root. */
  readonly tables: readonly TableRef[]
  /** Major version of the server that the statements are for. */
  readonly targetMajor: number
  /** Who owns what, and who has been granted what; by default everything belongs to whoever makes it. */
  readonly owners?: boolean
  readonly grants?: boolean
}

/**
 * Reads the definitions of tables.
 *
 * @throws {AppError} `table_not_found`, `missing_privilege`, `server_not_supported`, `pooler_not_supported`,
 *   `connection_lost` (also when the time is up), `interrupted` (by the signal), `database_error`.
 */
export function readTableDdl(options: TableDdlOptions): Promise<TableDdl> {
  return withDumper(options, async ({ catalog, run }) => {
    const set = await readTableSet(catalog, options.tables)
    await assertReadable(catalog, set)
    const exclusions = await excludePatterns(catalog, set)
    const dump = await run(dumpArguments(options, exclusions))
    return selectTableDdl(readDumpEntries(dump), set, { grants: options.grants ?? false })
  })
}

async function readTableSet(client: Client, tables: readonly TableRef[]): Promise<TableSet> {
  const oids = await readTableOids(client, tables)
  const missing = tables.filter((_, index) => oids[index] === null)
  if (missing.length > 0) {
    throw new AppError('table_not_found', `the source has no table ${missing.map(quoteTable).join(', ')}`)
  }
  const wanted = oids.filter((oid) => oid !== null)
  const objects = await readClosure(client, wanted)
  const relations = objects.filter(isTable).map((object) => object.objectId)
  const facts = await readTableFacts(client, relations)
  return { wanted, objects, tables: facts, foreignKeys: await readForeignKeys(client, relations) }
}

function isTable({ catalog, kind }: CatalogObject): boolean {
  return catalog === 'pg_class' && (kind === 'r' || kind === 'p' || kind === 'f')
}

/** pg_dump locks each table in ACCESS SHARE mode, for which it takes the right to read it. */
async function assertReadable(client: Client, { tables }: TableSet): Promise<void> {
  const refused = tables.filter((table) => !table.selectable || !table.schemaUsable)
  if (refused.length === 0) return
  const role = quote(await readValue(client, 'current_user'))
  const names = refused.map(quoteTable).join(', ')
  throw new AppError('missing_privilege', `permission denied for ${names}: pg_dump locks each table for reading`, {
    hint: `Run as the owner: ${grants(refused, role).join('; ')}`,
  })
}

function grants(refused: readonly TableFacts[], role: string): string[] {
  const schemas = refused.filter((table) => !table.schemaUsable).map((table) => quote(table.schema))
  const tables = refused.filter((table) => !table.selectable).map(quoteTable)
  return [
    ...(schemas.length > 0 ? [`GRANT USAGE ON SCHEMA ${[...new Set(schemas)].join(', ')} TO ${role}`] : []),
    ...(tables.length > 0 ? [`GRANT SELECT ON ${tables.join(', ')} TO ${role}`] : []),
  ]
}

const OLDEST_WITH_TOAST_COMPRESSION = 14

/** All identifiers are quoted, because a name may be a key word to a newer server, and then mean something else. */
function dumpArguments(
  { targetMajor, owners = false, grants = false }: TableDdlOptions,
  exclusions: readonly string[],
): string[] {
  return [
    '--schema-only',
    '--verbose',
    '--quote-all-identifiers',
    ...(owners ? [] : ['--no-owner']),
    ...(grants ? [] : ['--no-privileges']),
    '--no-tablespaces',
    '--no-table-access-method',
    '--no-security-labels',
    '--no-publications',
    '--no-subscriptions',
    '--no-policies',
    ...(targetMajor < OLDEST_WITH_TOAST_COMPRESSION ? ['--no-toast-compression'] : []),
    ...exclusions,
  ]
}

/** The arguments lie on the stack of the WebAssembly program: 60 kB were found to pass, 200 kB to overflow it. */
const MAX_PATTERN_BYTES = 48 * 1024

/**
 * Keeps pg_dump from what is not needed, above all from locking it. Where that is too much to say, it looks at readable
 * tables in vain.
 */
export async function excludePatterns(client: Client, { objects }: Pick<TableSet, 'objects'>): Promise<string[]> {
  for (const which of ['all', 'unreadable'] as const) {
    const patterns = patternsOf(await readExclusions(client, objects, which))
    if (Buffer.byteLength(patterns.join('')) <= MAX_PATTERN_BYTES) return patterns
  }
  return []
}

function patternsOf({ schemas, relations }: Exclusions): string[] {
  return [
    ...alternatives(schemas).map((pattern) => `--exclude-schema=${pattern}`),
    ...relations.flatMap(({ schema, names }) =>
      alternatives(names).map((pattern) => `--exclude-table=${quote(schema)}.${pattern}`),
    ),
  ]
}

/** Each pattern is a query of its own to pg_dump. */
const NAMES_PER_PATTERN = 100

/** Patterns of psql that match these names and no other. */
function alternatives(names: readonly string[]): string[] {
  const patterns: string[] = []
  for (let at = 0; at < names.length; at += NAMES_PER_PATTERN) {
    patterns.push(
      `(${names
        .slice(at, at + NAMES_PER_PATTERN)
        .map((name) => quote(name))
        .join('|')})`,
    )
  }
  return patterns
}
