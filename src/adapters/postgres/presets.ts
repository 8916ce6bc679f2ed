import type { DatasourceKind } from '#model/datasource.ts'

/**
 * What is known of the addresses of hosted PostgreSQL. Sources: the connection pages of supabase.com/docs/guides/database,
 * neon.com/docs/connect, and docs.aws.amazon.com (RDS, SSL).
 */
export interface Preset {
  readonly kind: DatasourceKind
  /** For people. */
  readonly provider: string
  readonly way: 'direct' | 'session pooler' | 'transaction pooler'
  /** What the provider calls the project or the endpoint; null where the address does not tell. */
  readonly project: string | null
}

interface Address {
  readonly host: string
  readonly port: number
  readonly user: string
}

/** Supavisor and PgBouncer of Supabase listen here in transaction mode. */
const TRANSACTION_PORT = 6543

/** Recognises a provider by host and port; null where the address is nobody's in particular. */
export function recognise({ host: given, port, user }: Address): Preset | null {
  const host = given.toLowerCase().replace(/\.$/, '')
  const direct = /^db\.([a-z0-9]+)\.supabase\.(?:co|com|in|net|red)$/.exec(host)
  if (direct) {
    const way = port === TRANSACTION_PORT ? 'transaction pooler' : 'direct'
    return { kind: 'supabase', provider: 'Supabase', way, project: direct[1] ?? null }
  }
  if (host.endsWith('.pooler.supabase.com')) {
    const way = port === TRANSACTION_PORT ? 'transaction pooler' : 'session pooler'
    return { kind: 'supabase', provider: 'Supabase', way, project: /\.([a-z0-9]+)$/.exec(user)?.[1] ?? null }
  }
  const neon = /^(ep-[a-z0-9-]+?)(-pooler)?\.(?:[a-z0-9-]+\.)*neon\.(?:tech|build)$/.exec(host)
  if (neon) {
    const way = neon[2] === undefined ? 'direct' : 'transaction pooler'
    return { kind: 'neon', provider: 'Neon', way, project: neon[1] ?? null }
  }
  for (const [ending, provider] of OTHERS) {
    if (host.endsWith(ending)) return { kind: 'postgres', provider, way: 'direct', project: null }
  }
  return null
}

const OTHERS: readonly (readonly [ending: string, provider: string])[] = [
  ['.rds.amazonaws.com', 'Amazon RDS'],
  ['.postgres.database.azure.com', 'Azure Database for PostgreSQL'],
  ['.psdb.cloud', 'PlanetScale'],
  ['.ondigitalocean.com', 'DigitalOcean'],
]

/** A pooler by its address alone; others show themselves only once they are connected to. */
export function isPooler(address: Address): boolean {
  if (address.port === TRANSACTION_PORT || address.host.includes('-pooler.')) return true
  return (recognise(address)?.way ?? 'direct') !== 'direct'
}

/** The provider's own schemas, which are no data of its customers. */
const INTERNAL: Readonly<Record<DatasourceKind, readonly string[]>> = {
  postgres: [],
  supabase: [
    '_analytics',
    '_realtime',
    '_supavisor',
    'auth',
    'cron',
    'extensions',
    'graphql',
    'graphql_public',
    'net',
    'pgbouncer',
    'pgmq',
    'pgsodium',
    'pgsodium_masks',
    'realtime',
    'storage',
    'supabase_functions',
    'supabase_migrations',
    'vault',
  ],
  neon: ['neon', 'neon_migration'],
  mysql: [],
}

/**
 * The provider's own extensions, which are nowhere else, or only where a server is set up for them, and its roles. Ordinary ones
 * (pgcrypto, hstore, postgis, vector) are the customer's. Source: supabase.com/docs/guides/database/extensions and /postgres/roles.
 */
export interface Provided {
  readonly extensions: readonly string[]
  readonly roles: readonly string[]
}

const NOTHING_PROVIDED: Provided = { extensions: [], roles: [] }

const PROVIDED: Readonly<Record<DatasourceKind, Provided>> = {
  postgres: NOTHING_PROVIDED,
  supabase: {
    extensions: [
      'pg_cron',
      'pg_graphql',
      'pg_net',
      'pg_tle',
      'pgaudit',
      'pgjwt',
      'pgmq',
      'pgsodium',
      'supabase_vault',
      'wrappers',
    ],
    roles: [
      'anon',
      'authenticated',
      'authenticator',
      'dashboard_user',
      'pgbouncer',
      'service_role',
      'supabase_admin',
      'supabase_auth_admin',
      'supabase_etl_admin',
      'supabase_functions_admin',
      'supabase_read_only_user',
      'supabase_realtime_admin',
      'supabase_replication_admin',
      'supabase_storage_admin',
    ],
  },
  neon: { extensions: ['neon', 'neon_utils'], roles: ['cloud_admin', 'neon_superuser'] },
  mysql: NOTHING_PROVIDED,
}

export function providedBy(kind: DatasourceKind): Provided {
  return PROVIDED[kind]
}

export function internalSchemas(kind: DatasourceKind): readonly string[] {
  return INTERNAL[kind]
}

/** What a provider's address means for its user: what was recognised, and the one next step where there is one. */
export function adviceOn(preset: Preset, { user }: Address): { readonly found: string; readonly next: string | null } {
  const { kind, provider, way, project } = preset
  const found = `${provider}, ${way === 'direct' ? 'direct connection' : way}`
  if (kind === 'supabase') {
    if (way !== 'direct' && project === null && !user.includes('.')) {
      return {
        found,
        next: `The poolers of Supabase want the user as ${user}.PROJECT, with the reference of the project.`,
      }
    }
    if (way === 'transaction pooler') {
      return {
        found,
        next: 'For --create and for change capture take the direct connection, or the session pooler (port 5432).',
      }
    }
    if (way === 'direct') {
      return {
        found: `${found}, reachable by IPv6 only unless the project has the IPv4 add-on`,
        next: `From a network without IPv6 take the session pooler: ${sessionPooler(project)}.`,
      }
    }
    return { found, next: null }
  }
  if (kind === 'neon' && way === 'transaction pooler') {
    return {
      found,
      next: 'For --create and for change capture take the direct connection: the same host without -pooler.',
    }
  }
  if (provider === 'Amazon RDS') {
    return {
      found,
      next: 'Its certificates are signed by a CA of its own: paste the bundle of rds.amazonaws.com as the CA.',
    }
  }
  return { found, next: null }
}

/**
 * The next step where a provider's address cannot be reached, in place of the usual one; null where nothing better is
 * known. `families` are those of the addresses that the name has, empty where it has none.
 */
export function adviceOnFailure(address: Address, families: readonly number[]): string | null {
  const preset = recognise(address)
  if (preset?.kind === 'supabase' && preset.way === 'direct' && !families.includes(4)) {
    return `This host has no IPv4 address, and this machine does not reach it by IPv6: take the session pooler, ${sessionPooler(preset.project)} (Connect in the dashboard shows the region).`
  }
  return null
}

function sessionPooler(project: string | null): string {
  return `user postgres.${project ?? 'PROJECT'}, host aws-0-REGION.pooler.supabase.com, port 5432`
}
