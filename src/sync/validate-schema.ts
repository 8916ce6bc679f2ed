import { TEXT_ROWS, type Adapter, type Scan, type Snapshot } from '#adapters/adapter.ts'
import { watch } from '#adapters/watchdog.ts'
import type { Clock } from '#lib/clock.ts'
import type { Key } from '#model/change.ts'
import { describeType, isDateOrTimestamp, mayHoldZeroDates } from '#model/column-type.ts'
import { LineReader } from '#model/row-text.ts'
import type { Direction, SyncConfig, TableMapping } from '#model/sync-config.ts'
import type { Column, TableRef } from '#model/table.ts'
import { ValueRefused, type Value } from '#model/value.ts'
import { isZeroDate } from '#model/zero-dates.ts'
import { compileFilter } from './expressions/filter.ts'
import { fitValue } from './fit-value.ts'
import type { Verdict } from './judge-types.ts'
import type { Problem } from './plan.ts'
import { keyColumns, planFields, type Compute, type JudgedPair } from './plan-fields.ts'
import { surveyTables, type SurveyedTable } from './select-tables.ts'
import { loadContext } from './stages/make-mapper.ts'
import { TextRow } from './stages/map.ts'

/** What is to be said of a config before anything moves, on the schemas and the rows as they are. */
export interface SchemaValidation {
  /** A run would begin. */
  readonly ready: boolean
  readonly tables: readonly TableValidation[]
  readonly notes: readonly string[]
}

export interface TableValidation {
  readonly source: TableRef
  readonly target: TableRef
  /** A run would carry this table, apart from the rows that do not fit. */
  readonly ready: boolean
  readonly problems: readonly Problem[]
  readonly fields: readonly FieldValidation[]
  readonly unmapped: {
    /** Columns of the source that go nowhere. */
    readonly source: readonly string[]
    /** Columns of the target that nothing feeds, and what fills them instead. */
    readonly target: readonly { readonly column: string; readonly filledBy: FilledBy }[]
  }
  /** Rows that were looked at; null where no field had to be. */
  readonly counted: { readonly rows: number; readonly partial: boolean } | null
}

export type FilledBy = 'generated' | 'identity' | 'default' | 'null' | 'nothing'

export interface FieldValidation {
  readonly columns: readonly string[]
  readonly sourceType: string
  readonly target: string
  readonly targetType: string
  readonly verdict: Verdict
  /** Why values may not fit, or cannot; null where all do. */
  readonly reason: string | null
  readonly nextStep: string | null
  /** Whether what the target changes comes back, where the table is synced two ways; else null. */
  readonly way: Direction | null
  /** Why it does not. */
  readonly oneWay: string | null
  /** Rows that do not fit, and the keys of some; of an impossible pair those that hold a value. Null: not counted. */
  readonly misfits: { readonly rows: number; readonly keys: readonly Key[] } | null
}

export interface ValidateTools {
  readonly clock: Clock
  readonly maskKey: Uint8Array | null
  readonly signal: AbortSignal
  /** Time for all counts together; what is not counted by then is said to be partial. */
  readonly limitMs: number
  /** Count on the rows at all. */
  readonly count: boolean
}

/** Keys that are shown of the rows that do not fit. */
const KEYS = 5
const PIECE_BYTES = 8 * 1024 * 1024

/**
 * Judges every pair of columns of a config, and counts on the source's rows what does not fit: one pass over each table
 * that has a doubtful pair, in sessions that only read, a piece at a time in memory.
 */
export async function validateSchema(
  { source, target, config }: { source: Adapter; target: Adapter; config: SyncConfig },
  tools: ValidateTools,
): Promise<SchemaValidation> {
  const survey = await surveyTables({ source, target }, config)
  const deadline = tools.clock.elapsed() + tools.limitMs
  const across = source.server.kind !== target.server.kind
  const judged = survey.tables.map((table) => judgeTable(table, across))
  const doubtful = judged.some(({ doubts }) => doubts.length > 0)
  await using moment = tools.count && doubtful ? await source.snapshot(2, tools.signal) : null
  const tables: TableValidation[] = []
  for (const table of judged) {
    const asked = { homeSchema: source.server.homeSchema, tools, deadline }
    const counts = moment === null ? null : await countMisfits(table, { moment, ...asked })
    tables.push(report(table, counts))
  }
  const problems = survey.tables.some((table) => table.problems.length > 0)
  const notes = [...survey.notes, ...survey.tables.flatMap(({ plan }) => plan?.notes ?? [])]
  return { ready: !problems && tables.length > 0, tables, notes }
}

