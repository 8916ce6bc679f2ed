import { newId, principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/access.ts'
import { idPath } from '#api/contract/ids.ts'
import { limitOf } from '#api/contract/paging.ts'
import { ListQuery } from '#api/contract/datasources.ts'
import { isText, pageOf, readCursor } from '#api/page.ts'
import { presentKey, presentSession } from '#api/present.ts'
import { HttpError, InvalidRequest } from '#api/problem.ts'
import { requireFresh } from '#api/security/confirm.ts'
import { refuseScoped } from '#api/security/scope.ts'
import { actorOf, checkCode, checkKey, nobody } from '#api/security/principal.ts'
import { clearSessionCookie, readSessionCookie, setSessionCookie } from '#api/security/session-cookie.ts'
import { visibleDatasource } from '#api/visible.ts'
import { createApiKey, listApiKeys, revokeApiKey } from '#control/api-keys.ts'
import { recordAudit } from '#control/audit.ts'
import { closeSession, listSessions, openSession } from '#control/sessions.ts'
import { redeemSetupToken } from '#control/setup-tokens.ts'
import { addMs } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import { z } from 'zod'

const tags = ['access']

/** The first key, keys, and sessions. */
export function accessRoutes(api: Api, context: Context): void {
  setupRoute(api, context)
  keyRoutes(api, context)
  sessionRoutes(api, context)
  sessionListRoutes(api, context)
}

function setupRoute(api: Api, { store, throttle }: Context): void {
  api.route({
    method: 'POST',
    url: '/setup',
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'Make the first key with the setup token',
      security: [],
      body: contract.SetupInput,
      response: { 201: contract.NewApiKey },
    },
    handler: async (request, reply) => {
      const { token, name = 'admin' } = request.body
      throttle.check(request.ip)
      try {
        const made = await redeemSetupToken(store, { token, id: newId('api key'), name }, request.ip)
        throttle.succeed(request.ip)
        return await reply.code(201).send({ ...presentKey(made.key), key: made.secret.reveal() })
      } catch (error) {
        if (error instanceof AppError && error.code === 'unauthenticated') {
          throttle.fail(request.ip)
          await recordAudit(store, nobody(request.ip), { action: 'setup.refuse', subject: null, data: {} })
        }
        throw error
      }
    },
  })
}

function keyRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url: '/keys',
    config: { access: 'admin' },
    schema: { tags, summary: 'List keys', querystring: ListQuery, response: { 200: contract.ApiKeyPage } },
    handler: async (request) => {
      refuseScoped(principalOf(request).actor)
      const { query } = request
      const limit = limitOf(query.limit)
      const found = await listApiKeys(store, { before: readCursor(query.cursor, isText), limit: limit + 1 })
      return pageOf(found, limit, { placeOf: ({ id }) => id, present: presentKey })
    },
  })
  api.route({
    method: 'POST',
    url: '/keys',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Make a key; it is shown this once',
      body: contract.ApiKeyInput,
      response: { 201: contract.NewApiKey },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      requireFresh(context, principal)
      const { name, role, datasources = null, expires_at: expires = null } = request.body
      const expiresAt = expires === null ? null : addMs(expires, 0)
      if (expiresAt !== null && expiresAt <= store.clock.now()) {
        throw new InvalidRequest([{ place: 'body#/expires_at', message: 'This is in the past.' }])
      }
      if (principal.actor.datasources !== null && datasources === null) {
        throw new AppError('forbidden', 'A key with a scope makes only keys with a scope.')
      }
      const scope =
        datasources === null
          ? null
          : await Promise.all(datasources.map((name) => visibleDatasource(store, principal.actor, name)))
      const made = await createApiKey(
        store,
        {
          name,
          role,
          datasources: scope === null ? null : scope.map(({ id }) => id),
          expiresAt,
        },
        { id: newId('api key'), actor: principal.actor },
      )
      return reply.code(201).send({ ...presentKey(made.key), key: made.secret.reveal() })
    },
  })
  api.route({
    method: 'DELETE',
    url: '/keys/:id',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Revoke a key, with its sessions and streams',
      params: idPath('api key'),
      response: { 200: contract.ApiKey },
    },
    handler: async (request) => {
      const principal = principalOf(request)
      requireFresh(context, principal)
      refuseScoped(principal.actor)
      return presentKey(await revokeApiKey(store, { id: request.params.id, actor: principal.actor }))
    },
  })
}

function sessionRoutes(api: Api, context: Context): void {
  const { store, config, throttle } = context
  api.route({
    method: 'POST',
    url: '/session',
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'Sign in with a key',
      description: 'Opens a session in a cookie. Entering the key again makes the session fresh, under a new token.',
      security: [],
      body: contract.SignInInput,
      response: { 201: contract.WhoAmI },
    },
    handler: async (request, reply) => {
      const { key: secret = null, code = '' } = request.body
      const address = request.ip
      const key =
        secret === null
          ? await checkCode(store, { secret: code, address }, throttle)
          : await checkKey(store, { secret, address }, throttle)
      const replaces = readSessionCookie(request, config)
      const actor = actorOf(key, request.ip)
      const { session, token } = await openSession(store, { id: newId('session'), key, replaces }, actor)
      setSessionCookie(reply, config, token)
      return reply.code(201).send({ key: presentKey(key), session: presentSession(session, session) })
    },
  })
  api.route({
    method: 'GET',
    url: '/session',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Who asks, and with which rights', response: { 200: contract.WhoAmI } },
    handler: async (request) => {
      const { key, session } = principalOf(request)
      return { key: presentKey(key), session: session === null ? null : presentSession(session, session) }
    },
  })
  api.route({
    method: 'DELETE',
    url: '/session',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Sign out', response: { 204: z.undefined() } },
    handler: async (request, reply) => {
      const { session, actor } = principalOf(request)
      if (session === null) {
        throw new HttpError('invalid_request', 'A key has no session to end.', { status: 400 })
      }
      await closeSession(store, { id: session.id, keyId: null, actor })
      clearSessionCookie(reply, config)
      return reply.code(204).send()
    },
  })
}

function sessionListRoutes(api: Api, { store }: Context): void {
  api.route({
    method: 'GET',
    url: '/sessions',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List open sessions: those of the own key, or all for an admin',
      querystring: z.strictObject({}),
      response: { 200: contract.SessionPage },
    },
    handler: async (request) => {
      const { actor, key, session } = principalOf(request)
      const found = await listSessions(store, isWholeAdmin(actor) ? null : key.id)
      return { items: found.map((one) => presentSession(one, session)), next_cursor: null }
    },
  })
  api.route({
    method: 'DELETE',
    url: '/sessions/:id',
    config: { access: 'viewer' },
    schema: { tags, summary: 'End a session', params: idPath('session'), response: { 204: z.undefined() } },
    handler: async (request, reply) => {
      const { actor, key } = principalOf(request)
      await closeSession(store, { id: request.params.id, keyId: isWholeAdmin(actor) ? null : key.id, actor })
      return reply.code(204).send()
    },
  })
}

function isWholeAdmin({ role, datasources }: { role: string; datasources: readonly string[] | null }): boolean {
  return role === 'admin' && datasources === null
}
