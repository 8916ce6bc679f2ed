import { systemClock } from '#lib/clock.ts'
import type { Check } from '#model/check.ts'
import type { ServerInfo } from './adapter.ts'

/** What one step of an examination found, but for its name and its time. */
export type Finding = Pick<Check, 'state' | 'found' | 'next'>

export function pass(found: string): Finding {
  return { state: 'pass', found, next: null }
}

export function warn(found: string, next: string): Finding {
  return { state: 'warn', found, next }
}

/** Makes a check of each step's finding, with the time since the one before. */
export function timer(): (step: string, finding: Finding) => Check {
  let before = systemClock.elapsed()
  return (step, finding) => {
    const now = systemClock.elapsed()
    const check = { step, ...finding, ms: Math.round(now - before) }
    before = now
    return check
  }
}

/** A clock that is further off is worth a word. */
const SKEW_MS = 5_000

export function lookAtClock({ clockSkewMs }: Pick<ServerInfo, 'clockSkewMs'>): Finding {
  const seconds = (Math.abs(clockSkewMs) / 1000).toFixed(1)
  const skew = `${seconds} s ${clockSkewMs < 0 ? 'behind' : 'ahead of'} this machine`
  return Math.abs(clockSkewMs) > SKEW_MS ? warn(skew, 'Set the clocks of both machines by NTP.') : pass(skew)
}

const PINGS = 3
/** A round trip that takes longer is worth a word. */
const SLOW_MS = 150

/** @param ping asks the server for nothing */
export async function lookAtLatency(ping: () => Promise<void>): Promise<Finding> {
  const times: number[] = []
  for (let i = 0; i < PINGS; i++) {
    const before = systemClock.elapsed()
    await ping()
    times.push(systemClock.elapsed() - before)
  }
  const median = times.toSorted((a, b) => a - b)[(PINGS - 1) / 2] ?? 0
  const found = `${median.toFixed(1)} ms for a round trip`
  if (median <= SLOW_MS) return pass(found)
  return warn(found, 'Run syncs near the databases: many small steps wait for a round trip each.')
}