interface JudgedTable {
  readonly surveyed: SurveyedTable
  readonly pairs: readonly JudgedPair[]
  /** The pairs whose rows are to be counted. */
  readonly doubts: readonly JudgedPair[]
}

function judgeTable(surveyed: SurveyedTable, across: boolean): JudgedTable {
  const { mapping, tables } = surveyed
  if (tables === null) return { surveyed, pairs: [], doubts: [] }
  const pairs: JudgedPair[] = []
  planFields(mapping, { ...tables, across }, { problems: [], notes: [], pairs })
  const counted = pairs.filter(({ byCode }) => !byCode)
  const doubts = counted.filter(
    (pair) =>
      pair.judgement.verdict !== 'lossless' ||
      pair.judgement.refuses !== null ||
      pair.bind !== null ||
      missesNull(pair),
  )
  return { surveyed, pairs, doubts }
}

/** The source may have a NULL where the target must have a value. */
function missesNull({ columns, target, bind }: JudgedPair): boolean {
  return !target.nullable && (bind !== null || columns.some(({ nullable }) => nullable))
}

interface Counts {
  readonly rows: number
  readonly partial: boolean
  readonly of: ReadonlyMap<JudgedPair, Misfits>
}

interface Misfits {
  rows: number
  readonly keys: Key[]
}

/** One doubt as it is asked of each row. */
interface Question {
  readonly inputs: readonly number[]
  /** Null: no value gets there. */
  readonly compute: Compute | null
  readonly notNull: boolean
  readonly misfits: Misfits
}

async function countMisfits(
  { surveyed: { mapping, tables }, doubts }: JudgedTable,
  {
    moment,
    homeSchema,
    tools,
    deadline,
  }: { moment: Snapshot; homeSchema: string; tools: ValidateTools; deadline: number },
): Promise<Counts | null> {
  if (tables === null || doubts.length === 0 || !tables.source.rights.select) return null
  const { source } = tables
  const filter = mapping.filter === null ? null : compileFilter(mapping.filter, source.columns)
  if (filter !== null && 'problem' in filter) return null
  const own = keyColumns(mapping, source) ?? []
  const key = own.every((name) => source.columns.some((column) => column.name === name)) ? own : []
  const names = [...new Set([...key, ...doubts.flatMap(columnNames), ...(filter?.uses ?? [])])]
  if (names.length === 0) return null
  const scan: Scan = {
    table: source.ref,
    columns: names.map((name) => ({ name, form: 'own', hash: 'text' })),
    keyLength: key.length,
    algorithm: 'md5',
    filter: null,
  }
  const context = await loadContext(
    doubts.flatMap(({ needs }) => needs),
    { snapshot: moment, homeSchema, maskKey: tools.maskKey },
  )
  const place = (name: string): number => names.indexOf(name)
  const of = new Map(doubts.map((doubt): [JudgedPair, Misfits] => [doubt, { rows: 0, keys: [] }]))
  const questions = doubts.map((doubt): Question => ({
    inputs: columnNames(doubt).map(place),
    compute: doubt.bind?.(context) ?? (doubt.judgement.verdict === 'lossless' ? refusal(doubt, mapping) : null),
    notNull: !doubt.target.nullable,
    misfits: of.get(doubt) ?? { rows: 0, keys: [] },
  }))
  const wanted = filter?.uses.map(place) ?? []
  const asked = { moment, scan, isOver: () => tools.clock.elapsed() > deadline }
  const read = await eachRow(asked, (row) => {
    if (filter !== null && !filter.matches(wanted.map((i) => row.value(i)))) return
    for (const question of questions) ask(question, row, key.length)
  })
  return { ...read, of }
}

/** What the target refuses by itself of values that are carried as they are. @throws ValueRefused */
function refusal({ from, target, judgement }: JudgedPair, { zeroDates }: TableMapping): Compute {
  const fit = 'refuses' in judgement && judgement.refuses !== null ? fitValue(from, target.type) : null
  const takesZeros = zeroDates === 'keep' || !mayHoldZeroDates(from) || !isDateOrTimestamp(target.type)
  return ([value = null]) => {
    if (!takesZeros && typeof value === 'string' && isZeroDate(value)) throw new ValueRefused('is a day of zeros')
    return fit === null || 'reason' in fit ? value : fit.convert(value)
  }
}

