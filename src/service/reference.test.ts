import { afterEach, expect, test, vi } from 'vitest'

import { hidePassword, readReference } from './reference.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

test.each([
  ['postgres://u:canary@h/d', 'postgres://u:***@h/d'],
  ['postgresql://u:can:@ry@h:5432/d?sslmode=require', 'postgresql://u:***@h:5432/d?sslmode=require'],
  ['postgres://u:can/ary@h/d', 'postgres://u:***@h/d'],
  ['postgres://u:c#n?ary@h/d', 'postgres://u:***@h/d'],
  ['postgres://h/d?user=u&password=canary&sslmode=require', 'postgres://h/d?user=u&password=***&sslmode=require'],
  ['POSTGRES://u:canary@h', 'POSTGRES://u:***@h'],
  ['postgres://u@h/d', 'postgres://u@h/d'],
  ['postgres://u:@h/d', 'postgres://u:@h/d'],
  ['postgres://h:5432/d', 'postgres://h:5432/d'],
  ['env:SOURCE', 'env:SOURCE'],
])('%s is shown as %s', (url, shown) => {
  expect(hidePassword(url)).toBe(shown)
})

test('a password on the command line is noticed, and one in a variable is not shown', () => {
  expect(readReference('postgres://u:canary@h/d').exposed).toBe(true)
  expect(readReference('postgres://u@h/d').exposed).toBe(false)
  vi.stubEnv('TEST_REFERENCE', 'postgres://u:canary@h/d')
  const reference = readReference('env:TEST_REFERENCE')
  expect(reference.shown).toBe('env:TEST_REFERENCE')
  expect(reference.exposed).toBe(false)
  expect(reference.url.reveal()).toBe('postgres://u:canary@h/d')
  expect(JSON.stringify(reference)).not.toContain('canary')
})

test('a place that holds no URL is named', () => {
  expect(() => readReference('env:TEST_NOT_SET')).toThrow('The environment variable TEST_NOT_SET is not set.')
  expect(() => readReference('file:/nowhere/at/all')).toThrow('/nowhere/at/all')
})
