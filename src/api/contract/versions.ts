import { z } from 'zod'

export const ifMatch = z.looseObject({
  'if-match': z
    .string()
    .regex(/^(\*|"\d{1,15}")$/, { error: 'If-Match is an ETag as it was given: "3".' })
    .optional()
    .meta({ description: 'The ETag that the change is based on; where it is not that any more, 412.' }),
})

/** The version that an entity tag names; null: whatever it is. */
export function versionOf(headers: { readonly 'if-match'?: string | undefined }): number | null {
  const tag = headers['if-match']
  return tag === undefined || tag === '*' ? null : Number(tag.slice(1, -1))
}

export function etag(version: number): string {
  return `"${version}"`
}
