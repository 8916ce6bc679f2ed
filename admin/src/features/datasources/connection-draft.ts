import type { Schemas } from '#api/client.ts'

/** What stands in the form for a datasource: texts as they are typed, of which requests and URLs are made. */
export interface DatasourceDraft {
  readonly name: string
  /** A database by its port, or a Supabase project over its REST API. */
  readonly way: 'database' | 'project'
  /** Empty: what the address says. */
  readonly kind: '' | NonNullable<Schemas['DatabaseTestRequest']['kind']>
  readonly host: string
  readonly port: string
  readonly database: string
  readonly user: string
  readonly projectUrl: string
  /** Empty: what is safest for the address. */
  readonly ssl: '' | NonNullable<Schemas['DatabaseTestRequest']['ssl']>
  readonly ca: string
  readonly secret: 'keep' | 'enter' | 'reference' | 'none'
  readonly password: string
  readonly reference: string
  /** Empty: what the address says. */
  readonly environment: '' | Schemas['Datasource']['effective_environment']
  readonly writable: boolean
  /** Names with commas between; empty: all. */
  readonly schemas: string
  readonly poolSize: string
  readonly timeoutSeconds: string
}

export const EMPTY_DRAFT: DatasourceDraft = {
  name: '',
  way: 'database',
  kind: '',
  host: '',
  port: '5432',
  database: '',
  user: '',
  projectUrl: '',
  ssl: '',
  ca: '',
  secret: 'enter',
  password: '',
  reference: '',
  environment: '',
  writable: false,
  schemas: '',
  poolSize: '',
  timeoutSeconds: '',
}

export function draftOf(one: Schemas['Datasource']): DatasourceDraft {
  const reference = one.service_role_key_reference ?? one.password_reference
  return {
    name: one.name,
    way: one.project_url === null ? 'database' : 'project',
    kind: one.kind as DatasourceDraft['kind'],
    host: one.host,
    port: String(one.port),
    database: one.database,
    user: one.user,
    projectUrl: one.project_url ?? '',
    ssl: (one.ssl ?? '') as DatasourceDraft['ssl'],
    ca: one.ca ?? '',
    secret: reference === null ? (one.has_password ? 'keep' : 'none') : 'reference',
    password: '',
    reference: reference ?? '',
    environment: one.environment ?? '',
    writable: one.writable,
    schemas: (one.schemas ?? []).join(', '),
    poolSize: String(one.pool_size),
    timeoutSeconds: String(one.connect_timeout_ms / 1_000),
  }
}

/** What the service read in a URL, put into the form; the password is what `passwordIn` finds in the same text. */
export function withParsed(draft: DatasourceDraft, url: string, parsed: Schemas['ParsedUrl']): DatasourceDraft {
  const password = parsed.has_password ? passwordIn(url, parsed.host) : null
  return {
    ...draft,
    way: 'database',
    kind: parsed.kind === 'mysql' ? 'mysql' : '',
    host: parsed.host,
    port: String(parsed.port),
    database: parsed.database,
    user: parsed.user,
    ssl: (parsed.ssl ?? '') as DatasourceDraft['ssl'],
    timeoutSeconds: String(parsed.connect_timeout_ms / 1_000),
    ...(password === null ? {} : { secret: 'enter' as const, password }),
    // A password never goes to another place than the one that it was entered for.
    ...(password === null && draft.host !== '' && parsed.host !== draft.host ? { password: '' } : {}),
  }
}

/** Ports that servers listen at where nobody says otherwise. */
export const PORTS = { postgres: '5432', mysql: '3306' } as const

/** The form where somebody says what is to be reached; a port that nobody chose goes with it. */
export function reachedBy(draft: DatasourceDraft, way: string): Partial<DatasourceDraft> {
  if (way === 'project') return { way, kind: '', password: '' }
  const isUsual = draft.port === '' || Object.values(PORTS).some((port) => port === draft.port)
  const isMysql = way === 'mysql'
  return {
    way: 'database',
    kind: isMysql ? 'mysql' : '',
    ...(isUsual ? { port: isMysql ? PORTS.mysql : PORTS.postgres } : {}),
    ...(draft.way === 'database' ? {} : { password: '' }),
  }
}

/** Whether a text that was pasted is the address of a project and not of a database. */
export function isProjectUrl(text: string): boolean {
  return /^https:\/\/\S+$/i.test(text.trim())
}

/** The form as a URL without its password; empty as long as the form names no host. */
export function urlOf(draft: DatasourceDraft): string {
  if (draft.way === 'project') return draft.projectUrl
  const { kind, host, port, database, user, ssl } = draft
  if (host === '') return ''
  const place = /^[0-9a-f:.%]*:[0-9a-f:.%]*$/i.test(host) ? `[${host}]` : encodeURIComponent(host)
  const login = user === '' ? '' : `${encodeURIComponent(user)}@`
  const at = port === '' ? '' : `:${port}`
  const scheme = kind === 'mysql' ? 'mysql' : 'postgres'
  return `${scheme}://${login}${place}${at}/${encodeURIComponent(database)}${ssl === '' ? '' : `?sslmode=${ssl}`}`
}

