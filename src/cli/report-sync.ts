import { createHash } from 'node:crypto'
import { EXIT, type ExitCode } from '#model/errors.ts'
import type { Receipt, StoppedTable, TableReceipt } from '#model/receipt.ts'
import type { DdlRisk, PlannedDdl } from '#model/planned-ddl.ts'
import { tableName } from '#model/table.ts'
import type { Preview, TablePreview } from '#service/one-line.ts'
import { formatCount, formatKey, formatTable, formatValue, nameOfPair, plural, printable } from './format.ts'

/** What a sync did, for people. */
export function receiptLines(receipt: Receipt, notes: readonly string[]): string[] {
  const rows = receipt.tables.map((table) => [
    nameOfPair(table),
    ...[
      table.counts.inserted,
      table.counts.updated,
      table.counts.deleted,
      table.counts.unchanged,
      table.counts.skipped,
      table.counts.rejected,
    ].map(formatCount),
    verificationText(table),
  ])
  const headings = ['table', 'inserted', 'updated', 'deleted', 'unchanged', 'skipped', 'rejected', 'verified']
  return [
    ...formatTable(headings, rows),
    ...noteLines(notes),
    ...receipt.tables.flatMap(rejectionLines),
    ...receipt.stopped.flatMap(stoppedLines),
    '',
    ...(receipt.sequencesAdvanced > 0 ? [`${plural(receipt.sequencesAdvanced, 'sequence')} advanced.`] : []),
  ]
}

/** The proof in one line. */
export function proofLine(receipt: Receipt): string {
  const { stopped, completeness } = receipt
  const proof = completeness === 'exact' ? proofOf(receipt) : `${proofOf(receipt)} (${completeness})`
  if (stopped.length === 0) return proof
  return `${plural(stopped.length, 'table')} stopped: ${stopped.map(nameOfPair).join(', ')}; of the others: ${proof}`
}

function proofOf(receipt: Receipt): string {
  const { tables } = receipt
  const rows = sum(tables, (table) => table.verification.rows)
  const changed = sum(tables, (table) => table.verification.changedSince)
  const full = tables.filter((table) => table.verification.mode === 'full')
  const off = tables.filter((table) => table.verification.mode === 'off')
  if (off.length === tables.length) return 'not verified'
  const digests = tables.map((table) => table.verification.targetDigest).filter((digest) => digest !== '')
  if (rows === 0 && full.length < tables.length)
    return `in step: nothing changed in ${plural(receipt.counts.read, 'row')}`
  const proof = `${full.length === tables.length ? 'proved equal' : 'changed rows proved equal'}: ${plural(rows, 'row')}`
  const parts = [proof, ...(digests.length > 0 ? [`digest ${shortDigest(digests)}`] : [])]
  if (off.length > 0) parts.push(`${plural(off.length, 'table')} not verified`)
  if (changed > 0) parts.push(`${plural(changed, 'row')} changed since by others`)
  return parts.join(', ')
}

/** A table that was stopped is a failure of the run, whatever became of the others. */
export function exitOfReceipt({ counts, tables, stopped }: Receipt): ExitCode {
  if (stopped.length > 0) return EXIT.failed
  const changed = sum(tables, (table) => table.verification.changedSince)
  const rejections = sum(tables, (table) => table.rejections.length)
  return counts.rejected + counts.conflicted + rejections + changed > 0 ? EXIT.findings : EXIT.done
}

/** What a sync would do, for people. */
export function previewLines(preview: Preview, notes: readonly string[]): string[] {
  const rows = preview.tables.map((table) => [
    `${nameOfPair(table)}${table.created ? ' (new)' : ''}`,
    ...[table.inserts, table.updates, table.deletes, table.unchanged, table.kept].map(formatCount),
  ])
  return [
    ...ddlLines(preview.ddl),
    ...formatTable(['table', 'to insert', 'to update', 'to delete', 'unchanged', 'kept'], rows),
    ...preview.tables.flatMap(sampleLines),
    ...noteLines(notes),
    ...(preview.stop === null ? [] : ['', `The run would stop: ${preview.stop.message}`, `  ${preview.stop.hint}`]),
    '',
  ]
}

const RISKS: Readonly<Record<DdlRisk, string>> = {
  locks: 'nobody else reads or writes the table for that moment',
  code: 'the target runs code of the source from then on',
}

