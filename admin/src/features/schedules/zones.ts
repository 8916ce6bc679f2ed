/** Times of schedules, by the clocks of a zone. */

export const VIEWER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone

/** The zone of whoever looks first, then UTC, then all that the browser knows. */
export const ZONES: readonly string[] = [...new Set([VIEWER_ZONE, 'UTC', ...Intl.supportedValuesOf('timeZone')])]

/** What most people want: at night. */
export const FIRST_CRON = '0 2 * * *'

/** A moment as the clocks of a zone show it: `Sun, 29 Mar 2026, 03:00`; with seconds where they count. */
export function inZone(at: string, zone: string): string {
  return new Intl.DateTimeFormat(undefined, {
    timeZone: zone,
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    ...(at.endsWith(':00.000Z') ? {} : { second: '2-digit' as const }),
    hourCycle: 'h23',
  }).format(Date.parse(at))
}
