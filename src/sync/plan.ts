import type { Scan, ScanColumn, ServerInfo, WritePlan } from '#adapters/adapter.ts'
import type { ColumnType, Form } from '#model/column-type.ts'
import type { Condition } from '#model/condition.ts'
import type { ConflictPolicy } from '#model/conflict.ts'
import type { Detecting } from '#model/detection.ts'
import type { ErrorCode } from '#model/errors.ts'
import type { FingerprintAlgorithm } from '#model/fingerprint.ts'
import {
  baselineDetails,
  conflictPolicy,
  isThreeWay,
  needsBaseline,
  type Direction,
  type Policies,
  type TableMapping,
} from '#model/sync-config.ts'
import { tableName, TO_BE_ADDED, type Column, type TableSchema, type UniqueKey } from '#model/table.ts'
import { compileFilter } from './expressions/filter.ts'
import type { Value } from '#model/value.ts'
import type { LookupNeed } from './transforms/transform.ts'
import { compileRules, referenceNeed } from './rules/rules.ts'
import type { Rule } from './rules/rule-document.ts'
import { cyclicKeys, patchPositions } from './circular-keys.ts'
import { mappingHash } from './mapping-hash.ts'
import { planBack, type Turning } from './plan-back.ts'
import { conflictProblem } from './plan-conflicts.ts'
import { planDetection } from './plan-detection.ts'
import {
  keyColumns,
  planFields,
  reads,
  reportField,
  type Bind,
  type ComputedFeed,
  type Field,
  type FieldReport,
} from './plan-fields.ts'

/** How one table is synced: decided before anything moves, from the two schemas and the mapping alone. */
export interface TablePlan {
  /** Identity of the mapping in the target's state: servers, tables, key and columns. */
  readonly mappingId: string
  /** The identity that it had without the columns that are to be added; null where there are none. */
  readonly grownFrom: string | null
  /** What a fingerprint of this plan means; when it changes, old fingerprints say nothing. */
  readonly mappingHash: string
  readonly source: TableSchema
  readonly target: TableSchema
  /** How rows are computed on their way; null where the server's own texts are carried as they are. */
  readonly mapped: MappedRows | null
  /** The source's rows in the order and forms of the target's; of a mapped table under the names of the target. */
  readonly sourceScan: Scan
  readonly write: WritePlan
  /** Scans of verification: the columns carried, and those that each side generates by itself. */
  readonly proofScans: { readonly source: Scan; readonly target: Scan }
  /** A constraint of the source forbids NULLs and duplicates in the key; else the rows are asked. */
  readonly sourceKeyIsUnique: boolean
  /** The key is one integer column, so that buckets may be ranges. */
  readonly integerKey: boolean
  /** A foreign key of the target points back at the table, directly or in a ring. */
  readonly cyclic: boolean
  /** Positions in the scan of foreign-key columns that are written NULL first and filled in when all rows are there. */
  readonly patch: readonly number[]
  /** What becomes of a row of the target whose source row does not meet the filter; null where there is no filter. */
  readonly exit: 'ignore' | 'delete' | null
  /** The fields of the scans, in their order, as people look at them. */
  readonly fields: readonly FieldReport[]
  readonly direction: Direction
  /** Rows are judged by what both sides last agreed on. */
  readonly threeWay: boolean
  /** How rows are decided on that both sides changed. */
  readonly conflict: ConflictPolicy
  /** How its changes are found. */
  readonly detecting: Detecting
  /** Columns of the source that go nowhere. */
  readonly unmapped: readonly string[]
  readonly notes: readonly string[]
  /** How rows of the target are brought back to the source; null in one way. */
  readonly back: TablePlan | null
  /** How a row of the target becomes one of the source; null in one way, and where it goes back as it is. */
  readonly turning: Turning | null
}

