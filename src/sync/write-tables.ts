import type { Transaction, Writer } from '#adapters/adapter.ts'
import type { PendingDdl } from '#adapters/table-ddl.ts'
import { runApart, runInOrder, Slots } from '#lib/slots.ts'
import { AppError } from '#model/errors.ts'
import { sameTable, tableId, tableName, type TableRef, type TableSchema } from '#model/table.ts'
import type { Journal } from './journal.ts'
import { orderTables } from './order.ts'
import { concerns } from './plan-ddl.ts'
import { applyRing } from './stages/apply-ring.ts'
import type { Attempt } from './attempt.ts'
import type { TableSync } from './sync-table.ts'

/**
 * Everything that is written, in the order that foreign keys ask for: deletes, children first; then loads and writes,
 * parents first, each table followed by its own indexes; then what another row was in the way of; then foreign keys of
 * new tables. A table that is stopped is left as it is, and so are those that would need it; the others go on.
 */
export async function writeAll(
  tables: readonly TableSync[],
  { slots, tableSlots, journal, stop }: Attempt,
  writer: Writer,
): Promise<void> {
  const { parents } = familyOf(tables)
  await deleteAll(tables, { slots, tableSlots, stop })
  const pending = ofTables(await writer.tables.pending(), tables)
  // What concerns several tables, or a partition that is no table of the run, comes when all rows are there.
  const [own, shared] = split(pending, (statement) => isOwn(statement, tables))
  const writeTo = async (table: TableSync): Promise<void> => {
    if (table.brings) refuseWithout(table, { others: tables.filter((other) => isParent(other, table)) })
    await table.load()
    await slots.use(() => table.write(), table.weight)
    const mine = own.filter((statement) => statement.tables.some((ref) => sameTable(ref, table.plan.target.ref)))
    if (mine.length > 0) await slots.use(() => carryOut(mine, table, { journal, writer }), table.weight)
  }
  await runInOrder(tables, { after: parents, stop }, (table) =>
    tableSlots.use(() => table.step(() => writeTo(table)), table.weight),
  )
  await settleAll(tables)
  await carryOutShared(tables, shared, { slots, stop, writer })
}

/**
 * The same rows, of all tables, in one transaction: all of it is written, or nothing. Statements that belong after the
 * data come after it, because they need what the transaction holds.
 * @throws ChangesMoved where a row has moved since it was decided on and nothing is to be applied then
 */
export async function writeAtOnce(tables: readonly TableSync[], attempt: Attempt, writer: Writer): Promise<void> {
  const { slots, journal, stop } = attempt
  // Nothing is begun that could not be ended.
  refuseMoved(tables, attempt)
  // There is one session: what several tables did at once would only take turns.
  const tableSlots = new Slots(1)
  const { parents } = familyOf(tables)
  const write = async (transaction: Transaction): Promise<void> => {
    for (const table of tables) table.through = transaction
    await deleteAll(tables, { slots, tableSlots, stop })
    await runInOrder(tables, { after: parents, stop }, (table) =>
      tableSlots.use(() => slots.use(() => table.step(() => table.write()))),
    )
    await settleAll(tables)
    const stopped = tables.find((table) => table.stopped !== null)?.stopped
    if (stopped !== undefined && stopped !== null) throw stopped
    refuseMoved(tables, attempt)
  }
  try {
    await writer.atomically(write)
  } finally {
    for (const table of tables) table.through = null
  }
  const pending = ofTables(await writer.tables.pending(), tables)
  const [own, shared] = split(pending, (statement) => isOwn(statement, tables))
  for (const table of tables) {
    const mine = own.filter((statement) => statement.tables.some((ref) => sameTable(ref, table.plan.target.ref)))
    if (mine.length > 0) await carryOut(mine, table, { journal, writer })
  }
  await carryOutShared(tables, shared, { slots, stop, writer })
}

/** @throws AppError `changes_moved` where rows have moved since they were decided on, and nothing is to be applied then */
function refuseMoved(tables: readonly TableSync[], { changeSet }: Pick<Attempt, 'changeSet'>): void {
  const moved = tables.reduce(
    (sum, { outcome, detection }) => sum + outcome.conflicts.length + (detection?.left.conflicted ?? 0),
    0,
  )
  if (moved === 0 || changeSet?.onMoved !== 'apply nothing') return
  throw new AppError('changes_moved', `${moved} rows have changed on one of the sides since the changes were computed.`)
}

/** Rows go from children before they go from the parents that they point to. */
async function deleteAll(
  tables: readonly TableSync[],
  { slots, tableSlots, stop }: Pick<Attempt, 'slots' | 'tableSlots' | 'stop'>,
): Promise<void> {
  const { children } = familyOf(tables)
  const deleteFrom = async (table: TableSync): Promise<void> => {
    // Their rows might go with its own, or hold them.
    const deletes = (table.detection?.deletes ?? 0) > 0
    if (deletes) refuseWithout(table, { others: tables.filter((other) => isParent(table, other)) })
    await table.delete()
  }
  await runInOrder(tables, { after: children, stop }, (table) =>
    tableSlots.use(() => slots.use(() => table.step(() => deleteFrom(table)))),
  )
}

function familyOf(tables: readonly TableSync[]): Record<'parents' | 'children', (table: TableSync) => TableSync[]> {
  const order = rank(tables)
  return {
    parents: (table) => tables.filter((other) => isParent(other, table) && order(other) < order(table)),
    children: (table) => tables.filter((other) => isParent(table, other) && order(other) > order(table)),
  }
}

