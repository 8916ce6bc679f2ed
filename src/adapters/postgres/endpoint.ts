import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'

export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** Where a PostgreSQL database is and how to enter it. Made from a URL by us, so that no driver reads files for it. */
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
}

const SSL_MODES: readonly string[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full']

/** Options of pasted connection strings that change nothing for us. */
const IGNORED = new Set([
  'application_name',
  'channel_binding',
  'connection_limit',
  'gssencmode',
  'pgbouncer',
  'pool_timeout',
  'sslnegotiation',
  'supa',
  'target_session_attrs',
  'uselibpqcompat',
  'workaround',
])

/**
 * Reads a `postgres://` or `postgresql://` URL.
 * Without `sslmode`, a connection to this machine is made in the clear if the server offers no TLS; to any other
 * machine the certificate and the name are verified (there is no silent fallback to clear text).
 * @throws AppError `invalid_url`, never with the password in its message.
 */
export function parseEndpoint(text: string): Endpoint {
  const url = parse(text)
  const host = decodeHost(url)
  const options = readOptions(url)
  const user = decode(url.username, 'user name') || options.get('user')
  if (!user) throw invalid('it names no user')
  const password = decode(url.password, 'password') || options.get('password')
  const ssl = options.get('sslmode') ?? (isLocalHost(host) ? 'prefer' : 'verify-full')
  if (!isSslMode(ssl)) throw invalid(`sslmode must be one of ${SSL_MODES.join(', ')}, not "${ssl}"`)
  const seconds = Number(options.get('connect_timeout') ?? 10)
  if (!Number.isFinite(seconds) || seconds <= 0) throw invalid('connect_timeout must be a number of seconds')
  return {
    host,
    port: url.port === '' ? Number(options.get('port') ?? 5432) : Number(url.port),
    database: decode(url.pathname.slice(1), 'database name') || user,
    user,
    password: password ? new Secret(password) : null,
    ssl,
    ca: readCa(options.get('sslrootcert')),
    connectTimeoutMs: seconds * 1000,
  }
}

/** Whether the endpoint is on this machine: a unix socket, or a loopback name or address. */
export function isLocalHost(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** The endpoint for people, without the password: `user@host:port/database`. */
export function describeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.user}@${endpoint.host}:${endpoint.port}/${endpoint.database}`
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null) throw invalid('it is not a URL')
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw invalid(`it starts with ${url.protocol}// and not with postgres://`)
  }
  if (url.hash !== '') throw invalid('it has a # (in a password, write %23)')
  return url
}

function decodeHost(url: URL): string {
  const given = url.searchParams.get('host')
  const host = decode(url.hostname, 'host').replace(/^\[|\]$/g, '') || given
  if (!host) throw invalid('it names no host')
  return host
}

function readOptions(url: URL): Map<string, string> {
  const known = new Set(['sslmode', 'sslrootcert', 'connect_timeout', 'host', 'port', 'user', 'password'])
  const options = new Map<string, string>()
  for (const [name, value] of url.searchParams) {
    if (IGNORED.has(name)) continue
    if (!known.has(name)) throw invalid(`the option "${name}" is not supported`)
    options.set(name, value)
  }
  return options
}

function readCa(file: string | undefined): string | null {
  if (file === undefined || file === 'system') return null
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new AppError('invalid_url', `The file in sslrootcert cannot be read: ${file}`, { cause: error })
  }
}

function decode(part: string, what: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new AppError('invalid_url', `The ${what} in the URL has a % that is not followed by two hex digits.`, {
      hint: 'Write a literal % as %25.',
      cause: error,
    })
  }
}

function isSslMode(text: string): text is SslMode {
  return SSL_MODES.includes(text)
}

function invalid(reason: string): AppError {
  return new AppError('invalid_url', `The connection URL cannot be used: ${reason}.`)
}
