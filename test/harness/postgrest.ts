/**
 * A REST API as PostgREST documents it, over a real database: the part that the product uses, so that it can be held to
 * that without PostgREST itself. Requests run as the role of their token, in a transaction of that role, so that grants
 * and row-level security are the database's own. Sources: docs.postgrest.org, "Tables and Views", "Pagination and Count",
 * "Functions as RPC", "Transactions", "Prefer Header", "Schemas", "OpenAPI", "Authentication", "Errors"; supabase.com/docs,
 * "API keys" for the gateway.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

import pg from 'pg'

import type { DescribedDatabase } from '#adapters/registry.ts'
import { parseProjectUrl, projectScript } from '#adapters/registry.ts'
import { resolveHost } from '#lib/network-address.ts'
import { Secret } from '#lib/secret.ts'

import { quote, type Database } from './database.ts'
import { callFunction, statusOf } from './postgrest-functions.ts'
import { readDescriptionOf } from './postgrest-description.ts'
import { apiError, parseQuery, toSql, type ApiError, BadQuery } from './postgrest-query.ts'

const SIGNING_SECRET = 'a secret of the tests, long enough to sign with'
const PATH = '/rest/v1/'

/** What is done to a request in place of an answer, or to the answer. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | { readonly cutAfter: number }
  | { readonly silent: true }
  /** The rows are told short by so many, and the count is not. */
  | { readonly lose: number }
  /** The count is left out of the answer. */
  | { readonly uncounted: true }

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface RestOptions {
  /** `max-rows`, which cuts pages without a word. */
  readonly maxRows?: number
  readonly schemas?: readonly string[]
  /** Settings of the API's role. */
  readonly settings?: Readonly<Record<string, string>>
  /** `Prefer: timezone` is known (from version 12). */
  readonly knowsTimezone?: boolean
  readonly tls?: { readonly key: string; readonly cert: string }
}

/** The settings of a server that nobody has changed. */
const DEFAULTS: Readonly<Record<string, string>> = {
  timezone: 'UTC',
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
}

