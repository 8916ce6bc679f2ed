import type { Transaction } from 'kysely'
import type { Secret } from '#lib/secret.ts'
import { hashToken, makeToken } from '#lib/token.ts'
import { addMs } from '#lib/clock.ts'
import { SYSTEM, type Actor, type ApiKey, type Role } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { audited } from './audit.ts'
import type { ApiKeyRow, Tables } from './schema.ts'
import type { Db, Store } from './store.ts'

/** By this a key is known when it turns up where it should not, such as in a repository. */
const KEY_PREFIX = 'sl_'

/** Characters of a key that are shown to find it again: 48 of its 256 bits. */
const SHOWN = KEY_PREFIX.length + 8

/** How exact `lastUsedAt` is: a write for every request would cost more than it tells. */
const USE_NOTED_MS = 60_000

/** What somebody says of a new key. */
export interface KeyDraft {
  readonly name: string
  readonly role: Role
  readonly datasources: readonly string[] | null
  readonly expiresAt: string | null
}

/** A new key, and its secret, which nobody can see again. */
export interface NewKey {
  readonly key: ApiKey
  readonly secret: Secret
}

export function createApiKey(
  store: Store,
  draft: KeyDraft,
  { id, actor }: { id: string; actor: Actor },
): Promise<NewKey> {
  return audited(store, actor, async (tx, audit) => {
    const made = await insertApiKey(tx, draft, { id, now: store.clock.now() })
    const { name, role, datasources, expiresAt } = draft
    await audit({ action: 'key.create', subject: id, data: { name, role, datasources, expires_at: expiresAt } })
    return made
  })
}

/** Makes a key inside a transaction that keeps the audit event of its own. */
export async function insertApiKey(
  tx: Transaction<Tables>,
  draft: KeyDraft,
  { id, now }: { id: string; now: string },
): Promise<NewKey> {
  const secret = makeToken(KEY_PREFIX)
  const row: ApiKeyRow = {
    id,
    name: draft.name,
    prefix: secret.reveal().slice(0, SHOWN),
    hash: hashToken(secret.reveal()),
    role: draft.role,
    datasources: draft.datasources === null ? null : JSON.stringify(draft.datasources),
    created_at: now,
    expires_at: draft.expiresAt,
    last_used_at: null,
    revoked_at: null,
  }
  await tx.insertInto('api_key').values(row).execute()
  return { key: toApiKey(row), secret }
}

const LEAST_CHARACTERS = 32

/**
 * Sees to it that a key that the environment gives is there, as an admin's. A revoked one stays revoked.
 * @throws AppError `weak_secret_key`
 */
export function ensureApiKey(store: Store, given: Secret, id: string): Promise<void> {
  const secret = given.reveal()
  if (secret.length < LEAST_CHARACTERS) {
    throw new AppError('weak_secret_key', `API_KEY has ${secret.length} characters; it needs ${LEAST_CHARACTERS}.`, {
      hint: 'Make one with: openssl rand -base64 32.',
    })
  }
  return audited(store, SYSTEM, async (tx, audit) => {
    const hash = hashToken(secret)
    const found = await tx.selectFrom('api_key').select('id').where('hash', '=', hash).executeTakeFirst()
    if (found !== undefined) return
    const row: ApiKeyRow = {
      id,
      name: 'API_KEY of the environment',
      prefix: secret.slice(0, 4),
      hash,
      role: 'admin',
      datasources: null,
      created_at: store.clock.now(),
      expires_at: null,
      last_used_at: null,
      revoked_at: null,
    }
    await tx.insertInto('api_key').values(row).execute()
    await audit({ action: 'key.create', subject: id, data: { name: row.name, role: 'admin', by: 'environment' } })
  })
}

/** The key that a secret belongs to, or null where it is wrong, revoked or expired. */
export async function findApiKey(store: Store, secret: string): Promise<ApiKey | null> {
  const row = await store.db
    .selectFrom('api_key')
    .selectAll()
    .where('hash', '=', hashToken(secret))
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return row === undefined || isOver(row, store.clock.now()) ? null : toApiKey(row)
}

/** Whether a key that was good a while ago still is. */
export async function isKeyGood(store: Store, id: string): Promise<boolean> {
  const row = await store.db.selectFrom('api_key').selectAll().where('id', '=', id).executeTakeFirst()
  return row !== undefined && row.revoked_at === null && !isOver(row, store.clock.now())
}

/** Notes that a key was used, to the minute. */
export async function noteKeyUse(store: Store, { id, lastUsedAt }: ApiKey): Promise<void> {
  const now = store.clock.now()
  if (lastUsedAt !== null && now < addMs(lastUsedAt, USE_NOTED_MS)) return
  await store.db.updateTable('api_key').set({ last_used_at: now }).where('id', '=', id).execute()
}

/** All keys, the newest first, revoked ones too. */
export async function listApiKeys(
  store: Store,
  { before, limit }: { before: string | null; limit: number },
): Promise<readonly ApiKey[]> {
  const rows = await store.db
    .selectFrom('api_key')
    .selectAll()
    .$if(before !== null, (query) => query.where('id', '<', before ?? ''))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toApiKey)
}

/**
 * Takes a key's rights away at once, with the sessions that were opened with it. Revoking it again changes nothing.
 * @throws AppError `not_found`, `in_use` where nobody could administer the service any more
 */
export function revokeApiKey(store: Store, { id, actor }: { id: string; actor: Actor }): Promise<ApiKey> {
  return audited(store, actor, async (tx, audit) => {
    const row = await tx.selectFrom('api_key').selectAll().where('id', '=', id).executeTakeFirst()
    if (row === undefined) throw new AppError('not_found', `There is no key ${id}.`)
    if (row.revoked_at !== null) return toApiKey(row)
    if (row.role === 'admin' && !(await hasAdmin(tx, { now: store.clock.now(), but: id }))) {
      throw new AppError('in_use', `The key ${row.name} is the last one with the role admin.`, {
        hint: 'Create another key with the role admin, then revoke this one.',
      })
    }
    const revoked = { ...row, revoked_at: store.clock.now() }
    await tx.updateTable('api_key').set({ revoked_at: revoked.revoked_at }).where('id', '=', id).execute()
    await tx.deleteFrom('session').where('key_id', '=', id).execute()
    await audit({ action: 'key.revoke', subject: id, data: { name: row.name, role: row.role } })
    return toApiKey(revoked)
  })
}

/** Whether there is a key by which the whole service can be administered, other than `but`. */
export async function hasAdmin(db: Db, { now, but }: { now: string; but: string | null }): Promise<boolean> {
  const rows = await db
    .selectFrom('api_key')
    .select('id')
    .where('role', '=', 'admin')
    .where('datasources', 'is', null)
    .where('revoked_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
    .execute()
  return rows.some(({ id }) => id !== but)
}

export function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    role: row.role as Role,
    datasources: row.datasources === null ? null : (JSON.parse(row.datasources) as string[]),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  }
}

function isOver({ expires_at: expiresAt }: ApiKeyRow, now: string): boolean {
  return expiresAt !== null && expiresAt <= now
}
