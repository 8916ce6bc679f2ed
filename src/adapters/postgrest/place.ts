import type { DescribedDatabase } from '#adapters/place.ts'
import { isRecord } from '#lib/record.ts'
import type { Resolve } from '#lib/network-address.ts'
import type { Secret } from '#lib/secret.ts'
import { describeConnection, type ConnectionParts } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { isLocalHost } from '#model/write-protection.ts'

/** Where a project's REST API is, and the key that it is entered with. */
export interface RestPlace {
  /** Ends with a slash; paths of tables follow. */
  readonly base: URL
  readonly key: Secret
  readonly ca: string | null
  readonly connectTimeoutMs: number
  readonly resolve: Resolve
  /** Schemas that are offered, the first being the one of tables that are named without a schema. */
  readonly schemas: readonly string[]
  /** For people, without the key: `service_role@host:443/rest/v1`. */
  readonly address: string
  readonly local: boolean
}

/** What a Supabase project exposes where nobody said otherwise. */
const DEFAULT_SCHEMAS = ['public'] as const

/** The database of a project is behind this path of its URL. */
const PATH = 'rest/v1'

/**
 * Takes a project URL apart, `https://PROJECT.supabase.co`, into the parts by which a datasource is known. The last two
 * hold for every project: the API of the tables, entered as the service role.
 * @throws AppError `invalid_url`
 */
export function parseProjectUrl(text: string, ca: string | null): ConnectionParts {
  const url = URL.parse(text.trim())
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw invalid('it is no https: URL')
  }
  if (url.username !== '' || url.password !== '') throw invalid('it holds a user or a password')
  const path = url.pathname.replace(/^\/+|\/+$/g, '')
  if ((path !== '' && path !== PATH) || url.search !== '' || url.hash !== '') {
    throw invalid('it has a path or a query')
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (url.protocol === 'http:' && !isLocalHost(host)) throw invalid('only https: keeps the key from being read')
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
  return { host, port, database: PATH, user: 'service_role', ssl: null, ca, projectUrl: url.origin }
}

function invalid(why: string): AppError {
  return new AppError('invalid_url', `The project URL cannot be used: ${why}.`, {
    hint: 'Write it as https://PROJECT.supabase.co (Project Settings, Data API), and give the key by itself.',
  })
}

/** @throws AppError `authentication_failed` where there is no key that can stand in a header */
export function toRestPlace({ connection, password, schemas, ...rest }: DescribedDatabase): RestPlace {
  const address = describeConnection(connection)
  const key = password?.reveal().trim() ?? ''
  if (password === null || key === '') {
    throw new AppError('authentication_failed', `There is no key for ${address}.`, { hint: KEY_HINT })
  }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new AppError('authentication_failed', `The key for ${address} holds characters that no key has.`, {
      hint: KEY_HINT,
    })
  }
  return {
    base: new URL(`/${PATH}/`, connection.projectUrl ?? ''),
    key: password,
    ca: connection.ca,
    connectTimeoutMs: rest.connectTimeoutMs,
    resolve: rest.resolve,
    schemas: schemas ?? DEFAULT_SCHEMAS,
    address,
    local: isLocalHost(connection.host),
  }
}

export const KEY_HINT = 'Give the secret key or the service_role key of the project (Project Settings, API Keys).'

/** What a key tells of itself, without anybody's vouching for it. */
export interface KeyFacts {
  readonly kind: 'token' | 'secret key' | 'publishable key' | 'unknown'
  /** The role of the database that requests run as; null where the key does not tell. */
  readonly role: string | null
  /** Seconds since 1970. */
  readonly expires: number | null
}

/** Reads a key: a JSON Web Token tells its role, the newer keys of Supabase do so by how they begin. */
export function readKey(key: Secret): KeyFacts {
  const text = key.reveal().trim()
  if (text.startsWith('sb_secret_')) return { kind: 'secret key', role: 'service_role', expires: null }
  if (text.startsWith('sb_publishable_')) return { kind: 'publishable key', role: 'anon', expires: null }
  const claims = tokenClaims(text)
  if (claims === null) return { kind: 'unknown', role: null, expires: null }
  const { role, exp } = claims
  return {
    kind: 'token',
    role: typeof role === 'string' ? role : null,
    expires: typeof exp === 'number' ? exp : null,
  }
}

function tokenClaims(text: string): Record<string, unknown> | null {
  const [, payload, signature, ...more] = text.split('.')
  if (payload === undefined || signature === undefined || more.length > 0) return null
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return isRecord(claims) ? claims : null
  } catch {
    return null
  }
}

/** The role that Supabase lets pass row-level security by. */
const SEES_ALL = 'service_role'

/**
 * Refuses a key whose role may see only some rows: over the API nothing tells a hidden row from one that is not there,
 * and it would count as deleted (hazard A14).
 * @throws AppError `row_level_security`
 */
export function refuseBlindKey({ key, address }: RestPlace): void {
  const { role, kind } = readKey(key)
  if (role === SEES_ALL) return
  const found =
    role === null
      ? `The key for ${address} does not tell its role`
      : `The ${kind} for ${address} is of the role ${role}`
  throw new AppError('row_level_security', `${found}: row-level security may hide rows from it.`, { hint: KEY_HINT })
}
