/** Between the values of columns and JSON. */
import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'

import { fail, textOf } from '#sync/transforms/transform.ts'
import { readArray } from '#sync/transforms/array/literal.ts'
import { JsonNumber, type Json } from '#sync/values/json.ts'
import { readJson } from './tree.ts'

/** Whether the first of the types is jsonb. */
export function isBinary([type]: readonly ColumnType[]): boolean {
  return type?.kind === 'json' && type.binary
}

/** A column's value as JSON, as to_jsonb of PostgreSQL has it: numbers, booleans, json and arrays as such, all else as text. */
export function toJson(type: ColumnType): (value: Value) => Json {
  const of = presentToJson(type)
  return (value) => {
    const text = textOf(value)
    return text === null ? null : of(text)
  }
}

function presentToJson(type: ColumnType): (text: string) => Json {
  switch (type.kind) {
    case 'integer':
      return (text) => new JsonNumber(text)
    case 'decimal':
    case 'float':
      // NaN and the infinities are no numbers of JSON.
      return (text) => (/^-?\d/.test(text) ? new JsonNumber(text) : text)
    case 'boolean':
      return (text) => text === 't'
    case 'json':
      return readJson
    case 'array': {
      const element = toJson(type.of)
      return (text) => readArray(text).map(element)
    }
    case 'timestamp':
      return type.zoned ? (text) => isoText(text).replace(/\+00( BC)?$/, '+00:00$1') : isoText
    default:
      return (text) => text
  }
}

function isoText(text: string): string {
  return text.replace(' ', 'T').replace('TBC', ' BC')
}

/** JSON as the canonical text of a scalar: text without quotes, t and f, the digits of a number; null is NULL. */
export function scalarText(json: Json): string | null {
  if (json === null) return null
  if (typeof json === 'boolean') return String(json)
  if (json instanceof JsonNumber) return json.text
  if (typeof json !== 'string') return fail('the JSON is an object or an array, and no single value')
  if (json.includes('\0') || !json.isWellFormed()) return fail('the text of the JSON cannot be held by a column')
  return json
}
