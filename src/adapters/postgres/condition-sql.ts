import type { Condition, Constant } from '#model/condition.ts'
import { literal } from './sql.ts'

const CAST: Readonly<Record<Constant['type'], string>> = {
  integer: 'int8',
  decimal: 'numeric',
  float: 'float8',
  boolean: 'bool',
  text: 'text',
  uuid: 'uuid',
  bytes: 'bytea',
  timestamp: 'timestamp',
  'timestamp with zone': 'timestamptz',
  date: 'date',
  time: 'time',
}

/**
 * SQL text that is true for exactly the rows for which the condition is true, with its constants in it, for statements that take no parameters (COPY). They come from a configuration,
 * are of known types, and are quoted under `standard_conforming_strings = on`, which every transaction of ours pins.
 * @param column the SQL expression of a column by its name, and whether the column is an enum
 */
export function conditionText(
  condition: Condition,
  column: (name: string) => { readonly sql: string; readonly isEnum: boolean },
): string {
  return new Writer(column, (type, value) => `${literal(value)}::pg_catalog.${type}`).positive(condition)
}

/**
 * A condition and its negation are written separately, with the negations at the single comparisons: SQL's NULL then
 * stands for nothing but "not selected", and comparisons keep the shape that an index serves.
 */
class Writer {
  readonly #column: (name: string) => { readonly sql: string; readonly isEnum: boolean }
  readonly #quoted: (type: string, value: string) => string

  constructor(
    column: (name: string) => { readonly sql: string; readonly isEnum: boolean },
    quoted: (type: string, value: string) => string,
  ) {
    this.#column = column
    this.#quoted = quoted
  }

  positive(condition: Condition): string {
    switch (condition.kind) {
      case 'and':
      case 'or':
        return this.#joined(
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
        return this.#joined(
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

  #joined(kind: 'and' | 'or', parts: readonly string[]): string {
    if (parts.length === 0) return kind === 'and' ? 'true' : 'false'
    return `(${parts.join(kind === 'and' ? ' AND ' : ' OR ')})`
  }

  #leaf(condition: Exclude<Condition, { kind: 'and' | 'or' | 'not' }>, indexed: boolean): string {
    const { sql, isEnum } = this.#column(condition.column)
    switch (condition.kind) {
      case 'is null':
        return `${sql} IS NULL`
      case 'starts with':
        return `pg_catalog.starts_with(${sql} COLLATE "C", ${this.#quoted('text', condition.prefix)})`
      case 'order':
        return `${this.#bytewise(sql, condition.value)} ${condition.operator} ${this.#constant(condition.value)}`
      case 'equal': {
        const value = this.#constant(condition.value)
        if (condition.value.type !== 'text') return `${sql} = ${value}`
        return this.#sameText(isEnum ? `${sql}::pg_catalog.text` : sql, `= ${value}`, indexed && !isEnum)
      }
      case 'one of': {
        const [value] = condition.values
        if (value === undefined) return 'false'
        const list = condition.values.map((each) => this.#constant(each)).join(', ')
        if (value.type !== 'text') return `${sql} IN (${list})`
        return this.#sameText(isEnum ? `${sql}::pg_catalog.text` : sql, `IN (${list})`, indexed && !isEnum)
      }
    }
  }

  /** A collation may hold different texts equal: the bytes decide. The plain comparison is there for an index. */
  #sameText(sql: string, test: string, indexed: boolean): string {
    const exact = `${sql} COLLATE "C" ${test}`
    return indexed ? `(${sql} ${test} AND ${exact})` : exact
  }

  #bytewise(sql: string, { type }: Constant): string {
    return type === 'text' ? `${sql} COLLATE "C"` : sql
  }

  #constant({ type, text }: Constant): string {
    return this.#quoted(CAST[type], text)
  }
}
