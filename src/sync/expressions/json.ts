import { readJson, type Json, type JsonFault, type JsonRules } from '#sync/values/json.ts'
import { fail, MAX_DEPTH } from './failure.ts'

const NO_JSON = 'A text is not valid JSON.'

/** Of two equal keys the last one stands, as in jsonb. */
const RULES: JsonRules = {
  deepest: MAX_DEPTH,
  repeatedKey: 'last',
  binary: false,
  refuse: (fault: JsonFault) => fail(fault === 'deep' ? `JSON is nested deeper than ${MAX_DEPTH}.` : NO_JSON),
}

/** Reads JSON text. @throws ExpressionFailure where it is none, or is nested too deep */
export function parseJson(text: string): Json {
  return readJson(text, RULES)
}
