import { sql } from 'kysely'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import type {
  ChangeMark,
  ChangeOutcome,
  ChangeSetTable,
  ImagedChange,
  MarkedChange,
  SetChange,
  StagingKind,
} from '#model/change-set.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import { tableId, type TableRef } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import { must } from '#lib/assert.ts'
import { rowsTable } from './bulk.ts'
import { bindingOf, parseRow, rowText, type ChunkEntry } from './change-chunks.ts'
import { notReady, type ChangeSetTools, type ReadyChangeSet } from './change-set-tools.ts'
import type { Generation } from './chunk-store.ts'
import { STORE_SCHEMA } from './dialect.ts'
import { readChunks } from './read-changes.ts'
import { toRef } from './rejections.ts'
import type { ChangeMarkRow } from './schema.ts'
import type { Db } from './store.ts'

/** What stands beside the changes of a set: people's decisions, and what applying came to. */

/** Marks that one statement writes. */
const BULK = 2_000

export interface MarkedNow {
  readonly expect: Fingerprint | null
  readonly row: Row | null
}

/** A mark, opened. */
export interface OpenedMark {
  readonly mark: ChangeMark
  readonly moved: boolean
  readonly reason: string | null
  /** The target's row as it was found; null where nothing is known of it. */
  readonly now: MarkedNow | null
  readonly actor: string | null
  readonly at: string
}

/** Who the box with the row that was found belongs to. */
export const nowOwner = ({
  job_id: job,
  generation,
  seq,
}: Pick<ChangeMarkRow, 'job_id' | 'generation' | 'seq'>): string => `mark ${job} ${generation} ${seq}`

function sealNow(box: SecretBox, place: Pick<ChangeMarkRow, 'job_id' | 'generation' | 'seq'>, now: MarkedNow): string {
  const text = JSON.stringify({ expect: now.expect, row: now.row && rowText(now.row) })
  return box.seal(text, nowOwner(place))
}

function openNow(box: SecretBox, row: ChangeMarkRow): MarkedNow | null {
  if (row.now_sealed === null) return null
  try {
    const { expect, row: text } = JSON.parse(box.open(row.now_sealed, nowOwner(row))) as {
      expect: Fingerprint | null
      row: string | null
    }
    return { expect, row: text === null ? null : parseRow(text) }
  } catch (error) {
    if (error instanceof SealBroken) return null
    throw error
  }
}

/** The marks of the changes of one chunk, by number. */
export async function marksOf(
  { store, box }: ChangeSetTools,
  { jobId, generation }: Generation,
  { first, count }: Pick<ChunkEntry, 'first' | 'count'>,
): Promise<ReadonlyMap<number, OpenedMark>> {
  const rows = await marksTable(store.db, { jobId, generation })
    .selectAll()
    .where('seq', '>=', first)
    .where('seq', '<', first + count)
    .execute()
  return new Map(
    rows.map((row) => [
      row.seq,
      {
        mark: row.mark as ChangeMark,
        moved: row.moved === 1,
        reason: row.reason,
        now: openNow(box, row),
        actor: row.actor,
        at: row.at,
      },
    ]),
  )
}

export function marksTable(db: Db, { jobId, generation }: Generation) {
  return db.selectFrom('change_mark').where('job_id', '=', jobId).where('generation', '=', generation)
}

/** What is to be applied to a table, by chunks: see `ChangeSet.read`. */
export async function* toApply(
  tools: ChangeSetTools,
  set: ReadyChangeSet,
  table: number,
): AsyncGenerator<readonly SetChange[]> {
  const entries = set.index.filter((entry) => entry.table === table)
  for await (const { entry, changes } of readChunks(tools, set, entries)) {
    const marks = await marksOf(tools, set, entry)
    const batch = changes.flatMap((change, i): SetChange[] => {
      const numbered = { ...change, seq: entry.first + i, table }
      const mark = marks.get(numbered.seq)
      if (mark === undefined) return [numbered]
      return mark.mark === 'again' ? [again(numbered, mark.now)] : []
    })
    if (batch.length > 0) yield batch
  }
}

/** A change as it is to be applied: one whose row had moved, to the row that somebody decided on. */
export function asApplied(change: PagedChange): SetChange {
  return change.mark === 'again' ? again(change, change.now) : change
}

/** A change as it is decided on the row that the target was found to have. */
function again(change: SetChange, now: MarkedNow | null): SetChange {
  if (now === null) return change
  const op = change.op === 'delete' ? 'delete' : now.expect === null ? 'insert' : 'update'
  return { ...change, op, expect: now.expect, before: now.row }
}

