import { readFileSync } from 'node:fs'
import type { Secret } from '#lib/secret.ts'
import { resolveHost, type Resolve } from '#lib/network-address.ts'
import { sslFor, type DescribedDatabase } from '#adapters/place.ts'
import type { SslMode } from '#model/datasource.ts'
import { parseMysqlUrl } from './connection-url.ts'

/** Where a MySQL or MariaDB database is and how to enter it. Made by us, so that no driver reads files for it. */
export interface MysqlEndpoint {
  /** A host name, an address, or the path of a unix socket (starts with `/`). */
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
  /** Databases whose tables are offered; null: the one that is connected to. */
  readonly schemas: readonly string[] | null
}

/** The endpoint for people, without the password: `user@host:port/database`. */
export function describeEndpoint({ user, host, port, database }: MysqlEndpoint): string {
  return `${user}@${host}:${port}/${database}`
}

/** A described database as this adapter connects to it. */
export function toMysqlEndpoint({ connection, password, ...rest }: DescribedDatabase): MysqlEndpoint {
  const { host, port, database, user, ca } = connection
  const { schemas, connectTimeoutMs, resolve } = rest
  const ssl = connection.ssl ?? sslFor(host)
  return { host, port, database, user, password, ssl, ca, connectTimeoutMs, resolve, schemas }
}

/** Reads a URL that somebody at this machine gave. @throws AppError `invalid_url`, never with the password in its message */
export function parseMysqlEndpoint(text: string): MysqlEndpoint {
  const { kind, connection, password, connectTimeoutMs } = parseMysqlUrl(text, {
    readFile: (path) => readFileSync(path, 'utf8'),
  })
  return toMysqlEndpoint({ kind, connection, password, connectTimeoutMs, schemas: null, resolve: resolveHost })
}

/** Whether a database of the server is offered where nobody named tables. */
export function offersDatabase({ schemas, database }: MysqlEndpoint, name: string): boolean {
  return schemas === null ? name === database : schemas.includes(name)
}
