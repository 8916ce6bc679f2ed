import type { Transaction } from 'kysely'
import { Secret } from '#lib/secret.ts'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import { SYSTEM, type Actor } from '#model/access.ts'
import type {
  ConnectionParts,
  ConnectionTest,
  Datasource,
  DatasourceKind,
  PasswordSource,
  ServerPin,
} from '#model/datasource.ts'
import { parseEnvironment } from '#model/environment.ts'
import { ACTIVE_STATUSES } from '#model/job.ts'
import { AppError } from '#model/errors.ts'
import { aiSetting } from './ai-settings.ts'
import { audited } from './audit.ts'
import { holds, pageSql, type ListSort, type PageWish } from './paging.ts'
import { resealHistory } from './history.ts'
import { redisSetting } from './redis-settings.ts'
import { resealMarks } from './reseal-marks.ts'
import { resealConflicts } from './reseal-conflicts.ts'
import { resealRejections } from './reseal-rejections.ts'
import type { DatasourceRow, Tables } from './schema.ts'
import { resealCheck } from './secret-check.ts'
import type { Store } from './store.ts'
import { resealWebhookSecrets } from './webhook-secrets.ts'

/** What a person says of a datasource. A password is a secret to be kept, a reference, or null for none. */
export interface DatasourceDraft {
  readonly name: string
  readonly kind: DatasourceKind
  readonly connection: ConnectionParts
  readonly password: Secret | { readonly reference: string } | null
  readonly schemas: readonly string[] | null
  readonly poolSize: number
  readonly connectTimeoutMs: number
  readonly environment: Datasource['environment']
  readonly writable: boolean
}

export interface DatasourceTools {
  readonly store: Store
  readonly box: SecretBox
}

/** @throws AppError `name_taken` */
export async function createDatasource(
  { store, box }: DatasourceTools,
  draft: DatasourceDraft,
  { id, actor, origin }: { id: string; actor: Actor; origin: Datasource['origin'] },
): Promise<Datasource> {
  return audited(store, actor, async (tx, audit) => {
    const taken = await tx.selectFrom('datasource').select('id').where('name', '=', draft.name).executeTakeFirst()
    if (taken !== undefined) throw nameTaken(draft.name)
    const now = store.clock.now()
    const row: DatasourceRow = {
      id,
      ...draftColumns(draft),
      ...passwordColumns(draft.password, { box, id }),
      origin,
      pin: null,
      last_test: null,
      created_at: now,
      updated_at: now,
      version: 1,
    }
    await tx.insertInto('datasource').values(row).execute()
    await audit({ action: 'datasource.create', subject: id, data: auditData(draft) })
    return toDatasource(row)
  })
}

/**
 * Changes a datasource as it was at `version`. A password that is not mentioned stays. The pin is let go of where the
 * address changes, because it may be another server then; a stored password goes to no other host by itself.
 * @throws AppError `not_found`, `name_taken`, `version_conflict`, `invalid_request`
 */
export async function updateDatasource(
  { store, box }: DatasourceTools,
  { id, version, actor }: { id: string; version: number | null; actor: Actor },
  { password, ...draft }: Omit<DatasourceDraft, 'password'> & { password?: DatasourceDraft['password'] },
): Promise<Datasource> {
  return audited(store, actor, async (tx, audit) => {
    const before = await tx.selectFrom('datasource').selectAll().where('id', '=', id).executeTakeFirst()
    if (before === undefined) throw datasourceNotFound(id)
    refuseEnvironment(toDatasource(before))
    if (version !== null && before.version !== version) throw versionConflict('datasource', before.version)
    const other = await tx
      .selectFrom('datasource')
      .select('id')
      .where('name', '=', draft.name)
      .where('id', '<>', id)
      .executeTakeFirst()
    if (other !== undefined) throw nameTaken(draft.name)
    const columns = draftColumns(draft)
    const moved = addressOf(columns.connection) !== addressOf(before.connection)
    if (password === undefined) refuseCarriedPassword(before, draft.connection)
    const changes = {
      ...columns,
      ...(password === undefined ? {} : passwordColumns(password, { box, id })),
      ...(moved ? { pin: null, last_test: null } : {}),
      updated_at: store.clock.now(),
      version: before.version + 1,
    }
    await tx.updateTable('datasource').set(changes).where('id', '=', id).execute()
    await audit({
      action: 'datasource.update',
      subject: id,
      data: { ...auditData(draft), password: password !== undefined },
    })
    return toDatasource({ ...before, ...changes })
  })
}

