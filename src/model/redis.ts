import { Secret } from '#lib/secret.ts'
import { AppError } from './errors.ts'

/** Where a Redis is and as whom we log in, without the password. */
export interface RedisAddress {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** Null: the default user. */
  readonly user: string | null
  readonly db: number
}

export interface RedisPlace extends RedisAddress {
  readonly password: Secret | null
}

const DEFAULT_PORT = 6_379
const HINT =
  'Write it as redis://user:password@host:6379/0, or rediss:// for TLS, and percent-encode @ : / # in the password.'

/** @throws AppError `invalid_url`, without anything of the URL in its message */
export function parseRedisUrl(text: string): RedisPlace {
  if (!URL.canParse(text)) throw invalid('The URL of the Redis cannot be read.')
  const url = new URL(text)
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') {
    throw invalid('The URL of a Redis begins with redis:// or rediss://.')
  }
  if (url.search !== '' || url.hash !== '') throw invalid('The URL of a Redis has no options.')
  const db = /^\/?(\d{0,5})$/.exec(url.pathname)?.[1]
  if (db === undefined) throw invalid('After the host the URL of a Redis has the number of a database, or nothing.')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (host === '') throw invalid('The URL of the Redis names no host.')
  const password = decode(url.password)
  return {
    host: decode(host),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    tls: url.protocol === 'rediss:',
    user: decode(url.username) || null,
    db: Number(db || 0),
    password: password === '' ? null : new Secret(password),
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid('A percent sign in the URL of the Redis is not followed by two hex digits.')
  }
}

function invalid(message: string): AppError {
  return new AppError('invalid_url', message, { hint: HINT })
}

/** For people, without the password: `rediss://user@host:6379/0`. */
export function describeRedis({ host, port, tls, user, db }: RedisAddress): string {
  const who = user === null ? '' : `${encodeURIComponent(user)}@`
  return `${tls ? 'rediss' : 'redis'}://${who}${host.includes(':') ? `[${host}]` : host}:${port}/${db}`
}