/** A token of a role, as projects give them out. */
export function tokenOf(role: string, { expires = 4_000_000_000 }: { expires?: number } = {}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ role, iss: 'supabase', exp: expires })}`
  return `${signed}.${createHmac('sha256', SIGNING_SECRET).update(signed).digest('base64url')}`
}

/** The newer kind of key, which the gateway takes for a token of the service role. */
export const SECRET_KEY = 'sb_secret_of-the-tests'

/** Gives a database the roles of a project: one that passes row-level security by, and one that does not. */
export async function makeProjectRoles(db: Database): Promise<void> {
  for (const [role, options] of [
    ['service_role', 'BYPASSRLS'],
    ['anon', ''],
  ] as const) {
    // Roles belong to the whole server, which other tests use at the same time.
    await db.sql(`DO $$ BEGIN
      PERFORM pg_advisory_xact_lock(20250101);
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') THEN CREATE ROLE ${role} NOLOGIN ${options}; END IF;
    END $$`)
    await db.sql(`GRANT USAGE ON SCHEMA public TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role};
      GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO ${role}`)
  }
}

/** Gives a database the roles of a project and the functions by which it is written, as its owner would. */
export async function prepareProject(db: Database): Promise<void> {
  await makeProjectRoles(db)
  await db.sql(projectScript('public'))
}

/** Starts an API over a database that is prepared to be written; its tables are there. */
export async function startWritableApi(db: Database, options: RestOptions = {}): Promise<RestApi> {
  await prepareProject(db)
  return await startRestApi(db, options)
}

/** Starts an API over a database, whose tables are there and granted. */
export async function startRestApi(db: Database, options: RestOptions = {}): Promise<RestApi> {
  await makeProjectRoles(db)
  const api = new RestApi(db, options)
  await api.listen()
  return api
}

export class RestApi implements AsyncDisposable {
  readonly seen: SeenRequest[] = []
  /** Asked for each request of rows and each call, with its number from 1 on. What is cut was carried out. */
  fault: (number: number, request: SeenRequest) => Fault | null = () => null
  readonly #options: RestOptions
  readonly #pool: pg.Pool
  readonly #server: Server
  #requests = 0

  constructor(db: Database, options: RestOptions) {
    this.#options = options
    this.#pool = new pg.Pool({ connectionString: db.url, max: 4 })
    this.#pool.on('error', () => undefined)
    const answer = (request: IncomingMessage, response: ServerResponse): void => void this.#serve(request, response)
    this.#server = options.tls === undefined ? createServer(answer) : createTlsServer({ ...options.tls }, answer)
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The API as a database to be opened. */
  place(changes: { key?: string; schemas?: readonly string[]; url?: string; ca?: string } = {}): DescribedDatabase {
    const { key = tokenOf('service_role'), schemas = null, url = this.url, ca = null } = changes
    return {
      kind: 'supabase',
      connection: parseProjectUrl(url, ca),
      password: new Secret(key),
      schemas,
      connectTimeoutMs: 5_000,
      resolve: (host) =>
        host.endsWith('.test') ? Promise.resolve([{ address: '127.0.0.1', family: 4 }]) : resolveHost(host),
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = Buffer.concat(await request.toArray()).toString()
      const seen = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body }
      this.seen.push(seen)
      const answer = await this.#answer(seen)
      response.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', ...answer.headers })
      if (answer.cutAfter !== undefined) {
        response.write(answer.body.slice(0, answer.cutAfter), () => response.destroy())
        return
      }
      response.end(seen.method === 'HEAD' ? undefined : answer.body)
    } catch (error) {
      if (error instanceof Silence) return
      const { status, ...body } = toApiError(error)
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
      response.end(JSON.stringify(body))
    }
  }

  async #answer(seen: SeenRequest): Promise<Answered> {
    const url = new URL(seen.url, this.url)
    if (!url.pathname.startsWith(PATH)) return { status: 404, headers: {}, body: '{"message":"no Route matched"}' }
    const table = decodeURIComponent(url.pathname.slice(PATH.length))
    const fault = table === '' ? null : this.fault((this.#requests += 1), seen)
    if (fault !== null && 'silent' in fault) throw new Silence()
    if (fault !== null && 'status' in fault) {
      return { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? '{}' }
    }
    const role = readRole(seen.headers)
    const { schemas = ['public'] } = this.#options
    const writes = seen.method !== 'GET' && seen.method !== 'HEAD'
    const profile = seen.headers[writes ? 'content-profile' : 'accept-profile'] ?? schemas[0] ?? ''
    if (typeof profile !== 'string' || !schemas.includes(profile)) {
      throw apiError(406, 'PGRST106', `Invalid schema: ${String(profile)}`)
    }
    const called = /^rpc\/(.+)$/.exec(table)?.[1]
    if (writes && called === undefined) {
      throw apiError(405, 'PGRST117', `Unsupported HTTP method: ${seen.method}`)
    }
    if (called !== undefined) {
      const call = (client: pg.PoolClient): Promise<string> =>
        callFunction(client, { schema: profile, name: called, payload: seen.body })
      const body = await this.#inTransaction(role, seen, call)
      const cut = fault !== null && 'cutAfter' in fault ? { cutAfter: fault.cutAfter } : {}
      return { status: 200, headers: { 'content-length': String(Buffer.byteLength(body)) }, body, ...cut }
    }
    return this.#inTransaction(role, seen, async (client) => {
      if (table === '') {
        return { status: 200, headers: {}, body: JSON.stringify(await readDescriptionOf(client, profile)) }
      }
      return this.#rows(client, { seen, url, table: [profile, table], fault })
    })
  }

  async #inTransaction<T>(role: string, seen: SeenRequest, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    try {
      await client.query(seen.method === 'POST' ? 'BEGIN' : 'BEGIN READ ONLY')
      const settings = { ...DEFAULTS, ...this.#options.settings }
      const zone = /timezone=([\w/]+)/.exec(String(seen.headers['prefer'] ?? ''))?.[1]
      if (zone !== undefined && this.#options.knowsTimezone !== false) settings['timezone'] = zone
      for (const [name, value] of Object.entries({ ...settings, search_path: 'public', role })) {
        await client.query('SELECT set_config($1, $2, true)', [name, value])
      }
      const result = await use(client)
      await client.query('COMMIT')
      return result
    } finally {
      await client.query('ROLLBACK').catch(() => undefined)
      client.release()
    }
  }

  async #rows(
    client: pg.PoolClient,
    asked: { seen: SeenRequest; url: URL; table: readonly [string, string]; fault: Fault | null },
  ): Promise<Answered> {
    const { seen, url, table, fault } = asked
    const from = table.map(quote).join('.')
    const [known] = (await client.query('SELECT to_regclass($1) AS known', [from])).rows as { known: string | null }[]
    if ((known?.known ?? null) === null) {
      throw apiError(404, 'PGRST205', `Could not find the table '${table.join('.')}' in the schema cache`)
    }
    const query = toSql(parseQuery(url.searchParams), from, this.#options.maxRows ?? Infinity)
    const { rows } = await client.query<{ body: string; n: string }>(
      `WITH pgrst_source AS (${query.rows}) SELECT coalesce(json_agg(t), '[]')::text AS body, count(t) AS n FROM pgrst_source t`,
      query.values,
    )
    const prefer = String(seen.headers['prefer'] ?? '')
    const total = await count(client, query, prefer)
    let { body = '[]' } = rows[0] ?? {}
    let n = Number(rows[0]?.n ?? 0)
    if (fault !== null && 'lose' in fault) {
      const kept = (JSON.parse(body) as unknown[]).slice(0, Math.max(0, n - fault.lose))
      ;[body, n] = [JSON.stringify(kept), kept.length]
    }
    const told = fault !== null && 'uncounted' in fault ? null : total
    const range = `${n === 0 ? '*' : `0-${n - 1}`}/${told ?? '*'}`
    const cut = fault !== null && 'cutAfter' in fault ? { cutAfter: fault.cutAfter } : {}
    const status = total !== null && total > n ? 206 : 200
    // With its length, as a gateway gives it: what is cut can be told.
    const length = seen.method === 'HEAD' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    return { status, headers: { 'content-range': range, ...length }, body, ...cut }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
    await this.#pool.end()
  }
}

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly cutAfter?: number
}

class Silence extends Error {}

async function count(client: pg.PoolClient, query: ReturnType<typeof toSql>, prefer: string): Promise<number | null> {
  if (prefer.includes('count=exact')) {
    const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM (${query.all}) a`, query.values)
    return Number(rows[0]?.n)
  }
  if (!prefer.includes('count=planned')) return null
  const { rows } = await client.query<{ 'QUERY PLAN': readonly { Plan: { 'Plan Rows': number } }[] }>(
    `EXPLAIN (FORMAT JSON) ${query.all}`,
    query.values,
  )
  return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? null
}