/** @throws AppError `not_found`; `in_use` where a sync config speaks of it, or its export runs by itself */
export async function deleteDatasource(
  store: Store,
  { id, version, actor }: { id: string; version: number | null; actor: Actor },
): Promise<void> {
  await audited(store, actor, async (tx, audit) => {
    const before = await tx.selectFrom('datasource').selectAll().where('id', '=', id).executeTakeFirst()
    if (before === undefined) throw datasourceNotFound(id)
    refuseEnvironment(toDatasource(before))
    if (version !== null && before.version !== version) throw versionConflict('datasource', before.version)
    const users = await tx
      .selectFrom('sync_config')
      .select('name')
      .where((where) => where.or([where('source_datasource_id', '=', id), where('target_datasource_id', '=', id)]))
      .execute()
    if (users.length > 0) {
      const names = users.map(({ name }) => name).join(', ')
      throw new AppError('in_use', `The datasource ${before.name} is used by sync configs: ${names}.`)
    }
    if (await isExportedByItself(tx, id)) {
      throw new AppError('in_use', `The datasource ${before.name} has a scheduled export.`, {
        hint: 'Remove the schedule of its export first (syncline dumps schedule NAME --remove).',
      })
    }
    await tx.deleteFrom('datasource').where('id', '=', id).execute()
    await audit({ action: 'datasource.delete', subject: id, data: { name: before.name } })
  })
}

export async function findDatasource(store: Store, id: string): Promise<Datasource | null> {
  const row = await store.db.selectFrom('datasource').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : toDatasource(row)
}

/** By id or by name. @throws AppError `not_found` */
export async function getDatasource(store: Store, idOrName: string): Promise<Datasource> {
  const row = await store.db
    .selectFrom('datasource')
    .selectAll()
    .where((where) => where.or([where('id', '=', idOrName), where('name', '=', idOrName)]))
    .executeTakeFirst()
  if (row === undefined) throw datasourceNotFound(idOrName)
  return toDatasource(row)
}

/** All datasources that people made or named, by name; those that a job brought along are left out. */
export async function listDatasources(store: Store): Promise<readonly Datasource[]> {
  const rows = await store.db
    .selectFrom('datasource')
    .selectAll()
    .where('origin', '<>', 'ad_hoc')
    .orderBy('name')
    .execute()
  return rows.map(toDatasource)
}

export interface DatasourceFilter extends PageWish<ListSort> {
  /** A part of the name; null: any. */
  readonly search: string | null
  readonly kind: string | null
  readonly writable: boolean | null
  /** Only these; null: all. */
  readonly ids: readonly string[] | null
}

/** A page of the datasources that people made or named. */
export async function pageDatasources(store: Store, filter: DatasourceFilter): Promise<readonly Datasource[]> {
  const { search, kind, writable, ids, limit } = filter
  if (ids?.length === 0) return []
  const { order, begins } = pageSql(store, filter)
  const rows = await store.db
    .selectFrom('datasource')
    .selectAll()
    .where('origin', '<>', 'ad_hoc')
    .where(begins)
    .$if(search !== null, (query) => query.where(holds('name', search ?? '')))
    .$if(kind !== null, (query) => query.where('kind', '=', kind ?? ''))
    .$if(writable !== null, (query) => query.where('writable', '=', writable ? 1 : 0))
    .$if(ids !== null, (query) => query.where('id', 'in', [...(ids ?? [])]))
    .orderBy(order)
    .limit(limit)
    .execute()
  return rows.map(toDatasource)
}

