import { InvalidRequest } from '#api/problem.ts'

/** A page of a list, and where the next one begins. */
export interface Page<T> {
  readonly items: T[]
  readonly next_cursor: string | null
}

/**
 * A page of what was read, which may be one entry longer than the page: that one says that there are more.
 * @param placeOf what the next page begins after
 */
export function pageOf<T, U>(
  found: readonly T[],
  limit: number,
  { placeOf, present }: { placeOf: (last: T) => unknown; present: (item: T) => U },
): Page<U> {
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  const more = found.length > limit && last !== undefined
  return { items: shown.map(present), next_cursor: more ? writeCursor(placeOf(last)) : null }
}

/** Cursors are opaque to callers: what is in them may change. */
export function writeCursor(place: unknown): string {
  return Buffer.from(JSON.stringify(place), 'utf8').toString('base64url')
}

/** What a cursor holds, or null without one. @throws InvalidRequest where we did not write it */
export function readCursor<T>(
  cursor: string | undefined,
  isPlace: (place: unknown) => place is T,
  where: 'query' | 'body' = 'query',
): T | null {
  if (cursor === undefined) return null
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (isPlace(place)) return place
  } catch {
    // It is refused below, whatever is wrong with it.
  }
  throw new InvalidRequest([{ place: `${where}#/cursor`, message: 'This is not a next_cursor of this list.' }])
}

/** Where a page of a sorted list begins: what its cursors hold. */
interface SortedPlace {
  readonly sort: string
  readonly value: string
  readonly id: string
}

/**
 * The order that a request asks for, and where its page begins. A cursor goes on with the list that gave it, and with no
 * other order. @throws InvalidRequest
 */
export function readSorted<Sort extends string>(
  query: { readonly sort?: Sort | `-${Sort}` | undefined; readonly cursor?: string | undefined },
  byDefault: Sort | `-${Sort}`,
): { readonly sort: Sort; readonly descending: boolean; readonly after: SortedPlace | null; readonly wanted: string } {
  const wanted = query.sort ?? byDefault
  const isPlace = (place: unknown): place is SortedPlace => {
    if (typeof place !== 'object' || place === null) return false
    const { sort, value, id } = place as Partial<SortedPlace>
    return sort === wanted && isText(value) && isText(id)
  }
  const descending = wanted.startsWith('-')
  const sort = (descending ? wanted.slice(1) : wanted) as Sort
  return { sort, descending, after: readCursor(query.cursor, isPlace), wanted }
}

export function isText(place: unknown): place is string {
  return typeof place === 'string' && place.length <= 500 && !place.includes('\0')
}

export function isNumber(place: unknown): place is number {
  return Number.isSafeInteger(place)
}