function columnNames({ columns }: JudgedPair): string[] {
  return columns.map(({ name }) => name)
}

function ask({ inputs, compute, notNull, misfits }: Question, row: TextRow, keyLength: number): void {
  const values = inputs.map((i) => row.value(i))
  if (fits({ compute, notNull }, values)) return
  misfits.rows += 1
  if (misfits.keys.length < KEYS) misfits.keys.push(Array.from({ length: keyLength }, (_, i) => row.value(i)))
}

function fits({ compute, notNull }: Pick<Question, 'compute' | 'notNull'>, values: readonly Value[]): boolean {
  try {
    const nothing = values.every((value) => value === null)
    const made = compute === null ? (nothing ? null : undefined) : compute(values)
    return made !== undefined && !(notNull && made === null)
  } catch (error) {
    if (error instanceof ValueRefused) return false
    throw error
  }
}

/** Streams the rows of a table until they end or the time is over. */
async function eachRow(
  { moment, scan, isOver }: { moment: Snapshot; scan: Scan; isOver: () => boolean },
  take: (row: TextRow) => void,
): Promise<{ rows: number; partial: boolean }> {
  let rows = 0
  for (const piece of await moment.pieces(scan, PIECE_BYTES)) {
    if (isOver()) return { rows, partial: true }
    await using sent = await moment.copyOut(scan, piece, TEXT_ROWS)
    const reader = new LineReader()
    let over = false
    const read = async (): Promise<void> => {
      for await (const chunk of sent.stream as AsyncIterable<Buffer>) {
        for (const line of reader.push(chunk)) {
          take(new TextRow(line))
          rows += 1
        }
        over = isOver()
        if (over) break
      }
    }
    await watch([sent.connection], read())
    if (over) return { rows, partial: true }
  }
  return { rows, partial: false }
}

function report({ surveyed, pairs }: JudgedTable, counts: Counts | null): TableValidation {
  const { mapping, tables, problems } = surveyed
  const carried = new Set(pairs.flatMap(columnNames))
  const fed = new Set(pairs.map(({ target }) => target.name))
  return {
    source: mapping.source,
    target: mapping.target,
    ready: problems.length === 0,
    problems,
    fields: pairs.map((pair) => ({ ...reportField(pair, counts), ...wayOf(surveyed, pair) })),
    unmapped: {
      source: tables?.source.columns.map(({ name }) => name).filter((name) => !carried.has(name)) ?? [],
      target:
        tables?.target.columns
          .filter(({ name }) => !fed.has(name))
          .map((column) => ({ column: column.name, filledBy: filledBy(column) })) ?? [],
    },
    counted: counts && { rows: counts.rows, partial: counts.partial },
  }
}

function wayOf({ plan }: SurveyedTable, { target }: JudgedPair): Pick<FieldValidation, 'way' | 'oneWay'> {
  const field = plan?.back ? plan.fields.find((each) => each.target === target.name) : undefined
  if (field === undefined) return { way: null, oneWay: null }
  return { way: field.oneWay === null ? 'two_way' : 'one_way', oneWay: field.oneWay }
}

function reportField(pair: JudgedPair, counts: Counts | null): Omit<FieldValidation, 'way' | 'oneWay'> {
  const { columns, from, target, judgement } = pair
  const found = counts?.of.get(pair) ?? null
  const nulls = missesNull(pair) ? 'a row may have no value, and the column of the target must have one' : null
  const reason = 'reason' in judgement ? judgement.reason : toldRefusal(judgement.refuses)
  const reasons = [reason, nulls].filter((each) => each !== null)
  return {
    columns: columnNames(pair),
    sourceType: columns.length === 1 ? (columns[0]?.nativeType ?? '') : describeType(from),
    target: target.name,
    targetType: target.nativeType,
    verdict: judgement.verdict === 'lossless' && nulls !== null ? 'checked' : judgement.verdict,
    reason: reasons.length === 0 ? null : reasons.join('; '),
    nextStep: 'hint' in judgement ? judgement.hint : null,
    misfits: found && { rows: found.rows, keys: found.keys },
  }
}

function toldRefusal(refuses: string | null): string | null {
  return refuses === null ? null : `the target refuses ${refuses}`
}

function filledBy({ generated, identity, hasDefault, nullable }: Column): FilledBy {
  if (generated !== null) return 'generated'
  if (identity !== null) return 'identity'
  if (hasDefault) return 'default'
  return nullable ? 'null' : 'nothing'
}
