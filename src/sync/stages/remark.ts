import type { Key } from '#model/change.ts'
import { tableName, type TableSchema } from '#model/table.ts'

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

/** Rows that were written and are others all the same, because triggers answered (hazard D7). */
export function answeredNote({ ref, triggers }: TableSchema, answered: Remark): string {
  return (
    `${tableName(ref)}: ${remarked(answered)} were sent and came back changed: its triggers (${triggers.join(', ')}) ` +
    'made other rows of them, which go to the other side in the next run. Where triggers there answer too, that never ' +
    'ends: let one of them leave alone what is as it should be.'
  )
}

/** For people. */
export function remarked({ rows, keys }: Remark): string {
  const some = keys.map((key) => `(${key.join(', ')})`).join(', ')
  return `${rows} ${rows === 1 ? 'row' : 'rows'}, ${rows > keys.length ? 'such as ' : ''}${some},`
}
