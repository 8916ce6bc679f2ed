import { expect, test } from 'vitest'
import { keyWords, leftOf, percentOf, progressWords, rowsOf } from '#features/jobs/job-words.ts'

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

test('UX 18: what is not known yet is left out of the line of a job, so that no 0 rows stand there while data flows', () => {
  const progress = {
    phase: 'compare',
    rows: 0,
    bytes: 0,
    percent: null,
    estimated: true,
    rows_per_second: 0,
    bytes_per_second: 0,
    seconds_left: null,
    tables: [],
  }
  expect(progressWords(progress)).toBe('Comparing, the whole is not known yet')
  const known = { ...progress, rows: 1, bytes: 2_048, percent: 40.6, rows_per_second: 7.4 }
  expect(progressWords({ ...known, seconds_left: { low: 5, high: 20 } })).toBe(
    'Comparing, 1 row, 2.0 KiB, 7 rows/s, about 40 %, 5 to 20 s left',
  )
})

test('a key is named by its columns', () => {
  expect(keyWords(['order', 'line'], ['7', null])).toBe('order=7, line=NULL')
  expect(keyWords([], ['7'])).toBe('key 1=7')
})