/** The password as it is kept or referred to; a reference is not looked up here. @throws AppError `secret_unreadable` */
export async function readPassword(
  { store, box }: DatasourceTools,
  id: string,
): Promise<Secret | { readonly reference: string } | null> {
  const row = await store.db
    .selectFrom('datasource')
    .select(['name', 'password_sealed', 'password_reference'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (row === undefined) throw datasourceNotFound(id)
  if (row.password_reference !== null) return { reference: row.password_reference }
  if (row.password_sealed === null) return null
  try {
    return new Secret(box.open(row.password_sealed, id))
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error
    throw new AppError('secret_unreadable', `The password of ${row.name} cannot be read. ${error.message}`, {
      cause: error,
    })
  }
}

/** Remembers which server a datasource was; a pin that is there already stays. */
export async function pinDatasource(store: Store, id: string, pin: ServerPin): Promise<void> {
  await store.db
    .updateTable('datasource')
    .set({ pin: JSON.stringify(pin) })
    .where('id', '=', id)
    .where('pin', 'is', null)
    .execute()
}

/** Takes another server for the right one, because somebody says so. @throws AppError `not_found` */
export async function repinDatasource(
  store: Store,
  { id, pin, actor }: { id: string; pin: ServerPin; actor: Actor },
): Promise<void> {
  await audited(store, actor, async (tx, audit) => {
    const before = await tx.selectFrom('datasource').select(['pin']).where('id', '=', id).executeTakeFirst()
    if (before === undefined) throw datasourceNotFound(id)
    await tx
      .updateTable('datasource')
      .set({ pin: JSON.stringify(pin) })
      .where('id', '=', id)
      .execute()
    await audit({ action: 'datasource.repin', subject: id, data: { from: before.pin, to: pin } })
  })
}

export async function recordTest(store: Store, id: string, test: ConnectionTest): Promise<void> {
  await store.db
    .updateTable('datasource')
    .set({ last_test: JSON.stringify(test) })
    .where('id', '=', id)
    .execute()
}

/** Seals every password anew with the current key, in one transaction. Returns how many there were. */
export async function resealPasswords({ store, box }: DatasourceTools, actor: Actor): Promise<number> {
  return audited(store, actor, async (tx, audit) => {
    const rows = await tx.selectFrom('datasource').select(['id', 'password_sealed']).execute()
    let sealed = 0
    for (const { id, password_sealed: old } of rows) {
      if (old === null || box.isCurrent(old)) continue
      await tx
        .updateTable('datasource')
        .set({ password_sealed: box.seal(box.open(old, id), id) })
        .where('id', '=', id)
        .execute()
      sealed += 1
    }
    await resealRejections(tx, box)
    await resealConflicts(tx, box)
    await resealHistory(tx, box)
    await resealMarks(tx, box)
    await redisSetting.reseal(tx, box)
    await aiSetting.reseal(tx, box)
    await resealWebhookSecrets(tx, box)
    await resealCheck(tx, box)
    await audit({ action: 'secret_key.rotate', subject: null, data: { key: box.keyId, passwords: sealed } })
    return sealed
  })
}

/**
 * Makes the datasources of origin `environment` those of the drafts. One that is no longer declared goes, unless a sync
 * config, a schedule or a job that is under way speaks of it. A pin stays although the address changes: another server behind the
 * same name is for somebody to confirm (hazard D11). @throws AppError `name_taken` where a stored datasource has the name
 */
export function keepEnvironmentDatasources(
  store: Store,
  drafts: readonly DatasourceDraft[],
  newId: () => string,
): Promise<{ registered: readonly string[]; removed: readonly string[] }> {
  return audited(store, SYSTEM, async (tx, audit) => {
    const now = store.clock.now()
    for (const draft of drafts) {
      const before = await tx.selectFrom('datasource').selectAll().where('name', '=', draft.name).executeTakeFirst()
      if (before !== undefined && before.origin !== 'environment') throw nameTaken(draft.name)
      const columns = {
        ...draftColumns(draft),
        password_reference: draft.password instanceof Secret ? null : (draft.password?.reference ?? null),
        password_sealed: null,
      }
      if (before === undefined) {
        const id = newId()
        const fresh = { pin: null, last_test: null, created_at: now, updated_at: now, version: 1 }
        await tx
          .insertInto('datasource')
          .values({ id, origin: 'environment', ...columns, ...fresh })
          .execute()
        await audit({ action: 'datasource.create', subject: id, data: auditData(draft) })
      } else if (Object.entries(columns).some(([name, value]) => before[name as keyof DatasourceRow] !== value)) {
        const changes = { ...columns, updated_at: now, version: before.version + 1 }
        await tx.updateTable('datasource').set(changes).where('id', '=', before.id).execute()
        await audit({ action: 'datasource.update', subject: before.id, data: auditData(draft) })
      }
    }
    const registered = drafts.map(({ name }) => name)
    const removed: string[] = []
    const declared = await tx
      .selectFrom('datasource')
      .select(['id', 'name'])
      .where('origin', '=', 'environment')
      .execute()
    for (const { id, name } of declared.filter((each) => !registered.includes(each.name))) {
      if (await isReferred(tx, id)) continue
      await tx.deleteFrom('datasource').where('id', '=', id).execute()
      await audit({ action: 'datasource.delete', subject: id, data: { name } })
      removed.push(name)
    }
    return { registered, removed }
  })
}

async function isExportedByItself(tx: Transaction<Tables>, id: string): Promise<boolean> {
  const schedule = await tx
    .selectFrom('schedule')
    .select('subject_id')
    .where('datasource_id', '=', id)
    .executeTakeFirst()
  return schedule !== undefined
}

async function isReferred(tx: Transaction<Tables>, id: string): Promise<boolean> {
  const config = await tx
    .selectFrom('sync_config')
    .select('id')
    .where((where) => where.or([where('source_datasource_id', '=', id), where('target_datasource_id', '=', id)]))
    .executeTakeFirst()
  if (config !== undefined || (await isExportedByItself(tx, id))) return true
  const job = await tx
    .selectFrom('job')
    .select('id')
    .where('status', 'in', [...ACTIVE_STATUSES])
    .where((where) => where.or([where('source_datasource_id', '=', id), where('target_datasource_id', '=', id)]))
    .executeTakeFirst()
  return job !== undefined
}

function draftColumns(
  draft: Omit<DatasourceDraft, 'password'>,
): Pick<
  DatasourceRow,
  'name' | 'kind' | 'connection' | 'schemas' | 'pool_size' | 'connect_timeout_ms' | 'environment' | 'writable'
> {
  const { host, port, database, user, ssl, ca, projectUrl } = draft.connection
  return {
    name: draft.name,
    kind: draft.kind,
    connection: JSON.stringify({ host, port, database, user, ssl, ca, projectUrl }),
    schemas: draft.schemas === null ? null : JSON.stringify(draft.schemas),
    pool_size: draft.poolSize,
    connect_timeout_ms: draft.connectTimeoutMs,
    environment: draft.environment,
    writable: draft.writable ? 1 : 0,
  }
}

/** What decides which database it is. */
/** Whoever may change an address, and does not know the password, is not to learn it from the server that they name. */
function refuseCarriedPassword(before: DatasourceRow, { host, port }: ConnectionParts): void {
  const { host: oldHost, port: oldPort } = JSON.parse(before.connection) as ConnectionParts
  if (before.password_sealed === null || (host === oldHost && port === oldPort)) return
  throw new AppError(
    'invalid_request',
    `The stored password of the datasource ${before.name} is for ${oldHost}:${oldPort}.`,
    { hint: 'Give the password together with the new address, or null where it needs none.' },
  )
}

function addressOf(connection: string): string {
  const { host, port, database } = toParts(connection)
  return JSON.stringify([host, port, database])
}

function passwordColumns(
  password: DatasourceDraft['password'],
  { box, id }: { box: SecretBox; id: string },
): Pick<DatasourceRow, 'password_reference' | 'password_sealed'> {
  if (password === null) return { password_reference: null, password_sealed: null }
  return password instanceof Secret
    ? { password_reference: null, password_sealed: box.seal(password.reveal(), id) }
    : { password_reference: password.reference, password_sealed: null }
}

function auditData({
  name,
  kind,
  connection,
  environment,
  writable,
}: Omit<DatasourceDraft, 'password'>): Record<string, unknown> {
  const { host, port, database, user, ssl } = connection
  return { name, kind, host, port, database, user, ssl, environment, writable }
}

function toDatasource(row: DatasourceRow): Datasource {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind as DatasourceKind,
    connection: toParts(row.connection),
    password: toPasswordSource(row),
    schemas: row.schemas === null ? null : (JSON.parse(row.schemas) as string[]),
    poolSize: row.pool_size,
    connectTimeoutMs: row.connect_timeout_ms,
    environment: row.environment === null ? null : parseEnvironment(row.environment),
    writable: row.writable === 1,
    origin: row.origin as Datasource['origin'],
    pin: row.pin === null ? null : (JSON.parse(row.pin) as ServerPin),
    lastTest: row.last_test === null ? null : (JSON.parse(row.last_test) as ConnectionTest),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version: row.version,
  }
}

function toParts(json: string): ConnectionParts {
  const stored = JSON.parse(json) as Omit<ConnectionParts, 'projectUrl'> & Partial<ConnectionParts>
  return { ...stored, projectUrl: stored.projectUrl ?? null }
}

function toPasswordSource({ password_reference: reference, password_sealed: sealed }: DatasourceRow): PasswordSource {
  if (reference !== null) return { kind: 'reference', reference }
  return sealed === null ? { kind: 'none' } : { kind: 'stored' }
}

/** What the environment says is changed there. */
function refuseEnvironment({ origin, name }: Datasource): void {
  if (origin !== 'environment') return
  throw new AppError('read_only_datasource', `The datasource ${name} comes from an environment variable.`)
}

function datasourceNotFound(idOrName: string): AppError {
  return new AppError('not_found', `There is no datasource ${idOrName}.`)
}

export function nameTaken(name: string): AppError {
  return new AppError('name_taken', `The name ${name} is taken.`)
}

export function versionConflict(what: string, version: number): AppError {
  return new AppError('version_conflict', `The ${what} has been changed meanwhile; it has version ${version} now.`)
}
