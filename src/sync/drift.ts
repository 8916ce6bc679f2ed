import type { Adapter, Scan, Snapshot } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'
import {
  sameTable,
  tableName,
  TO_BE_ADDED,
  type Column,
  type TableRef,
  type TableSchema,
  type UniqueKey,
} from '#model/table.ts'
import type { TablePlan } from './plan.ts'

export type Side = 'source' | 'target'

/** What an altered table means for a run: it has to stop, or it goes on with something to be told. */
export type Drift = { readonly stop: string } | { readonly notes: readonly string[]; readonly rewritten: boolean }

/**
 * Judges what has become of a planned table while the run was under way (hazard D10). What could change the meaning of
 * a value, or what becomes of a row, stops it; all else is told. `writing`: more is still to be written. Pure.
 */
export function judgeDrift(
  plan: TablePlan,
  { side, now, writing }: { side: Side; now: TableSchema | undefined; writing: boolean },
): Drift {
  const before = plan[side]
  const told = (text: string): string => `${tableName(before.ref)} was altered while the run was under way: ${text}.`
  if (now === undefined) return { stop: told('it was dropped or renamed') }
  const pair = { before, now }
  const stop =
    changedTable(pair) ??
    changedColumns(plan, side, pair) ??
    (side === 'target' ? unfedColumns(plan, pair) : null) ??
    lostKey(plan, side, pair) ??
    (side === 'target' && writing ? newActors(pair) : null)
  if (stop !== null) return { stop: told(stop) }
  return { notes: additions(plan, side, pair).map(told), rewritten: before.storage !== now.storage }
}

interface Pair {
  readonly before: TableSchema
  readonly now: TableSchema
}

function changedTable({ before, now }: Pair): string | null {
  if (now.id !== before.id || now.kind !== before.kind) return 'it was dropped and made anew'
  if (now.rowSecurity && !before.rowSecurity) return 'row-level security was switched on'
  const gone = before.partitions.find((ref) => !now.partitions.some((other) => sameTable(other, ref)))
  return gone === undefined ? null : `the partition ${tableName(gone)} was taken out`
}

/** What is read of a side. */
function readScan({ mapped, proofScans }: TablePlan, side: Side): Scan {
  return side === 'source' && mapped !== null ? mapped.raw : proofScans[side]
}

/** The columns that are carried must be what they were, and so must those that are compared at the end. */
function changedColumns(plan: TablePlan, side: Side, { before, now }: Pair): string | null {
  const { columns, keyLength } = readScan(plan, side)
  for (const [place, { name }] of columns.entries()) {
    const was = before.columns.find((column) => column.name === name)
    const is = now.columns.find((column) => column.name === name)
    if (is === undefined) return `the column "${name}" was dropped or renamed`
    if (was === undefined) continue
    const changed = changedColumn(was, is)
    if (changed !== null) return `the column "${name}" ${changed}`
    if (side === 'target' && was.nullable && !is.nullable) return `the column "${name}" may not be NULL any more`
    if (place < keyLength && !was.nullable && is.nullable) return `the key column "${name}" may be NULL now`
  }
  return null
}

function changedColumn(was: Column, is: Column): string | null {
  if (was.type.kind === 'enum' && is.type.kind === 'enum' && was.nativeType === is.nativeType) {
    // New labels leave every value what it was.
    const { labels } = is.type
    const gone = was.type.labels.find((label) => !labels.includes(label))
    if (gone !== undefined) return `has become an enum without the label "${gone}"`
    return changedRest(was, is)
  }
  if (was.nativeType !== is.nativeType || JSON.stringify(was.type) !== JSON.stringify(is.type)) {
    return `has become ${is.nativeType}, and was ${was.nativeType}`
  }
  return changedRest(was, is)
}

function changedRest(was: Column, is: Column): string | null {
  if (was.id !== TO_BE_ADDED && was.id !== is.id) return 'is another one of that name'
  if (was.collation !== is.collation) return `has another collation`
  if (was.generated !== is.generated || was.expression !== is.expression) return 'is computed otherwise'
  if (was.identity !== is.identity) return 'has become or ceased to be an identity column'
  return null
}

