/** The one transform between types. */
import { z } from 'zod'

import { isRefusal, ofText, refuse, type Transform } from '#sync/transforms/transform.ts'
import { anyType, integerName, TEXT, typeName, typeOf } from '#sync/transforms/types.ts'
import { rounding } from '#sync/transforms/number/decimal.ts'
import { castLoses, comesBack, converter } from './convert.ts'

/** How the way back is spelled. */

const cast = ofText({
  name: 'cast',
  group: 'Types',
  summary: 'Turns a value into another type; what the type cannot hold is rejected, unless you say how it goes.',
  args: z.strictObject({
    to: typeName,
    rounding: z
      .union([rounding, z.literal('reject')])
      .default('reject')
      .meta({ description: 'How digits go that the type has no room for.' }),
    overflow: z
      .enum(['reject', 'clamp', 'null'])
      .default('reject')
      .meta({ description: 'What becomes of values beyond the bounds: text is cut, numbers become the bound.' }),
  }),
  accepts: anyType,
  result: ([from = TEXT], { to, ...options }) => {
    const convert = converter(from, typeOf(to), options)
    return isRefusal(convert) ? convert : typeOf(to)
  },
  loses: ({ to, ...options }, [from = TEXT]) => castLoses(from, typeOf(to), options),
  inverse: ({ to }, [from = TEXT]) => {
    if (!comesBack(from, typeOf(to))) return refuse('the former spelling or type is not kept')
    return { name: 'cast', args: { to: from.kind === 'integer' ? integerName(from) : from.kind } }
  },
  example: { args: { to: 'decimal(6,2)', rounding: 'half_even' }, input: ['1234.565'], output: '1234.56' },
  make: ({ to, ...options }, _context, [from = TEXT]) => {
    const convert = converter(from, typeOf(to), options)
    return isRefusal(convert) ? () => null : convert
  },
})

export const CASTS: readonly Transform[] = [cast]
