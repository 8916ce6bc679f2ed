import { createHash } from 'node:crypto'

/** What names a mapping, or what a mapping means, in a few characters: other parts have another hash. */
export function mappingHash(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)
}
