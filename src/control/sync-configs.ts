import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Actor } from '#model/access.ts'
import { canonicalDocument, ConfigDocument } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { toSchedule } from '#model/schedule-document.ts'
import { audited } from './audit.ts'
import { nameTaken, versionConflict } from './datasources.ts'
import { holds, pageSql, type ListSort, type PageWish } from './paging.ts'
import { keepSchedule } from './schedules.ts'
import { forgetOtherMapping } from './schema-drift.ts'
import type { SyncConfigRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** A sync config as it is kept: its document holds the ids of its datasources. */
export interface StoredConfig {
  readonly id: string
  readonly document: ConfigDocument
  readonly version: number
  readonly createdAt: string
  readonly updatedAt: string
}

/** One state that a sync config has had. */
export interface ConfigVersion {
  readonly version: number
  readonly document: ConfigDocument
  readonly changedAt: string
  /** The id of the actor. */
  readonly changedBy: string
}

/** @throws AppError `name_taken`, `not_found` where a datasource is not there */
export function createConfig(
  store: Store,
  given: ConfigDocument,
  { id, actor }: { id: string; actor: Actor },
): Promise<StoredConfig> {
  return audited(store, actor, async (tx, audit) => {
    const document = await resolve(tx, given, null)
    const now = store.clock.now()
    const row: SyncConfigRow = {
      id,
      name: document.name,
      source_datasource_id: document.source_datasource_id,
      target_datasource_id: document.target_datasource_id,
      document: JSON.stringify(document),
      version: 1,
      created_at: now,
      updated_at: now,
    }
    await tx.insertInto('sync_config').values(row).execute()
    await keepVersion(tx, row, actor)
    await keepSchedule(tx, id, toSchedule(document), now)
    await audit({
      action: 'sync_config.create',
      subject: id,
      data: { name: document.name, after: digestOf(row.document) },
    })
    return toConfig(row)
  })
}

/**
 * Changes a sync config as it was at `version` (null: whatever it is). Writing what is there already changes nothing.
 * @throws AppError `not_found`, `name_taken`, `version_conflict`
 */
export function updateConfig(
  store: Store,
  { id, version, actor }: { id: string; version: number | null; actor: Actor },
  given: ConfigDocument,
): Promise<StoredConfig> {
  return audited(store, actor, async (tx, audit) => {
    const before = await tx.selectFrom('sync_config').selectAll().where('id', '=', id).executeTakeFirst()
    if (before === undefined) throw configNotFound(id)
    if (version !== null && before.version !== version) throw versionConflict('sync config', before.version)
    const document = await resolve(tx, given, id)
    const text = JSON.stringify(document)
    if (text === before.document) return toConfig(before)
    const row: SyncConfigRow = {
      ...before,
      name: document.name,
      source_datasource_id: document.source_datasource_id,
      target_datasource_id: document.target_datasource_id,
      document: text,
      version: before.version + 1,
      updated_at: store.clock.now(),
    }
    await tx.updateTable('sync_config').set(row).where('id', '=', id).execute()
    await keepVersion(tx, row, actor)
    await keepSchedule(tx, id, toSchedule(document), row.updated_at)
    await forgetOtherMapping(tx, id, document)
    const data = { name: document.name, version: row.version, ...differenceOf(before.document, text) }
    await audit({ action: 'sync_config.update', subject: id, data })
    return toConfig(row)
  })
}

/** @throws AppError `not_found`, `version_conflict`, `in_use` while a job of it is under way */
export async function deleteConfig(
  store: Store,
  { id, version, actor }: { id: string; version: number | null; actor: Actor },
): Promise<void> {
  await audited(store, actor, async (tx, audit) => {
    const before = await tx.selectFrom('sync_config').selectAll().where('id', '=', id).executeTakeFirst()
    if (before === undefined) throw configNotFound(id)
    if (version !== null && before.version !== version) throw versionConflict('sync config', before.version)
    const job = await tx
      .selectFrom('job')
      .select('id')
      .where('config_id', '=', id)
      .where('status', 'not in', ['stopped', 'succeeded', 'failed', 'cancelled'])
      .executeTakeFirst()
    if (job !== undefined)
      throw new AppError('in_use', `The job ${job.id} of the sync config ${before.name} is under way.`)
    await tx.deleteFrom('sync_config').where('id', '=', id).execute()
    await audit({
      action: 'sync_config.delete',
      subject: id,
      data: { name: before.name, before: digestOf(before.document) },
    })
  })
}

/** What a change of a document changed, for the log: the versions themselves are kept. */
function differenceOf(before: string, after: string) {
  const [old, next] = [before, after].map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
  const fields = [...new Set([...Object.keys(old ?? {}), ...Object.keys(next ?? {})])]
  const changed = fields.filter((field) => JSON.stringify(old?.[field]) !== JSON.stringify(next?.[field]))
  return { changed, before: digestOf(before), after: digestOf(after) }
}

function digestOf(document: string): string {
  return createHash('sha256').update(document, 'utf8').digest('hex')
}

/** By id or by name. @throws AppError `not_found` */
export async function getConfig(store: Store, idOrName: string): Promise<StoredConfig> {
  const row = await store.db
    .selectFrom('sync_config')
    .selectAll()
    .where((where) => where.or([where('id', '=', idOrName), where('name', '=', idOrName)]))
    .executeTakeFirst()
  if (row === undefined) throw configNotFound(idOrName)
  return toConfig(row)
}

/** All sync configs, by name. */
export async function listConfigs(store: Store): Promise<readonly StoredConfig[]> {
  const rows = await store.db.selectFrom('sync_config').selectAll().orderBy('name').execute()
  return rows.map(toConfig)
}

export interface ConfigFilter extends PageWish<ListSort> {
  /** A part of the name; null: any. */
  readonly search: string | null
  /** The datasource that it reads or writes; null: any. */
  readonly datasource: string | null
  /** Only configs between these datasources; null: all. */
  readonly datasources: readonly string[] | null
}

/** A page of the sync configs. */
export async function pageConfigs(store: Store, filter: ConfigFilter): Promise<readonly StoredConfig[]> {
  const { search, datasource, datasources, limit } = filter
  if (datasources?.length === 0) return []
  const { order, begins } = pageSql(store, filter)
  const rows = await store.db
    .selectFrom('sync_config')
    .selectAll()
    .where(begins)
    .$if(search !== null, (query) => query.where(holds('name', search ?? '')))
    .$if(datasource !== null, (query) =>
      query.where((where) =>
        where.or([
          where('source_datasource_id', '=', datasource ?? ''),
          where('target_datasource_id', '=', datasource ?? ''),
        ]),
      ),
    )
    .$if(datasources !== null, (query) =>
      query
        .where('source_datasource_id', 'in', [...(datasources ?? [])])
        .where('target_datasource_id', 'in', [...(datasources ?? [])]),
    )
    .orderBy(order)
    .limit(limit)
    .execute()
  return rows.map(toConfig)
}

/** What a sync config has been before a version (null: all of it), the newest first. */
export async function listConfigVersions(
  store: Store,
  id: string,
  { before, limit }: { before: number | null; limit: number },
): Promise<readonly ConfigVersion[]> {
  const rows = await store.db
    .selectFrom('sync_config_version')
    .selectAll()
    .where('config_id', '=', id)
    .$if(before !== null, (query) => query.where('version', '<', before ?? 0))
    .orderBy('version', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    version: row.version,
    document: JSON.parse(row.document) as ConfigDocument,
    changedAt: row.changed_at,
    changedBy: row.changed_by,
  }))
}

