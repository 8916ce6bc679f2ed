import type { Form } from '#model/column-type.ts'
import type { FingerprintAlgorithm } from '#model/fingerprint.ts'
import type { TableRef, Right } from '#model/table.ts'

/**
 * SQL text. Names come from the catalogue and pass through `quote`; values never enter SQL text. Functions and casts
 * are written with `pg_catalog` where a name could be taken by somebody else's object.
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

/** A column in a form: an expression whose output text is the value as both sides write it. */
export function inForm(column: string, form: Form): string {
  switch (form) {
    case 'own':
      return column
    case 'text':
      return `${column}::text`
    case 'decimal':
      return `pg_catalog.trim_scale(${column}::numeric)`
    case 'float64':
      return `${column}::float8`
    case 'timestamp':
      // A date may lie beyond every timestamp: its own text is then refused where it is written, and not where it is read.
      return `CASE WHEN pg_catalog.isfinite(${column}) AND ${column}::date > '294276-12-31' THEN ${column}::text ELSE ${column}::timestamp::text END`
  }
}

/** The canonical form of a row (model/fingerprint.ts) as a text expression. */
export function canonicalSql(expressions: readonly string[]): string {
  // num_nulls, not IS NULL: a composite whose fields are all NULL is not itself NULL.
  const parts = expressions.map(
    (e) =>
      `CASE WHEN pg_catalog.num_nulls(${e}) = 1 THEN '-' ELSE pg_catalog.octet_length(pg_catalog.concat(${e})) || ':' || pg_catalog.concat(${e}) END`,
  )
  return parts.length === 0 ? `''` : parts.join(' || ')
}

/** The row's text: PostgreSQL's own record output, which tells NULL from '' and quotes its borders. */
function rowText(expressions: readonly string[]): string {
  return `(ROW(${expressions.join(', ')})::text COLLATE pg_catalog."C")`
}

/** The text that is hashed: evaluate it once, in a subquery, where its length or its hash is used more than once. */
export function hashedText(expressions: readonly string[], algorithm: FingerprintAlgorithm): string {
  return algorithm === 'md5' ? canonicalSql(expressions) : rowText(expressions)
}

/** The 64-bit fingerprint of a row's hashed text as a bigint expression. */
export function fingerprintOf(text: string, algorithm: FingerprintAlgorithm): string {
  return algorithm === 'md5'
    ? `('x' || pg_catalog.left(pg_catalog.md5(${text}), 16))::bit(64)::int8`
    : `pg_catalog.hashtextextended(${text}, 0)`
}

export function fingerprintSql(expressions: readonly string[], algorithm: FingerprintAlgorithm): string {
  return fingerprintOf(hashedText(expressions, algorithm), algorithm)
}

/** The bucket of a row by the hash of its key: 0 ≤ bucket < count, count being a power of two. */
export function keyHashBucketSql(key: readonly string[], count: number, algorithm: FingerprintAlgorithm): string {
  const mask = count - 1
  return algorithm === 'md5'
    ? `(('x' || pg_catalog.left(pg_catalog.md5(${canonicalSql(key)}), 8))::bit(32)::int8 & ${mask})`
    : `(pg_catalog.hashtextextended(${rowText(key)}, 1) & ${mask})`
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
