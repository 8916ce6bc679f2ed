/** C16: an array's text is read to its elements and written back the same. */
import { expect, test } from 'vitest'

import { readArray, writeArray, type ArrayFault } from './array-text.ts'

function read(text: string): readonly (string | null)[] | ArrayFault {
  try {
    return readArray(text, (fault) => {
      throw new Error(fault)
    })
  } catch (error) {
    return (error as Error).message as ArrayFault
  }
}

test.each([
  ['{}', []],
  ['{NULL,"NULL","null"}', [null, 'NULL', 'null']],
  ['{a,"","b c","\\"","\\\\","{","a,b"}', ['a', '', 'b c', '"', '\\', '{', 'a,b']],
  ['{é,👍,\u00a0,"👍 \\\\👍"}', ['é', '👍', '\u00a0', '👍 \\👍']],
  ['{"\n","\v"}', ['\n', '\v']],
])('C16: %s', (text, elements) => {
  expect(read(text)).toEqual(elements)
  expect(writeArray(elements)).toBe(text)
})

test('C16: an element of many megabytes is read', () => {
  const long = `{"${'a b\\"'.repeat(4_000_000)}",${'x'.repeat(10_000_000)}}`
  const elements = read(long)
  expect(Array.isArray(elements) && writeArray(elements) === long).toBe(true)
})

test.each([
  ['[0:1]={1,2}', 'bounds'],
  ['{{1},{2}}', 'dimensions'],
  ['{1,{2}}', 'dimensions'],
  ['', 'broken'],
  ['{', 'broken'],
  ['{a', 'broken'],
  ['{a,}', 'broken'],
  ['{"a}', 'broken'],
  ['{"a\\"}', 'broken'],
  ['{a}b', 'broken'],
  ['{"a"b}', 'broken'],
  ['a', 'broken'],
])('C16: %s is refused', (text, fault) => {
  expect(read(text)).toBe(fault)
})
