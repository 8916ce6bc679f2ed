import type { Scan, ScanColumn } from '#adapters/adapter.ts'
import type { TableMapping } from '#model/sync-config.ts'
import { tableName, type Column } from '#model/table.ts'
import type { Value } from '#model/value.ts'
import { cyclicKeys, patchPositions } from './circular-keys.ts'
import { compileFilter } from './expressions/filter.ts'
import { mappingHash } from './mapping-hash.ts'
import type { ChosenKey, Planned, Problem, TablePlan } from './plan.ts'
import { turnOf, type Bind, type Field } from './plan-fields.ts'
import type { Turn } from './turn-field.ts'

/** How a row of the target becomes one of the source. */
export interface Turning {
  /** One for each column of the way back's scan, in its order. */
  readonly fields: readonly TurnedField[]
  /** What a row must meet to exist for the sync, by its places in the way back's scan; null: nothing. */
  readonly filter: { readonly inputs: readonly number[]; readonly matches: (cells: readonly Value[]) => boolean } | null
  /** Places in the target's scan of the fields that go one way: the source decides what they hold. */
  readonly oneWay: readonly number[]
}

export interface TurnedField {
  /** Of the column in the source. */
  readonly name: string
  /** Place of the field in the target's scan. */
  readonly place: number
  /** Null: the value comes back as it is. */
  readonly bind: Bind | null
}

interface Given {
  readonly mapping: TableMapping
  readonly key: ChosenKey
  /** In the order of the plan's scans. */
  readonly carried: readonly Field[]
  readonly cyclic: ReadonlySet<string>
}

/** A carried field with its way back, if it has one. */
interface Ways {
  readonly field: Field
  readonly place: number
  readonly turn: Turn
}

/**
 * Plans the way of rows from the target to the source, or says why there is none. A field that cannot be turned round goes
 * one way: the source decides what it holds. What cannot do without a way back is refused before anything moves. Pure.
 */
export function planBack(plan: TablePlan, given: Given): Planned {
  const ways = waysOf(given.carried)
  const problems = [...tableProblems(plan, given), ...keyProblems(plan, given, ways), ...restProblems(plan, ways)]
  const filter = planFilter(plan, given.mapping, ways)
  if ('problems' in filter) problems.push(...filter.problems)
  if (problems.length > 0 || 'problems' in filter) return { problems }
  const oneWay = ways.flatMap(({ place, turn }) => ('oneWay' in turn ? [place] : []))
  const isPlain = ways.every(
    ({ field: { feed }, turn }) => feed.kind === 'direct' && 'form' in turn && turn.bind === null,
  )
  const turning: Turning = { fields: turned(ways).map(turnedField), filter: filter.filter, oneWay }
  const asItIs = isPlain && plan.mapped === null && turning.filter === null
  // Which side has changed fields that go both ways, only the fingerprints of the fields can tell.
  const { baselineDetails: wanted } = plan.write
  const baselineDetails = oneWay.length > 0 && !wanted.includes('fields') ? (['fields', ...wanted] as const) : wanted
  const write = { ...plan.write, baselineDetails }
  const back = backOf({ ...plan, write }, asItIs ? plan.sourceScan : scanOf(plan, ways), given.cyclic)
  return {
    plan: {
      ...plan,
      back,
      turning: asItIs ? null : turning,
      write,
      fields: plan.fields.map((report, i) => ({ ...report, oneWay: whyOneWay(ways[i]?.turn) })),
      notes: [...plan.notes, ...ways.flatMap((way) => noteOf(plan, way))],
    },
  }
}

type TurnedWay = Ways & { readonly turn: Extract<Turn, { readonly column: Column }> }

function turned(ways: readonly Ways[]): TurnedWay[] {
  return ways.filter((way): way is TurnedWay => 'column' in way.turn)
}

function turnedField({ place, turn: { column, bind } }: TurnedWay): TurnedField {
  return { name: column.name, place, bind }
}

function whyOneWay(turn: Turn | undefined): string | null {
  return turn !== undefined && 'oneWay' in turn ? turn.oneWay : null
}

function noteOf({ target }: TablePlan, { field, turn }: Ways): string[] {
  if (!('oneWay' in turn)) return []
  const name = `${tableName(target.ref)}.${field.target.name}`
  return [`${name} goes one way, and the source decides what it holds: ${turn.oneWay}.`]
}

/** A column of the source comes back by one field: the key's, else one that carries it as it is, else the first. */
function waysOf(carried: readonly Field[]): Ways[] {
  const ways = carried.map((field, place): Ways => ({ field, place, turn: turnOf(field) }))
  const by = new Map<string, Ways>()
  for (const kind of ['direct', 'computed'] as const) {
    for (const way of turned(ways).filter(({ field }) => field.feed.kind === kind)) {
      if (!by.has(way.turn.column.name)) by.set(way.turn.column.name, way)
    }
  }
  return ways.map((way) => {
    if (!('column' in way.turn)) return way
    const first = by.get(way.turn.column.name)
    if (first === undefined || first === way) return way
    return { ...way, turn: { oneWay: `"${way.turn.column.name}" comes back by "${first.field.target.name}"` } }
  })
}

