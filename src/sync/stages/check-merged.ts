import { TEXT_ROWS, type RowSource, type Scan, type Snapshot } from '#adapters/adapter.ts'
import { watch } from '#adapters/watchdog.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { decodeCell, LineReader, splitCells } from '#model/row-text.ts'
import { tableName, type TableSchema, type UniqueKey } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { Spool, Staging } from '#sync/staging.ts'

/** Rows that the target is asked about at once. */
const ROWS = 2_000
const PIECE_BYTES = 64 * 1024 * 1024
/** Values that several rows have in the eyes of the index, of which the rows are looked for. */
const MOST_GROUPS = 1_000
/** Rows that are named. */
const NAMED = 3

export interface MergingSides {
  readonly source: RowSource
  readonly target: Snapshot
  readonly staging: Staging
  readonly signal: AbortSignal
}

/**
 * Looks, before anything is written into a table for the first time, whether a unique index of it takes several rows of
 * the source for one because of how it compares texts (hazard C12). The target itself says what it compares by. What comes
 * later is refused by the index when it is written, row by row.
 * @throws AppError `values_merged`, with the keys of some of these rows
 */
export async function checkMerged(plan: TablePlan, { source, target, staging, signal }: MergingSides): Promise<void> {
  const indexes = mergingIndexes(plan)
  if (indexes.length === 0 || !(await isFirst(plan, target))) return
  for (const index of indexes) {
    const reading = { plan, index, source, target, signal }
    const spool = staging.spool(`${plan.mappingId} compared`)
    spool.clear()
    for await (const rows of readCompared(reading)) spool.mark(rows.flatMap(({ mark }) => mark ?? []))
    await refuseMerged(reading, spool)
    spool.clear()
  }
}

async function isFirst({ mappingId, target: { ref } }: TablePlan, target: Snapshot): Promise<boolean> {
  const known = await target.knownMappings([mappingId])
  return !known.has(mappingId) || (await target.isEmpty(ref))
}

/** Of the target, those that are written whole, but for what a like index of the source makes sure of. */
function mergingIndexes({ source, target, write, sourceScan }: TablePlan): UniqueKey[] {
  const sourceName = (name: string): string | undefined =>
    sourceScan.columns[write.scan.columns.findIndex((column) => column.name === name)]?.name
  const isLike = (index: UniqueKey): boolean =>
    uniques(source).some(
      ({ merges, columns }) =>
        merges === index.merges &&
        columns.length === index.columns.length &&
        index.columns.every((name) => columns.includes(sourceName(name) ?? '')),
    )
  return uniques(target).filter(
    (index) =>
      index.merges !== undefined && index.columns.every((name) => write.written.includes(name)) && !isLike(index),
  )
}

function uniques({ primaryKey, uniqueKeys }: TableSchema): UniqueKey[] {
  return [...(primaryKey === null ? [] : [primaryKey]), ...uniqueKeys]
}

interface Reading extends Omit<MergingSides, 'staging'> {
  readonly plan: TablePlan
  readonly index: UniqueKey
}

interface Compared {
  /** What the index compares by; null of a row that is like no other. */
  readonly mark: string | null
  readonly key: Row
}

/** The rows of the source, some at a time. Those that cannot be carried are left out. */
async function* readCompared({ plan, index, source, target, signal }: Reading): AsyncGenerator<readonly Compared[]> {
  const { keyLength, columns } = plan.write.scan
  const keyPlaces = Array.from({ length: keyLength }, (_, place) => place)
  const places = index.columns.map((name) => columns.findIndex((column) => column.name === name))
  const taken = [...new Set([...keyPlaces, ...places])]
  const narrow = (scan: Scan, of: readonly number[]): Scan => ({
    ...scan,
    columns: of.map((place) => must(scan.columns[place], 'a column')),
    keyLength: Math.min(keyLength, of.length),
  })
  const asked = { ...narrow(plan.write.scan, places), keyLength: places.length }
  const ask = async (rows: readonly Row[]): Promise<Compared[]> => {
    const values = rows.map((row) => places.map((place) => row[taken.indexOf(place)] ?? null))
    const marks = await target.comparedAs(asked, values)
    return rows.map((row, i) => ({ mark: marks[i] ?? null, key: row.slice(0, keyLength) }))
  }
  for (const piece of await source.pieces(plan.sourceScan, PIECE_BYTES)) {
    signal.throwIfAborted()
    await using sent = await source.copyOut(narrow(plan.sourceScan, taken), piece, TEXT_ROWS)
    const chunks: AsyncIterator<Buffer> = sent.stream[Symbol.asyncIterator]()
    const reader = new LineReader()
    const rows: Row[] = []
    for (;;) {
      const chunk = await watch([sent.connection], chunks.next())
      if (chunk.done === true) break
      for (const line of reader.push(chunk.value)) rows.push(splitCells(line).map(decodeCell))
      while (rows.length >= ROWS) yield await ask(rows.splice(0, ROWS))
    }
    if (rows.length > 0) yield await ask(rows)
  }
}

async function refuseMerged(reading: Reading, spool: Spool): Promise<void> {
  const repeated = spool.repeatedMarks(MOST_GROUPS)
  if (repeated.size === 0) return
  const [first] = repeated
  const named: string[] = []
  for await (const rows of readCompared(reading)) {
    for (const { mark, key } of rows) if (mark === first) named.push(`(${key.join(', ')})`)
    if (named.length >= NAMED) break
  }
  const { plan, index } = reading
  const count = repeated.size === MOST_GROUPS ? `${MOST_GROUPS} values or more` : `${repeated.size} values`
  throw new AppError(
    'values_merged',
    `${tableName(plan.target.ref)}: its unique index ${index.name} over (${index.columns.join(', ')}) compares texts by ` +
      `${index.merges}, to which several rows of ${tableName(plan.source.ref)} have the same value: ` +
      `${named.slice(0, NAMED).join(' and ')}, in ${count} altogether.`,
  )
}
