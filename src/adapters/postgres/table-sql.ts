import { assert, must } from '#lib/assert.ts'
import type { Bucketing, Scan } from '#adapters/adapter.ts'
import {
  fieldFingerprintsSql,
  fingerprintSql,
  imageSql,
  keyHashBucketSql,
  sizedSql,
  type HashedColumn,
  type Hashing,
} from './fingerprint-sql.ts'
import { conditionText } from './condition-sql.ts'
import { inForm, literal, only, queryInFrom, quote } from './sql.ts'
import type { PgTable } from './introspect.ts'
import type { Key } from '#model/change.ts'

/**
 * The temporary table that holds the rows of a batch: `seq`, `op`, `expect`, and the scan's columns as `c0`, `c1`, …
 * Where the scan has more of them than fit beside the others, the last ones are in a second table, by `seq`.
 */
export const STAGE = 'pg_temp.syncline_stage'
export const STAGE_REST = 'pg_temp.syncline_stage_rest'

/** The server's limit for a table is 1,600 columns, the key is among the first 32, and three are ours. */
export const STAGE_COLUMNS = 1_597

/** A scan as SQL: the expressions that read, hash, bucket and find rows of one table, always under the alias `t`. */
export class TableSql {
  readonly scan: Scan
  readonly table: PgTable
  readonly from: string
  /** The columns in their forms, in the scan's order. */
  readonly expressions: readonly string[]
  readonly keyExpressions: readonly string[]

  constructor(scan: Scan, table: PgTable, alias = 't') {
    this.scan = scan
    this.table = table
    const from = table.query === null ? only(scan.table, table.schema.kind !== 'table') : queryInFrom(table.query)
    this.from = this.filtered(from)
    this.expressions = scan.columns.map(({ name, form, hash, absent }) =>
      absent ? `NULL::pg_catalog.${hash === 'uuid' ? 'uuid' : 'text'}` : inForm(`${alias}.${quote(name)}`, form),
    )
    this.keyExpressions = this.expressions.slice(0, scan.keyLength)
  }

  /** An index finds ranges of the first key column; without one each range would be a pass over the table. */
  get seeksKeys(): boolean {
    const { primaryKey, uniqueKeys } = this.table.schema
    const first = this.scan.columns[0]?.name
    return [primaryKey, ...uniqueKeys].some((unique) => unique?.columns[0] === first)
  }

  /** What of a relation meets the filter: a subquery that the planner dissolves. It has the rows' places where there are any. */
  filtered(from: string): string {
    const { filter } = this.scan
    if (filter === null) return from
    const { columns, kind } = this.table.schema
    const isEnum = (name: string): boolean =>
      columns.some((column) => column.name === name && column.type.kind === 'enum')
    const where = conditionText(filter, (name) => ({ sql: `f.${quote(name)}`, isEnum: isEnum(name) }))
    const placed = kind === 'table' || kind === 'partitioned' || kind === 'materialized view'
    return `(SELECT f.*${placed ? ', f.ctid' : ''} FROM ${from} f WHERE ${where})`
  }

  /** The staged rows with all their columns, for FROM. `STAGE` alone has the key. */
  get stage(): string {
    const { length } = this.scan.columns
    if (length <= STAGE_COLUMNS) return STAGE
    const rest = Array.from({ length: length - STAGE_COLUMNS }, (_, i) => `b.c${STAGE_COLUMNS + i}`)
    return `(SELECT a.*, ${rest.join(', ')} FROM ${STAGE} a JOIN ${STAGE_REST} b USING (seq))`
  }

