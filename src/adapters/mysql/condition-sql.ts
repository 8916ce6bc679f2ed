import type { ColumnType } from '#model/column-type.ts'
import type { Condition, Constant } from '#model/condition.ts'
import { asBytes, literal } from './sql.ts'

interface FilteredColumn {
  readonly sql: string
  readonly type: ColumnType
}

/**
 * SQL text that is true for exactly the rows for which the condition is true, with its constants in it. A condition and its
 * negation are written separately, with the negations at the single comparisons: NULL then stands for nothing but "not
 * selected", and comparisons keep the shape that an index serves.
 * @param column the SQL expression of a column by its name, and its type
 */
export function conditionText(condition: Condition, column: (name: string) => FilteredColumn): string {
  return new Writer(column).positive(condition)
}

class Writer {
  readonly #column: (name: string) => FilteredColumn

  constructor(column: (name: string) => FilteredColumn) {
    this.#column = column
  }

  positive(condition: Condition): string {
    switch (condition.kind) {
      case 'and':
      case 'or':
        return joined(
          condition.kind,
          condition.of.map((part) => this.positive(part)),
        )
      case 'not':
        return this.negative(condition.of)
      default:
        return this.#leaf(condition, true)
    }
  }

  /** True where the condition is false. */
  negative(condition: Condition): string {
    switch (condition.kind) {
      case 'and':
      case 'or':
        return joined(
          condition.kind === 'and' ? 'or' : 'and',
          condition.of.map((part) => this.negative(part)),
        )
      case 'not':
        return this.positive(condition.of)
      case 'equal':
      case 'one of':
      case 'is null':
        return `(${this.#leaf(condition, false)}) IS NOT TRUE`
      case 'order':
      case 'starts with':
        return `NOT (${this.#leaf(condition, false)})`
    }
  }

  #leaf(condition: Exclude<Condition, { kind: 'and' | 'or' | 'not' }>, indexed: boolean): string {
    const { sql, type } = this.#column(condition.column)
    switch (condition.kind) {
      case 'is null':
        return `${sql} IS NULL`
      case 'starts with':
        return `LEFT(${bytes(sql)}, ${Buffer.byteLength(condition.prefix)}) = ${bytes(constant('text', condition.prefix))}`
      case 'order': {
        const value = constant(condition.value.type, condition.value.text)
        const isText = condition.value.type === 'text'
        return `${isText ? bytes(sql) : sql} ${condition.operator} ${isText ? bytes(value) : value}`
      }
      case 'equal':
        return equal(sql, type, { values: [condition.value], indexed })
      case 'one of':
        return equal(sql, type, { values: condition.values, indexed })
    }
  }
}

/** A collation may hold different texts equal: the bytes decide. The plain comparison is there for an index. */
function equal(
  sql: string,
  type: ColumnType,
  { values, indexed }: { values: readonly Constant[]; indexed: boolean },
): string {
  const [first] = values
  if (first === undefined) return 'FALSE'
  const constants = values.map((value) => constant(value.type, value.text))
  if (first.type !== 'text') return `${sql} IN (${constants.join(', ')})`
  const exact = `${bytes(sql)} IN (${constants.map(bytes).join(', ')})`
  return indexed && type.kind === 'text' ? `(${sql} IN (${constants.join(', ')}) AND ${exact})` : exact
}

/** Texts by their bytes in UTF-8, whose order is that of the code points. */
function bytes(sql: string): string {
  return asBytes(`CONVERT(${sql} USING utf8mb4)`)
}

function constant(type: Constant['type'], text: string): string {
  switch (type) {
    case 'integer':
    case 'decimal':
      // A number as it stands is exact; none of ours holds anything but digits, a sign and a point.
      return `CAST(${literal(text)} AS DECIMAL(65,${Math.min(30, decimals(text))}))`
    case 'float':
      return `CAST(${literal(text)} AS DOUBLE)`
    case 'boolean':
      return text === 't' || text === 'true' ? '1' : '0'
    case 'bytes':
      return `X'${text.slice(2)}'`
    case 'timestamp':
    case 'timestamp with zone':
      return `CAST(${literal(text.replace(/\+00(?::00)?$/, ''))} AS DATETIME(6))`
    case 'date':
      return `CAST(${literal(text)} AS DATE)`
    case 'time':
      return `CAST(${literal(text)} AS TIME(6))`
    case 'text':
    case 'uuid':
      return literal(text)
  }
}

function decimals(text: string): number {
  const point = text.indexOf('.')
  return point < 0 ? 0 : text.length - point - 1
}

function joined(kind: 'and' | 'or', parts: readonly string[]): string {
  if (parts.length === 0) return kind === 'and' ? 'TRUE' : 'FALSE'
  return `(${parts.join(kind === 'and' ? ' AND ' : ' OR ')})`
}
