import { Decimal } from 'decimal.js'
import type { ColumnType } from '#model/column-type.ts'
import type { Condition, Constant } from '#model/condition.ts'

/** What a condition asks of a column. */
export interface ConditionColumn {
  readonly type: ColumnType
  readonly own: string | null
}

/** Truth as in SQL: null where nothing can be said. */
type Truth = boolean | null

/**
 * Whether a row meets a condition, exactly as a database answers it (`adapters/postgres/condition-sql.ts`). Values are
 * the server's own texts; constants are in the same canonical texts.
 */
export function meets(condition: Condition, column: (name: string) => ConditionColumn): boolean {
  return truth(condition, column) === true
}

function truth(condition: Condition, column: (name: string) => ConditionColumn): Truth {
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const decides = condition.kind === 'or'
      let result: Truth = !decides
      for (const part of condition.of) {
        const value = truth(part, column)
        if (value === decides) return decides
        if (value === null) result = null
      }
      return result
    }
    case 'not': {
      const value = truth(condition.of, column)
      return value === null ? null : !value
    }
    case 'is null':
      return column(condition.column).own === null
    case 'equal':
      return same(column(condition.column), condition.value)
    case 'one of':
      return condition.values.some((value) => same(column(condition.column), value))
    case 'starts with':
      return column(condition.column).own?.startsWith(condition.prefix) ?? null
    case 'order': {
      const { own, type } = column(condition.column)
      if (own === null) return null
      const order = compare(own, condition.value, type)
      switch (condition.operator) {
        case '<':
          return order < 0
        case '<=':
          return order <= 0
        case '>':
          return order > 0
        case '>=':
          return order >= 0
      }
    }
  }
}

/** Null is equal to nothing that stands here. */
function same({ own, type }: ConditionColumn, value: Constant): boolean {
  return own !== null && compare(own, value, type) === 0
}

/** Negative, zero or positive. */
function compare(own: string, { type, text }: Constant, of: ColumnType): number {
  switch (type) {
    case 'integer':
    case 'decimal':
      return numbers(new Decimal(own), new Decimal(text))
    case 'float': {
      const value = of.kind === 'float' && of.bits === 32 ? Math.fround(Number(own)) : Number(own)
      return doubles(value, Number(text))
    }
    case 'text':
      return Buffer.compare(Buffer.from(own), Buffer.from(text))
    case 'timestamp':
    case 'timestamp with zone':
    case 'date':
      return moments(own, text)
    case 'boolean':
    case 'bytes':
    case 'time':
    case 'uuid':
      return ordered(own, text)
  }
}

function ordered(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** NaN equals itself and is greater than all. */
function numbers(a: Decimal, b: Decimal): number {
  return a.isNaN() || b.isNaN() ? Number(a.isNaN()) - Number(b.isNaN()) : a.comparedTo(b)
}

function doubles(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a < b ? -1 : Number(a > b)
}

function moments(a: string, b: string): number {
  const [left, right] = [momentKey(a), momentKey(b)]
  return left.year === right.year ? ordered(left.rest, right.rest) : left.year - right.year
}

/** The year by itself, because it may have more than four digits or lie before our era; the rest is of fixed width. */
function momentKey(text: string): { year: number; rest: string } {
  if (text === 'infinity') return { year: Infinity, rest: '' }
  if (text === '-infinity') return { year: -Infinity, rest: '' }
  const [, year = '0', rest = '', era] = /^(\d+)-(.*?)(?:\+00)?( BC)?$/.exec(text) ?? []
  return { year: era === undefined ? Number(year) : 1 - Number(year), rest }
}
