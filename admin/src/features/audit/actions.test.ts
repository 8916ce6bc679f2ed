import { expect, test } from 'vitest'
import { labelOf, summaryOf, wordsOf } from '#features/audit/actions.ts'

test('actions are said in words, and one that is not known as it is', () => {
  expect(wordsOf('job.start')).toBe('started a job')
  expect(labelOf('job.start')).toBe('Started a job')
  expect(labelOf('comet.land')).toBe('comet.land')
})

test('the line of an event has its short values alone', () => {
  expect(summaryOf({ job_kind: 'sync', dry_run: true, counts: { read: 1 }, text: 'x'.repeat(61), none: null })).toBe(
    'job kind sync, dry run true',
  )
  expect(summaryOf(null)).toBe('')
})
