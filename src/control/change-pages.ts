import type { ChangeFilter, ChangeSetTable, ImagedChange } from '#model/change-set.ts'
import { sameTable } from '#model/table.ts'
import type { Value } from '#model/value.ts'
import { rowText, type ChunkEntry } from './change-chunks.ts'
import { marksOf, marksTable, toPaged, type PagedChange } from './change-marks.ts'
import { readyChangeSet, type ChangeSetTools, type ReadyChangeSet } from './change-set-tools.ts'
import { readChunks } from './read-changes.ts'

/** The changes of a set as people look at them. */

export interface ChangePage {
  readonly changes: readonly PagedChange[]
  /** The number after which the next page begins; null where this is the last one. */
  readonly next: number | null
}

/** A page ends early where its rows are large. */
const PAGE_BYTES = 8 * 1024 * 1024

export const ALL_CHANGES: ChangeFilter = { target: null, ops: null, column: null, key: null, marks: null, seqs: null }

/** @throws AppError `not_found`, `wrong_state`, `change_set_lost`, `change_set_expired`, `redis_unavailable` */
export async function pageChanges(
  tools: ChangeSetTools,
  jobId: string,
  filter: ChangeFilter,
  { after, limit }: { readonly after: number | null; readonly limit: number },
): Promise<ChangePage> {
  const changes: PagedChange[] = []
  let bytes = 0
  for await (const found of findChanges(tools, await readyChangeSet(tools, jobId), filter, after ?? 0)) {
    for (const change of found) {
      if (changes.length === limit || bytes >= PAGE_BYTES) return { changes, next: changes.at(-1)?.seq ?? null }
      changes.push(change)
      bytes += change.large ? 0 : change.bytes
    }
  }
  return { changes, next: null }
}

/** All changes after a number that a filter is for, by chunks; chunks that cannot have any are not opened. */
export async function* findChanges(
  tools: ChangeSetTools,
  set: ReadyChangeSet,
  filter: ChangeFilter,
  after: number,
): AsyncGenerator<readonly PagedChange[]> {
  const matches = matcher(set, filter)
  for await (const { entry, changes } of readChunks(tools, set, candidates(tools, set, filter, after))) {
    const marks = await marksOf(tools, set, entry)
    const found = changes.flatMap((change, i): PagedChange[] => {
      const seq = entry.first + i
      if (seq <= after || !matches(change, seq, entry.table)) return []
      const mark = marks.get(seq)
      if (filter.marks !== null && !filter.marks.includes(mark?.mark ?? 'none')) return []
      return [toPaged({ ...change, seq, table: entry.table }, mark)]
    })
    if (found.length > 0) yield found
  }
}

/** The chunks in which a filter may find something. */
async function* candidates(
  { store }: ChangeSetTools,
  set: ReadyChangeSet,
  { target, ops, column, seqs, marks }: ChangeFilter,
  after: number,
): AsyncGenerator<ChunkEntry> {
  const onlyMarked = marks !== null && !marks.includes('none')
  const wanted = column === null ? ops : (['update'] as const).filter((op) => ops === null || ops.includes(op))
  const numbers = seqs?.toSorted((a, b) => a - b) ?? null
  // No mark lies between `known` and the next one that was found.
  let next: number | null = 0
  for (const entry of set.index) {
    const end = entry.first + entry.count
    if (end - 1 <= after) continue
    if (target !== null && !isOf(set, entry, target)) continue
    if (wanted !== null && !entry.ops.some((op) => wanted.includes(op))) continue
    if (numbers !== null && !numbers.some((seq) => seq >= entry.first && seq < end)) continue
    if (onlyMarked) {
      if (next !== null && next < entry.first) next = await nextMarked({ store }, set, { marks, from: entry.first })
      if (next === null) return
      if (next >= end) continue
    }
    yield entry
  }
}

function isOf(
  { summary }: ReadyChangeSet,
  { table }: ChunkEntry,
  target: NonNullable<ChangeFilter['target']>,
): boolean {
  const found = summary.tables[table]
  return found !== undefined && sameTable(found.target, target)
}

async function nextMarked(
  { store }: Pick<ChangeSetTools, 'store'>,
  set: ReadyChangeSet,
  { marks, from }: { marks: readonly string[]; from: number },
): Promise<number | null> {
  const row = await marksTable(store.db, set)
    .select((select) => select.fn.min('seq').as('seq'))
    .where('mark', 'in', marks.length === 0 ? [''] : [...marks])
    .where('seq', '>=', from)
    .executeTakeFirst()
  return row?.seq ?? null
}

/** Whether a change is of those that a filter names, its mark apart. */
function matcher(set: ReadyChangeSet, { ops, column, key, seqs }: ChangeFilter) {
  const wantedSeqs = seqs === null ? null : new Set(seqs)
  const wantedKey = key === null ? null : rowText(key)
  const places = set.summary.tables.map(({ columns }) => columns.findIndex(({ name }) => name === column))
  return (change: ImagedChange, seq: number, table: number): boolean => {
    if (wantedSeqs !== null && !wantedSeqs.has(seq)) return false
    if (ops !== null && !ops.includes(change.op)) return false
    if (wantedKey !== null && rowText(change.key) !== wantedKey) return false
    return column === null || changes(change, places[table] ?? -1)
  }
}

/** The columns that an update changes. Null where nobody can tell: a row of it is too large to be kept. */
export function changedColumns(
  { columns }: Pick<ChangeSetTable, 'columns'>,
  { op, before, after }: ImagedChange,
): readonly string[] | null {
  if (op !== 'update') return []
  if (before === null || after === null) return null
  return columns.flatMap(({ name }, i) => (sameValue(before[i] ?? null, after[i] ?? null) ? [] : [name]))
}

/** Whether an update changes the value at a place. Of rows that are too large to be kept nobody can tell. */
function changes({ op, before, after }: ImagedChange, place: number): boolean {
  if (op !== 'update' || place < 0 || before === null || after === null) return false
  return !sameValue(before[place] ?? null, after[place] ?? null)
}

function sameValue(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  return a === b
}
