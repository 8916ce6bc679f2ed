/** A dump is restored on trial, and what came of it is held against what the dump says. */
import type { Adapter } from '#adapters/adapter.ts'
import type { DumpSource } from '#adapters/dump-source.ts'
import { StatementRefused, type ScratchDatabase } from '#adapters/restore-target.ts'
import { plural } from '#lib/amounts.ts'
import { must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import { DEFAULT_EXPORT } from '#model/dump.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { sameTable, tableName } from '#model/table.ts'
import type { Journal } from '#sync/journal.ts'
import { checkDump } from './check-dump.ts'
import type { DumpFile, ReadDump } from './dump-file.ts'
import type { DumpItem } from './dump-item.ts'
import { assertWhole, openPieces } from './dump-rows.ts'
import { toWish } from './export-database.ts'
import { importDump } from './import-dump.ts'
import { UNKNOWN } from './restore-failures.ts'
import { planImport, type ImportPlan, type ImportWish } from './plan-import.ts'
import { Recognizer } from './recognize.ts'
import type { RecognizeOptions } from './recognized.ts'
import { RowDigests } from './row-digests.ts'

export interface DrillTools extends ReadDump {
  readonly journal: Journal
  /** The version of the program: definitions are compared as texts where it has made the dump too. */
  readonly program: string
  /** Told of the digest of the file when all of it was read. @throws where that is another one than it should be */
  readonly onDigest: (sha256: string) => void
}

/** What came of a trial. */
export interface Drilled {
  /** What is wrong with the dump, in sentences; empty where it works. */
  readonly faults: readonly string[]
  readonly tables: readonly DrilledTable[]
  readonly rows: number
  readonly constraints: number
  /** Whether definitions came back as the same texts, or were only looked for by their names. */
  readonly definitions: 'same texts' | 'names'
  readonly notes: readonly string[]
}

export interface DrilledTable {
  readonly table: string
  /** Rows that the dump says it has, and rows that are there. */
  readonly told: number
  readonly restored: number
  /**
   * Their values are those of the file; null where they are counted alone: rows that are no COPY of ours, and those that go by
   * way of a root, whose partitions may have their columns in another order each.
   */
  readonly same: boolean | null
}

/** What may be a fault of the dump, and not of the server that it is tried on. */
const FAULTS: readonly ErrorCode[] = ['not_a_dump', 'dump_damaged', 'dump_encoding', 'dump_refused', 'restore_failed']

/** What the server has not, or does not let the login do: rights, room, locks, an operator who ends it, itself. */
const OF_THE_SERVER = /^(?:42501|53|55|57|58|XX)/

function isUnknown({ code, cause }: AppError): boolean {
  return code === 'restore_failed' && cause instanceof StatementRefused && UNKNOWN_THING.test(cause.state)
}

/** Of a backup is there only what was replaced: what that needs has stayed. */
function builtOnOthers(file: DumpFile, cause: AppError): AppError {
  return new AppError('dump_unfit', `${file.name} builds on what its database has besides: ${cause.message}`, {
    hint: 'Such a backup goes back into the database that it is of, and cannot be tried elsewhere. Try an export of the whole.',
    cause,
  })
}

/** No such schema, table, column, type, function. */
const UNKNOWN_THING = /^(?:3F000|42P01|42703|42704|42883)$/

/** @param older whether the dump is of a later version than the server that it is tried on */
function isFault(error: AppError, { trusted, older }: { readonly trusted: boolean; readonly older: boolean }): boolean {
  if (!FAULTS.includes(error.code)) return false
  // What is refused to whom nobody trusts may come back well.
  if (error.code === 'dump_refused') return trusted
  const { cause } = error
  if (!(cause instanceof StatementRefused)) return true
  return !OF_THE_SERVER.test(cause.state) && !(older && UNKNOWN.test(cause.state))
}

/**
 * Restores a file into a scratch database, reads that back and compares: rows by count and, of files of ours, by digest;
 * definitions by name and, of whole files that this program has made of a server of the same version, by text; constraints and
 * indexes by what the server says of them.
 * @throws AppError for what is no fault of the dump: `dump_sealed`, `dump_too_large`, `dump_unfit`, `restore_privileged`,
 *   `dump_refused` of a file that nobody trusts, `restore_failed` for what the server lacks or denies the login, and whatever
 *   the server fails with
 */
export async function drillDump(
  scratch: ScratchDatabase,
  file: DumpFile,
  wish: RecognizeOptions,
  tools: DrillTools,
): Promise<Drilled> {
  const { adapter } = scratch
  const seen = new SeenItems(wish)
  const asked = { ...wish, replace: false, swap: false }
  let older = false
  let brings = false
  try {
    const dump = await checkDump(file, { ...tools, ...asked })
    const plan = await planImport(adapter, dump, asked)
    tools.onDigest(plan.dump.digest)
    brings = dump.origin.takeBack !== null
    older = (plan.serverMajor ?? 0) > adapter.server.major
    if (plan.dump.fills.length > 0) {
      throw new AppError('dump_unfit', `${file.name} has rows of tables that it does not make.`, {
        hint: 'A dump of rows alone cannot be tried by itself: try one that has definitions and rows.',
      })
    }
    await importDump(
      adapter,
      { file, plan },
      { ...tools, ...asked },
      {
        journal: tools.journal,
        backup: null,
        onItem: (item) => seen.take(item),
      },
    )
    failpoint('drill.restored')
    return await compare(scratch, plan, { seen, wish: asked, tools })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (brings && isUnknown(error)) throw builtOnOthers(file, error)
    if (!isFault(error, { trusted: wish.trusted, older })) throw error
    return broken(error.message)
  }
}

/** What comes of a dump that could not be restored. */
export function broken(fault: string): Drilled {
  return { faults: [fault], tables: [], rows: 0, constraints: 0, definitions: 'names', notes: [] }
}

interface Comparing {
  readonly seen: SeenItems
  readonly wish: ImportWish
  readonly tools: DrillTools
}

async function compare(scratch: ScratchDatabase, plan: ImportPlan, of: Comparing): Promise<Drilled> {
  const { adapter } = scratch
  const { seen, wish, tools } = of
  const open = must(adapter.dump, 'a database that can be dumped')
  const { owners, grants } = wish
  const options = { ...DEFAULT_EXPORT, owners, grants }
  await using restored = await open({ wish: toWish(options), readers: 1, signal: tools.signal })
  const tables = await compareRows(restored, plan, seen)
  const definitions = comparesTexts(plan, adapter, tools) ? 'same texts' : 'names'
  const { constraints, notValid } = await scratch.validity()
  // What was not valid where the dump is of is not valid where it is restored.
  const faultyValidity = notValid.length > seen.notValid ? notValid : []
  const faults = [
    ...tables.flatMap(faultOf),
    ...(await missingNames(adapter, plan)),
    ...(definitions === 'same texts' ? await otherTexts(restored, seen, wish) : []),
    ...faultyValidity.map((what) => `It has not been checked or cannot be used: ${what}.`),
  ]
  const notes = [
    ...plan.notes,
    ...(faultyValidity.length === 0 ? notValid.map((what) => `Not valid in the dump either: ${what}.`) : []),
  ]
  const rows = tables.reduce((sum, table) => sum + table.restored, 0)
  return { faults, tables, rows, constraints, definitions, notes }
}

function faultOf({ table, told, restored, same }: DrilledTable): readonly string[] {
  if (told !== restored) return [`${table} has ${plural(restored, 'row')}, and the dump has ${told} of it.`]
  return same === false ? [`${table} has other values than the dump.`] : []
}

/** Reads every table of what was restored. */
async function compareRows(restored: DumpSource, { dump }: ImportPlan, seen: SeenItems): Promise<DrilledTable[]> {
  const digests = new RowDigests()
  const byRoot = new Set<string>()
  for await (const { piece, rows } of openPieces(restored, 1)) {
    const { table } = piece
    await using held = rows
    const name = formatTableName(table.into)
    if (!sameTable(table.ref, table.into)) byRoot.add(name)
    const digest = digests.of(name)
    for await (const bytes of held.chunks) digest.take(bytes)
    assertWhole(held, table)
  }
  const { head } = dump.origin
  const told = new Map(dump.loads.map(({ table, rows }) => [formatTableName(table), rows]))
  for (const [table] of digests.entries()) if (!told.has(table)) told.set(table, 0)
  return [...told].map(([table, rows]) => {
    const digest = digests.of(table)
    const isCompared = head?.style === 'copy' && !byRoot.has(table)
    const same = isCompared ? digest.toString() === seen.rows.of(table).toString() : null
    return { table, told: rows, restored: digest.rows, same }
  })
}

/** A dump of some tables has its definitions in another order and form than a dump of a whole database. */
function comparesTexts({ dump }: ImportPlan, { server }: Adapter, { program }: DrillTools): boolean {
  const { head } = dump.origin
  return head !== null && !head.partial && head.program === program && head.serverMajor === server.major
}

async function missingNames(adapter: Adapter, { dump }: ImportPlan): Promise<readonly string[]> {
  const makes = dump.makes.map(({ object, schema, name }) => ({ object, schema, name }))
  const { roles, extensions, languages, tablespaces } = dump
  const restore = must(adapter.restore, 'a database that takes dumps')
  const needs = { roles, extensions, languages, tablespaces }
  const { existing } = await restore.inspect({
    makes,
    others: [],
    fills: [],
    moves: [],
    joins: [],
    largeObjects: [],
    swap: null,
    ...needs,
  })
  const there = new Set(existing.map(({ object, schema, name }) => JSON.stringify([object, schema, name])))
  return dump.makes
    .filter(({ object, schema, name }) => !there.has(JSON.stringify([object, schema, name])))
    .map((made) => `The ${made.word} ${tableName(made)} is not there.`)
}

const MOST_TEXTS = 20

/** Statements that were run and that what was restored would not be dumped with. */
async function otherTexts(restored: DumpSource, seen: SeenItems, wish: ImportWish): Promise<readonly string[]> {
  const again = new SeenItems(wish)
  const { beforeRows, afterRows } = restored.definitions
  for (const { sql } of [...beforeRows, ...afterRows]) again.take({ kind: 'statement', text: sql, line: 0 })
  for (const text of await restored.sequences()) again.take({ kind: 'statement', text, line: 0 })
  const lost = [...seen.statements].filter(([text]) => !again.statements.has(text))
  const named = lost.slice(0, MOST_TEXTS).map(([, label]) => `It came back otherwise: ${label}.`)
  return lost.length > MOST_TEXTS ? [...named, `And ${lost.length - MOST_TEXTS} more came back otherwise.`] : named
}

/** What a file was seen to hold while it was restored. */
class SeenItems {
  /** Statements that were run, with what they are called. */
  readonly statements = new Map<string, string>()
  readonly rows = new RowDigests()
  /** Constraints that are made without a look at the rows. */
  notValid = 0
  readonly #recognizer: Recognizer
  #table: string | null = null

  constructor(wish: RecognizeOptions) {
    this.#recognizer = new Recognizer(wish)
  }

  take(item: DumpItem): void {
    if (item.kind === 'rows' && this.#table !== null) this.rows.of(this.#table).take(item.bytes)
    if (item.kind !== 'statement' && item.kind !== 'copy') return
    const recognized = this.#recognizer.recognize(item.text, { copies: item.kind === 'copy', line: item.line })
    this.#table = recognized.does === 'load' ? formatTableName(recognized.table) : null
    if (recognized.does !== 'run') return
    this.statements.set(item.text, recognized.label)
    if (/ NOT (?:VALID|ENFORCED)$/.test(item.text)) this.notValid += 1
  }
}
