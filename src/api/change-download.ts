import type { ChangeScript } from '#adapters/registry.ts'
import type { Context } from '#api/context.ts'
import { csvCell } from '#api/csv-cell.ts'
import { presentChange, toText } from '#api/present-changes.ts'
import { asApplied, type PagedChange } from '#control/change-marks.ts'
import { findChanges } from '#control/change-pages.ts'
import type { ReadyChangeSet } from '#control/change-set-tools.ts'
import type { ChangeFilter, ChangeSetTable } from '#model/change-set.ts'
import { sameTable } from '#model/table.ts'
import { formatTableName } from '#model/table-pattern.ts'
import type { Row } from '#model/value.ts'

/** A change set as a file, piece by piece: no more of it is in memory than one chunk. */

/** Which changes of which set. */
interface Wanted {
  readonly set: ReadyChangeSet
  readonly filter: ChangeFilter
}

type Tools = Pick<Context, 'changeSets'>

/** One document, with a change on each line of its list. */
export async function* jsonOf({ changeSets }: Tools, { set, filter }: Wanted): AsyncGenerator<string> {
  const { digest, generation, tables } = set.summary
  const head = JSON.stringify({ job_id: set.jobId, digest, generation }).slice(0, -1)
  yield `${head},"changes":[`
  let separator = '\n'
  for await (const changes of findChanges(changeSets, set, filter, 0)) {
    const items = changes.map((change) => JSON.stringify(presentChange(tables, change, true)))
    yield separator + items.join(',\n')
    separator = ',\n'
  }
  yield '\n]}\n'
}

const CSV_HEADINGS = ['seq', 'table', 'op', 'key', 'mark', 'column', 'before', 'after', 'now', 'note']

/** A line for each cell that a change writes or takes away. */
export async function* csvOf({ changeSets }: Tools, { set, filter }: Wanted): AsyncGenerator<string> {
  yield csvLine(CSV_HEADINGS)
  for await (const changes of findChanges(changeSets, set, filter, 0)) {
    yield changes.flatMap((change) => csvLines(set.summary.tables[change.table], change)).join('')
  }
}

function csvLines(table: ChangeSetTable | undefined, change: PagedChange): string[] {
  if (table === undefined) return []
  const { seq, op, key, mark, before, after, now, large, reason } = change
  const head = [String(seq), formatTableName(table.target), op, JSON.stringify(key.map(toText)), mark ?? 'planned']
  const note = large ? 'the row is too large to be kept' : reason
  if (before === null && after === null) return [csvLine([...head, null, null, null, null, note])]
  return table.columns.flatMap(({ name }, i) => {
    const cells = [cellOf(before, i), cellOf(after, i)]
    // Of a row that has moved, what is there now is decided on as a whole.
    if (op === 'update' && now === null && before !== null && cells[0] === cells[1]) return []
    return [csvLine([...head, name, ...cells, cellOf(now?.row ?? null, i), note])]
  })
}

function cellOf(row: Row | null, i: number): string | null {
  return row === null ? null : toText(row[i] ?? null)
}

function csvLine(fields: readonly (string | null)[]): string {
  return `${fields.map(csvCell).join(',')}\r\n`
}

/**
 * Statements that make the changes: what goes, children before parents, then what changes and what comes, parents before
 * children.
 */
export async function* scriptOf(
  { changeSets }: Tools,
  { set, filter }: Wanted,
  script: ChangeScript,
): AsyncGenerator<string> {
  const { tables, digest } = set.summary
  yield script.begin([`The changes of ${set.jobId}, ${digest}`])
  for (const { target } of tables.filter(({ created }) => created)) {
    yield script.comment(`The table ${formatTableName(target)} was missing: make it first.`)
  }
  for (const { target, added = [] } of tables) {
    for (const column of added)
      yield script.comment(`${formatTableName(target)} lacked the column ${column}: add it first.`)
  }
  const targets = tables.map(({ target }) => target).filter(isFirst)
  const passes = [
    ...targets.toReversed().map((target) => ({ target, ops: ['delete'] as const })),
    ...targets.map((target) => ({ target, ops: ['update', 'insert'] as const })),
  ]
  for (const { target, ops: all } of passes) {
    const ops = all.filter((op) => filter.ops === null || filter.ops.includes(op))
    if (ops.length === 0 || (filter.target !== null && !sameTable(filter.target, target))) continue
    for await (const changes of findChanges(changeSets, set, { ...filter, target, ops }, 0)) {
      yield changes
        .flatMap((change) => {
          const table = tables[change.table]
          return table === undefined ? [] : [script.statement(table, asApplied(change))]
        })
        .join('')
    }
  }
  yield script.end()
}

function isFirst(target: ChangeSetTable['target'], place: number, all: readonly ChangeSetTable['target'][]): boolean {
  return all.findIndex((other) => sameTable(other, target)) === place
}
