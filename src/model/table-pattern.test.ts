import { expect, test } from 'vitest'

import { matches, type TablePattern } from './table-pattern.ts'

const pattern = (schema: string, name: string, literal = false): TablePattern => ({
  schema: { text: schema, literal },
  name: { text: name, literal },
})

test('a * stands for any characters, and for itself in quotes', () => {
  const log = { schema: 'shop', name: 'log_2024' }
  expect(matches(pattern('shop', 'log_*'), log)).toBe(true)
  expect(matches(pattern('*', '*2024'), log)).toBe(true)
  expect(matches(pattern('s*p', 'l*2*4'), log)).toBe(true)
  expect(matches(pattern('shop', 'log'), log)).toBe(false)
  expect(matches(pattern('shop', 'LOG_*'), log)).toBe(false)
  expect(matches(pattern('shop', 'log_*', true), log)).toBe(false)
  expect(matches(pattern('shop', 'log_*', true), { schema: 'shop', name: 'log_*' })).toBe(true)
})

test('nothing else in a pattern has a meaning', () => {
  for (const name of ['a.b', 'a+', '(a|b)', '[a]', 'a\\', '^a$', 'a\nb', '☃']) {
    expect(matches(pattern('*', `${name}*`), { schema: 's', name })).toBe(true)
    expect(matches(pattern('*', `${name}*`), { schema: 's', name: 'axb' })).toBe(false)
  }
})

test('S27: a pattern of many stars takes no longer than its text', () => {
  expect(matches(pattern('public', `${'*a'.repeat(31)}*b`), { schema: 'public', name: 'a'.repeat(63) })).toBe(false)
  expect(matches(pattern('public', `${'*a'.repeat(31)}*`), { schema: 'public', name: 'a'.repeat(63) })).toBe(true)
  expect(matches(pattern('public', 'ab*ba'), { schema: 'public', name: 'aba' })).toBe(false)
})