function impossible({ source }: TablePlan, why: string): Problem {
  return { code: 'impossible_mapping', message: `${tableName(source.ref)} cannot be synced two ways: ${why}.` }
}

function tableProblems(plan: TablePlan, { mapping, key }: Given): Problem[] {
  const { kind } = plan.source
  if (mapping.query !== null) return [impossible(plan, 'a query cannot be written; map the table that it reads')]
  if (kind !== 'table' && kind !== 'partitioned') {
    return [impossible(plan, `it is a ${kind}; map the table behind it`)]
  }
  if (!key.direct) {
    return [impossible(plan, 'its key is computed on its way; carry the columns of the key as they are')]
  }
  if (key.uniqueInSource && key.uniqueInTarget) return []
  const side = key.uniqueInSource ? 'target' : 'source'
  return [impossible(plan, `its key is not unique in the ${side}; give it a unique constraint there`)]
}

function keyProblems(plan: TablePlan, { key }: Given, ways: readonly Ways[]): Problem[] {
  if (!key.direct) return []
  return ways
    .slice(0, key.fields.length)
    .flatMap(({ field, turn }) =>
      'oneWay' in turn ? [impossible(plan, `"${field.target.name}" of its key cannot come back: ${turn.oneWay}`)] : [],
    )
}

/** Columns of the source that a row of the target would leave without the value that they must have. */
function restProblems(plan: TablePlan, ways: readonly Ways[]): Problem[] {
  const fed = new Set(turned(ways).map(({ turn }) => turn.column.name))
  const left = plan.source.columns.filter(
    ({ name, nullable, hasDefault, generated, identity }) =>
      !fed.has(name) && !nullable && !hasDefault && generated === null && identity === null,
  )
  return left.map(({ name }) =>
    impossible(
      plan,
      `"${name}" must have a value, and no field of ${tableName(plan.target.ref)} brings it back; ` +
        'map it as it is or by transforms that have an inverse, or give it a default',
    ),
  )
}

/** Whether a row of the target belongs to the filter must be known before it is written to the source. */
function planFilter(
  plan: TablePlan,
  { filter: text }: TableMapping,
  ways: readonly Ways[],
): { readonly filter: Turning['filter'] } | { readonly problems: readonly Problem[] } {
  if (text === null) return { filter: null }
  const filter = compileFilter(text, plan.source.columns)
  // What is wrong with the expression itself was said when the other way was planned.
  if ('problem' in filter) return { problems: [] }
  const names = turned(ways).map(({ turn }) => turn.column.name)
  const missing = filter.uses.filter((name) => !names.includes(name))
  if (missing.length === 0) {
    return { filter: { inputs: filter.uses.map((name) => names.indexOf(name)), matches: filter.matches } }
  }
  return {
    problems: missing.map((name) =>
      impossible(
        plan,
        `its filter looks at "${name}", which no field brings back, so that nobody knows which new rows of the target belong to it; map it`,
      ),
    ),
  }
}

/** The columns of the source that come back. They are compared with what they were by values that Node has too. */
function scanOf({ source, write }: TablePlan, ways: readonly Ways[]): Scan {
  const columns = turned(ways).map(({ turn: { column, form } }): ScanColumn => ({
    name: column.name,
    form,
    hash: 'text',
  }))
  return { table: source.ref, columns, keyLength: write.scan.keyLength, algorithm: 'md5', filter: null }
}

/**
 * What both agreed on stands in the baseline of the other way; that of this one has the rows that were sent to the source,
 * until the other knows of them (see `takeUpSent`). Its details are of the target's row, by the columns of the target: of a
 * row that goes back as it is, that is what the source gets.
 */
function backOf(plan: TablePlan, scan: Scan, cyclic: ReadonlySet<string>): TablePlan {
  const { source, target, write } = plan
  const writable = (name: string): boolean =>
    source.columns.some((column) => column.name === name && column.generated === null)
  const asItIs = scan === plan.sourceScan
  return {
    ...plan,
    // What was sent under another mapping means nothing under this one.
    mappingId: mappingHash([plan.mappingId, plan.mappingHash, 'back']),
    mappingHash: mappingHash([plan.mappingHash, 'back']),
    source: target,
    target: source,
    mapped: null,
    sourceScan: asItIs ? write.scan : scan,
    write: {
      scan,
      definition: source.definition,
      written: scan.columns.map(({ name }) => name).filter(writable),
      keyIsUnique: plan.sourceKeyIsUnique,
      silenceTriggers: false,
      keepsZeroDates: write.keepsZeroDates,
      baseline: true,
      // Which fields were sent must be known of a row alone that is another one in the source.
      baselineDetails: write.baselineDetails.filter((name) => name === 'image' || !asItIs),
    },
    proofScans: asItIs
      ? { source: plan.proofScans.target, target: plan.proofScans.source }
      : { source: scan, target: scan },
    sourceKeyIsUnique: write.keyIsUnique,
    cyclic: cyclicKeys(source, cyclic).length > 0,
    patch: patchPositions(source, scan, cyclic),
    exit: null,
    fields: [],
    unmapped: [],
    notes: [],
  }
}