/** The gateway asks for a key; the API takes the role from the token. */
function readRole(headers: IncomingMessage['headers']): string {
  const key = headers['apikey']
  if (typeof key !== 'string') throw apiError(401, 'none', 'No API key found in request')
  const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
  if (bearer !== undefined && bearer.startsWith('sb_'))
    throw apiError(401, 'PGRST301', 'Expected 3 parts in JWT; got 1')
  if (key.startsWith('sb_')) {
    if (key === SECRET_KEY) return 'service_role'
    throw apiError(401, 'none', 'Unregistered API key')
  }
  const [head = '', payload = '', signature = ''] = (bearer ?? '').split('.')
  const right = createHmac('sha256', SIGNING_SECRET).update(`${head}.${payload}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== right.length || !timingSafeEqual(given, right)) {
    throw apiError(401, 'PGRST301', 'No suitable key or wrong key type')
  }
  const { role, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { role: string; exp: number }
  if (exp * 1000 < Date.now()) throw apiError(401, 'PGRST303', 'JWT expired')
  return role
}

function toApiError(error: unknown): ApiError {
  if (error instanceof BadQuery) return error.said
  if (!(error instanceof pg.DatabaseError)) {
    return { status: 500, code: 'PGRSTX00', message: String(error), details: null, hint: null }
  }
  const { code = '', message, detail = null, hint = null } = error
  return { status: statusOf(code), code, message, details: detail, hint }
}
