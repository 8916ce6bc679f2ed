/** A change set for people. */
import type { z } from 'zod'
import { asObject, type ApiClient } from '#api/client.ts'
import { ChangePage, type Change } from '#api/contract/changes.ts'
import { EXIT, type ExitCode } from '#model/errors.ts'
import { calledAs } from '#service/config.ts'
import {
  formatCount,
  formatKey,
  formatTable,
  formatValue,
  nameOfPair,
  plural,
  printable,
  shellWords,
} from './format.ts'
import { ddlLines, noteLines } from './report-sync.ts'

export type Changes = z.infer<typeof ChangePage>

type OneChange = z.infer<typeof Change>
type Summary = Changes['summary']
type Table = Summary['tables'][number]

/** Changes of a job, as the service has them. */
export async function readChanges(
  client: ApiClient,
  job: string,
  query: Readonly<Record<string, string>>,
): Promise<Changes> {
  const words = new URLSearchParams(query).toString()
  return ChangePage.parse(await client.get(`/jobs/${encodeURIComponent(job)}/changes?${words}`))
}

/** What the changes come to, and some of them. */
export function changeLines({ items, next_cursor: more, summary }: Changes): string[] {
  return [
    ...ddlLines(summary.ddl),
    ...countLines(summary.tables),
    ...itemLines(items, summary.tables),
    ...(more === null ? [] : ['', `… and more: ${calledAs()} jobs changes ${summary.job_id}`]),
    ...noteLines(summary.notes),
    ...(summary.stop === null ? [] : ['', `A run would stop: ${printable(summary.stop.message)}`]),
    '',
  ]
}

const MARKED = ['written', 'left', 'moved', 'again', 'refused', 'in_step'] as const

const MARK_HEADINGS: Readonly<Record<(typeof MARKED)[number], string>> = {
  written: 'written',
  left: 'left out',
  moved: 'moved',
  again: 'again',
  refused: 'refused',
  in_step: 'in step',
}

/** Counts by table; marks only where there are any. */
function countLines(tables: readonly Table[]): string[] {
  const marks = MARKED.filter((mark) => tables.some((table) => table.marks[mark] > 0))
  const contested = tables.some(({ conflicts }) => conflicts > 0)
  const rows = tables.map((table) => [
    `${nameOfPair(table)}${table.created ? ' (new)' : ''}`,
    ...[table.inserts, table.updates, table.deletes, table.unchanged, table.kept].map(formatCount),
    ...marks.map((mark) => formatCount(table.marks[mark])),
    ...(contested ? [formatCount(table.conflicts)] : []),
  ])
  const headings = ['table', 'to insert', 'to update', 'to delete', 'unchanged', 'kept']
  const columns = tables
    .filter((table) => table.changed_columns.length > 0)
    .map((table) => {
      const counts = table.changed_columns
        .toSorted((a, b) => b.rows - a.rows)
        .map(({ column, rows: n }) => `${printable(column)} ${formatCount(n)}`)
      return `  ${nameOfPair(table)}: ${counts.join(', ')}`
    })
  return [
    ...formatTable(
      [...headings, ...marks.map((mark) => MARK_HEADINGS[mark]), ...(contested ? ['in conflict'] : [])],
      rows,
    ),
    ...(columns.length === 0 ? [] : ['', 'Updates change:', ...columns]),
    ...tables
      .filter(({ added }) => added.length > 0)
      .map((table) => `${nameOfPair(table)} gets the columns ${table.added.map(printable).join(', ')}.`),
  ]
}

const SIGNS = { insert: '+', update: '~', delete: '-' } as const

/** Each change with its number, by which it can be decided on. */
export function itemLines(items: readonly OneChange[], tables: readonly Table[]): string[] {
  let last = ''
  return items.flatMap((change) => {
    const name = printable(`${change.table.schema}.${change.table.name}`)
    const table = tables.find(
      ({ target }) => target.schema === change.table.schema && target.name === change.table.name,
    )
    const head = name === last ? [] : ['', name]
    last = name
    return [...head, itemLine(change, table?.key ?? [])]
  })
}

