/** What tables hold, as their servers say it plainly: on whatever engine, with nothing of the product's reading in between. */
import { expect } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import { must } from '#lib/assert.ts'
import type { ColumnType } from '#model/column-type.ts'

import { plainSql, saySame } from '#test/types/mysql-matrix.ts'
import { Database, differenceOf, expectSameTables } from './database.ts'
import type { AnyPair } from './pairs.ts'
import type { Side, TextRow } from './side.ts'

export interface PlainTable {
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[]
  readonly rows: readonly TextRow[]
}

/** Tables of the home schema, each with the rows in no order. */
export async function plainTables(side: Side, names: readonly string[]): Promise<PlainTable[]> {
  await using adapter = await openDatabase(side.url, { write: null, signal: new AbortController().signal })
  const known = await adapter.describe(names.map((name) => side.ref(name)))
  const tables: PlainTable[] = []
  for (const name of names) {
    const { columns } = must(
      known.find(({ ref }) => ref.name === name),
      name,
    )
    const cells = columns.map(({ name: column, type }) =>
      // A cast takes the blanks of `char(n)`; of types without a word of ours it is the text that travels.
      side.engine === 'PostgreSQL' && type.kind !== 'other'
        ? side.quote(column)
        : plainSql(side.quote(column), type, side.engine === 'PostgreSQL' ? 'postgres' : 'mysql'),
    )
    tables.push({ columns, rows: await side.sql(`SELECT ${cells.join(', ')} FROM ${side.quote(name)}`) })
  }
  return tables
}

/** Fails unless both sides hold the same rows in these tables: of one engine by its second reader, else by plain words. */
export async function expectSameRows({ source, target }: AnyPair, names: readonly string[]): Promise<void> {
  if (source instanceof Database && target instanceof Database) return await expectSameTables(source, target, names)
  const [from, to] = await Promise.all([plainTables(source, names), plainTables(target, names)])
  for (const [i, name] of names.entries()) {
    const difference = differenceBetween(must(from[i], name), must(to[i], name))
    if (difference !== undefined) expect.fail(`${name}: ${difference}`)
  }
}

/** Rows are few: each looks for one of the other side that says the same. */
function differenceBetween(from: PlainTable, to: PlainTable): string | undefined {
  const places = from.columns.map(({ name }) => to.columns.findIndex((column) => column.name === name))
  const isSame = (here: TextRow, there: TextRow): boolean =>
    from.columns.every(({ type }, i) => {
      const [a = null, b = null] = [here[i], there[places[i] ?? -1]]
      const other = to.columns[places[i] ?? -1]
      return a === null || b === null || other === undefined ? a === b : saySame(type, other.type, [a, b])
    })
  const left = [...to.rows]
  const missing = from.rows.filter((row) => {
    const place = left.findIndex((other) => isSame(row, other))
    if (place >= 0) left.splice(place, 1)
    return place < 0
  })
  if (from.columns.length !== to.columns.length) return 'the columns differ'
  return differenceOf(
    missing.map((row) => JSON.stringify(row)),
    left.map((row) => JSON.stringify(row)),
  )
}
