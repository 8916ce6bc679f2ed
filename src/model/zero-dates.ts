import { z } from 'zod'

/**
 * Dates that no calendar has: MySQL and MariaDB have days of which the year, the month or the day is zero, `0000-00-00` and
 * `2024-00-15`, in columns that are dates and timestamps everywhere else (hazard C5).
 */

/**
 * What becomes of them. `reject`: their rows are set aside. `keep`: they are carried as they are, where the target has them
 * too. `as`: NULL, or a day, `YYYY-MM-DD`, stands in their place.
 */
export type ZeroDates = 'reject' | 'keep' | { readonly as: string | null }

/** Whether a date or a timestamp in its canonical text is one. */
export function isZeroDate(text: string): boolean {
  return /^(?:0000-|\d{4}-00-|\d{4}-\d\d-00)/.test(text)
}

/** Reads how a document or a command line says it; null where that says nothing. */
export function readZeroDates(text: string): ZeroDates | null {
  if (text === 'reject' || text === 'keep') return text
  if (text === 'null') return { as: null }
  return isDay(text) ? { as: text } : null
}

/** As a document has it; null where it has nothing. */
export function toZeroDates(text: string | undefined): ZeroDates | null {
  return text === undefined ? null : readZeroDates(text)
}

/** For whoever wrote something else. */
export const ZERO_DATES_HELP = 'It is reject, keep, null (as a text) or a day such as 1970-01-01.'

/** In a document: of all tables, or of one. */
export const ZERO_DATES = z
  .string()
  .max(20)
  .refine((text) => readZeroDates(text) !== null, ZERO_DATES_HELP)
  .optional()
  .meta({
    description:
      'What becomes of dates and times of MySQL and MariaDB whose year, month or day is zero: their row is set aside (reject), they are carried as they are, where the target is MySQL or MariaDB (keep), or NULL ("null") or a day, such as 1970-01-01, stands in their place. Default reject.',
    examples: ['null', '1970-01-01'],
  })

/** Whether a text is a day of the calendar, as `YYYY-MM-DD`. */
export function isDay(text: string): boolean {
  return !isZeroDate(text) && DAY.safeParse(text).success
}

const DAY = z.iso.date()
