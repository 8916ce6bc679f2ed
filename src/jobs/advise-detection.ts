import type { Adapter } from '#adapters/adapter.ts'
import { toConduct, toPolicies, toTableChoice, type ConfigPolicies } from '#model/config-document.ts'
import type { Datasource } from '#model/datasource.ts'
import type { DetectionStrategy } from '#model/detection.ts'
import { AppError } from '#model/errors.ts'
import { DEFAULT_POLICIES, isThreeWay, NO_OWN_DETECTION, type TableMapping } from '#model/sync-config.ts'
import { atHome, sameTable, tableName, type Right, type TableRef, type TableSchema } from '#model/table.ts'
import { formatTableName, parsePattern } from '#model/table-pattern.ts'
import type { WriteRules } from '#model/write-protection.ts'
import { adviseDetection, cursorColumns, type AdviceQuestion, type DetectionAdvice } from '#sync/advise-detection.ts'
import { chooseTables } from '#sync/choose-tables.ts'
import { surveyTables } from '#sync/select-tables.ts'
import { openDatasource, type OpeningTools } from './open-datasource.ts'

export interface AdviseTools extends OpeningTools {
  readonly rules: WriteRules
}

export interface AdviseQuestion {
  readonly source: Datasource
  /** What the sync config says, and where it goes; null: there is none yet. */
  readonly config: { readonly target: Datasource; readonly policies: ConfigPolicies } | null
  /** Tables of the source; null: those of the config, or all. */
  readonly tables: readonly TableRef[] | null
}

export interface AdvisedTable {
  readonly source: TableRef
  /** As the config has it now; null where there is no config. */
  readonly current: { readonly strategy: DetectionStrategy; readonly cursorColumn: string | null } | null
  readonly advice: DetectionAdvice
  /** What stands in the way of the table whatever the strategy. */
  readonly notes: readonly string[]
}

export interface AdviseAnswer {
  readonly tables: readonly AdvisedTable[]
  /** Tables beyond the bound of one question. */
  readonly leftOut: readonly TableRef[]
}

/** Tables that one question looks into: of each, some rows are sampled. */
const MOST_TABLES = 100

/** A table, and what of its sync bears on the advice. */
type Asked = Pick<AdviceQuestion, 'source' | 'policies' | 'key' | 'computed' | 'reviewed' | 'threeWay'> &
  Pick<AdvisedTable, 'current' | 'notes'>

/**
 * Looks at the tables, read-only and within bounds, and says how their changes can be found.
 * @throws AppError `table_not_found`, and whatever keeps a datasource from being opened
 */
export async function adviseTables(
  tools: AdviseTools,
  { source: from, config, tables }: AdviseQuestion,
  signal: AbortSignal,
): Promise<AdviseAnswer> {
  const options = { write: null, rules: tools.rules, signal }
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await openDatasource(tools, from, options))
  const target = config && stack.use(await openDatasource(tools, config.target, options))
  const all =
    config === null || target === null
      ? await tablesOfSource(source, tables)
      : await tablesOfConfig({ source, target }, config.policies, tables)
  const asked = all.slice(0, MOST_TABLES)
  const { sessions, tables: facts } = await source.detectionFacts(
    asked.map((each) => ({ table: each.source.ref, columns: cursorColumns(each.source) })),
  )
  const advised = asked.flatMap(({ current, notes, ...table }, i): AdvisedTable[] => {
    const found = facts[i]
    if (found === undefined) return []
    const grant = grantOf(source, table.source)
    const advice = adviseDetection({ ...table, facts: found, sessions, server: source.server, grant })
    return [{ source: table.source.ref, current, notes, advice }]
  })
  return { tables: advised, leftOut: all.slice(MOST_TABLES).map(({ source: { ref } }) => ref) }
}

const READING: readonly Right[] = ['use', 'select']

function grantOf(source: Adapter, { ref, rights }: TableSchema): string | null {
  const missing = READING.filter((right) => !rights[right])
  return missing.length === 0 ? null : source.grant(ref, missing)
}

