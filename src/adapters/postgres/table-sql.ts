import { must } from '#lib/assert.ts'
import type { Bucketing, Scan } from '#adapters/adapter.ts'
import { fingerprintOf, hashedText, inForm, keyHashBucketSql, only, quote } from './sql.ts'
import type { PgTable } from './introspect.ts'

/** The temporary table that holds the rows of a batch: `seq`, `op`, `expect`, and the scan's columns as `c0`, `c1`, … */
export const STAGE = 'pg_temp.syncline_stage'

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
    this.from = only(scan.table, table.schema.kind !== 'table')
    this.expressions = scan.columns.map((column) => inForm(`${alias}.${quote(column.name)}`, column.form))
    this.keyExpressions = this.expressions.slice(0, scan.keyLength)
  }

  /** The text that a row's fingerprint is made of. */
  get hashed(): string {
    return hashedText(this.expressions, this.scan.algorithm)
  }

  /** The row's fingerprint. */
  get fingerprint(): string {
    return fingerprintOf(this.hashed, this.scan.algorithm)
  }

  /** The bucket of a row, from 0 on. */
  bucket(bucketing: Bucketing): string {
    if (bucketing.by === 'key hash') return keyHashBucketSql(this.keyExpressions, bucketing.count, this.scan.algorithm)
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
