import type { Advanced, SequenceState } from '#adapters/adapter.ts'
import { tableName, type Column } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { isServerError } from './errors.ts'
import type { MyTable } from './introspect.ts'
import { accountOf } from './rights.ts'
import { readSequences } from './sequences.ts'
import { quote, quoteTable } from './sql.ts'

/**
 * Advances the number that a table gives out next, so that it is one that neither side has given out (hazard D1): past the
 * source's last value, past the target's, and past the largest value in the column. It never goes back. Inserting a value
 * moves the server's counter by itself, so that mostly nothing is to be done; ALTER TABLE commits what is open. A column whose
 * numbers have come to their end stays: there is none to be given out any more.
 * A login that may not do that leaves numbers that the source has given out and no row has: those of rows the server passes by
 * itself.
 */
export async function advanceAutoIncrement(
  connection: Connection,
  table: MyTable,
  states: readonly SequenceState[],
): Promise<Advanced> {
  const column = table.schema.columns.find(({ sequence }) => sequence !== null)
  const source = states.find((state) => state.column === column?.name)
  if (column === undefined) return NONE
  const [own] = await readSequences(connection, table)
  const [row] = await connection.query(
    `SELECT CAST(CAST(COALESCE(MAX(${quote(column.name)}), 0) AS DECIMAL(65, 0)) AS CHAR) FROM ${quoteTable(table.schema.ref)}`,
  )
  const largest = BigInt(row?.[0] ?? '0')
  const wanted = [source === undefined ? 0n : nextOf(source), largest + 1n].reduce((a, b) => (a > b ? a : b))
  if (wanted <= (own === undefined ? 1n : nextOf(own)) || wanted > largestOf(column)) return NONE
  const name = quoteTable(table.schema.ref)
  try {
    await connection.execute(`ALTER TABLE ${name} AUTO_INCREMENT = ${wanted}`)
  } catch (error) {
    if (!isServerError(error) || error.errno !== DENIED) throw error
    const account = await accountOf(connection)
    const left = `${tableName(table.schema.ref)}: the next number should be ${wanted}, and this login may not set it. ALTER TABLE ${name} AUTO_INCREMENT = ${wanted}; or GRANT ALTER ON ${name} TO ${account};`
    return { moved: 0, left }
  }
  return { moved: 1, left: null }
}

const NONE: Advanced = { moved: 0, left: null }

/** The login lacks a right on the table. */
const DENIED = 1142

/** The largest number of a column. */
function largestOf({ type }: Column): bigint {
  if (type.kind === 'boolean') return 127n
  if (type.kind !== 'integer') return BigInt(Number.MAX_SAFE_INTEGER)
  return 2n ** BigInt(type.unsigned ? type.bits : type.bits - 1) - 1n
}

function nextOf({ lastValue, called }: SequenceState): bigint {
  return called ? lastValue + 1n : lastValue
}
