import type { Adapter } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'
import type { SyncConfig, TableMapping } from '#model/sync-config.ts'
import { sameTable, tableId, tableName, type Right, type TableRef, type TableSchema } from '#model/table.ts'
import { orderTables } from './order.ts'
import { planTable, type Problem, type Sides, type TablePlan } from './plan.ts'

/** The tables of a run, planned, and those that have to be made first. */
export interface Selection {
  readonly plans: readonly TablePlan[]
  /** Tables of the source that the target lacks and that are to be created; planned against their own schema. */
  readonly missing: readonly TableRef[]
  readonly notes: readonly string[]
}

/** Chooses and plans the tables of a run. @throws AppError with everything that stands in the way, at once */
export async function selectTables(
  { source, target }: { source: Adapter; target: Adapter },
  config: SyncConfig,
): Promise<Selection> {
  const [sourceTables, targetTables] = await Promise.all([
    source.describe(config.tables === null ? 'all' : config.tables.map((mapping) => mapping.source)),
    target.describe(config.tables === null ? 'all' : config.tables.map((mapping) => mapping.target)),
  ])
  const notes: string[] = []
  const mappings = config.tables ?? sameNames(sourceTables, targetTables, { create: config.create, notes })
  const problems: Problem[] = []
  const pairs = mappings.flatMap((mapping) => {
    const pair = findPair(mapping, { sourceTables, targetTables, create: config.create })
    if ('message' in pair) problems.push(pair)
    return 'message' in pair ? [] : [{ mapping, ...pair }]
  })
  const { cyclic } = orderTables(pairs.map((pair) => pair.target))
  const sides: Sides = { source: source.server, target: target.server }
  const plans: TablePlan[] = []
  for (const { mapping, ...tables } of pairs) {
    const own = cyclic.get(tableId(tables.target.ref)) ?? new Set<string>()
    const planned = planTable(mapping, tables, { sides, policies: config, cyclic: own })
    if ('problems' in planned) problems.push(...planned.problems)
    else plans.push(planned.plan)
  }
  for (const pair of pairs) problems.push(...missingRights(pair, { source, target, config }))
  refuse(problems)
  if (plans.length === 0) {
    throw new AppError(
      'no_tables',
      `No table of ${source.server.address} has a counterpart in ${target.server.address}.`,
    )
  }
  return {
    plans,
    missing: pairs.filter((pair) => pair.missing).map((pair) => pair.source.ref),
    notes: [...notes, ...plans.flatMap((plan) => plan.notes)],
  }
}

/** Every table that both sides have; with `create`, every table of the source. */
function sameNames(
  sourceTables: readonly TableSchema[],
  targetTables: readonly TableSchema[],
  { create, notes }: { create: boolean; notes: string[] },
): TableMapping[] {
  const wanted = sourceTables.filter((table) => table.kind === 'table' || table.kind === 'partitioned')
  const there = (table: TableSchema): boolean => targetTables.some((other) => sameTable(other.ref, table.ref))
  const alone = wanted.filter((table) => !there(table))
  if (alone.length > 0 && !create) {
    notes.push(`Only in the source, and left out: ${listTables(alone)}. --create makes them in the target.`)
  }
  return (create ? wanted : wanted.filter(there)).map(({ ref }) => ({
    source: ref,
    target: ref,
    key: null,
    columns: null,
    exclude: [],
    rename: new Map(),
  }))
}

function findPair(
  mapping: TableMapping,
  of: { sourceTables: readonly TableSchema[]; targetTables: readonly TableSchema[]; create: boolean },
): { source: TableSchema; target: TableSchema; missing: boolean } | Problem {
  const source = of.sourceTables.find((table) => sameTable(table.ref, mapping.source))
  const target = of.targetTables.find((table) => sameTable(table.ref, mapping.target))
  if (source === undefined) {
    return { code: 'table_not_found', message: `The source has no table ${tableName(mapping.source)}.` }
  }
  if (target !== undefined) return { source, target, missing: false }
  if (!of.create) {
    return {
      code: 'table_not_found',
      message: `The target has no table ${tableName(mapping.target)}; --create makes it.`,
    }
  }
  const sameShape = sameTable(mapping.source, mapping.target) && mapping.rename.size === 0
  return sameShape
    ? { source, target: { ...source, rowEstimate: 0, bytes: 0, triggers: [] }, missing: true }
    : {
        code: 'impossible_mapping',
        message: `The target has no table ${tableName(mapping.target)}, and only a table of the same name and columns can be created.`,
      }
}

/** What the logins may not do, each with the statement that mends it. A dry run writes nothing and asks for less. */
function missingRights(
  pair: { source: TableSchema; target: TableSchema; missing: boolean },
  { source, target, config }: { source: Adapter; target: Adapter; config: SyncConfig },
): Problem[] {
  const wanted: readonly Right[] =
    target.writer === null
      ? ['use', 'select']
      : ['use', 'select', 'insert', 'update', ...(config.deletePolicy === 'delete' ? (['delete'] as const) : [])]
  const sides = [
    { side: 'source', adapter: source, table: pair.source, rights: ['use', 'select'] as readonly Right[] },
    { side: 'target', adapter: target, table: pair.target, rights: pair.missing ? [] : wanted },
  ]
  return sides.flatMap(({ side, adapter, table, rights }) => {
    const missing = rights.filter((right) => !table.rights[right])
    if (missing.length === 0) return []
    const what = missing.map((right) => (right === 'use' ? 'USAGE on its schema' : right.toUpperCase())).join(', ')
    return [
      {
        code: 'missing_privilege' as const,
        message: `The login of the ${side} lacks ${what} for ${tableName(table.ref)}: ${adapter.grant(table.ref, missing)}`,
      },
    ]
  })
}

function refuse(problems: readonly Problem[]): void {
  const [first] = problems
  if (first === undefined) return
  throw new AppError(first.code, problems.map((problem) => problem.message).join('\n'))
}

function listTables(tables: readonly TableSchema[]): string {
  const shown = tables.slice(0, 5).map((table) => tableName(table.ref))
  return tables.length > shown.length
    ? `${shown.join(', ')} and ${tables.length - shown.length} more`
    : shown.join(', ')
}