/** A column of the target that nothing feeds and that must have a value refuses every new row. */
function unfedColumns(plan: TablePlan, { now }: Pair): string | null {
  const fed = new Set(plan.proofScans.target.columns.map(({ name }) => name))
  const unfed = now.columns.find(
    (column) =>
      !fed.has(column.name) &&
      !column.nullable &&
      !column.hasDefault &&
      column.generated === null &&
      column.identity === null,
  )
  return unfed === undefined ? null : `the column "${unfed.name}" must have a value now, and nothing gives it one`
}

/** What the plan took for unique must be so still. */
function lostKey(plan: TablePlan, side: Side, { now }: Pair): string | null {
  const relied = side === 'source' ? plan.sourceKeyIsUnique : plan.write.keyIsUnique
  if (!relied) return null
  const { columns, keyLength } = readScan(plan, side)
  const key = columns.slice(0, keyLength).map(({ name }) => name)
  const serves = (unique: UniqueKey): boolean =>
    unique.notNull &&
    (side === 'source' || unique.immediate) &&
    unique.columns.length === key.length &&
    unique.columns.every((name) => key.includes(name))
  return keysOf(now).some(serves) ? null : `nothing keeps its key (${key.join(', ')}) unique any more`
}

/** What acts on rows that are written. The run decided on triggers, order and foreign keys by what there was. */
function newActors({ before, now }: Pair): string | null {
  const trigger = now.triggers.find((name) => !before.triggers.includes(name))
  if (trigger !== undefined) return `the trigger or rule "${trigger}" was added`
  const known = new Set(before.foreignKeys.map((key) => JSON.stringify(key)))
  const key = now.foreignKeys.find((each) => !known.has(JSON.stringify(each)))
  if (key !== undefined) return `the foreign key "${key.name}" was added`
  return now.referenced && !before.referenced ? 'a foreign key to it was added' : null
}

/** What was added or taken away and makes no difference to this run. */
function additions(plan: TablePlan, side: Side, { before, now }: Pair): string[] {
  const had = (list: readonly { readonly name: string }[], name: string): boolean =>
    list.some((each) => each.name === name)
  const carried = readScan(plan, side).columns
  const labels = carried.filter(({ name }) => {
    const [was, is] = [before, now].map((table) => table.columns.find((column) => column.name === name))
    return JSON.stringify(was?.type) !== JSON.stringify(is?.type)
  })
  return [
    ...now.columns
      .filter(({ name }) => !had(before.columns, name))
      .map(({ name }) => `the column "${name}" was added, and is not carried by this run`),
    ...before.columns
      .filter(({ name }) => !had(now.columns, name))
      .map(({ name }) => `the column "${name}", which is not carried, was dropped`),
    ...labels.map(({ name }) => `the enum of "${name}" has new labels`),
    ...(side === 'target'
      ? keysOf(now)
          .filter(({ name }) => !had(keysOf(before), name))
          .map(({ name }) => `the unique key "${name}" was added`)
      : []),
    ...now.partitions
      .filter((ref) => !before.partitions.some((other) => sameTable(other, ref)))
      .map((ref) => `the partition ${tableName(ref)} was added`),
  ]
}

function keysOf(table: TableSchema): UniqueKey[] {
  return [table.primaryKey, ...table.uniqueKeys].filter((key) => key !== null)
}

/**
 * Holds the tables of one side in a snapshot, as they were planned. Before anything is written a table that was altered
 * since makes a new plan: the run begins again.
 * @throws AppError `schema_changed`, worth another try
 */
export async function holdAsPlanned(
  snapshot: Snapshot,
  adapter: Adapter,
  planned: readonly Pick<TableSchema, 'ref' | 'definition'>[],
): Promise<void> {
  const refs = planned.map(({ ref }) => ref)
  if (refs.length === 0) return
  await snapshot.hold(refs)
  const [altered] = await alteredTables(adapter, planned)
  if (altered === undefined) return
  throw new AppError('schema_changed', `${tableName(altered)} was altered while the run began.`, { retry: 'later' })
}

/** Which of these tables are defined otherwise by now, or are gone. */
export async function alteredTables(
  adapter: Adapter,
  planned: readonly Pick<TableSchema, 'ref' | 'definition'>[],
): Promise<readonly TableRef[]> {
  const now = await adapter.definitions(planned.map(({ ref }) => ref))
  return planned.filter(({ definition }, i) => now[i] !== definition).map(({ ref }) => ref)
}
