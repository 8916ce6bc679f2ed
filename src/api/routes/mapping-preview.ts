import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import { TableValidation } from '#api/contract/jobs.ts'
import {
  MappingPreviewBody,
  PreviewDraftInput,
  PreviewInput,
  ValidateDraftInput,
} from '#api/contract/mapping-preview.ts'
import { presentValidation } from '#api/present.ts'
import { visibleConfig, visibleDatasource } from '#api/visible.ts'
import { recordAudit } from '#control/audit.ts'
import type { Actor } from '#model/access.ts'
import { acceptOtherNames, policiesOf, type ConfigDocument } from '#model/config-document.ts'
import { tableName } from '#model/table.ts'
import { parseTableName } from '#model/table-pattern.ts'
import type { Row } from '#model/value.ts'
import type { MappingQuestion } from '#jobs/preview-mapping.ts'
import type { MappingPreview } from '#sync/preview-mapping.ts'

const tags = ['sync configs']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) })

/** Both databases are read, and code may run on every row. */
const PREVIEW_MS = 60_000

/** What the mapping of a table makes of real rows, for those who write it. */
export function mappingPreviewRoutes(api: Api, context: Context): void {
  const { store, config } = context
  const slow = { rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 } }
  api.route({
    method: 'POST',
    url: '/sync-configs/:id/preview',
    config: { access: 'operator', ...slow },
    schema: {
      tags,
      summary: 'See what the mapping of a table makes of some rows; nothing is written',
      params,
      body: PreviewInput,
      response: { 200: MappingPreviewBody },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { id, document } = await visibleConfig(store, actor, request.params.id)
      return present(await look(context, actor, { subject: id, document, ...request.body }))
    },
  })
  api.route({
    method: 'POST',
    url: '/sync-configs/preview',
    config: { access: 'operator', ...slow },
    preValidation: takeOtherNames,
    schema: {
      tags,
      summary: 'See what a mapping that is still being written makes of some rows; nothing is kept',
      body: PreviewDraftInput,
      response: { 200: MappingPreviewBody },
    },
    handler: async (request) => {
      const { config: document, ...question } = request.body
      return present(await look(context, principalOf(request).actor, { subject: null, document, ...question }))
    },
  })
  api.route({
    method: 'POST',
    url: '/sync-configs/validate',
    config: { access: 'operator', ...slow },
    preValidation: takeOtherNames,
    schema: {
      tags,
      summary: 'Judge the columns of a mapping that is still being written, and count the rows that do not fit',
      body: ValidateDraftInput,
      response: { 200: TableValidation },
    },
    handler: async (request) => {
      const { config: document, table, count = true } = request.body
      const { actor } = principalOf(request)
      const question = { ...(await askedOf(context, actor, { document, table })), count }
      const signal = AbortSignal.any([context.closing, AbortSignal.timeout(PREVIEW_MS)])
      const found = presentValidation(await context.datasources.validateDraft(question, signal), true)
      // Where rows were counted, keys of some are shown.
      const data = { source: question.source.id, target: question.target.id, table: found.source }
      if (count) await recordAudit(context.store, actor, { action: 'sync_config.validate', subject: null, data })
      return found
    },
  })
}

/** Fields as they were called elsewhere. */
async function takeOtherNames(request: { body: unknown }): Promise<void> {
  const { body } = request
  if (typeof body !== 'object' || body === null || !('config' in body)) return
  request.body = { ...body, config: acceptOtherNames(body.config) }
}

interface Question {
  /** Of the sync config; null for one that is not kept. */
  readonly subject: string | null
  readonly document: ConfigDocument
  readonly table?: string | undefined
  readonly limit?: number | undefined
}

/** Both ends, what flows between them, and the table that is asked about. */
async function askedOf(
  { store }: Context,
  actor: Actor,
  { document, table }: Pick<Question, 'document' | 'table'>,
): Promise<Omit<MappingQuestion, 'limit'>> {
  const { source_datasource_id: from, target_datasource_id: to } = document
  return {
    source: await visibleDatasource(store, actor, from),
    target: await visibleDatasource(store, actor, to),
    policies: policiesOf(document),
    table: table === undefined ? null : parseTableName(table),
  }
}

async function look(
  context: Context,
  actor: Actor,
  { subject, document, table, limit }: Question,
): Promise<MappingPreview> {
  const { store, datasources, closing } = context
  const question = { ...(await askedOf(context, actor, { document, table })), limit: limit ?? 20 }
  const found = await datasources.previewMapping(question, AbortSignal.any([closing, AbortSignal.timeout(PREVIEW_MS)]))
  // Rows were shown to somebody.
  const data = {
    source: question.source.id,
    target: question.target.id,
    table: tableName(found.source),
    rows: found.rows.length,
  }
  await recordAudit(store, actor, { action: 'sync_config.preview', subject, data })
  return found
}

function present({ source, target, columns, fields, keyLength, unmapped, rows, notes }: MappingPreview) {
  return {
    source: tableName(source),
    target: tableName(target),
    columns: [...columns],
    fields: fields.map(({ oneWay, columns: from, losses, ...field }) => ({
      ...field,
      columns: [...from],
      losses: [...losses],
      one_way: oneWay,
    })),
    key_length: keyLength,
    unmapped: { source: [...unmapped.source], target: [...unmapped.target] },
    rows: rows.map(({ source: from, before, after, fault, warnings, filtered, micros }) => ({
      source: texts(from),
      before: before && texts(before),
      after: after && texts(after),
      fault,
      warnings: [...warnings],
      filtered,
      micros,
    })),
    notes: [...notes],
  }
}

function texts(row: Row): (string | null)[] {
  return row.map((cell) => (cell instanceof Uint8Array ? Buffer.from(cell).toString('utf8') : cell))
}
