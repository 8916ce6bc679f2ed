/** A span of days as it stands in an address, of which either end may be open: both days belong to it. */
export interface DaySpan {
  readonly since: string
  readonly until: string
}

/** The span as the API takes it: from the first moment of the first day to the first one after the last, where the browser is. */
export function momentsOf({ since, until }: DaySpan): { readonly since: string; readonly until: string } {
  return { since: startOf(since, 0), until: startOf(until, 1) }
}

function startOf(day: string, after: number): string {
  const [year = NaN, month = NaN, date = NaN] = day.split('-').map(Number)
  const start = new Date(year, month - 1, date + after)
  return Number.isNaN(start.getTime()) ? '' : start.toISOString()
}

/** The last so many days, today included; `now` in milliseconds of the epoch. */
export function lastDays(count: number, now: number): DaySpan {
  const first = new Date(now)
  first.setDate(first.getDate() - count + 1)
  return { since: dayOf(first), until: '' }
}

function dayOf(date: Date): string {
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()]
    .map((part) => String(part).padStart(2, '0'))
    .join('-')
}