/** Views are for those who name them. */
async function tablesOfSource(source: Adapter, given: readonly TableRef[] | null): Promise<Asked[]> {
  const wanted = given?.map((ref) => atHome(ref, source.server)) ?? null
  const described = await source.describe(wanted ?? 'all')
  const schemas =
    wanted === null
      ? described.filter(({ kind }) => kind === 'table' || kind === 'partitioned')
      : wanted.map((ref) => mustFind(described, ref))
  return schemas.map((schema) => ({
    source: schema,
    policies: DEFAULT_POLICIES,
    key: keyOf(schema, null),
    computed: false,
    reviewed: false,
    threeWay: false,
    current: null,
    notes: [],
  }))
}

function mustFind(tables: readonly TableSchema[], ref: TableRef): TableSchema {
  const found = tables.find((table) => sameTable(table.ref, ref))
  if (found === undefined) throw new AppError('table_not_found', `The source has no table ${tableName(ref)}.`)
  return found
}

/** What is asked for in other words by the advice itself. */
const ADVISED = ['no_key', 'missing_privilege']

async function tablesOfConfig(
  ends: { readonly source: Adapter; readonly target: Adapter },
  document: ConfigPolicies,
  wanted: readonly TableRef[] | null,
): Promise<Asked[]> {
  const { onReject: _, ...policies } = { ...toPolicies(document), create: false }
  const reviewed = toConduct(document).commitMode !== 'streaming'
  const mappings = await mappingsOf(ends, document, wanted)
  // Planned as if by digests, so that a strategy which cannot be is a matter for the advice alone.
  const { tables } = await surveyTables(ends, {
    ...policies,
    detectionStrategy: 'hash',
    tables: mappings?.map((mapping) => ({ ...mapping, detection: NO_OWN_DETECTION })) ?? null,
  })
  const lost = tables.filter((table) => table.tables === null).map(({ mapping }) => mapping.source)
  const described = lost.length === 0 ? [] : await ends.source.describe(lost)
  return tables.map(({ mapping, plan, problems, tables: pair }): Asked => {
    const source = pair?.source ?? mustFind(described, mapping.source)
    const { detection } = mappings?.find((each) => sameTable(each.source, mapping.source)) ?? mapping
    return {
      source,
      policies,
      key: keyOf(source, mapping.key),
      computed: plan === null ? mapping.fields !== null : plan.mapped !== null,
      reviewed,
      threeWay: isThreeWay(policies, mapping),
      current: currentOf(detection, policies),
      notes: problems.filter(({ code }) => !ADVISED.includes(code)).map(({ message }) => message),
    }
  })
}

/** Null: every table that both sides have. @throws AppError `table_not_found` */
async function mappingsOf(
  ends: { readonly source: Adapter; readonly target: Adapter },
  document: ConfigPolicies,
  given: readonly TableRef[] | null,
): Promise<readonly TableMapping[] | null> {
  const wanted = given?.map((ref) => atHome(ref, ends.source.server)) ?? null
  const choice = toTableChoice(document)
  const named = wanted?.map((ref) => ({ source: parsePattern(formatTableName(ref)), target: null, query: null })) ?? []
  const include = choice.include.length === 0 ? named : choice.include
  const chosen = await chooseTables({ ...choice, include }, ends, { create: false, note: () => {} })
  if (wanted === null) return chosen
  return wanted.map((ref) => {
    const found = chosen?.find(({ source }) => sameTable(source, ref))
    if (found !== undefined) return found
    throw new AppError('table_not_found', `The sync config names no table ${tableName(ref)}.`, {
      hint: 'Name a table as it is called in the source, from among those that the sync config picks.',
    })
  })
}

function keyOf({ primaryKey, uniqueKeys }: TableSchema, declared: readonly string[] | null): readonly string[] | null {
  return declared ?? primaryKey?.columns ?? uniqueKeys.find(({ notNull }) => notNull)?.columns ?? null
}

function currentOf(
  own: TableMapping['detection'],
  policies: Pick<typeof DEFAULT_POLICIES, 'detectionStrategy' | 'cursorColumn'>,
): AdvisedTable['current'] {
  const strategy = own.strategy ?? policies.detectionStrategy
  const goesByCursor = strategy === 'timestamp' || strategy === 'rowversion'
  return { strategy, cursorColumn: goesByCursor ? (own.cursorColumn ?? policies.cursorColumn) : null }
}