/** It concerns one table of the run alone. */
function isOwn({ stage, tables: [ref, ...more] }: PendingDdl, tables: readonly TableSync[]): boolean {
  return (
    stage === 'after data' && more.length === 0 && tables.some(({ plan }) => ref && sameTable(plan.target.ref, ref))
  )
}

async function carryOutShared(
  tables: readonly TableSync[],
  shared: readonly PendingDdl[],
  { slots, stop, writer }: Pick<Attempt, 'slots' | 'stop'> & { writer: Writer },
): Promise<void> {
  const due = shared.filter(({ tables: refs }) => !refs.some((ref) => isStopped(ref, tables)))
  for (const table of tables) table.ownDdl ||= due.some(({ tables: refs }) => includes(refs, table))
  const [others, foreignKeys] = split(due, (statement) => statement.stage === 'after data')
  for (const statement of others) await writer.tables.carryOut(statement)
  // A foreign key locks both its tables against every other.
  await runApart(foreignKeys, { holds: ({ tables: locked }) => locked.map(tableId), stop }, (statement) =>
    slots.use(() => writer.tables.carryOut(statement)),
  )
}

/** @throws AppError `schema_changed` where a table that this one depends on was stopped */
function refuseWithout(table: TableSync, { others }: { others: readonly TableSync[] }): void {
  const missing = others.find((other) => other !== table && other.stopped !== null)
  if (missing === undefined) return
  throw new AppError(
    'schema_changed',
    `${tableName(table.plan.target.ref)} waits for ${tableName(missing.plan.target.ref)}, which was stopped.`,
  )
}

/** What one table lets go may be what a row of another waits for: all are tried while one of them gets on. */
async function settleAll(tables: readonly TableSync[]): Promise<void> {
  const waiting = (): number => tables.reduce((sum, table) => sum + (table.stopped ? 0 : table.waiting), 0)
  const retry = async (): Promise<void> => {
    for (let before = Infinity; waiting() > 0 && waiting() < before;) {
      before = waiting()
      for (const table of tables) await table.step(() => table.applyLater())
    }
  }
  await retry()
  if (waiting() > 0) {
    for (const table of tables) await table.step(() => table.untie())
    await retry()
  }
  if (waiting() > 0) {
    for (const ring of ringsOf(tables)) await applyRing(ring.map((table) => table.ringContext))
    await retry()
  }
  for (const table of tables) await table.step(() => table.settle())
}

/** Tables whose foreign keys form a ring, where rows of them wait and deferring the check may help. */
function ringsOf(tables: readonly TableSync[]): TableSync[][] {
  const going = tables.filter((table) => table.stopped === null)
  const { groups } = orderTables(going.map((table) => table.plan.target))
  return groups
    .map(byImmediateKeys)
    .map((group) => group.flatMap(({ ref }) => going.find((table) => sameTable(table.plan.target.ref, ref)) ?? []))
    .filter((ring) => ring.length > 1 && ring.some((table) => table.waiting > 0))
    .filter((ring) => ring.some(({ plan }) => plan.target.foreignKeys.some((key) => key.deferrable)))
}

/** Parents before children by the foreign keys that cannot be deferred. */
function byImmediateKeys(ring: readonly TableSchema[]): readonly TableSchema[] {
  const immediate = ring.map((table) => ({ ...table, foreignKeys: table.foreignKeys.filter((key) => !key.deferrable) }))
  return orderTables(immediate).groups.flat()
}

async function carryOut(
  statements: readonly PendingDdl[],
  table: TableSync,
  { journal, writer }: { journal: Journal; writer: Writer },
): Promise<void> {
  const ref = table.plan.target.ref
  table.ownDdl = true
  journal.record({ type: 'phase', table: ref, phase: 'index', total: statements.length, estimated: false })
  for (const statement of statements) {
    await writer.tables.carryOut(statement)
    journal.record({ type: 'progress', table: ref, phase: 'index', rows: 1, bytes: 0 })
  }
  journal.record({ type: 'phase done', table: ref, phase: 'index' })
}

function ofTables(pending: readonly PendingDdl[], tables: readonly TableSync[]): readonly PendingDdl[] {
  const targets = tables.map((table) => table.plan.target)
  return pending.filter((statement) => concerns(statement, targets))
}

/** A place for every table, parents before children; inside a ring of foreign keys any order serves. */
function rank(tables: readonly TableSync[]): (table: TableSync) => number {
  const { groups } = orderTables(tables.map((table) => table.plan.target))
  const places = new Map(groups.flat().map((schema, place) => [tableId(schema.ref), place]))
  return (table) => places.get(tableId(table.plan.target.ref)) ?? 0
}

function isParent(parent: TableSync, child: TableSync): boolean {
  return child.plan.target.foreignKeys.some((key) => sameTable(key.parent, parent.plan.target.ref))
}

function isStopped(ref: TableRef, tables: readonly TableSync[]): boolean {
  return tables.some((table) => table.stopped !== null && includes([ref], table))
}

function includes(refs: readonly TableRef[], { plan: { target } }: TableSync): boolean {
  return refs.some((ref) => [target.ref, ...target.partitions].some((own) => sameTable(own, ref)))
}

function split<T>(items: readonly T[], belongs: (item: T) => boolean): [T[], T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))]
}
