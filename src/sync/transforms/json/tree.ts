/** JSON as transforms take it: a key that an object has twice is rejected, as one value would be lost (hazard C2). */
import {
  isArray,
  isObject,
  jsonbJson,
  readJson as read,
  spacedJson,
  type Json,
  type JsonFault,
  type JsonObject,
  type JsonRules,
} from '#sync/values/json.ts'
import { fail } from '#sync/transforms/transform.ts'

const DEEPEST = 500

const REASONS: Readonly<Record<JsonFault, string>> = {
  broken: 'the text is no JSON',
  deep: `the JSON is nested more than ${DEEPEST} deep`,
  'repeated key': 'a JSON object has a key twice',
  number: 'a number of the JSON is too large for jsonb',
  NUL: 'jsonb holds neither a zero byte nor half a surrogate pair',
  'half a character': 'jsonb holds neither a zero byte nor half a surrogate pair',
}

const RULES: JsonRules = {
  deepest: DEEPEST,
  repeatedKey: 'refused',
  binary: false,
  refuse: (fault) => fail(REASONS[fault]),
}

/** Reads the text of json or jsonb. */
export function readJson(text: string): Json {
  return read(text, RULES)
}

/** Writes JSON; `binary` as jsonb would have it. */
export function writeJson(json: Json, binary: boolean): string {
  return binary ? jsonbJson(json, RULES.refuse) : spacedJson(json)
}

/** The members of an object; anything else is rejected. */
export function membersOf(json: Json): JsonObject {
  return isObject(json) ? json : fail('the JSON is no object')
}

export function elementsOf(json: Json): readonly Json[] {
  return isArray(json) ? json : fail('the JSON is no array')
}
