import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import cookie from '@fastify/cookie'
import rateLimit from '@fastify/rate-limit'
import websocket from '@fastify/websocket'
import fastify, { LogController, type FastifyInstance } from 'fastify'
import { serializerCompiler } from 'fastify-type-provider-zod'
import { PREFIX, PREFIXES, type Api, type Context } from '#api/context.ts'
import { Problem } from '#api/contract/problem.ts'
import { StreamCount } from '#api/live/stream-count.ts'
import { registerDescription } from '#api/description.ts'
import { answerUnrouted } from '#api/methods.ts'
import { answerError } from '#api/problem.ts'
import { adminPages } from '#api/admin-pages.ts'
import { accessRoutes } from '#api/routes/access.ts'
import { approvalRoutes } from '#api/routes/approvals.ts'
import { aiSettingsRoutes } from '#api/routes/ai-settings.ts'
import { auditRoutes } from '#api/routes/audit.ts'
import { changeRoutes } from '#api/routes/changes.ts'
import { datasourceRoutes } from '#api/routes/datasources.ts'
import { healthRoutes, serviceRoutes } from '#api/routes/service.ts'
import { jobRoutes } from '#api/routes/jobs.ts'
import { historyRoutes } from '#api/routes/history.ts'
import { liveRoutes } from '#api/routes/live.ts'
import { carryOutRoutes } from '#api/routes/carry-out.ts'
import { conflictRoutes } from '#api/routes/conflicts.ts'
import { conflictRuleRoutes } from '#api/routes/conflict-rules.ts'
import { demoRoutes } from '#api/routes/demo.ts'
import { dumpRoutes } from '#api/routes/dumps.ts'
import { rejectionRoutes } from '#api/routes/rejections.ts'
import { retentionRoutes } from '#api/routes/retention.ts'
import { runRoutes } from '#api/routes/runs.ts'
import { schemaDriftRoutes } from '#api/routes/schema-drift.ts'
import { exportScheduleRoutes } from '#api/routes/export-schedules.ts'
import { scheduleRoutes } from '#api/routes/schedules.ts'
import { settingsRoutes } from '#api/routes/settings.ts'
import { favicon } from '#api/favicon.ts'
import { mappingPreviewRoutes } from '#api/routes/mapping-preview.ts'
import { matchRoutes } from '#api/routes/match.ts'
import { adviceRoutes } from '#api/routes/advice.ts'
import { suggestionRoutes } from '#api/routes/suggestions.ts'
import { syncConfigRoutes } from '#api/routes/sync-configs.ts'
import { vocabularyRoutes } from '#api/routes/vocabulary.ts'
import { webhookSecretRoutes } from '#api/routes/webhook-secrets.ts'
import { guardAccess } from '#api/security/access.ts'
import { answerUnreadable, boundBodies, boundConnections } from '#api/security/connections.ts'
import { securityHeaders } from '#api/security/headers.ts'
import { parseJsonBody } from '#api/security/json-body.ts'
import { applyCors, refuseForeignHost } from '#api/security/sites.ts'
import { KeyThrottle } from '#api/security/throttle.ts'
import { validatorCompiler } from '#api/validate.ts'
import type { ApiTools } from '#api/tools.ts'
import { toError } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'

const BODY_BYTES = 1_048_576
const HEADER_BYTES = 16_384
const SOCKET_MESSAGE_BYTES = 4_096
const KEEP_ALIVE_MS = 10_000
const REQUESTS_PER_CONNECTION = 1_000

/** What requests that are under way have left when the server closes. */
const CLOSE_GRACE_MS = 5_000

