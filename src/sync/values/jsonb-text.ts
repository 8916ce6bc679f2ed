import { ValueRefused } from '#model/value.ts'
import { jsonbJson, readJson, type JsonFault, type JsonRules } from './json.ts'

const DEEPEST = 1_000

const REASONS: Readonly<Record<JsonFault, string>> = {
  broken: 'is not valid JSON',
  deep: `is JSON of more than ${DEEPEST} levels`,
  'repeated key': 'is JSON with a key twice',
  number: 'is JSON with a number beyond what jsonb can hold',
  NUL: 'is JSON with a NUL character, which jsonb cannot hold',
  'half a character': 'is JSON with half a character, which jsonb cannot hold',
}

const RULES: JsonRules = {
  deepest: DEEPEST,
  repeatedKey: 'last',
  binary: true,
  refuse: (fault) => {
    throw new ValueRefused(REASONS[fault])
  },
}

/** JSON as PostgreSQL's own cast to `jsonb` writes it back. @throws ValueRefused where that cast fails */
export function jsonbText(text: string): string {
  return jsonbJson(readJson(text, RULES), RULES.refuse)
}