  /** The row's fingerprint. */
  get fingerprint(): string {
    return fingerprintSql(this.#hashed(), this.#hashing())
  }

  /** Fingerprint and size together, by way of a subquery `x`. */
  get sized(): ReturnType<typeof sizedSql> {
    return sizedSql(this.#hashed(), this.#hashing())
  }

  /** The fingerprint that a row will have once the columns `prefix0`, `prefix1`, … are in it. */
  fingerprintOf(prefix: string): string {
    const columns = this.scan.columns.map(({ form, hash }, i) => ({ expression: inForm(`${prefix}${i}`, form), hash }))
    return fingerprintSql(columns, this.#hashing())
  }

  /** The canonical fingerprint of each column by itself, as an array. */
  get fieldFingerprints(): string {
    return fieldFingerprintsSql(this.expressions, this.table.utf8)
  }

  /** The same of the columns `prefix0`, `prefix1`, … */
  fieldFingerprintsOf(prefix: string): string {
    const columns = this.scan.columns.map(({ form }, i) => inForm(`${prefix}${i}`, form))
    return fieldFingerprintsSql(columns, this.table.utf8)
  }

  /** The values of the row as an array of texts; NULL where the row is large. */
  get image(): string {
    return imageSql(this.expressions)
  }

  /** The same of the columns `prefix0`, `prefix1`, … */
  imageOf(prefix: string): string {
    return imageSql(this.scan.columns.map(({ form }, i) => inForm(`${prefix}${i}`, form)))
  }

  #hashing(): Hashing {
    return { algorithm: this.scan.algorithm, utf8: this.table.utf8 }
  }

  #hashed(): HashedColumn[] {
    return this.scan.columns.map(({ hash }, i) => ({ expression: must(this.expressions[i], 'a column'), hash }))
  }

  /** The bucket of a row, from 0 on. */
  bucket(bucketing: Bucketing): string {
    if (bucketing.by === 'key hash') {
      return keyHashBucketSql(this.#hashed().slice(0, this.scan.keyLength), bucketing.count, this.#hashing())
    }
    const { start, width, count } = bucketing
    return `greatest(0, least(${count - 1}, (${this.keyExpressions[0]}::int8 - ${start}) / ${width}))`
  }

  /** One text array parameter per key column, from `$first` on, as rows under the alias `k` with their place in `n`. */
  keysFrom(first: number): string {
    const names = this.#keyColumns()
    const arrays = names.map((_, i) => `unnest($${first + i}::text[])`)
    // Each text is cast by itself: an array of arrays would be unnested to its elements.
    const typed = names.map((name, i) => `r.k${i}::${this.#castType(name)} AS k${i}`)
    const texts = [...names.map((_, i) => `k${i}`), 'n'].join(', ')
    return `(SELECT ${typed.join(', ')}, r.n FROM ROWS FROM (${arrays.join(', ')}) WITH ORDINALITY AS r(${texts})) k`
  }

  /** One key as constants, as a row under the alias `k`: for a COPY, which takes no parameters. */
  keyConstants(key: Key): string {
    const constants = this.#keyColumns().map((name, i) => {
      const text = key[i]
      assert(typeof text === 'string', 'the key of a row that is there is text')
      return `${literal(text)}::${this.#castType(name)} AS k${i}`
    })
    return `(SELECT ${constants.join(', ')}) k`
  }

  /** The key of row `t` equals columns `prefix0`, `prefix1`, … */
  keyEquals(prefix: string): string {
    return this.#keyColumns()
      .map((name, i) => `t.${quote(name)} ${this.#equals(name)} ${prefix}${i}`)
      .join(' AND ')
  }

  /** Columns `left0`, … equal columns `right0`, …, both of the key's types. */
  matches(left: string, right: string): string {
    return this.#keyColumns()
      .map((name, i) => `${left}${i} ${this.#equals(name)} ${right}${i}`)
      .join(' AND ')
  }

  /** A column of row `t` equals a value of its type. */
  sameColumn(name: string, value: string): string {
    return `t.${quote(name)} ${this.#equals(name)} ${value}`
  }

  /** What UPDATE sets from the stage: what is written, but for the key and for what only the server gives out. */
  assignments(written: readonly string[]): string[] {
    const { columns, keyLength } = this.scan
    const isAlways = (name: string): boolean =>
      this.table.schema.columns.some((column) => column.name === name && column.identity === 'always')
    return columns.flatMap(({ name }, i) =>
      i >= keyLength && written.includes(name) && !isAlways(name) ? [`${quote(name)} = s.c${i}`] : [],
    )
  }

  #keyColumns(): string[] {
    return this.scan.columns.slice(0, this.scan.keyLength).map((column) => column.name)
  }

  #castType(name: string): string {
    return must(this.table.comparison.get(name), `no type of key column ${name}`).castType
  }

  #equals(name: string): string {
    const schema = must(this.table.comparison.get(name), `no operator of key column ${name}`).operatorSchema
    return schema === 'pg_catalog' ? 'OPERATOR(pg_catalog.=)' : `OPERATOR(${quote(schema)}.=)`
  }
}

/** Keys as parameters: one array of texts per key column. */
export function keyParameters(keys: readonly (readonly unknown[])[], keyLength: number): unknown[][] {
  return Array.from({ length: keyLength }, (_, column) => keys.map((key) => key[column]))
}
