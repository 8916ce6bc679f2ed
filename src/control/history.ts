import { sql, type RawBuilder, type Transaction } from 'kysely'
import { must } from '#lib/assert.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import type { Operation } from '#model/change.ts'
import { tableId } from '#model/table.ts'
import type { History, WrittenBatch, WrittenChange, WrittenLoad } from '#sync/history.ts'
import { keyHash, packBody, partOf, resealBody, sealBody } from './history-codec.ts'
import { leaseLost } from './jobs.ts'
import type { HistoryBatchRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** What jobs have written, as the jobs themselves tell it. `history-list.ts` reads it. */

export interface HistoryTools {
  readonly store: Store
  readonly box: SecretBox
}

/** The job whose history is kept. */
export interface TellingJob {
  readonly id: string
  readonly configId: string | null
  readonly sourceDatasourceId: string
  readonly targetDatasourceId: string
  /** Of its claim: a process that has lost the job tells nothing any more. */
  readonly epoch: number
}

const NUMBER_KEY = 'history_number'

/** The batch under which a load is kept; those of the target begin with 1. */
const LOAD = 0

/** The history of one job, for as long as this claim of it lasts. One transaction a batch. */
export class StoredHistory implements History {
  readonly level: History['level']
  readonly #tools: HistoryTools
  readonly #job: TellingJob

  constructor(tools: HistoryTools, job: TellingJob, level: History['level']) {
    this.#tools = tools
    this.#job = job
    this.level = level
  }

  /** @throws AppError `lease_lost` where another process has taken over the job */
  async keep({ mappingId, mappingHash, target, key, columns, batch, kind, changes }: WrittenBatch): Promise<void> {
    const withImages = this.level === 'images'
    const kept = withImages ? changes : changes.map((change) => ({ ...change, image: null }))
    const packed = await packBody({ changes: kept, digest: null })
    const hashes = kept.map((change) => keyHash(target, change.key))
    const facts = {
      mapping_id: mappingId,
      mapping_hash: mappingHash,
      target_table: tableId(target),
      key_columns: JSON.stringify(key),
      image_columns: JSON.stringify(withImages ? columns : []),
      batch,
      kind,
      row_count: kept.length,
      inserted: countOf(kept, 'insert'),
      updated: countOf(kept, 'update'),
      deleted: countOf(kept, 'delete'),
    }
    await this.#put(facts, { packed, hashes })
  }

  /** @throws AppError `lease_lost` */
  async loaded({ mappingId, target, rows, digest }: WrittenLoad): Promise<void> {
    const packed = await packBody({ changes: [], digest })
    const facts = {
      mapping_id: mappingId,
      mapping_hash: '',
      target_table: tableId(target),
      key_columns: '[]',
      image_columns: '[]',
      batch: LOAD,
      kind: 'load',
      row_count: rows,
      inserted: rows,
      updated: 0,
      deleted: 0,
    }
    await this.#put(facts, { packed, hashes: [] })
  }

  /** @throws AppError `lease_lost` */
  begin(mappingId: string, committedBatches: number): Promise<void> {
    return this.#tools.store.write(async (tx) => {
      await this.#confirm(tx)
      await this.#forget(tx, mappingId, (batch) => sql<boolean>`${batch} > ${committedBatches}`)
    })
  }

  /** A batch that is told again takes the place of what was told under its number. */
  async #put(facts: TableFacts, { packed, hashes }: { packed: Uint8Array; hashes: readonly number[] }): Promise<void> {
    const { store, box } = this.#tools
    const { id: jobId, configId, sourceDatasourceId, targetDatasourceId } = this.#job
    await store.write(async (tx) => {
      await this.#confirm(tx)
      await this.#forget(tx, facts.mapping_id, (batch) => sql<boolean>`${batch} = ${facts.batch}`)
      const id = await takeNumber(tx)
      const row = sealBody(box, packed, {
        id,
        job_id: jobId,
        config_id: configId,
        source_datasource_id: sourceDatasourceId,
        target_datasource_id: targetDatasourceId,
        ...facts,
        at: await store.now(tx),
      })
      await tx.insertInto('history_batch').values(row).execute()
      if (hashes.length > 0) await insertKeys(store, tx, { id, hashes })
    })
  }

  /** The job cannot be claimed again before this transaction ends, nor can one that was claimed again tell anything. */
  async #confirm(tx: Transaction<Tables>): Promise<void> {
    const { id, epoch } = this.#job
    const row = await tx
      .selectFrom('job')
      .select('epoch')
      .where('id', '=', id)
      .$call((query) => (this.#tools.store.isPostgres ? query.forShare() : query))
      .executeTakeFirst()
    if (row?.epoch !== epoch) throw leaseLost({ jobId: id, owner: '', epoch })
  }

  async #forget(
    tx: Transaction<Tables>,
    mappingId: string,
    which: (batch: ReturnType<typeof sql.ref>) => ReturnType<typeof sql<boolean>>,
  ): Promise<void> {
    const rows = await tx
      .selectFrom('history_batch')
      .select('id')
      .where('job_id', '=', this.#job.id)
      .where('mapping_id', '=', mappingId)
      .where(which(sql.ref('batch')))
      .execute()
    await removeBatches(
      tx,
      rows.map(({ id }) => id),
    )
  }
}

