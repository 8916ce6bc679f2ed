import { resolveHost } from '#lib/network-address.ts'
import type { Check } from '#model/check.ts'
import { describeConnection, type ConnectionParts, type Datasource, type DatasourceKind } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { isLocalHost, type WritePermit } from '#model/write-protection.ts'
import type { Adapter } from './adapter.ts'
import type { PreviewQuestion, RowsPreview, TableDescription } from './catalogue.ts'
import type { ChangeScript } from './change-script.ts'
import { unwrapUrl, type ParsedUrl } from './connection-url.ts'
import { mysqlChangeScript } from './mysql/change-script.ts'
import { MYSQL_SCHEMES, parseMysqlUrl } from './mysql/connection-url.ts'
import { offersDatabase, parseMysqlEndpoint, toMysqlEndpoint } from './mysql/endpoint.ts'
import { allowedOnly, type DescribedDatabase } from './place.ts'
import { examine, openPostgres } from './postgres/adapter.ts'
import { readCatalogue, readPreview } from './postgres/browse.ts'
import { changeScript } from './postgres/change-script.ts'
import { parseConnectionUrl } from './postgres/connection-url.ts'
import { offersSchema as endpointOffers, parseEndpoint, toEndpoint } from './postgres/endpoint.ts'
import { openPostgrest } from './postgrest/adapter.ts'
import { readApiCatalogue, readApiPreview } from './postgrest/browse.ts'
import { examineProject } from './postgrest/examine.ts'

export type { ChangeScript } from './change-script.ts'
export type { RowsPreview, TableDescription } from './catalogue.ts'
export type { ParsedUrl } from './connection-url.ts'
export type { DescribedDatabase } from './place.ts'
export { parseProjectUrl } from './postgrest/place.ts'
export { projectScript } from './postgrest/script.ts'

/** A database by its URL, as somebody at this machine gives it, or by its parts. */
export type DatabasePlace = string | DescribedDatabase

export interface OpenOptions {
  /** Null: the adapter has no writer, and its sessions are read-only in the database itself. */
  readonly write: WritePermit | null
  readonly signal: AbortSignal
}

interface ExamineOptions {
  readonly steps: 'sync' | 'all'
  readonly signal: AbortSignal
}

/** What an adapter does with one database, whose place it knows. */
interface Door {
  readonly connection: Pick<ConnectionParts, 'user' | 'host' | 'port' | 'database'>
  open(options: { write: boolean; signal: AbortSignal }): Promise<Adapter>
  examine(options: ExamineOptions): AsyncIterable<Check>
  list(signal: AbortSignal): Promise<readonly TableDescription[]>
  preview(question: PreviewQuestion, signal: AbortSignal): Promise<RowsPreview>
  offers(schema: string): boolean
}

/** Finds the adapter of a place: the one place that knows every kind. @throws AppError `invalid_url` */
function doorOf(place: DatabasePlace): Door {
  if (typeof place === 'string') return engineOf(place) === 'mysql' ? mysqlDoor(place) : postgresDoor(place)
  if (place.connection.projectUrl !== null) return projectDoor(place)
  return place.kind === 'mysql' ? mysqlDoor(place) : postgresDoor(place)
}

function postgresDoor(place: DatabasePlace): Door {
  const endpoint = typeof place === 'string' ? parseEndpoint(place) : toEndpoint(place)
  return {
    connection: endpoint,
    open: (options) => openPostgres(endpoint, options),
    examine: (options) => examine(endpoint, options),
    list: (signal) => readCatalogue(endpoint, signal),
    preview: (question, signal) => readPreview(endpoint, question, signal),
    offers: (schema) => endpointOffers(endpoint, schema),
  }
}

/** With its driver it is a sixth of all the code of a run: it is loaded where somebody opens such a database. */
const mysql = {
  adapter: () => import('./mysql/adapter.ts'),
  browse: () => import('./mysql/browse.ts'),
  examine: () => import('./mysql/examine.ts'),
}

