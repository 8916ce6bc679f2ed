import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import { SYSTEM, type Actor } from '#model/access.ts'
import type { Tables } from './schema.ts'
import type { Store } from './store.ts'

/** What somebody did, or tried to do. Values of rows and secrets never come in here (invariant 7). */
export interface AuditEntry {
  /** What was done, as noun and verb: `datasource.create`, `key.revoke`, `login.refuse`. */
  readonly action: string
  /** The id of what it was done to. */
  readonly subject: string | null
  readonly data: Readonly<Record<string, unknown>>
}

const FIRST = '0'.repeat(64)

/**
 * Appends to the audit log, in the transaction of the deed itself: what is not in the log was not done (S64). Each event
 * carries the SHA-256 of itself and of the one before, so that a change or a gap shows. The caller's transaction must
 * come from `store.exclusively('audit', …)`, because the chain has one end.
 */
export async function appendAudit(
  tx: Transaction<Tables>,
  { actor, at }: { actor: Actor; at: string },
  { action, subject, data }: AuditEntry,
): Promise<void> {
  const last = await lastEvent(tx)
  const event = {
    seq: (last?.seq ?? 0) + 1,
    at,
    actor: actor.id,
    actor_name: actor.name,
    address: actor.address,
    action,
    subject,
    data: JSON.stringify(data),
    previous_hash: last?.hash ?? FIRST,
  }
  await tx
    .insertInto('audit_event')
    .values({ ...event, hash: hashOf(event) })
    .execute()
}

/** A deed and its audit event, in one transaction. */
export function audited<T>(
  store: Store,
  actor: Actor,
  deed: (tx: Transaction<Tables>, audit: (entry: AuditEntry) => Promise<void>) => Promise<T>,
): Promise<T> {
  return store.exclusively('audit', (tx) =>
    deed(tx, (entry) => appendAudit(tx, { actor, at: store.clock.now() }, entry)),
  )
}

/** What somebody does to something, as the audit log will have it. */
export interface Deed {
  readonly actor: Actor
  readonly entry: AuditEntry
}

/** A transaction with the audit event of its deed; without a deed (the service by itself), the transaction alone. */
export function writeAudited<T>(
  store: Store,
  deed: Deed | null,
  body: (tx: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  if (deed === null) return store.write(body)
  return audited(store, deed.actor, async (tx, audit) => {
    const result = await body(tx)
    await audit(deed.entry)
    return result
  })
}

/** Notes something that was refused, or that changed nothing of ours. */
export function recordAudit(store: Store, actor: Actor, entry: AuditEntry): Promise<void> {
  return audited(store, actor, (_, audit) => audit(entry))
}

async function lastEvent(db: Transaction<Tables> | Store['db']): Promise<{ seq: number; hash: string } | undefined> {
  return db.selectFrom('audit_event').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst()
}

type Unhashed = Omit<Tables['audit_event'], 'hash'>

function hashOf({ seq, at, actor, actor_name, address, action, subject, data, previous_hash }: Unhashed): string {
  const fields = [seq, at, actor, actor_name, address, action, subject, data, previous_hash]
  return createHash('sha256').update(JSON.stringify(fields), 'utf8').digest('hex')
}

/** Where the log begins since its beginning was cut off: the last event that was. */
export interface AuditAnchor {
  readonly seq: number
  readonly hash: string
}

const ANCHOR_KEY = 'audit_anchor'

async function readAnchor(db: Transaction<Tables> | Store['db']): Promise<AuditAnchor | null> {
  const row = await db.selectFrom('store_meta').select('value').where('key', '=', ANCHOR_KEY).executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.value) as AuditAnchor)
}

/** What a cut leaves in the log, which is what makes it one. */
export const CUT = 'audit.cut'

/**
 * Cuts the events off that are older than a time (ISO 8601), but for the last one of all. What they ended with is kept
 * beside the log and told in it, so that what is left can be checked as before. Returns how many went.
 */
