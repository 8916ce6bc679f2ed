import type { Check } from '#model/check.ts'
import { SSL_MODES, type SslMode } from '#model/datasource.ts'
import { isLocalHost } from '#model/write-protection.ts'
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
import { adviceOn, recognise, type Preset } from './presets.ts'

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

/**
 * Takes a `postgres://` URL apart, also one that was pasted with quotes or `psql` around it, and one whose password holds
 * an `@`, `/`, `#` or `?` as it is, where only one reading makes sense.
 * @throws AppError `invalid_url`, never with the password in its message
 */
export function parseConnectionUrl(text: string, { readFile }: UrlRules): ParsedUrl {
  const pieces = cutUrl(text, { schemes: /^postgres(ql)?$/i, name: 'postgres' })
  const options = readOptions(pieces.options, readFile !== null)
  const host = checkHost(decode(pieces.host, 'host').replace(/^\[|\]$/g, '') || options.get('host') || '', {
    mayNameFiles: readFile !== null,
  })
  const user = decode(pieces.user, 'user name') || options.get('user')
  if (!user) throw invalid('it names no user')
  const port = toPort(pieces.port || options.get('port') || '5432')
  const database = decode(pieces.database, 'database name') || options.get('dbname') || user
  const preset = recognise({ host, port, user })
  const password = readPassword(pieces, options.get('password'))
  const ssl = readSsl(options, { host, preset })
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
    connectTimeoutMs: readSeconds(options.get('connect_timeout') ?? '10'),
    notes: [...(preset === null ? [] : [providerNote(preset, { host, port, user })]), ...password.notes, ...ssl.notes],
  }
}

function readOptions(text: string, mayNameFiles: boolean): Map<string, string> {
  const options = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (IGNORED.has(name)) continue
    // Neon's way to name the endpoint where a client sends no server name; we do send it.
    if (name === 'options' && /^(endpoint|project)=[\w-]+$/.test(value)) continue
    if (FILE_OPTIONS.has(name)) throw invalid(`the option "${name}" is not supported: nothing of it is read from files`)
    if (!KNOWN.has(name)) throw invalid(`the option "${name}" is not supported`)
    if (name === 'sslrootcert' && value !== 'system' && !mayNameFiles) refuseCaFile(name)
    options.set(name, value)
  }
  return options
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

function providerNote(preset: Preset, address: { host: string; port: number; user: string }): Check {
  const { found, next } = adviceOn(preset, address)
  return { ...note('provider', found, next), state: next === null || preset.way === 'direct' ? 'pass' : 'warn' }
}
