import type { Adapter } from '#adapters/adapter.ts'
import type { Definition, DumpRows, DumpSource, DumpTable, DumpWish } from '#adapters/dump-source.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { Clock } from '#lib/clock.ts'
import {
  isPartial,
  headLines,
  trailerLines,
  type DumpedRows,
  type DumpHead,
  type ExportOptions,
  type ReadingOptions,
} from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { BadName, parsePattern, type TablePattern } from '#model/table-pattern.ts'
import type { Journal, Stage } from '#sync/journal.ts'
import { CopyRows } from './copy-rows.ts'
import { assertWhole, openPieces } from './dump-rows.ts'
import type { Kept } from './import-dump.ts'
import type { DumpWriter } from './dump-writer.ts'
import { InsertRows } from './insert-rows.ts'
import { quoteName, quoteRef } from './sql-text.ts'

export interface ExportTools {
  readonly journal: Journal
  readonly clock: Clock
  /** Ends every connection. */
  readonly signal: AbortSignal
  /** The version of the program. */
  readonly program: string
  /** Of what is kept before a restore: that alone, and what the restore makes besides. */
  readonly kept?: Kept
}

/** What an export has written. */
export interface Exported {
  readonly head: DumpHead
  /** The moment of the database that it is of. */
  readonly moment: string
  readonly tables: readonly DumpedRows[]
  readonly rows: number
  /** Of SQL, before it was packed. */
  readonly bytes: number
  readonly notes: readonly string[]
}

/**
 * Writes a database as SQL. The file is the same however many readers there are, and what is in memory does not grow with the
 * database (invariant 6).
 * @throws AppError as `openDump`, `server_not_supported`, `connection_lost`, and whatever the writer's sink fails with
 */
export async function exportDatabase(
  adapter: Adapter,
  options: ExportOptions,
  writer: DumpWriter,
  tools: ExportTools,
): Promise<Exported> {
  if (adapter.dump === null) throw cannotBeDumped(adapter)
  const { journal, signal } = tools
  const stage = (name: Stage): void => journal.record({ type: 'stage', stage: name })
  stage('schema')
  await using source = await adapter.dump({
    wish: { ...toWish(options), exactly: tools.kept?.replaced ?? null },
    readers: options.parallel,
    signal,
  })
  journal.record({
    type: 'planned',
    tables: source.tables.map(({ ref }) => ref),
    notes: source.notes,
    totals: source.tables.map(({ rowEstimate }) => rowEstimate),
  })
  const head = headOf(source, adapter, options, tools)
  await writer.text(headLines(head) + SETTINGS)
  await writeDefinitions(writer, source.definitions.beforeRows)
  stage('data')
  const tables = await writeRows(source, options, writer, tools)
  for (const statement of await source.sequences()) await writer.text(`${statement};\n`)
  stage('indexes')
  const { afterRows } = source.definitions
  const constraints = afterRows.findIndex(({ isConstraint }) => isConstraint)
  const split = constraints < 0 ? afterRows.length : constraints
  await writeDefinitions(writer, afterRows.slice(0, split))
  stage('constraints')
  await writeDefinitions(writer, afterRows.slice(split))
  await writer.text(`\n${trailerLines(tables, tools.kept?.takeBack)}`)
  failpoint('dump.end')
  await writer.end()
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  return { head, moment: source.moment, tables, rows, bytes: writer.bytes, notes: source.notes }
}

function cannotBeDumped({ server: { kind, product } }: Adapter): AppError {
  return kind === 'postgrest'
    ? new AppError('server_not_supported', 'A project that is reached over its REST API cannot be dumped.', {
        hint: 'Register its database with the direct connection string.',
      })
    : new AppError('server_not_supported', `Dumps are of PostgreSQL alone, and this is ${product}.`, {
        hint: 'Sync it into a PostgreSQL database with --create and export that, or use mysqldump.',
      })
}

/** @throws AppError `invalid_request` for a pattern that cannot be read */
export function toWish(options: Omit<ReadingOptions, 'parallel'>): DumpWish {
  const { content, schemas, excludeSchemas, tables, excludeTables, owners, grants, sameProvider } = options
  return {
    definitions: content !== 'data',
    rows: content !== 'schema',
    schemas,
    excludeSchemas,
    tables: tables?.map(toPattern) ?? null,
    excludeTables: excludeTables.map(toPattern),
    owners,
    grants,
    exactly: null,
    elsewhere: !sameProvider,
  }
}

