import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { PREFIX, principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { limitOf } from '#api/contract/paging.ts'
import { etag, ifMatch, versionOf } from '#api/contract/versions.ts'
import * as contract from '#api/contract/datasources.ts'
import { toDraft, toUnkeptDraft } from '#api/drafts.ts'
import { answerOnce } from '#api/once.ts'
import { pageOf, readCursor, readSorted, writeCursor } from '#api/page.ts'
import { presentDatasource, presentParsedUrl, presentRows, presentTable, presentTest } from '#api/present.ts'
import { InvalidRequest } from '#api/problem.ts'
import { refuseOwnConnections, refuseScoped } from '#api/security/scope.ts'
import { requireConfirmation } from '#api/security/confirm.ts'
import { visibleDatasource } from '#api/visible.ts'
import {
  createDatasource,
  deleteDatasource,
  findDatasource,
  pageDatasources,
  updateDatasource,
  type DatasourceDraft,
} from '#control/datasources.ts'
import { recordAudit } from '#control/audit.ts'
import { Secret } from '#lib/secret.ts'
import type { Actor } from '#model/access.ts'
import type { ConnectionTest, Datasource } from '#model/datasource.ts'
import { parseTableName } from '#model/table-pattern.ts'
import type { TableRef } from '#model/table.ts'

const tags = ['datasources']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a datasource.' }) })
const TEST_MS = 60_000
const BROWSE_MS = 60_000

/** Datasources: what there is, how it is reached, and what is in it. */
export function datasourceRoutes(api: Api, context: Context): void {
  listRoutes(api, context)
  changeRoutes(api, context)
  testRoutes(api, context)
  confirmRoute(api, context)
  contentRoutes(api, context)
}

function listRoutes(api: Api, context: Context): void {
  const { store, rules } = context
  for (const { url, summary } of [
    { url: '/datasources', summary: 'List datasources' },
    { url: '/databases', summary: 'List databases: the same as datasources' },
  ]) {
    api.route({
      method: 'GET',
      url,
      config: { access: 'viewer' },
      schema: {
        tags,
        summary,
        querystring: contract.DatasourceListQuery,
        response: { 200: contract.DatasourcePage },
      },
      handler: async (request) => {
        const { search = null, kind = null, writable } = request.query
        const limit = limitOf(request.query.limit)
        const { wanted, ...page } = readSorted(request.query, 'name')
        const found = await pageDatasources(store, {
          ...page,
          search,
          kind,
          writable: writable === undefined ? null : writable === 'true',
          ids: principalOf(request).actor.datasources,
          limit: limit + 1,
        })
        return pageOf(found, limit, {
          placeOf: ({ id, name, createdAt }) => ({ sort: wanted, value: page.sort === 'name' ? name : createdAt, id }),
          present: (one) => presentDatasource(one, rules),
        })
      },
    })
  }
  api.route({
    method: 'GET',
    url: '/datasources/:id',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Show a datasource', params, response: { 200: contract.Datasource } },
    handler: async (request, reply) => {
      const found = await visibleDatasource(store, principalOf(request).actor, request.params.id)
      return tagged(reply, found).send(presentDatasource(found, rules))
    },
  })
}

function changeRoutes(api: Api, context: Context): void {
  const { store, box, rules, datasources } = context
  api.route({
    method: 'POST',
    url: '/datasources',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Register a datasource',
      headers: onceHeaders,
      body: contract.DatasourceInput,
      response: { 201: contract.Datasource },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      const { password = null, ...rest } = toDraft(context, request.body)
      const draft: DatasourceDraft = { ...rest, password }
      await datasources.checkDraft(draft, actor)
      const answer = (made: Datasource) => ({
        status: 201 as const,
        body: presentDatasource(made, rules),
        headers: { location: `${PREFIX}/datasources/${made.id}`, etag: etag(made.version) },
      })
      const { status, headers, body } = await answerOnce(
        context,
        { request, reply, kind: 'datasource' },
        async (id) => answer(await createDatasource({ store, box }, draft, { id, actor, origin: 'stored' })),
        async (id) => {
          const made = await findDatasource(store, id)
          return made === null ? null : answer(made)
        },
      )
      return reply.code(status).headers(headers).send(body)
    },
  })
  api.route({
    method: 'PUT',
    url: '/datasources/:id',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Change a datasource',
      description:
        'The whole datasource as it is to be. A password that is left out stays; with another host or port it must be given again.',
      params,
      headers: ifMatch,
      body: contract.DatasourceInput,
      response: { 200: contract.Datasource },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { id } = await visibleDatasource(store, actor, request.params.id)
      const change = toDraft(context, request.body)
      await datasources.checkDraft({ ...change, password: change.password ?? null }, actor)
      const changed = await updateDatasource({ store, box }, { id, version: versionOf(request.headers), actor }, change)
      return tagged(reply, changed).send(presentDatasource(changed, rules))
    },
  })
  api.route({
    method: 'DELETE',
    url: '/datasources/:id',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Remove a datasource; the database itself is left alone',
      params,
      headers: ifMatch,
      querystring: contract.DeleteQuery,
      response: { 204: z.undefined() },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const { id, name } = await visibleDatasource(store, principal.actor, request.params.id)
      requireConfirmation(context, principal, { name, confirm: request.query.confirm })
      await deleteDatasource(store, { id, version: versionOf(request.headers), actor: principal.actor })
      return reply.code(204).send()
    },
  })
}

