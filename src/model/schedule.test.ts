import { describe, expect, test } from 'vitest'
import { clockChangeInWords, dueTick, nextTick, nextTicks, scheduleInWords } from './schedule.ts'

const SINCE = '2026-01-01T00:00:00.000Z'
const DAILY = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' }

describe('ticks', () => {
  test('an interval is counted from when it came to be, and the first one is not at once', () => {
    const every = { everySeconds: 90 }
    expect(nextTick(every, SINCE, SINCE)).toBe('2026-01-01T00:01:30.000Z')
    expect(nextTick(every, SINCE, '2026-01-01T00:01:29.999Z')).toBe('2026-01-01T00:01:30.000Z')
    expect(nextTick(every, SINCE, '2026-01-01T00:01:30.000Z')).toBe('2026-01-01T00:03:00.000Z')
    // By a clock that was put back.
    expect(nextTick(every, SINCE, '2025-12-31T23:00:00.000Z')).toBe('2026-01-01T00:01:30.000Z')
    expect(nextTicks(every, SINCE, SINCE, 3)).toHaveLength(3)
  })

  test('of many that are due the last one runs, and the others are counted', () => {
    const first = '2026-01-01T01:30:00.000Z'
    expect(dueTick(DAILY, SINCE, first, first)).toEqual({ tick: first, missed: 0 })
    expect(dueTick(DAILY, SINCE, first, '2026-01-04T01:29:59.999Z')).toEqual({
      tick: '2026-01-03T01:30:00.000Z',
      missed: 2,
    })
    expect(dueTick({ everySeconds: 10 }, SINCE, '2026-01-01T00:00:10.000Z', '2036-01-01T00:00:05.000Z')).toEqual({
      tick: '2036-01-01T00:00:00.000Z',
      missed: 100,
    })
    const rare = { cron: '* 0 1 1 *', timeZone: 'UTC' }
    expect(dueTick(rare, SINCE, '2026-01-01T00:01:00.000Z', '2036-08-01T00:00:00.000Z')).toEqual({
      tick: '2036-01-01T00:59:00.000Z',
      missed: 100,
    })
  })
})

describe('in words', () => {
  test.each([
    ['30 2 * * *', 'At 02:30, every day (UTC)'],
    ['*/15 * * * *', 'Every 15 minutes (UTC)'],
    ['*/15 8-18 * * MON-FRI', 'Every 15 minutes, between 08:00 and 18:59, Monday through Friday (UTC)'],
    ['0 */2 * * *', 'On the hour, every 2 hours (UTC)'],
    ['0 0 13 * 5', 'At 00:00, on day 13 of the month or on Friday (UTC)'],
    ['0 0 L * *', 'At 00:00, on the last day of the month (UTC)'],
  ])('%s', (cron, words) => {
    expect(scheduleInWords({ cron, timeZone: 'UTC' })).toBe(words)
  })

  test.each([
    [60, 'Every minute'],
    [90, 'Every 90 seconds'],
    [300, 'Every 5 minutes'],
    [7_200, 'Every 2 hours'],
    [86_400, 'Every day'],
  ])('%i seconds', (everySeconds, words) => {
    expect(scheduleInWords({ everySeconds })).toBe(words)
  })

  test('UX 42: what becomes of it when clocks change', () => {
    const words = (cron: string, at: string, timeZone = 'Europe/Berlin') => clockChangeInWords({ cron, timeZone }, at)
    expect(words('30 2 * * *', '2026-11-26T00:00Z')).toBe(
      'Clocks in Europe/Berlin go forward on 2027-03-28: a time that is skipped runs at the moment of the change.',
    )
    expect(words('30 2 * * *', '2026-07-26T00:00Z')).toMatch(/go back on 2026-10-25: .* runs once, the first time\.$/)
    expect(words('30 * * * *', '2026-07-26T00:00Z')).toMatch(/goes on by the hour/)
    expect(words('30 2 * * *', '2026-07-26T00:00Z', 'Asia/Kolkata')).toBe(null)
    expect(clockChangeInWords({ everySeconds: 60 }, SINCE)).toBe(null)
  })
})
