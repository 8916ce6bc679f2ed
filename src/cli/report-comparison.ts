import { EXIT, type ExitCode } from '#model/errors.ts'
import type { Comparison, TableComparison } from '#service/one-line.ts'
import { formatCount, formatKey, formatTable, nameOfPair, plural, printable } from './format.ts'
import { noteLines } from './report-sync.ts'

const SIGNS = { 'only in source': '<', 'only in target': '>', different: '~' } as const

/** Where two databases differ, for people. */
export function diffLines(comparison: Comparison, notes: readonly string[]): string[] {
  const rows = comparison.tables.map((table) => [
    nameOfPair(table),
    ...[
      table.sourceRows,
      table.targetRows,
      table.onlyInSource,
      table.onlyInTarget,
      table.different,
      table.inMotion,
    ].map(formatCount),
  ])
  const headings = ['table', 'source rows', 'target rows', 'only source', 'only target', 'different', 'in motion']
  return [...formatTable(headings, rows), ...comparison.tables.flatMap(sampleLines), ...noteLines(notes), '']
}

/** The proof of each table and both digests, which are equal where the rows are. */
export function verifyLines(comparison: Comparison, notes: readonly string[]): string[] {
  const rows = comparison.tables.flatMap((table) => [
    [nameOfPair(table), proofText(table), 'source', formatCount(table.sourceRows), digest(table, 'source')],
    ['', '', 'target', formatCount(table.targetRows), digest(table, 'target')],
  ])
  const different = comparison.tables.filter((table) => !isEqual(table))
  return [
    ...formatTable(['table', 'proof', 'side', 'rows', 'digest'], rows),
    ...different.flatMap((table) => [
      '',
      `${nameOfPair(table)}: ${differenceText(table)}`,
      ...sampleLines(table).slice(2),
    ]),
    ...noteLines(notes),
    '',
  ]
}

export function comparisonSummary({ equal, tables }: Comparison): string {
  const inMotion = tables.reduce((sum, table) => sum + table.inMotion, 0)
  const motion = inMotion > 0 ? `; ${plural(inMotion, 'row')} in motion` : ''
  if (equal) {
    const rows = tables.reduce((sum, table) => sum + table.sourceRows, 0)
    return `equal: ${plural(rows, 'row')} in ${plural(tables.length, 'table')}${motion}`
  }
  const different = tables.filter((table) => !isEqual(table))
  const rows = different.reduce((sum, table) => sum + differences(table), 0)
  return `different: ${plural(rows, 'row')} in ${formatCount(different.length)} of ${plural(tables.length, 'table')}${motion}`
}

export function exitOfComparison({ equal }: Comparison): ExitCode {
  return equal ? EXIT.done : EXIT.findings
}

/** Rows that somebody is changing make proofs differ, and are no difference. */
function proofText(table: TableComparison): string {
  if (!isEqual(table)) return 'DIFFERENT'
  return table.inMotion > 0 ? 'in motion' : 'equal'
}

function isEqual(table: TableComparison): boolean {
  return differences(table) === 0 && !table.generatedDiffers
}

function differences({ onlyInSource, onlyInTarget, different }: TableComparison): number {
  return onlyInSource + onlyInTarget + different
}

function differenceText(table: TableComparison): string {
  if (table.generatedDiffers) return 'a column that each side generates by itself differs; what is carried is equal'
  const { onlyInSource, onlyInTarget, different } = table
  return `${formatCount(onlyInSource)} only in the source, ${formatCount(onlyInTarget)} only in the target, ${formatCount(different)} different`
}

function digest({ proof }: TableComparison, side: 'source' | 'target'): string {
  return proof?.[side].digest ?? ''
}

function sampleLines(table: TableComparison): string[] {
  if (table.samples.length === 0) return []
  const lines = table.samples.map(({ side, key }) => `  ${SIGNS[side]} ${formatKey(table.key, key)}  ${side}`)
  const more = differences(table) - table.samples.length
  return ['', printable(nameOfPair(table)), ...lines, ...(more > 0 ? [`  and ${formatCount(more)} more`] : [])]
}
