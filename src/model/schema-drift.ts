import { sameTable, tableId, tableName, type Column, type TableRef, type TableSchema, type UniqueKey } from './table.ts'

/**
 * What the tables of a sync config were when somebody last looked its mapping over, held against what they are now: columns
 * and keys, in the words of the servers. What a run makes of it is the business of `sync/drift.ts`. Pure.
 */

/** A table as far as a mapping rests on it. */
export interface KnownTable {
  readonly ref: TableRef
  /** `TableSchema.id`. */
  readonly id: string
  readonly columns: readonly KnownColumn[]
  /** The columns of its primary key; null: it has none. */
  readonly key: readonly string[] | null
  /** Each as its columns with commas between, in order. */
  readonly uniqueKeys: readonly string[]
}

export interface KnownColumn {
  readonly name: string
  /** `Column.id`. */
  readonly id: number
  /** Type, whether it may be NULL, and where its values come from: `numeric(10,2) NOT NULL`. */
  readonly type: string
}

/** A table of the source and the one that takes its rows; either may not be there. */
export interface KnownPair {
  readonly source: TableRef
  readonly target: TableRef
}

export interface KnownSchemas {
  readonly pairs: readonly KnownPair[]
  readonly source: readonly KnownTable[]
  readonly target: readonly KnownTable[]
}

export const DRIFT_KINDS = [
  'table_added',
  'table_dropped',
  'column_added',
  'column_dropped',
  'column_renamed',
  'column_changed',
  'key_changed',
] as const

export type DriftKind = (typeof DRIFT_KINDS)[number]

/** One thing that is different by now. */
export interface SchemaChange {
  readonly side: 'source' | 'target'
  readonly table: TableRef
  readonly kind: DriftKind
  /** As it was called, or is called where it was added; null where the table as a whole has changed. */
  readonly column: string | null
  /** The type, the name or the key before and now; null where there was or is none. */
  readonly before: string | null
  readonly after: string | null
}

export function knownTable(table: TableSchema): KnownTable {
  return {
    ref: table.ref,
    id: table.id,
    columns: table.columns.map((column) => ({ name: column.name, id: column.id, type: typeText(column) })),
    key: table.primaryKey?.columns ?? null,
    uniqueKeys: table.uniqueKeys.map(keyText).toSorted(),
  }
}

function typeText({ type, nativeType, nullable, hasDefault, generated, identity }: Column): string {
  const labels = type.kind === 'enum' ? ` (${type.labels.join(', ')})` : ''
  const filled =
    generated !== null ? ' GENERATED' : identity !== null ? ' IDENTITY' : hasDefault ? ' with a default' : ''
  return `${nativeType}${labels}${nullable ? '' : ' NOT NULL'}${filled}`
}

function keyText({ columns }: UniqueKey): string {
  return columns.join(', ')
}

/** What has become of the tables of a sync config. What both sides of a pair went through alike is in step again. */
export function schemaDrift(before: KnownSchemas, now: KnownSchemas): readonly SchemaChange[] {
  const pairs = [...now.pairs, ...before.pairs.filter((pair) => !now.pairs.some((other) => samePair(pair, other)))]
  return pairs.flatMap((pair) => {
    const find = (of: KnownSchemas, side: 'source' | 'target'): KnownTable | undefined =>
      of[side].find(({ ref }) => sameTable(ref, pair[side]))
    // A table that a pattern takes in is told once, as the source's.
    if (!before.pairs.some((other) => samePair(pair, other))) return [addedTable('source', pair.source)]
    const source = tableDrift('source', find(before, 'source'), find(now, 'source'))
    const target = tableDrift('target', find(before, 'target'), find(now, 'target'))
    // Of a table that was not there its columns are no news; one that the target lacked was to be made.
    const ofSource = find(before, 'source') === undefined ? source.slice(0, 1) : source
    const ofTarget = find(before, 'target') === undefined ? [] : target
    return [
      ...ofSource.filter((change) => !hasTwin(change, target)),
      ...ofTarget.filter((change) => !hasTwin(change, source)),
    ]
  })
}

/**
 * What was known, with those tables of the target that it lacked and that a run has made since. Columns that the source has got
 * meanwhile are new to both.
 */
export function withMade(known: KnownSchemas, now: KnownSchemas): KnownSchemas {
  const find = (tables: readonly KnownTable[], ref: TableRef): KnownTable | undefined =>
    tables.find((table) => sameTable(table.ref, ref))
  const made = known.pairs.flatMap(({ source, target }): KnownTable[] => {
    const [table, from] = [find(now.target, target), find(known.source, source)]
    if (table === undefined || from === undefined || find(known.target, target) !== undefined) return []
    const added = tableDrift('source', from, find(now.source, source)).filter(({ kind }) => kind === 'column_added')
    return [{ ...table, columns: table.columns.filter(({ name }) => !added.some(({ column }) => column === name)) }]
  })
  return made.length === 0 ? known : { ...known, target: [...known.target, ...made] }
}

