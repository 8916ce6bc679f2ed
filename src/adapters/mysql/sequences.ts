import type { SequenceState } from '#adapters/adapter.ts'
import type { Connection } from './connection.ts'
import type { MyTable } from './introspect.ts'

/** What the AUTO_INCREMENT column of a table gives out next, as the last value that it gave out. It has no snapshot. */
export async function readSequences(connection: Connection, { schema }: MyTable): Promise<SequenceState[]> {
  const column = schema.columns.find(({ sequence }) => sequence !== null)
  if (column === undefined) return []
  const [row] = await connection.query(
    `SELECT CAST(auto_increment AS CHAR) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?`,
    [schema.ref.schema, schema.ref.name],
  )
  const next = row?.[0] ?? null
  if (next === null) return []
  const value = BigInt(next)
  return [
    value > 1n
      ? { column: column.name, lastValue: value - 1n, called: true }
      : { column: column.name, lastValue: 1n, called: false },
  ]
}
