import {
  checkHost,
  cutUrl,
  decode,
  invalid,
  note,
  readCa,
  readPassword,
  readSeconds,
  refuseCaFile,
  toPort,
  type ParsedUrl,
  type UrlRules,
} from '#adapters/connection-url.ts'
import type { Check } from '#model/check.ts'
import { DEFAULT_PORTS, SSL_MODES, type SslMode } from '#model/datasource.ts'
import { isLocalHost } from '#model/write-protection.ts'

export const MYSQL_SCHEMES = /^(?:mysql2?|mariadb)(?:\+[a-z]+)?$/i

/** Names by which drivers and tools call one thing. */
const ALIASES: Readonly<Record<string, string>> = {
  'connect-timeout': 'connect_timeout',
  'ssl-ca': 'ssl_ca',
  'ssl-mode': 'sslmode',
  useSSL: 'ssl',
  sslMode: 'sslmode',
  ssl_mode: 'sslmode',
  ssl_verify_cert: 'sslaccept',
  sslca: 'ssl_ca',
  tls: 'ssl',
  unix_socket: 'socket',
  username: 'user',
}

const KNOWN = new Set(['connect_timeout', 'password', 'socket', 'ssl', 'ssl_ca', 'sslaccept', 'sslmode', 'user'])

/** Options that change nothing for us: every session pins these things, or they are a driver's own. */
const IGNORED = new Set([
  'allowPublicKeyRetrieval',
  'autoReconnect',
  'autocommit',
  'charset',
  'characterEncoding',
  'collation',
  'connectionLimit',
  'connection_limit',
  'loc',
  'parseTime',
  'pool_timeout',
  'rewriteBatchedStatements',
  'serverTimezone',
  'serverVersion',
  'socket_timeout',
  'timezone',
  'useLegacyDatetimeCode',
  'useUnicode',
  'zeroDateTimeBehavior',
])

const MODES: Readonly<Record<string, SslMode>> = {
  disabled: 'disable',
  preferred: 'prefer',
  required: 'require',
  verify_ca: 'verify-ca',
  verify_identity: 'verify-full',
}

/** Servers whose certificates no public authority has signed. */
const OWN_AUTHORITIES: readonly (readonly [ending: string, provider: string, authority: string])[] = [
  ['.rds.amazonaws.com', 'Amazon RDS', 'the bundle of rds.amazonaws.com'],
  ['.db.ondigitalocean.com', 'DigitalOcean', 'the certificate that its control panel offers'],
  ['.aivencloud.com', 'Aiven', 'the certificate that its console offers'],
]

/**
 * Takes a URL of MySQL or MariaDB apart, also as JDBC and other drivers write it, and one whose password holds an `@`,
 * `/`, `#` or `?` as it is, where only one reading makes sense.
 * @throws AppError `invalid_url`, never with the password in its message
 */
export function parseMysqlUrl(text: string, { readFile }: UrlRules): ParsedUrl {
  const pieces = cutUrl(text, { schemes: MYSQL_SCHEMES, name: 'mysql' })
  const mayNameFiles = readFile !== null
  const options = readOptions(pieces.options, mayNameFiles)
  const named = options.get('socket') || decode(pieces.host, 'host').replace(/^\[|\]$/g, '')
  const host = checkHost(named, { mayNameFiles })
  const user = decode(pieces.user, 'user name') || options.get('user')
  if (!user) throw invalid('it names no user')
  const database = decode(pieces.database, 'database name')
  if (database === '') throw invalid('it names no database: mysql://USER@HOST/DATABASE')
  const password = readPassword(pieces, options.get('password'))
  const ssl = readSsl(options, host)
  return {
    kind: 'mysql',
    connection: {
      host,
      port: toPort(pieces.port || String(DEFAULT_PORTS.mysql)),
      database,
      user,
      ssl: ssl.mode,
      ca: readCa(options.get('ssl_ca'), readFile),
      projectUrl: null,
    },
    password: password.secret,
    connectTimeoutMs: readSeconds(options.get('connect_timeout') ?? '10'),
    notes: [...providerNotes(host, options), ...password.notes, ...ssl.notes],
  }
}

function readOptions(text: string, mayNameFiles: boolean): Map<string, string> {
  const options = new Map<string, string>()
  for (const [given, value] of new URLSearchParams(text)) {
    if (IGNORED.has(given)) continue
    const name = ALIASES[given] ?? given
    if (!KNOWN.has(name)) throw invalid(`the option "${given}" is not supported`)
    if (name === 'ssl_ca' && !mayNameFiles) refuseCaFile(given)
    if (name === 'socket' && !mayNameFiles) throw invalid('a socket of this machine cannot be named here')
    if (name === 'socket' && !value.startsWith('/')) throw invalid('its socket is no path')
    options.set(name, value)
  }
  return options
}

function readSsl(options: ReadonlyMap<string, string>, host: string): { mode: SslMode | null; notes: Check[] } {
  const mode = statedMode(options)
  if (mode === null || mode.startsWith('verify') || isLocalHost(host)) return { mode, notes: [] }
  const found = mode === 'disable' ? 'not encrypted' : 'encrypted, and the server is not verified'
  return {
    mode,
    notes: [note('encryption', found, 'Choose verify-full, and paste the CA where it is not a public one.')],
  }
}

function statedMode(options: ReadonlyMap<string, string>): SslMode | null {
  const stated = options.get('sslmode')?.toLowerCase()
  if (stated !== undefined) {
    const mode = MODES[stated.replace('-', '_')] ?? SSL_MODES.find((each) => each === stated)
    if (mode === undefined) throw invalid(`sslmode must be one of ${SSL_MODES.join(', ')}, not "${stated}"`)
    // A certificate to trust makes `require` verify.
    return mode === 'require' && options.has('ssl_ca') ? 'verify-ca' : mode
  }
  const accept = options.get('sslaccept')
  if (accept !== undefined) return /^(strict|true|1)$/i.test(accept) ? 'verify-full' : 'require'
  const flag = options.get('ssl')?.toLowerCase()
  if (flag === undefined || flag === '') return null
  if (/^(false|0)$/.test(flag)) return 'disable'
  if (/^(skip-verify|preferred)$/.test(flag)) return flag === 'preferred' ? 'prefer' : 'require'
  return /"rejectunauthorized"\s*:\s*false/.test(flag) ? 'require' : null
}

function providerNotes(host: string, options: ReadonlyMap<string, string>): Check[] {
  const found = OWN_AUTHORITIES.find(([ending]) => host.toLowerCase().endsWith(ending))
  if (found === undefined || options.has('ssl_ca')) return []
  const [, provider, authority] = found
  return [
    note('provider', provider, `Its certificates are signed by an authority of its own: paste ${authority} as the CA.`),
  ]
}
