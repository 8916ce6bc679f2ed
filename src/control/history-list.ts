import { sql, type Expression, type ExpressionBuilder, type SqlBool } from 'kysely'
import type { SecretBox } from '#lib/secret-box.ts'
import type { Key, Operation } from '#model/change.ts'
import { tableId, type TableRef } from '#model/table.ts'
import type { WrittenBatch, WrittenChange } from '#sync/history.ts'
import type { AuditConcern } from './audit-list.ts'
import { keyHash, openBody, PART, sameKey } from './history-codec.ts'
import type { HistoryTools } from './history.ts'
import { toRef } from './rejections.ts'
import type { HistoryBatchRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** The history of what was written, as it is read: by job, by key, in numbers. */

/** What a job wrote at once to one table, without its changes. */
export interface BatchFacts {
  readonly jobId: string
  readonly configId: string | null
  readonly sourceDatasourceId: string
  readonly targetDatasourceId: string
  readonly mappingId: string
  /** Empty of a load. */
  readonly mappingHash: string
  readonly target: TableRef
  /** Names of the key's columns; empty of a load. */
  readonly key: readonly string[]
  /** Of the images; empty where none are kept. */
  readonly columns: readonly string[]
  /** The number in the target; 0 of a load. */
  readonly batch: number
  readonly kind: WrittenBatch['kind'] | 'load'
  readonly rows: number
  /** Of a load, the proof of its rows, empty where there was none; null of all else, and where it cannot be read. */
  readonly digest: string | null
  /** ISO 8601: when it was told of, which is before it was committed. */
  readonly at: string
}

export interface KeptBatch extends BatchFacts {
  /** Null where they cannot be read: the key that sealed them is not known any more, or the batch was tampered with. */
  readonly changes: readonly WrittenChange[] | null
}

/** A change, and the batch that it came with. */
export interface KeptChange {
  readonly batch: BatchFacts
  /** 0, 1, 2 … within the batch; null for all of a load, and of a batch that cannot be read. */
  readonly place: number | null
  /** Null of a load, and where it cannot be read. */
  readonly change: WrittenChange | null
  /** What the next page begins after. */
  readonly mark: ChangePlace
}

/** Where a page of changes begins. */
export interface ChangePlace {
  readonly batch: number
  readonly place: number
}

/**
 * All that a job wrote (or what it wrote of one mapping), in the order in which it told of it, or the other way round: one
 * batch is in memory at a time. Loads are among them, without changes.
 */
export async function* batchesOf(
  { store, box }: HistoryTools,
  jobId: string,
  { newestFirst = false, mappingId }: { newestFirst?: boolean; mappingId?: string } = {},
): AsyncGenerator<KeptBatch> {
  const filter = mappingId === undefined ? {} : { mappingId }
  for await (const row of rowsOf(store, jobId, { newestFirst, filter })) yield await toBatch(box, row)
}

type BatchFilter = Pick<ChangeFilter, 'target' | 'ops'> & { readonly mappingId?: string }

async function* rowsOf(
  store: Store,
  jobId: string,
  { newestFirst, from, filter = {} }: { newestFirst: boolean; from?: number | undefined; filter?: BatchFilter },
): AsyncGenerator<HistoryBatchRow> {
  const { target, ops, mappingId } = filter
  const counted = (['insert', 'update', 'delete'] as const).filter((op) => ops?.includes(op)).map((op) => COUNTS[op])
  // The first one is `from` itself, the others come after the one before.
  for (let last = from, isFirst = true; ; isFirst = false) {
    const beyond = newestFirst ? (isFirst ? '<=' : '<') : isFirst ? '>=' : '>'
    const row: HistoryBatchRow | undefined = await store.db
      .selectFrom('history_batch')
      .selectAll()
      .where('job_id', '=', jobId)
      .$if(last !== undefined, (query) => query.where('id', beyond, last ?? 0))
      .$if(mappingId !== undefined, (query) => query.where('mapping_id', '=', mappingId ?? ''))
      .$if(target !== undefined, (query) => query.where('target_table', '=', tableId(target ?? NO_TABLE)))
      .$if(ops !== undefined, (query) => query.where((where) => where.or(counted.map((name) => where(name, '>', 0)))))
      .orderBy('id', newestFirst ? 'desc' : 'asc')
      .limit(1)
      .executeTakeFirst()
    if (row === undefined) return
    last = row.id
    yield row
  }
}

const NO_TABLE: TableRef = { schema: '', name: '' }

const COUNTS = { insert: 'inserted', update: 'updated', delete: 'deleted' } as const

/** Which changes of a job; what is left out matters not. */
export interface ChangeFilter {
  readonly target?: TableRef
  readonly ops?: readonly Operation[]
  readonly key?: Key
}

/** A page of the changes of a job. */
export interface ChangeWish {
  readonly newestFirst: boolean
  readonly after: ChangePlace | null
  readonly limit: number
}

/** Changes of a job that a filter lets through, in order. A load is one of them, of no key. */
export async function changesOf(
  { store, box }: HistoryTools,
  { jobId, ...filter }: ChangeFilter & { readonly jobId: string },
  { newestFirst, after, limit }: ChangeWish,
): Promise<readonly KeptChange[]> {
  const found: KeptChange[] = []
  const rows =
    filter.key === undefined
      ? rowsOf(store, jobId, { newestFirst, from: after?.batch, filter })
      : rowsWithKey(store, jobId, { newestFirst, from: after?.batch, filter: { ...filter, key: filter.key } })
  for await (const row of rows) {
    const changes = toChanges(row, await toBatch(box, row), filter)
    for (const each of newestFirst ? changes.toReversed() : changes) {
      if (after !== null && !isAfter(each.mark, after, newestFirst)) continue
      found.push(each)
      if (found.length === limit) return found
    }
  }
  return found
}

/** The batches of a job that may hold a key, whatever their tables. */
async function* rowsWithKey(
  store: Store,
  jobId: string,
  wish: { newestFirst: boolean; from: number | undefined; filter: ChangeFilter & { readonly key: Key } },
): AsyncGenerator<HistoryBatchRow> {
  const { newestFirst, from, filter } = wish
  const batches = await store.db
    .selectFrom('history_batch')
    .select([PART_OF.as('part'), 'target_table'])
    .distinct()
    .where('job_id', '=', jobId)
    .execute()
  const tables = [...new Set(batches.map(({ target_table: table }) => table))]
  const hashes = tables.map((table) => keyHash(toRef(table), filter.key))
  const parts = [...new Set(batches.map(({ part }) => part))]
  const ids = new Set<number>()
  for await (const hits of hitsOf(store, { hashes, parts, after: null })) {
    for (const { batch } of hits) ids.add(batch)
  }
  const order = [...ids].toSorted((a, b) => (newestFirst ? b - a : a - b))
  for (const id of order) {
    if (from !== undefined && (newestFirst ? id > from : id < from)) continue
    for await (const row of rowsOf(store, jobId, { newestFirst, from: id, filter })) {
      if (row.id === id) yield row
      break
    }
  }
}

const PART_OF = sql<number>`id / ${sql.lit(PART)}`

/** Parts of the index that are looked into in one statement, and hits that are told at once. */
const PARTS = 200
const HITS = 200

/**
 * Where changes with these hashes stand, the newest first. The parts are named one by one and the hits are ordered here,
 * so that no planner can mistake another index for the right one.
 */
async function* hitsOf(
  { db }: Store,
  { hashes, parts, after }: { hashes: readonly number[]; parts: readonly number[]; after: ChangePlace | null },
): AsyncGenerator<readonly ChangePlace[]> {
  if (hashes.length === 0) return
  const newest = parts.toSorted((a, b) => b - a)
  for (let at = 0; at < newest.length; at += PARTS) {
    const found: readonly ChangePlace[] = await db
      .selectFrom('history_key')
      .select(['batch_id as batch', 'place'])
      .where('part', 'in', newest.slice(at, at + PARTS))
      .where('hash', 'in', [...hashes])
      .execute()
    const hits = found
      .filter((hit) => after === null || isAfter(hit, after, true))
      .toSorted((a, b) => b.batch - a.batch || b.place - a.place)
    for (let from = 0; from < hits.length; from += HITS) yield hits.slice(from, from + HITS)
  }
}

function toChanges(row: HistoryBatchRow, { changes, ...batch }: KeptBatch, { ops, key }: ChangeFilter): KeptChange[] {
  if (changes === null || batch.kind === 'load')
    return [{ batch, place: null, change: null, mark: { batch: row.id, place: 0 } }]
  return changes.flatMap((change, place) => {
    if (ops !== undefined && !ops.includes(change.op)) return []
    if (key !== undefined && !sameKey(change.key, key)) return []
    return [{ batch, place, change, mark: { batch: row.id, place } }]
  })
}

function isAfter(mark: ChangePlace, after: ChangePlace, newestFirst: boolean): boolean {
  const order = mark.batch - after.batch || mark.place - after.place
  return newestFirst ? order < 0 : order > 0
}

/** Whose changes of a key: those of a sync config, or of all jobs that write to a datasource. */
export type KeyScope = { readonly configId: string } | { readonly targetDatasourceId: string }

export interface KeyFilter {
  readonly scope: KeyScope
  readonly target: TableRef
  readonly key: Key
  /** Only what was carried between these datasources; null: all. */
  readonly datasources: readonly string[] | null
}

/** What jobs did to one row, whichever they were; the newest first. */
export async function historyOfKey(
  { store, box }: HistoryTools,
  filter: KeyFilter,
  { after, limit }: { after: ChangePlace | null; limit: number },
): Promise<readonly KeptChange[]> {
  const { target, key, datasources } = filter
  if (datasources?.length === 0) return []
  const parts = await inScope(store, filter).select(PART_OF.as('part')).distinct().execute()
  const where = { hashes: [keyHash(target, key)], parts: parts.map(({ part }) => part), after }
  const found: KeptChange[] = []
  for await (const hits of hitsOf(store, where)) {
    const ids = [...new Set(hits.map(({ batch }) => batch))]
    const seen = new Set(
      (await inScope(store, filter).select('id').where('id', 'in', ids).execute()).map(({ id }) => id),
    )
    const opened: { id: number; kept: KeptBatch | null } = { id: -1, kept: null }
    for (const mark of hits.filter(({ batch }) => seen.has(batch))) {
      if (opened.id !== mark.batch) {
        const row = await store.db
          .selectFrom('history_batch')
          .selectAll()
          .where('id', '=', mark.batch)
          .executeTakeFirst()
        opened.id = mark.batch
        opened.kept = row === undefined ? null : await toBatch(box, row)
      }
      // It may have been told again, or forgotten, meanwhile.
      if (opened.kept === null) continue
      const { changes, ...batch } = opened.kept
      const change = changes?.[mark.place] ?? null
      // Another key with the same hash.
      if (change !== null && !sameKey(change.key, key)) continue
      found.push({ batch, place: change === null ? null : mark.place, change, mark })
      if (found.length === limit) return found
    }
  }
  return found
}

/** The batches of a table that a caller may see and wants to. */
function inScope({ db }: Store, { scope, target, datasources }: Omit<KeyFilter, 'key'>) {
  return db
    .selectFrom('history_batch')
    .where('target_table', '=', tableId(target))
    .where((where) =>
      'configId' in scope
        ? where('config_id', '=', scope.configId)
        : where('target_datasource_id', '=', scope.targetDatasourceId),
    )
    .$if(datasources !== null, (query) =>
      query
        .where('source_datasource_id', 'in', [...(datasources ?? [])])
        .where('target_datasource_id', 'in', [...(datasources ?? [])]),
    )
}

/** The last loads of the table of a key, by which its row may have come: they have no keys. */
export async function loadsOf(
  { store, box }: HistoryTools,
  filter: Omit<KeyFilter, 'key'>,
  limit: number,
): Promise<readonly KeptBatch[]> {
  if (filter.datasources?.length === 0) return []
  const rows = await inScope(store, filter)
    .selectAll()
    .where('kind', '=', 'load')
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return Promise.all(rows.map((row) => toBatch(box, row)))
}

/** What was written to a table, in numbers. Rows that a job completed later are counted once. */
export interface TableWrites {
  readonly targetDatasourceId: string
  readonly target: TableRef
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** Of the inserted rows, those that came by loads of whole tables. */
  readonly loaded: number
  readonly batches: number
}

/** ISO 8601; what is left out matters not. */
export interface WritesFilter {
  readonly since?: string
  readonly until?: string
  readonly concerns?: readonly AuditConcern[]
  readonly datasources?: readonly string[]
}

/** Rows written by table and operation. */
export async function countWrites(store: Store, filter: WritesFilter): Promise<readonly TableWrites[]> {
  const { since, until, concerns = [], datasources } = filter
  if (datasources?.length === 0) return []
  const rows = await store.db
    .selectFrom('history_batch')
    .select((select) => [
      'target_datasource_id',
      'target_table',
      select.fn.sum('inserted').as('inserted'),
      select.fn.sum('updated').as('updated'),
      select.fn.sum('deleted').as('deleted'),
      sql<number>`SUM(CASE WHEN kind = 'load' THEN row_count ELSE 0 END)`.as('loaded'),
      select.fn.countAll().as('batches'),
    ])
    .where('kind', '<>', 'patch')
    .$if(since !== undefined, (query) => query.where('at', '>=', since ?? ''))
    .$if(until !== undefined, (query) => query.where('at', '<', until ?? ''))
    .where((where) => where.and(concerns.map((concern) => isOf(where, concern))))
    .$if(datasources !== undefined, (query) =>
      query
        .where('source_datasource_id', 'in', [...(datasources ?? [])])
        .where('target_datasource_id', 'in', [...(datasources ?? [])]),
    )
    .groupBy(['target_datasource_id', 'target_table'])
    .orderBy('target_datasource_id')
    .orderBy('target_table')
    .execute()
  return rows.map((row) => ({
    targetDatasourceId: row.target_datasource_id,
    target: toRef(row.target_table),
    inserted: Number(row.inserted),
    updated: Number(row.updated),
    deleted: Number(row.deleted),
    loaded: Number(row.loaded),
    batches: Number(row.batches),
  }))
}

function isOf(where: ExpressionBuilder<Tables, 'history_batch'>, { kind, id }: AuditConcern): Expression<SqlBool> {
  if (kind === 'job') return where('job_id', '=', id)
  if (kind === 'config') return where('config_id', '=', id)
  return where.or([where('source_datasource_id', '=', id), where('target_datasource_id', '=', id)])
}

async function toBatch(box: SecretBox, row: HistoryBatchRow): Promise<KeptBatch> {
  const body = await openBody(box, row)
  return {
    jobId: row.job_id,
    configId: row.config_id,
    sourceDatasourceId: row.source_datasource_id,
    targetDatasourceId: row.target_datasource_id,
    mappingId: row.mapping_id,
    mappingHash: row.mapping_hash,
    target: toRef(row.target_table),
    key: JSON.parse(row.key_columns) as string[],
    columns: JSON.parse(row.image_columns) as string[],
    batch: row.batch,
    kind: row.kind as KeptBatch['kind'],
    rows: row.row_count,
    digest: body?.digest ?? null,
    at: row.at,
    changes: body?.changes ?? null,
  }
}
