import type { ColumnHash } from './fingerprint.ts'

/**
 * A column's type in words that every engine shares. What only one engine has is `other` under its own signature.
 * `signature` says all that decides whether two types carry the very same values: two columns whose signatures are
 * equal exchange values as they are, of whatever engine.
 */
export type ColumnType =
  | { readonly kind: 'integer'; readonly bits: 16 | 32 | 64 }
  | {
      readonly kind: 'decimal'
      readonly precision: number | null
      readonly scale: number | null
      /** It may have a precision that the source does not tell. */
      readonly untold?: true
    }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'text'; readonly maxLength: number | null }
  | { readonly kind: 'padded text'; readonly length: number }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'timestamp'; readonly zoned: boolean; readonly digits: number }
  | { readonly kind: 'date' }
  | { readonly kind: 'time'; readonly zoned: boolean; readonly digits: number }
  | { readonly kind: 'interval'; readonly native: string }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'json'; readonly binary: boolean }
  | { readonly kind: 'enum'; readonly labels: readonly string[] }
  | { readonly kind: 'array'; readonly of: ColumnType }
  | { readonly kind: 'other'; readonly native: string }

/** How a value is written down so that both sides write it alike; each adapter says it in its own SQL. */
export type Form =
  /** the type's own output text */
  | 'own'
  /** the value cast to text */
  | 'text'
  /** a plain decimal number without trailing zeros after the point */
  | 'decimal'
  /** the same of a source that tells no precision: its reader refuses a value that numeric(precision,scale) would round */
  | `decimal(${number},${number})`
  /** an IEEE double, shortest text that reads back the same */
  | 'float64'
  /** `YYYY-MM-DD HH:MM:SS[.ffffff]` without a zone */
  | 'timestamp'

/** Whether one type can be carried into another without losing or inventing anything, and in which form. */
export type Carriage = { readonly ok: true; readonly form: Form } | { readonly ok: false; readonly reason: string }

/** How the fast fingerprint takes a column of a pair: one way for both sides, or else by output. */
export function columnHash({
  source,
  target,
  form,
}: {
  source: ColumnType
  target: ColumnType
  form: Form
}): ColumnHash {
  // Every other form is made by an expression of ours, whose type has no cast of its own.
  if (form !== 'own') return 'text'
  const [from, to] = [typeHash(source), typeHash(target)]
  return from === to ? from : 'output'
}

function typeHash(type: ColumnType): ColumnHash {
  switch (type.kind) {
    case 'integer':
    case 'boolean':
    case 'uuid':
      return type.kind
    case 'array':
      // Only the arrays of the server's own types: whoever owns a type may give its arrays a cast.
      return isCatalogType(type.of) ? 'text' : 'output'
    case 'padded text':
    case 'other':
      return 'output'
    default:
      return 'text'
  }
}

function isCatalogType(type: ColumnType): boolean {
  if (type.kind === 'array') return isCatalogType(type.of)
  return type.kind !== 'enum' && type.kind !== 'other'
}

const own: Carriage = { ok: true, form: 'own' }
const as = (form: Form): Carriage => ({ ok: true, form })
const no = (reason: string): Carriage => ({ ok: false, reason })

/** Judges a pair of column types. Only what is lossless for every value of the source type passes. */
export function judgePair(source: ColumnType, target: ColumnType): Carriage {
  if (JSON.stringify(source) === JSON.stringify(target)) return own
  if (target.kind === 'text') return judgeIntoText(source, target)
  switch (source.kind) {
    case 'integer':
      return judgeInteger(source, target)
    case 'decimal':
      return judgeDecimal(source, target)
    case 'float':
      return target.kind === 'float' && target.bits > source.bits ? as('float64') : impossible(source, target)
    case 'timestamp':
    case 'time':
      return target.kind === source.kind && target.zoned === source.zoned && target.digits >= source.digits
        ? own
        : impossible(source, target)
    case 'date':
      return target.kind === 'timestamp' && !target.zoned ? as('timestamp') : impossible(source, target)
    case 'json':
      return target.kind === 'json' && source.binary
        ? own
        : no('json keeps spacing, order and duplicate keys that jsonb drops')
    case 'enum': {
      if (target.kind !== 'enum') return impossible(source, target)
      const missing = source.labels.filter((label) => !target.labels.includes(label))
      return missing.length === 0 ? own : no(`the target enum has no label ${missing.map((l) => `"${l}"`).join(', ')}`)
    }
    case 'array': {
      if (target.kind !== 'array') return impossible(source, target)
      const element = judgePair(source.of, target.of)
      return element.ok && element.form !== 'own' ? no('the elements would have to be converted one by one') : element
    }
    default:
      return impossible(source, target)
  }
}

