/** What was planned is restored, in one transaction: of a file the second of two readings. */
import type { Adapter } from '#adapters/adapter.ts'
import { READ_ONLY, StatementRefused, type Replaced, type Restoration } from '#adapters/restore-target.ts'
import { must, toError } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { TakeBack } from '#model/dump.ts'
import { AppError, leavesDoubt } from '#model/errors.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { sameTable, type TableRef } from '#model/table.ts'
import type { Journal } from '#sync/journal.ts'
import { linesIn } from './copy-rows.ts'
import { DumpReader, type DumpFile, type ReadDump } from './dump-file.ts'
import { databaseDigest, objectKey, planDigest, toObject, type ImportPlan, type RestorePlan } from './plan-import.ts'
import { readItems } from './read-items.ts'
import { assertTaken, codeRefused, ownTriggers, planChanged, toFailure } from './restore-failures.ts'
import { Recognizer } from './recognize.ts'
import type { Recognized, RecognizeOptions } from './recognized.ts'
import type { DumpItem } from './dump-item.ts'

export interface ImportTools {
  readonly journal: Journal
  /**
   * Keeps what is replaced. It reads what the import already keeps others from writing to; null where nobody wants that.
   */
  readonly backup: ((kept: Kept) => Promise<Backup>) | null
  /** The digest of the plan that somebody has agreed to; nothing where nobody was shown one. */
  readonly agreed?: string | null
  /** Told of the transaction before it is committed; what it throws takes everything back. */
  readonly beforeCommit?: (transaction: string) => Promise<void>
  /** Told of whatever is read of a file, before it is restored. */
  readonly onItem?: (item: DumpItem) => void
}

export interface Backup {
  readonly name: string
  /** Removes it: nothing was replaced. */
  readonly discard: () => Promise<void>
}

/** What is kept before a restore. */
export interface Kept {
  readonly replaced: Replaced
  /** What the restore makes besides, so that whoever brings back the one takes back the other. */
  readonly takeBack: TakeBack
}

export interface Imported {
  readonly tables: readonly { readonly table: TableRef; readonly rows: number }[]
  readonly rows: number
  readonly statements: number
  /** What keeps what was there before; null where nothing was replaced, or nobody wanted it kept. */
  readonly backup: string | null
  readonly notes: readonly string[]
}

/** INSERTs that are sent at once. */
const BATCH_BYTES = 256 * 1024
const BATCH_STATEMENTS = 500

/**
 * Restores a file as it was planned. However it ends, the target is wholly as it was or wholly as the dump has it.
 * @throws AppError as `restoreItems`; `dump_damaged` where the file has changed since it was checked
 */
export async function importDump(
  adapter: Adapter,
  { file, plan }: { readonly file: DumpFile; readonly plan: ImportPlan },
  options: ReadDump & RecognizeOptions,
  tools: ImportTools,
): Promise<Imported> {
  const reader = new DumpReader(file, options)
  const read = readItems(reader, options.limits.maxStatementBytes)
  const items = tools.onItem === undefined ? read : tapped(read, tools.onItem)
  return restoreItems(adapter, { plan, items }, options, {
    ...tools,
    beforeCommit: async (transaction) => {
      if (reader.digest() !== plan.dump.digest) {
        throw new AppError('dump_damaged', `${file.name} has changed since it was checked.`)
      }
      await tools.beforeCommit?.(transaction)
    },
  })
}

async function* tapped(items: AsyncGenerator<DumpItem>, onItem: (item: DumpItem) => void): AsyncGenerator<DumpItem> {
  for await (const item of items) {
    onItem(item)
    yield item
  }
}

export interface Restorable {
  readonly plan: RestorePlan
  /** What was planned, to be read once. */
  readonly items: AsyncGenerator<DumpItem>
}

/**
 * Restores what was planned.
 * @throws AppError the plan's first refusal; `plan_changed`; `restore_failed` with line, statement and cause; as `Restoration`
 */
