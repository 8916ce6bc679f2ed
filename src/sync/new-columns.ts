import type { Adapter, Addition, KnownColumns } from '#adapters/adapter.ts'
import type { Policies, TableMapping } from '#model/sync-config.ts'
import { tableName, type Column, type TableRef, type TableSchema } from '#model/table.ts'
import type { Problem } from './plan.ts'

/** Columns that a run adds to a table of the target. */
export interface NewColumns {
  readonly table: TableRef
  readonly additions: readonly Addition[]
}

interface TablePair {
  readonly mapping: TableMapping
  readonly source: TableSchema
  readonly target: TableSchema
  /** The table is still to be made, as the source has it. */
  readonly missing: boolean
}

/** A pair as it is to be planned, and what there is to say of its columns. */
export interface Followed<P extends TablePair> {
  readonly pairs: readonly P[]
  readonly added: readonly NewColumns[]
  /** Of each pair, in their order. */
  readonly problems: readonly (readonly Problem[])[]
  readonly notes: readonly string[]
}

/** How the state in the target names a table of the source. */
export function sourceName(source: Adapter, ref: TableRef): string {
  return `${source.server.identity} ${tableName(ref)}`
}

/** What the next run has to know to see that a column was renamed; null for what has no numbers that last. */
export function knownColumns({ kind, id, columns }: TableSchema): KnownColumns | null {
  if (kind !== 'table' && kind !== 'partitioned') return null
  return { table: id, names: new Map(columns.map((column) => [column.id, column.name])) }
}

/**
 * Looks at the columns that the source has and the target lacks, and does with them as the policy says: the target's table
 * is planned as if it had those that are to be added. A column that was renamed in the source is not a new one (hazard
 * D10): a second column beside the old one would hold the values apart, so that the run stops and says how to rename it.
 * Where fields are mapped one by one, nothing is looked at: they say what is carried.
 */
export async function followColumns<P extends TablePair>(
  pairs: readonly P[],
  { source, target, policy }: { source: Adapter; target: Adapter; policy: Policies['newColumns'] },
): Promise<Followed<P>> {
  const open = pairs.filter(({ mapping, missing }) => mapping.fields === null && !missing)
  const last = await target.lastColumns(
    open.map((pair) => ({ source: sourceName(source, pair.source.ref), target: pair.target.ref })),
  )
  const found = new Map<P, Problem[]>()
  const notes: string[] = []
  const added: NewColumns[] = []
  const followed = new Map<P, P>()
  for (const [i, pair] of open.entries()) {
    const problems: Problem[] = []
    found.set(pair, problems)
    const renames = renamedSince(pair.source, last[i] ?? null)
    const left = tellRenames(pair, renames, { target, policy, problems, notes })
    const fresh = newColumns(pair).filter(({ name }) => !left.has(name))
    if (fresh.length === 0 || policy === 'leave') continue
    const additions = await target.additions(pair.target.ref, fresh)
    problems.push(...additions.flatMap((addition) => objection(pair, addition, policy)))
    added.push({ table: pair.target.ref, additions })
    notes.push(...additions.map((addition, n) => announcement(pair.target.ref, addition, fresh[n])))
    const columns = [...pair.target.columns, ...additions.map(({ column }) => column)]
    followed.set(pair, { ...pair, target: { ...pair.target, columns } })
  }
  return {
    pairs: pairs.map((pair) => followed.get(pair) ?? pair),
    added,
    problems: pairs.map((pair) => found.get(pair) ?? []),
    notes,
  }
}

/** Columns that are carried by their names and that the target lacks. */
function newColumns({ mapping, source, target }: TablePair): Column[] {
  if (target.kind !== 'table' && target.kind !== 'partitioned') return []
  return source.columns.filter(
    ({ name }) =>
      (mapping.columns === null || mapping.columns.includes(name)) &&
      !mapping.exclude.includes(name) &&
      !mapping.rename.has(name) &&
      !has(target, name),
  )
}

interface Rename {
  readonly from: string
  readonly to: string
}

function renamedSince(source: TableSchema, last: KnownColumns | null): Rename[] {
  if (last === null || last.table !== source.id) return []
  return source.columns.flatMap(({ id, name }) => {
    const before = last.names.get(id)
    return before === undefined || before === name ? [] : [{ from: before, to: name }]
  })
}

/** Tells of renamed columns. Returns those that the target still has under their old names: they are no new ones. */
function tellRenames(
  { mapping, source, target: table }: TablePair,
  renames: readonly Rename[],
  of: { target: Adapter; policy: Policies['newColumns']; problems: Problem[]; notes: string[] },
): ReadonlySet<string> {
  const behind = new Set<string>()
  for (const { from, to } of renames) {
    const told = `${tableName(source.ref)}: the column "${to}" was renamed from "${from}" since the last run`
    const isBehind = !has(table, to) && has(table, from) && !has(source, from)
    if (!isBehind || mapping.exclude.includes(to) || mapping.rename.has(to)) {
      of.notes.push(`${told}.`)
      continue
    }
    behind.add(to)
    const next = `${told}, and ${tableName(table.ref)} still has "${from}". Rename it there as well: ${of.target.rename(table.ref, from, to)}`
    if (of.policy === 'leave') of.notes.push(next)
    else of.problems.push({ code: 'column_renamed', message: next })
  }
  return behind
}

function has({ columns }: TableSchema, name: string): boolean {
  return columns.some((column) => column.name === name)
}

/** Why a column is not added. */
function objection(pair: TablePair, { column, sql, refused }: Addition, policy: Policies['newColumns']): Problem[] {
  const where = `${tableName(pair.target.ref)} has no column "${column.name}"`
  const differs = (why: string): Problem[] => [{ code: 'schema_differs', message: `${where}: ${why}` }]
  if (policy === 'stop') return differs(`the schema policy is strict. It would be added by ${sql}`)
  const key = pair.mapping.key ?? pair.source.primaryKey?.columns ?? []
  if (key.includes(column.name))
    return differs('it is part of the key, and rows that are there already have no value for it.')
  return refused === null ? [] : differs(`${refused}${refused.endsWith(';') ? '' : '.'}`)
}

/** The statement, and what of the column is not taken along. */
function announcement(table: TableRef, { sql, column }: Addition, source: Column | undefined): string {
  const without = [
    ...(source?.generated ? ['is computed in the source, and carried as it is'] : []),
    ...(source?.identity ? ['is an identity column in the source'] : []),
    ...(source?.nullable === false ? ['may be NULL here'] : []),
    ...(source?.hasDefault && !source.generated ? ['has no default here'] : []),
  ]
  const rest = without.length === 0 ? '' : ` It ${without.join(', ')}.`
  return `${tableName(table)} gets the column "${column.name}": ${sql}${rest}`
}
