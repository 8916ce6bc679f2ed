import { z } from 'zod'

export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().meta({ description: 'Stable; docs/errors.md has them all.' }),
    hint: z.string().meta({ description: 'The next step.' }),
    retry: z.enum(['never', 'later', 'after-fix']),
    request_id: z.string(),
    errors: z
      .array(
        z.object({
          place: z.string().meta({ description: 'The part of the request, and a JSON pointer into it.' }),
          message: z.string(),
        }),
      )
      .optional(),
    job_id: z.string().optional(),
  })
  .meta({ id: 'Problem', description: 'What went wrong (RFC 9457).' })