function mysqlDoor(place: DatabasePlace): Door {
  const endpoint = typeof place === 'string' ? parseMysqlEndpoint(place) : toMysqlEndpoint(place)
  return {
    connection: endpoint,
    open: async (options) => (await mysql.adapter()).openMysql(endpoint, options),
    async *examine(options) {
      yield* (await mysql.examine()).examineMysql(endpoint, options)
    },
    list: async (signal) => (await mysql.browse()).readMysqlCatalogue(endpoint, signal),
    preview: async (question, signal) => (await mysql.browse()).readMysqlPreview(endpoint, question, signal),
    offers: (schema) => offersDatabase(endpoint, schema),
  }
}

/** A project that is reached over its REST API, and not over a database's port. */
function projectDoor(place: DescribedDatabase): Door {
  return {
    connection: place.connection,
    open: (options) => openPostgrest(place, options),
    examine: ({ signal }) => examineProject(place, signal),
    list: (signal) => readApiCatalogue(place, signal),
    preview: (question, signal) => readApiPreview(place, question, signal),
    offers: (schema) => endpointOffers(toEndpoint(place), schema),
  }
}

/** Opens a database. @throws AppError with cause and next step */
export async function openDatabase(place: DatabasePlace, { write, signal }: OpenOptions): Promise<Adapter> {
  const door = doorOf(place)
  const address = describeConnection(door.connection)
  if (write !== null && !write.covers(address)) {
    throw new AppError('internal', `The permit to write was given for another database than ${address}.`)
  }
  return await door.open({ write: write !== null, signal })
}

/** Looks at a database, step by step. `all`: what change capture needs as well. @throws AppError `invalid_url` */
export function examineDatabase(place: DatabasePlace, options: ExamineOptions): AsyncIterable<Check> {
  return doorOf(place).examine(options)
}

/** All tables and views of a database, those of its provider included, in the order of schema and name. @throws AppError */
export function listTables(place: DescribedDatabase, signal: AbortSignal): Promise<readonly TableDescription[]> {
  return doorOf(place).list(signal)
}

/** The first rows of a table, 100 at most. @throws AppError `table_not_found`, `missing_privilege`, `row_level_security` */
export function previewRows(
  place: DescribedDatabase,
  question: PreviewQuestion,
  signal: AbortSignal,
): Promise<RowsPreview> {
  return doorOf(place).preview(question, signal)
}

const SCRIPTS: Readonly<Record<DatasourceKind, ChangeScript>> = {
  postgres: changeScript,
  supabase: changeScript,
  neon: changeScript,
  mysql: mysqlChangeScript,
}

/** How changes are written down for a database of this kind. */
export function changeScriptFor({ kind }: Pick<Datasource, 'kind'>): ChangeScript {
  return SCRIPTS[kind]
}

/** Whether a schema is offered where nobody named it: one of those that were chosen, or none of the provider's own. */
export function offersSchema(place: DescribedDatabase, schema: string): boolean {
  return doorOf(place).offers(schema)
}

/** What can be told of a URL without connecting. @throws AppError `invalid_url` */
export function locateDatabase(url: string): { readonly address: string; readonly local: boolean } {
  const { connection } = doorOf(url)
  return { address: describeConnection(connection), local: isLocalHost(connection.host) }
}

/**
 * Takes a URL apart that came from elsewhere: no option of it makes us read a file of this machine (S34).
 * @throws AppError `invalid_url`, never with the password in its message
 */
export function parseDatabaseUrl(url: string): ParsedUrl {
  return (engineOf(url) === 'mysql' ? parseMysqlUrl : parseConnectionUrl)(url, { readFile: null })
}

/** Finds the addresses of a host, and refuses those that no datasource may have. */
export const resolveAllowed = allowedOnly(resolveHost)

const PROJECT_HINT =
  'A Supabase project is registered with its key: syncline datasources add NAME https://PROJECT.supabase.co --service-role-key env:NAME'

/** Whose URL it is, by its scheme. @throws AppError `invalid_url` */
function engineOf(url: string): 'postgres' | 'mysql' {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(unwrapUrl(url))?.[1]
  if (scheme === undefined) throw new AppError('invalid_url', 'A database is named by its URL.')
  if (MYSQL_SCHEMES.test(scheme)) return 'mysql'
  if (/^postgres(ql)?$/i.test(scheme)) return 'postgres'
  const isWeb = /^https?$/i.test(scheme)
  throw new AppError('invalid_url', `There is no adapter for ${scheme}: URLs.`, isWeb ? { hint: PROJECT_HINT } : {})
}
