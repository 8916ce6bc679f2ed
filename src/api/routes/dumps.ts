import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { CopyInput } from '#api/contract/copies.ts'
import * as contract from '#api/contract/dumps.ts'
import { idPath } from '#api/contract/ids.ts'
import { StartedJob } from '#api/contract/jobs.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { limitOf } from '#api/contract/paging.ts'
import { toMasks, toReading } from '#api/contract/reading.ts'
import { pageOf, readSorted } from '#api/page.ts'
import { presentDump } from '#api/present-dump.ts'
import { InvalidRequest } from '#api/problem.ts'
import { refuseScoped, refuseTrusted } from '#api/security/scope.ts'
import { start } from '#api/start.ts'
import { visibleDatasource, visibleDump } from '#api/visible.ts'
import { recordAudit } from '#control/audit.ts'
import { dumpTotals, listDumps } from '#control/dumps.ts'
import { removeDump, uploadDump } from '#jobs/dumps.ts'
import type { Actor } from '#model/access.ts'
import type { Dump } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import type { CopyRequest, ImportRequest } from '#model/job-request.ts'

const tags = ['dumps']
const params = idPath('dump')

/** Databases as files of SQL: made, listed, taken along, brought, deleted. */
export function dumpRoutes(api: Api, context: Context): void {
  exportRoute(api, context)
  importRoute(api, context)
  copyRoute(api, context)
  drillRoute(api, context)
  listRoutes(api, context)
  fileRoute(api, context)
  void api.register(async (root) => uploadRoute(root, context))
}

function exportRoute(api: Api, context: Context): void {
  api.route({
    method: 'POST',
    url: '/sync/export',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Export a database as SQL into the directory of dumps',
      description: 'Starts a job; its receipt names the dump.',
      headers: onceHeaders,
      body: contract.ExportInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { datasource: wanted, passphrase_reference: reference } = request.body
      const datasource = await visibleDatasource(context.store, actor, wanted)
      if (reference !== undefined) context.dumps.checkPassphrase(reference)
      const what = { source: datasource.id, target: datasource.id, policies: {} }
      const instead = { export: contract.toExport(request.body) }
      const intended = { what, kind: 'export', mode: 'full', target: datasource, instead } as const
      return start(context, { request, reply }, intended, {})
    },
  })
}

function importRoute(api: Api, context: Context): void {
  api.route({
    method: 'POST',
    url: '/sync/import',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Import a dump of the directory into a database, in one transaction',
      description:
        'Starts a job. The whole file is checked first; what is there already is refused or replaced, and what is replaced is kept as a backup, which is imported in the same way.',
      headers: onceHeaders,
      body: contract.ImportInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { body } = request
      const datasource = await visibleDatasource(context.store, actor, body.datasource)
      const dump = await visibleDump(context.store, actor, body.dump)
      if (body.passphrase_reference !== undefined) context.dumps.checkPassphrase(body.passphrase_reference)
      if (body.trust_file === true) refuseTrusted(actor, 'a file')
      const what = { source: datasource.id, target: datasource.id, policies: {} }
      const instead = { import: toImport(body, dump.id) }
      const intended = { what, kind: 'import', mode: 'full', target: datasource, instead } as const
      return start(context, { request, reply }, intended, {
        dry_run: body.dry_run,
        allow_protected_write: body.allow_protected_write,
        confirm: body.confirm,
      })
    },
  })
}

function copyRoute(api: Api, context: Context): void {
  api.route({
    method: 'POST',
    url: '/sync/copy',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Copy a database into another one, with no file between, in one transaction',
      description:
        'Starts a job. What is there already is refused or replaced, and what is replaced is kept as a backup first. Rows can be left out by filters, and columns masked on their way.',
      headers: onceHeaders,
      body: CopyInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { body } = request
      const source = await visibleDatasource(context.store, actor, body.source)
      const target = await visibleDatasource(context.store, actor, body.target)
      if (body.trust_source === true) refuseTrusted(actor, 'a source')
      const what = { source: source.id, target: target.id, policies: {} }
      const intended = { what, kind: 'copy', mode: 'full', target, instead: { copy: toCopy(body) } } as const
      return start(context, { request, reply }, intended, {
        dry_run: body.dry_run,
        allow_protected_write: body.allow_protected_write,
        confirm: body.confirm,
      })
    },
  })
}

function drillRoute(api: Api, context: Context): void {
  api.route({
    method: 'POST',
    url: '/dumps/:id/drill',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Try a dump: restore it into a database of its own, check that, and drop it',
      description:
        'Starts a job, which fails where the dump does not work. What came of it is told with the dump from then on.',
      params,
      headers: onceHeaders,
      body: contract.DrillInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { body } = request
      const datasource = await visibleDatasource(context.store, actor, body.into)
      const dump = await visibleDump(context.store, actor, request.params.id)
      if (body.passphrase_reference !== undefined) context.dumps.checkPassphrase(body.passphrase_reference)
      if (body.trust_file === true) refuseTrusted(actor, 'a file')
      const what = { source: datasource.id, target: datasource.id, policies: {} }
      const drill = {
        dump: dump.id,
        trusted: body.trust_file ?? false,
        owners: body.owners ?? false,
        grants: body.grants ?? false,
        passphrase: body.passphrase_reference ?? null,
      }
      const intended = { what, kind: 'drill', mode: 'full', target: datasource, instead: { drill } } as const
      return start(context, { request, reply }, intended, {
        allow_protected_write: body.allow_protected_write,
        confirm: body.confirm,
      })
    },
  })
}

function toCopy(body: z.infer<typeof CopyInput>): CopyRequest {
  return {
    options: { ...toReading(body), filters: body.filters ?? [], masks: toMasks(body.masks) },
    replace: body.replace ?? false,
    backup: body.backup ?? true,
    trusted: body.trust_source ?? false,
    agreed: body.agreed_plan ?? null,
  }
}

