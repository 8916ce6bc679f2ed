import { z } from 'zod'
import { isId, type IdKind } from '#model/id.ts'

/** A path of one id. */
export function idPath(kind: IdKind): z.ZodObject<{ id: z.ZodString }> {
  return z.strictObject({ id: idOf(kind) })
}

export function idOf(kind: IdKind): z.ZodString {
  const one = `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`
  return z
    .string()
    .max(100)
    .refine((text) => isId(kind, text), { error: `This is not the id of ${one}.` })
    .meta({ description: `The id of ${one}.` })
}

/** An id or a name, in a path or a body. */
export const idOrName = z.string().min(1).max(100)
