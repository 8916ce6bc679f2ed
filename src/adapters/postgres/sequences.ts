import type { SequenceState } from '#adapters/adapter.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { quote, quoteTable } from './sql.ts'

/**
 * Advances the sequences that feed a table's columns, so that the next value the target gives out is one that neither
 * side has given out (hazard D1): past the source's last value, past the target's, and past the largest value in the
 * column. A sequence never goes back. Returns how many had to move.
 */
export async function advanceSequences(
  connection: Connection,
  table: PgTable,
  states: readonly SequenceState[],
): Promise<number> {
  let moved = 0
  for (const column of table.schema.columns) {
    if (column.sequence === null) continue
    const source = states.find((state) => state.column === column.name)
    const name = quote(column.name)
    const [row] = await connection.query(
      `SELECT s.last_value, s.is_called, q.seqincrement, q.seqmin, q.seqmax,
              (SELECT CASE WHEN q.seqincrement > 0 THEN max(t.${name}) ELSE min(t.${name}) END FROM ${quoteTable(table.schema.ref)} t)
       FROM ${column.sequence} s, pg_catalog.pg_sequence q WHERE q.seqrelid = $1::regclass`,
      [column.sequence],
    )
    if (row === undefined) continue
    const [last, called, increment, min, max, extreme] = row
    const step = BigInt(increment ?? '1')
    const own = { lastValue: BigInt(last ?? '1'), called: called === 't' }
    const wanted = furthest([own, source, extreme ? { lastValue: BigInt(extreme), called: true } : undefined], step)
    if (wanted.lastValue === own.lastValue && wanted.called === own.called) continue
    if (wanted.lastValue < BigInt(min ?? '1') || wanted.lastValue > BigInt(max ?? '1')) continue
    await connection.query('SELECT pg_catalog.setval($1::regclass, $2::int8, $3::bool)', [
      column.sequence,
      String(wanted.lastValue),
      wanted.called,
    ])
    moved += 1
  }
  return moved
}

interface Mark {
  readonly lastValue: bigint
  readonly called: boolean
}

/** The mark furthest along in the sequence's direction; where two agree, the one whose value was given out. */
function furthest(marks: readonly (Mark | undefined)[], step: bigint): Mark {
  const known = marks.filter((mark) => mark !== undefined)
  return known.reduce((best, mark) => {
    const ahead = step > 0n ? mark.lastValue - best.lastValue : best.lastValue - mark.lastValue
    return ahead > 0n || (ahead === 0n && mark.called) ? mark : best
  })
}