function judgeIntoText(source: ColumnType, target: { readonly maxLength: number | null }): Carriage {
  if (target.maxLength === null) return source.kind === 'text' ? own : as('text')
  if (source.kind === 'text' && source.maxLength !== null && source.maxLength <= target.maxLength) return own
  if (source.kind === 'padded text' && source.length <= target.maxLength) return as('text')
  if (source.kind === 'uuid' && target.maxLength >= 36) return as('text')
  return no(`a value may be longer than ${target.maxLength} characters`)
}

function judgeInteger(source: { readonly bits: number }, target: ColumnType): Carriage {
  const digits = { 16: 5, 32: 10, 64: 19 }[source.bits] ?? 19
  if (target.kind === 'integer') {
    return target.bits >= source.bits ? own : no(`${source.bits}-bit integers overflow ${target.bits} bits`)
  }
  if (target.kind === 'decimal') {
    if (target.precision === null) return as('decimal')
    const scale = target.scale ?? 0
    if (scale < 0) return no(`${describeType(target)} rounds whole numbers`)
    const whole = target.precision - scale
    return whole >= digits ? as('decimal') : no(`values of ${digits} digits overflow ${describeType(target)}`)
  }
  if (target.kind === 'float' && target.bits === 64 && source.bits <= 32) return as('float64')
  return impossible({ kind: 'integer', bits: 64 }, target)
}

function judgeDecimal(
  source: { readonly precision: number | null; readonly scale: number | null; readonly untold?: true },
  target: ColumnType,
): Carriage {
  const sourceType: ColumnType = { kind: 'decimal', ...source }
  if (target.kind !== 'decimal') return impossible(sourceType, target)
  // An unlimited numeric keeps the scale that each value came with, so the texts agree as they are.
  if (target.precision === null) return own
  if (source.untold) return as(`decimal(${target.precision},${target.scale ?? 0})`)
  if (source.precision === null) return no(`a value may not fit ${describeType(target)}`)
  const scale = target.scale ?? 0
  const whole = target.precision - scale
  const fits = scale >= (source.scale ?? 0) && whole >= source.precision - (source.scale ?? 0)
  return fits ? as('decimal') : no(`${describeType(sourceType)} does not fit ${describeType(target)}`)
}

function impossible(source: ColumnType, target: ColumnType): Carriage {
  return no(`${describeType(source)} cannot become ${describeType(target)} without a conversion that somebody chose`)
}

/** For people: `decimal(10,2)`, `timestamp(6) with time zone`. */
export function describeType(type: ColumnType): string {
  switch (type.kind) {
    case 'integer':
    case 'float':
      return `${type.bits}-bit ${type.kind}`
    case 'decimal':
      return type.precision === null ? 'decimal' : `decimal(${type.precision},${type.scale ?? 0})`
    case 'text':
      return type.maxLength === null ? 'text' : `text(${type.maxLength})`
    case 'padded text':
      return `char(${type.length})`
    case 'timestamp':
    case 'time':
      return `${type.kind}(${type.digits})${type.zoned ? ' with time zone' : ''}`
    case 'json':
      return type.binary ? 'jsonb' : 'json'
    case 'enum':
      return `enum(${type.labels.length} labels)`
    case 'array':
      return `array of ${describeType(type.of)}`
    case 'interval':
    case 'other':
      return type.native
    case 'boolean':
    case 'date':
    case 'uuid':
    case 'bytes':
      return type.kind
  }
}
