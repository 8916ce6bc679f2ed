import type { Form } from '#model/column-type.ts'
import type { TableRef, Right } from '#model/table.ts'

/**
 * SQL text. Names come from the catalogue and pass through `quote`; values never enter SQL text, but for the constants of
 * a filter and the key of a large row (`literal`). Functions and casts are written with `pg_catalog` where a name could be taken by somebody else's
 * object.
 */

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteTable(ref: TableRef): string {
  return `${quote(ref.schema)}.${quote(ref.name)}`
}

/** A table in FROM, UPDATE or DELETE: `ONLY`, because rows of inheritance children belong to the children. */
export function only(ref: TableRef, partitioned: boolean): string {
  return partitioned ? quoteTable(ref) : `ONLY ${quoteTable(ref)}`
}

/** A constant, where the server takes backslashes for themselves. It holds no NUL: such a text cannot be sent at all. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A SELECT in FROM. The line break ends a comment that it may end with. */
export function queryInFrom(query: string): string {
  return `(\n${query}\n)`
}

/** A column in a form: an expression whose output text is the value as both sides write it. */
export function inForm(column: string, form: Form): string {
  switch (form) {
    case 'own':
      return column
    case 'text':
      return `${column}::text`
    case 'float64':
      return `${column}::float8`
    case 'timestamp':
      // A date may lie beyond every timestamp: its own text is then refused where it is written, and not where it is read.
      return `CASE WHEN pg_catalog.isfinite(${column}) AND ${column}::date > '294276-12-31' THEN ${column}::text ELSE ${column}::timestamp::text END`
    case 'integer':
      return `CASE ${column}::text WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE ${column}::text END`
    default:
      return `pg_catalog.trim_scale(${column}::numeric)`
  }
}

/**
 * The canonical form of a row (model/fingerprint.ts) as a text expression; its lengths are those of UTF-8.
 * @param utf8 whether the texts of the database are
 */
export function canonicalSql(expressions: readonly string[], utf8: boolean): string {
  // num_nulls, not IS NULL: a composite whose fields are all NULL is not itself NULL.
  const parts = expressions.map(
    (e) =>
      `CASE WHEN pg_catalog.num_nulls(${e}) = 1 THEN '-' ELSE pg_catalog.octet_length(${inUtf8(`pg_catalog.concat(${e})`, utf8)}) || ':' || pg_catalog.concat(${e}) END`,
  )
  return parts.length === 0 ? `''` : parts.join(' || ')
}

/** The MD5 of a text in UTF-8. */
export function md5Sql(text: string, utf8: boolean): string {
  return `pg_catalog.md5(${inUtf8(text, utf8)})`
}

function inUtf8(text: string, utf8: boolean): string {
  return utf8 ? text : `pg_catalog.convert_to(${text}, 'UTF8')`
}

/** XOR over a group. Before 14 there is no bit_xor: each bit is the parity of its sum. */
export function xorSql(column: string, major: number): string {
  if (major >= 14) return `bit_xor(${column})`
  const bits = Array.from({ length: 64 }, (_, i) => `((sum(((${column} >> ${i}) & 1)::int4) & 1) << ${i})`)
  return `(${bits.join(' | ')})`
}

/** The statements that give a role these rights on a table; `use` is the right to look into its schema. */
export function grantSql(table: TableRef, rights: readonly Right[], role: string): string {
  const to = `TO ${quote(role)};`
  const onTable = rights.filter((right) => right !== 'use').map((right) => right.toUpperCase())
  const statements = [
    ...(rights.includes('use') ? [`GRANT USAGE ON SCHEMA ${quote(table.schema)} ${to}`] : []),
    ...(onTable.length > 0 ? [`GRANT ${onTable.join(', ')} ON ${quoteTable(table)} ${to}`] : []),
  ]
  return statements.join(' ')
}