function toImport(body: z.infer<typeof contract.ImportInput>, dump: string): ImportRequest {
  return {
    dump,
    replace: body.replace ?? false,
    backup: body.backup ?? true,
    swap: body.swap ?? false,
    trusted: body.trust_file ?? false,
    owners: body.owners ?? false,
    grants: body.grants ?? false,
    passphrase: body.passphrase_reference ?? null,
    agreed: body.agreed_plan ?? null,
  }
}

function listRoutes(api: Api, context: Context): void {
  const { store, dumps } = context
  api.route({
    method: 'GET',
    url: '/dumps',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List the dumps, the newest first unless sorted otherwise',
      querystring: contract.DumpListQuery,
      response: { 200: contract.DumpPage },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { origin, datasource, job_id: jobId, search } = request.query
      const limit = limitOf(request.query.limit)
      const { sort, descending, after, wanted } = readSorted(request.query, '-created_at')
      const filter = {
        ...(origin === undefined ? {} : { origin }),
        ...(jobId === undefined ? {} : { jobId }),
        ...(search === undefined ? {} : { search }),
        ...(actor.datasources === null ? {} : { datasources: actor.datasources }),
        ...(datasource === undefined ? {} : { datasource: (await visibleDatasource(store, actor, datasource)).id }),
      }
      const found = await listDumps(store, filter, { sort, descending, after, limit: limit + 1 })
      const placeOf = (dump: Dump) => ({
        sort: wanted,
        value: sort === 'file' ? dump.file : dump.createdAt,
        id: dump.id,
      })
      const total = await dumpTotals(store, actor.datasources)
      return {
        ...pageOf(found, limit, { placeOf, present: presentDump }),
        total: { ...total, most_bytes: (await dumps.limits()).mostBytes },
        drills: await presentDrills(context, actor),
      }
    },
  })
  api.route({
    method: 'GET',
    url: '/dumps/:id',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Show a dump', params, response: { 200: contract.Dump } },
    handler: async (request) =>
      presentDump(await visibleDump(context.store, principalOf(request).actor, request.params.id)),
  })
  api.route({
    method: 'DELETE',
    url: '/dumps/:id',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Delete a dump and its file; one that a job reads stays',
      params,
      response: { 200: contract.DeletedDump },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { id } = await visibleDump(context.store, actor, request.params.id)
      await removeDump(dumps, id, { actor, action: 'dump.delete' })
      return { id, deleted: true }
    },
  })
}

async function presentDrills({ store, dumps }: Context, actor: Actor) {
  if (dumps.drills === null) return null
  const { into } = dumps.drills
  try {
    const { id, name } = await visibleDatasource(store, actor, into)
    return { into: name, datasource_id: id }
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error
    return actor.datasources === null ? { into, datasource_id: null } : null
  }
}

function fileRoute(api: Api, context: Context): void {
  api.route({
    method: 'GET',
    url: '/dumps/:id/file',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Take the file of a dump along',
      params,
      response: {
        200: {
          description: 'The file. One that breaks off has fewer bytes than Content-Length says.',
          content: { 'application/octet-stream': { schema: z.string() } },
        },
      },
    },
    handler: async (request, reply) => sendFile(context, { request, reply }, request.params.id),
  })
}

async function sendFile(
  context: Context,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  id: string,
) {
  const { store, streams } = context
  const { actor, key } = principalOf(request)
  const dump = await visibleDump(context.store, actor, id)
  const { id: subject, file, datasourceId: datasource } = dump
  const leave = streams.take(key.id)
  const { body, size } = await openFile(context, dump).catch((error: unknown) => {
    leave()
    throw error
  })
  body.once('close', leave)
  await recordAudit(store, actor, { action: 'dump.download', subject, data: { file, datasource } }).catch(
    (error: unknown) => {
      body.destroy()
      throw error
    },
  )
  void reply.headers({
    'content-type': 'application/octet-stream',
    'content-length': size,
    'content-disposition': `attachment; filename="${dump.file}"`,
    'repr-digest': `sha-256=:${Buffer.from(dump.sha256, 'hex').toString('base64')}:`,
  })
  return reply.send(body)
}

/** The file is closed with the stream. */
async function openFile({ dumps }: Context, { file }: Dump): Promise<{ body: Readable; size: number }> {
  const handle = await dumps.directory.open(file)
  const { size } = await handle.stat()
  return { body: handle.createReadStream(), size }
}

/** What a file may be sent as. Its kind shows in its first bytes. */
const MEDIA = ['application/octet-stream', 'application/sql', 'application/gzip', 'application/zstd']

/** A body that is no JSON goes by as it comes, and its size is bounded by the space for dumps. */
function uploadRoute(root: FastifyInstance, context: Context): void {
  root.addContentTypeParser(MEDIA, (_, payload, done) => done(null, payload))
  const api: Api = root.withTypeProvider()
  api.route({
    method: 'POST',
    url: '/dumps',
    config: { access: 'operator', slowBody: true },
    bodyLimit: Number.MAX_SAFE_INTEGER,
    schema: {
      tags,
      summary: 'Bring a dump: the file is the body',
      description:
        'Plain SQL, gzip, zstd, or a dump that was sealed. For keys that are not bound to certain datasources.',
      consumes: MEDIA,
      response: { 201: contract.Dump },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      if (!(request.body instanceof Readable)) {
        throw new InvalidRequest([{ place: 'body#', message: `Send the file itself, as ${MEDIA.join(' or ')}.` }])
      }
      const dump = presentDump(await uploadDump(context.dumps, request.body, actor))
      return reply.code(201).header('location', dump.links.self).send(dump)
    },
  })
}
