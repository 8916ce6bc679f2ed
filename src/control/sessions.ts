import { addMs } from '#lib/clock.ts'
import type { Secret } from '#lib/secret.ts'
import { hashToken, makeToken } from '#lib/token.ts'
import type { Actor, ApiKey } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { isKeyGood, toApiKey } from './api-keys.ts'
import { audited } from './audit.ts'
import type { SessionRow } from './schema.ts'
import type { Store } from './store.ts'

/** A session ends after this long without a request … */
const IDLE_MS = 30 * 60_000

/** … and after this long in any case. */
export const SESSION_MS = 12 * 60 * 60_000

/** How exact the time of the last request is. */
const SEEN_NOTED_MS = 30_000

/** Somebody at a browser who has entered a key. It has the rights of the key, and no longer than the key has them. */
export interface Session {
  readonly id: string
  readonly keyId: string
  readonly createdAt: string
  readonly seenAt: string
  /** When the key was entered last. */
  readonly confirmedAt: string
  readonly expiresAt: string
  readonly address: string | null
}

/**
 * Opens a session for whoever has just entered a key, under a new token. The session that the browser had before ends,
 * so that nobody who knew its token comes along.
 */
export function openSession(
  store: Store,
  { id, key, replaces }: { id: string; key: ApiKey; replaces: string | null },
  actor: Actor,
): Promise<{ readonly session: Session; readonly token: Secret }> {
  return audited(store, actor, async (tx, audit) => {
    const token = makeToken('')
    const now = store.clock.now()
    if (replaces !== null) await tx.deleteFrom('session').where('hash', '=', hashToken(replaces)).execute()
    const row: SessionRow = {
      hash: hashToken(token.reveal()),
      id,
      key_id: key.id,
      created_at: now,
      seen_at: now,
      confirmed_at: now,
      expires_at: addMs(now, SESSION_MS),
      address: actor.address,
    }
    await tx.insertInto('session').values(row).execute()
    await audit({ action: 'session.open', subject: id, data: { key: key.id } })
    return { session: toSession(row), token }
  })
}

/** The session of a token and the key behind it, or null where either is no longer good. */
export async function findSession(
  store: Store,
  token: string,
): Promise<{ readonly session: Session; readonly key: ApiKey } | null> {
  const now = store.clock.now()
  const row = await store.db.selectFrom('session').selectAll().where('hash', '=', hashToken(token)).executeTakeFirst()
  if (row === undefined || isOver(row, now)) return null
  const key = await store.db.selectFrom('api_key').selectAll().where('id', '=', row.key_id).executeTakeFirst()
  if (key === undefined || !(await isKeyGood(store, key.id))) return null
  if (now >= addMs(row.seen_at, SEEN_NOTED_MS)) {
    await store.db.updateTable('session').set({ seen_at: now }).where('id', '=', row.id).execute()
  }
  return { session: toSession(row), key: toApiKey(key) }
}

/** Whether a session that was good a while ago still is. Looking does not keep it alive. */
export async function isSessionGood(store: Store, id: string): Promise<boolean> {
  const row = await store.db.selectFrom('session').selectAll().where('id', '=', id).executeTakeFirst()
  return row !== undefined && !isOver(row, store.clock.now()) && isKeyGood(store, row.key_id)
}

/** Sessions that are open, the newest first; those of one key, or all. */
export async function listSessions(store: Store, keyId: string | null): Promise<readonly Session[]> {
  const now = store.clock.now()
  const rows = await store.db
    .selectFrom('session')
    .selectAll()
    .$if(keyId !== null, (query) => query.where('key_id', '=', keyId ?? ''))
    .orderBy('id', 'desc')
    .execute()
  return rows.filter((row) => !isOver(row, now)).map(toSession)
}

/** @throws AppError `not_found`, also where the session is of another key than `keyId` */
export function closeSession(
  store: Store,
  { id, keyId, actor }: { id: string; keyId: string | null; actor: Actor },
): Promise<void> {
  return audited(store, actor, async (tx, audit) => {
    const closed = await tx
      .deleteFrom('session')
      .where('id', '=', id)
      .$if(keyId !== null, (query) => query.where('key_id', '=', keyId ?? ''))
      .returning('key_id')
      .executeTakeFirst()
    if (closed === undefined) throw new AppError('not_found', `There is no session ${id}.`)
    await audit({ action: 'session.close', subject: id, data: { key: closed.key_id } })
  })
}

/** Forgets sessions that are over. Returns how many. */
export async function purgeSessions(store: Store): Promise<number> {
  const now = store.clock.now()
  const result = await store.db
    .deleteFrom('session')
    .where((where) => where.or([where('expires_at', '<=', now), where('seen_at', '<=', addMs(now, -IDLE_MS))]))
    .executeTakeFirst()
  return Number(result.numDeletedRows)
}

function isOver(row: SessionRow, now: string): boolean {
  return row.expires_at <= now || addMs(row.seen_at, IDLE_MS) <= now
}

function toSession(row: SessionRow): Session {
  return {
    id: row.id,
    keyId: row.key_id,
    createdAt: row.created_at,
    seenAt: row.seen_at,
    confirmedAt: row.confirmed_at,
    expiresAt: row.expires_at,
    address: row.address,
  }
}
