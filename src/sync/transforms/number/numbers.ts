/** Numbers: rounded, calculated, bounded, read and written. */
import { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'

import { fail, ofMany, ofText, refuse, textOf, type Transform } from '#sync/transforms/transform.ts'
import { BIGINT, BOOLEAN, DECIMAL, integer, INTEGER, number, same } from '#sync/transforms/types.ts'
import {
  Decimal,
  numberArg,
  numberWriter,
  readNumber,
  ROUNDING,
  rounding,
  type Rounding,
  scaleOf,
  writeInteger,
  writeNumber,
} from './decimal.ts'

const NONE = z.strictObject({})

/** A decimal of so many digits after the point that holds the rounded values of a type. */
function roundedType(type: ColumnType | undefined, digits: number): ColumnType {
  if (type?.kind === 'integer') return digits >= 0 ? type : BIGINT
  if (type?.kind !== 'decimal' || type.precision === null) return DECIMAL
  const whole = Math.max(1, type.precision - (type.scale ?? 0) + 1)
  const scale = Math.max(0, digits)
  return whole + scale > 1000 ? DECIMAL : { kind: 'decimal', precision: whole + scale, scale }
}

const round = ofText({
  name: 'round',
  group: 'Numbers',
  summary: 'Rounds to so many digits after the point; negative digits round to tens, hundreds and so on.',
  args: z.strictObject({
    digits: z.int().min(-100).max(100).default(0).meta({ description: 'Digits after the point.' }),
    mode: rounding.default('half_up'),
  }),
  accepts: number,
  result: ([type], { digits }) => roundedType(type, digits),
  loses: ({ digits }) => `digits beyond ${digits} after the point`,
  inverse: 'the digits are not kept',
  example: { args: { digits: 1 }, types: [DECIMAL], input: ['-2.25'], output: '-2.3' },
  make: ({ digits, mode }, _context, [type]) => {
    const write = numberWriter(roundedType(type, digits))
    if (type?.kind === 'integer' && digits >= 0) return (value) => value
    return (value) => {
      const given = readNumber(value)
      if (digits >= 0) return write(given.toDecimalPlaces(digits, ROUNDING[mode]), digits)
      const unit = new Decimal(10).pow(-digits)
      return write(given.div(unit).toDecimalPlaces(0, ROUNDING[mode]).mul(unit), 0)
    }
  },
})

const roundTo = ofText({
  name: 'round_to',
  group: 'Numbers',
  summary: 'Rounds to a multiple of a number, such as 0.05 for cash or 15 for minutes.',
  args: z.strictObject({
    multiple: numberArg
      .refine((of) => Number(of) > 0, { error: 'It must be more than 0.' })
      .meta({ description: 'The step.' }),
    mode: rounding.default('half_up'),
  }),
  accepts: number,
  result: ([type], { multiple }) => (type?.kind === 'integer' && new Decimal(multiple).isInteger() ? BIGINT : DECIMAL),
  loses: 'what lies between the multiples',
  inverse: 'what lay between the multiples is not kept',
  example: { args: { multiple: '0.05' }, types: [DECIMAL], input: ['12.47'], output: '12.45' },
  make: ({ multiple, mode }, _context, [type]) => {
    const step = new Decimal(multiple)
    const whole = type?.kind === 'integer' && step.isInteger()
    const digits = step.decimalPlaces()
    return (value) => {
      // toNearest compares remainders exactly, where a quotient such as x / 3 would already be rounded.
      const made = readNumber(value).toNearest(step, ROUNDING[mode])
      return whole ? writeInteger(made, BIGINT) : writeNumber(made, digits)
    }
  },
})

const abs = ofText({
  name: 'abs',
  group: 'Numbers',
  summary: 'Drops the sign.',
  args: NONE,
  accepts: number,
  result: same,
  loses: 'the sign',
  inverse: 'the sign is not kept',
  example: { types: [DECIMAL], input: ['-4.50'], output: '4.50' },
  make: (_args, _context, [type]) => {
    const write = numberWriter(type)
    return (value) => (value.startsWith('-') ? write(readNumber(value).abs(), scaleOf(value)) : value)
  },
})

const negate = ofText({
  name: 'negate',
  group: 'Numbers',
  summary: 'Turns the sign around.',
  args: NONE,
  accepts: number,
  result: same,
  loses: null,
  inverse: () => ({ name: 'negate', args: {} }),
  example: { types: [INTEGER], input: ['42'], output: '-42' },
  make: (_args, _context, [type]) => {
    const write = numberWriter(type)
    return (value) => write(readNumber(value).neg(), scaleOf(value))
  },
})

const scale = ofText({
  name: 'scale',
  group: 'Numbers',
  summary: 'Moves the decimal point: 2 makes cents of euros, -2 euros of cents. Exact.',
  args: z.strictObject({
    power: z.int().min(-100).max(100).meta({ description: 'Places to the right; negative to the left.' }),
  }),
  accepts: number,
  result: ([type], { power }) => {
    if (type?.kind === 'integer' && power >= 0) return BIGINT
    if (type?.kind !== 'decimal' || type.precision === null) return DECIMAL
    const digits = Math.max(0, (type.scale ?? 0) - power)
    const whole = Math.max(1, type.precision - (type.scale ?? 0) + power)
    return whole + digits > 1000 ? DECIMAL : { kind: 'decimal', precision: whole + digits, scale: digits }
  },
  loses: null,
  inverse: ({ power }, [type]) =>
    type?.kind === 'integer' && power < 0
      ? refuse('the way back gives decimals, and the column has integers')
      : { name: 'scale', args: { power: -power } },
  example: { args: { power: -2 }, types: [INTEGER], input: ['1999'], output: '19.99' },
  make: ({ power }, _context, [type]) => {
    const whole = type?.kind === 'integer' && power >= 0
    const unit = new Decimal(10).pow(power)
    return (value) => {
      const made = readNumber(value).mul(unit)
      return whole ? writeInteger(made, BIGINT) : writeNumber(made, Math.max(0, scaleOf(value) - power))
    }
  },
})

const add = ofText({
  name: 'add',
  group: 'Numbers',
  summary: 'Adds a number; a negative one is taken away.',
  args: z.strictObject({ number: numberArg.meta({ description: 'What is added.' }) }),
  accepts: number,
  result: ([type], args) => (type?.kind === 'integer' && new Decimal(args.number).isInteger() ? type : DECIMAL),
  loses: null,
  inverse: (args, [type]) =>
    type?.kind === 'integer' && new Decimal(args.number).isInteger()
      ? { name: 'add', args: { number: new Decimal(args.number).neg().toFixed() } }
      : refuse('the way back may give more digits after the point than the column had'),
  example: { args: { number: 100 }, types: [INTEGER], input: ['-1'], output: '99' },
  make: (args, _context, [type]) => {
    const addend = new Decimal(args.number)
    const write = numberWriter(type?.kind === 'integer' && addend.isInteger() ? type : DECIMAL)
    return (value) => write(readNumber(value).add(addend), Math.max(scaleOf(value), addend.decimalPlaces()))
  },
})

const multiply = ofText({
  name: 'multiply',
  group: 'Numbers',
  summary: 'Multiplies by a number, exactly.',
  args: z.strictObject({ by: numberArg.meta({ description: 'The factor.' }) }),
  accepts: number,
  result: ([type], { by }) => (type?.kind === 'integer' && new Decimal(by).isInteger() ? BIGINT : DECIMAL),
  loses: ({ by }) => (Number(by) === 0 ? 'everything: the factor is 0' : null),
  inverse: 'a division may not end; "divide" says how it is rounded',
  example: { args: { by: '1.19' }, types: [DECIMAL], input: ['10.00'], output: '11.9000' },
  make: ({ by }, _context, [type]) => {
    const factor = new Decimal(by)
    const write = numberWriter(type?.kind === 'integer' && factor.isInteger() ? BIGINT : DECIMAL)
    return (value) => write(readNumber(value).mul(factor), scaleOf(value) + factor.decimalPlaces())
  },
})

const divide = ofText({
  name: 'divide',
  group: 'Numbers',
  summary: 'Divides by a number and rounds.',
  args: z.strictObject({
    by: numberArg.refine((by) => Number(by) !== 0, { error: 'It cannot be 0.' }).meta({ description: 'The divisor.' }),
    digits: z.int().min(0).max(100).meta({ description: 'Digits after the point.' }),
    mode: rounding.default('half_up'),
  }),
  accepts: number,
  result: DECIMAL,
  loses: ({ digits }) => `digits beyond ${digits} after the point`,
  inverse: 'the digits beyond are not kept',
  example: { args: { by: 3, digits: 4 }, types: [INTEGER], input: ['10'], output: '3.3333' },
  make: ({ by, digits, mode }) => {
    const divisor = new Decimal(by)
    return (value) => writeNumber(dividedBy(readNumber(value), divisor, { digits, mode: ROUNDING[mode] }), digits)
  },
})

type RoundingMode = (typeof ROUNDING)[Rounding]

/** Rounded once, from the exact remainder: a quotient of limited length could stand on a half that is none. */
function dividedBy(given: Decimal, divisor: Decimal, to: { digits: number; mode: RoundingMode }): Decimal {
  const unit = new Decimal(10).pow(-to.digits)
  return given.toNearest(divisor.abs().mul(unit), divisor.isNegative() ? mirrored(to.mode) : to.mode).div(divisor)
}

/** The rounding of the dividend that gives the quotient's, where the divisor turns the sign around. */
function mirrored(mode: RoundingMode): RoundingMode {
  return mode === ROUNDING.floor ? ROUNDING.ceiling : mode === ROUNDING.ceiling ? ROUNDING.floor : mode
}

const modulo = ofText({
  name: 'modulo',
  group: 'Numbers',
  summary: 'Takes the remainder of a division.',
  args: z.strictObject({
    by: numberArg
      .refine((by) => Number(by) > 0, { error: 'It must be more than 0.' })
      .meta({ description: 'The divisor.' }),
    sign: z
      .enum(['as_given', 'never_negative'])
      .default('as_given')
      .meta({ description: 'Of negative numbers: as in SQL, or from 0 on.' }),
  }),
  accepts: number,
  result: ([type], { by }) => (type?.kind === 'integer' && new Decimal(by).isInteger() ? BIGINT : DECIMAL),
  loses: 'the whole multiples',
  inverse: 'the whole multiples are not kept',
  example: { args: { by: 16, sign: 'never_negative' }, types: [INTEGER], input: ['-1'], output: '15' },
  make: ({ by, sign }) => {
    const divisor = new Decimal(by)
    return (value) => {
      const rest = readNumber(value).mod(divisor)
      const made = sign === 'never_negative' && rest.isNegative() && !rest.isZero() ? rest.add(divisor) : rest
      return writeNumber(made, Math.max(scaleOf(value), divisor.decimalPlaces()))
    }
  },
})

const clamp = ofText({
  name: 'clamp',
  group: 'Numbers',
  summary: 'Keeps numbers within bounds: what lies outside becomes the bound.',
  args: z.strictObject({
    min: numberArg.optional().meta({ description: 'The least.' }),
    max: numberArg.optional().meta({ description: 'The most.' }),
  }),
  accepts: number,
  result: ([type], { min, max }) => {
    const bounds = [min, max].filter((bound) => bound !== undefined).map((bound) => new Decimal(bound))
    if (min !== undefined && max !== undefined && new Decimal(min).gt(max)) return refuse('min is more than max')
    if (type?.kind !== 'integer') return DECIMAL
    return bounds.every((bound) => bound.isInteger()) ? type : refuse('bounds of integers are integers')
  },
  loses: 'how far beyond the bounds a number lay',
  inverse: 'numbers beyond the bounds are not kept',
  example: { args: { min: 0, max: 100 }, types: [INTEGER], input: ['140'], output: '100' },
  make: ({ min, max }, _context, [type]) => {
    const least = min === undefined ? null : new Decimal(min)
    const most = max === undefined ? null : new Decimal(max)
    const write = numberWriter(type?.kind === 'integer' ? type : DECIMAL)
    return (value) => {
      const given = readNumber(value)
      if (least?.gt(given) === true) return write(least, least.decimalPlaces())
      return most?.lt(given) === true ? write(most, most.decimalPlaces()) : value
    }
  },
})

const bit = ofText({
  name: 'bit',
  group: 'Numbers',
  summary: 'Says whether a bit of an integer is set, as in columns of flags.',
  args: z.strictObject({ bit: z.int().min(0).max(63).meta({ description: 'Which bit, from 0 for the lowest.' }) }),
  accepts: integer,
  result: BOOLEAN,
  loses: 'the other bits',
  inverse: 'the other bits are not kept',
  example: { args: { bit: 2 }, types: [INTEGER], input: ['5'], output: 't' },
  make:
    ({ bit: place }) =>
    (value) =>
      ((BigInt(value) >> BigInt(place)) & 1n) === 1n ? 't' : 'f',
})

const calculate = ofMany({
  name: 'calculate',
  group: 'Numbers',
  summary: 'Makes one number of several columns: sum, difference, product, least, greatest or mean.',
  args: z.strictObject({
    what: z
      .enum(['sum', 'difference', 'product', 'least', 'greatest', 'mean'])
      .meta({ description: 'How they are taken together, from left to right.' }),
    nulls: z
      .enum(['null', 'skip'])
      .default('null')
      .meta({ description: 'NULL makes the result NULL, or is left out.' }),
    digits: z
      .int()
      .min(0)
      .max(100)
      .default(6)
      .meta({ description: 'Digits after the point of a mean, rounded half up.' }),
  }),
  accepts: number,
  nulls: 'NULL; with `nulls: skip` only where all are NULL.',
  result: DECIMAL,
  loses: 'the single numbers',
  inverse: 'the single numbers are not kept',
  example: { args: { what: 'product' }, types: [INTEGER, DECIMAL], input: ['3', '19.99'], output: '59.97' },
  make:
    ({ what, nulls, digits }) =>
    (values) => {
      const texts = values.map(textOf)
      const present = texts.filter((value) => value !== null)
      if (present.length === 0 || (nulls === 'null' && present.length < texts.length)) return null
      const numbers = present.map(readNumber)
      const scales = present.map(scaleOf)
      const widest = Math.max(...scales)
      const sum = (): Decimal => numbers.reduce((all, one) => all.add(one))
      switch (what) {
        case 'sum':
          return writeNumber(sum(), widest)
        case 'difference':
          return writeNumber(
            numbers.reduce((all, one) => all.sub(one)),
            widest,
          )
        case 'product':
          if (scales.reduce((all, one) => all + one) > 1000) return fail('the product has too many digits')
          return writeNumber(
            numbers.reduce((all, one) =>
              all.precision() + one.precision() > 2000 ? fail('the product has too many digits') : all.mul(one),
            ),
            scales.reduce((all, one) => all + one),
          )
        case 'mean':
          return writeNumber(dividedBy(sum(), new Decimal(numbers.length), { digits, mode: ROUNDING.half_up }), digits)
        case 'least':
        case 'greatest':
          return writeNumber(what === 'least' ? Decimal.min(...numbers) : Decimal.max(...numbers), widest)
      }
    },
})

export const NUMBERS: readonly Transform[] = [
  round,
  roundTo,
  abs,
  negate,
  scale,
  add,
  multiply,
  divide,
  modulo,
  clamp,
  bit,
  calculate,
]
