import { expect, test } from 'vitest'
import { lastDays, momentsOf } from '#features/audit/span.ts'

test('a span of days holds both of them, where the browser is', () => {
  const { since, until } = momentsOf({ since: '2026-01-31', until: '2026-01-31' })
  expect(Date.parse(until) - Date.parse(since)).toBe(86_400_000)
  expect(new Date(since).getDate()).toBe(31)
  expect(new Date(until).getDate()).toBe(1)
  expect(momentsOf({ since: '', until: 'nonsense' })).toEqual({ since: '', until: '' })
})

test('the last days include today', () => {
  const now = new Date(2026, 2, 1, 12).getTime()
  expect(lastDays(1, now)).toEqual({ since: '2026-03-01', until: '' })
  expect(lastDays(7, now)).toEqual({ since: '2026-02-23', until: '' })
})
