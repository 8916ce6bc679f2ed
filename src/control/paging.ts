import { sql, type RawBuilder } from 'kysely'
import type { Store } from './store.ts'

/** Where a page of a list begins, by the columns that order it: pages stay in step while rows come and go (UX 62). */
export interface Place {
  /** The value of the column that the list is sorted by. */
  readonly value: string
  readonly id: string
}

/** What lists of things with names are sorted by. */
export const LIST_SORTS = ['name', 'created_at'] as const

export type ListSort = (typeof LIST_SORTS)[number]

/** A page of a list that is sorted by a column of text, and by id where that is the same. */
export interface PageWish<Sort extends string> {
  readonly sort: Sort
  readonly descending: boolean
  /** The last entry of the page before; null: the first page. */
  readonly after: Place | null
  readonly limit: number
}

/** The order of a page, and what its rows must be. Names are ordered by code points, whatever the locale of the store. */
export function pageSql(
  { isPostgres }: Pick<Store, 'isPostgres'>,
  { sort, descending, after }: Omit<PageWish<string>, 'limit'>,
): { readonly order: RawBuilder<unknown>; readonly begins: RawBuilder<boolean> } {
  const column = isPostgres ? sql`${sql.ref(sort)} COLLATE "C"` : sql.ref(sort)
  const direction = sql.raw(descending ? 'DESC' : 'ASC')
  const order = sql`${column} ${direction}, id ${direction}`
  if (after === null) return { order, begins: sql<boolean>`1 = 1` }
  const beyond = sql.raw(descending ? '<' : '>')
  return { order, begins: sql<boolean>`(${column}, id) ${beyond} (${after.value}, ${after.id})` }
}

/** Whether a column holds a text, in any case (of ASCII). The text is a text: % and _ stand for themselves. */
export function holds(column: string, text: string): RawBuilder<boolean> {
  const pattern = `%${text.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`
  return sql<boolean>`lower(${sql.ref(column)}) LIKE ${pattern} ESCAPE '\\'`
}
