import { createHash } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import type { SecretBox } from '#lib/secret-box.ts'
import type { Key } from '#model/change.ts'
import type {
  ConflictStatus,
  ConflictTable,
  FoundConflict,
  Resolution,
  ResolvedConflict,
  ResolvedOutcome,
} from '#model/conflict.ts'
import { SYSTEM } from '#model/access.ts'
import { tableId, tableName, type TableRef } from '#model/table.ts'
import { audited, type AuditEntry } from './audit.ts'
import { rowsTable } from './bulk.ts'
import {
  codeKey,
  holderOf,
  isInPlace,
  isKept,
  isSameHolder,
  keyOf,
  openBuilt,
  openImage,
  openMarks,
  sealImage,
  sealMarks,
  standingHolder,
  UNDECIDED,
  type ConflictMarks,
} from './conflict-codec.ts'
import { rulesForTable, type FindRule } from './conflict-rules.ts'
import type { ConflictRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** Conflicts as runs tell of them, and carry out what was decided. */

export interface ConflictTools {
  readonly store: Store
  readonly box: SecretBox
}

/** A job as the conflicts see it. */
export interface ConflictJob {
  readonly id: string
  readonly configId: string | null
  readonly scope: string
}

/** Everything that changes conflicts excludes everything else that does: numbers have no twins, and nobody waits in a circle. */
export const CONFLICTS_LOCK = 'conflicts'

const CHUNK = 500

/**
 * Keeps conflicts that a job found. The same key with the same rows is the same conflict: what somebody decided stays, and
 * is carried out once more where it was before. With other rows it is open again (hazard D15). What waits then and is of a
 * sort that somebody has decided on once for all is decided by that rule, and returned.
 */
export async function parkConflicts(
  { store, box }: ConflictTools,
  job: ConflictJob,
  table: ConflictTable,
  found: readonly Found[],
): Promise<readonly ReadDecision[]> {
  const once = new Map(found.map((one) => [hashOf(one.key), one]))
  const findRule = job.configId === null ? null : await rulesForTable(store.db, job.configId, tableId(table.target))
  const ruled: ReadDecision[] = []
  for (const some of chunks([...once])) {
    const park = async (tx: Transaction<Tables>): Promise<void> => {
      const at = await store.now(tx)
      const telling: Telling = { box, job, table, shape: await keepShape(tx, job, table), at }
      const known = await knownOf(tx, telling, some)
      const { seq } = await tx
        .selectFrom('conflict')
        .select((select) => select.fn.max('seq').as('seq'))
        .executeTakeFirstOrThrow()
      const added = some
        .filter(([hash]) => !known.has(hash))
        .map(([, one], i) => newRow(telling, one, Number(seq ?? 0) + i + 1))
      if (added.length > 0) await tx.insertInto('conflict').values(added).execute()
      await tellAgain(tx, telling, some, known)
    }
    if (findRule === null) await store.exclusively(CONFLICTS_LOCK, park)
    else {
      const decisions = await audited(store, SYSTEM, async (tx, audit) => {
        await store.exclude(tx, CONFLICTS_LOCK)
        await park(tx)
        return decideByRules(tx, audit, { telling: { box, job, table }, hashes: some.map(([hash]) => hash), findRule })
      })
      ruled.push(...decisions)
    }
  }
  return ruled
}

/** Decides on those of these conflicts that wait and are of a sort that there is a rule for, and returns the decisions. */
async function decideByRules(
  tx: Transaction<Tables>,
  audit: (entry: AuditEntry) => Promise<void>,
  {
    telling: { box, job, table },
    hashes,
    findRule,
  }: { telling: Pick<Telling, 'box' | 'job' | 'table'>; hashes: readonly string[]; findRule: FindRule },
): Promise<readonly ReadDecision[]> {
  const rows = await tx
    .selectFrom('conflict')
    .selectAll()
    .where('scope', '=', job.scope)
    .where('target_table', '=', tableId(table.target))
    .where('status', '=', 'open')
    .where('key_hash', 'in', [...hashes])
    .orderBy('seq')
    .execute()
  const byRule = Map.groupBy(rows, ({ kind, fields }) => findRule({ kind, fields: JSON.parse(fields) as string[] }))
  const decisions: ReadDecision[] = []
  for (const [rule, some] of byRule) {
    if (rule === null) continue
    const decided = {
      status: 'resolved',
      resolution: rule.resolution,
      resolved_by: rule.id,
      resolved_name: `rule of ${rule.createdBy.name}`,
    } as const
    const ids = some.map(({ id }) => id)
    await tx
      .updateTable('conflict')
      .set({ ...decided, resolved_at: some[0]?.last_at ?? rule.createdBy.at })
      .set((set) => ({ version: set('version', '+', 1) }))
      .where('id', 'in', ids)
      .execute()
    const { id: ruleId, kind, resolution } = rule
    const data = { rule: ruleId, job: job.id, table: tableName(table.target), kind, resolution, conflicts: ids.length }
    await audit({ action: 'conflict.resolve_by_rule', subject: job.scope, data })
    decisions.push(...some.flatMap((row) => toDecision(box, { ...row, ...decided, version: row.version + 1 }) ?? []))
  }
  return decisions
}

type Found = FoundConflict & { readonly id: string }

/** What every conflict of a telling shares. */
interface Telling {
  readonly box: SecretBox
  readonly job: ConflictJob
  readonly table: ConflictTable
  /** The id of the table's row in `conflict_table`. */
  readonly shape: string
  readonly at: string
}

async function knownOf(
  tx: Transaction<Tables>,
  { job, table }: Telling,
  some: readonly (readonly [hash: string, conflict: Found])[],
): Promise<ReadonlyMap<string, ConflictRow>> {
  const rows = await tx
    .selectFrom('conflict')
    .selectAll()
    .where('scope', '=', job.scope)
    .where('target_table', '=', tableId(table.target))
    .where(
      'key_hash',
      'in',
      some.map(([hash]) => hash),
    )
    .execute()
  return new Map(rows.map((row) => [row.key_hash, row]))
}

async function tellAgain(
  tx: Transaction<Tables>,
  telling: Telling,
  some: readonly (readonly [hash: string, conflict: Found])[],
  known: ReadonlyMap<string, ConflictRow>,
): Promise<void> {
  const { job, at } = telling
  const same: string[] = []
  for (const [hash, one] of some) {
    const before = known.get(hash)
    if (before === undefined) continue
    const changes = again(telling, before, one)
    if (changes === null) same.push(before.id)
    else await tx.updateTable('conflict').set(changes).where('id', '=', before.id).execute()
  }
  if (same.length === 0) return
  await tx.updateTable('conflict').set({ last_job_id: job.id, last_at: at }).where('id', 'in', same).execute()
}

function newRow(telling: Telling, one: Found, seq: number): ConflictRow {
  const { job, table, at } = telling
  return {
    id: one.id,
    scope: job.scope,
    config_id: job.configId,
    first_job_id: job.id,
    seq,
    target_table: tableId(table.target),
    key_hash: hashOf(one.key),
    ...told(telling, one, one.id),
    ...UNDECIDED,
    status: 'open',
    reopened: 0,
    first_at: at,
    version: 1,
    asked_version: 0,
  }
}

/** What every telling brings. */
function told({ box, job, table, shape, at }: Telling, one: FoundConflict, id: string) {
  const sides = { source: one.sourceFingerprint, target: one.targetFingerprint }
  const marks: ConflictMarks = { ...sides, images: sides, agreed: one.agreed, ...holderOf(one) }
  return {
    last_job_id: job.id,
    table_id: shape,
    source_table: tableId(table.source),
    kind: one.kind,
    fields: JSON.stringify(one.fields),
    strategy: one.strategy,
    reason: one.reason,
    key: codeKey(one.key),
    large: one.large ? 1 : 0,
    image_sealed: sealImage(box, id, { ...one, holder: one.holder?.row ?? null }),
    marks_sealed: sealMarks(box, id, marks),
    last_at: at,
  }
}

/** Null where it is the same, and nothing but the job is new. */
function again(telling: Telling, before: ConflictRow, one: FoundConflict): Partial<ConflictRow> | null {
  const known = openMarks(telling.box, before)
  const same =
    known?.source === one.sourceFingerprint &&
    known.target === one.targetFingerprint &&
    isSameHolder(known.holder, one.holder) &&
    before.table_id === telling.shape
  const version = before.version + 1
  const status = before.status as ConflictStatus
  if (same && status === 'resolved') return null
  if (same && status === 'applied') {
    return { status: 'resolved', last_job_id: telling.job.id, last_at: telling.at, version }
  }
  const fresh = told(telling, one, before.id)
  const alike = (['kind', 'fields', 'strategy', 'reason', 'large'] as const).every(
    (name) => before[name] === fresh[name],
  )
  if (same && alike && status === 'open') return null
  // Of a conflict that had been dealt with nothing is carried over: this is another one.
  const reopened = status === 'resolved' ? before.reopened + 1 : status === 'open' ? before.reopened : 0
  return { ...fresh, ...UNDECIDED, status: 'open', reopened, version }
}

/** The table as this job sees it: what the rows of its conflicts are read by. */
async function keepShape(tx: Transaction<Tables>, { scope }: ConflictJob, table: ConflictTable): Promise<string> {
  const facts = {
    scope,
    source_table: tableId(table.source),
    target_table: tableId(table.target),
    mapping_id: table.mappingId,
    mapping_hash: table.mappingHash,
    key_columns: JSON.stringify(table.key),
    columns: JSON.stringify(table.columns),
  }
  const id = createHash('sha256')
    .update(JSON.stringify(Object.values(facts)))
    .digest('hex')
  await tx
    .insertInto('conflict_table')
    .values({ id, ...facts })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
  return id
}

/** A decision as the run carries it out, and the version of the conflict that it was read at. */
export interface ReadDecision extends ResolvedConflict {
  readonly version: number
}

/** Decisions on rows of one table, a page at a time, in the order in which the conflicts were found. */
export async function* resolvedConflicts(
  { store, box }: ConflictTools,
  { scope, target }: { scope: string; target: TableRef },
): AsyncGenerator<readonly ReadDecision[]> {
  for (let after = 0; ;) {
    const rows = await store.db
      .selectFrom('conflict')
      .selectAll()
      .where('scope', '=', scope)
      .where('target_table', '=', tableId(target))
      .where('status', '=', 'resolved')
      .where('seq', '>', after)
      .orderBy('seq')
      .limit(CHUNK)
      .execute()
    const decisions = rows.flatMap((row) => toDecision(box, row) ?? [])
    if (decisions.length > 0) yield decisions
    after = rows.at(-1)?.seq ?? after
    if (rows.length < CHUNK) return
  }
}

/** Null where what was sealed cannot be read any more: then nothing is carried out, and the conflict stays as it is. */
function toDecision(box: SecretBox, row: ConflictRow): ReadDecision | null {
  const marks = openMarks(box, row)
  if (marks === null) return null
  const resolution = row.resolution as Resolution
  const decided = {
    id: row.id,
    key: keyOf(row),
    sourceFingerprint: marks.source,
    targetFingerprint: marks.target,
    holder: standingHolder(marks, resolution),
    version: row.version,
  }
  if (resolution === 'row') {
    const built = openBuilt(box, row)
    return built && { ...decided, resolution, row: built.row }
  }
  if (resolution === 'skip' || isInPlace(marks, resolution)) return { ...decided, resolution, row: null }
  // The side has been written over since: its row is the one that was kept of it.
  const image = openImage(box, row)
  if (image === null || !isKept(marks, image, resolution)) return null
  return { ...decided, holder: null, resolution: 'row', row: image[resolution] }
}

/**
 * What became of decisions, each of which was read at a version. Where somebody has decided anew meanwhile, that stands, on
 * the rows as the run has left them.
 */
export async function settleConflicts(
  { store, box }: ConflictTools,
  job: ConflictJob,
  { target, outcomes }: { target: TableRef; outcomes: readonly ReadOutcome[] },
): Promise<void> {
  for (const some of chunks(outcomes)) {
    const byId = new Map(some.map((outcome) => [outcome.id, outcome]))
    await store.exclusively(CONFLICTS_LOCK, async (tx) => {
      const at = await store.now(tx)
      const rows = await tx
        .selectFrom('conflict')
        .select(['id', 'status', 'reopened', 'marks_sealed', 'version'])
        .where('scope', '=', job.scope)
        .where('target_table', '=', tableId(target))
        .where('status', '=', 'resolved')
        .where('id', 'in', [...byId.keys()])
        .execute()
      const ends = rows.flatMap((row) => {
        const outcome = byId.get(row.id)
        return outcome === undefined ? [] : (settled(box, row, outcome) ?? [])
      })
      if (ends.length === 0) return
      const is = { id: 'text', status: 'text', reopened: 'bigint', marks_sealed: 'text' } as const
      await tx
        .updateTable('conflict')
        .from(rowsTable(store, is, ends).as('v'))
        .set((set) => ({
          status: set.ref('v.status'),
          reopened: set.ref('v.reopened'),
          marks_sealed: set.ref('v.marks_sealed'),
          last_at: at,
          version: set('conflict.version', '+', 1),
        }))
        .whereRef('conflict.id', '=', 'v.id')
        .execute()
      const idsOf = (status: ConflictStatus): string[] =>
        ends.filter((end) => end.status === status).map(({ id }) => id)
      const [through, moved] = [idsOf('applied'), idsOf('open')]
      const mine = tx.updateTable('conflict')
      if (through.length > 0) await mine.set({ last_job_id: job.id }).where('id', 'in', through).execute()
      if (moved.length > 0) await mine.set(UNDECIDED).where('id', 'in', moved).execute()
    })
  }
}

/** What became of a decision that was read at a version. */
export interface ReadOutcome extends ResolvedOutcome {
  readonly version: number
}

type Settling = Pick<ConflictRow, 'id' | 'status' | 'reopened' | 'marks_sealed' | 'version'>

/** What a conflict is after its decision; null where it stays as it is. */
function settled(
  box: SecretBox,
  row: Settling,
  { outcome, version, sourceFingerprint: source, targetFingerprint: target }: ReadOutcome,
): Omit<Settling, 'version'> | null {
  const { id, marks_sealed: sealed } = row
  const isSame = row.version === version
  if (outcome === 'moved') {
    return isSame ? { id, status: 'open', reopened: row.reopened + 1, marks_sealed: sealed } : null
  }
  const marks = openMarks(box, row)
  const now = marks === null ? sealed : sealMarks(box, id, { ...marks, source, target })
  if (isSame) return { id, status: 'applied', reopened: 0, marks_sealed: now }
  return { id, status: row.status, reopened: row.reopened, marks_sealed: now }
}

/**
 * A table was looked at whole by a job: conflicts that it was not told of have gone, and so has what was decided of them,
 * unless decisions are kept. With `since` (ISO 8601) what it was told of before has gone too.
 */
export async function closeConflicts(
  store: Store,
  job: ConflictJob,
  target: TableRef,
  { since = '', keepDecided = false }: { readonly since?: string; readonly keepDecided?: boolean } = {},
): Promise<void> {
  await store.exclusively(CONFLICTS_LOCK, async (tx) => {
    const at = await store.now(tx)
    await tx
      .updateTable('conflict')
      .set({ ...UNDECIDED, status: 'closed', last_at: at })
      .set((set) => ({ version: set('version', '+', 1) }))
      .where('scope', '=', job.scope)
      .where('target_table', '=', tableId(target))
      .where('status', 'in', keepDecided ? ['open'] : ['open', 'resolved'])
      .where((where) => where.or([where('last_job_id', '<>', job.id), where('last_at', '<', since)]))
      .execute()
  })
}

/** Conflicts that a job was told of last and that nobody has decided on. */
export async function countOpenConflicts(
  { db }: Pick<Store, 'db'>,
  { id, scope }: Pick<ConflictJob, 'id' | 'scope'>,
): Promise<number> {
  const { open } = await db
    .selectFrom('conflict')
    .select((select) => select.fn.countAll().as('open'))
    .where('scope', '=', scope)
    .where('last_job_id', '=', id)
    .where('status', '=', 'open')
    .executeTakeFirstOrThrow()
  return Number(open)
}

/**
 * Removes conflicts whose last job is gone, once they are dealt with: with it goes the version that lost. One that somebody
 * still has to see to stays for as long as its sync config is there.
 */
export async function purgeConflicts(store: Store): Promise<void> {
  await store.exclusively(CONFLICTS_LOCK, async (tx) => {
    await tx
      .deleteFrom('conflict')
      .where((where) =>
        where.not(where.exists(where.selectFrom('job').select('job.id').whereRef('job.id', '=', 'last_job_id'))),
      )
      .where((where) =>
        where.or([
          where('status', 'in', ['applied', 'closed']),
          where('config_id', 'is', null),
          where.not(
            where.exists(
              where.selectFrom('sync_config').select('sync_config.id').whereRef('sync_config.id', '=', 'config_id'),
            ),
          ),
        ]),
      )
      .execute()
    await tx
      .deleteFrom('conflict_table')
      .where((where) =>
        where.not(
          where.exists(
            where
              .selectFrom('conflict')
              .select(sql.lit(1).as('one'))
              .whereRef('conflict.table_id', '=', 'conflict_table.id'),
          ),
        ),
      )
      .execute()
  })
}

function hashOf(key: Key): string {
  return createHash('sha256').update(codeKey(key)).digest('hex')
}

function chunks<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, i) => items.slice(i * CHUNK, (i + 1) * CHUNK))
}