/** What is read of the source, and what becomes of it. */
export interface MappedRows {
  /** The columns that some field needs, the source's key first. */
  readonly raw: Scan
  /** One for each column of the plan's scans, in their order. */
  readonly fields: readonly MappedField[]
  /** What the values must satisfy, and the types of the fields as the rules take them. */
  readonly rules: readonly Rule[]
  readonly types: readonly { readonly name: string; readonly type: ColumnType }[]
  /** What is looked up in other tables of the source, and where a table is whose name has no schema. */
  readonly needs: readonly LookupNeed[]
  readonly homeSchema: string
  /** What a row must meet besides the filter of `raw`. */
  readonly filter: { readonly inputs: readonly number[]; readonly matches: (cells: readonly Value[]) => boolean } | null
  /** The key in the target is the source's key as it is, so that a row is found by it. */
  readonly keyIsDirect: boolean
}

export interface MappedField {
  readonly name: string
  /** Places in `raw`. */
  readonly inputs: readonly number[]
  /** Null: the one input is carried as it is. */
  readonly bind: Bind | null
  /** What the sandbox is given in place of the inputs: see `ComputedFeed`. */
  readonly code: ComputedFeed['code']
}

export interface Problem {
  readonly code: ErrorCode
  readonly message: string
}

export type Planned = { readonly plan: TablePlan } | { readonly problems: readonly Problem[] }

export interface Sides {
  readonly source: ServerInfo
  readonly target: ServerInfo
}

/** Whether each side is seen at one moment. */
export function seesMoments(
  plans: readonly Pick<TablePlan, 'source' | 'target'>[],
  { source, target }: { readonly [side in keyof Sides]: { readonly server: ServerInfo } },
): boolean {
  const steady = plans.every((plan) => plan.source.unsteady === undefined && plan.target.unsteady === undefined)
  return steady && source.server.moments === 'exact' && target.server.moments === 'exact'
}

function unsteadyNotes({ ref, unsteady }: TableSchema): string[] {
  if (unsteady === undefined) return []
  return [`${tableName(ref)} is not read at one moment: ${unsteady}. What is written meanwhile may be seen in part.`]
}

function unsafeNotes({ ref, unsteady }: TableSchema): string[] {
  if (unsteady === undefined) return []
  return [`${tableName(ref)}: ${unsteady}. Its rows are written one by one, and at least once where a run breaks off.`]
}

