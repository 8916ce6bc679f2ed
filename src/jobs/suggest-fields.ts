import type { Adapter } from '#adapters/adapter.ts'
import { previewRows, type DescribedDatabase, type RowsPreview } from '#adapters/registry.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { atHome, counterpart, sameTable, tableName, type TableRef, type TableSchema } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { WriteRules } from '#model/write-protection.ts'
import { refineSuggestion } from '#sync/refine-suggestion.ts'
import {
  suggestFields,
  type FieldSuggestion,
  type MappingSuggestion,
  type MatchedRows,
  type SuggestSide,
} from '#sync/suggest-mapping.ts'
import { suggestTables } from '#sync/suggest-tables.ts'
import { askModel, type ModelEndpoint } from './ask-model.ts'
import { describeDatasource, openDatasource, type OpeningTools } from './open-datasource.ts'

export interface SuggestTools extends OpeningTools {
  readonly rules: WriteRules
  /** Null where nobody has configured one. */
  readonly model: ModelEndpoint | null
}

export interface SuggestQuestion {
  readonly source: Datasource
  readonly target: Datasource
  /** Tables of the source, each with the one that it goes to or null where that is to be suggested; null: all tables. */
  readonly tables: readonly { readonly source: TableRef; readonly target: TableRef | null }[] | null
  /** Ask the model too, where there is one. */
  readonly refine: boolean
}

export interface PairSuggestion {
  readonly source: TableRef
  readonly target: TableRef
  /** How likely the tables belong together; 1 where somebody said so. */
  readonly score: number
  readonly reasons: readonly string[]
  readonly mapping: MappingSuggestion
  /** Rows that were looked at, and rows of both sides with the same key. */
  readonly sampled: { readonly source: number; readonly target: number; readonly matched: number }
  readonly notes: readonly string[]
}

export interface SuggestAnswer {
  readonly tables: readonly PairSuggestion[]
  /** Pairs beyond the bound of one question. */
  readonly leftOut: readonly { readonly source: TableRef; readonly target: TableRef }[]
  /** Tables that nothing was found for. */
  readonly unmatched: readonly TableRef[]
  readonly askedModel: boolean
}

/** Pairs of tables that one question looks into: each costs three short reads. */
const MOST_PAIRS = 20
/** Cells of one sample, of 500 characters at most each: 10 MB. */
const MOST_CELLS = 20_000
const MOST_ROWS = 100
const LEAST_ROWS = 10
/** Questions to the model that one question of ours may lead to. */
const MOST_ASKED = 5

interface Side {
  readonly adapter: Adapter
  readonly place: DescribedDatabase
}

interface Pair {
  readonly source: TableSchema
  readonly target: TableSchema
  readonly score: number
  readonly reasons: readonly string[]
}

/**
 * Looks at both databases, read-only and within bounds, and suggests what goes where. @throws AppError `table_not_found`,
 * and whatever keeps a datasource from being opened
 */
export async function suggestMappings(
  tools: SuggestTools,
  question: SuggestQuestion,
  signal: AbortSignal,
): Promise<SuggestAnswer> {
  const open = async (datasource: Datasource): Promise<Side> => ({
    adapter: await openDatasource(tools, datasource, { write: null, rules: tools.rules, signal }),
    place: await describeDatasource(tools, datasource),
  })
  await using stack = new AsyncDisposableStack()
  const source = await open(question.source)
  stack.use(source.adapter)
  const target = await open(question.target)
  stack.use(target.adapter)
  const { pairs, unmatched } = await findPairs(question.tables, source.adapter, target.adapter)
  const tables: PairSuggestion[] = []
  let asked = 0
  let model = question.refine ? tools.model : null
  for (const pair of pairs.slice(0, MOST_PAIRS)) {
    const { suggestion, sides } = await suggestPair(pair, { source, target }, signal)
    if (model === null || asked >= MOST_ASKED) {
      tables.push(suggestion)
      continue
    }
    asked += 1
    const answer = await askModel(model, sides, signal)
    // An endpoint that failed once is not asked again for the same question.
    if ('fault' in answer) model = null
    tables.push(withOpinion(suggestion, answer, sides))
  }
  return { tables, leftOut: pairs.slice(MOST_PAIRS).map(refsOf), unmatched, askedModel: asked > 0 }
}

