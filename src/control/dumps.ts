/** What the store knows of the directory of dumps. The files themselves are the business of whoever writes them. */
import { sql, type Transaction } from 'kysely'
import { formatBytes } from '#lib/amounts.ts'
import { must } from '#lib/assert.ts'
import type { Actor } from '#model/access.ts'
import {
  DUMP_COMPRESSIONS,
  DUMP_ORIGINS,
  type DrillOutcome,
  type Dump,
  type DumpCompression,
  type DumpFacts,
  type DumpOrigin,
} from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { ACTIVE_STATUSES } from '#model/job.ts'
import { audited } from './audit.ts'
import { holds, pageSql, type PageWish } from './paging.ts'
import type { DumpRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** A dump that is about to be written. */
export interface DumpDraft {
  readonly id: string
  readonly file: string
  readonly origin: DumpOrigin
  readonly database: string | null
  readonly datasourceId: string | null
  /** The job that writes it, under which claim; null: nobody's. */
  readonly writer: { readonly jobId: string; readonly epoch: number } | null
  readonly compression: DumpCompression
  readonly sealed: boolean
  readonly createdBy: string
  readonly createdAt: string
}

/** The transaction in which the space of the directory is counted. */
const LOCK = 'dumps'

export async function beginDump(store: Store, draft: DumpDraft): Promise<void> {
  await store.db
    .insertInto('dump')
    .values({
      id: draft.id,
      file: draft.file,
      origin: draft.origin,
      state: 'writing',
      database_name: draft.database,
      datasource_id: draft.datasourceId,
      job_id: draft.writer?.jobId ?? null,
      epoch: draft.writer?.epoch ?? null,
      compression: draft.compression,
      sealed: draft.sealed ? 1 : 0,
      bytes: 0,
      sha256: null,
      facts: null,
      drill: null,
      created_by: draft.createdBy,
      created_at: draft.createdAt,
    })
    .execute()
}

/**
 * Reserves so many bytes in all for a dump that is being written.
 * @throws AppError `dump_space`; `wrong_state` where the dump was swept meanwhile
 */
export function growDump(store: Store, id: string, { bytes, most }: { bytes: number; most: number }): Promise<void> {
  return store.exclusively(LOCK, async (tx) => {
    const others = await tx
      .selectFrom('dump')
      .select((select) => select.fn.sum('bytes').as('bytes'))
      .where('id', '<>', id)
      .executeTakeFirst()
    const used = Number(others?.bytes ?? 0)
    if (used + bytes > most) {
      throw new AppError('dump_space', `All dumps together would have more than ${formatBytes(most)}.`)
    }
    const held = await tx
      .updateTable('dump')
      .set({ bytes })
      .where('id', '=', id)
      .where('state', '=', 'writing')
      .returning('id')
      .executeTakeFirst()
    if (held === undefined) throw sweptMeanwhile(id)
  })
}

/** From now on the dump is there for everybody. @throws AppError `wrong_state` where it was swept meanwhile */
export function completeDump(
  store: Store,
  id: string,
  facts: {
    readonly bytes: number
    readonly sha256: string
    readonly facts: DumpFacts
    readonly compression: DumpCompression
    readonly sealed: boolean
  },
  actor: Actor,
): Promise<Dump> {
  return audited(store, actor, async (tx, audit) => {
    const row = await tx
      .updateTable('dump')
      .set({
        state: 'ready',
        bytes: facts.bytes,
        sha256: facts.sha256,
        facts: JSON.stringify(facts.facts),
        compression: facts.compression,
        sealed: facts.sealed ? 1 : 0,
        database_name: sql`coalesce(database_name, ${facts.facts.head?.database ?? null})`,
      })
      .where('id', '=', id)
      .where('state', '=', 'writing')
      .returningAll()
      .executeTakeFirst()
    if (row === undefined) throw sweptMeanwhile(id)
    const { file, origin, datasource_id: datasource, bytes, sha256 } = row
    await audit({
      action: 'dump.create',
      subject: id,
      data: { file, origin, datasource, bytes: Number(bytes), sha256 },
    })
    return toDump(row)
  })
}

function sweptMeanwhile(id: string): AppError {
  return new AppError('wrong_state', `The dump ${id} was given up meanwhile: its writer was silent for too long.`)
}

/** Forgets a dump that was not completed, or is being deleted. */
export async function dropDump(store: Store, id: string): Promise<void> {
  await store.db.deleteFrom('dump').where('id', '=', id).where('state', '=', 'writing').execute()
}

/** Whether a dump is there for everybody. */
export async function isComplete(store: Store, id: string): Promise<boolean> {
  const row = await store.db.selectFrom('dump').select('state').where('id', '=', id).executeTakeFirst()
  return row?.state === 'ready'
}

/** @throws AppError `not_found` */
export async function getDump(store: Store, id: string): Promise<Dump> {
  const row = await store.db
    .selectFrom('dump')
    .selectAll()
    .where('id', '=', id)
    .where('state', '=', 'ready')
    .executeTakeFirst()
  if (row === undefined) throw dumpNotFound(id)
  return toDump(row)
}

export function dumpNotFound(id: string): AppError {
  return new AppError('not_found', `There is no dump ${id}.`)
}

export const DUMP_SORTS = ['created_at', 'file'] as const
type DumpSort = (typeof DUMP_SORTS)[number]

export interface DumpFilter {
  readonly origin?: DumpOrigin
  /** Only dumps of these datasources; undefined: all, also those that were uploaded. */
  readonly datasources?: readonly string[]
  readonly datasource?: string
  readonly jobId?: string
  /** What the name of the file holds: database, day, content. */
  readonly search?: string
}

/** A page of the dumps. They are sorted by time or by name, as texts. */
export async function listDumps(
  store: Store,
  { origin, datasources, datasource, jobId, search }: DumpFilter,
  page: PageWish<DumpSort>,
): Promise<readonly Dump[]> {
  if (datasources?.length === 0) return []
  const { order, begins } = pageSql(store, page)
  const rows = await store.db
    .selectFrom('dump')
    .selectAll()
    .where('state', '=', 'ready')
    .where(begins)
    .$if(origin !== undefined, (query) => query.where('origin', '=', origin ?? ''))
    .$if(datasources !== undefined, (query) => query.where('datasource_id', 'in', [...(datasources ?? [])]))
    .$if(datasource !== undefined, (query) => query.where('datasource_id', '=', datasource ?? ''))
    .$if(jobId !== undefined, (query) => query.where('job_id', '=', jobId ?? ''))
    .$if(search !== undefined, (query) => query.where(holds('file', search ?? '')))
    .orderBy(order)
    .limit(page.limit)
    .execute()
  return rows.map(toDump)
}

/** What the dumps of some datasources come to; null: all dumps, also those that were uploaded. */
export async function dumpTotals(
  store: Store,
  datasources: readonly string[] | null,
): Promise<{ readonly dumps: number; readonly bytes: number }> {
  if (datasources?.length === 0) return { dumps: 0, bytes: 0 }
  const row = await store.db
    .selectFrom('dump')
    .select((select) => [select.fn.countAll().as('dumps'), select.fn.sum('bytes').as('bytes')])
    .where('state', '=', 'ready')
    .$if(datasources !== null, (query) => query.where('datasource_id', 'in', [...(datasources ?? [])]))
    .executeTakeFirst()
  return { dumps: Number(row?.dumps ?? 0), bytes: Number(row?.bytes ?? 0) }
}

/** What came of a trial is known of the dump from now on. @throws AppError `not_found` */
export function recordDrill(store: Store, id: string, outcome: DrillOutcome, actor: Actor): Promise<void> {
  const { works, jobId: job } = outcome
  return audited(store, actor, async (tx, audit): Promise<void> => {
    const row = await tx
      .updateTable('dump')
      .set({ drill: JSON.stringify(outcome) })
      .where('id', '=', id)
      .where('state', '=', 'ready')
      .returning('datasource_id')
      .executeTakeFirst()
    if (row === undefined) throw dumpNotFound(id)
    const { datasource_id: datasource } = row
    await audit({ action: 'dump.drill', subject: id, data: { datasource, works, job } })
  })
}

/** The newest export of each datasource, by the id of that. */
export async function newestExports(store: Store): Promise<ReadonlyMap<string, Dump>> {
  const rows = await store.db
    .selectFrom('dump')
    .selectAll()
    .where('state', '=', 'ready')
    .where('origin', '=', 'export')
    .where('datasource_id', 'is not', null)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute()
  const newest = new Map<string, Dump>()
  for (const dump of rows.map(toDump)) {
    const datasource = dump.datasourceId ?? ''
    if (!newest.has(datasource)) newest.set(datasource, dump)
  }
  return newest
}

/** The newest export of each datasource, where no job has tried it or is to; sealed ones left out. */
export async function newestUntried(store: Store): Promise<readonly Dump[]> {
  const newest = await newestExports(store)
  const untried: Dump[] = []
  for (const dump of newest.values()) {
    if (dump.drill !== null || dump.sealed || dump.facts.head?.content === 'data') continue
    const tries = await store.db
      .selectFrom('job')
      .select('id')
      .where('kind', '=', 'drill')
      .where('request', 'like', `%"${dump.id}"%`)
      .executeTakeFirst()
    if (tries === undefined) untried.push(dump)
  }
  return untried
}

/** Who takes a dump away, and why. */
export interface Withdrawal {
  readonly actor: Actor
  readonly action: 'dump.delete' | 'dump.expire'
  /** The job that takes away what it has kept itself. */
  readonly by?: string | null
}

/**
 * Takes a dump away from everybody, before its file goes: `dropDump` forgets it after that, and what a process leaves that ends
 * in between is swept, because its row says `writing` again.
 * @throws AppError `not_found`; `in_use` where a job that is not over yet reads it, or has kept in it what it replaces
 */
export function withdrawDump(store: Store, id: string, { actor, action, by = null }: Withdrawal): Promise<Dump> {
  return audited(store, actor, async (tx, audit) => {
    const row = await tx
      .updateTable('dump')
      .set({ state: 'writing' })
      .where('id', '=', id)
      .where('state', '=', 'ready')
      .returningAll()
      .executeTakeFirst()
    if (row === undefined) throw dumpNotFound(id)
    const reader = await readerOf(tx, id)
    if (reader !== null) throw new AppError('in_use', `The job ${reader} reads the dump ${id}.`)
    const { file, origin, datasource_id: datasource, job_id: job } = row
    if (origin === 'backup' && job !== null && job !== by && (await isAtWork(tx, job))) {
      throw new AppError('in_use', `The job ${job} is not over: the dump ${id} has what it replaces.`, {
        hint: 'Wait until the job has ended, or cancel it.',
      })
    }
    await audit({ action, subject: id, data: { file, origin, datasource } })
    return toDump(row)
  })
}

/** A job that is not over and speaks of the dump. */
async function readerOf(tx: Transaction<Tables>, id: string): Promise<string | null> {
  const row = await tx
    .selectFrom('job')
    .select('id')
    .where('status', 'in', [...ACTIVE_STATUSES])
    .where('request', 'like', `%"${id}"%`)
    .executeTakeFirst()
  return row?.id ?? null
}

async function isAtWork(tx: Transaction<Tables>, jobId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('job')
    .select('id')
    .where('id', '=', jobId)
    .where('status', 'in', [...ACTIVE_STATUSES])
    .executeTakeFirst()
  return row !== undefined
}

/** What earlier claims of a job have kept of what they were to replace. */
export async function earlierBackups(
  store: Store,
  { jobId, before }: { readonly jobId: string; readonly before: number },
): Promise<readonly Dump[]> {
  const rows = await store.db
    .selectFrom('dump')
    .selectAll()
    .where('state', '=', 'ready')
    .where('origin', '=', 'backup')
    .where('job_id', '=', jobId)
    .where('epoch', '<', before)
    .execute()
  return rows.map(toDump)
}

/** A file that was begun and not completed. */
export interface UnfinishedDump {
  readonly id: string
  readonly file: string
  readonly createdAt: string
  /** A job that holds its lease under the claim that it was begun with. */
  readonly isHeld: boolean
}

/** Files that were begun; with a job, those of its earlier claims, whose processes are gone or have lost their lease. */
export async function unfinishedDumps(
  store: Store,
  of: { readonly jobId: string; readonly before: number } | null,
): Promise<readonly UnfinishedDump[]> {
  const rows = await store.db
    .selectFrom('dump')
    .leftJoin('job', 'job.id', 'dump.job_id')
    .select(['dump.id', 'dump.file', 'dump.created_at', 'dump.epoch', 'job.epoch as job_epoch', 'job.status'])
    .where('dump.state', '=', 'writing')
    .$if(of !== null, (query) =>
      query.where('dump.job_id', '=', of?.jobId ?? '').where('dump.epoch', '<', of?.before ?? 0),
    )
    .execute()
  return rows.map((row) => ({
    id: row.id,
    file: row.file,
    createdAt: row.created_at,
    isHeld:
      row.epoch !== null && row.epoch === row.job_epoch && (row.status === 'running' || row.status === 'stopping'),
  }))
}

/** Dumps from the oldest on, as retention takes them. */
export async function oldestDumps(store: Store): Promise<readonly Dump[]> {
  const rows = await store.db
    .selectFrom('dump')
    .selectAll()
    .where('state', '=', 'ready')
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toDump)
}

function toDump(row: DumpRow): Dump {
  return {
    id: row.id,
    file: row.file,
    origin: must(
      DUMP_ORIGINS.find((one) => one === row.origin),
      'a known origin',
    ),
    database: row.database_name,
    datasourceId: row.datasource_id,
    jobId: row.job_id,
    compression: must(
      DUMP_COMPRESSIONS.find((one) => one === row.compression),
      'a known compression',
    ),
    sealed: row.sealed === 1,
    bytes: Number(row.bytes),
    sha256: row.sha256 ?? '',
    facts: JSON.parse(row.facts ?? '{}') as DumpFacts,
    drill: row.drill === null ? null : (JSON.parse(row.drill) as DrillOutcome),
    createdBy: row.created_by,
    createdAt: row.created_at,
  }
}
