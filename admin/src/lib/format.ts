/** Numbers, times and sizes as people read them, in the language of the browser. */

const COUNT = new Intl.NumberFormat()
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' })

export function formatCount(count: number): string {
  return COUNT.format(count)
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function formatBytes(bytes: number): string {
  const step = Math.min(SIZES.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  const scaled = bytes / 1024 ** step
  return `${step === 0 ? scaled : scaled.toFixed(scaled < 10 ? 1 : 0)} ${SIZES[step]}`
}

/** `850 ms`, `4.2 s`, `3 min 05 s`, `2 h 10 min`, `4 d 2 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  const seconds = ms / 1_000
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

const UNITS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 7],
  ['week', 4.35],
  ['month', 12],
  ['year', Infinity],
] as const

/** `now` and `at` in milliseconds of the epoch: `5 minutes ago`, `in 3 days`. */
export function formatRelative(at: number, now: number): string {
  let amount = (at - now) / 1_000
  if (Math.abs(amount) < 5) return 'just now'
  for (const [unit, size] of UNITS) {
    if (Math.abs(amount) < size) return RELATIVE.format(Math.round(amount), unit)
    amount /= size
  }
  return ''
}

export function formatAbsolute(at: number): string {
  return ABSOLUTE.format(at)
}

/** `1 row`, `3 rows`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}
