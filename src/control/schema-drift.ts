import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Actor } from '#model/access.ts'
import type { ConfigDocument } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { schemaDrift, withMade, type KnownSchemas, type SchemaChange } from '#model/schema-drift.ts'
import { audited } from './audit.ts'
import type { ConfigSchemaRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** What has become of the tables of sync configs since somebody looked their mappings over. */

export interface SchemaDrift {
  /** When the mapping was last made, or what had changed was accepted. */
  readonly knownAt: string
  /** When the databases were last looked at. */
  readonly seenAt: string
  /** Of the tables as they were seen then: what somebody accepts is this. */
  readonly digest: string
  readonly changes: readonly SchemaChange[]
}

/** Of each sync config that was looked at, by its id. */
export async function listDrift(store: Store, configs: readonly string[]): Promise<ReadonlyMap<string, SchemaDrift>> {
  if (configs.length === 0) return new Map()
  const rows = await store.db
    .selectFrom('config_schema')
    .select(['config_id', 'known_at', 'seen_at', 'digest', 'changes'])
    .where('config_id', 'in', [...configs])
    .execute()
  return new Map(rows.map((row) => [row.config_id, toDrift(row)]))
}

export async function findDrift(store: Store, configId: string): Promise<SchemaDrift | null> {
  return (await listDrift(store, [configId])).get(configId) ?? null
}

/** The tables that the mapping was last looked over with; null where nobody has looked yet, or another mapping was. */
export async function findKnown(
  store: Store,
  { id, document }: { readonly id: string; readonly document: ConfigDocument },
): Promise<KnownSchemas | null> {
  const row = await store.db.selectFrom('config_schema').selectAll().where('config_id', '=', id).executeTakeFirst()
  return row === undefined || row.mapping !== mappingOf(document) ? null : (JSON.parse(row.known) as KnownSchemas)
}

/**
 * Notes what the tables are now. The first look at a mapping, and at each other one that is saved, is what later ones are
 * held against: whoever made it had these tables before them.
 */
export async function noteSchemas(
  store: Store,
  { id, document }: { readonly id: string; readonly document: ConfigDocument },
  now: KnownSchemas,
): Promise<SchemaDrift | null> {
  const mapping = mappingOf(document)
  const seen = JSON.stringify(now)
  const digest = createHash('sha256').update(seen, 'utf8').digest('hex')
  return store.write(async (tx) => {
    // It may have been removed while its databases were looked at, or have got another mapping.
    const config = await tx.selectFrom('sync_config').select('document').where('id', '=', id).executeTakeFirst()
    if (config === undefined || mappingOf(JSON.parse(config.document) as ConfigDocument) !== mapping) return null
    const before = await tx.selectFrom('config_schema').selectAll().where('config_id', '=', id).executeTakeFirst()
    const at = store.clock.now()
    const isFirst = before === undefined || before.mapping !== mapping
    const known = isFirst ? now : withMade(JSON.parse(before.known) as KnownSchemas, now)
    const row: ConfigSchemaRow = {
      config_id: id,
      mapping,
      known: JSON.stringify(known),
      known_at: isFirst ? at : before.known_at,
      seen,
      seen_at: at,
      digest,
      changes: JSON.stringify(isFirst ? [] : schemaDrift(known, now)),
    }
    await tx
      .insertInto('config_schema')
      .values(row)
      .onConflict((conflict) => conflict.column('config_id').doUpdateSet(row))
      .execute()
    return toDrift(row)
  })
}

/** Another mapping is looked over by whoever saves it: what was told of the one before is no news of it. */
export async function forgetOtherMapping(tx: Transaction<Tables>, id: string, document: ConfigDocument): Promise<void> {
  await tx.deleteFrom('config_schema').where('config_id', '=', id).where('mapping', '<>', mappingOf(document)).execute()
}

/**
 * Takes the tables as they were last seen for what the mapping is about.
 * @throws AppError `not_found` where nobody has looked yet, `version_conflict` where they are others by now
 */
export function acceptDrift(
  store: Store,
  { configId, digest, actor }: { configId: string; digest: string; actor: Actor },
): Promise<SchemaDrift> {
  return audited(store, actor, async (tx, audit) => {
    const row = await tx.selectFrom('config_schema').selectAll().where('config_id', '=', configId).executeTakeFirst()
    if (row === undefined) throw new AppError('not_found', 'Nobody has looked at the tables of this sync config yet.')
    if (row.digest !== digest) {
      throw new AppError('version_conflict', 'The tables have changed again since they were shown.')
    }
    const known = { ...row, known: row.seen, known_at: store.clock.now(), changes: '[]' }
    await tx.updateTable('config_schema').set(known).where('config_id', '=', configId).execute()
    const changes = (JSON.parse(row.changes) as readonly SchemaChange[]).length
    await audit({ action: 'sync_config.accept_schema_drift', subject: configId, data: { digest, changes } })
    return toDrift(known)
  })
}

/** What of a document says which tables it is about and how their columns map. */
function mappingOf({
  source_datasource_id: from,
  target_datasource_id: to,
  tables,
  exclude_tables,
}: ConfigDocument): string {
  return createHash('sha256')
    .update(JSON.stringify([from, to, tables, exclude_tables]), 'utf8')
    .digest('hex')
}

function toDrift(row: Pick<ConfigSchemaRow, 'known_at' | 'seen_at' | 'digest' | 'changes'>): SchemaDrift {
  return {
    knownAt: row.known_at,
    seenAt: row.seen_at,
    digest: row.digest,
    changes: JSON.parse(row.changes) as readonly SchemaChange[],
  }
}
