/** A database is copied into another one: what an export would write goes straight into a restore, and no file is between. */
import { pipeline, Readable } from 'node:stream'
import type { Adapter } from '#adapters/adapter.ts'
import type { Definition, DumpRows, DumpSource, DumpTable, RowCondition } from '#adapters/dump-source.ts'
import { assert } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { ColumnMask, CopyOptions, RowFilter } from '#model/copy.ts'
import type { TransformStep } from '#model/field-mapping.ts'
import { AppError } from '#model/errors.ts'
import { formatTableName, matches } from '#model/table-pattern.ts'
import { sameTable, tableName, type TableRef, type TableSchema } from '#model/table.ts'
import { planRowPass, type RowPass } from '#sync/row-pass.ts'
import { refuseSameDatabase } from '#sync/same-database.ts'
import { gatherContents } from './check-dump.ts'
import { CopyRows } from './copy-rows.ts'
import type { DumpItem } from './dump-item.ts'
import { assertWhole, openPieces } from './dump-rows.ts'
import { copyStatement, MONEY, MONEY_AGAIN, SETTINGS, toPattern, toWish } from './export-database.ts'
import { restoreItems, type Imported, type ImportTools } from './import-dump.ts'
import { planRestore, type ImportWish, type RestorePlan } from './plan-import.ts'
import { DEFAULT_STATEMENT_BYTES, SqlLexer } from './sql-lexer.ts'

/** What somebody agreed to of the target. */
export type CopyWish = Pick<ImportWish, 'replace' | 'trusted'>

export interface CopyTools {
  /** See `RunTools`. */
  readonly maskKey: Uint8Array | null
  readonly signal: AbortSignal
}

/**
 * A copy that is ready to be done: the source is held at one moment, and its tables are locked against whoever would alter
 * them, until it is disposed of.
 */
export class DatabaseCopy implements AsyncDisposable {
  readonly plan: RestorePlan
  /** The moment of the source that it is of. */
  readonly moment: string
  readonly #source: DumpSource
  readonly #passes: ReadonlyMap<DumpTable, TablePass>
  readonly #options: CopyOptions
  readonly #wish: ImportWish
  readonly #signal: AbortSignal

  private constructor(
    source: DumpSource,
    parts: {
      readonly plan: RestorePlan
      readonly passes: ReadonlyMap<DumpTable, TablePass>
      readonly options: CopyOptions
      readonly wish: ImportWish
      readonly signal: AbortSignal
    },
  ) {
    this.#source = source
    this.moment = source.moment
    this.plan = parts.plan
    this.#passes = parts.passes
    this.#options = parts.options
    this.#wish = parts.wish
    this.#signal = parts.signal
  }

  /**
   * Opens the source, and looks at what of the target would be replaced. Nothing is written.
   * @throws AppError `same_database` by proof; `server_not_supported`; as `openDump`; `dump_refused` for definitions that no dump
   *   holds; `table_not_found`, `column_not_found`, `invalid_transform`, `invalid_expression`, `impossible_mapping` and
   *   `mask_key_missing` for filters and masks
   */
  static async open(
    ends: { readonly source: Adapter; readonly target: Adapter },
    options: CopyOptions,
    { replace, trusted }: CopyWish,
    { maskKey, signal }: CopyTools,
  ): Promise<DatabaseCopy> {
    const { owners, grants, parallel } = options
    const wish: ImportWish = { replace, swap: false, trusted, owners, grants }
    if (ends.source.dump === null) throw unsupported(ends.source)
    await refuseSameDatabase(ends.source, ends.target)
    const source = await ends.source.dump({ wish: toWish(options), readers: parallel, signal })
    try {
      const passes = await planPasses(source, ends.source, options, maskKey)
      const name = `the copy of ${ends.source.server.address}`
      const dump = gatherContents(name, definitionsOf(source), wish)
      const serverMajor = ends.source.server.major
      const expected = expectedOf(source, passes)
      const what = { dump, name, serverMajor, expected, estimated: true, takeBack: null }
      const plan = await planRestore(ends.target, what, wish)
      const notes = [...source.notes, ...plan.notes]
      const refusals = plan.refusals.map(inWordsOfCopies)
      return new DatabaseCopy(source, { plan: { ...plan, notes, refusals }, passes, options, wish, signal })
    } catch (error) {
      await source[Symbol.asyncDispose]()
      throw error
    }
  }

