import type { Bucketing, Scan } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { ColumnType, Form } from '#model/column-type.ts'
import { hashRow } from '#model/fingerprint.ts'
import type { Row } from '#model/value.ts'

/**
 * What adapters of databases say in SQL, said here: values in the forms of a scan, and the buckets of rows. Both sides of
 * a comparison must agree to the byte, so that each is held to PostgreSQL's own by a test.
 */

/** A value in a form; null where it cannot be held in that form without a loss. `own` is the server's own text. */
export function inForm(own: string, type: ColumnType, form: Form): string | null {
  switch (form) {
    case 'own':
      return own
    case 'text':
      return asText(own, type)
    case 'float64':
      return asDouble(own, type)
    case 'timestamp':
      return /^-?infinity$/.test(own) || beyondTimestamps(own) ? own : own.replace(/^([\d-]+)/, '$1 00:00:00')
    case 'integer':
      return type.kind === 'boolean' ? (own === 't' ? '1' : '0') : own
    case 'decimal':
      return trimScale(own)
    default:
      return fits(trimScale(own), form) ? trimScale(own) : null
  }
}

/** The cast to text, where it is not the output. */
function asText(own: string, type: ColumnType): string {
  if (type.kind === 'boolean') return own === 't' ? 'true' : 'false'
  if (type.kind === 'padded text' || (type.kind === 'other' && type.native === 'bpchar')) return own.replace(/ +$/, '')
  if (type.kind === 'other' && type.native === 'inet' && !own.includes('/')) {
    return `${own}/${own.includes(':') ? 128 : 32}`
  }
  return own
}

/** PostgreSQL's `trim_scale`: digits after the point without the zeros at their end. */
function trimScale(own: string): string {
  return own.includes('.') ? own.replace(/\.?0+$/, '') : own
}

/** Whether numeric(precision,scale) holds a trimmed decimal as it is. */
function fits(decimal: string, form: Form): boolean {
  if (decimal === 'NaN') return true
  const [, precision = '0', scale = '0'] = /^decimal\((\d+),(-?\d+)\)$/.exec(form) ?? []
  const parts = /^-?0*(\d*)(?:\.(\d+))?$/.exec(decimal)
  // An infinity, which no numeric with a precision holds.
  if (parts === null) return false
  const [, whole = '', fraction = ''] = parts
  const [digits, after] = [Number(precision), Number(scale)]
  const rounded = after < 0 ? !new RegExp(`^(?:|.*0{${-after}})$`).test(whole) : false
  return whole.length <= digits - after && fraction.length <= Math.max(0, after) && !rounded
}

/** A date that no timestamp reaches keeps its own text. */
function beyondTimestamps(own: string): boolean {
  const [, year = '0'] = /^(\d+)-/.exec(own) ?? []
  return !own.endsWith('BC') && Number(year) > 294_276
}

/** PostgreSQL's text of a double: the fewest digits that read back the same, in plain form from 1e-4 to below 1e15. */
function asDouble(own: string, type: ColumnType): string {
  if (/^-?[A-Z]/i.test(own)) return own
  const value = type.kind === 'float' && type.bits === 32 ? Math.fround(Number(own)) : Number(own)
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa = '', power = '0'] = Math.abs(value).toExponential().split('e')
  const exponent = Number(power)
  const sign = value < 0 ? '-' : ''
  if (exponent < -4 || exponent >= 15) {
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  const digits = mantissa.replace('.', '')
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const rest = digits.slice(exponent + 1)
  return `${sign}${whole}${rest === '' ? '' : `.${rest}`}`
}

/** The bucket of a row of the scan, from 0 on. */
export function bucketOf(row: Row, { keyLength }: Scan, bucketing: Bucketing): number {
  if (bucketing.by === 'key hash') {
    const hash = hashRow(row.slice(0, keyLength))
    return (hash.readUInt32BE(0) & (bucketing.count - 1)) >>> 0
  }
  const key = BigInt(must(row[0], 'an integer key').toString())
  const bucket = Number((key - bucketing.start) / bucketing.width)
  return Math.max(0, Math.min(bucketing.count - 1, bucket))
}
