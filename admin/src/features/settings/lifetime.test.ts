import { expect, test } from 'vitest'
import { expiryOf } from '#features/settings/lifetime.ts'

test('a key ends on a whole minute, so many days from now, or never', () => {
  expect(expiryOf('7', Date.parse('2026-01-31T12:00:30.250Z'))).toBe('2026-02-07T12:01:00Z')
  expect(expiryOf('never', 0)).toBeNull()
})
