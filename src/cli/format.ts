/** Numbers, durations and tables as people read them. */
import { formatBytes, formatCount, plural } from '#lib/amounts.ts'
import type { Check } from '#model/check.ts'
import { tableName, type TableRef } from '#model/table.ts'

export { formatBytes, formatCount, plural }

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Rows of cells under headings: the first column to the left, the others to the right, where they are numbers. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [headings, ...rows]
  const widths = headings.map((_, column) => Math.max(...all.map((row) => displayWidth(row[column] ?? ''))))
  const numeric = headings.map((_, column) => rows.every((row) => /^[\d,.–-]*$/.test(row[column] ?? '')))
  return all.map((row) =>
    row
      .map((cell, column) => {
        const fill = ' '.repeat((widths[column] ?? 0) - displayWidth(cell))
        return numeric[column] && column > 0 ? fill + cell : cell + fill
      })
      .join('  ')
      .trimEnd(),
  )
}

const CHARACTERS = new Intl.Segmenter()

function displayWidth(text: string): number {
  return [...CHARACTERS.segment(text)].length
}

/** Text that came from a database or a server, made harmless for a terminal: control characters are shown, not sent. */
export function printable(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(String.raw`\"`, '"')
    .replaceAll('\\\\', '\\')
    .replaceAll(
      // C1 controls and marks that turn the direction of writing.
      /[\u007F-\u009F\u200E\u200F\u202A-\u202E\u2066-\u2069]/g,
      (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
}

const VALUE_CHARACTERS = 60

/** A cell for people: NULL apart from text, text in quotes, long text cut. */
export function formatValue(value: string | Uint8Array | null): string {
  if (value === null) return 'NULL'
  const text = typeof value === 'string' ? value : `\\x${Buffer.from(value).toString('hex')}`
  const short = text.length > VALUE_CHARACTERS ? `${text.slice(0, VALUE_CHARACTERS)}…` : text
  return /^-?\d[\d.:+ -]*$/.test(short) ? short : `'${printable(short)}'`
}

export function formatKey(columns: readonly string[], key: readonly (string | Uint8Array | null)[]): string {
  return columns.map((column, i) => `${printable(column)}=${formatValue(key[i] ?? null)}`).join(', ')
}

/** A command line's words as a POSIX shell reads them back. */
export function shellWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .join(' ')
}

/** The source's table, and the target's where it has another name. */
export function nameOfPair({ source, target }: { readonly source: TableRef; readonly target: TableRef }): string {
  const [from, to] = [printable(tableName(source)), printable(tableName(target))]
  return from === to ? to : `${from} → ${to}`
}

const CHECK_STATES = { pass: 'green', warn: 'yellow', fail: 'red' } as const
const STEP_WIDTH = 20

/** One step of a connection test, and what to do where it is not well. */
export function formatCheck(
  { step, state, found, next, ms }: Check,
  paint: (text: string, style: 'green' | 'yellow' | 'red') => string,
): string[] {
  const name = `${step.padEnd(STEP_WIDTH - 2)}  `
  const line = `  ${paint(state, CHECK_STATES[state])}  ${name}${printable(found)}  (${formatDuration(ms)})`
  return next === null ? [line] : [line, `        ${' '.repeat(STEP_WIDTH)}→ ${printable(next)}`]
}