function testRoutes(api: Api, context: Context): void {
  const { store, datasources, config } = context
  const slow = { rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 } }
  const testKept = async (found: Datasource, actor: Actor): Promise<ConnectionTest> => {
    const test = await datasources.test(found, AbortSignal.timeout(TEST_MS))
    await recordAudit(store, actor, { action: 'datasource.test', subject: found.id, data: { ok: test.ok } })
    return test
  }
  api.route({
    method: 'POST',
    url: '/datasources/:id/test',
    config: { access: 'operator', ...slow },
    schema: {
      tags,
      summary: 'Test a connection step by step',
      description: 'A connection that fails is an answer, not an error: see checks for the cause and the next step.',
      params,
      response: { 200: contract.ConnectionTest },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      return presentTest(await testKept(await visibleDatasource(store, actor, request.params.id), actor))
    },
  })
  api.route({
    method: 'POST',
    url: '/databases/test',
    config: { access: 'operator', ...slow },
    schema: {
      tags,
      summary: 'Test a datasource, or a connection that is not kept (admin)',
      body: contract.DatabaseTestInput,
      response: { 200: contract.ConnectionTest },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { datasource_id: id, ...connection } = request.body
      if (id !== undefined) {
        if (Object.values(connection).some((field) => field !== undefined)) {
          throw new InvalidRequest([{ place: 'body#/datasource_id', message: 'Give this or a connection, not both.' }])
        }
        return presentTest(await testKept(await visibleDatasource(store, actor, id), actor))
      }
      refuseOwnConnections(actor)
      const draft = toUnkeptDraft(context, connection)
      await datasources.checkDraft(draft, actor)
      const test = await datasources.test(draft, AbortSignal.timeout(TEST_MS))
      const { host, port, database } = draft.connection
      const data = { host, port, database, ok: test.ok }
      await recordAudit(store, actor, { action: 'datasource.test', subject: null, data })
      return presentTest(test)
    },
  })
  api.route({
    method: 'POST',
    url: '/datasources/parse-url',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Take a connection URL apart, without connecting',
      body: contract.ParseUrlInput,
      response: { 200: contract.ParsedUrl },
    },
    handler: async (request) => presentParsedUrl(datasources.parseUrl(new Secret(request.body.url))),
  })
}

function confirmRoute(api: Api, context: Context): void {
  const { store, datasources, rules } = context
  api.route({
    method: 'POST',
    url: '/datasources/:id/confirm-server',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Take the server that a datasource leads to now for the right one',
      description: 'What to do about wrong_server, where the move to another server was meant.',
      params,
      body: contract.ConfirmServerInput,
      response: { 200: contract.Datasource },
    },
    handler: async (request) => {
      const principal = principalOf(request)
      const { actor } = principal
      const found = await visibleDatasource(store, actor, request.params.id)
      requireConfirmation(context, principal, { name: found.name, confirm: request.body.confirm })
      await datasources.confirmServer(found, actor, AbortSignal.timeout(TEST_MS))
      return presentDatasource(await visibleDatasource(store, actor, found.id), rules)
    },
  })
}

function contentRoutes(api: Api, { store, datasources }: Context): void {
  api.route({
    method: 'GET',
    url: '/datasources/:id/schema',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List tables, columns and keys',
      params,
      querystring: contract.SchemaQuery,
      response: { 200: contract.SchemaPage },
    },
    handler: async (request) => {
      const found = await visibleDatasource(store, principalOf(request).actor, request.params.id)
      const { search = null, refresh, cursor } = request.query
      const limit = limitOf(request.query.limit)
      const schemas = request.query.schemas?.split(',') ?? null
      const question = { search, schemas, after: readCursor(cursor, isTableRef), limit, fresh: refresh === 'true' }
      const page = await datasources.browse(found, question, AbortSignal.timeout(BROWSE_MS))
      const last = page.tables.at(-1)
      return {
        items: page.tables.map(presentTable),
        next_cursor: page.more && last !== undefined ? writeCursor(last.table) : null,
        at: page.at,
        total: page.total,
      }
    },
  })
  api.route({
    method: 'GET',
    url: '/datasources/:id/preview',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Show the first rows of a table',
      params,
      querystring: contract.PreviewQuery,
      response: { 200: contract.RowsPreview },
    },
    handler: async (request) => {
      const found = await visibleDatasource(store, principalOf(request).actor, request.params.id)
      const question = { table: parseTableName(request.query.table), limit: Number(request.query.limit ?? 20) }
      return presentRows(await datasources.preview(found, question, AbortSignal.timeout(BROWSE_MS)))
    },
  })
}

function isTableRef(place: unknown): place is TableRef {
  if (typeof place !== 'object' || place === null) return false
  const { schema, name } = place as Partial<TableRef>
  return typeof schema === 'string' && typeof name === 'string'
}

function tagged(reply: FastifyReply, { version }: Datasource): FastifyReply {
  return reply.header('etag', etag(version))
}