export async function restoreItems(
  adapter: Adapter,
  { plan, items }: Restorable,
  options: RecognizeOptions & Pick<ReadDump, 'signal'>,
  tools: ImportTools,
): Promise<Imported> {
  const [refusal] = plan.refusals
  if (refusal !== undefined) throw refusal
  if (typeof tools.agreed === 'string' && tools.agreed !== planDigest(plan)) throw planChanged(plan)
  const begin = must(adapter.restore?.begin, 'a target that was opened for writing')
  announce(plan, tools.journal)
  await using restoration = await begin()
  const kept: Backup[] = []
  try {
    const restored = await restore(restoration, { plan, items }, options, {
      ...tools,
      keep: async (replaced) => {
        if (tools.backup === null) return
        tools.journal.record({ type: 'stage', stage: 'backup' })
        kept.push(await tools.backup({ replaced, takeBack: takeBackOf(plan, adapter) }))
      },
    })
    return { ...restored, backup: kept[0]?.name ?? null, notes: plan.notes }
  } catch (error) {
    // Where nobody knows whether it was committed, the backup may be all that is left of what was there.
    if (!leavesDoubt(error)) for (const backup of kept) await backup.discard().catch(toError)
    throw error
  }
}

interface RestoreTools extends Pick<ImportTools, 'journal' | 'beforeCommit'> {
  readonly keep: (replaced: Replaced) => Promise<void>
}

async function restore(
  restoration: Restoration,
  { plan, items }: Restorable,
  options: RecognizeOptions & Pick<ReadDump, 'signal'>,
  { journal, beforeCommit, keep }: RestoreTools,
): Promise<Pick<Imported, 'tables' | 'rows' | 'statements'>> {
  const { replaced, dump } = plan
  const exchanges = plan.swap && replaced.drop.length > 0
  const closed = !options.trusted && dump.makes.length > 0
  if (closed) await restoration.guardSequences()
  const changes = changesAnything(replaced)
  if (changes) await restoration.hold(replaced)
  await restoration.mind(dump.fills)
  if (plan.bringsBack) await restoration.quiet(dump.fills)
  if (changes) {
    failpoint('import.held')
    await keep(replaced)
    failpoint('import.backed-up')
    if (exchanges) await restoration.setAside(replaced)
    else await restoration.clear(replaced)
  }
  journal.record({ type: 'stage', stage: 'schema' })
  // Those that an extension of the dump brings are not there yet.
  const awaited = new Set(plan.facts.missing.sequences.map(formatTableName))
  await restoration.renew(dump.moves.filter((sequence) => !awaited.has(formatTableName(sequence))))
  const run = new ImportRun(restoration, { plan, options, journal })
  try {
    await run.read(items)
  } finally {
    await items.return(undefined)
  }
  // Nothing but the commit comes after the look that code of the file could wait for.
  await run.giveBack({ grants: !options.grants })
  if (closed) await run.holdToItsOwn()
  options.signal.throwIfAborted()
  if (exchanges) {
    failpoint('import.exchange')
    await restoration.exchange(replaced, { grants: !options.grants })
  }
  await beforeCommit?.(restoration.transaction)
  await run.commit({ closed })
  return run.result()
}

function changesAnything({ drop, empty, sequences, schemas }: Replaced): boolean {
  return drop.length + empty.length + sequences.length + schemas.length > 0
}

/** Whatever is made that is not there yet. */
function takeBackOf({ dump, facts }: RestorePlan, { server }: Adapter): TakeBack {
  const there = new Set(facts.existing.map(objectKey))
  const made = dump.makes.filter((each) => !there.has(objectKey(each)))
  return {
    database: databaseDigest(server),
    made: [...new Map(made.map((each) => [objectKey(each), each])).values()].map(toObject),
  }
}

function announce({ expected, notes }: RestorePlan, journal: Journal): void {
  journal.record({
    type: 'planned',
    tables: expected.map(({ table }) => table),
    notes,
    totals: expected.map(({ rows }) => rows),
  })
}

interface Pending {
  readonly sql: string
  readonly line: number
  readonly label: string
}

interface PendingRows extends Pending {
  readonly table: TableRef
  readonly rows: number
  readonly skips: boolean
}

class ImportRun {
  readonly #restoration: Restoration
  readonly #plan: RestorePlan
  readonly #journal: Journal
  readonly #signal: AbortSignal
  readonly #recognizer: Recognizer
  readonly #known = new Map<string, boolean>()
  readonly #totals = new Map<string, number | null>()
  readonly #rows = new Map<string, { table: TableRef; rows: number }>()
  #batch: PendingRows[] = []
  #batchBytes = 0
  #statements = 0
  #stage: 'schema' | 'data' | 'indexes' = 'schema'
  /** The table that rows are brought into just now. */
  #filling: TableRef | null = null

