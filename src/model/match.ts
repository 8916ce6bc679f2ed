import type { Key } from './change.ts'
import type { TableRef } from './table.ts'
import type { Row } from './value.ts'

/** How the rows of two tables find one another by their match fields, before anything is written. */

/**
 * What is doubtful and can be listed. `differing`: pairs of rows that are the same by the match fields, and have other values
 * else. `duplicates`: values of the match fields that several rows of a side share. `source_only`, `target_only`: rows of one
 * side alone.
 */
export const MATCH_LISTS = ['differing', 'duplicates', 'source_only', 'target_only'] as const

export type MatchList = (typeof MATCH_LISTS)[number]

export interface TableMatch {
  readonly source: TableRef
  readonly target: TableRef
  /** Null where the tables cannot be planned at all. */
  readonly counts: MatchCounts | null
  /** Why a run would not begin with this table. */
  readonly problems: readonly string[]
}

export interface MatchCounts {
  /** The match fields, as they are called on each side. */
  readonly by: readonly { readonly source: string; readonly target: string }[]
  readonly rows: Sides
  /** Pairs of rows that are the same in all columns that are carried. */
  readonly equal: number
  readonly differing: number
  readonly sourceOnly: number
  readonly targetOnly: number
  /** Values that several rows of a side share, and how many rows of each side have them. */
  readonly duplicates: Sides & { readonly values: number }
  /** Rows in which a match field is NULL: they are like no other row. */
  readonly without: Sides
  /** Rows of the source that the mapping cannot carry. */
  readonly rejected: number
}

export interface Sides {
  readonly source: number
  readonly target: number
}

/** One entry of a list; by the columns of the target, the match fields first. */
export interface MatchEntry {
  readonly key: Key
  /** How many rows of each side have the key. */
  readonly rows: Sides
  /** Null where the side has none, has several, or has one that is too large to be shown. */
  readonly source: Row | null
  readonly target: Row | null
  /** The columns in which the rows of a pair differ. */
  readonly differs: readonly string[]
}

export interface MatchPreview {
  readonly tables: readonly TableMatch[]
  readonly notes: readonly string[]
  /** Of the first table that can be matched; null where none was asked for. */
  readonly list: MatchPage | null
}

export interface MatchPage {
  /** The columns of the entries, in their order. */
  readonly columns: readonly string[]
  readonly items: readonly MatchEntry[]
  /** Where the next page begins; null at the end. */
  readonly next: MatchPlace | null
}

/** Entries lie in buckets by their keys, and in a bucket in the order of the hashes of these. */
export interface MatchPlace {
  readonly buckets: number
  readonly bucket: number
  readonly key: string
}