export function cutAudit(store: Store, before: string): Promise<number> {
  return audited(store, SYSTEM, async (tx, audit) => {
    const stays = await tx
      .selectFrom('audit_event')
      .select('seq')
      .where('at', '>=', before)
      .orderBy('seq')
      .limit(1)
      .executeTakeFirst()
    const first = stays ?? (await lastEvent(tx))
    if (first === undefined) return 0
    const last = await tx
      .selectFrom('audit_event')
      .select(['seq', 'hash'])
      .where('seq', '<', first.seq)
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (last === undefined) return 0
    const gone = await tx.deleteFrom('audit_event').where('seq', '<=', last.seq).executeTakeFirst()
    const value = JSON.stringify({ seq: last.seq, hash: last.hash } satisfies AuditAnchor)
    await tx
      .insertInto('store_meta')
      .values({ key: ANCHOR_KEY, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute()
    const events = Number(gone.numDeletedRows)
    await audit({ action: CUT, subject: null, data: { through: last.seq, hash: last.hash, events, before } })
    return events
  })
}

/** What is wrong with the log, at the first event that does not fit. */
export interface AuditDamage {
  /** The number of that event, or of the first one that is missing. */
  readonly seq: number
  /**
   * `missing`: events were taken out. `changed`: the event is not what was written. `unlinked`: it follows another event
   * than the one before it. `cut`: the beginning is missing, and the log does not say so. `noted`: an event that was
   * noted earlier is not there, or another one.
   */
  readonly kind: 'missing' | 'changed' | 'unlinked' | 'cut' | 'noted'
  readonly message: string
}

/** What a check of the whole log came to. */
export interface AuditCheck {
  readonly events: number
  /** Events that were cut off by retention go up to this one; null where none were. */
  readonly cutThrough: number | null
  /** The last event: whoever notes it can tell later that nothing behind it was taken away. Null in an empty log. */
  readonly head: AuditAnchor | null
  readonly damage: AuditDamage | null
}

/**
 * Walks the chain from its beginning, or from where it was cut off. `noted` is the head of an earlier check, which must
 * still be there.
 */
export async function checkAudit(store: Store, noted: AuditAnchor | null = null): Promise<AuditCheck> {
  for (;;) {
    const anchor = await readAnchor(store.db)
    const check = await walk(store, anchor, noted)
    // It was cut while it was read.
    if (check.damage !== null && (await readAnchor(store.db))?.seq !== anchor?.seq) continue
    return check
  }
}

/** The number of the first event that does not fit, or null where the chain is whole. */
export async function findBrokenAudit(store: Store): Promise<number | null> {
  return (await checkAudit(store)).damage?.seq ?? null
}

const PAGE = 1_000

async function walk(store: Store, anchor: AuditAnchor | null, noted: AuditAnchor | null): Promise<AuditCheck> {
  const start: AuditAnchor = anchor ?? { seq: 0, hash: FIRST }
  let last = start
  let told = anchor === null
  let events = 0
  const ended = (damage: AuditDamage | null): AuditCheck => ({
    events,
    cutThrough: anchor?.seq ?? null,
    head: events === 0 && anchor === null ? null : last,
    damage,
  })
  for (let full = true; full;) {
    const page = await store.db
      .selectFrom('audit_event')
      .selectAll()
      .where('seq', '>', last.seq)
      .orderBy('seq')
      .limit(PAGE)
      .execute()
    full = page.length === PAGE
    for (const event of page) {
      const damage = lookAt(event, last, noted)
      if (damage !== null) return ended(damage)
      told ||= tellsOf(event, start)
      last = { seq: event.seq, hash: event.hash }
      events += 1
    }
  }
  if (!told) {
    const message = `The log begins after event ${start.seq}, and no event of it says that what was before was cut off.`
    return ended({ seq: start.seq, kind: 'cut', message })
  }
  if (noted !== null && noted.seq > last.seq) {
    const message = `The log ends with event ${last.seq}; event ${noted.seq}, which was noted earlier, is gone.`
    return ended({ seq: last.seq + 1, kind: 'noted', message })
  }
  return ended(null)
}

function lookAt(event: Tables['audit_event'], last: AuditAnchor, noted: AuditAnchor | null): AuditDamage | null {
  const { seq } = event
  if (seq !== last.seq + 1) {
    const [from, to] = [last.seq + 1, seq - 1]
    const message = from === to ? `Event ${from} is missing.` : `Events ${from} to ${to} are missing.`
    return { seq: from, kind: 'missing', message }
  }
  if (hashOf(event) !== event.hash) {
    return { seq, kind: 'changed', message: `Event ${seq} is not what was written: its hash is of something else.` }
  }
  if (event.previous_hash !== last.hash) {
    const message = `Event ${seq} follows another event than the one before it: one of the two was put in later.`
    return { seq, kind: 'unlinked', message }
  }
  if (noted?.seq === seq && noted.hash !== event.hash) {
    return { seq, kind: 'noted', message: `Event ${seq} is another one than was noted earlier.` }
  }
  return null
}

function tellsOf({ action, data }: Tables['audit_event'], { seq, hash }: AuditAnchor): boolean {
  if (action !== CUT) return false
  const told = JSON.parse(data) as { readonly through?: unknown; readonly hash?: unknown }
  return told.through === seq && told.hash === hash
}
