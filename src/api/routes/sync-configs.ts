import { z } from 'zod'
import { PREFIX, principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { limitOf } from '#api/contract/paging.ts'
import { etag, ifMatch, versionOf } from '#api/contract/versions.ts'
import { DeleteQuery, ListQuery } from '#api/contract/datasources.ts'
import { StartedJob, ValidateInput } from '#api/contract/jobs.ts'
import * as contract from '#api/contract/sync-configs.ts'
import { documentChanges } from '#api/document-changes.ts'
import { answerOnce } from '#api/once.ts'
import { isNumber, pageOf, readCursor, readSorted } from '#api/page.ts'
import { presentConfig } from '#api/present.ts'
import { start } from '#api/start.ts'
import { requireConfirmation } from '#api/security/confirm.ts'
import { refuseOwnQueries } from '#api/security/scope.ts'
import { nullIfMissing, visibleConfig, visibleDatasource } from '#api/visible.ts'
import {
  createConfig,
  deleteConfig,
  getConfig,
  listConfigVersions,
  pageConfigs,
  updateConfig,
  type ConfigVersion,
  type StoredConfig,
} from '#control/sync-configs.ts'
import type { Actor } from '#model/access.ts'
import { ConfigInput } from '#api/contract/config-input.ts'
import { acceptOtherNames, type ConfigDocument } from '#model/config-document.ts'

const tags = ['sync configs']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) })

/** Sync configs, and what each of them has been. */
export function syncConfigRoutes(api: Api, context: Context): void {
  readRoutes(api, context)
  changeRoutes(api, context)
  validateRoute(api, context)
}

function validateRoute(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'POST',
    url: '/sync-configs/:id/validate',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Judge the columns of a sync config, and count the rows that do not fit, as a job',
      params,
      headers: onceHeaders,
      body: ValidateInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { id, document } = await visibleConfig(store, actor, request.params.id)
      const target = await visibleDatasource(store, actor, document.target_datasource_id)
      const intended = { what: { config: id }, kind: 'validate', mode: 'incremental', target } as const
      return start(context, { request, reply }, intended, request.body)
    },
  })
}

function readRoutes(api: Api, { store }: Context): void {
  api.route({
    method: 'GET',
    url: '/sync-configs',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List sync configs',
      querystring: contract.ConfigListQuery,
      response: { 200: contract.SyncConfigPage },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { search = null, datasource } = request.query
      const limit = limitOf(request.query.limit)
      const { wanted, ...page } = readSorted(request.query, 'name')
      const found = await pageConfigs(store, {
        ...page,
        search,
        datasource: datasource === undefined ? null : (await visibleDatasource(store, actor, datasource)).id,
        datasources: actor.datasources,
        limit: limit + 1,
      })
      return pageOf(found, limit, {
        placeOf: ({ id, document, createdAt }) => ({
          sort: wanted,
          value: page.sort === 'name' ? document.name : createdAt,
          id,
        }),
        present: presentConfig,
      })
    },
  })
  api.route({
    method: 'GET',
    url: '/sync-configs/:id',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Show a sync config', params, response: { 200: contract.SyncConfig } },
    handler: async (request, reply) => {
      const found = await visibleConfig(store, principalOf(request).actor, request.params.id)
      return reply.header('etag', etag(found.version)).send(presentConfig(found))
    },
  })
  api.route({
    method: 'GET',
    url: '/sync-configs/:id/versions',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List what a sync config has been, with the differences',
      params,
      querystring: ListQuery,
      response: { 200: contract.ConfigVersionPage },
    },
    handler: async (request) => {
      const { id } = await visibleConfig(store, principalOf(request).actor, request.params.id)
      const limit = limitOf(request.query.limit)
      const before = readCursor(request.query.cursor, isNumber)
      // The one after the page is what its last one is compared with.
      const found = await listConfigVersions(store, id, { before, limit: limit + 1 })
      return pageOf(found, limit, {
        placeOf: ({ version }) => version,
        present: (one) => presentVersion(one, found),
      })
    },
  })
}

function changeRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'POST',
    url: '/sync-configs',
    config: { access: 'operator' },
    preValidation: takeOtherNames,
    schema: {
      tags,
      summary: 'Create a sync config',
      headers: onceHeaders,
      body: ConfigInput,
      response: { 201: contract.SyncConfig },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      await refuseUnseen(context, actor, request.body)
      refuseOwnQueries(actor, request.body, null)
      const answer = (made: StoredConfig) => ({
        status: 201 as const,
        body: presentConfig(made),
        headers: { location: `${PREFIX}/sync-configs/${made.id}`, etag: etag(made.version) },
      })
      const { status, headers, body } = await answerOnce(
        context,
        { request, reply, kind: 'sync config' },
        async (id) => answer(await createConfig(store, request.body, { id, actor })),
        (id) => getConfig(store, id).then(answer, nullIfMissing),
      )
      return reply.code(status).headers(headers).send(body)
    },
  })
  api.route({
    method: 'PUT',
    url: '/sync-configs/:id',
    config: { access: 'operator' },
    preValidation: takeOtherNames,
    schema: {
      tags,
      summary: 'Change a sync config; the old version is kept',
      params,
      headers: ifMatch,
      body: ConfigInput,
      response: { 200: contract.SyncConfig },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { id, document } = await visibleConfig(store, actor, request.params.id)
      await refuseUnseen(context, actor, request.body)
      refuseOwnQueries(actor, request.body, document)
      const changed = await updateConfig(store, { id, version: versionOf(request.headers), actor }, request.body)
      return reply.header('etag', etag(changed.version)).send(presentConfig(changed))
    },
  })
  api.route({
    method: 'DELETE',
    url: '/sync-configs/:id',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Remove a sync config; nothing in the databases changes',
      params,
      headers: ifMatch,
      querystring: DeleteQuery,
      response: { 204: z.undefined() },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const { id, document } = await visibleConfig(store, principal.actor, request.params.id)
      requireConfirmation(context, principal, { name: document.name, confirm: request.query.confirm })
      await deleteConfig(store, { id, version: versionOf(request.headers), actor: principal.actor })
      return reply.code(204).send()
    },
  })
}

/** Fields as they were called elsewhere. */
async function takeOtherNames(request: { body: unknown }): Promise<void> {
  request.body = acceptOtherNames(request.body)
}

/** A config speaks only of datasources that its author may see. */
async function refuseUnseen({ store }: Context, actor: Actor, document: ConfigDocument): Promise<void> {
  await visibleDatasource(store, actor, document.source_datasource_id)
  await visibleDatasource(store, actor, document.target_datasource_id)
}

function presentVersion({ version, document, changedAt, changedBy }: ConfigVersion, all: readonly ConfigVersion[]) {
  const before = all.find((other) => other.version === version - 1)
  return {
    version,
    changed_at: changedAt,
    changed_by: changedBy,
    document,
    changes: before === undefined ? [] : documentChanges(before.document, document),
  }
}
