import type { ColumnHash, FingerprintAlgorithm } from '#model/fingerprint.ts'
import { LARGE_ROW_BYTES } from '#model/value.ts'
import { canonicalSql, literal, md5Sql } from './sql.ts'

/**
 * Fingerprints as SQL. `md5` is MD5 over the canonical form. `column-hash` gives every column a 64-bit hash under a seed
 * of its own (so that values which change columns change the row), NULL a constant of its own, joins them by xor, and
 * hashes what comes out once more: without that last step the xor over a bucket would not see two rows exchange a value.
 */

/** A column as an expression, and what of it is hashed. */
export interface HashedColumn {
  readonly expression: string
  readonly hash: ColumnHash
}

/** How rows are hashed, and whether the texts of the database are in UTF-8: that is what MD5 is made of. */
export interface Hashing {
  readonly algorithm: FingerprintAlgorithm
  readonly utf8: boolean
}

/** The 64-bit fingerprint of a row as a bigint expression. */
export function fingerprintSql(columns: readonly HashedColumn[], { algorithm, utf8 }: Hashing): string {
  return algorithm === 'md5' ? md5Bits(canonical(columns, utf8), utf8) : mixed(columns, outputText(columns), ROW_SEEDS)
}

/** The canonical fingerprint of each expression by itself, whatever the algorithm of the rows is: Node.js makes them too. */
export function fieldFingerprintsSql(expressions: readonly string[], utf8: boolean): string {
  const fields = expressions.map((expression) => md5Bits(canonicalSql([expression], utf8), utf8))
  return `ARRAY[${fields.join(', ')}]::int8[]`
}

/** The texts of expressions as an array, by the outputs that the canonical form has too; NULL where they are large together. */
export function imageSql(expressions: readonly string[]): string {
  const texts = expressions.map(
    (e, i) => `CASE WHEN pg_catalog.num_nulls(${e}) = 0 THEN pg_catalog.concat(${e}) END AS v${i}`,
  )
  const cells = expressions.map((_, i) => `v.v${i}`)
  const bytes = cells.map((cell) => `coalesce(pg_catalog.octet_length(${cell}), 0)::int8`)
  return `(SELECT CASE WHEN ${bytes.join(' + ')} < ${LARGE_ROW_BYTES} THEN ARRAY[${cells.join(', ')}] END
    FROM (SELECT ${texts.join(', ')} OFFSET 0) v)`
}

/**
 * Fingerprint and size of a row that is put into texts once: `columns` go into a subquery called `x`, the other two stand
 * outside of it. The size is about the row's text, however it is stored.
 */
export function sizedSql(
  columns: readonly HashedColumn[],
  { algorithm, utf8 }: Hashing,
): { readonly columns: string; readonly fingerprint: string; readonly bytes: string } {
  if (algorithm === 'md5') {
    const fingerprint = md5Bits('x.r', utf8)
    return { columns: `${canonical(columns, utf8)} AS r`, fingerprint, bytes: 'pg_catalog.octet_length(x.r)' }
  }
  const output = outputText(columns)
  const values = columns.flatMap(({ expression, hash }, i) => {
    if (hash === 'output') return []
    return [`${hash === 'text' ? `(${expression})::text` : expression} AS v${i}`]
  })
  const outside = columns.map(({ hash }, i): HashedColumn => ({ expression: `x.v${i}`, hash }))
  return {
    columns: [...values, ...(output === null ? [] : [`${output} AS r`])].join(', '),
    fingerprint: mixed(outside, output === null ? null : 'x.r', ROW_SEEDS),
    bytes: [
      ...(output === null ? [] : ['pg_catalog.octet_length(x.r)']),
      ...outside.flatMap(({ expression, hash }) => (hash === 'output' ? [] : [valueBytes(expression, hash)])),
    ].join(' + '),
  }
}

function valueBytes(expression: string, hash: Exclude<ColumnHash, 'output'>): string {
  switch (hash) {
    case 'integer':
      return '20'
    case 'boolean':
      return '5'
    case 'uuid':
      return '36'
    case 'text':
      return `coalesce(pg_catalog.octet_length(${expression}), 0)`
  }
}

/** The bucket of a row by the hash of its key: 0 ≤ bucket < count, count being a power of two. */
export function keyHashBucketSql(key: readonly HashedColumn[], count: number, { algorithm, utf8 }: Hashing): string {
  const mask = count - 1
  return algorithm === 'md5'
    ? `(('x' || pg_catalog.left(${md5Sql(canonical(key, utf8), utf8)}, 8))::bit(32)::int8 & ${mask})`
    : `(${mixed(key, outputText(key), BUCKET_SEEDS)} & ${mask})`
}

function md5Bits(text: string, utf8: boolean): string {
  return `('x' || pg_catalog.left(${md5Sql(text, utf8)}, 16))::bit(64)::int8`
}

