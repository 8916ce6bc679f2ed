import { readFileSync } from 'node:fs'
import type { Secret } from '#lib/secret.ts'
import { isForbiddenAddress, resolveHost, type Resolve } from '#lib/network-address.ts'
import type { ConnectionParts, DatasourceKind, SslMode } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { isLocalHost } from '#model/write-protection.ts'
import { parseConnectionUrl } from './connection-url.ts'
import { internalSchemas } from './presets.ts'

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
  /** It is put to sleep where nobody uses it, and its first answer takes seconds. */
  readonly suspends: boolean
}

/** A database by its parts. */
export interface DescribedDatabase {
  readonly kind: DatasourceKind
  readonly connection: ConnectionParts
  readonly password: Secret | null
  readonly schemas: readonly string[] | null
  readonly connectTimeoutMs: number
  /** Finds the addresses of its host: `resolveAllowed` for everything that came in through the service. */
  readonly resolve: Resolve
}

/**
 * Where nothing is said of TLS, a connection to this machine is made in the clear if the server offers none; to any other
 * machine the certificate and the name are verified (there is no silent fallback to clear text).
 */
export function toEndpoint({ kind, connection, resolve, ...rest }: DescribedDatabase): Endpoint {
  const { ssl, projectUrl: _, ...parts } = connection
  return {
    ...parts,
    ...rest,
    resolve,
    ssl: ssl ?? (isLocalHost(parts.host) ? 'prefer' : 'verify-full'),
    hidden: internalSchemas(kind),
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

/**
 * Resolves a name and refuses it where any of its addresses is one that no datasource may have (S33). What is connected
 * to are these very addresses, so that a name cannot change its mind between the look and the connection.
 * @throws AppError `host_not_allowed`
 */
export function allowedOnly(resolve: Resolve): Resolve {
  return async (host) => {
    const addresses = await resolve(host)
    if (addresses.some(({ address }) => isForbiddenAddress(address))) {
      throw new AppError('host_not_allowed', `The host ${host} leads to an address that no datasource may have.`)
    }
    return addresses
  }
}

/** Whether a schema is offered where nobody named tables. */
export function offersSchema({ schemas, hidden }: Endpoint, schema: string): boolean {
  return schemas === null ? !hidden.includes(schema) : schemas.includes(schema)
}

/** The endpoint for people, without the password: `user@host:port/database`. */
export function describeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.user}@${endpoint.host}:${endpoint.port}/${endpoint.database}`
}