/** Plans one table, or says everything that stands in the way. Pure. */
export function planTable(
  mapping: TableMapping,
  { source, target }: { source: TableSchema; target: TableSchema },
  { sides, policies, cyclic }: { sides: Sides; policies: Policies; cyclic: ReadonlySet<string> },
): Planned {
  const problems: Problem[] = []
  const notes = [...unsteadyNotes(source), ...unsafeNotes(target)]
  const fields = planFields(
    mapping,
    { source, target, across: sides.source.kind !== sides.target.kind },
    { problems, notes, pairs: [] },
  )
  const key = chooseKey(mapping, { source, target, fields })
  if ('message' in key) problems.push(key)
  checkKind(source, target, problems)
  if (problems.length > 0 || 'message' in key) return { problems }

  const ordered = [...key.fields, ...fields.filter((field) => !key.fields.includes(field))]
  const carried = ordered.filter(({ target: column }) => column.generated === null || isKey(key, column))
  const generated = ordered.filter((field) => !carried.includes(field))
  const filter = planFilter(mapping, source, key)
  if ('message' in filter) return { problems: [filter] }
  const conflict = conflictPolicy(policies, mapping)
  const mapped = mapRows(carried, key, { source, filter, homeSchema: sides.source.homeSchema })
  const wrong =
    conflictProblem(conflict, carried, { target, baseline: policies.baseline }) ??
    (mapped && ruleProblem(mapped, target))
  if (wrong) return { problems: [wrong] }
  const looked = planDetection(mapping, { source, computed: mapped !== null }, { policies, server: sides.source })
  if ('message' in looked) return { problems: [looked] }
  notes.push(...looked.notes)
  const algorithm = mapped === null ? chooseAlgorithm(sides) : 'md5'
  const { sourceScan, targetScan } = scansOf({ source, target, key, filter, algorithm, computed: mapped !== null })
  const scan = targetScan(carried)
  const identityOf = (columns: readonly Field[]): unknown[] => identity(mapping, key, columns)
  const idOf = (columns: readonly Field[]): string =>
    mappingHash([sides.source.identity, sides.target.identity, ...identityOf(columns)])
  const there = carried.filter((field) => field.target.id !== TO_BE_ADDED)
  const compared = mapped === null ? [...carried, ...generated] : carried
  const plan: TablePlan = {
    mappingId: idOf(carried),
    grownFrom: there.length === carried.length ? null : idOf(there),
    mappingHash: mappingHash([
      algorithm,
      carried.map((field) => field.hash),
      sides.source.major,
      sides.target.major,
      ...identityOf(carried),
    ]),
    source,
    target,
    mapped,
    sourceScan: sourceScan(carried),
    write: {
      scan,
      definition: target.definition,
      written: carried.filter((field) => field.target.generated === null).map((field) => field.target.name),
      keyIsUnique: key.uniqueInTarget,
      silenceTriggers: false,
      keepsZeroDates: mapping.zeroDates === 'keep',
      baseline: needsBaseline(policies, mapping),
      baselineDetails: baselineDetails(policies, mapping),
    },
    conflict,
    detecting: looked.detecting,
    direction: policies.direction,
    threeWay: isThreeWay(policies, mapping),
    exit: mapping.filter === null ? null : mapping.filterExit,
    fields: carried.map(reportField),
    unmapped: source.columns.map(({ name }) => name).filter((name) => !carried.some((field) => reads(field, name))),
    proofScans: { source: sourceScan(compared), target: targetScan(compared) },
    sourceKeyIsUnique: key.uniqueInSource,
    integerKey: key.fields.length === 1 && key.fields.every(isInteger),
    cyclic: cyclicKeys(target, cyclic).length > 0,
    patch: patchPositions(target, scan, cyclic),
    notes,
    back: null,
    turning: null,
  }
  return policies.direction === 'two_way' ? planBack(plan, { mapping, key, carried, cyclic }) : { plan }
}

/** Makes the scans of some fields of both tables. */
function scansOf(of: {
  source: TableSchema
  target: TableSchema
  key: ChosenKey
  filter: RowFilter
  algorithm: FingerprintAlgorithm
  computed: boolean
}): Record<'sourceScan' | 'targetScan', (columns: readonly Field[]) => Scan> {
  const targetScan = (columns: readonly Field[]): Scan => ({
    table: of.target.ref,
    columns: columns.map(targetColumn),
    keyLength: of.key.fields.length,
    algorithm: of.algorithm,
    filter: null,
  })
  const sourceScan = (columns: readonly Field[]): Scan => ({
    ...targetScan(columns),
    table: of.source.ref,
    filter: of.filter.pushdown,
    columns: columns.map(({ target: { name }, feed, form, hash }): ScanColumn => ({
      name: feed.kind === 'direct' && !of.computed ? feed.column.name : name,
      form,
      hash,
    })),
  })
  return { sourceScan, targetScan }
}

function isInteger({ feed, target }: Field): boolean {
  return feed.kind === 'direct' && feed.column.type.kind === 'integer' && target.type.kind === 'integer'
}

function isKey(key: ChosenKey, column: Column): boolean {
  return key.fields.some((field) => field.target === column)
}

function targetColumn({ target: { name, id }, form, hash: by }: Field): ScanColumn {
  return { name, form, hash: by, ...(id === TO_BE_ADDED ? { absent: true as const } : {}) }
}

/** What makes a mapping of two tables this one and no other. */
function identity(mapping: TableMapping, key: ChosenKey, columns: readonly Field[]): unknown[] {
  return [mapping.source, mapping.target, key.source, columns.map(fieldIdentity), mapping.query, mapping.filter]
}

/** What decides the meaning of a field's values. */
function fieldIdentity({ target, form, feed }: Field): unknown[] {
  return feed.kind === 'direct' ? [feed.column.name, target.name, form] : [feed.identity, target.name, form]
}

