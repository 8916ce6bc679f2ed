import type { Check } from '#model/check.ts'
import { SSL_MODES, type ConnectionParts, type DatasourceKind, type SslMode } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { isLocalHost } from '#model/write-protection.ts'
import { Secret } from '#lib/secret.ts'
import { adviceOn, recognise, type Preset } from './presets.ts'

/** A connection URL, taken apart. */
export interface ParsedUrl {
  readonly kind: DatasourceKind
  readonly connection: ConnectionParts
  readonly password: Secret | null
  readonly connectTimeoutMs: number
  /** What was recognised in it, and what follows from that. */
  readonly notes: readonly Check[]
}

/** What a URL may ask of this machine. */
export interface UrlRules {
  /** Reads the file that `sslrootcert` names; null: options that name files or sockets of this machine are refused. */
  readonly readFile: ((path: string) => string) | null
}

/** Options that change nothing for us, or ask for what is done anyhow. */
const IGNORED = new Set([
  'application_name',
  'channel_binding',
  'connection_limit',
  'fallback_application_name',
  'gssencmode',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'pgbouncer',
  'pool_timeout',
  'schema',
  'sslaccept',
  'sslnegotiation',
  'sslsni',
  'statement_cache_size',
  'supa',
  'target_session_attrs',
  'uselibpqcompat',
  'workaround',
])

const KNOWN = new Set([
  'connect_timeout',
  'dbname',
  'host',
  'port',
  'user',
  'password',
  'ssl',
  'sslmode',
  'sslrootcert',
])

/** Options by which a client reads files of its own machine (S34). */
const FILE_OPTIONS = new Set([
  'passfile',
  'requirepeer',
  'service',
  'servicefile',
  'sslcert',
  'sslcrl',
  'sslcrldir',
  'sslkey',
  'sslpassword',
])

/** `database` may be left out, `options` too; nothing of it has been decoded. */
interface Pieces {
  readonly user: string
  readonly password: string | null
  readonly host: string
  readonly port: string
  readonly database: string
  readonly options: string
  /** Characters of the password that should have been percent-encoded. */
  readonly loose: string
}

/**
 * Takes a `postgres://` URL apart, also one that was pasted with quotes or `psql` around it, and one whose password holds
 * an `@`, `/`, `#` or `?` as it is, where only one reading makes sense.
 * @throws AppError `invalid_url`, never with the password in its message
 */
export function parseConnectionUrl(text: string, { readFile }: UrlRules): ParsedUrl {
  const pieces = cut(text)
  const options = readOptions(pieces.options, readFile !== null)
  const host = decode(pieces.host, 'host').replace(/^\[|\]$/g, '') || options.get('host') || ''
  if (host === '') throw invalid('it names no host')
  if (host.includes(',')) throw invalid('it names several hosts; name the one to connect to')
  if (host.startsWith('/') && readFile === null) throw invalid('a socket of this machine cannot be named here')
  if (!host.startsWith('/') && !/^[\p{L}\p{N}_.:%-]+$/u.test(host))
    throw invalid('its host has characters that no name has')
  const user = decode(pieces.user, 'user name') || options.get('user')
  if (!user) throw invalid('it names no user')
  const port = toPort(pieces.port || options.get('port') || '5432')
  const database = decode(pieces.database, 'database name') || options.get('dbname') || user
  const preset = recognise({ host, port, user })
  const password = readPassword(pieces, options)
  const ssl = readSsl(options, { host, preset })
  const seconds = Number(options.get('connect_timeout') ?? 10)
  if (!Number.isFinite(seconds) || seconds <= 0) throw invalid('connect_timeout must be a number of seconds')
  return {
    kind: preset?.kind ?? 'postgres',
    connection: {
      host,
      port,
      database,
      user,
      ssl: ssl.mode,
      ca: readCa(options.get('sslrootcert'), readFile),
      projectUrl: null,
    },
    password: password.secret,
    connectTimeoutMs: seconds * 1000,
    notes: [...(preset === null ? [] : [providerNote(preset, { host, port, user })]), ...password.notes, ...ssl.notes],
  }
}

const HOST_PORT = String.raw`(\[[0-9A-Fa-f:.%]+\]|[^@/?#\[\]:]*)(?::(\d*))?`
const AFTER_AT = new RegExp(String.raw`^${HOST_PORT}(?:\/([^@/?#]*)\/?)?(?:\?([^#]*))?$`, 's')

