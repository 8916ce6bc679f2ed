import { Decimal as Base } from 'decimal.js'

/** Holds every digit of a single, and of any double that is looked at here. */
const Decimal = Base.clone({ precision: 400, toExpNeg: -9e15, toExpPos: 9e15 })

/**
 * The text of a float as PostgreSQL writes it: the shortest digits that read back the same, plain for exponents from -4
 * to 14 (to 5 in 32 bits), else `d.ddde±dd`. With 32 bits the number is rounded to a single before; what is beyond the
 * type is infinite then.
 */
export function floatText(number: number, bits: 32 | 64): string {
  const value = bits === 32 ? Math.fround(number) : number
  if (!Number.isFinite(value)) return String(value)
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa = '', exponent = '0'] = shortest(value, bits).split('e')
  const power = Number(exponent)
  if (power < -4 || power >= (bits === 32 ? 6 : 15)) {
    return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  }
  const sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace(/[-.]/g, '')
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`
  const whole = digits.slice(0, power + 1).padEnd(power + 1, '0')
  const fraction = digits.slice(power + 1)
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/** Digits that tell any number of the type from all others. */
const MOST_DIGITS = { 32: 9, 64: 17 } as const

/** Beyond these a text of up to 17 digits is never halfway between two doubles. */
const HALFWAY = { from: 2 ** 53, to: 1e41 }

/**
 * The fewest digits that lie nearer to the number than to any other. JavaScript also takes what is exactly halfway to a
 * neighbour and is rounded here; PostgreSQL takes more digits then: 1e+23 is 9.999999999999999e+22.
 */
function shortest(value: number, bits: 32 | 64): string {
  if (bits === 32) return fewestDigits(value, 32, 1)
  const text = value.toExponential()
  const size = Math.abs(value)
  if (size < HALFWAY.from || size > HALFWAY.to || !isHalfway(text, value, 64)) return text
  return fewestDigits(value, 64, text.replace(/e.*$/, '').replace(/[-.]/g, '').length)
}

function fewestDigits(value: number, bits: 32 | 64, from: number): string {
  const exact = exactly(value)
  for (let digits = from; digits < MOST_DIGITS[bits]; digits++) {
    // Where two are equally near, the even one is taken. Below a power of two numbers lie closer than above it: there
    // the nearest text may belong to the number below, and the next one away from zero to this number.
    for (const rounding of [Decimal.ROUND_HALF_EVEN, Decimal.ROUND_UP]) {
      const text = exact.toSignificantDigits(digits, rounding).toExponential(digits - 1)
      const read = bits === 32 ? Math.fround(Number(text)) : Number(text)
      if (read === value && !isHalfway(text, value, bits)) return trimmed(text)
    }
  }
  return trimmed(value.toExponential(MOST_DIGITS[bits] - 1))
}

/** Whether a text is as near to a neighbour of the number as to the number. */
function isHalfway(text: string, value: number, bits: 32 | 64): boolean {
  const read = new Decimal(text)
  const side = read.cmp(exactly(value))
  if (side === 0) return false
  const next = neighbour(value, side, bits)
  return Number.isFinite(next) && read.mul(2).eq(exactly(value).add(exactly(next)))
}

/** All digits of a whole double, or of any single: none has more than 149 binary digits after the point. */
function exactly(value: number): Base {
  if (Number.isInteger(value)) return new Decimal(String(BigInt(value)))
  return new Decimal(String(BigInt(value * 2 ** 149))).div(new Decimal(2).pow(149))
}

/** The next number above or below. */
function neighbour(value: number, side: number, bits: 32 | 64): number {
  const step = value > 0 === side > 0 ? 1 : -1
  const view = new DataView(new ArrayBuffer(8))
  if (bits === 64) {
    view.setFloat64(0, value)
    view.setBigUint64(0, view.getBigUint64(0) + BigInt(step))
    return view.getFloat64(0)
  }
  view.setFloat32(0, value)
  view.setUint32(0, view.getUint32(0) + step)
  return view.getFloat32(0)
}

/** Without zeros at the end of the mantissa. */
function trimmed(text: string): string {
  const [mantissa = '', power = ''] = text.split('e')
  return `${mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa}e${power}`
}
