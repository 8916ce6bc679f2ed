import { isDeepStrictEqual } from 'node:util'

/** One difference between two states of a document. Null stands for nothing. */
export interface DocumentChange {
  /** A JSON pointer. */
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

/** What is different between two JSON documents: fields one by one, entries of lists by their place. */
export function documentChanges(before: unknown, after: unknown, path = ''): DocumentChange[] {
  if (isDeepStrictEqual(before, after)) return []
  const [a, b] = [fieldsOf(before), fieldsOf(after)]
  if (a === null || b === null || Array.isArray(before) !== Array.isArray(after)) {
    return [{ path, before: before ?? null, after: after ?? null }]
  }
  const names = [...new Set([...a.keys(), ...b.keys()])]
  return names.flatMap((name) => documentChanges(a.get(name), b.get(name), `${path}/${escape(name)}`))
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | null {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : null
}

function escape(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
