/** C2: JSON keeps what it was, and none can take the memory or the stack. */
import { expect, test } from 'vitest'

import { compactJson, jsonbJson, JsonNumber, readJson, spacedJson, type JsonFault, type JsonRules } from './json.ts'

const refuse = (fault: JsonFault): never => {
  throw new Error(fault)
}
const RULES: JsonRules = { deepest: 10, repeatedKey: 'last', binary: false, refuse }

test('C2: numbers, keys and their order are kept', () => {
  const text = '{"b":1.10,"a":[9007199254740993,1E+2,-0],"__proto__":null,"":{"1":"\\ud800","0":true}}'
  expect(compactJson(readJson(text, RULES))).toBe(text)
  expect(spacedJson(readJson(text, RULES))).toBe(text.replaceAll(/[:,]/g, '$& '))
})

test('C2: of a key that comes twice the last stands, or it is refused', () => {
  expect(compactJson(readJson('{"a":1,"b":2,"\\u0061":3}', RULES))).toBe('{"a":3,"b":2}')
  expect(() => readJson('{"a":1,"\\u0061":3}', { ...RULES, repeatedKey: 'refused' })).toThrow('repeated key')
})

test('C2: what jsonb cannot hold is refused, also where a later value takes its place', () => {
  const rules: JsonRules = { ...RULES, binary: true }
  expect(() => readJson('{"a":"\\u0000","a":1}', rules)).toThrow('NUL')
  expect(() => readJson('{"a":"\\udc00","a":1}', rules)).toThrow('half a character')
  expect(() => readJson('{"a":1e200000,"a":1}', rules)).toThrow('number')
  expect(() => jsonbJson(new Map([['\0', '1']]), refuse)).toThrow('NUL')
  expect(() => jsonbJson([new JsonNumber('1e131072')], refuse)).toThrow('number')
})

test('invariant 6: levels are bounded before the stack is', () => {
  const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
  expect(compactJson(readJson(deep(11), RULES))).toBe(deep(11))
  expect(() => readJson(deep(12), RULES)).toThrow('deep')
  expect(() => readJson(deep(1_000_000), RULES)).toThrow('deep')
  expect(() => readJson('{"a":'.repeat(1_000_000), RULES)).toThrow('deep')
})

test.each([
  ['a string', `"${'ab'.repeat(10_000_000)}"`],
  ['escapes', `"${'a\\n'.repeat(5_000_000)}"`],
  ['digits', '7'.repeat(20_000_000)],
  ['digits after the point', `0.${'7'.repeat(20_000_000)}`],
])('C2: many megabytes of %s are read', (_what, text) => {
  expect(compactJson(readJson(`${' '.repeat(20_000_000)}${text}`, RULES)) === text).toBe(true)
})

test.each([
  '',
  ' ',
  '01',
  '1.',
  '.5',
  '+1',
  '1e',
  '-',
  '[1,]',
  '[1',
  '{"a"}',
  '{"a":1,}',
  '{a:1}',
  '"a',
  '"\t"',
  'nul',
])('%j is no JSON', (text) => {
  expect(() => readJson(text, RULES)).toThrow('broken')
})
