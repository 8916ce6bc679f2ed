import type { TableRef } from '#model/table.ts'

/**
 * SQL text. Names come from the catalogue and pass through `quote`; values go as parameters of prepared statements, but for
 * constants of a filter (`literal`).
 */

export function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/** A schema of ours is a database of the server's. */
export function quoteTable(ref: TableRef): string {
  return `${quote(ref.schema)}.${quote(ref.name)}`
}

/** A constant under our own sql_mode, in which a backslash escapes. */
export function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

const ESCAPED: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r', t: '\t', b: '\b', Z: '\u001a' }

/** The text of a literal, from what the catalogue writes between its quotes. */
export function literalText(inner: string): string {
  return inner.replaceAll(/''|\\(.)/gs, (_, escaped: string | undefined) =>
    escaped === undefined ? "'" : (ESCAPED[escaped] ?? escaped),
  )
}

/** A SELECT in FROM. The line break ends a comment that it may end with. */
export function queryInFrom(query: string): string {
  return `(\n${query}\n)`
}

/** A text or a value as its bytes, to be told from every other one. */
export function asBytes(expression: string): string {
  return `CAST(${expression} AS BINARY)`
}

/** A subquery that ends with this is computed once for itself, and not taken apart into the one around it. */
export const APART = 'LIMIT 18446744073709551615'
