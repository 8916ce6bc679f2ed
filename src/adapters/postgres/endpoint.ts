import { readFileSync } from 'node:fs'
import type { Secret } from '#lib/secret.ts'
import { resolveHost, type Resolve } from '#lib/network-address.ts'
import { sslFor, type DescribedDatabase } from '#adapters/place.ts'
import type { SslMode } from '#model/datasource.ts'
import { parseConnectionUrl } from './connection-url.ts'
import { internalSchemas, providedBy, type Provided } from './presets.ts'

export { isLocalHost } from '#model/write-protection.ts'

/** Where a PostgreSQL database is and how to enter it. Made by us, so that no driver reads files for it. */
export interface Endpoint {
  /** A host name, an address, or a directory of a unix socket (starts with `/`). */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: Secret | null
  readonly ssl: SslMode
  /** PEM certificates to trust in place of the system's. */
  readonly ca: string | null
  readonly connectTimeoutMs: number
  /** Finds the addresses that are connected to, at each connection, and refuses those that may not be. */
  readonly resolve: Resolve
  /** Schemas that are offered; null: all but the hidden ones. */
  readonly schemas: readonly string[] | null
  /** Schemas of the provider. */
  readonly hidden: readonly string[]
  /** What else is the provider's, and not there in other databases. */
  readonly provided: Provided
  /** It is put to sleep where nobody uses it, and its first answer takes seconds. */
  readonly suspends: boolean
}

export function toEndpoint({ kind, connection, resolve, ...rest }: DescribedDatabase): Endpoint {
  const { ssl, projectUrl: _, ...parts } = connection
  return {
    ...parts,
    ...rest,
    resolve,
    ssl: ssl ?? sslFor(parts.host),
    hidden: internalSchemas(kind),
    provided: providedBy(kind),
    suspends: kind === 'neon',
  }
}

/** Reads a URL that somebody at this machine gave. @throws AppError `invalid_url`, never with the password in its message */
export function parseEndpoint(text: string): Endpoint {
  const { kind, connection, password, connectTimeoutMs } = parseConnectionUrl(text, {
    readFile: (path) => readFileSync(path, 'utf8'),
  })
  return toEndpoint({ kind, connection, password, connectTimeoutMs, schemas: null, resolve: resolveHost })
}

/** Whether a schema is offered where nobody named tables. */
export function offersSchema({ schemas, hidden }: Endpoint, schema: string): boolean {
  return schemas === null ? !hidden.includes(schema) : schemas.includes(schema)
}

/** The endpoint for people, without the password: `user@host:port/database`. */
export function describeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.user}@${endpoint.host}:${endpoint.port}/${endpoint.database}`
}
