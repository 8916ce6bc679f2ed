import { describe, expect, test } from 'vitest'
import { cronProblem, nextClockChange, nextCron, toWallTime, zoneProblem } from './cron.ts'

function ticks(text: string, zone: string, after: string, count: number): string[] {
  const found: string[] = []
  for (let at = nextCron(text, zone, after); at !== null && found.length < count; at = nextCron(text, zone, at)) {
    found.push(toWallTime(at, zone))
  }
  return found
}

describe('days on which clocks change', () => {
  test.each([
    ['Europe/Berlin', '30 2 * * *', '2026-03-28T12:00Z', ['2026-03-29T03:00:00+02:00', '2026-03-30T02:30:00+02:00']],
    ['Europe/Berlin', '30 2 * * *', '2026-10-24T12:00Z', ['2026-10-25T02:30:00+02:00', '2026-10-26T02:30:00+01:00']],
    ['Europe/Berlin', '30 2,14 * * *', '2026-03-28T22:00Z', ['2026-03-29T03:00:00+02:00', '2026-03-29T14:30:00+02:00']],
    ['Europe/Berlin', '0 */2 * * *', '2026-10-24T23:00Z', ['2026-10-25T02:00:00+02:00', '2026-10-25T04:00:00+01:00']],
    ['America/New_York', '30 2 * * *', '2026-03-07T12:00Z', ['2026-03-08T03:00:00-04:00', '2026-03-09T02:30:00-04:00']],
    ['America/New_York', '30 1 * * *', '2026-10-31T12:00Z', ['2026-11-01T01:30:00-04:00', '2026-11-02T01:30:00-05:00']],
    [
      'Australia/Lord_Howe',
      '15 2 * * *',
      '2026-10-03T00:00Z',
      ['2026-10-04T02:30:00+11:00', '2026-10-05T02:15:00+11:00'],
    ],
    [
      'Australia/Lord_Howe',
      '45 1 * * *',
      '2026-04-04T00:00Z',
      ['2026-04-05T01:45:00+11:00', '2026-04-06T01:45:00+10:30'],
    ],
    ['America/Santiago', '0 0 * * *', '2026-09-05T12:00Z', ['2026-09-06T01:00:00-03:00', '2026-09-07T00:00:00-03:00']],
  ])('F9: in %s %s runs once each day', (zone, text, after, expected) => {
    expect(ticks(text, zone, after, 2)).toEqual(expected)
  })

  test('F9: what runs every hour goes on by the hour, whatever the clocks say', () => {
    expect(ticks('15 * * * *', 'Europe/Berlin', '2026-10-24T23:30Z', 3)).toEqual([
      '2026-10-25T02:15:00+02:00',
      '2026-10-25T02:15:00+01:00',
      '2026-10-25T03:15:00+01:00',
    ])
    expect(ticks('15 * * * *', 'Europe/Berlin', '2026-03-29T00:10Z', 3)).toEqual([
      '2026-03-29T01:15:00+01:00',
      '2026-03-29T03:15:00+02:00',
      '2026-03-29T04:15:00+02:00',
    ])
  })

  test('the next change is told where there is one', () => {
    expect(nextClockChange('Europe/Berlin', '2026-11-26T00:00Z')).toEqual({
      at: '2027-03-28T01:00:00.000Z',
      forward: true,
    })
    expect(nextClockChange('Europe/Berlin', '2026-07-01T00:00Z')).toMatchObject({ forward: false })
    expect(nextClockChange('Asia/Kolkata', '2026-11-26T00:00Z')).toBe(null)
  })
})

describe('what is wrong with a text', () => {
  test.each([
    ['', /five fields .* it has 1\.$/],
    ['* * * *', /it has 4\.$/],
    ['* * * * * *', /it has 6\.$/],
    ['@daily', /it has 1\.$/],
    ['60 * * * *', 'minute: 60 is not one of 0 to 59.'],
    ['* 24 * * *', 'hour: 24 is not one of 0 to 23.'],
    ['* * 0 * *', 'day of the month: 0 is not one of 1 to 31.'],
    ['* * * JANUARY *', /^month: JANUARY is not one of 1 to 12 or JAN, FEB/],
    ['* * * * FRI-MON', 'day of the week: FRI comes after MON: write two ranges with a comma between them.'],
    ['*/0 * * * *', 'minute: the step 0 is not one of 1 to 59.'],
    ['5/10 * * * *', 'minute: a step needs * or a range before it, such as */10.'],
    ['? * * * *', /^minute: \? is not understood/],
    ['1,,2 * * * *', 'minute: a value is missing beside a comma.'],
    ['* * W * *', /^day of the month: W is not one of/],
    ['0 0 30 2 *', 'This never comes: no month that is named has such a day.'],
    ['0 0 31 4,6,9,11 *', 'This never comes: no month that is named has such a day.'],
    [`${'1,'.repeat(150)}1 * * * *`, 'This has more than 200 characters.'],
  ])('%j is refused', (text, problem) => {
    expect(cronProblem(text)).toMatch(problem)
  })

  test.each([
    '* * * * *',
    ' 30  2 * * 1-5 ',
    '0 0 29 2 *',
    '0 0 L * *',
    '0 0 * jan-mar sun,7',
    '0-30/7 8-18 1,15 */3 *',
  ])('%j is taken', (text) => {
    expect(cronProblem(text)).toBe(null)
    expect(nextCron(text, 'UTC', '2026-01-01T00:00Z')).not.toBe(null)
  })

  test('a zone is one of the list, and the nearest is told', () => {
    expect(zoneProblem('Europe/Berlin')).toBe(null)
    expect(zoneProblem('UTC')).toBe(null)
    expect(zoneProblem('Europe/Berln')).toMatch(/the nearest is Europe\/Berlin\.$/)
    expect(zoneProblem('+02:00')).toMatch(/^This is no time zone/)
  })
})