/** What would be changed of the target's tables, as a script with its risks in comments. */
export function ddlLines(statements: readonly Pick<PlannedDdl, 'sql' | 'risk'>[]): string[] {
  if (statements.length === 0) return []
  const number = statements.length === 1 ? 'One statement makes' : `${formatCount(statements.length)} statements make`
  return [
    `-- ${number} or alter${statements.length === 1 ? 's' : ''} tables of the target:`,
    ...statements.flatMap(({ sql, risk }) => [
      ...(risk === null ? [] : [`-- ${RISKS[risk]}:`]),
      ...`${sql};`.split('\n').map((line) => line.split('\t').map(printable).join('\t')),
    ]),
    '',
  ]
}

export function previewSummary({ tables, stop }: Preview): string {
  const [inserts, updates, deletes] = (['inserts', 'updates', 'deletes'] as const).map((what) =>
    formatCount(sum(tables, (table) => table[what])),
  )
  const plan = `${inserts} to insert, ${updates} to update, ${deletes} to delete in ${plural(tables.length, 'table')}`
  return stop === null ? plan : `${plan}; the run would stop: ${stop.code}`
}

/** A dry run that has found the run to be one that a brake would stop has a finding. */
export function exitOfPreview({ stop }: Preview): ExitCode {
  return stop === null ? EXIT.done : EXIT.findings
}

const SIGNS = { insert: '+', update: '~', delete: '-', keep: '=' } as const

function sampleLines({ target, key, columns, samples }: TablePreview): string[] {
  if (samples.length === 0) return []
  const lines = samples.map(({ op, key: values, before, after }) => {
    const cells = columns.flatMap((column, i) => {
      if (i < key.length) return []
      const [old, now] = [before?.[i] ?? null, after?.[i] ?? null]
      if (op === 'update') {
        return sameValue(old, now) ? [] : [`${printable(column)}: ${formatValue(old)} → ${formatValue(now)}`]
      }
      return [`${printable(column)}: ${formatValue(op === 'insert' ? now : old)}`]
    })
    return `  ${SIGNS[op]} ${formatKey(key, values)}${cells.length > 0 ? `  ${cells.join(', ')}` : ''}`
  })
  return ['', printable(tableName(target)), ...lines]
}

function sameValue(a: string | Uint8Array | null, b: string | Uint8Array | null): boolean {
  if (a === null || b === null) return a === b
  return Buffer.from(a).equals(Buffer.from(b))
}

export function noteLines(notes: readonly string[]): string[] {
  return notes.length === 0 ? [] : ['', ...notes.map((note) => `note: ${printable(note)}`)]
}

/** Rejections by cause, each with the first row that it hit. */
function rejectionLines(table: TableReceipt): string[] {
  if (table.rejections.length === 0) return []
  const causes = new Map<string, TableReceipt['rejections']>()
  for (const rejection of table.rejections) {
    // The server names the row in the reason; without values the causes of many rows are one.
    const cause = `${rejection.code} ${rejection.reason.replaceAll(/\([^)]*\)=\([^)]*\)|"[^"]*"|\d+/g, '…')}`
    causes.set(cause, [...(causes.get(cause) ?? []), rejection])
  }
  const total = formatCount(table.counts.read)
  return [
    '',
    `${formatCount(table.rejections.length)} of ${total} rows of ${nameOfPair(table)} were not written:`,
    ...[...causes.values()].map(
      ([first, ...more]) =>
        `  ${formatCount(more.length + 1)} × ${first === undefined ? '' : `${first.code} ${printable(first.reason)}, for example ${formatKey(table.key, first.key)}`}`,
    ),
  ]
}

function stoppedLines(table: StoppedTable): string[] {
  return ['', `${nameOfPair(table)} stopped (${table.code}): ${printable(table.reason)}`, `  ${table.hint}`]
}

function verificationText({ verification }: TableReceipt): string {
  const { mode, changedSince } = verification
  const text = mode === 'off' ? 'no' : mode === 'full' ? 'all rows' : 'changed rows'
  return changedSince > 0 ? `${text}, ${plural(changedSince, 'row')} changed since` : text
}

/** All tables' digests as one short text: enough to compare two screens; the receipt has them whole. */
function shortDigest(digests: readonly string[]): string {
  const [only] = digests
  return only !== undefined && digests.length === 1 ? `${only.slice(0, 16)}…` : `${combine(digests).slice(0, 16)}…`
}

function combine(digests: readonly string[]): string {
  return createHash('sha256').update(digests.join(' ')).digest('hex')
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
