import { expect, test } from 'vitest'
import { keyWords, leftOf, percentOf, rowsOf } from '#features/jobs/job-words.ts'

test.each([
  [{ low: 5, high: 20 }, '5 to 20 s left'],
  [{ low: 0.2, high: 0.8 }, 'about 1 s left'],
  [{ low: 90, high: 300 }, '1 to 5 min left'],
  [{ low: 7_200, high: 10_800 }, '2 to 3 h left'],
  [null, null],
] as const)('UX 18: the time left is a range, in the unit of its end: %j', (left, text) => {
  expect(leftOf(left)).toBe(text)
})

test('UX 19: an estimated whole says so, and never ends before the rows do', () => {
  const rows = (done: number, total: number | null, estimated: boolean) => rowsOf({ rows: done, total, estimated })
  expect(rows(12_000, 200_000, true)).toBe(`${(12_000).toLocaleString()} of about ${(200_000).toLocaleString()}`)
  expect(rows(5, 10, false)).toBe('5 of 10')
  expect(rows(11, 10, true)).toBe('11, more than estimated')
  expect(rows(7, null, false)).toBe('7')
  expect(percentOf({ percent: 99.9, estimated: true })).toBe('about 99 %')
  expect(percentOf({ percent: 100, estimated: true })).toBe('100 %')
  expect(percentOf({ percent: null, estimated: true })).toBeNull()
})

test('a key is named by its columns', () => {
  expect(keyWords(['order', 'line'], ['7', null])).toBe('order=7, line=NULL')
  expect(keyWords([], ['7'])).toBe('key 1=7')
})