function canonical(columns: readonly HashedColumn[], utf8: boolean): string {
  return canonicalSql(
    columns.map(({ expression }) => expression),
    utf8,
  )
}

/** Where the numbers of the seeds begin: a table has at most 1,600 columns, each with two. */
const ROW_SEEDS = 0
const BUCKET_SEEDS = 10_000
/** Of a base, the seed of the last step; of the others two are each column's. */
const LAST = 1

/** `output` is the joint text of the columns that are hashed by it. */
function mixed(columns: readonly HashedColumn[], output: string | null, base: number): string {
  const hashes = columns.flatMap(({ expression, hash }, i) => {
    if (hash === 'output') return []
    const seed = base + 2 + 2 * i
    return [`coalesce(${valueHash(expression, hash, seed)}, ${bigint(splitmix64(seed + 1))})`]
  })
  if (output !== null) hashes.push(hashText(output, base))
  return hash64(base + LAST, `(${hashes.join(' # ')})`)
}

/** NULL for NULL. */
function valueHash(expression: string, hash: Exclude<ColumnHash, 'output'>, seed: number): string {
  switch (hash) {
    case 'integer':
      return hash64(seed, `(${expression})::int8`)
    case 'boolean':
      return hash64(seed, `(${expression})::int4::int8`)
    case 'uuid':
      return `pg_catalog.uuid_hash_extended(${expression}, ${bigint(splitmix64(seed))})`
    case 'text':
      return hashText(`(${expression})::text`, seed)
  }
}

/**
 * The hash of all 64 bits of an integer: as the seed of a constant's hash. As a value, hashint8extended would fold it to
 * 32 bits first, and 0 and 4294967297 would be one.
 */
function hash64(seed: number, value: string): string {
  return `pg_catalog.hashint4extended('${BigInt.asIntN(32, splitmix64(seed))}'::int4, ${value})`
}

function hashText(text: string, seed: number): string {
  return `pg_catalog.hashtextextended(${text} COLLATE pg_catalog."C", ${bigint(splitmix64(seed))})`
}

/** PostgreSQL's own record output, which tells NULL from '' and quotes its borders, and is never NULL itself. */
function outputText(columns: readonly HashedColumn[]): string | null {
  const outputs = columns.filter(({ hash }) => hash === 'output').map(({ expression }) => expression)
  return outputs.length === 0 ? null : `ROW(${outputs.join(', ')})::text`
}

function bigint(value: bigint): string {
  return `'${BigInt.asIntN(64, value)}'::int8`
}

/** Well spread 64-bit constants by number. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators". */
function splitmix64(n: number): bigint {
  let z = BigInt.asUintN(64, BigInt(n + 1) * 0x9e3779b97f4a7c15n)
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
  return z ^ (z >> 31n)
}

/** `mark`: what is not in every encoding, where the database has it. */
function probed(mark: string): readonly HashedColumn[] {
  return [
    ...['0', '1', '-1', '9223372036854775807', '-9223372036854775808'].map((value): HashedColumn => ({
      expression: `'${value}'::int8`,
      hash: 'integer',
    })),
    { expression: 'true', hash: 'boolean' },
    { expression: `'01234567-89ab-cdef-fedc-ba9876543210'::uuid`, hash: 'uuid' },
    ...[`''`, literal(`probe ${mark}`), 'NULL', `pg_catalog.repeat(${literal(`syncline ${mark} `)}, 20)`].map(
      (value): HashedColumn => ({ expression: `${value}::text`, hash: 'text' }),
    ),
    { expression: `ROW(1, ${literal(`probe ${mark}`)}, NULL)`, hash: 'output' },
  ]
}

/**
 * What `column-hash` makes of constants, by every function that it uses, apart and together. Empty where somebody has
 * given a type of the server or an enum a cast to text: then its text need not tell its values apart. In another encoding than
 * UTF-8 the same texts are other bytes, and such a database is compared by its own hashes with one of the same encoding alone.
 */
export function probeSql(utf8: boolean): string {
  const columns = probed(utf8 ? '☯' : '')
  const by: Hashing = { algorithm: 'column-hash', utf8 }
  return `CASE WHEN EXISTS (
    SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.castsource
    WHERE c.casttarget = 'pg_catalog.text'::pg_catalog.regtype AND c.oid >= 16384 AND c.castmethod = 'f'
      AND (t.oid < 16384 OR t.typtype = 'e'))
  THEN '' ELSE pg_catalog.concat_ws(' ', ${utf8 ? '' : `current_setting('server_encoding'), `}${[
    ...columns.map((column) => [column]),
    columns,
  ]
    .map((some) => fingerprintSql(some, by))
    .join(', ')}, ${keyHashBucketSql(columns, 65_536, by)}) END`
}
