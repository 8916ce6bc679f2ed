import { hostname, userInfo } from 'node:os'
import { Readable } from 'node:stream'
import { createApp } from '#api/app.ts'
import { isStream, type ApiRequest, type ApiResponse, type ApiStream, type Transport } from '#api/client.ts'
import { systemClock } from '#lib/clock.ts'
import { makeToken } from '#lib/token.ts'
import type { ApiKey } from '#model/access.ts'
import { Announcer } from './announcer.ts'
import { apiTools } from './api-tools.ts'
import { openBase, type Base } from './base.ts'
import { demoWithoutService } from './demo-data.ts'
import { createSupervisor } from './jobs.ts'
import { createLogger } from './logging.ts'
import { isServed } from './serve-lock.ts'

/** What puts a job into the queue. */
const WORK =
  /^\/(sync\/|sync-configs\/[^/]+\/validate$|jobs\/[^/]+\/(resume|retry|approve|revert|changes\/decide|rejections\/replay)$|rejections\/[^/]+\/replay$)/

/** Whether no service runs on the store; on PostgreSQL there may be one on any machine. */
function isAlone({ store, config }: Base): boolean {
  return !store.isPostgres && !isServed(config.dataDirectory)
}

/** Somebody at this machine, as the audit log names them. */
function keyOfCommandLine(createdAt: string): ApiKey {
  return {
    id: 'cli',
    name: `command line of ${userInfo().username}@${hostname()}`,
    prefix: '',
    role: 'admin',
    datasources: null,
    createdAt,
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null,
  }
}

/**
 * The API over the store of this machine, in this very process: the same routes, rules and audit as over the network.
 * Who may read the store's files may do everything with it anyway, so that the command has a key of its own, which is
 * never kept.
 */
export async function openLocalApi(): Promise<Transport> {
  await using stack = new AsyncDisposableStack()
  const base = stack.use(await openBase({ migrate: false }))
  const startedAt = systemClock.now()
  const secret = makeToken('')
  const work = new AbortController()
  let working: Promise<void> | null = null
  const app = createApp(
    apiTools(base, {
      logger: createLogger({ logLevel: 'error', logFile: null }),
      live: new Announcer(),
      demo: demoWithoutService(base),
      // Work is taken on by this process, once it has begun to, or by a service elsewhere.
      readStatus: () => ({ startedAt, ready: working !== null || !isAlone(base), workers: 0 }),
      ownKey: { key: keyOfCommandLine(startedAt), secret },
    }),
  )
  stack.defer(() => app.close())
  await app.ready()
  stack.defer(async () => {
    work.abort()
    await working
  })
  const held = stack.move()
  const injected = ({ method, path, headers, body }: ApiRequest) => ({
    method,
    url: `/api/v1${path}`,
    headers: { ...headers, host: 'localhost', 'x-api-key': secret.reveal() },
    ...(body === null ? {} : { payload: isStream(body) ? Readable.from(body) : body }),
  })
  const send = async ({ method, path, headers, body }: ApiRequest): Promise<ApiResponse> => {
    // Where nobody else takes jobs from this store, this process does, for as long as the command runs.
    if (working === null && method === 'POST' && WORK.test(path) && isAlone(base)) {
      working = createSupervisor(base, {}).run(work.signal)
    }
    const response = await app.inject(injected({ method, path, headers, body }))
    return { status: response.statusCode, headers: {}, body: response.body }
  }
  const open = async (request: ApiRequest): Promise<ApiStream> => {
    const response = await app.inject({ ...injected(request), payloadAsStream: true })
    return { status: response.statusCode, body: response.stream() }
  }
  return { send, open, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