/** The filter of the rows: what the database is asked, and what is left to be asked of each row here. */
interface RowFilter {
  readonly pushdown: Condition | null
  readonly rest: { readonly uses: readonly string[]; readonly matches: (cells: readonly Value[]) => boolean } | null
}

function planFilter({ filter: text }: TableMapping, source: TableSchema, key: ChosenKey): RowFilter | Problem {
  if (text === null) return { pushdown: null, rest: null }
  const filter = compileFilter(text, source.columns)
  if ('problem' in filter) {
    const { message, line, column } = filter.problem
    const where = `the filter of ${tableName(source.ref)}, line ${line}, column ${column}`
    return { code: 'invalid_expression', message: `${message} (${where})` }
  }
  const { uses, matches, pushdown, rest } = filter
  // A row that left the filter is found again by its key: where that is computed, by having been seen.
  if (!key.direct) return { pushdown: null, rest: { uses, matches } }
  return { pushdown, rest: rest === null ? null : { uses, matches: rest } }
}

function ruleProblem({ rules, types }: MappedRows, target: TableSchema): Problem | null {
  // What the source holds is known later; here it matters that the rules can be asked.
  const compiled = compileRules(rules, types, { keysOf: () => new Set(), repeated: () => false })
  if (!('problems' in compiled)) return null
  const words = compiled.problems.map(({ index, message }) => `${rules[index]?.field}: ${message}`)
  return { code: 'invalid_rule', message: `A rule of ${tableName(target.ref)} cannot be asked. ${words.join(' ')}` }
}

/** What is read of the source where rows are computed on their way, and how; null where nothing needs that. */
function mapRows(
  carried: readonly Field[],
  key: ChosenKey,
  { source, filter, homeSchema }: { source: TableSchema; filter: RowFilter; homeSchema: string },
): MappedRows | null {
  const plain = carried.every(({ feed, rules }) => feed.kind === 'direct' && rules.length === 0)
  if (plain && filter.rest === null) return null
  const columns: ScanColumn[] = []
  const place = (name: string, form: Form): number => {
    const found = columns.findIndex((column) => column.name === name && column.form === form)
    return found >= 0 ? found : columns.push({ name, form, hash: 'text' }) - 1
  }
  // The key comes first, in the form in which a direct field carries it.
  for (const name of key.source) {
    const field = key.fields.find(({ feed }) => feed.kind === 'direct' && feed.column.name === name)
    place(name, field?.form ?? 'own')
  }
  // Then what somebody looks at: behind that a row need not be searched for the borders of cells.
  for (const { feed } of carried) if (feed.kind === 'computed') for (const { name } of feed.columns) place(name, 'own')
  for (const name of filter.rest?.uses ?? []) place(name, 'own')
  const fields = carried.map((field): MappedField =>
    field.feed.kind === 'direct'
      ? { name: field.target.name, inputs: [place(field.feed.column.name, field.form)], bind: null, code: null }
      : {
          name: field.target.name,
          inputs: field.feed.columns.map(({ name }) => place(name, 'own')),
          bind: field.feed.bind,
          code: field.feed.code,
        },
  )
  const { rest, pushdown } = filter
  const matches = rest && { inputs: rest.uses.map((name) => place(name, 'own')), matches: rest.matches }
  const raw: Scan = {
    table: source.ref,
    columns,
    keyLength: key.source.length,
    algorithm: 'md5',
    filter: pushdown,
  }
  const rules = carried.flatMap((field) => field.rules)
  const needs = [
    ...carried.flatMap(({ feed }) => (feed.kind === 'computed' ? feed.needs : [])),
    ...rules.flatMap((rule) => ('reference' in rule ? [referenceNeed(rule.reference)] : [])),
  ]
  const types = carried.map(({ target: { name, type } }) => ({ name, type }))
  return { raw, fields, needs, homeSchema, rules, types, filter: matches, keyIsDirect: key.direct }
}

export interface ChosenKey {
  /** The columns of the source that identify a row there. */
  readonly source: readonly string[]
  /** The fields that identify it in the target. */
  readonly fields: readonly Field[]
  /** The one are the other, column by column. */
  readonly direct: boolean
  readonly uniqueInSource: boolean
  readonly uniqueInTarget: boolean
}

