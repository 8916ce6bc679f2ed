import type { Check } from './check.ts'
import type { Environment } from './environment.ts'
import { UNNAMED_SCHEMA } from './table.ts'

/**
 * `supabase` and `neon` are presets over `postgres`: what is known of their addresses and poolers. `mysql` is MySQL and
 * MariaDB.
 */
export const DATASOURCE_KINDS = ['postgres', 'supabase', 'neon', 'mysql'] as const

export type DatasourceKind = (typeof DATASOURCE_KINDS)[number]

/** Where a server of the kind listens where nobody says otherwise. */
export const DEFAULT_PORTS: Readonly<Record<DatasourceKind, number>> = {
  postgres: 5_432,
  supabase: 5_432,
  neon: 5_432,
  mysql: 3_306,
}

export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

export type SslMode = (typeof SSL_MODES)[number]

/** Where a datasource is and how it is entered, without its secrets. */
export interface ConnectionParts {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** Null: `prefer` on this machine, `verify-full` elsewhere. */
  readonly ssl: SslMode | null
  /** PEM certificates to trust in place of the system's. */
  readonly ca: string | null
  /**
   * The origin of a project that is reached over its REST API, `https://PROJECT.supabase.co`, in place of a database's
   * port: host and port are its own then, and the password is the key. Null: a database's port.
   */
  readonly projectUrl: string | null
}

/**
 * Where the password is: nowhere, kept encrypted in the control store, or somewhere else under a reference that is
 * looked up at each connection (`env:NAME`, `file:PATH`, `vault:PATH#FIELD`).
 */
export type PasswordSource =
  | { readonly kind: 'none' }
  | { readonly kind: 'stored' }
  | { readonly kind: 'reference'; readonly reference: string }

/** The server that a datasource was when it was first opened: another one under the same name is refused (hazard D11). */
export interface ServerPin {
  readonly host: string
  /** `ServerInfo.identity` of the adapter. */
  readonly identity: string
}

/** How a connection test ended. `ok` is false where a step failed. */
export interface ConnectionTest {
  readonly at: string
  readonly ok: boolean
  readonly checks: readonly Check[]
}

/** A database that we may connect to. Read-only until it is marked `writable`. */
export interface Datasource {
  readonly id: string
  readonly name: string
  readonly kind: DatasourceKind
  readonly connection: ConnectionParts
  readonly password: PasswordSource
  /** Schemas that are offered; null: all that are the user's own. */
  readonly schemas: readonly string[] | null
  /** Connections that all jobs together may hold open to it. */
  readonly poolSize: number
  readonly connectTimeoutMs: number
  /** Null: `local` on this machine, `production` elsewhere. */
  readonly environment: Environment | null
  readonly writable: boolean
  /** `environment`: from a variable, read-only. `ad_hoc`: made for a job that named its connections itself. */
  readonly origin: 'stored' | 'environment' | 'ad_hoc'
  readonly pin: ServerPin | null
  readonly lastTest: ConnectionTest | null
  readonly createdAt: string
  readonly updatedAt: string
  /** Grows with every change: the entity tag of its state. */
  readonly version: number
}

/** Room for two jobs that do one thing at a time. */
export const DEFAULT_POOL_SIZE = 12
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000

/** Where tables are that are named without a schema. */
export function homeSchemaOf({ kind, connection }: Pick<Datasource, 'kind' | 'connection'>): string {
  return kind === 'mysql' ? connection.database : UNNAMED_SCHEMA
}

/** For people, without secrets: `user@host:port/database`. */
export function describeConnection({
  user,
  host,
  port,
  database,
}: Pick<ConnectionParts, 'user' | 'host' | 'port' | 'database'>): string {
  return `${user}@${host}:${port}/${database}`
}