/** Keeps what applying came to. A decision to leave a change stays, whatever its row has become. */
export async function settleOutcomes(
  { store, box }: ChangeSetTools,
  set: ReadyChangeSet,
  outcomes: readonly ChangeOutcome[],
): Promise<void> {
  const { jobId, generation } = set
  const tableOf = tableFinder(set)
  await store.write(async (tx) => {
    const present = await tx
      .selectFrom('change_set')
      .select(['job_id', 'generation', 'state'])
      .where('job_id', '=', jobId)
      .executeTakeFirst()
    if (present?.generation !== generation) throw notReady({ job_id: jobId, state: 'lost' })
    const at = store.clock.now()
    for (let start = 0; start < outcomes.length; start += BULK) {
      const rows = outcomes.slice(start, start + BULK).map(({ seq, mark, reason, now }) => ({
        seq,
        target_table: tableOf(seq),
        mark,
        reason: reason === null ? null : plainText(reason),
        moved: mark === 'moved' ? 1 : 0,
        now_sealed: now === null ? null : sealNow(box, { job_id: jobId, generation, seq }, now),
      }))
      const columns = {
        seq: 'bigint',
        target_table: 'text',
        mark: 'text',
        reason: 'text',
        moved: 'bigint',
        now_sealed: 'text',
      } as const
      await tx
        .insertInto('change_mark')
        .columns(['job_id', 'generation', 'seq', 'target_table', 'op', 'mark', 'moved', 'reason', 'now_sealed', 'at'])
        .expression(
          tx
            .selectFrom(rowsTable(store, columns, rows).as('v'))
            .select((select) => [
              select.val(jobId).as('job_id'),
              select.val(generation).as('generation'),
              'v.seq',
              'v.target_table',
              select.val('').as('op'),
              'v.mark',
              'v.moved',
              'v.reason',
              'v.now_sealed',
              select.val(at).as('at'),
            ])
            .where('v.seq', '>', 0),
        )
        .onConflict((conflict) =>
          conflict
            .columns(['job_id', 'generation', 'seq'])
            .doUpdateSet((set) => ({
              mark: set.ref('excluded.mark'),
              moved: set.ref('excluded.moved'),
              reason: set.ref('excluded.reason'),
              now_sealed: set.ref('excluded.now_sealed'),
              actor: null,
              at: set.ref('excluded.at'),
            }))
            .where((where) =>
              where.or([where('change_mark.mark', '<>', 'left'), where('excluded.mark', '<>', 'moved')]),
            ),
        )
        .execute()
    }
  })
}

/** What a server says may hold what no store keeps as text. */
function plainText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '')
}

/** The target's table of a change, as marks name it. */
function tableFinder({ index, summary, jobId }: ReadyChangeSet): (seq: number) => string {
  return (seq) => {
    let [low, high] = [0, index.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((index[middle]?.first ?? 0) <= seq) low = middle
      else high = middle - 1
    }
    const table = summary.tables[index[low]?.table ?? -1]
    return tableId(must(table, `a table of the change set of ${jobId}`).target)
  }
}

/**
 * Carries people's decisions over to a generation that is about to be sealed: those that leave a change which is exactly
 * the same. What applying came to is of the generation before, and so is a decision on a row that had moved: the change is
 * another one now. Returns how many decisions do not hold.
 */
export async function holdDecisions(
  tools: ChangeSetTools,
  set: Generation & { readonly staging: StagingKind },
  { tables, index }: { tables: readonly ChangeSetTable[]; index: readonly ChunkEntry[] },
): Promise<number> {
  const { store } = tools
  const { jobId, generation } = set
  const row = await store.db
    .selectFrom('change_set')
    .select('marks_generation')
    .where('job_id', '=', jobId)
    .executeTakeFirst()
  const before = row?.marks_generation ?? null
  if (before === null) return 0
  const decided = await countOf(marksTable(store.db, { jobId, generation: before }).where('actor', 'is not', null))
  if (decided === 0) return 0
  // Statistics of a moment ago do not know of decisions taken since, and a planner then reads all of them for each chunk.
  if (store.isPostgres) await sql.raw(`ANALYZE ${STORE_SCHEMA}.change_mark`).execute(store.db)
  for await (const { entry, changes } of readChunks(tools, set, index)) {
    const target = tableId(must(tables[entry.table], 'the table of a chunk').target)
    await holdInChunk(store, { jobId, generation, before }, bindingsOf(changes, entry, target))
  }
  return decided - (await countOf(marksTable(store.db, { jobId, generation })))
}

