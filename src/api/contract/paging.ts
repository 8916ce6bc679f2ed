import { z } from 'zod'
import { addMs } from '#lib/clock.ts'

/** A query is text: every parameter stands there once, and those that we do not know are refused (S29). */

const MOST_IN_A_PAGE = 1_000
const DEFAULT_PAGE = 100

export const limit = z
  .string()
  .regex(/^[1-9]\d{0,3}$/, { error: `limit is a number from 1 to ${MOST_IN_A_PAGE}.` })
  .refine((text) => Number(text) <= MOST_IN_A_PAGE, { error: `limit is at most ${MOST_IN_A_PAGE}.` })
  .optional()
  .meta({ description: `Entries in a page: 1 to ${MOST_IN_A_PAGE}, default ${DEFAULT_PAGE}.`, examples: ['100'] })

export function limitOf(text: string | undefined): number {
  return text === undefined ? DEFAULT_PAGE : Number(text)
}

export const cursor = z
  .string()
  .min(1)
  .max(600)
  .optional()
  .meta({ description: 'next_cursor of the page before; without it the first page.' })

/** The order of a list: one of these columns, and with a dash before it downwards. */
export function sort<const C extends readonly [string, ...string[]]>(
  columns: C,
  byDefault: C[number] | `-${C[number]}`,
) {
  const choices = columns.flatMap((column: C[number]) => [column, `-${column}`] as const)
  return z
    .enum(choices)
    .optional()
    .meta({ description: `The order; with a dash before it downwards. Default ${byDefault}.` })
}

const moment = z.union([z.iso.datetime(), z.iso.date()]).optional()

/** A span of time, of which either end may be open. */
export const span = {
  since: moment.meta({ description: 'Only what began at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z.' }),
  until: moment.meta({ description: 'Only what began before this time.' }),
}

/** As times are kept, so that they can be compared as texts. */
export function momentOf(text: string): string {
  return addMs(text, 0)
}

export const search = z.string().min(1).max(200).optional().meta({ description: 'A part of the name, in any case.' })

/** A part of a long list. */
export function page<T extends z.ZodType>(item: T, id: string) {
  return z
    .object({
      items: z.array(item),
      next_cursor: z.string().nullable().meta({ description: 'Where the next page begins; null at the end.' }),
    })
    .meta({ id })
}
