import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { carryOut, requireCarryOutConsent, type CarryOutFields } from '#api/carry-out.ts'
import { placeOfConfig, placeOfJob, visibleConflict, type ConflictPlace } from '#api/conflict-place.ts'
import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/conflicts.ts'
import { idOf, idOrName, idPath } from '#api/contract/ids.ts'
import { NoInput } from '#api/contract/jobs.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { etag, ifMatch, versionOf } from '#api/contract/versions.ts'
import { answerOnce } from '#api/once.ts'
import { presentConflict } from '#api/present-conflict.ts'
import { previewConflicts } from '#control/decide-conflicts.ts'
import { withdrawDecision } from '#jobs/withdraw-decision.ts'

const tags = ['conflicts']

/** What was decided about conflicts: carried out by one run, or taken back. */
export function carryOutRoutes(api: Api, context: Context): void {
  const schema = { tags, headers: onceHeaders, response: { 200: contract.CarriedOut } }
  api.route({
    method: 'POST',
    url: '/sync/:configId/carry-out',
    config: { access: 'operator' },
    schema: {
      ...schema,
      summary: 'Start a run that carries out what was decided about conflicts of a sync config',
      params: z.strictObject({ configId: idOrName.meta({ description: 'The id or the name of a sync config.' }) }),
      body: contract.CarryOutInput,
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { job, ...fields } = request.body
      const place = await placeOfConfig(context, actor, request.params.configId)
      const filter = { ...place.filter, ...(job === undefined ? {} : { jobId: job }) }
      return carryOutAll(context, { request, reply }, { ...place, filter }, fields)
    },
  })
  api.route({
    method: 'POST',
    url: '/sync/conflicts/:jobId/carry-out',
    config: { access: 'operator' },
    schema: {
      ...schema,
      summary: 'Start a run that carries out what was decided about conflicts that a job saw',
      params: z.strictObject({ jobId: idOf('job') }),
      body: contract.CarryOutJobInput,
    },
    handler: async (request, reply) => {
      const place = await placeOfJob(context, principalOf(request).actor, request.params.jobId)
      return carryOutAll(context, { request, reply }, place, request.body)
    },
  })
  withdrawRoute(api, context)
}

async function carryOutAll(
  context: Context,
  exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  place: ConflictPlace,
  fields: CarryOutFields,
) {
  const principal = principalOf(exchange.request)
  requireCarryOutConsent(context, principal, place, fields)
  const { body } = await answerOnce(
    context,
    { ...exchange, kind: 'job' },
    async (jobId) => {
      const filter = { ...place.filter, status: ['resolved' as const] }
      const { conflicts, tables } = await previewConflicts(context.store, { filter })
      const sources = tables.map(({ source }) => source)
      const carried = await carryOut(context, { principal, jobId }, place, { sources, fields })
      const counted = tables.map((each) => ({ target: { ...each.target }, conflicts: each.conflicts }))
      return { status: 200 as const, body: { conflicts, tables: counted, ...carried }, headers: {} }
    },
    () => Promise.resolve(null),
  )
  return body
}

function withdrawRoute(api: Api, context: Context): void {
  api.route({
    method: 'POST',
    url: '/conflicts/:id/withdraw',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Take a decision back that no run has carried out: the conflict waits for somebody again',
      params: idPath('conflict'),
      headers: z.looseObject({ ...onceHeaders.shape, ...ifMatch.shape }),
      body: NoInput,
      response: { 200: contract.Conflict },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { body, headers } = await answerOnce(
        context,
        { request, reply, kind: 'conflict' },
        async () => {
          const found = await visibleConflict(context, actor, request.params.id)
          const act = { id: found.id, version: versionOf(request.headers), actor }
          const open = await withdrawDecision(context, found, act)
          // What is kept of the answer for a repeated request holds no values.
          return { status: 200 as const, body: presentConflict(open, false), headers: { etag: etag(open.version) } }
        },
        () => Promise.resolve(null),
      )
      void reply.headers(headers)
      return body
    },
  })
}