/** The canonical document, with datasources by id; its name must be free but for `own`. */
async function resolve(tx: Transaction<Tables>, given: ConfigDocument, own: string | null): Promise<ConfigDocument> {
  const taken = await tx.selectFrom('sync_config').select('id').where('name', '=', given.name).executeTakeFirst()
  if (taken !== undefined && taken.id !== own) throw nameTaken(given.name)
  return canonicalDocument(ConfigDocument, {
    ...given,
    source_datasource_id: await datasourceId(tx, given.source_datasource_id),
    target_datasource_id: await datasourceId(tx, given.target_datasource_id),
  })
}

async function datasourceId(tx: Transaction<Tables>, idOrName: string): Promise<string> {
  const row = await tx
    .selectFrom('datasource')
    .select('id')
    .where((where) => where.or([where('id', '=', idOrName), where('name', '=', idOrName)]))
    .executeTakeFirst()
  if (row === undefined) throw new AppError('not_found', `There is no datasource ${idOrName}.`)
  return row.id
}

async function keepVersion(tx: Transaction<Tables>, row: SyncConfigRow, actor: Actor): Promise<void> {
  await tx
    .insertInto('sync_config_version')
    .values({
      config_id: row.id,
      version: row.version,
      document: row.document,
      changed_at: row.updated_at,
      changed_by: actor.id,
    })
    .execute()
}

function toConfig(row: SyncConfigRow): StoredConfig {
  return {
    id: row.id,
    document: JSON.parse(row.document) as ConfigDocument,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function configNotFound(idOrName: string): AppError {
  return new AppError('not_found', `There is no sync config ${idOrName}.`)
}