  /**
   * Does it, once: the target is wholly as it was, or wholly as planned.
   * @throws AppError as `restoreItems`; `mask_failed`; `connection_lost` of either side
   */
  run(target: Adapter, tools: ImportTools): Promise<Imported> {
    return restoreItems(
      target,
      { plan: this.plan, items: this.#items() },
      { ...this.#wish, signal: this.#signal },
      tools,
    )
  }

  /** What an export of the source would write, in its order. */
  async *#items(): AsyncGenerator<DumpItem> {
    const { definitions } = this.#source
    yield* settings()
    yield* definitions.beforeRows.map(toItem)
    if (this.#source.tables.length > 0) {
      yield statement(MONEY)
      yield* this.#rows()
      yield statement(MONEY_AGAIN)
    }
    for (const sql of await this.#source.sequences()) yield statement(sql)
    yield* definitions.afterRows.map(toItem)
  }

  async *#rows(): AsyncGenerator<DumpItem> {
    const where = (table: DumpTable): RowCondition | null => this.#passes.get(table)?.where ?? null
    let rows = 0
    for await (const { piece, isFirst, isLast, rows: held } of openPieces(
      this.#source,
      this.#options.parallel,
      where,
    )) {
      const { table } = piece
      if (isFirst) {
        rows = 0
        yield { kind: 'copy', text: copyStatement(table), line: 0 }
      }
      rows += yield* passed(held, table, this.#passes.get(table)?.pass.open ?? null)
      if (isLast) yield { kind: 'end of rows', rows, line: 0 }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]()
  }
}

function unsupported({ server }: Adapter): AppError {
  return new AppError('server_not_supported', `${server.address} cannot be copied: only PostgreSQL is.`, {
    hint: 'Sync its tables instead: syncline sync SOURCE TARGET --create.',
  })
}

/** The rows of a piece as they reach the target, and how many they are. */
async function* passed(
  rows: DumpRows,
  table: DumpTable,
  open: RowPass['open'],
): AsyncGenerator<DumpItem, number, undefined> {
  await using held = rows
  const guard = new CopyRows()
  if (open === null) {
    for await (const bytes of held.chunks) {
      guard.look(bytes)
      failpoint('copy.rows')
      yield { kind: 'rows', bytes }
    }
    assertWhole(held, table)
    return held.rows()
  }
  const { stream, counts } = open()
  // What it fails with, whoever reads the stream is told.
  pipeline(Readable.from(held.chunks, { objectMode: true }), stream, () => undefined)
  for await (const bytes of stream) {
    if (!Buffer.isBuffer(bytes)) throw new AppError('internal', 'A stream of rows gave something else.')
    guard.look(bytes)
    failpoint('copy.rows')
    yield { kind: 'rows', bytes }
  }
  assertWhole(held, table)
  const { taken, given } = counts()
  assert(taken === held.rows(), 'every row that was sent passed')
  return given
}

function statement(text: string): DumpItem {
  return { kind: 'statement', text, line: 0 }
}

function toItem({ sql }: Definition): DumpItem {
  return statement(sql)
}

function settings(): DumpItem[] {
  const lexer = new SqlLexer(DEFAULT_STATEMENT_BYTES)
  const items = [...lexer.push(Buffer.from(SETTINGS)), ...lexer.end()]
  return items.map((item) => (item.kind === 'statement' ? statement(item.text) : item))
}

/** Everything but the rows; where sequences stand is asked when the rows are read. */
function definitionsOf({ definitions, tables }: DumpSource): DumpItem[] {
  return [
    ...settings(),
    ...definitions.beforeRows.map(toItem),
    ...tables.map((table): DumpItem => ({ kind: 'copy', text: copyStatement(table), line: 0 })),
    ...definitions.afterRows.map(toItem),
  ]
}

/** By the source's statistics. Nobody knows how many rows a filter leaves. */
function expectedOf(
  { tables }: DumpSource,
  passes: ReadonlyMap<DumpTable, TablePass>,
): readonly { readonly table: TableRef; readonly rows: number | null }[] {
  const expected = new Map<string, { readonly table: TableRef; readonly rows: number | null }>()
  for (const table of tables) {
    const id = formatTableName(table.into)
    const known = passes.get(table)?.filtered === true ? null : table.rowEstimate
    const before = expected.get(id)
    const rows = before === undefined ? known : before.rows === null || known === null ? null : before.rows + known
    expected.set(id, { table: table.into, rows })
  }
  return [...expected.values()]
}

/** How the rows of a table pass, where it has filters or masks. */
interface TablePass {
  readonly pass: RowPass
  readonly where: RowCondition | null
  readonly filtered: boolean
}

/** @throws AppError for filters and masks that name nothing that is copied, or cannot be done */
async function planPasses(
  { tables }: DumpSource,
  adapter: Adapter,
  { filters, masks }: CopyOptions,
  maskKey: Uint8Array | null,
): Promise<ReadonlyMap<DumpTable, TablePass>> {
  const wishes = tables.map((table) => ({
    table,
    filters: filters.filter(names(table)),
    masks: masks.filter(names(table)).filter(({ column }) => hasColumn(table, column)),
  }))
  // A mask that is spelt wrong would let through what it is to hide.
  for (const filter of filters) {
    if (!wishes.some((wish) => wish.filters.includes(filter))) throw namesNothing(filter, 'filter')
  }
  for (const mask of masks) {
    if (!wishes.some((wish) => wish.masks.includes(mask))) throw maskOfNothing(mask, tables)
  }
  const concerned = wishes.filter((wish) => wish.filters.length + wish.masks.length > 0)
  const schemas = concerned.length === 0 ? [] : await adapter.describe(concerned.map(({ table }) => table.ref))
  const passes = new Map<DumpTable, TablePass>()
  for (const { table, filters: own, masks: ownMasks } of concerned) {
    const schema = schemas.find(({ ref }) => sameTable(ref, table.ref))
    if (schema === undefined) {
      throw new AppError('schema_changed', `${tableName(table.ref)} is gone.`, { retry: 'later' })
    }
    passes.set(table, planPass(table, schema, { filters: own, masks: ownMasks, maskKey }))
  }
  return passes
}

const MASK_HINT =
  'Take transforms that give what the column holds, or leave the rows of the table out (--exclude-table); docs/transforms.md says what each takes and gives.'

function planPass(
  table: DumpTable,
  schema: TableSchema,
  of: {
    readonly filters: readonly RowFilter[]
    readonly masks: readonly ColumnMask[]
    readonly maskKey: Uint8Array | null
  },
): TablePass {
  const masks = new Map<string, readonly TransformStep[]>()
  for (const { column, transforms } of of.masks) masks.set(column, [...(masks.get(column) ?? []), ...transforms])
  const columns = table.columns.map(({ name }) => name)
  const filters = of.filters.map(({ where }) => where)
  const pass = planRowPass({ schema, columns, filters, masks, maskKey: of.maskKey })
  if ('problems' in pass) {
    const [first] = pass.problems
    const all = pass.problems.map(({ message }) => message).join(' ')
    throw first?.code === 'impossible_mapping'
      ? new AppError(first.code, all, { hint: MASK_HINT })
      : new AppError(first?.code ?? 'internal', all)
  }
  const { pushdown } = pass
  const where = pushdown === null ? null : { condition: pushdown, columns: schema.columns }
  return { pass, where, filtered: filters.length > 0 }
}

/** Whether something said of tables is said of this one: by its own name, or by one that it is a part of. */
function names({ ref, parents }: DumpTable): (said: { readonly table: string }) => boolean {
  return ({ table }) => {
    const pattern = toPattern(table)
    return [ref, ...parents].some((each) => matches(pattern, each))
  }
}

function hasColumn({ columns }: DumpTable, column: string): boolean {
  return columns.some(({ name }) => name === column)
}

function namesNothing({ table }: { readonly table: string }, what: 'filter' | 'mask'): AppError {
  return new AppError('table_not_found', `The ${what} of ${table} names no table whose rows are copied.`, {
    hint: 'Name tables as schema.table, as they are called in the source, from among those that are copied.',
  })
}

function maskOfNothing(mask: ColumnMask, tables: readonly DumpTable[]): AppError {
  if (!tables.some((table) => names(table)(mask))) return namesNothing(mask, 'mask')
  return new AppError('column_not_found', `${mask.table} has no column "${mask.column}" whose values are copied.`, {
    hint: 'Columns that the server computes are masked where they are computed from.',
  })
}

const HINTS = {
  restore_exists: 'Look at the list, then ask for the copy with replace; what is replaced is backed up first.',
  restore_privileged:
    'Copy with the login that owns the target, or say that you trust the source (--trust-source): its functions could act as the login.',
} as const

function inWordsOfCopies(refusal: AppError): AppError {
  const { code, message, retry } = refusal
  if (code !== 'restore_exists' && code !== 'restore_privileged') return refusal
  const told = message.replace(/^The dump would replace/, 'The copy would replace')
  return new AppError(code, told, { hint: HINTS[code], retry, cause: refusal })
}
