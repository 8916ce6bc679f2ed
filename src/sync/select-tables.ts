import type { Adapter } from '#adapters/adapter.ts'
import type { TableDdl } from '#adapters/table-ddl.ts'
import { AppError } from '#model/errors.ts'
import { mayDelete, plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import {
  atHome,
  counterpart,
  sameTable,
  tableId,
  tableName,
  type Right,
  type TableRef,
  type TableSchema,
} from '#model/table.ts'
import { parseTableName } from '#model/table-pattern.ts'
import { draftMissing, keepsShape, type Drafts } from './draft-tables.ts'
import { followColumns, type NewColumns } from './new-columns.ts'
import { orderTables } from './order.ts'
import { requestNotes, requestProblems } from './plan-requests.ts'
import { planTable, type Problem, type Sides, type TablePlan } from './plan.ts'

/** The tables of a run, planned, and those that have to be made first. */
export interface Selection {
  readonly plans: readonly TablePlan[]
  /** Tables that the target lacks and that are to be created; planned as they will be. */
  readonly missing: readonly TableRef[]
  /** How they are made where source and target are of different engines; null where the source's own statements serve. */
  readonly drafted: TableDdl | null
  /** Columns that tables of the target are to get; the plans are made as if they had them. */
  readonly added: readonly NewColumns[]
  readonly notes: readonly string[]
}

/** A mapping with its tables and what stands in its way. */
export interface SurveyedTable {
  readonly mapping: TableMapping
  /** Null where a table is not there and is not to be made either. */
  readonly tables: { readonly source: TableSchema; readonly target: TableSchema; readonly missing: boolean } | null
  /** Null where there is a problem. */
  readonly plan: TablePlan | null
  readonly problems: readonly Problem[]
}

export interface Survey {
  readonly tables: readonly SurveyedTable[]
  readonly added: readonly NewColumns[]
  readonly drafted: TableDdl | null
  readonly notes: readonly string[]
}

/** Looks at the tables of a config and plans each that can be planned. */
export async function surveyTables(
  { source, target }: { source: Adapter; target: Adapter },
  config: SyncConfig,
): Promise<Survey> {
  const [sourceTables, targetTables] = await Promise.all([
    describeSources(source, config.tables),
    target.describe(config.tables === null ? 'all' : config.tables.map((mapping) => mapping.target)),
  ])
  const notes: string[] = []
  const across = { from: source.server, to: target.server }
  const wanted = config.tables ?? sameNames(sourceTables, targetTables, { create: config.create, notes, across })
  const mappings = wanted.map((mapping) => ({ ...mapping, zeroDates: mapping.zeroDates ?? config.zeroDates }))
  const drafts = config.create ? await draftMissing(mappings, { source, target }, { sourceTables, targetTables }) : null
  const tables: SurveyedTable[] = []
  const found = mappings.flatMap((mapping) => {
    const pair = findPair(mapping, { sourceTables, targetTables, create: config.create, drafts })
    if ('message' in pair) tables.push({ mapping, tables: null, plan: null, problems: [pair] })
    return 'message' in pair ? [] : [{ mapping, ...pair }]
  })
  const followed = await followColumns(found, { source, target, policy: columnPolicy(config) })
  const { cyclic } = orderTables(followed.pairs.map((pair) => pair.target))
  const sides: Sides = { source: source.server, target: target.server }
  for (const [i, { mapping, ...pair }] of followed.pairs.entries()) {
    const own = cyclic.get(tableId(pair.target.ref)) ?? new Set<string>()
    const planned = planTable(mapping, pair, { sides, policies: config, cyclic: own })
    const plan = 'plan' in planned ? planned.plan : null
    const problems = [
      ...(followed.problems[i] ?? []),
      ...('problems' in planned ? planned.problems : []),
      ...requestProblems(config, mapping, sides),
      ...missingRights(pair, { source, target, deletes: mayDelete(config, mapping) }),
      ...(plan === null ? [] : await checkLookups(source, [plan])),
    ]
    tables.push({ mapping, tables: pair, plan, problems })
  }
  const drafted = drafts?.ddl ?? null
  // Who only compares is told nothing of writing.
  const writing = target.writer === null ? [] : requestNotes(target.server)
  const told = [...notes, ...writing, ...(drafted?.notes ?? []), ...followed.notes]
  return { tables, added: followed.added, drafted, notes: told }
}

/** Chooses and plans the tables of a run. @throws AppError with everything that stands in the way, at once */
export async function selectTables(ends: { source: Adapter; target: Adapter }, config: SyncConfig): Promise<Selection> {
  const { tables, added, drafted, notes } = await surveyTables(ends, config)
  refuse(tables.flatMap(({ problems }) => problems))
  const plans = tables.flatMap(({ plan }) => plan ?? [])
  if (plans.length === 0) throw noTables(ends, config)
  return {
    plans,
    missing: tables.flatMap((table) => (table.tables?.missing ? [table.tables.target.ref] : [])),
    drafted,
    added,
    notes: [...notes, ...plans.flatMap((plan) => plan.notes), ...strayReferences(plans)],
  }
}

/** Foreign keys that are carried as they are, to columns by which each side numbers its rows for itself. */
export function strayReferences(plans: readonly TablePlan[]): string[] {
  return plans.flatMap(({ target: { ref, foreignKeys }, write: { written } }) =>
    foreignKeys.flatMap(({ columns, parent, parentColumns }) => {
      const of = plans.find((plan) => sameTable(plan.target.ref, parent))
      const own = of === undefined ? [] : parentColumns.filter((name) => !of.write.written.includes(name))
      if (own.length === 0 || !columns.every((name) => written.includes(name))) return []
      return [
        `${tableName(ref)} refers to ${tableName(parent)} by (${parentColumns.join(', ')}), and (${own.join(', ')}) is not carried: (${columns.join(', ')}) may mean another row in the target.`,
      ]
    }),
  )
}

function noTables({ source, target }: { source: Adapter; target: Adapter }, { create }: SyncConfig): AppError {
  const where = source.server.address
  return create
    ? new AppError('no_tables', `${where} has no tables that this login can see.`, {
        hint: 'Check the name of the database, and the schemas and rights of the login.',
      })
    : new AppError('no_tables', `No table of ${where} has a counterpart in ${target.server.address}.`)
}

async function describeSources(source: Adapter, mappings: readonly TableMapping[] | null): Promise<TableSchema[]> {
  if (mappings === null) return [...(await source.describe('all'))]
  const named = mappings.filter(({ query }) => query === null)
  const tables = [...(await source.describe(named.map((mapping) => mapping.source)))]
  for (const { source: ref, query } of mappings) {
    if (query !== null) tables.push(await source.describeQuery(ref, query))
  }
  return tables
}

/** What is read back of a table in two ways is read while it is held as it is: it cannot get columns meanwhile. */
function columnPolicy({ direction, newColumns }: SyncConfig): SyncConfig['newColumns'] {
  return direction === 'two_way' && newColumns === 'add' ? 'leave' : newColumns
}

/** Makes the tables known that values are looked up in, and says what is wrong with them. */
async function checkLookups(source: Adapter, plans: readonly TablePlan[]): Promise<Problem[]> {
  const needs = plans.flatMap(({ mapped }) => mapped?.needs ?? [])
  if (needs.length === 0) return []
  const problems: Problem[] = []
  const refs = needs.map(({ table }) => readName(table, source.server))
  const tables = await source.describe(refs.filter((ref) => ref !== null))
  for (const [i, { table, keyColumn, valueColumn }] of needs.entries()) {
    const ref = refs[i] ?? null
    const found = ref && tables.find((each) => sameTable(each.ref, ref))
    if (!found) {
      problems.push({ code: 'table_not_found', message: `The source has no table ${table} to look values up in.` })
      continue
    }
    for (const name of [keyColumn, valueColumn]) {
      if (found.columns.some((column) => column.name === name)) continue
      problems.push({ code: 'column_not_found', message: `${table} has no column "${name}" to look values up in.` })
    }
    if (!found.rights.select || !found.rights.use) {
      const grant = source.grant(found.ref, ['use', 'select'])
      problems.push({ code: 'missing_privilege', message: `The login of the source may not read ${table}: ${grant}` })
    }
  }
  return problems
}

function readName(table: string, home: { readonly homeSchema: string }): TableRef | null {
  try {
    return atHome(parseTableName(table), home)
  } catch {
    return null
  }
}

/** Every table that both sides have; with `create`, every table of the source. */
function sameNames(
  sourceTables: readonly TableSchema[],
  targetTables: readonly TableSchema[],
  { create, notes, across }: { create: boolean; notes: string[]; across: Parameters<typeof counterpart>[1] },
): TableMapping[] {
  const wanted = sourceTables.filter((table) => table.kind === 'table' || table.kind === 'partitioned')
  const there = ({ ref }: TableSchema): boolean =>
    targetTables.some((other) => sameTable(other.ref, counterpart(ref, across)))
  const alone = wanted.filter((table) => !there(table))
  if (alone.length > 0 && !create) {
    notes.push(`Only in the source, and left out: ${listTables(alone)}. --create makes them in the target.`)
  }
  return (create ? wanted : wanted.filter(there)).map(({ ref }) => plainMapping(ref, counterpart(ref, across)))
}

function findPair(
  mapping: TableMapping,
  of: {
    sourceTables: readonly TableSchema[]
    targetTables: readonly TableSchema[]
    create: boolean
    drafts: Drafts | null
  },
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
  const draft = of.drafts?.draftOf(mapping)
  if (draft !== undefined) {
    const [problem] = draft.problems
    if (problem !== undefined) return { code: 'impossible_mapping', message: draft.problems.join('\n') }
    return { source, target: draft.schema, missing: true }
  }
  const sameShape = sameTable(mapping.source, mapping.target) && keepsShape(mapping)
  return sameShape && of.drafts === null
    ? { source, target: { ...source, rowEstimate: 0, bytes: 0, triggers: [] }, missing: true }
    : {
        code: 'impossible_mapping',
        message: `The target has no table ${tableName(mapping.target)}, and only a table of the same name and columns can be created.`,
      }
}

const READING: readonly Right[] = ['use', 'select']

/** What the logins may not do, each with the statement that mends it. A dry run writes nothing and asks for less. */
function missingRights(
  pair: { source: TableSchema; target: TableSchema; missing: boolean },
  { source, target, deletes }: { source: Adapter; target: Adapter; deletes: boolean },
): Problem[] {
  const wanted: readonly Right[] =
    target.writer === null ? READING : ['use', 'select', 'insert', 'update', ...(deletes ? (['delete'] as const) : [])]
  const sides = [
    { side: 'source', adapter: source, table: pair.source, rights: source.writer === null ? READING : wanted },
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
