/** Exact arithmetic on the texts of numbers. */
import { Decimal as Base } from 'decimal.js'
import { z } from 'zod'

import { describeType, integerRange, type ColumnType, type IntegerType } from '#model/column-type.ts'

import { fail } from '#sync/transforms/transform.ts'

/** Digits of a number that is calculated with; two of them multiplied still fit the precision below. */
const MAX_DIGITS = 1_000

export const Decimal = Base.clone({
  precision: 2 * MAX_DIGITS + 50,
  toExpNeg: -9e15,
  toExpPos: 9e15,
  modulo: Base.ROUND_DOWN,
})
export type Decimal = Base

export const ROUNDING = {
  half_up: Base.ROUND_HALF_UP,
  half_even: Base.ROUND_HALF_EVEN,
  half_down: Base.ROUND_HALF_DOWN,
  up: Base.ROUND_UP,
  down: Base.ROUND_DOWN,
  floor: Base.ROUND_FLOOR,
  ceiling: Base.ROUND_CEIL,
} as const

export type Rounding = keyof typeof ROUNDING

export const rounding = z.enum(Object.keys(ROUNDING) as [Rounding, ...Rounding[]]).meta({
  description:
    'half_up: halves away from zero, as PostgreSQL rounds; half_even; half_down; up: away from zero; down: toward zero; floor; ceiling.',
})

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?$/

/** A number as somebody writes it into a document: text where it has more digits than a double. */
export const numberArg = z.union([z.number(), z.string().max(200).regex(NUMBER)]).transform(String)

/** The number of a text in canonical form; NaN and the infinities are rejected. */
export function readNumber(text: string): Decimal {
  if (text.length > MAX_DIGITS + 10) return fail(`numbers of more than ${MAX_DIGITS} digits are not calculated with`)
  if (!NUMBER.test(text))
    return fail(
      /^-?(?:NaN|Infinity)$/.test(text) ? 'NaN and the infinities cannot be calculated with' : 'the text is no number',
    )
  return new Decimal(text)
}

/** Digits after the point in a plain number. */
export function scaleOf(text: string): number {
  const point = text.indexOf('.')
  return point === -1 ? 0 : text.length - point - 1
}

/** Plain digits with so many after the point; there is no negative zero. */
export function writeNumber(number: Decimal, scale?: number): string {
  const made = scale === undefined ? number.toFixed() : number.toFixed(scale)
  return made.startsWith('-') && number.isZero() ? made.slice(1) : made
}

/** The digits of a whole number, if a type can hold it. */
export function writeInteger(number: Decimal, type: IntegerType): string {
  const made = number.toFixed(0)
  const whole = BigInt(made)
  const { least, most } = integerRange(type)
  return whole >= least && whole <= most ? String(whole) : fail(`the number does not fit ${describeType(type)}s`)
}

/** Writes results in a type: integers in their bounds, decimals with the digits that the type or the calculation gives. */
export function numberWriter(type: ColumnType | undefined): (number: Decimal, scale: number) => string {
  if (type?.kind === 'integer') return (number) => writeInteger(number, type)
  if (type?.kind === 'decimal' && type.precision !== null) {
    const { precision, scale: digits } = type
    const limit = new Decimal(10).pow(precision - (digits ?? 0))
    return (number) => {
      const made = writeNumber(number, digits ?? 0)
      return new Decimal(made).abs().lt(limit)
        ? made
        : fail(`the number does not fit decimal(${precision},${digits ?? 0})`)
    }
  }
  return writeNumber
}