/** Where the parts end is decided by the one `@` after which something stands that a host and the rest can be. */
function cut(pasted: string): Pieces {
  const text = unwrap(pasted)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
  if (scheme === null) throw invalid('it is not a URL')
  if (!/^postgres(ql)?$/i.test(scheme[1] ?? ''))
    throw invalid(`it starts with ${scheme[1]}:// and not with postgres://`)
  const rest = text.slice(scheme[0].length)
  const readings = [...rest.matchAll(/@/g)].flatMap(({ index }) => readAt(rest, index))
  const proper = readings.filter(({ loose }) => !/[/?#]/.test(loose)).at(-1)
  const reading = proper ?? (readings.length === 1 ? readings[0] : undefined)
  if (reading !== undefined) return reading
  if (readings.length > 1) {
    throw invalid(
      'it can be read in several ways: percent-encode @ as %40, / as %2F, # as %23 and ? as %3F in the password',
    )
  }
  const [, host = '', port = '', database = '', options = ''] = AFTER_AT.exec(rest) ?? []
  if (!AFTER_AT.test(rest))
    throw invalid(rest.includes('#') ? 'it has a # (in a password, write %23)' : 'it is not a URL')
  return { user: '', password: null, host, port, database, options, loose: '' }
}

function readAt(rest: string, at: number): Pieces[] {
  const after = AFTER_AT.exec(rest.slice(at + 1))
  const [, user = '', password] = /^([^:/?#@]*)(?::(.*))?$/s.exec(rest.slice(0, at)) ?? []
  const isWhole = after !== null && (password !== undefined || user.length === at)
  if (!isWhole) return []
  const [, host = '', port = '', database = '', options = ''] = after
  const loose = [...new Set((password ?? '').match(/[@/?#]/g))].join(' ')
  return [{ user, password: password ?? null, host, port, database, options, loose }]
}

/** What surrounds a URL that was copied out of a shell line or a file of variables. */
function unwrap(pasted: string): string {
  const text = pasted
    .trim()
    .replace(/^(?:export\s+)?[A-Z_][A-Z0-9_]*=/, '')
    .replace(/^psql\s+/, '')
  const quoted = /^(["'])(.*)\1;?$/s.exec(text)
  return (quoted?.[2] ?? text).trim()
}

function readOptions(text: string, mayNameFiles: boolean): Map<string, string> {
  const options = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (IGNORED.has(name)) continue
    // Neon's way to name the endpoint where a client sends no server name; we do send it.
    if (name === 'options' && /^(endpoint|project)=[\w-]+$/.test(value)) continue
    if (FILE_OPTIONS.has(name)) throw invalid(`the option "${name}" is not supported: nothing of it is read from files`)
    if (!KNOWN.has(name)) throw invalid(`the option "${name}" is not supported`)
    if (name === 'sslrootcert' && value !== 'system' && !mayNameFiles) {
      throw new AppError('invalid_url', 'The connection URL cannot be used: sslrootcert names a file.', {
        hint: 'Leave sslrootcert out and paste the certificates (PEM) into the field for the CA.',
      })
    }
    options.set(name, value)
  }
  return options
}

function readPassword(
  { password: raw, loose }: Pieces,
  options: ReadonlyMap<string, string>,
): { secret: Secret | null; notes: Check[] } {
  if (raw !== null && /^\[[A-Z _-]+\]$/i.test(raw)) {
    return { secret: null, notes: [note('password', 'a placeholder stands in its place', 'Enter the password.')] }
  }
  const text = (raw === null ? '' : decode(raw, 'password')) || options.get('password') || ''
  const notes =
    loose === ''
      ? []
      : [
          note(
            'password',
            `it holds ${loose} as it is, and was read as everything up to the last @ before the host`,
            'Check the user, the host and the database; in a URL write @ as %40, / as %2F, # as %23, ? as %3F.',
          ),
        ]
  return { secret: text === '' ? null : new Secret(text), notes }
}

function readSsl(
  options: ReadonlyMap<string, string>,
  { host, preset }: { host: string; preset: Preset | null },
): { mode: SslMode | null; notes: Check[] } {
  const flag = options.get('ssl')
  const stated = options.get('sslmode') ?? (flag === 'false' || flag === '0' ? 'disable' : undefined)
  if (stated === undefined) return { mode: null, notes: [] }
  const mode = stated === 'no-verify' ? 'require' : SSL_MODES.find((each) => each === stated)
  if (mode === undefined) throw invalid(`sslmode must be one of ${SSL_MODES.join(', ')}, not "${stated}"`)
  // A root certificate makes `require` verify, as in libpq.
  const verifies = mode.startsWith('verify') || (mode === 'require' && options.has('sslrootcert'))
  if (verifies || isLocalHost(host)) return { mode, notes: [] }
  if (preset?.kind === 'neon' && mode !== 'disable') {
    return {
      mode: 'verify-full',
      notes: [{ ...note('encryption', `raised from ${mode} to verify-full`, null), state: 'pass' }],
    }
  }
  const found = mode === 'disable' ? 'not encrypted' : 'encrypted, and the server is not verified'
  return {
    mode,
    notes: [note('encryption', found, 'Choose verify-full, and paste the CA where it is not a public one.')],
  }
}

function readCa(file: string | undefined, readFile: UrlRules['readFile']): string | null {
  if (file === undefined || file === 'system' || readFile === null) return null
  try {
    return readFile(file)
  } catch (error) {
    throw new AppError('invalid_url', `The file in sslrootcert cannot be read: ${file}`, { cause: error })
  }
}

function providerNote(preset: Preset, address: { host: string; port: number; user: string }): Check {
  const { found, next } = adviceOn(preset, address)
  return { ...note('provider', found, next), state: next === null || preset.way === 'direct' ? 'pass' : 'warn' }
}

function note(step: string, found: string, next: string | null): Check {
  return { step, state: 'warn', found, next, ms: 0 }
}

function toPort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('its port is not a number from 1 to 65535')
  return port
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

function invalid(reason: string): AppError {
  return new AppError('invalid_url', `The connection URL cannot be used: ${reason}.`)
}
