import cronstrue from 'cronstrue'
import { addMs, msBetween } from '#lib/clock.ts'
import { nextClockChange, nextCron, toWallTime } from '#lib/cron.ts'

/** When a sync config runs by itself: every so many seconds, or at the times that a cron text names in a time zone. */
export type Schedule = { readonly everySeconds: number } | { readonly cron: string; readonly timeZone: string }

/** What happens to a tick of a schedule. */
export const TICK_OUTCOMES = ['started', 'skipped', 'refused'] as const

export type TickOutcome = (typeof TICK_OUTCOMES)[number]

/** A tick that begins later than this after its time is told as late. */
export const LATE_MS = 60_000

/** Ticks that are counted one by one after a long rest; beyond, there were at least so many. */
export const MOST_MISSED = 100

const HOUR_MS = 3_600_000

/**
 * The first tick after a moment; null: none comes any more. Intervals are counted from `since`, when the schedule came to be,
 * so that all services that share a store have the same ticks.
 */
export function nextTick(schedule: Schedule, since: string, after: string): string | null {
  if ('cron' in schedule) return nextCron(schedule.cron, schedule.timeZone, after)
  const everyMs = schedule.everySeconds * 1_000
  return addMs(since, Math.max(1, Math.floor(msBetween(since, after) / everyMs) + 1) * everyMs)
}

/** The next ticks after a moment. */
export function nextTicks(schedule: Schedule, since: string, after: string, count: number): readonly string[] {
  const ticks: string[] = []
  for (let at = nextTick(schedule, since, after); at !== null && ticks.length < count;) {
    ticks.push(at)
    at = nextTick(schedule, since, at)
  }
  return ticks
}

/** The one tick that is to run now. */
export interface DueTick {
  readonly tick: string
  /** Ticks before it that came to nothing, as nobody was there: at most `MOST_MISSED`. */
  readonly missed: number
}

/** Of ticks from `first` on until `now`, the last one: what was missed runs once. `first` is not after `now`. */
export function dueTick(schedule: Schedule, since: string, first: string, now: string): DueTick {
  let due: DueTick = { tick: first, missed: 0 }
  for (;;) {
    const next = nextTick(schedule, since, due.tick)
    if (next === null || next > now) return due
    if (due.missed === MOST_MISSED) return { tick: lastTick(schedule, since, now) ?? due.tick, missed: MOST_MISSED }
    due = { tick: next, missed: due.missed + 1 }
  }
}

/** The last tick that is not after a moment, where there is one after `since`. */
function lastTick(schedule: Schedule, since: string, now: string): string | null {
  for (let backMs = HOUR_MS; ; backMs *= 4) {
    const from = addMs(now, -backMs)
    let last: string | null = null
    for (let at = nextTick(schedule, since, from); at !== null && at <= now; at = nextTick(schedule, since, at)) {
      last = at
    }
    if (last !== null || from < since) return last
  }
}

/** A schedule as a sentence: `At 02:30, Monday through Friday (Europe/Berlin)`. */
export function scheduleInWords(schedule: Schedule): string {
  if (!('cron' in schedule)) return `Every ${secondsInWords(schedule.everySeconds)}`
  const told = cronstrue.toString(schedule.cron, { use24HourTimeFormat: true, verbose: true })
  const words = told
    .replace(', every hour, every day', '')
    .replace(/^(Every .*|On the hour.*), every day$/, '$1')
    // A day of the month and one of the week are either, as cron has it since ever.
    .replace(/(day .* of the month), and (on|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)/, '$1 or $2')
  return `${words} (${schedule.timeZone})`
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

function secondsInWords(seconds: number): string {
  const [unit, size] = UNITS.find(([, each]) => seconds % each === 0) ?? UNITS[3]
  return seconds === size ? unit : `${seconds / size} ${unit}s`
}

/** What becomes of ticks on the next day on which clocks of the zone are changed; null: none are, or it does not matter. */
export function clockChangeInWords(schedule: Schedule, now: string): string | null {
  if (!('cron' in schedule)) return null
  const { cron, timeZone } = schedule
  const change = nextClockChange(timeZone, now)
  if (change === null) return null
  const [day = ''] = toWallTime(change.at, timeZone).split('T')
  const hours = cron.trim().split(/\s+/)[1] ?? ''
  if (/^\*(\/1)?$/.test(hours))
    return `Clocks in ${timeZone} change on ${day}: it goes on by the hour, whatever they show.`
  return change.forward
    ? `Clocks in ${timeZone} go forward on ${day}: a time that is skipped runs at the moment of the change.`
    : `Clocks in ${timeZone} go back on ${day}: a time that comes twice runs once, the first time.`
}

/**
 * Since when somebody waits in vain: the first tick after a sync came to a good end, once the one after it has come as well
 * and still none has. Null: nobody does.
 */
export function overdueSince(
  schedule: Schedule,
  since: string,
  lastSucceededAt: string | null,
  now: string,
): string | null {
  const from = lastSucceededAt !== null && lastSucceededAt > since ? lastSucceededAt : since
  const first = nextTick(schedule, since, from)
  if (first === null || first > now) return null
  const second = nextTick(schedule, since, first)
  return second === null || second > now ? null : first
}

/** Seconds from the next tick to the one after it, which is how fresh the target is kept; null: there is no other. */
export function intervalSeconds(schedule: Schedule, since: string, nextAt: string): number | null {
  const following = nextTick(schedule, since, nextAt)
  return following === null ? null : msBetween(nextAt, following) / 1_000
}