function withOpinion(
  suggestion: PairSuggestion,
  answer: Awaited<ReturnType<typeof askModel>>,
  sides: Sides,
): PairSuggestion {
  if ('fault' in answer) {
    return { ...suggestion, notes: [...suggestion.notes, `${answer.fault} These are the suggestions without it.`] }
  }
  const { suggestion: mapping, dropped } = refineSuggestion(suggestion.mapping, answer.proposals, sides)
  const note = dropped === 0 ? [] : [`${dropped} proposals of the model spoke of columns that there are not.`]
  return { ...suggestion, mapping, notes: [...suggestion.notes, ...note] }
}

function refsOf({ source, target }: Pair): { source: TableRef; target: TableRef } {
  return { source: source.ref, target: target.ref }
}

async function findPairs(
  given: SuggestQuestion['tables'],
  source: Adapter,
  target: Adapter,
): Promise<{ pairs: Pair[]; unmatched: TableRef[] }> {
  const tables =
    given?.map((each) => ({
      source: atHome(each.source, source.server),
      target: each.target === null ? null : atHome(each.target, target.server),
    })) ?? null
  const named = tables?.flatMap(({ target: to }) => (to === null ? [] : [to])) ?? []
  const guessing = tables === null || named.length < tables.length
  const here = await source.describe(tables === null ? 'all' : tables.map((each) => each.source))
  const there = await target.describe(guessing ? 'all' : named)
  const pairs: Pair[] = []
  const open: TableSchema[] = tables === null ? [...here] : []
  for (const { source: from, target: to } of tables ?? []) {
    const table = mustFind(here, from, 'source')
    const across = counterpart(from, { from: source.server, to: target.server })
    const same = there.find(({ ref }) => to === null && sameTable(ref, across))
    if (to === null && same === undefined) {
      open.push(table)
      continue
    }
    const reasons = [to === null ? 'the same name' : 'named by you']
    pairs.push({ source: table, target: same ?? mustFind(there, to ?? from, 'target'), score: 1, reasons })
  }
  const free = there.filter(({ ref }) => !pairs.some((pair) => sameTable(pair.target.ref, ref)))
  for (const { source: from, target: to, score, reasons } of suggestTables(open, free)) {
    pairs.push({ source: mustFind(here, from, 'source'), target: mustFind(there, to, 'target'), score, reasons })
  }
  const unmatched = open.filter((table) => !pairs.some(({ source: { ref } }) => sameTable(ref, table.ref)))
  return { pairs, unmatched: unmatched.map(({ ref }) => ref) }
}

function mustFind(tables: readonly TableSchema[], ref: TableRef, side: 'source' | 'target'): TableSchema {
  const found = tables.find((table) => sameTable(table.ref, ref))
  if (found === undefined) throw new AppError('table_not_found', `The ${side} has no table ${tableName(ref)}.`)
  return found
}

interface Sides {
  readonly source: SuggestSide
  readonly target: SuggestSide
}

