import type { Value } from '#model/value.ts'

/**
 * The text format of COPY, as PostgreSQL documents it under "File Formats": a line per row, tabs between columns, `\N`
 * for NULL, and backslash, newline, carriage return and tab escaped. Only these four need an escape on the way in.
 */
const SPECIAL = /[\\\n\r\t]/g
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

export function copyLine(row: readonly Value[]): string {
  return `${row.map(copyCell).join('\t')}\n`
}

function copyCell(value: Value): string {
  if (value === null) return '\\N'
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1')
  return text.replace(SPECIAL, (character) => ESCAPES[character] ?? character)
}
