import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import { SuggestDraftInput, SuggestInput, Suggestions } from '#api/contract/suggestions.ts'
import { presentSuggestions } from '#api/present-suggestions.ts'
import { visibleConfig, visibleDatasource } from '#api/visible.ts'
import { recordAudit } from '#control/audit.ts'
import type { SuggestQuestion } from '#jobs/suggest-fields.ts'
import type { Actor } from '#model/access.ts'
import { acceptOtherNames, toTableChoice, type ConfigDocument } from '#model/config-document.ts'
import { sameTable, type TableRef } from '#model/table.ts'
import { asRef, parseTableName } from '#model/table-pattern.ts'

const tags = ['sync configs']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) })

/** Both databases are read, and a model may be asked for each of a few tables. */
const SUGGEST_MS = 110_000

/** Suggestions for the fields of a sync config, or of one that is being written. */
export function suggestionRoutes(api: Api, context: Context): void {
  const { store, config } = context
  const slow = { rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 } }
  api.route({
    method: 'POST',
    url: '/sync-configs/:id/suggest',
    config: { access: 'operator', ...slow },
    schema: {
      tags,
      summary: 'Suggest field mappings for the tables of a sync config; nothing is changed',
      params,
      body: SuggestInput,
      response: { 200: Suggestions },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { id, document } = await visibleConfig(store, actor, request.params.id)
      const tables = tablesOf(document, request.body.tables?.map(parseTableName) ?? null)
      const refine = request.body.refine ?? true
      return suggest(context, actor, { subject: id, ...(await endsOf(context, actor, document)), tables, refine })
    },
  })
  api.route({
    method: 'POST',
    url: '/sync-configs/suggest',
    config: { access: 'operator', ...slow },
    preValidation: takeOtherNames,
    schema: {
      tags,
      summary: 'Suggest tables and field mappings between two datasources, before there is a sync config',
      body: SuggestDraftInput,
      response: { 200: Suggestions },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const tables =
        request.body.tables?.map(({ source, target }) => ({
          source: parseTableName(source),
          target: target === undefined ? null : parseTableName(target),
        })) ?? null
      const refine = request.body.refine ?? true
      const ends = await endsOf(context, actor, request.body)
      return suggest(context, actor, { subject: null, ...ends, tables, refine })
    },
  })
}

/** Fields as they were called elsewhere. */
async function takeOtherNames(request: { body: unknown }): Promise<void> {
  request.body = acceptOtherNames(request.body)
}

async function suggest(
  { store, datasources, closing }: Context,
  actor: Actor,
  { subject, ...question }: SuggestQuestion & { readonly subject: string | null },
) {
  const answer = await datasources.suggest(question, AbortSignal.any([closing, AbortSignal.timeout(SUGGEST_MS)]))
  const data = {
    source: question.source.id,
    target: question.target.id,
    tables: answer.tables.length,
    asked_model: answer.askedModel,
  }
  await recordAudit(store, actor, { action: 'sync_config.suggest', subject, data })
  return presentSuggestions(answer)
}

async function endsOf(
  { store }: Context,
  actor: Actor,
  ends: Pick<ConfigDocument, 'source_datasource_id' | 'target_datasource_id'>,
): Promise<Pick<SuggestQuestion, 'source' | 'target'>> {
  return {
    source: await visibleDatasource(store, actor, ends.source_datasource_id),
    target: await visibleDatasource(store, actor, ends.target_datasource_id),
  }
}

/** The tables that a config names outright, each where it goes; those that were asked for alone, where any were. */
function tablesOf(document: ConfigDocument, only: readonly TableRef[] | null): SuggestQuestion['tables'] {
  const named = toTableChoice(document).include.flatMap(({ source, target, query }) => {
    const table = query === null ? asRef(source) : null
    return table === null ? [] : [{ source: table, target }]
  })
  if (only !== null) {
    return only.map((table) => named.find(({ source }) => sameTable(source, table)) ?? { source: table, target: null })
  }
  return named.length === 0 ? null : named
}
