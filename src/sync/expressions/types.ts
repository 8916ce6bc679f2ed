import type { ColumnType } from '#model/column-type.ts'
import type { ExactDecimal } from './decimal.ts'
import type { Json } from '#sync/values/json.ts'

/** What a value is inside an expression. Every one may also be null. */
export type ScalarKind =
  | 'null'
  | 'bool'
  | 'int'
  | 'decimal'
  | 'double'
  | 'text'
  | 'bytes'
  | 'timestamp'
  | 'datetime'
  | 'date'
  | 'time'
  | 'duration'
  | 'json'

export type CelType = { readonly kind: ScalarKind } | { readonly kind: 'list'; readonly of: CelType }

/**
 * A value inside an expression: `int` is a bigint; `timestamp` and `datetime` are microseconds since 1970, `time` since
 * midnight, and `duration` a number of them, all bigint; `date` is a number of days since 1970.
 */
export type Cel = Json | bigint | number | Uint8Array | ExactDecimal | readonly Cel[]

export function typeOf(kind: ScalarKind): CelType {
  return { kind }
}

export function listOf(of: CelType): CelType {
  return { kind: 'list', of }
}

export function sameType(a: CelType, b: CelType): boolean {
  return a.kind === 'list' && b.kind === 'list' ? sameType(a.of, b.of) : a.kind === b.kind
}

/** For people: `list of int`. */
export function nameType(type: CelType): string {
  return type.kind === 'list' ? `list of ${nameType(type.of)}` : type.kind
}

/** What a column is inside an expression. What has no type of its own there is the text that the server writes. */
export function celTypeOf(type: ColumnType): CelType {
  switch (type.kind) {
    case 'integer':
      return typeOf('int')
    case 'float':
      return typeOf('double')
    case 'boolean':
      return typeOf('bool')
    case 'timestamp':
      return typeOf(type.zoned ? 'timestamp' : 'datetime')
    case 'time':
      return typeOf(type.zoned ? 'text' : 'time')
    case 'array':
      return listOf(celTypeOf(type.of))
    case 'decimal':
    case 'bytes':
    case 'date':
    case 'json':
      return typeOf(type.kind)
    case 'text':
    case 'padded text':
    case 'interval':
    case 'uuid':
    case 'enum':
    case 'other':
      return typeOf('text')
  }
}

/** The column type that carries every value of a type, for results that are not a column as it is. */
export function columnTypeOf(type: CelType): ColumnType {
  switch (type.kind) {
    case 'list':
      return { kind: 'array', of: columnTypeOf(type.of) }
    case 'int':
      return { kind: 'integer', bits: 64 }
    case 'decimal':
      return { kind: 'decimal', precision: null, scale: null }
    case 'double':
      return { kind: 'float', bits: 64 }
    case 'bool':
      return { kind: 'boolean' }
    case 'timestamp':
    case 'datetime':
      return { kind: 'timestamp', zoned: type.kind === 'timestamp', digits: 6 }
    case 'time':
      return { kind: 'time', zoned: false, digits: 6 }
    case 'duration':
      return { kind: 'interval', native: 'interval' }
    case 'json':
      return { kind: 'json', binary: false }
    case 'date':
    case 'bytes':
      return { kind: type.kind }
    case 'text':
    case 'null':
      return { kind: 'text', maxLength: null }
  }
}
