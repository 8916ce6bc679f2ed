import { resolveHost } from '#lib/network-address.ts'
import type { Check } from '#model/check.ts'
import { describeConnection, type Datasource, type DatasourceKind } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { isLocalHost, type WritePermit } from '#model/write-protection.ts'
import type { Adapter } from './adapter.ts'
import type { ChangeScript } from './change-script.ts'
import { examine, openPostgres } from './postgres/adapter.ts'
import {
  readCatalogue,
  readPreview,
  type PreviewQuestion,
  type RowsPreview,
  type TableDescription,
} from './postgres/browse.ts'
import { changeScript } from './postgres/change-script.ts'
import { parseConnectionUrl, type ParsedUrl } from './postgres/connection-url.ts'
import {
  allowedOnly,
  offersSchema as endpointOffers,
  parseEndpoint,
  toEndpoint,
  type DescribedDatabase,
  type Endpoint,
} from './postgres/endpoint.ts'
import { openPostgrest } from './postgrest/adapter.ts'
import { readApiCatalogue, readApiPreview } from './postgrest/browse.ts'
import { examineProject } from './postgrest/examine.ts'

export type { ChangeScript } from './change-script.ts'
export type { RowsPreview, TableDescription } from './postgres/browse.ts'
export type { ParsedUrl } from './postgres/connection-url.ts'
export type { DescribedDatabase } from './postgres/endpoint.ts'
export { parseProjectUrl } from './postgrest/place.ts'

/** A database by its URL, as somebody at this machine gives it, or by its parts. */
export type DatabasePlace = string | DescribedDatabase

export interface OpenOptions {
  /** Null: the adapter has no writer, and its sessions are read-only in the database itself. */
  readonly write: WritePermit | null
  readonly signal: AbortSignal
}

/** Opens a database: the one place that knows every kind. @throws AppError with cause and next step */
export async function openDatabase(place: DatabasePlace, { write, signal }: OpenOptions): Promise<Adapter> {
  const options = { write: write !== null, signal }
  if (isProject(place)) {
    refuseOther(write, describeConnection(place.connection))
    return await openPostgrest(place, options)
  }
  const endpoint = endpointOf(place)
  refuseOther(write, describeConnection(endpoint))
  return await openPostgres(endpoint, options)
}

function refuseOther(permit: WritePermit | null, address: string): void {
  if (permit === null || permit.covers(address)) return
  throw new AppError('internal', `The permit to write was given for another database than ${address}.`)
}

/** A project that is reached over its REST API, and not over a database's port. */
function isProject(place: DatabasePlace): place is DescribedDatabase {
  return typeof place !== 'string' && place.connection.projectUrl !== null
}

/** Looks at a database, step by step. `all`: what change capture needs as well. @throws AppError `invalid_url` */
export function examineDatabase(
  place: DatabasePlace,
  { steps, signal }: { steps: 'sync' | 'all'; signal: AbortSignal },
): AsyncIterable<Check> {
  return isProject(place) ? examineProject(place, signal) : examine(endpointOf(place), { steps, signal })
}

/** All tables and views of a database, those of its provider included, in the order of schema and name. @throws AppError */
export function listTables(place: DescribedDatabase, signal: AbortSignal): Promise<readonly TableDescription[]> {
  return isProject(place) ? readApiCatalogue(place, signal) : readCatalogue(endpointOf(place), signal)
}

/** The first rows of a table, 100 at most. @throws AppError `table_not_found`, `missing_privilege`, `row_level_security` */
export function previewRows(
  place: DescribedDatabase,
  question: PreviewQuestion,
  signal: AbortSignal,
): Promise<RowsPreview> {
  return isProject(place) ? readApiPreview(place, question, signal) : readPreview(endpointOf(place), question, signal)
}

const SCRIPTS: Readonly<Record<DatasourceKind, ChangeScript>> = {
  postgres: changeScript,
  supabase: changeScript,
  neon: changeScript,
}

/** How changes are written down for a database of this kind. */
export function changeScriptFor({ kind }: Pick<Datasource, 'kind'>): ChangeScript {
  return SCRIPTS[kind]
}

/** Whether a schema is offered where nobody named it: one of those that were chosen, or none of the provider's own. */
export function offersSchema(place: DescribedDatabase, schema: string): boolean {
  return endpointOffers(endpointOf(place), schema)
}

/** What can be told of a URL without connecting. @throws AppError `invalid_url` */
export function locateDatabase(url: string): { readonly address: string; readonly local: boolean } {
  const endpoint = endpointOf(url)
  return { address: describeConnection(endpoint), local: isLocalHost(endpoint.host) }
}

/**
 * Takes a URL apart that came from elsewhere: no option of it makes us read a file of this machine (S34).
 * @throws AppError `invalid_url`, never with the password in its message
 */
export function parseDatabaseUrl(url: string): ParsedUrl {
  refuseUnknown(url)
  return parseConnectionUrl(url, { readFile: null })
}

/** Finds the addresses of a host, and refuses those that no datasource may have. */
export const resolveAllowed = allowedOnly(resolveHost)

function endpointOf(place: DatabasePlace): Endpoint {
  if (typeof place !== 'string') return toEndpoint(place)
  refuseUnknown(place)
  return parseEndpoint(place)
}

const PROJECT_HINT =
  'A Supabase project is registered with its key: syncline datasources add NAME https://PROJECT.supabase.co --service-role-key env:NAME'

function refuseUnknown(url: string): void {
  const scheme = /^\s*([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]
  if (scheme === undefined && !/postgres(ql)?:\/\//i.test(url)) {
    throw new AppError('invalid_url', 'A database is named by its URL.')
  }
  if (scheme !== undefined && !/^postgres(ql)?$/i.test(scheme)) {
    const isWeb = /^https?$/i.test(scheme)
    throw new AppError('invalid_url', `There is no adapter for ${scheme}: URLs.`, isWeb ? { hint: PROJECT_HINT } : {})
  }
}
