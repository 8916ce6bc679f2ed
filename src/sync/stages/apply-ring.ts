import type { BatchRow } from '#adapters/adapter.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { must } from '#lib/assert.ts'
import { sameTable, type TableSchema } from '#model/table.ts'
import { sizeOfRow } from '#model/value.ts'
import { book, decideWaiting, persist, toBatchRows, type ApplyContext } from './apply.ts'

/** Rows of a ring that are written in one transaction; a larger ring cannot be closed. */
const RING_ROWS = 10_000

/** A row of one of the tables, by the place of its table. */
interface RingRow {
  readonly table: number
  readonly row: BatchRow
}

/**
 * Rows of several tables that wait for one another, because foreign keys in a ring let none of them be first: all are
 * written in one transaction, in which constraints that can be deferred are looked at last (hazard D4). Where the server
 * refuses them, those that hang together are tried apart from the others, so that a bad row keeps no other ring out.
 * The tables come in the order in which the foreign keys that cannot be deferred let rows in.
 */
export async function applyRing(contexts: readonly ApplyContext[]): Promise<void> {
  const rows: RingRow[] = []
  for (const [table, context] of contexts.entries()) {
    const { later, conflicts } = context.outcome
    if (later.length === 0) continue
    const { changes } = await decideWaiting(context, later)
    const moved = new Set(conflicts.map((key) => JSON.stringify(key)))
    later.splice(0, Infinity, ...later.filter(({ key }) => !moved.has(JSON.stringify(key))))
    // Whole rows: what they point to comes with them.
    for (const row of await toBatchRows(context, changes, 'patch')) rows.push({ table, row })
  }
  const bytes = must(contexts[0], 'a table of the ring').bounds.bytes
  if (rows.length > RING_ROWS || rows.reduce((sum, { row }) => sum + sizeOfRow(row.row ?? row.key), 0) > bytes) return
  await applyRings(contexts, ringsOf(rows, contexts))
}

async function applyRings(contexts: readonly ApplyContext[], rings: readonly (readonly RingRow[])[]): Promise<void> {
  if (rings.length === 0) return
  try {
    await writeAcross(contexts, rings.flat())
  } catch (error) {
    if (!(error instanceof RowsRefused)) throw error
    if (rings.length === 1) return
    const middle = rings.length >> 1
    await applyRings(contexts, rings.slice(0, middle))
    await applyRings(contexts, rings.slice(middle))
  }
}

async function writeAcross(contexts: readonly ApplyContext[], rows: readonly RingRow[]): Promise<void> {
  const parts = contexts.flatMap((context, table) => {
    const own = rows.filter((each) => each.table === table).map(({ row }) => row)
    return own.length === 0 ? [] : [{ context, rows: own }]
  })
  if (rows.every(({ row }) => row.op === 'delete')) parts.reverse()
  const writer = must(contexts[0]?.target.writer, 'a writer')
  const results = await persist(
    parts.map(({ context }) => context),
    () =>
      writer.applyAcross(
        parts.map(({ context: { claim, plan, telling }, rows: own }) => ({
          claim,
          plan: plan.write,
          rows: own,
          telling: telling?.('apply') ?? null,
        })),
      ),
  )
  for (const [i, { context, rows: own }] of parts.entries()) {
    const result = must(results[i], 'the result of a part')
    book(context, result)
    // What moved meanwhile waits on, to be looked at again.
    const moved = new Set(result.moved.map(({ key }) => JSON.stringify(key)))
    const gone = new Set(own.map(({ key }) => JSON.stringify(key)).filter((key) => !moved.has(key)))
    const left = context.outcome.later.filter(({ key }) => !gone.has(JSON.stringify(key)))
    context.outcome.later.splice(0, Infinity, ...left)
  }
}

/**
 * Rows that hang together by foreign keys, apart from those that do not. A value is what both sides write, so that its
 * text tells; rows that go have no values, and stay together.
 */
function ringsOf(rows: readonly RingRow[], contexts: readonly ApplyContext[]): RingRow[][] {
  const leaders = new Map<RingRow | string, RingRow | string>()
  const leaderOf = (node: RingRow | string): RingRow | string => {
    const next = leaders.get(node) ?? node
    return next === node ? node : leaderOf(next)
  }
  const join = (a: RingRow | string, b: RingRow | string): void => {
    leaders.set(leaderOf(a), leaderOf(b))
  }
  for (const each of rows) {
    const { row } = each.row
    if (row === null) join(each, 'deleted')
    else for (const name of namesOf(each, row, contexts)) join(each, name)
  }
  const rings = Map.groupBy(rows, leaderOf)
  return [...rings.values()]
}

/** What a row is referred to by, and what it refers to: two rows that share a name hang together. */
function namesOf({ table }: RingRow, row: readonly unknown[], contexts: readonly ApplyContext[]): string[] {
  const own = must(contexts[table], 'the table of a row').plan
  const textOf = (columns: readonly string[]): string =>
    JSON.stringify(columns.map((name) => row[own.write.scan.columns.findIndex((column) => column.name === name)]))
  const targets = contexts.map(({ plan }) => plan.target)
  const name = (parent: TableSchema, columns: readonly string[], text: string): string =>
    JSON.stringify([targets.indexOf(parent), columns, text])
  const refersTo = own.target.foreignKeys.flatMap((key) => {
    const parent = targets.find((each) => sameTable(each.ref, key.parent))
    return parent === undefined ? [] : [name(parent, key.parentColumns, textOf(key.columns))]
  })
  const referredBy = targets.flatMap((child) =>
    child.foreignKeys
      .filter((key) => sameTable(key.parent, own.target.ref))
      .map((key) => name(own.target, key.parentColumns, textOf(key.parentColumns))),
  )
  return [...refersTo, ...referredBy]
}
