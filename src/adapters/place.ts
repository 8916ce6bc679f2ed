import type { Secret } from '#lib/secret.ts'
import { isForbiddenAddress, type Resolve } from '#lib/network-address.ts'
import type { ConnectionParts, DatasourceKind, SslMode } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { isLocalHost } from '#model/write-protection.ts'

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
export function sslFor(host: string): SslMode {
  return isLocalHost(host) ? 'prefer' : 'verify-full'
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