  constructor(
    restoration: Restoration,
    {
      plan,
      options,
      journal,
    }: { plan: RestorePlan; options: RecognizeOptions & Pick<ReadDump, 'signal'>; journal: Journal },
  ) {
    this.#restoration = restoration
    this.#plan = plan
    this.#journal = journal
    this.#signal = options.signal
    this.#recognizer = new Recognizer(options)
    for (const { table, rows } of plan.expected) this.#totals.set(formatTableName(table), rows)
  }

  async read(items: AsyncGenerator<DumpItem>): Promise<void> {
    for (let next = await items.next(); next.done !== true; next = await items.next()) {
      const item = next.value
      if (item.kind !== 'statement' && item.kind !== 'copy') continue
      this.#signal.throwIfAborted()
      this.#statements += 1
      const recognized = this.#recognizer.recognize(item.text, { copies: item.kind === 'copy', line: item.line })
      await this.#do(recognized, item, items)
    }
    await this.#flush()
    this.#fill(null)
    await this.#tell([COMMIT], () => this.#restoration.wake())
  }

  async #do(
    recognized: Recognized,
    item: { readonly text: string; readonly line: number },
    items: AsyncGenerator<DumpItem>,
  ): Promise<void> {
    const { label } = recognized
    const { text: sql, line } = item
    switch (recognized.does) {
      case 'refused':
        // The check has refused it: the file is another one now.
        throw new AppError('dump_refused', `Line ${line}: ${label} ${recognized.why}.`)
      case 'skip':
        return
      case 'insert':
        return this.#insert({ ...recognized, sql, line, table: toRef(recognized.table) })
      case 'load':
        await this.#flush()
        return this.#load({ sql, line, label }, toRef(recognized.table), items)
      case 'set':
        await this.#flush()
        if (await this.#wantsSetting(recognized.name)) await this.#run({ sql: recognized.sql, line, label })
        return
      case 'run':
        await this.#flush()
        if (!this.#isThere(recognized)) await this.#run({ sql, line, label })
    }
  }

  /** Whether it is not run for what the target has. A schema and an extension that are there are kept, with what they say of themselves and who may use them. */
  #isThere({ about, silences }: Extract<Recognized, { does: 'run' }>): boolean {
    const { dump, facts } = this.#plan
    if (silences !== null) return !dump.fills.some((table) => sameTable(table, toRef(silences)))
    if (about === null) return false
    const { existing, extensions, others } = facts
    const schemas = existing.flatMap(({ object, name }) => (object === 'schema' ? [name] : []))
    return (
      about.extensions.some((name) => extensions.includes(name)) ||
      about.schemas.some((name) => schemas.includes(name)) ||
      about.others.some((key) => others.some((other) => other.key === key))
    )
  }

  async #run(statement: Pending): Promise<void> {
    this.#enter()
    failpoint('import.statement')
    await this.#tell([statement], () => this.#restoration.run([statement.sql]))
    this.#journal.record({ type: 'step' })
  }

  async #insert(insert: PendingRows): Promise<void> {
    this.#batch.push(insert)
    this.#batchBytes += insert.sql.length
    if (this.#batchBytes >= BATCH_BYTES || this.#batch.length >= BATCH_STATEMENTS) await this.#flush()
  }

  async #flush(): Promise<void> {
    const batch = this.#batch
    if (batch.length === 0) return
    this.#batch = []
    this.#batchBytes = 0
    failpoint('import.statement')
    const taken = await this.#tell(batch, () => this.#restoration.run(batch.map(({ sql }) => sql)))
    for (const [i, insert] of batch.entries()) {
      const rows = must(taken[i], 'how many rows were taken')
      if (!insert.skips) assertTaken(insert, { taken: rows, sent: insert.rows })
      this.#fill(insert.table)
      this.#count(insert.table, { rows, bytes: insert.sql.length })
    }
  }

  async #load(copy: Pending, table: TableRef, items: AsyncGenerator<DumpItem>): Promise<void> {
    this.#fill(table)
    failpoint('import.statement')
    const inFile = { rows: 0 }
    const taken = await this.#tell([copy], () => this.#restoration.load(copy.sql, this.#rowsOf(table, items, inFile)))
    assertTaken(copy, { taken, sent: inFile.rows })
    this.#add(table, taken)
  }

  async *#rowsOf(table: TableRef, items: AsyncGenerator<DumpItem>, inFile: { rows: number }): AsyncGenerator<Buffer> {
    for (let next = await items.next(); next.done !== true; next = await items.next()) {
      const item = next.value
      if (item.kind === 'end of rows') {
        inFile.rows = item.rows
        return
      }
      if (item.kind !== 'rows') throw new AppError('internal', 'The rows of a COPY did not end.')
      failpoint('import.rows')
      this.#journal.record({
        type: 'progress',
        table,
        phase: 'data',
        rows: linesIn(item.bytes),
        bytes: item.bytes.length,
      })
      yield item.bytes
    }
  }

  #count(table: TableRef, { rows, bytes }: { rows: number; bytes: number }): void {
    this.#add(table, rows)
    this.#journal.record({ type: 'progress', table, phase: 'data', rows, bytes })
  }

  #add(table: TableRef, rows: number): void {
    const name = formatTableName(table)
    const counted = this.#rows.get(name) ?? { table, rows: 0 }
    counted.rows += rows
    this.#rows.set(name, counted)
  }

  /** What comes after rows are indexes, constraints and what else goes by them. */
  #enter(): void {
    if (this.#filling !== null) this.#fill(null)
    if (this.#stage !== 'data') return
    this.#stage = 'indexes'
    const steps = Math.max(1, this.#plan.dump.statements - this.#statements + 1)
    this.#journal.record({ type: 'stage', stage: 'indexes', steps })
  }

  #fill(table: TableRef | null): void {
    if (table !== null && this.#filling !== null && formatTableName(table) === formatTableName(this.#filling)) return
    if (this.#filling !== null) this.#journal.record({ type: 'phase done', table: this.#filling, phase: 'data' })
    this.#filling = table
    if (table === null) return
    if (this.#stage !== 'data') this.#journal.record({ type: 'stage', stage: 'data' })
    this.#stage = 'data'
    const total = this.#totals.get(formatTableName(table)) ?? null
    this.#journal.record({ type: 'phase', table, phase: 'data', total, estimated: this.#plan.estimated })
  }

  /** Time-outs and what is said to the client are ours; what the server does not know is of a newer one. */
  async #wantsSetting(name: string): Promise<boolean> {
    if (OWN_SETTINGS.includes(name)) return false
    const known = this.#known.get(name) ?? (await this.#restoration.knowsSetting(name))
    this.#known.set(name, known)
    return known
  }

  async #tell<T>(statements: readonly Pending[], body: () => Promise<T>): Promise<T> {
    try {
      return await body()
    } catch (error) {
      if (!(error instanceof StatementRefused)) throw error
      throw toFailure(error, must(statements[error.index], 'the statement that failed'), this.#plan)
    }
  }

  /**
   * Code that the file brings, or calls, has written to nothing but what the file makes or fills. Rows alone bring no code: what
   * runs for them is what the target has for every row.
   * @throws AppError `dump_refused`
   */
  async holdToItsOwn(): Promise<void> {
    const { dump } = this.#plan
    const own = new Set([...dump.fills, ...dump.moves].map(formatTableName))
    const written = await this.#tell([COMMIT], () => this.#restoration.written())
    const others = [...new Set(written.map(formatTableName))].filter((name) => !own.has(name))
    if (others.length === 0) return
    throw codeRefused(
      `has written to ${others.join(', ')}, which the file does not make`,
      ownTriggers(this.#plan.facts),
    )
  }

  async giveBack(carry: { readonly grants: boolean }): Promise<void> {
    await this.#tell([COMMIT], () => this.#restoration.giveBack(carry))
  }

  /** @param how `closed`: code that has put something off to the very commit may not write any more, as nobody looks after it */
  async commit(how: { readonly closed: boolean }): Promise<void> {
    try {
      await this.#restoration.commit(how)
    } catch (error) {
      if (!(error instanceof StatementRefused)) throw error
      if (how.closed && error.state === READ_ONLY) throw codeRefused('has put off to the commit what would write', '')
      throw toFailure(error, COMMIT, this.#plan)
    }
  }

  result(): Pick<Imported, 'tables' | 'rows' | 'statements'> {
    const tables = [...this.#rows.values()]
    return { tables, rows: tables.reduce((sum, { rows }) => sum + rows, 0), statements: this.#statements }
  }
}

const COMMIT: Pending = { sql: '', line: 0, label: 'COMMIT' }

const OWN_SETTINGS: readonly string[] = [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'transaction_timeout',
  'client_encoding',
  'client_min_messages',
  'default_with_oids',
  'row_security',
]

function toRef(name: { schema: string; name: string }): TableRef {
  return { schema: name.schema, name: name.name }
}
