import type { Key } from '#model/change.ts'

/** Rows of which somebody should know, whatever becomes of them: how many, and the keys of some. */
export interface Remark {
  rows: number
  readonly keys: Key[]
}

const MOST_KEYS = 5

export function newRemark(): Remark {
  return { rows: 0, keys: [] }
}

export function addRemark(remark: Remark, key: Key): void {
  remark.rows += 1
  if (remark.keys.length < MOST_KEYS) remark.keys.push(key)
}

/** For people. */
export function remarked({ rows, keys }: Remark): string {
  const some = keys.map((key) => `(${key.join(', ')})`).join(', ')
  return `${rows} ${rows === 1 ? 'row' : 'rows'}, ${rows > keys.length ? 'such as ' : ''}${some},`
}
