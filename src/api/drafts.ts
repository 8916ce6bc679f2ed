import type { ConnectionInput, DatasourceInput } from '#api/contract/datasources.ts'
import { InvalidRequest, type Place } from '#api/problem.ts'
import type { ApiTools } from '#api/tools.ts'
import { parseProjectUrl, type ParsedUrl } from '#adapters/registry.ts'
import type { DatasourceDraft } from '#control/datasources.ts'
import { Secret } from '#lib/secret.ts'
import {
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_POOL_SIZE,
  DEFAULT_PORTS,
  type ConnectionParts,
} from '#model/datasource.ts'
import { parseEnvironment } from '#model/environment.ts'

/** A draft whose password may be left as it is. */
export type DraftChange = Omit<DatasourceDraft, 'password'> & { password?: DatasourceDraft['password'] }

/** Parts of an address that a URL holds already. */
const IN_URL = ['host', 'port', 'database', 'user', 'password'] as const

const KEY_FIELDS = ['service_role_key', 'service_role_key_reference'] as const
const NO_PROJECT = [...(['url', 'password_reference', 'ssl'] as const), ...IN_URL] as const

/** What somebody says of a datasource, with its URL taken apart. @throws InvalidRequest, AppError `invalid_url` */
export function toDraft(tools: ApiTools, input: DatasourceInput): DraftChange {
  const { name, schemas = null, pool_size: poolSize = DEFAULT_POOL_SIZE, environment = null, writable = false } = input
  return {
    name,
    ...toConnection(tools, input),
    schemas,
    poolSize,
    environment: environment === null ? null : parseEnvironment(environment),
    writable,
  }
}

/** A connection that is tried and not kept. */
export function toUnkeptDraft(tools: ApiTools, input: ConnectionInput): DatasourceDraft {
  const { password = null, ...connection } = toConnection(tools, input)
  return {
    name: 'unnamed',
    ...connection,
    password,
    schemas: null,
    poolSize: 1,
    environment: null,
    writable: false,
  }
}

function toConnection(
  { datasources }: ApiTools,
  input: ConnectionInput,
): Pick<DraftChange, 'kind' | 'connection' | 'connectTimeoutMs' | 'password'> {
  refuseContradictions(input)
  if (input.project_url !== undefined) return toProject(input, input.project_url)
  const url = input.url === undefined ? null : datasources.parseUrl(new Secret(input.url))
  return {
    kind: input.kind ?? url?.kind ?? 'postgres',
    connection: toParts(input, url),
    connectTimeoutMs: input.connect_timeout_ms ?? url?.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    ...toPassword(input, url),
  }
}

/** A project that is reached over its REST API: its URL is its address, and the key its password. */
function toProject(
  input: ConnectionInput,
  url: string,
): Pick<DraftChange, 'kind' | 'connection' | 'connectTimeoutMs' | 'password'> {
  return {
    kind: 'supabase',
    connection: parseProjectUrl(url, input.ca ?? null),
    connectTimeoutMs: input.connect_timeout_ms ?? DEFAULT_CONNECT_TIMEOUT_MS,
    ...toSecret(input.service_role_key, input.service_role_key_reference),
  }
}

function toParts(input: ConnectionInput, url: ParsedUrl | null): ConnectionParts {
  const { ssl = null, ca = null } = input
  if (url !== null) return { ...url.connection, ...(ssl === null ? {} : { ssl }), ...(ca === null ? {} : { ca }) }
  const { host, port = DEFAULT_PORTS[input.kind ?? 'postgres'], database, user } = input
  if (host === undefined || database === undefined || user === undefined) {
    const missing = (['host', 'database', 'user'] as const).filter((name) => input[name] === undefined)
    throw new InvalidRequest(
      missing.map((name) => place(name, 'Without url, this is needed.')),
      'A connection is a url, or at least host, database and user.',
    )
  }
  return { host, port, database, user, ssl, ca, projectUrl: null }
}

/** Nothing where no password was mentioned: a new datasource has none then, and an old one keeps its own. */
function toPassword(input: ConnectionInput, url: ParsedUrl | null): Pick<DraftChange, 'password'> {
  const stated = toSecret(input.password, input.password_reference)
  return 'password' in stated || url === null || url.password === null ? stated : { password: url.password }
}

function toSecret(secret: string | null | undefined, reference: string | undefined): Pick<DraftChange, 'password'> {
  if (reference !== undefined) return { password: { reference } }
  if (secret === undefined) return {}
  return { password: secret === null || secret === '' ? null : new Secret(secret) }
}

function refuseContradictions(input: ConnectionInput): void {
  const twice = input.url === undefined ? [] : IN_URL.filter((name) => input[name] !== undefined)
  const places = twice.map((name) => place(name, 'The url says this already.'))
  if (input.password_reference !== undefined && (input.password ?? null) !== null) {
    places.push(place('password_reference', 'A password is kept or referred to, not both.'))
  }
  places.push(...refuseMixture(input))
  if (places.length > 0) throw new InvalidRequest(places)
}

/** A project is reached by its URL and its key, a database by everything else. */
function refuseMixture(input: ConnectionInput): Place[] {
  const { kind, project_url: project, service_role_key: key, service_role_key_reference: reference } = input
  if (project === undefined) {
    return KEY_FIELDS.filter((name) => input[name] !== undefined).map((name) =>
      place(name, 'This goes with project_url.'),
    )
  }
  const places = NO_PROJECT.filter((name) => (input[name] ?? null) !== null).map((name) =>
    place(name, 'A project_url stands in place of this.'),
  )
  if (kind !== undefined && kind !== 'supabase') places.push(place('kind', 'A project_url is of the kind supabase.'))
  if (reference !== undefined && (key ?? null) !== null) {
    places.push(place('service_role_key_reference', 'A key is kept or referred to, not both.'))
  }
  return places
}

function place(name: string, message: string): Place {
  return { place: `body#/${name}`, message }
}
