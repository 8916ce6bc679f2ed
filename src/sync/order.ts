import { tableId, type TableSchema } from '#model/table.ts'

/**
 * Tables by their foreign keys: a parent before its children. Tables that point at one another in a ring form one
 * group (strongly connected components, Tarjan 1972), in which no order helps.
 */
export interface ForeignKeyOrder {
  /** Groups, parents first. */
  readonly groups: readonly (readonly TableSchema[])[]
  /** Names of the foreign keys that run inside a group of several tables, by the table that has them. */
  readonly cyclic: ReadonlyMap<string, ReadonlySet<string>>
}

export function orderTables(tables: readonly TableSchema[]): ForeignKeyOrder {
  const byId = new Map(tables.map((table) => [tableId(table.ref), table]))
  const groups = components(byId)
  const cyclic = new Map<string, Set<string>>()
  for (const group of groups) {
    const members = new Set(group.map((table) => tableId(table.ref)))
    for (const table of group) {
      const names = table.foreignKeys.filter((key) => members.has(tableId(key.parent))).map((key) => key.name)
      if (names.length > 0) cyclic.set(tableId(table.ref), new Set(names))
    }
  }
  return { groups, cyclic }
}

interface Visit {
  index: number
  low: number
  onStack: boolean
}

/** Tarjan's algorithm; a component is complete only after all that it points to, so parents come out first. */
function components(byId: ReadonlyMap<string, TableSchema>): TableSchema[][] {
  const visits = new Map<string, Visit>()
  const stack: string[] = []
  const groups: TableSchema[][] = []
  const connect = (id: string, table: TableSchema): Visit => {
    const visit = { index: visits.size, low: visits.size, onStack: true }
    visits.set(id, visit)
    stack.push(id)
    for (const key of table.foreignKeys) {
      const parentId = tableId(key.parent)
      const parent = byId.get(parentId)
      if (parent === undefined) continue
      const seen = visits.get(parentId)
      if (seen === undefined) visit.low = Math.min(visit.low, connect(parentId, parent).low)
      else if (seen.onStack) visit.low = Math.min(visit.low, seen.index)
    }
    if (visit.low === visit.index) groups.push(popGroup(id, { stack, visits, byId }))
    return visit
  }
  for (const [id, table] of byId) if (!visits.has(id)) connect(id, table)
  return groups
}

function popGroup(
  root: string,
  state: { stack: string[]; visits: Map<string, Visit>; byId: ReadonlyMap<string, TableSchema> },
): TableSchema[] {
  const group: TableSchema[] = []
  for (let id = state.stack.pop(); id !== undefined; id = state.stack.pop()) {
    const visit = state.visits.get(id)
    const table = state.byId.get(id)
    if (visit) visit.onStack = false
    if (table) group.push(table)
    if (id === root) break
  }
  return group
}
