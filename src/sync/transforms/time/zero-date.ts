/** Days that MySQL and MariaDB have and no calendar. */
import { z } from 'zod'

import { isDay, isZeroDate } from '#model/zero-dates.ts'

import { ofText, refuse, type Transform } from '#sync/transforms/transform.ts'
import { DATE, day } from '#sync/transforms/types.ts'

const replace = ofText({
  name: 'replace_zero_date',
  group: 'Time',
  summary:
    'Puts NULL or a day in the place of dates and timestamps of which the year, the month or the day is zero, as MySQL and MariaDB have them.',
  args: z.strictObject({
    with: z
      .string()
      .refine(isDay, 'A day is written YYYY-MM-DD, and the calendar has it.')
      .nullable()
      .default(null)
      .meta({ description: 'The day; of a timestamp its midnight, in UTC where it has a time zone. Else NULL.' }),
  }),
  accepts: day,
  result: ([type]) => {
    switch (type?.kind) {
      case 'date':
        return DATE
      case 'timestamp':
        return { kind: 'timestamp', zoned: type.zoned, digits: type.digits }
      default:
        return refuse('it takes a date or a timestamp')
    }
  },
  loses: 'the days of zeros',
  inverse: 'which days of zeros there were is not kept',
  example: {
    args: { with: '1970-01-01' },
    types: [{ kind: 'timestamp', zoned: false, digits: 0, within: 'calendar' }],
    input: ['2024-00-15 18:05:00'],
    output: '1970-01-01 00:00:00',
  },
  make: ({ with: instead }, _context, [type]) => {
    const midnight = type?.kind === 'timestamp' ? ` 00:00:00${type.zoned ? '+00' : ''}` : ''
    const stand = instead === null ? null : `${instead}${midnight}`
    return (value) => (isZeroDate(value) ? stand : value)
  },
})

export const ZERO_DATES: readonly Transform[] = [replace]
