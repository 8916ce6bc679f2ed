import { must } from '#lib/assert.ts'
import type { Bucketing, Scan } from '#adapters/adapter.ts'
import type { ColumnType, Form } from '#model/column-type.ts'
import type { Key } from '#model/change.ts'
import type { Value } from '#model/value.ts'
import { conditionText } from './condition-sql.ts'
import { canonicalSql, fingerprintSql, keyHashBucketSql, type HashedColumn } from './fingerprint-sql.ts'
import { inForm } from './forms.ts'
import type { MyColumn, MyTable } from './introspect.ts'
import { asBytes, queryInFrom, quote, quoteTable } from './sql.ts'

/** A scan as SQL: the expressions that read, hash, bucket and find rows of one table, always under the alias `t`. */
export class TableSql {
  readonly scan: Scan
  readonly table: MyTable
  /** What stands in FROM before the alias; the filter is not in it. */
  readonly from: string
  /** The columns in their forms, in the scan's order: texts in utf8mb4. */
  readonly expressions: readonly string[]
  readonly keyExpressions: readonly string[]
  readonly #filter: string | null
  readonly #types: ReadonlyMap<string, ColumnType>

  constructor(scan: Scan, table: MyTable) {
    this.scan = scan
    this.table = table
    this.from = table.query === null ? quoteTable(scan.table) : queryInFrom(table.query)
    this.#types = new Map(table.schema.columns.map(({ name, type }) => [name, type]))
    this.#filter =
      scan.filter === null
        ? null
        : conditionText(scan.filter, (name) => ({ sql: `t.${quote(name)}`, type: this.typeOf(name) }))
    this.expressions = scan.columns.map((column) => this.#expression(column, 't'))
    this.keyExpressions = this.expressions.slice(0, scan.keyLength)
  }

  typeOf(name: string): ColumnType {
    return must(this.#types.get(name), `no type of the column ${name}`)
  }

  /** The conditions, of the filter and others, for WHERE; empty where there are none. */
  where(...conditions: readonly string[]): string {
    const all = [...(this.#filter === null ? [] : [this.#filter]), ...conditions]
    return all.length === 0 ? '' : `WHERE ${all.map((each) => `(${each})`).join(' AND ')}`
  }

  #expression({ name, form, absent }: Scan['columns'][number], alias: string): string {
    return absent ? 'NULL' : inForm(`${alias}.${quote(name)}`, this.typeOf(name), form)
  }

  /** The columns of row `t` to be hashed. */
  get hashed(): readonly HashedColumn[] {
    return this.scan.columns.map(({ name, absent }, i) => ({
      column: absent ? 'NULL' : `t.${quote(name)}`,
      text: must(this.expressions[i], 'a column'),
    }))
  }

  /** The canonical form of the row; NULL where it is too large for the server. */
  get canonical(): string {
    return canonicalSql(this.hashed)
  }

  /** The row's fingerprint; NULL where the row is too large for the server to hash. */
  get fingerprint(): string {
    return fingerprintSql(this.hashed)
  }

  /** The fingerprint of the canonical texts that are in the columns `prefix0`, `prefix1`, … */
  fingerprintOf(prefix: string): string {
    return fingerprintSql(this.scan.columns.map((_, i) => ({ column: `${prefix}${i}`, text: `${prefix}${i}` })))
  }

  /** About how many bytes the text of the row has. Of what is stored, so that it is known of every row. */
  get bytes(): string {
    const sizes = this.scan.columns.flatMap(({ name, absent }) => (absent ? [] : [this.#bytesOf(name)]))
    return sizes.length === 0 ? '0' : sizes.join(' + ')
  }

  /** About how many bytes the text of a cell of row `t` has. */
  bytesOf(place: number): string {
    const { name, absent } = must(this.scan.columns[place], 'a column')
    return absent ? '0' : this.#bytesOf(name)
  }

  #bytesOf(name: string): string {
    const column = `t.${quote(name)}`
    switch (this.typeOf(name).kind) {
      case 'bytes':
        return `COALESCE(2 + 2 * LENGTH(${column}), 0)`
      case 'text':
      case 'padded text':
      case 'json':
      case 'other':
        return `COALESCE(LENGTH(${column}), 0)`
      default:
        return '20'
    }
  }

  /** The most bytes that a row's text can have, by its types. */
  get mostBytes(): number {
    return this.scan.columns.reduce((sum, _, place) => sum + this.mostBytesOf(place), 0)
  }

  /** The most bytes that the text of a cell can have, by its type. */
  mostBytesOf(place: number): number {
    const { name, absent } = must(this.scan.columns[place], 'a column')
    return absent ? 0 : mostBytesOf(this.table.columns.get(name))
  }

  /** The bucket of a row, from 0 on. */
  bucket(bucketing: Bucketing): string {
    if (bucketing.by === 'key hash') return keyHashBucketSql(this.hashed.slice(0, this.scan.keyLength), bucketing.count)
    return rangeBucketSql(this.keyColumn(0), bucketing)
  }

  /** The column itself of a part of the key. */
  keyColumn(place: number): string {
    return `t.${quote(must(this.scan.columns[place], 'a key column').name)}`
  }

  /** An index finds ranges of the first key column; without one each range would be a pass over the table. */
  get seeksKeys(): boolean {
    const { primaryKey, uniqueKeys } = this.table.schema
    const first = this.scan.columns[0]?.name
    return [primaryKey, ...uniqueKeys].some((unique) => unique?.columns[0] === first)
  }

  /** Keys, given as one parameter (`keyParameter`), as rows `k0`, `k1`, … under the alias `k` with their place in `n`. */
  get keysFrom(): string {
    const columns = Array.from(
      { length: this.scan.keyLength },
      (_, i) => `k${i} LONGTEXT CHARACTER SET utf8mb4 PATH '$[${i}]'`,
    )
    return `JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY, ${columns.join(', ')})) k`
  }

  /**
   * The key of row `t` is that of the canonical texts `prefix0`, `prefix1`, … An index finds it by the column's own
   * comparison, for which some texts are the same that are not: the texts decide, byte by byte (hazard C12).
   */
  keyEquals(prefix: string): string {
    return this.scan.columns
      .slice(0, this.scan.keyLength)
      .map(({ name, form }, i) => {
        const text = `${prefix}${i}`
        const native = this.native(name, form, text)
        const exact = `${asBytes(must(this.keyExpressions[i], 'a key column'))} = ${asBytes(text)}`
        return native === null ? exact : `t.${quote(name)} = ${native} AND ${exact}`
      })
      .join(' AND ')
  }

  /** A text as a value that the column is compared with by its own comparison; null where no index is served by that. */
  native(name: string, form: Form, text: string): string | null {
    return nativeSql(this.typeOf(name), must(this.table.columns.get(name), `no facts of the column ${name}`), {
      form,
      text,
    })
  }
}

/** The bucket of a whole number by its range. */
export function rangeBucketSql(
  column: string,
  { start, width, count }: Extract<Bucketing, { by: 'key range' }>,
): string {
  // As decimals: the difference of two whole numbers of 64 bits may need 65, and one without a sign is never negative.
  const key = `CAST(${column} AS DECIMAL(20,0))`
  return `GREATEST(0, LEAST(${count - 1}, (${key} - ${start}) DIV ${width}))`
}

/** `text` is an expression that gives the canonical text of a value in the form. */
function nativeSql(type: ColumnType, column: MyColumn, { form, text }: { form: Form; text: string }): string | null {
  switch (type.kind) {
    case 'boolean': {
      const [yes, no] = form === 'text' ? ['true', 'false'] : ['t', 'f']
      return `CASE ${text} WHEN '${yes}' THEN 1 WHEN '${no}' THEN 0 ELSE CAST(${text} AS SIGNED) END`
    }
    case 'integer': {
      // Of a power of ten CAST would take what stands before it, and of a double none beyond 63 bits.
      const number = form === 'float64' ? `CAST(${text} AS DOUBLE)` : text
      if (form === 'float64' && type.unsigned) return number
      return `CAST(${number} AS ${type.unsigned ? 'UNSIGNED' : 'SIGNED'})`
    }
    case 'decimal':
      return `CAST(${text} AS DECIMAL(${type.precision ?? 65},${type.scale ?? 30}))`
    case 'float':
      // A float of 32 bits equals no double that its text is read as.
      return type.bits === 64 ? `CAST(${text} AS DOUBLE)` : null
    case 'text':
    case 'padded text':
    case 'enum':
      return column.charset === null || column.collation === null
        ? null
        : `CONVERT(${text} USING ${column.charset}) COLLATE ${column.collation}`
    case 'bytes':
      return `UNHEX(SUBSTRING(${text}, 3))`
    case 'timestamp':
      return `CAST(SUBSTRING_INDEX(${text}, '+', 1) AS DATETIME(6))`
    case 'date':
      return `CAST(${text} AS DATE)`
    case 'uuid':
      return `CAST(${text} AS UUID)`
    default:
      return null
  }
}

/** Bytes of a text are at most three times as many in UTF-8, and bytes are two digits each. */
function mostBytesOf(column: MyColumn | undefined): number {
  if (column === undefined) return 0
  if (column.dataType === 'json' || /^(?:geom|point|line|poly|multi)/.test(column.dataType)) return Infinity
  return column.maxBytes === null ? 64 : 2 + 3 * column.maxBytes
}

/** Keys as the one parameter of `keysFrom`. */
export function keyParameter(keys: readonly Key[] | readonly (readonly Value[])[]): string {
  return JSON.stringify(keys)
}