/** Whether the target lacks tables that a run would make. */
export function lacksTables({ pairs, target }: KnownSchemas): boolean {
  return pairs.some((pair) => !target.some(({ ref }) => sameTable(ref, pair.target)))
}

function samePair(a: KnownPair, b: KnownPair): boolean {
  return sameTable(a.source, b.source) && sameTable(a.target, b.target)
}

/** A column that a run adds may be NULL there, and another engine has other words for its type. */
function hasTwin({ kind, column, after }: SchemaChange, others: readonly SchemaChange[]): boolean {
  const isAlike = (other: SchemaChange): boolean => kind === 'column_added' || other.after === after
  return others.some((other) => other.kind === kind && other.column === column && isAlike(other))
}

function addedTable(side: SchemaChange['side'], table: TableRef): SchemaChange {
  return { side, table, kind: 'table_added', column: null, before: null, after: null }
}

function tableDrift(
  side: SchemaChange['side'],
  before: KnownTable | undefined,
  now: KnownTable | undefined,
): readonly SchemaChange[] {
  if (before === undefined) return now === undefined ? [] : [addedTable(side, now.ref), ...addedColumns(side, now)]
  const of = { side, table: before.ref, column: null, before: null, after: null } as const
  if (now === undefined) return [{ ...of, kind: 'table_dropped' }]
  const named = new Map(now.columns.map((column) => [column.name, column]))
  // Numbers of columns mean something within one table alone.
  const numbered = new Map(now.id === before.id ? now.columns.map((column) => [column.id, column]) : [])
  const known = new Set(before.columns.map(({ name }) => name))
  const renamed = new Set<string>()
  const columns = before.columns.flatMap(({ name, id, type }): SchemaChange[] => {
    const same = named.get(name)
    if (same !== undefined) {
      return same.type === type ? [] : [{ ...of, kind: 'column_changed', column: name, before: type, after: same.type }]
    }
    const other = numbered.get(id)
    if (other === undefined || known.has(other.name)) {
      return [{ ...of, kind: 'column_dropped', column: name, before: type }]
    }
    renamed.add(other.name)
    return [{ ...of, kind: 'column_renamed', column: name, before: name, after: other.name }]
  })
  const added = addedColumns(side, now).filter(
    ({ column }) => column !== null && !known.has(column) && !renamed.has(column),
  )
  return [...columns, ...added, ...keyDrift(of, before, now)]
}

function addedColumns(side: SchemaChange['side'], { ref, columns }: KnownTable): readonly SchemaChange[] {
  return columns.map(({ name, type }) => ({
    side,
    table: ref,
    kind: 'column_added',
    column: name,
    before: null,
    after: type,
  }))
}

function keyDrift(
  of: Pick<SchemaChange, 'side' | 'table' | 'column'>,
  before: KnownTable,
  now: KnownTable,
): readonly SchemaChange[] {
  const texts = ({ key, uniqueKeys }: KnownTable): readonly string[] => [
    ...(key === null ? [] : [`primary key (${key.join(', ')})`]),
    ...uniqueKeys.map((columns) => `unique (${columns})`),
  ]
  const [was, is] = [texts(before), texts(now)]
  const lost = was.filter((text) => !is.includes(text))
  const found = is.filter((text) => !was.includes(text))
  if (lost.length + found.length === 0) return []
  const orNull = (list: readonly string[]): string | null => (list.length === 0 ? null : list.join(', '))
  return [{ ...of, kind: 'key_changed', before: orNull(lost), after: orNull(found) }]
}

/** What has changed, for people. */
export function driftWords({ side, table, kind, column, before, after }: SchemaChange): string {
  const where = `${tableName(table)} of the ${side}`
  switch (kind) {
    case 'table_added':
      return `${where} is new to this sync`
    case 'table_dropped':
      return `${where} is not there any more`
    case 'column_added':
      return `${where} has a new column "${column}": ${after}`
    case 'column_dropped':
      return `${where} has no column "${column}" any more; it was ${before}`
    case 'column_renamed':
      return `"${before}" in ${where} is called "${after}" now`
    case 'column_changed':
      return `"${column}" in ${where} has become ${after}; it was ${before}`
    case 'key_changed':
      return `the keys of ${where} have changed: ${keyWords(before, after)}`
    default:
      throw new Error(`unknown change ${String(kind satisfies never)}`)
  }
}

function keyWords(before: string | null, after: string | null): string {
  if (before === null) return `${after} is new`
  return after === null ? `${before} is gone` : `${after} in place of ${before}`
}

/** The pairs of both, each once. */
export function joinPairs(a: readonly KnownPair[], b: readonly KnownPair[]): readonly KnownPair[] {
  const id = ({ source, target }: KnownPair): string => `${tableId(source)} ${tableId(target)}`
  return [...new Map([...a, ...b].map((pair) => [id(pair), pair])).values()]
}