/** The server of the API, ready to listen. Whoever made the tools ends them after it is closed. */
export function createApp(tools: ApiTools): FastifyInstance {
  const { config, logger, store } = tools
  const { limits } = config
  const closing = new AbortController()
  const context: Context = {
    ...tools,
    throttle: new KeyThrottle(store.clock),
    streams: new StreamCount(limits.streamsPerKey),
    closing: closing.signal,
  }
  const headers = securityHeaders(config)
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    bodyLimit: BODY_BYTES,
    trustProxy: config.trustedProxies.length === 0 ? false : [...config.trustedProxies],
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxRequestsPerSocket: REQUESTS_PER_CONNECTION,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    http: {
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: Math.min(limits.headersMs, 5_000),
      maxHeaderSize: HEADER_BYTES,
      requireHostHeader: true,
      // Whoever offers another protocol, such as HTTP/2, is answered in this one (RFC 9110, 7.8).
      shouldUpgradeCallback: wantsSocket,
    },
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply.headers(headers)),
  })
  boundConnections(app.server, limits)
  boundBodies(app, limits)
  closeInTime(app, closing)
  takeJsonAlone(app)
  guardEdge(app, context, headers)
  void app.register(cookie)
  void app.register(websocket, { options: { maxPayload: SOCKET_MESSAGE_BYTES } })
  void app
    .register(rateLimit, {
      max: limits.requestsPerMinute,
      timeWindow: 60_000,
      enableDraftSpec: true,
      errorResponseBuilder: () => new AppError('rate_limited', 'Too many requests came from this address.'),
    })
    .after(() => answerUnrouted(app))
  registerDescription(app, context)
  favicon(app)
  adminPages(app)
  void app.register(async (root) => healthRoutes(root.withTypeProvider(), context))
  for (const prefix of PREFIXES) void app.register(async (api) => registerRoutes(api, context, prefix), { prefix })
  return app
}

/**
 * Ends streams when the server closes, and after a while whatever is still connected: a connection that has not sent a
 * request would keep it open for good.
 */
function closeInTime(app: FastifyInstance, closing: AbortController): void {
  let timer: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    closing.abort()
    timer = setTimeout(() => app.server.closeAllConnections(), CLOSE_GRACE_MS)
  })
  app.addHook('onClose', async () => clearTimeout(timer))
}

/** What every request passes, whatever it asks for. */
function guardEdge(app: FastifyInstance, { config }: Context, headers: Readonly<Record<string, string>>): void {
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.decorateRequest('principal', null)
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({ ...headers, 'x-request-id': request.id })
    refuseForeignHost(request, config)
    if (applyCors(request, reply, config)) return reply
  })
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply))
  app.addHook('onResponse', async (request, reply) => {
    // Refused before it became a socket: nobody reads from the connection any more, nor would see it end.
    if (wantsSocket(request) && !request.ws) request.raw.socket.destroy()
    // The pattern of the route, not the path: what somebody put into a path or a query is theirs.
    const { method, routeOptions, ip, principal } = request
    request.log.info(
      {
        method,
        route: routeOptions.url ?? null,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        ip,
        key: principal?.key.id ?? null,
      },
      'request',
    )
  })
}

function wantsSocket({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return /\bwebsocket\b/i.test(headers.upgrade ?? '')
}

/** Bodies are JSON, and nothing else. */
function takeJsonAlone(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_, text, done) => {
    try {
      done(null, parseJsonBody(text.toString()))
    } catch (error) {
      done(toError(error))
    }
  })
}

/** A name for generated clients: `GET /jobs/:id/log` is `getJobsIdLog`. */
function operationName(method: string, path: string): string {
  const words = path.match(/[A-Za-z]+/g) ?? []
  return method.toLowerCase() + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join('')
}

function registerRoutes(root: FastifyInstance, context: Context, prefix: string): void {
  guardAccess(root, context)
  const refusal = { description: 'What went wrong.', content: { 'application/problem+json': { schema: Problem } } }
  root.addHook('onRoute', (route) => {
    route.schema = {
      ...route.schema,
      hide: prefix !== PREFIX,
      operationId: operationName(String(route.method), route.url.slice(prefix.length)),
      response: { ...(route.schema?.response as object), '4xx': refusal, '5xx': refusal },
    }
  })
  const api: Api = root.withTypeProvider()
  accessRoutes(api, context)
  datasourceRoutes(api, context)
  scheduleRoutes(api, context)
  exportScheduleRoutes(api, context)
  syncConfigRoutes(api, context)
  schemaDriftRoutes(api, context)
  webhookSecretRoutes(api, context)
  suggestionRoutes(api, context)
  adviceRoutes(api, context)
  mappingPreviewRoutes(api, context)
  matchRoutes(api, context)
  runRoutes(api, context)
  jobRoutes(api, context)
  changeRoutes(api, context)
  approvalRoutes(api, context)
  rejectionRoutes(api, context)
  conflictRoutes(api, context)
  carryOutRoutes(api, context)
  conflictRuleRoutes(api, context)
  historyRoutes(api, context)
  auditRoutes(api, context)
  dumpRoutes(api, context)
  liveRoutes(api, context)
  settingsRoutes(api, context)
  retentionRoutes(api, context)
  aiSettingsRoutes(api, context)
  demoRoutes(api, context)
  vocabularyRoutes(api)
  serviceRoutes(api, context)
}