/**
 * The key of the source: the declared one, else the primary key, else the first unique index whose columns are never NULL.
 * In the target it is the fields that carry these columns as they are; where they do not, the target's own key, computed or
 * checked value by value.
 */
function chooseKey(
  mapping: TableMapping,
  { source, target, fields }: { source: TableSchema; target: TableSchema; fields: readonly Field[] },
): ChosenKey | Problem {
  const usable = keysOf(source).filter((key) => key.notNull)
  const columns = keyColumns(mapping, source)
  if (columns === null || columns.length === 0) return noKey(source)
  const arbiters = keysOf(target).filter((key) => key.notNull && key.immediate)
  const uniqueInSource = usable.some((key) => sameColumns(key, columns))
  const carrying = columns.map((name) => fields.find(({ feed }) => feed.kind === 'direct' && feed.column.name === name))
  const direct = carrying.filter((field) => field !== undefined)
  if (direct.length === columns.length) {
    const names = direct.map((field) => field.target.name)
    const uniqueInTarget = arbiters.some((key) => sameColumns(key, names))
    return { source: columns, fields: direct, direct: true, uniqueInSource, uniqueInTarget }
  }
  const missing = columns[carrying.indexOf(undefined)] ?? ''
  if (mapping.fields === null) {
    // Paired by name, a column that is checked on its way is the key's all the same. Its index may only come after the rows.
    const own = columns.flatMap((name) => fields.filter((field) => reads(field, name)))
    if (own.length < columns.length) return keyNotCarried(mapping, missing)
    const names = own.map((field) => field.target.name)
    const uniqueInTarget = arbiters.some((key) => sameColumns(key, names))
    return { source: columns, fields: own, direct: false, uniqueInSource: false, uniqueInTarget }
  }
  const unknown = columns.find((name) => !source.columns.some((column) => column.name === name))
  const fed = arbiters
    .map((key) => key.columns.map((name) => fields.find((field) => field.target.name === name)))
    .find((found) => found.every((field) => field !== undefined))
  if (unknown !== undefined || fed === undefined) return keyNotCarried(mapping, unknown ?? missing)
  // Nothing says that what is computed is unique: the rows are asked.
  const own = fed.filter((field) => field !== undefined)
  return { source: columns, fields: own, direct: false, uniqueInSource: false, uniqueInTarget: true }
}

function keysOf(table: TableSchema): UniqueKey[] {
  return [table.primaryKey, ...table.uniqueKeys].filter((key) => key !== null)
}

function sameColumns(key: UniqueKey, columns: readonly string[]): boolean {
  return key.columns.length === columns.length && key.columns.every((name) => columns.includes(name))
}

function checkKind(source: TableSchema, target: TableSchema, problems: Problem[]): void {
  if (target.kind !== 'table' && target.kind !== 'partitioned') {
    problems.push({
      code: 'impossible_mapping',
      message: `${tableName(target.ref)} is a ${target.kind}, not a table that can be written.`,
    })
  }
  if (source.kind === 'foreign table') {
    problems.push({
      code: 'impossible_mapping',
      message: `${tableName(source.ref)} is a foreign table: its rows are not the server's own.`,
    })
  }
}

/** The fast hash may stand in for MD5 only where both servers make the same of the same values. */
function chooseAlgorithm(sides: Sides): FingerprintAlgorithm {
  return sides.source.hashProbe !== '' && sides.source.hashProbe === sides.target.hashProbe ? 'column-hash' : 'md5'
}

function noKey(source: TableSchema): Problem {
  return {
    code: 'no_key',
    message: `${tableName(source.ref)} has no primary key and no unique index over columns that are never NULL.`,
  }
}

function keyNotCarried(mapping: TableMapping, column: string): Problem {
  return {
    code: 'column_not_found',
    message: `The key column "${column}" of ${tableName(mapping.source)} is not carried to ${tableName(mapping.target)}.`,
  }
}
