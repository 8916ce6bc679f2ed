import { createHash } from 'node:crypto'
import type { Scan, ScanColumn, ServerInfo, WritePlan } from '#adapters/adapter.ts'
import { judgePair, type Form } from '#model/column-type.ts'
import type { ErrorCode } from '#model/errors.ts'
import type { FingerprintAlgorithm } from '#model/fingerprint.ts'
import { needsBaseline, type Policies, type TableMapping } from '#model/sync-config.ts'
import { sameTable, tableName, type Column, type ForeignKey, type TableSchema, type UniqueKey } from '#model/table.ts'

/** How one table is synced: decided before anything moves, from the two schemas and the mapping alone. */
export interface TablePlan {
  /** Identity of the mapping in the target's state: servers, tables, key and columns. */
  readonly mappingId: string
  /** What a fingerprint of this plan means; when it changes, old fingerprints say nothing. */
  readonly mappingHash: string
  readonly source: TableSchema
  readonly target: TableSchema
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
  readonly notes: readonly string[]
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

interface Pair {
  readonly source: Column
  readonly target: Column
  readonly form: Form
}

/** Plans one table, or says everything that stands in the way. Pure. */
export function planTable(
  mapping: TableMapping,
  { source, target }: { source: TableSchema; target: TableSchema },
  { sides, policies, cyclic }: { sides: Sides; policies: Policies; cyclic: ReadonlySet<string> },
): Planned {
  const problems: Problem[] = []
  const notes: string[] = []
  const pairs = pairColumns(mapping, { source, target }, problems, notes)
  const key = chooseKey(mapping, source, target)
  if (key === null) problems.push(noKey(source))
  const keyPairs = (key?.source ?? []).map((name) => pairs.find((pair) => pair.source.name === name))
  for (const [i, pair] of keyPairs.entries()) {
    if (pair === undefined) problems.push(keyNotCarried(mapping, key?.source[i] ?? ''))
  }
  checkKind(source, target, problems)
  if (problems.length > 0 || key === null) return { problems }

  const keyed = keyPairs.filter((pair) => pair !== undefined)
  const ordered = [...keyed, ...pairs.filter((pair) => !keyed.includes(pair))]
  const algorithm = chooseAlgorithm(sides)
  const scanOf = (side: 'source' | 'target', columns: readonly Pair[]): Scan => ({
    table: side === 'source' ? source.ref : target.ref,
    columns: columns.map((pair): ScanColumn => ({ name: pair[side].name, form: pair.form })),
    keyLength: keyed.length,
    algorithm,
  })
  const carried = ordered.filter((pair) => pair.target.generated === null || keyed.includes(pair))
  const targetScan = scanOf('target', carried)
  const generated = ordered.filter((pair) => !carried.includes(pair))
  const identity = { sides, mapping, key: key.source, columns: carried }
  const plan: TablePlan = {
    mappingId: hash([identity.sides.source.identity, sides.target.identity, ...identityParts(identity)]),
    mappingHash: hash([algorithm, sides.source.major, sides.target.major, ...identityParts(identity)]),
    source,
    target,
    sourceScan: scanOf('source', carried),
    write: {
      scan: targetScan,
      written: carried.filter((pair) => pair.target.generated === null).map((pair) => pair.target.name),
      keyIsUnique: key.uniqueInTarget,
      silenceTriggers: false,
      baseline: needsBaseline(policies),
    },
    proofScans: {
      source: scanOf('source', [...carried, ...generated]),
      target: scanOf('target', [...carried, ...generated]),
    },
    sourceKeyIsUnique: key.uniqueInSource,
    integerKey:
      keyed.length === 1 && keyed[0]?.source.type.kind === 'integer' && keyed[0].target.type.kind === 'integer',
    cyclic: cyclicKeys(target, cyclic).length > 0,
    patch: patchPositions(target, targetScan, cyclic),
    notes,
  }
  return { plan }
}

/** Pairs the columns by name or by rename, and judges each pair. */
function pairColumns(
  mapping: TableMapping,
  { source, target }: { source: TableSchema; target: TableSchema },
  problems: Problem[],
  notes: string[],
): Pair[] {
  const named = [...(mapping.columns ?? []), ...mapping.exclude, ...mapping.rename.keys()]
  for (const name of named) {
    if (!source.columns.some((column) => column.name === name)) {
      problems.push({ code: 'column_not_found', message: `${tableName(source.ref)} has no column "${name}".` })
    }
  }
  const pairs: Pair[] = []
  for (const column of source.columns) {
    const selected = mapping.columns === null || mapping.columns.includes(column.name)
    if (!selected || mapping.exclude.includes(column.name)) continue
    const targetName = mapping.rename.get(column.name) ?? column.name
    const partner = target.columns.find((candidate) => candidate.name === targetName)
    if (partner === undefined) {
      const asked = mapping.columns !== null || mapping.rename.has(column.name)
      const message = `${tableName(target.ref)} has no column "${targetName}"`
      if (asked) problems.push({ code: 'column_not_found', message: `${message}.` })
      else notes.push(`${message}: ${tableName(source.ref)}.${column.name} is not carried.`)
      continue
    }
    const judged = judgePair(column.type, partner.type)
    if (judged.ok) pairs.push({ source: column, target: partner, form: judged.form })
    else problems.push(impossible({ source, target, column, partner, reason: judged.reason }))
  }
  checkRest({ source, target, pairs }, problems, notes)
  return pairs
}

/** Columns of the target that nothing feeds: harmless if they may be NULL, have a default or fill themselves. */
function checkRest(
  { source, target, pairs }: { source: TableSchema; target: TableSchema; pairs: readonly Pair[] },
  problems: Problem[],
  notes: string[],
): void {
  for (const column of target.columns) {
    if (pairs.some((pair) => pair.target.name === column.name) || column.generated !== null) continue
    const where = `${tableName(target.ref)}.${column.name}`
    if (column.nullable || column.hasDefault || column.identity !== null) {
      notes.push(`${where} has no counterpart in ${tableName(source.ref)}: the target fills it by itself.`)
    } else {
      problems.push({
        code: 'impossible_mapping',
        message: `${where} must have a value, and ${tableName(source.ref)} has no column for it.`,
      })
    }
  }
}

interface ChosenKey {
  readonly source: readonly string[]
  readonly uniqueInSource: boolean
  readonly uniqueInTarget: boolean
}

/** The declared key, else the primary key, else the first unique index whose columns are never NULL. */
function chooseKey(mapping: TableMapping, source: TableSchema, target: TableSchema): ChosenKey | null {
  const usable = [source.primaryKey, ...source.uniqueKeys].filter((key) => key?.notNull === true)
  const columns = mapping.key ?? usable[0]?.columns ?? null
  if (columns === null || columns.length === 0) return null
  const targetColumns = columns.map((name) => mapping.rename.get(name) ?? name)
  const arbiters = [target.primaryKey, ...target.uniqueKeys].filter(
    (key) => key !== null && key.notNull && key.immediate,
  )
  return {
    source: columns,
    uniqueInSource: usable.some((key) => key !== null && sameColumns(key, columns)),
    uniqueInTarget: arbiters.some((key) => key !== null && sameColumns(key, targetColumns)),
  }
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

/** The fast hash may stand in for MD5 only where both servers give the same hash for the same text. */
function chooseAlgorithm(sides: Sides): FingerprintAlgorithm {
  return sides.source.textHashProbe !== '' && sides.source.textHashProbe === sides.target.textHashProbe
    ? 'text-hash'
    : 'md5'
}

/** Nullable columns of foreign keys that run in a cycle: rows can be there only before the rows that they point to. */
function patchPositions(target: TableSchema, scan: Scan, cyclic: ReadonlySet<string>): number[] {
  const columns = new Set(cyclicKeys(target, cyclic).flatMap((key) => key.columns))
  return scan.columns.flatMap((column, i) => {
    const nullable = target.columns.some((candidate) => candidate.name === column.name && candidate.nullable)
    return nullable && i >= scan.keyLength && columns.has(column.name) ? [i] : []
  })
}

function cyclicKeys(target: TableSchema, cyclic: ReadonlySet<string>): readonly ForeignKey[] {
  return target.foreignKeys.filter((key) => sameTable(key.parent, target.ref) || cyclic.has(key.name))
}

function identityParts(identity: {
  mapping: TableMapping
  key: readonly string[]
  columns: readonly Pair[]
}): unknown[] {
  const { mapping, key, columns } = identity
  return [mapping.source, mapping.target, key, columns.map((pair) => [pair.source.name, pair.target.name, pair.form])]
}

function hash(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)
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

function impossible(of: {
  source: TableSchema
  target: TableSchema
  column: Column
  partner: Column
  reason: string
}): Problem {
  const { source, target, column, partner, reason } = of
  return {
    code: 'impossible_mapping',
    message:
      `${tableName(source.ref)}.${column.name} (${column.nativeType}) cannot go to ` +
      `${tableName(target.ref)}.${partner.name} (${partner.nativeType}): ${reason}.`,
  }
}
