import type { Check } from '#model/check.ts'
import type { ConnectionParts, DatasourceKind } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { Secret } from '#lib/secret.ts'

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

/** `database` may be left out, `options` too; nothing of it has been decoded. */
export interface Pieces {
  readonly user: string
  readonly password: string | null
  readonly host: string
  readonly port: string
  readonly database: string
  readonly options: string
  /** Characters of the password that should have been percent-encoded. */
  readonly loose: string
}

const HOST_PORT = String.raw`(\[[0-9A-Fa-f:.%]+\]|[^@/?#\[\]:]*)(?::(\d*))?`
const AFTER_AT = new RegExp(String.raw`^${HOST_PORT}(?:\/([^@/?#]*)\/?)?(?:\?([^#]*))?$`, 's')

/** Where the parts end is decided by the one `@` after which something stands that a host and the rest can be. */
export function cutUrl(pasted: string, { schemes, name }: { schemes: RegExp; name: string }): Pieces {
  const text = unwrapUrl(pasted)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
  if (scheme === null) throw invalid('it is not a URL')
  if (!schemes.test(scheme[1] ?? '')) throw invalid(`it starts with ${scheme[1]}:// and not with ${name}://`)
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
export function unwrapUrl(pasted: string): string {
  const text = pasted
    .trim()
    .replace(/^(?:export\s+)?[A-Z_][A-Z0-9_]*=/, '')
    .replace(/^(?:psql|mysql|mariadb)\s+/, '')
  const quoted = /^(["'])(.*)\1;?$/s.exec(text)
  return (quoted?.[2] ?? text).trim().replace(/^jdbc:/i, '')
}

export function readPassword(
  { password: raw, loose }: Pieces,
  inOptions: string | undefined,
): { secret: Secret | null; notes: Check[] } {
  if (raw !== null && /^\[[A-Z _-]+\]$/i.test(raw)) {
    return { secret: null, notes: [note('password', 'a placeholder stands in its place', 'Enter the password.')] }
  }
  const text = (raw === null ? '' : decode(raw, 'password')) || inOptions || ''
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

/** The host of a URL, which is of this machine's files only where `mayNameFiles`. */
export function checkHost(host: string, { mayNameFiles }: { mayNameFiles: boolean }): string {
  if (host === '') throw invalid('it names no host')
  if (host.includes(',')) throw invalid('it names several hosts; name the one to connect to')
  if (host.startsWith('/') && !mayNameFiles) throw invalid('a socket of this machine cannot be named here')
  if (!host.startsWith('/') && !/^[\p{L}\p{N}_.:%-]+$/u.test(host))
    throw invalid('its host has characters that no name has')
  return host
}

/** @throws AppError `invalid_url` */
export function refuseCaFile(option: string): never {
  throw new AppError('invalid_url', `The connection URL cannot be used: ${option} names a file.`, {
    hint: `Leave ${option} out and paste the certificates (PEM) into the field for the CA.`,
  })
}

export function readSeconds(text: string): number {
  const seconds = Number(text)
  if (!Number.isFinite(seconds) || seconds <= 0) throw invalid('connect_timeout must be a number of seconds')
  return seconds * 1000
}

export function readCa(file: string | undefined, readFile: UrlRules['readFile']): string | null {
  if (file === undefined || file === 'system' || readFile === null) return null
  try {
    return readFile(file)
  } catch (error) {
    throw new AppError('invalid_url', `The file of the CA cannot be read: ${file}`, { cause: error })
  }
}

export function note(step: string, found: string, next: string | null): Check {
  return { step, state: 'warn', found, next, ms: 0 }
}

export function toPort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('its port is not a number from 1 to 65535')
  return port
}

export function decode(part: string, what: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new AppError('invalid_url', `The ${what} in the URL has a % that is not followed by two hex digits.`, {
      hint: 'Write a literal % as %25.',
      cause: error,
    })
  }
}

export function invalid(reason: string): AppError {
  return new AppError('invalid_url', `The connection URL cannot be used: ${reason}.`)
}