const BINDING = { seq: 'bigint', target_table: 'text', op: 'text', key_hash: 'text', change_digest: 'text' } as const

type Binding = { readonly [K in keyof typeof BINDING]: K extends 'seq' ? number : string }

export function bindingsOf(
  changes: readonly ImagedChange[],
  { first }: Pick<ChunkEntry, 'first'>,
  target: string,
): readonly Binding[] {
  return changes.map((change, i) => {
    const { keyHash, changeDigest } = bindingOf(change)
    return { seq: first + i, target_table: target, op: change.op, key_hash: keyHash, change_digest: changeDigest }
  })
}

export const BINDING_COLUMNS = BINDING

/** The columns of a mark, in the order in which it is written. */
export const MARK_COLUMNS = [
  'job_id',
  'generation',
  'seq',
  'target_table',
  'op',
  'key_hash',
  'change_digest',
  'mark',
  'moved',
  'actor',
  'at',
] as const

async function holdInChunk(
  store: ChangeSetTools['store'],
  { jobId, generation, before }: Generation & { readonly before: string },
  bindings: readonly Binding[],
): Promise<void> {
  await store.db
    .insertInto('change_mark')
    .columns(MARK_COLUMNS)
    .expression((build) =>
      build
        .selectFrom(rowsTable(store, BINDING, bindings).as('v'))
        // A cross join, because SQLite keeps its order: each change looks its decision up, and not the other way round.
        .crossJoin('change_mark as o')
        .select((select) => [
          'o.job_id',
          select.val(generation).as('generation'),
          'v.seq',
          'o.target_table',
          'o.op',
          'o.key_hash',
          'o.change_digest',
          'o.mark',
          select.val(0).as('moved'),
          'o.actor',
          'o.at',
        ])
        .where('o.job_id', '=', jobId)
        .where('o.generation', '=', before)
        .whereRef('o.key_hash', '=', 'v.key_hash')
        .whereRef('o.change_digest', '=', 'v.change_digest')
        .whereRef('o.target_table', '=', 'v.target_table')
        .whereRef('o.op', '=', 'v.op')
        .where('o.mark', '=', 'left')
        .where('o.actor', 'is not', null),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

async function countOf(query: ReturnType<typeof marksTable>): Promise<number> {
  const row = await query.select((select) => select.fn.countAll().as('n')).executeTakeFirst()
  return Number(row?.n ?? 0)
}

/** How many changes of a table have a mark. */
export interface MarkCount {
  readonly target: TableRef
  readonly mark: ChangeMark
  readonly changes: number
}

/** The marks of the present generation, by table. Changes without one are what is left of the counts of the summary. */
export async function countMarks(
  { store }: Pick<ChangeSetTools, 'store'>,
  jobId: string,
): Promise<readonly MarkCount[]> {
  const rows = await store.db
    .selectFrom('change_mark')
    .innerJoin('change_set', (join) =>
      join
        .onRef('change_set.job_id', '=', 'change_mark.job_id')
        .onRef('change_set.generation', '=', 'change_mark.generation'),
    )
    .select((select) => ['target_table', 'mark', select.fn.countAll().as('changes')])
    .where('change_mark.job_id', '=', jobId)
    .groupBy(['target_table', 'mark'])
    .orderBy('target_table')
    .orderBy('mark')
    .execute()
  return rows.map((row) => ({
    target: toRef(row.target_table),
    mark: row.mark as ChangeMark,
    changes: Number(row.changes),
  }))
}

/** Changes whose row had moved and that nobody has decided about. */
export async function openDecisions(tools: Pick<ChangeSetTools, 'store'>, jobId: string): Promise<number> {
  const counts = await countMarks(tools, jobId)
  return counts.reduce((sum, { mark, changes }) => (mark === 'moved' ? sum + changes : sum), 0)
}

/** A change with all that stands beside it, as people look at it. */
export interface PagedChange extends MarkedChange {
  /** Its row had moved when it was to be applied, whatever was decided since. */
  readonly moved: boolean
  /** The target's row as it was found when the change was to be applied: what is decided on. */
  readonly now: MarkedNow | null
  /** Who decided, and when; null where nobody has. */
  readonly decided: { readonly by: string; readonly at: string } | null
}

export function toPaged(change: SetChange, mark: OpenedMark | undefined): PagedChange {
  const actor = mark?.actor ?? null
  return {
    ...change,
    mark: mark?.mark ?? null,
    reason: mark?.reason ?? null,
    moved: mark?.moved ?? false,
    now: mark?.now ?? null,
    decided: mark === undefined || actor === null ? null : { by: actor, at: mark.at },
  }
}
