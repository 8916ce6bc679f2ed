import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { Advice, AdviseInput } from '#api/contract/advice.ts'
import { idOrName } from '#api/contract/ids.ts'
import { visibleConfig, visibleDatasource } from '#api/visible.ts'
import { recordAudit } from '#control/audit.ts'
import type { AdvisedTable, AdviseQuestion } from '#jobs/advise-detection.ts'
import { policiesOf } from '#model/config-document.ts'
import type { Actor } from '#model/access.ts'
import { formatTableName, parseTableName } from '#model/table-pattern.ts'

/** Of each table some rows are sampled. */
const ADVISE_MS = 110_000

/** How changes can be found, for the tables of a sync config, or of a datasource that has none yet. */
export function adviceRoutes(api: Api, context: Context): void {
  const { store, config } = context
  const slow = { rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 } }
  api.route({
    method: 'POST',
    url: '/sync-configs/:id/advise',
    config: { access: 'operator', ...slow },
    schema: {
      tags: ['sync configs'],
      summary: 'Advise a detection strategy for each table of a sync config; nothing is changed',
      params: z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) }),
      body: AdviseInput,
      response: { 200: Advice },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { id, document } = await visibleConfig(store, actor, request.params.id)
      const { source_datasource_id: from, target_datasource_id: to } = document
      const source = await visibleDatasource(store, actor, from)
      const ends = {
        source,
        config: { target: await visibleDatasource(store, actor, to), policies: policiesOf(document) },
      }
      const by = { action: 'sync_config.advise', subject: id }
      return advise(context, actor, { ...ends, tables: tablesOf(request.body), by })
    },
  })
  api.route({
    method: 'POST',
    url: '/datasources/:id/advise',
    config: { access: 'operator', ...slow },
    schema: {
      tags: ['datasources'],
      summary: 'Advise a detection strategy for each table of a datasource, before there is a sync config',
      params: z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a datasource.' }) }),
      body: AdviseInput,
      response: { 200: Advice },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const source = await visibleDatasource(store, actor, request.params.id)
      const by = { action: 'datasource.advise', subject: source.id }
      return advise(context, actor, { source, config: null, tables: tablesOf(request.body), by })
    },
  })
}

function tablesOf({ tables }: z.infer<typeof AdviseInput>): AdviseQuestion['tables'] {
  return tables?.map(parseTableName) ?? null
}

async function advise(
  { store, datasources, closing }: Context,
  actor: Actor,
  { by, ...question }: AdviseQuestion & { readonly by: { readonly action: string; readonly subject: string } },
): Promise<Advice> {
  const answer = await datasources.advise(question, AbortSignal.any([closing, AbortSignal.timeout(ADVISE_MS)]))
  await recordAudit(store, actor, { ...by, data: { source: question.source.id, tables: answer.tables.length } })
  return { tables: answer.tables.map(present), left_out: answer.leftOut.map(formatTableName) }
}

function present({ source, current, advice, notes }: AdvisedTable): Advice['tables'][number] {
  return {
    source: formatTableName(source),
    current: current && { strategy: current.strategy, cursor_column: current.cursorColumn },
    proposals: advice.proposals.map(({ cursorColumn, cannotSee, reasons, needs, ...proposal }) => ({
      ...proposal,
      cursor_column: cursorColumn,
      reasons: [...reasons],
      cannot_see: [...cannotSee],
      needs: needs.map((need) => ({ ...need })),
    })),
    ruled_out: advice.ruledOut.map((each) => ({ ...each })),
    unknown: [...advice.unknown],
    notes: [...notes],
  }
}