async function suggestPair(
  { source, target, score, reasons }: Pair,
  ends: { readonly source: Side; readonly target: Side },
  signal: AbortSignal,
): Promise<{ suggestion: PairSuggestion; sides: Sides }> {
  const notes: string[] = []
  const sample = async (schema: TableSchema, { place }: Side, only?: OneColumn): Promise<Sample> => {
    const limit = Math.max(LEAST_ROWS, Math.min(MOST_ROWS, Math.floor(MOST_CELLS / schema.columns.length)))
    try {
      const question = { table: schema.ref, limit, ...(only === undefined ? {} : { only }) }
      return alignRows(await previewRows(place, question, signal), schema)
    } catch (error) {
      signal.throwIfAborted()
      const code = error instanceof AppError ? ` (${error.code})` : ''
      notes.push(`Rows of ${tableName(schema.ref)} could not be read${code}: the names and types alone were looked at.`)
      return NOTHING_READ
    }
  }
  const [here, there] = [await sample(source, ends.source), await sample(target, ends.target)]
  const sides: Sides = {
    source: { schema: source, rows: here.rows },
    target: { schema: target, rows: there.rows },
  }
  const first = suggestFields(sides.source, sides.target)
  const key = keyPair(first, target)
  const matched =
    key === null
      ? NO_ROWS
      : await matchRows({ schema: source, rows: here.whole }, target, key, async (only) => {
          return (await sample(target, ends.target, only)).whole
        })
  const second = matched === NO_ROWS ? first : suggestFields(sides.source, sides.target, matched)
  // Both sides may count their rows from 1, and mean others by the same number.
  const strangers = matched !== NO_ROWS && !second.fields.some((each) => provesRows(each, key?.target))
  if (strangers) notes.push('Rows with the same key hold other things on both sides, and were not compared.')
  const mapping = strangers ? first : second
  const sampled = {
    source: sides.source.rows.length,
    target: sides.target.rows.length,
    matched: strangers ? 0 : matched.source.length,
  }
  const refs = { source: source.ref, target: target.ref }
  return { suggestion: { ...refs, score, reasons, mapping, sampled, notes }, sides }
}

/** A field besides the key that the matched rows have in common, and that is no constant. */
function provesRows({ target, from, verified }: FieldSuggestion, key: string | undefined): boolean {
  return target !== key && verified !== null && from.kind === 'columns'
}

interface OneColumn {
  readonly column: string
  readonly values: readonly string[]
}

const NO_ROWS: MatchedRows = { source: [], target: [] }

/** The column by which rows of both sides are known to be the same: the target's key, carried as it is. */
function keyPair({ fields }: MappingSuggestion, target: TableSchema): { source: string; target: string } | null {
  const keys = [target.primaryKey, ...target.uniqueKeys].filter((key) => key !== null && key.columns.length === 1)
  for (const key of keys) {
    const field = fields.find((each) => each.target === key?.columns[0] && each.transforms.length === 0)
    const from = field?.from.kind === 'columns' ? field.from.columns[0] : undefined
    if (field !== undefined && from !== undefined) return { source: from, target: field.target }
  }
  return null
}

async function matchRows(
  source: SuggestSide,
  target: TableSchema,
  key: { readonly source: string; readonly target: string },
  read: (only: OneColumn) => Promise<readonly Row[]>,
): Promise<MatchedRows> {
  const at = source.schema.columns.findIndex(({ name }) => name === key.source)
  const byKey = new Map(source.rows.map((row) => [row[at], row]))
  const values = [...byKey.keys()].filter((value) => typeof value === 'string')
  if (values.length === 0) return NO_ROWS
  const keyAt = target.columns.findIndex(({ name }) => name === key.target)
  const pairs = (await read({ column: key.target, values })).flatMap((row) => {
    const partner = byKey.get(row[keyAt])
    return partner === undefined ? [] : [{ partner, row }]
  })
  // One of many may be a chance; chains are looked for from three rows on.
  return pairs.length === 0
    ? NO_ROWS
    : { source: pairs.map(({ partner }) => partner), target: pairs.map(({ row }) => row) }
}

/** What was read of a table. */
interface Sample {
  readonly rows: readonly Row[]
  /** Those of them of which no value was cut: only they can prove anything. */
  readonly whole: readonly Row[]
}

const NOTHING_READ: Sample = { rows: [], whole: [] }

/** Rows in the order of the columns, as the engine would read their values. */
function alignRows({ columns, rows, cuts }: RowsPreview, schema: TableSchema): Sample {
  const places = schema.columns.map(({ name }) => columns.findIndex((column) => column.name === name))
  const cut = new Set(cuts.map(({ row }) => row))
  const aligned = rows.map((row) =>
    schema.columns.map(({ type }, at) => asRead(row[places[at] ?? -1] ?? null, type.kind === 'boolean')),
  )
  return { rows: aligned, whole: aligned.filter((_, i) => !cut.has(i)) }
}

/** A boolean as a text is a word, and as its own output a letter. */
function asRead(value: string | null, isBoolean: boolean): string | null {
  return isBoolean && value !== null ? value.slice(0, 1) : value
}
