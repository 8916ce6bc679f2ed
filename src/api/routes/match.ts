import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import { MatchBody, MatchInput } from '#api/contract/match.ts'
import { isNumber, isText, readCursor, writeCursor } from '#api/page.ts'
import { visibleConfig, visibleDatasource } from '#api/visible.ts'
import { recordAudit } from '#control/audit.ts'
import { policiesOf } from '#model/config-document.ts'
import type { MatchEntry, MatchPage, MatchPlace, TableMatch } from '#model/match.ts'
import { tableName } from '#model/table.ts'
import { parseTableName } from '#model/table-pattern.ts'
import type { Row } from '#model/value.ts'

/** The keys of both tables are read. */
const MATCH_MS = 60_000
const DEFAULT_LIMIT = 20

/** Which rows of two databases that were never synced are the same, for whoever is about to sync them. */
export function matchRoutes(api: Api, context: Context): void {
  const { store, config, datasources, closing } = context
  api.route({
    method: 'POST',
    url: '/sync-configs/:id/match',
    config: {
      access: 'operator',
      rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 },
    },
    schema: {
      tags: ['sync configs'],
      summary: 'See which rows of both sides a first run would take for the same; nothing is written',
      params: z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) }),
      body: MatchInput,
      response: { 200: MatchBody },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { table, by, list, limit, cursor } = request.body
      const { id, document } = await visibleConfig(store, actor, request.params.id)
      const { source_datasource_id: from, target_datasource_id: to } = document
      const after = readCursor(cursor, isPlace, 'body')
      const question = {
        source: await visibleDatasource(store, actor, from),
        target: await visibleDatasource(store, actor, to),
        policies: policiesOf(document),
        table: table === undefined ? null : parseTableName(table),
        by: by ?? null,
        list: list === undefined ? null : { of: list, limit: limit ?? DEFAULT_LIMIT, after },
      }
      const found = await datasources.previewMatch(question, AbortSignal.any([closing, AbortSignal.timeout(MATCH_MS)]))
      // Rows may have been shown to somebody.
      const data = { table: table ?? null, list: list ?? null, rows: found.list?.items.length ?? 0 }
      await recordAudit(store, actor, { action: 'sync_config.match', subject: id, data })
      return {
        tables: found.tables.map(presentTable),
        notes: [...found.notes],
        list: found.list && presentPage(found.list),
      }
    },
  })
}

function isPlace(place: unknown): place is MatchPlace {
  if (typeof place !== 'object' || place === null) return false
  const { buckets, bucket, key } = place as Partial<MatchPlace>
  const isCount = isNumber(buckets) && buckets >= 1 && buckets <= 65_536 && (buckets & (buckets - 1)) === 0
  return isCount && isNumber(bucket) && bucket >= 0 && bucket < buckets && isText(key)
}

function presentTable({ source, target, counts, problems }: TableMatch) {
  return {
    source: tableName(source),
    target: tableName(target),
    match_by: (counts?.by ?? []).map((column) => ({ ...column })),
    counts: counts && {
      rows: { ...counts.rows },
      equal: counts.equal,
      differing: counts.differing,
      source_only: counts.sourceOnly,
      target_only: counts.targetOnly,
      duplicates: { ...counts.duplicates },
      without: { ...counts.without },
      rejected: counts.rejected,
    },
    problems: [...problems],
  }
}

function presentPage({ columns, items, next }: MatchPage) {
  return {
    columns: [...columns],
    items: items.map(({ key, rows, source, target, differs }: MatchEntry) => ({
      key: texts(key),
      rows: { ...rows },
      source: source && texts(source),
      target: target && texts(target),
      differs: [...differs],
    })),
    next_cursor: next && writeCursor(next),
  }
}

function texts(row: Row): (string | null)[] {
  return row.map((cell) => (cell instanceof Uint8Array ? Buffer.from(cell).toString('utf8') : cell))
}
