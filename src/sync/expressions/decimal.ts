import { Decimal } from 'decimal.js'
import { fail } from './failure.ts'

/** Digits before and after the point that arithmetic takes and gives. */
const MAX_DIGITS = 2_000
/** Significant digits of a quotient that does not end. */
const QUOTIENT_DIGITS = 38

/** Sums and products of operands within the bound are exact: their digits never reach this precision. */
const Exact = Decimal.clone({
  precision: 5 * MAX_DIGITS,
  rounding: Decimal.ROUND_HALF_UP,
  toExpNeg: -9e15,
  toExpPos: 9e15,
})

export type ExactDecimal = Decimal

export const ROUNDING = {
  half_up: Decimal.ROUND_HALF_UP,
  half_even: Decimal.ROUND_HALF_EVEN,
  half_down: Decimal.ROUND_HALF_DOWN,
  up: Decimal.ROUND_UP,
  down: Decimal.ROUND_DOWN,
  ceil: Decimal.ROUND_CEIL,
  floor: Decimal.ROUND_FLOOR,
} as const

const NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?$/

/** Reads a number as people and servers write it, or null. Surrounding blanks are let be. */
export function parseDecimal(text: string): Decimal | null {
  const trimmed = text.trim()
  if (NUMBER.test(trimmed)) return new Exact(trimmed)
  return /^(?:NaN|-?Infinity)$/.test(trimmed) ? new Exact(trimmed) : null
}

export function isDecimal(value: unknown): value is ExactDecimal {
  return Decimal.isDecimal(value)
}

/** A number in the server's own text. */
export function readDecimal(text: string): Decimal {
  return new Exact(text)
}

export function fromInteger(value: bigint): Decimal {
  return new Exact(value.toString())
}

/** The number that a double stands for, to its last bit. */
export function fromDouble(value: number): Decimal {
  return new Exact(value)
}

/** The canonical text: no exponent, no zeros after the last digit behind the point. */
export function decimalText(value: Decimal): string {
  return value.isZero() ? '0' : value.toFixed()
}

/** NaN equals itself and is greater than all, as in the databases. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const [left, right] = [a.isNaN(), b.isNaN()]
  if (left || right) return Number(left) - Number(right)
  return a.comparedTo(b)
}

export function calculate(operator: '+' | '-' | '*' | '/' | '%', a: Decimal, b: Decimal): Decimal {
  bounded(a)
  bounded(b)
  switch (operator) {
    case '+':
      return bounded(a.plus(b))
    case '-':
      return bounded(a.minus(b))
    case '*':
      return bounded(a.times(b))
    case '/':
      return divide(a, b)
    case '%':
      if (b.isZero()) fail('A number is divided by zero.')
      return bounded(a.modulo(b))
  }
}

function divide(a: Decimal, b: Decimal): Decimal {
  if (b.isZero()) fail('A number is divided by zero.')
  const digits = Math.max(QUOTIENT_DIGITS, a.precision(), b.precision())
  return a.isFinite() && b.isFinite() ? bounded(a.dividedBy(b).toSignificantDigits(digits)) : a.dividedBy(b)
}

export function round(value: Decimal, digits: bigint, mode: string): Decimal {
  if (!Object.hasOwn(ROUNDING, mode)) fail(`round knows the modes ${Object.keys(ROUNDING).join(', ')}.`)
  if (digits < -MAX_DIGITS || digits > MAX_DIGITS) fail(`Digits must lie between -${MAX_DIGITS} and ${MAX_DIGITS}.`)
  const rounding = ROUNDING[mode as keyof typeof ROUNDING]
  bounded(value)
  if (!value.isFinite()) return value
  if (digits >= 0n) return value.toDecimalPlaces(Number(digits), rounding)
  const unit = new Exact(10).pow(-Number(digits))
  return value.dividedBy(unit).toDecimalPlaces(0, rounding).times(unit)
}

/** With exactly so many digits after the point. */
export function fixed(value: Decimal, digits: bigint): string {
  if (digits < 0n || digits > MAX_DIGITS) fail(`Digits must lie between 0 and ${MAX_DIGITS}.`)
  const rounded = round(value, digits, 'half_up')
  return rounded.isZero() ? new Exact(0).toFixed(Number(digits)) : rounded.toFixed(Number(digits))
}

const MIN_INT = -(2n ** 63n)
const MAX_INT = 2n ** 63n - 1n

/** A 64-bit integer, or a failure. */
export function checkInt(value: bigint): bigint {
  if (value < MIN_INT || value > MAX_INT) fail('An integer does not fit 64 bits.')
  return value
}

/** The integer that a number is. What has a fraction is none: round it first. */
export function toInteger(value: Decimal): bigint {
  if (!value.isInteger()) fail('A number is not whole: round it first.')
  if (value.e > 19) fail('An integer does not fit 64 bits.')
  return checkInt(BigInt(value.toFixed()))
}

function bounded(value: Decimal): Decimal {
  if (value.isFinite() && (Math.abs(value.e) > MAX_DIGITS || value.decimalPlaces() > MAX_DIGITS)) {
    fail(`A number has more than ${MAX_DIGITS} digits before or after the point.`)
  }
  return value
}

/** As the databases order doubles: NaN equals itself and is greater than all. */
export function compareDoubles(a: number, b: number): number {
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return 0
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
}
