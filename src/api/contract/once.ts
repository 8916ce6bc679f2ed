import { z } from 'zod'

export const onceHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, { error: 'Idempotency-Key has 1 to 200 visible characters of ASCII.' })
    .optional()
    .meta({ description: 'The same key with the same request gives the same answer for 24 hours, and does it once.' }),
})
