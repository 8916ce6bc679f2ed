import { sql } from 'kysely'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { WrittenChange, WrittenJob, WrittenTable } from '#sync/history.ts'
import { batchesOf } from './history-list.ts'
import type { HistoryTools } from './history.ts'
import { toRef } from './rejections.ts'
import type { Store } from './store.ts'

/**
 * What a job has written, as undoing it reads it. A table is complete where every batch of it is there, under one mapping,
 * with the images of the same columns, and none of its rows came by a load.
 */
export async function writtenJob(tools: HistoryTools, jobId: string): Promise<WrittenJob> {
  return {
    tables: await writtenTables(tools.store, jobId),
    changes: (table) => changesOfTable(tools, jobId, table),
  }
}

async function writtenTables({ db }: Store, jobId: string): Promise<readonly WrittenTable[]> {
  const rows = await db
    .selectFrom('history_batch')
    .select((select) => [
      'mapping_id',
      'target_table',
      'mapping_hash',
      'key_columns',
      'image_columns',
      select.fn.countAll().as('batches'),
      select.fn.max('batch').as('last'),
      sql<number>`MAX(CASE WHEN kind = 'load' THEN 1 ELSE 0 END)`.as('loaded'),
      select.fn.min('id').as('first_id'),
    ])
    .where('job_id', '=', jobId)
    .groupBy(['mapping_id', 'target_table', 'mapping_hash', 'key_columns', 'image_columns'])
    .orderBy('first_id')
    .execute()
  const byMapping = Map.groupBy(rows, (row) => row.mapping_id)
  return [...byMapping.values()].flatMap((shapes): WrittenTable[] => {
    const [shape] = shapes.toReversed()
    if (shape === undefined) return []
    const columns = JSON.parse(shape.image_columns) as string[]
    const isWhole = Number(shape.batches) === Number(shape.last) && Number(shape.loaded) === 0
    return [
      {
        mappingId: shape.mapping_id,
        mappingHash: shape.mapping_hash,
        target: toRef(shape.target_table),
        key: JSON.parse(shape.key_columns) as string[],
        columns,
        complete: shapes.length === 1 && isWhole && columns.length > 0,
      },
    ]
  })
}

/** @throws AppError `not_revertible` where a batch cannot be read */
async function* changesOfTable(
  tools: HistoryTools,
  jobId: string,
  { mappingId, target }: WrittenTable,
): AsyncGenerator<readonly WrittenChange[]> {
  for await (const { changes } of batchesOf(tools, jobId, { newestFirst: true, mappingId })) {
    if (changes === null) {
      throw new AppError('not_revertible', `What the job wrote to ${tableName(target)} cannot be read any more.`, {
        hint: 'The key that sealed it is not known any more, or it was tampered with: see docs/audit.md.',
      })
    }
    yield changes.toReversed()
  }
}