/**
 * The password in a URL, which the service reads but never gives back. `host` is where the service found that the rest
 * begins: the password is everything up to the last @ before it, whatever characters it holds.
 */
export function passwordIn(url: string, host: string): string | null {
  const text = url
    .trim()
    .replace(/^(?:export\s+)?[A-Z_][A-Z0-9_]*=/, '')
    .replace(/^(?:psql|mysql|mariadb)\s+/, '')
    .replaceAll(/^["']|["'];?$/g, '')
  const rest = /^[a-z][a-z0-9+.-]*:\/\/(.*)$/is.exec(text)?.[1] ?? ''
  const at = [...rest.matchAll(/@/g)]
    .map(({ index }) => index)
    .findLast((index) => /^[:/?]|^$/.test(afterHost(rest.slice(index + 1), host)))
  const stated = at === undefined ? undefined : /^[^:]*:(.*)$/s.exec(rest.slice(0, at))?.[1]
  if (stated !== undefined && stated !== '') return decoded(stated)
  const query = rest.includes('?') ? rest.slice(rest.lastIndexOf('?') + 1) : ''
  return new URLSearchParams(query).get('password')
}

/** What follows the host at the beginning of a text; a word that no URL goes on with where it does not begin with it. */
function afterHost(text: string, host: string): string {
  const begins = [host, `[${host}]`, encodeURIComponent(host)].find((one) =>
    text.toLowerCase().startsWith(one.toLowerCase()),
  )
  return begins === undefined ? 'x' : text.slice(begins.length)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** How it is reached, as the API takes it. `kind` is what the address says. */
export function connectionOf(draft: DatasourceDraft, kind: string | undefined): Schemas['DatabaseTestRequest'] {
  const seconds = Number(draft.timeoutSeconds)
  const timeout =
    draft.timeoutSeconds === '' || !(seconds > 0) ? {} : { connect_timeout_ms: Math.round(seconds * 1_000) }
  const ca = draft.ca.trim() === '' ? {} : { ca: draft.ca }
  if (draft.way === 'project') return { project_url: draft.projectUrl.trim(), ...ca, ...timeout, ...keyOf(draft) }
  const chosen = draft.kind === '' ? (kind as Schemas['DatabaseTestRequest']['kind']) : draft.kind
  return {
    ...(chosen === undefined ? {} : { kind: chosen }),
    host: draft.host.trim(),
    ...(draft.port === '' ? {} : { port: Number(draft.port) }),
    database: draft.database,
    user: draft.user,
    ...(draft.ssl === '' ? {} : { ssl: draft.ssl }),
    ...ca,
    ...timeout,
    ...passwordOf(draft),
  }
}

function passwordOf({ secret, password, reference }: DatasourceDraft): Schemas['DatabaseTestRequest'] {
  if (secret === 'reference') return { password_reference: reference.trim() }
  if (secret === 'none') return { password: null }
  return secret === 'enter' && password !== '' ? { password } : {}
}

function keyOf({ secret, password, reference }: DatasourceDraft): Schemas['DatabaseTestRequest'] {
  if (secret === 'reference') return { service_role_key_reference: reference.trim() }
  return secret === 'enter' && password !== '' ? { service_role_key: password } : {}
}

/** The whole datasource, as the API takes it. */
export function requestOf(draft: DatasourceDraft, kind: string | undefined): Schemas['DatasourceRequest'] {
  const schemas = draft.schemas
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return {
    name: draft.name.trim(),
    ...connectionOf(draft, kind),
    schemas: schemas.length === 0 ? null : schemas,
    ...(draft.poolSize === '' ? {} : { pool_size: Number(draft.poolSize) }),
    environment: draft.environment === '' ? null : draft.environment,
    writable: draft.writable,
  }
}

/** Enough to try it. */
export function isReachable(draft: DatasourceDraft): boolean {
  if (draft.way === 'project') return isProjectUrl(draft.projectUrl)
  return draft.host.trim() !== '' && draft.database !== '' && draft.user !== ''
}

/** Databases that are called so by default say nothing of what is in them. */
const NAMES_OF_NOTHING = ['postgres', 'neondb', 'defaultdb']

/** A name for it that nobody has: after the database, or after the project where all databases are called alike. */
export function suggestName(draft: DatasourceDraft, taken: readonly string[]): string {
  const [label = ''] = (draft.way === 'project' ? hostOf(draft.projectUrl) : draft.host).replace(/^db\./, '').split('.')
  const project = /^postgres\.([a-z0-9]+)$/.exec(draft.user)?.[1]
  const useful = draft.way === 'database' && !NAMES_OF_NOTHING.includes(draft.database) ? draft.database : ''
  const base = cleanName(useful === '' ? (project ?? label) : useful)
  if (base === '') return ''
  for (let n = 1; ; n++) {
    const name = n === 1 ? base : `${base} ${n}`
    if (!taken.includes(name)) return name
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : ''
}

/** As names of ours may be: letters, digits, spaces, dots, dashes and underscores, with a letter or digit at both ends. */
function cleanName(text: string): string {
  return text
    .replaceAll(/[^\p{L}\p{N} ._-]+/gu, '-')
    .slice(0, 90)
    .replaceAll(/^[ ._-]+|[ ._-]+$/g, '')
}
