import type { Value } from '#model/value.ts'

/**
 * The part of the API's URL grammar that is used here. Names and values are always quoted, with `\` before `"` and `\`,
 * so that none of them is taken for syntax; conditions always stand in `and=(…)` or `or=(…)`, where alone values may be
 * quoted. Source: docs.postgrest.org, "Tables and Views" and "URL Grammar".
 */

export function quoteWord(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** The value of a parameter, which alone may hold anything. */
export function parameter(name: string, value: string): string {
  return `${name}=${encodeURIComponent(value)}`
}

export interface Selected {
  readonly name: string
  readonly cast: boolean
}

/** Columns by the names `c0`, `c1`, … in the answer: names of columns may be anything, and may look like numbers. */
export function select(columns: readonly Selected[]): string {
  const parts = columns.map(({ name, cast }, i) => `c${i}:${quoteWord(name)}${cast ? '::text' : ''}`)
  return parameter('select', parts.join(','))
}

export function order(columns: readonly string[]): string {
  return parameter('order', columns.map((name) => `${quoteWord(name)}.asc`).join(','))
}

/** Rows behind a key, in the order of its columns. */
export function after(columns: readonly string[], key: readonly Value[]): string {
  const condition = (place: number, operator: string): string =>
    `${quoteWord(columns[place] ?? '')}.${operator}.${quoteWord(String(key[place]))}`
  const alternatives = columns.map((_, last) => {
    const equal = Array.from({ length: last }, (_each, place) => condition(place, 'eq'))
    return equal.length === 0 ? condition(last, 'gt') : `and(${[...equal, condition(last, 'gt')].join(',')})`
  })
  return parameter('or', `(${alternatives.join(',')})`)
}

/** Rows of some keys, none of which has a NULL. */
export function among(columns: readonly string[], keys: readonly (readonly Value[])[]): string {
  const conditions = keys.map((key) => {
    const own = columns.map((column, i) => `${quoteWord(column)}.eq.${quoteWord(String(key[i]))}`)
    return `and(${own.join(',')})`
  })
  return parameter('or', `(${conditions.join(',')})`)
}

/** Rows in which one of the columns is NULL. */
export function anyNull(columns: readonly string[]): string {
  return parameter('or', `(${columns.map((name) => `${quoteWord(name)}.is.null`).join(',')})`)
}

/** Rows, named by their keys, in which a column is not what it was said to be. */
export function differs(
  columns: readonly string[],
  values: readonly { readonly key: readonly string[]; readonly name: string; readonly text: string }[],
): string {
  const conditions = values.map(({ key, name, text }) => {
    const own = columns.map((column, i) => `${quoteWord(column)}.eq.${quoteWord(key[i] ?? '')}`)
    return `and(${[...own, `${quoteWord(name)}.neq.${quoteWord(text)}`].join(',')})`
  })
  return parameter('or', `(${conditions.join(',')})`)
}
