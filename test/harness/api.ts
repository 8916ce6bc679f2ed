/**
 * The API on a control store of its own: `await using api = await createApi('sqlite')`. Its ways to databases are those of
 * the service, but for names, of which it knows localhost alone: what a test makes up is asked of no name server.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import pino from 'pino'

import { resolveAllowed } from '#adapters/registry.ts'
import { createApp } from '#api/app.ts'
import { DEFAULT_LIMITS, type ApiConfig, type ApiLimits, type LiveEvents } from '#api/tools.ts'
import { createApiKey } from '#control/api-keys.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import type { Store } from '#control/store.ts'
import { openModel } from '#jobs/open-model.ts'
import type { DumpTools } from '#jobs/dumps.ts'
import { startJob } from '#jobs/start-job.ts'
import { wallMs } from '#lib/clock.ts'
import type { Resolve } from '#lib/network-address.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM, type Role } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { makeId, type IdKind } from '#model/id.ts'
import type { WriteRules } from '#model/write-protection.ts'
import { aiTools, modelOpening } from '#service/ai.ts'
import { toConfig } from '#service/config.ts'
import { datasourceTools } from '#service/datasource-tools.ts'
import { DemoHolder, demoWithoutService } from '#service/demo-data.ts'
import { retentionTools } from '#service/retention.ts'
import { dumpTools } from '#service/dumps.ts'
import { redisTools } from '#service/staging.ts'

import { createStore, type StoreKind } from './store.ts'

const RULES: WriteRules = { protectedEnvironments: ['production', 'staging'] }

export interface ApiUnderTest extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly store: Store
  readonly box: SecretBox
  readonly changeSets: ChangeSetTools
  readonly dumps: DumpTools
  readonly live: Announcer
  /** Everything that was logged, as it was written. */
  readonly log: string[]
  /** A new key of a role, and what an inject needs to be it. */
  key(role: Role, datasources?: readonly string[]): Promise<{ readonly id: string; readonly secret: string }>
  /** A request as the key; the body is JSON. */
  send(secret: string | null, method: string, url: string, extra?: Extra): Promise<LightMyRequestResponse>
}

export interface Extra {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export async function createApi(
  kind: StoreKind,
  given: Omit<Partial<ApiConfig>, 'limits'> & {
    readonly limits?: Partial<ApiLimits>
    /** It can make demo data, as a service can; by default it cannot, as a command line. */
    readonly withDemo?: boolean
    /** Settings of the service. */
    readonly variables?: Readonly<Record<string, string>>
  } = {},
): Promise<ApiUnderTest> {
  await using stack = new AsyncDisposableStack()
  const { store } = stack.use(await createStore(kind))
  const box = new SecretBox([randomBytes(32)])
  const folder = mkdtempSync(join(tmpdir(), 'syncline-changes-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const staging = { embedded: 2 * 1024 ** 3, redis: 256 * 1024 ** 2 }
  const changeSets = { store, box, folder, limits: staging, redis: null }
  const live = new Announcer()
  const log: string[] = []
  const { limits, variables = {}, withDemo = false, ...config } = given
  const settings = { store, box, config: toConfig(variables), resolve: resolveLoopback }
  const dumpSettings = { SYNCLINE_DATA_DIR: folder, DUMP_FREE_BYTES: '0', ...variables }
  const dumps = dumpTools({ store, box, config: toConfig(dumpSettings), resolve: resolveLoopback })
  const app = createApp({
    store,
    box,
    changeSets,
    dumps,
    rules: RULES,
    logger: pino({ level: 'trace' }, { write: (line: string) => void log.push(line) }),
    config: {
      version: '0.0.0-test',
      tls: false,
      hosts: [],
      corsOrigins: [],
      trustedProxies: [],
      publicDocs: true,
      ...config,
      limits: {
        ...DEFAULT_LIMITS,
        requestsPerMinute: 1_000_000,
        connectionTestsPerMinute: 1_000_000,
        pollMs: 50,
        ...limits,
      },
    },
    startJob: (wish, actor, jobId, also) =>
      startJob({ store, rules: RULES, newJobId: () => jobId, ...(also === undefined ? {} : { also }) }, wish, actor),
    live,
    datasources: datasourceTools({ store, box, config: toConfig({}), resolve: resolveLoopback }, RULES, () =>
      openModel(modelOpening(settings)),
    ),
    redis: redisTools(settings),
    retention: retentionTools(settings),
    demo: withDemo ? stack.use(new DemoHolder({ store, box })) : demoWithoutService({ store, box }),
    ai: aiTools(settings),
    readStatus: () => ({ startedAt: '2026-01-01T00:00:00.000Z', ready: true, workers: 0 }),
  })
  stack.defer(() => app.close())
  await app.ready()
  const held = stack.move()
  return {
    app,
    store,
    box,
    changeSets,
    dumps,
    live,
    log,
    key: async (role, datasources) => {
      const draft = { name: `a ${role}`, role, datasources: datasources ?? null, expiresAt: null }
      const { key, secret } = await createApiKey(store, draft, { id: testId('api key'), actor: SYSTEM })
      return { id: key.id, secret: secret.reveal() }
    },
    send: (secret, method, url, { body, headers = {} } = {}) =>
      app.inject({
        method: method as InjectOptions['method'] & string,
        url,
        headers: {
          host: 'localhost:8001',
          ...(secret === null ? {} : { 'x-api-key': secret }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
      }),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const resolveLoopback: Resolve = async (host) => {
  if (host !== 'localhost' && isIP(host) === 0) {
    throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), {
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      hostname: host,
    })
  }
  const addresses = await resolveAllowed(host)
  if (addresses.every(({ address }) => /^127\.|^::1$/.test(address))) return addresses
  throw new AppError('host_not_allowed', `The tests do not leave this machine for ${host}.`)
}

export function testId(kind: IdKind): string {
  return makeId(kind, wallMs(), randomBytes(10))
}

/** Announces events to whoever listens, or (silent) to nobody, as when another process wrote them. */
export class Announcer implements LiveEvents {
  readonly #heard = new Map<string, Set<() => void>>()
  silent = false

  subscribe(jobId: string, heard: () => void): () => void {
    const listeners = this.#heard.get(jobId) ?? new Set()
    this.#heard.set(jobId, listeners.add(heard))
    return () => void listeners.delete(heard)
  }

  announce(jobId: string): void {
    if (!this.silent) for (const heard of this.#heard.get(jobId) ?? []) heard()
  }
}