/** @throws AppError `invalid_request` for a pattern that cannot be read */
export function toPattern(text: string): TablePattern {
  try {
    return parsePattern(text)
  } catch (error) {
    if (!(error instanceof BadName)) throw error
    throw new AppError('invalid_request', `${text} names no table: ${error.message}.`, { cause: error })
  }
}

function headOf(
  { database, tables, partial }: DumpSource,
  { server }: Adapter,
  { content, style, ...options }: ExportOptions,
  { program, clock, kept }: ExportTools,
): DumpHead {
  return {
    program,
    madeAt: clock.now(),
    database,
    server: server.product,
    serverMajor: server.major,
    content,
    style,
    partial: partial || kept !== undefined || isPartial(options),
    tables: tables.length,
  }
}

/** What every server from 13 on knows. Values are read as they were written, whatever the server's defaults are. */
export const SETTINGS = `
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
`

/** Around the rows: money is written by the settings of its session alone. */
export const MONEY = `SET lc_monetary = 'C'`
export const MONEY_AGAIN = 'RESET lc_monetary'

async function writeDefinitions(writer: DumpWriter, definitions: readonly Definition[]): Promise<void> {
  for (const { sql, about } of definitions) {
    await writer.text(`\n${about === null ? '' : `-- ${about}\n`}${sql};\n`)
  }
}

async function writeRows(
  source: DumpSource,
  { parallel, style }: ExportOptions,
  writer: DumpWriter,
  { journal }: ExportTools,
): Promise<readonly DumpedRows[]> {
  if (source.tables.length === 0) return []
  const done: DumpedRows[] = []
  await writer.text(`\n${MONEY};\n`)
  let block: Block | null = null
  for await (const { piece, isFirst, isLast, rows } of openPieces(source, parallel)) {
    const { table } = piece
    if (isFirst) {
      block = style === 'copy' ? new CopyBlock(table) : new InsertBlock(table)
      const { ref, rowEstimate } = table
      journal.record({ type: 'phase', table: ref, phase: 'data', total: rowEstimate, estimated: true })
      await writer.text(block.begin())
    }
    if (block === null) throw new AppError('internal', 'A table begins with its first piece.')
    block.rows += await writePiece(rows, { block, table, writer, journal })
    if (!isLast) continue
    await writer.text(block.end())
    done.push({ ...table.into, rows: block.rows })
    journal.record({ type: 'phase done', table: table.ref, phase: 'data' })
    failpoint('dump.table')
  }
  await writer.text(`\n${MONEY_AGAIN};\n\n`)
  return done
}

interface Writing {
  readonly block: Block
  readonly table: DumpTable
  readonly writer: DumpWriter
  readonly journal: Journal
}

async function writePiece(rows: DumpRows, { block, table, writer, journal }: Writing): Promise<number> {
  await using held = rows
  let told = 0
  for await (const chunk of held.chunks) {
    const { length } = chunk
    await writer.raw(block.take(chunk))
    const seen = held.seen()
    journal.record({ type: 'progress', table: table.ref, phase: 'data', rows: seen - told, bytes: length })
    told = seen
    failpoint('dump.chunk')
  }
  assertWhole(held, table)
  return held.rows()
}

/** The rows of a table in the file. */
interface Block {
  rows: number
  begin(): string
  take(chunk: Uint8Array): Uint8Array
  end(): string
}

/** The statement that brings the rows of a table. */
export function copyStatement({ columns, into }: DumpTable): string {
  const list = columns.length === 0 ? '' : ` (${columns.map(({ name }) => quoteName(name)).join(', ')})`
  return `COPY ${quoteRef(into)}${list} FROM stdin`
}

class CopyBlock implements Block {
  readonly #table: DumpTable
  readonly #guard = new CopyRows()
  rows = 0

  constructor(table: DumpTable) {
    this.#table = table
  }

  begin(): string {
    return `\n${copyStatement(this.#table)};\n`
  }

  take(chunk: Uint8Array): Uint8Array {
    this.#guard.look(chunk)
    return chunk
  }

  end(): string {
    return '\\.\n'
  }
}

class InsertBlock implements Block {
  readonly #inserts: InsertRows
  rows = 0

  constructor(table: DumpTable) {
    this.#inserts = new InsertRows(table)
  }

  begin(): string {
    return '\n'
  }

  take(chunk: Uint8Array): Uint8Array {
    return this.#inserts.take(chunk)
  }

  end(): string {
    return this.#inserts.end()
  }
}
