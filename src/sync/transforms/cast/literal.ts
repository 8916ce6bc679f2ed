/** Whether a text is a value of a type in its canonical form. */
import { describeType, type ColumnType } from '#model/column-type.ts'

import { TransformError } from '#sync/transforms/transform.ts'
import { maxLength } from '#sync/transforms/types.ts'
import { readArray } from '#sync/transforms/array/literal.ts'
import { readJson } from '#sync/transforms/json/tree.ts'
import { numberWriter, readNumber, scaleOf } from '#sync/transforms/number/decimal.ts'
import { isInfinite, readClock, readMoment, writeMoment } from '#sync/transforms/time/moment.ts'
import { charactersOf } from '#sync/transforms/text/characters.ts'

/** Null where it is; else the reason, which names the type. */
export function whyNotOf(value: string, type: ColumnType): string | null {
  try {
    return isOf(value, type) ? null : `a value given is no ${describeType(type)} in its canonical form`
  } catch (error) {
    if (!(error instanceof TransformError)) throw error
    return `a value given is no ${describeType(type)}: ${error.reason}`
  }
}

function isOf(value: string, type: ColumnType): boolean {
  switch (type.kind) {
    case 'text':
    case 'padded text': {
      const most = maxLength(type)
      return !value.includes('\0') && value.isWellFormed() && (most === null || charactersOf(value) <= most)
    }
    case 'integer':
    case 'decimal':
      return numberWriter(type)(readNumber(value), scaleOf(value)) === value
    case 'float':
      return /^-?(?:\d+(?:\.\d+)?(?:e[+-]\d\d+)?|Infinity)$|^NaN$/.test(value)
    case 'boolean':
      return value === 't' || value === 'f'
    case 'timestamp':
    case 'date':
      return isInfinite(value) || writeMoment(readMoment(value), type) === value
    case 'time':
      return !type.zoned && writeMoment({ day: 0, micros: readClock(value) }, type) === value
    case 'uuid':
      return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(value)
    case 'bytes':
      return /^\\x(?:[\da-f]{2})*$/.test(value)
    case 'json':
      return readJson(value) !== null || value === 'null'
    case 'enum':
      return type.labels.includes(value)
    case 'array':
      return readArray(value).every((element) => element === null || isOf(element, type.of))
    default:
      return value !== ''
  }
}