function itemLine(change: OneChange, key: readonly string[]): string {
  const { seq, op, mark, reason } = change
  const cells = cellTexts(change, key)
  const parts = [
    `  ${SIGNS[op]} ${formatKey(key, change.key)}`,
    ...(cells.length > 0 ? [cells.join(', ')] : []),
    ...(mark === 'planned' ? [] : [`[${MARK_HEADINGS[mark]}${reason === null ? '' : `: ${printable(reason)}`}]`]),
    `#${seq}`,
  ]
  return parts.join('  ')
}

/** What is different, or all there is but the key; the names alone where values are not for the caller. */
function cellTexts({ op, before, after, now, changed, large, mark }: OneChange, key: readonly string[]): string[] {
  if (large) return ['(too large to be shown)']
  if (before === null && after === null) return (changed ?? []).map(printable)
  const old = mark === 'moved' || mark === 'again' ? (now ?? before) : before
  const valueOf = (cells: typeof before, column: string): string | null =>
    cells?.find((cell) => cell.column === column)?.value ?? null
  return (after ?? before ?? []).flatMap(({ column }) => {
    if (key.includes(column)) return []
    const [was, is] = [valueOf(old, column), valueOf(after, column)]
    if (op === 'update') {
      return was === is ? [] : [`${printable(column)}: ${formatValue(was)} → ${formatValue(is)}`]
    }
    return [`${printable(column)}: ${formatValue(op === 'insert' ? is : was)}`]
  })
}

export function totalOf(summary: Summary, of: 'inserts' | 'updates' | 'deletes'): number {
  return summary.tables.reduce((sum, table) => sum + table[of], 0)
}

export function changesSummary(summary: Summary): string {
  const [inserts, updates, deletes] = (['inserts', 'updates', 'deletes'] as const).map((of) =>
    formatCount(totalOf(summary, of)),
  )
  const left = summary.tables.reduce((sum, { marks }) => sum + marks.left, 0)
  const plan = `${inserts} to insert, ${updates} to update, ${deletes} to delete in ${plural(summary.tables.length, 'table')}`
  return [
    plan,
    ...(left > 0 ? [`${formatCount(left)} of them left out`] : []),
    ...(summary.open > 0 ? [`${formatCount(summary.open)} to be decided on`] : []),
    ...(summary.stop === null ? [] : [`a run would stop: ${summary.stop.code}`]),
  ].join('; ')
}

/** Whether there is anything for an approval to be about. */
export function isSomething(summary: Summary): boolean {
  return summary.changes > 0 || summary.tables.some(({ created, added }) => created || added.length > 0)
}

/** Changes at which a brake would stop are a finding, and so are those that wait for a decision. */
export function exitOfChanges({ stop, open }: Summary): ExitCode {
  return stop === null && open === 0 ? EXIT.done : EXIT.findings
}

/** The command that approves exactly these changes. */
export function approveLine(job: string, summary: Summary, target: string): string {
  const { stop } = summary
  const number =
    stop === null
      ? []
      : stop.code === 'delete_brake'
        ? ['--approve-deletes', String(totalOf(summary, 'deletes')), '--confirm', target]
        : ['--approve-overwrites', String(totalOf(summary, 'updates')), '--confirm', target]
  const digest = summary.digest === null ? [] : ['--digest', summary.digest]
  return `${calledAs()} ${shellWords(['approve', job, ...number, ...digest])}`
}

/** The name of what a job writes to. */
export async function targetOf(client: ApiClient, job: Readonly<Record<string, unknown>>): Promise<string> {
  const id = encodeURIComponent(String(job['target_datasource_id']))
  const { name } = asObject(await client.get(`/datasources/${id}`).catch(() => null))
  return typeof name === 'string' ? name : String(job['target_datasource_id'])
}