type TableFacts = Omit<
  HistoryBatchRow,
  'id' | 'job_id' | 'config_id' | 'source_datasource_id' | 'target_datasource_id' | 'at' | 'sealed_by' | 'body'
>

function countOf(changes: readonly WrittenChange[], wanted: Operation): number {
  return changes.filter(({ op }) => op === wanted).length
}

/** The next number of a batch: they grow in the order in which batches are told, over all jobs. */
async function takeNumber(tx: Transaction<Tables>): Promise<number> {
  const row = await tx
    .insertInto('store_meta')
    .values({ key: NUMBER_KEY, value: '1' })
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet({
        value: sql<string>`CAST(CAST(store_meta.value AS BIGINT) + 1 AS TEXT)`,
      }),
    )
    .returning('value')
    .executeTakeFirst()
  return Number(must(row, 'a number of the history').value)
}

/** All keys of a batch in one statement; in the order of the index, which they are spread over at random. */
async function insertKeys(
  { isPostgres }: Store,
  tx: Transaction<Tables>,
  { id, hashes }: { id: number; hashes: readonly number[] },
): Promise<void> {
  const list = JSON.stringify(hashes)
  const of = sql`${sql.lit(partOf(id))}, ${sql.lit(id)}`
  const rows: RawBuilder<Tables['history_key']> = isPostgres
    ? sql`SELECT ${of}, CAST(given.value AS BIGINT), given.place - 1
        FROM pg_catalog.json_array_elements_text(CAST(${list} AS JSON)) WITH ORDINALITY AS given (value, place) ORDER BY 3`
    : sql`SELECT ${of}, value, key FROM json_each(${list}) ORDER BY 3`
  await tx.insertInto('history_key').columns(['part', 'batch_id', 'hash', 'place']).expression(rows).execute()
}

/** Batches that are removed in one statement. */
const CHUNK = 500

/** Removes batches with their keys. */
export async function removeBatches(tx: Transaction<Tables>, ids: readonly number[]): Promise<void> {
  for (let at = 0; at < ids.length; at += CHUNK) {
    const some = ids.slice(at, at + CHUNK)
    await tx.deleteFrom('history_key').where('batch_id', 'in', some).execute()
    await tx.deleteFrom('history_batch').where('id', 'in', some).execute()
  }
}

/** Seals the history anew with the current key. @throws SealBroken where a body was sealed with one that is not known */
export async function resealHistory(tx: Transaction<Tables>, box: SecretBox): Promise<void> {
  for (let last = -1; ;) {
    // One at a time: a batch may be large.
    const row = await tx
      .selectFrom('history_batch')
      .selectAll()
      .where('id', '>', last)
      .where('sealed_by', '<>', box.keyId)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst()
    if (row === undefined) return
    last = row.id
    const { body, sealed_by } = resealBody(box, row)
    await tx.updateTable('history_batch').set({ body, sealed_by }).where('id', '=', row.id).execute()
  }
}
