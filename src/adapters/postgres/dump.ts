import type { Readable } from 'node:stream'
import type {
  DumpPiece,
  DumpRows,
  DumpSource,
  DumpTable,
  OpenDump,
  RowCondition,
  RowsWish,
} from '#adapters/dump-source.ts'
import type { Replaced } from '#adapters/restore-target.ts'
import { watch } from '#adapters/watchdog.ts'
import { assert } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { tableId, type TableRef } from '#model/table.ts'
import { conditionText } from './condition-sql.ts'
import { Connection } from './connection.ts'
import { excludePatterns, readTableDdl, type TableDdlOptions } from './ddl.ts'
import { withDumper, type Dumper, type DumperOptions } from './ddl-sessions.ts'
import {
  columnList,
  inOrderOfKeys,
  readDumpTables,
  readFilledViews,
  readLeftOut,
  readSequenceNames,
  readSetvals,
  type CataloguedTable,
  type DumpSequence,
} from './dump-catalog.ts'
import { withResets } from './dump-defaults.ts'
import {
  definitionsOf,
  fromTableDdl,
  isRefresh,
  readEntries,
  readSection,
  sectionArguments,
  type DumpSection,
  type Grantors,
  type SectionEntry,
} from './dump-definitions.ts'
import { ExactContents } from './dump-exact.ts'
import { checkSchemas, readNamedTables, wantsTable, type NamedTables } from './dump-names.ts'
import type { SchemaChoice } from './dump-relations.ts'
import { leaveOutStranded, type LeftBehind } from './dump-stranded.ts'
import type { Endpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import type { ReadingSessions } from './reading-sessions.ts'
import { SharedSnapshot } from './snapshot.ts'
import { quote, quoteTable } from './sql.ts'

/** For the definitions of all tables: a second or two for thousands of them, more where locks are held. */
const DDL_TIMEOUT_MS = 300_000

type Definitions = DumpSource['definitions']

/**
 * Opens a database to be dumped: definitions, tables and rows are those of one snapshot, and the tables are locked against
 * whoever would alter them meanwhile.
 * @throws AppError `row_level_security`, `missing_privilege`, `no_tables`, `pooler_not_supported`, `schema_changed`,
 *   `table_not_found` for names that lead to nothing, `unsafe_definition`
 */
export async function openDump(
  { endpoint, sessions }: { readonly endpoint: Endpoint; readonly sessions: ReadingSessions },
  { wish, readers, signal }: OpenDump,
): Promise<DumpSource> {
  const snapshot = await SharedSnapshot.open(sessions, { connections: readers, signal })
  try {
    if (snapshot.id === null) {
      throw new AppError('server_not_supported', 'The server cannot share its moment among sessions.', {
        hint: 'Export from the primary server, or from a standby that allows it.',
      })
    }
    const exact = wish.exactly === null ? null : await readExact(snapshot, wish.exactly)
    const schemas = exact === null ? toSchemaChoice(endpoint, wish) : ALL_SCHEMAS
    // Who wants rights to be carried has the roles of the provider where the dump goes.
    const behind = { schemas, roles: wish.grants ? [] : endpoint.provided.roles }
    const named = exact === null ? await readNamed(snapshot, { schemas, wish }) : NO_NAMES
    const wants = (table: CataloguedTable): boolean => exact?.wantsRows(table) ?? wantsTable(wish, table)
    const choice = { schemas, wants, elsewhere: exact === null && wish.elsewhere }
    const tables = wish.rows || wish.tables !== null ? await holdTables(snapshot, choice) : []
    const some = wish.tables !== null
    if (some && tables.length + named.roots.length === 0)
      throw new AppError('no_tables', 'No table of the source is named.')
    const dumper: DumperOptions = {
      // Without the signal: the session beside pg_dump's ends that one, and both are ended where they are used.
      connect: async () => (await Connection.open(endpoint)).client,
      snapshot: snapshot.id,
      signal,
      timeoutMs: DDL_TIMEOUT_MS,
    }
    const read = (): Promise<Made> => {
      if (exact !== null) return readChosen(dumper, wish, exact)
      return some
        ? readSome(dumper, { ...named, tables }, { ...wish, targetMajor: snapshot.major })
        : readAll(dumper, wish, behind)
    }
    const made = wish.definitions ? await read() : NOTHING_MADE
    const facts = await snapshot.use(async (connection) => {
      const names = await readSequenceNames(connection, schemas)
      const own = new Set(tables.map(({ oid }) => oid))
      if (exact !== null) {
        return { sequences: names.filter((each) => exact.wantsSequence(each)), leftOut: [], filledViews: [] }
      }
      return {
        sequences: some ? names.filter(({ owner }) => owner !== null && own.has(owner)) : names,
        leftOut: await readLeftOut(connection, schemas),
        filledViews: wish.definitions || some ? [] : await readFilledViews(connection, schemas),
      }
    })
    const isKept = ({ ref }: CataloguedTable): boolean => exact?.keepsTable(ref) ?? !wish.definitions
    const ordered = await snapshot.use((connection) => inOrderOfKeys(connection, tables.filter(isKept)))
    const notes = [
      ...facts.leftOut,
      ...made.notes,
      ...(exact === null ? hiddenNote(endpoint, wish.schemas) : []),
      ...(exact === null ? ringNote(ordered.inRings) : []),
      ...withoutRowsNote(wish, named.leftOut),
      ...viewsNote(facts.filledViews),
    ]
    return new PostgresDump(snapshot, {
      database: endpoint.database,
      tables: wish.rows ? [...tables.filter((table) => !isKept(table)), ...ordered.tables] : [],
      sequences: wish.rows ? facts.sequences : [],
      definitions: made.definitions,
      notes,
      partial: made.changed,
    })
  } catch (error) {
    await snapshot[Symbol.asyncDispose]()
    throw toAppError(error, 'opening a database to be dumped')
  }
}

function readExact(snapshot: SharedSnapshot, what: Replaced): Promise<ExactContents> {
  return snapshot.use((connection) => ExactContents.read(connection, what))
}

/** Where what goes is named one by one, wherever it is. */
const ALL_SCHEMAS: SchemaChoice = { only: null, exclude: [], withoutExtensions: [] }
const NO_NAMES: NamedTables = { roots: [], partitioned: [], leftOut: [] }

function readNamed(
  snapshot: SharedSnapshot,
  choice: { readonly schemas: SchemaChoice; readonly wish: OpenDump['wish'] },
): Promise<NamedTables> {
  return snapshot.use(async (connection) => {
    await checkSchemas(connection, choice)
    return await readNamedTables(connection, choice)
  })
}

function toSchemaChoice({ schemas, hidden, provided }: Endpoint, wish: OpenDump['wish']): SchemaChoice {
  const only = wish.schemas ?? schemas
  return {
    only,
    exclude: [...wish.excludeSchemas, ...(only === null ? hidden : [])],
    withoutExtensions: wish.elsewhere ? provided.extensions : [],
  }
}

function hiddenNote({ schemas, hidden }: Endpoint, named: readonly string[] | null): readonly string[] {
  if (named !== null || schemas !== null || hidden.length === 0) return []
  return [`Schemas of the provider are left out unless they are named: ${hidden.join(', ')}.`]
}

/** What refers to such a table, or looks into it, could not be made without it. */
function withoutRowsNote(
  { tables, definitions, rows }: OpenDump['wish'],
  leftOut: readonly TableRef[],
): readonly string[] {
  if (tables !== null || leftOut.length === 0 || !definitions || !rows) return []
  const names = leftOut.map(formatTableName).join(', ')
  return [`Made without rows, so that foreign keys to them may not hold: ${names}.`]
}

/** As with pg_dump. */
function viewsNote(views: readonly TableRef[]): readonly string[] {
  if (views.length === 0) return []
  const names = views.map(formatTableName).join(', ')
  return [
    `Materialized views are not filled by rows alone: run REFRESH MATERIALIZED VIEW afterwards, in this order: ${names}.`,
  ]
}

function ringNote(inRings: readonly CataloguedTable[]): readonly string[] {
  if (inRings.length === 0) return []
  const names = inRings.map(({ ref }) => formatTableName(ref)).join(', ')
  return [`Foreign keys tie these tables into a ring; they are restored without other rows in the way alone: ${names}.`]
}

/** The tables, locked; read once more under the locks, so that none was rewritten in between. */
async function holdTables(
  snapshot: SharedSnapshot,
  choice: Parameters<typeof readDumpTables>[1],
): Promise<readonly CataloguedTable[]> {
  const before = await snapshot.use((connection) => readDumpTables(connection, choice))
  await snapshot.hold(before.map(({ ref }) => ({ query: null, schema: { ref, kind: 'table', partitions: [] } })))
  return snapshot.use((connection) => readDumpTables(connection, choice))
}

/** Definitions, and what is to be said of them. */
interface Made {
  readonly definitions: Definitions
  readonly notes: readonly string[]
  /** Something was left out that the database has. */
  readonly changed: boolean
}

const NOTHING_MADE: Made = { definitions: { beforeRows: [], afterRows: [] }, notes: [], changed: false }

/** Two runs of pg_dump: where it changes from what rows need to what goes by them, its text does not say. */
async function readAll(dumper: DumperOptions, wish: OpenDump['wish'], behind: LeftBehind): Promise<Made> {
  const { schemas } = behind
  const grantors: Grantors = new Set()
  const read = async (section: DumpSection, { run }: Dumper): Promise<readonly SectionEntry[]> =>
    readSection(await run(sectionArguments(section, wish, schemas)), grantors)
  const beforeRows = await withDumper(dumper, (session) => read('pre-data', session))
  const kept = await withDumper(dumper, async (session) => {
    const sections = { beforeRows, afterRows: await read('post-data', session) }
    if (!wish.elsewhere) return { ...sections, notes: [], changed: false }
    return leaveOutStranded(session.catalog, sections, behind)
  })
  const afterRows = wish.rows ? kept.afterRows : kept.afterRows.filter((entry) => !isRefresh(entry))
  const definitions = { beforeRows: definitionsOf(kept.beforeRows), afterRows: definitionsOf(afterRows) }
  return { definitions, notes: [...kept.notes, ...grantorsNote(grantors)], changed: kept.changed }
}

/** Of what goes where it is replaced, from the same two runs. */
async function readChosen(dumper: DumperOptions, wish: OpenDump['wish'], exact: ExactContents): Promise<Made> {
  const { schemas: only, relations: objects } = exact
  if (only.length === 0) return NOTHING_MADE
  const grantors: Grantors = new Set()
  const read = (section: DumpSection): Promise<ReturnType<ExactContents['choose']>> =>
    withDumper(dumper, async ({ catalog, run }) => {
      const args = sectionArguments(section, wish, { ...ALL_SCHEMAS, only })
      return exact.choose(readEntries(await run([...args, ...(await excludePatterns(catalog, { objects }))]), grantors))
    })
  const before = await read('pre-data')
  const after = await read('post-data')
  const afterRows = [...after.definitions, ...before.late, ...after.late]
  const beforeRows = wish.grants ? withResets(before.definitions, exact.resets) : before.definitions
  return { definitions: { beforeRows, afterRows }, notes: grantorsNote(grantors), changed: false }
}

function grantorsNote(grantors: Grantors): readonly string[] {
  if (grantors.size === 0) return []
  const names = [...grantors].join(', ')
  return [`Rights that others than the owner have given are given by whoever restores the dump; others are: ${names}.`]
}

/** Of some tables: with the types, functions and sequences that they cannot be without. */
async function readSome(
  dumper: DumperOptions,
  { tables, roots, partitioned }: NamedTables & { readonly tables: readonly CataloguedTable[] },
  { owners, grants, targetMajor }: Required<Pick<TableDdlOptions, 'owners' | 'grants' | 'targetMajor'>>,
): Promise<Made> {
  const wanted = [...roots, ...tables.map(({ ref }) => ref)]
  const ddl = await readTableDdl({ ...dumper, tables: wanted, targetMajor, owners, grants })
  const dumped = new Set([...wanted, ...partitioned].map(tableId))
  const empty = ddl.tables.filter((ref) => !dumped.has(tableId(ref)))
  const names = empty.map(formatTableName).join(', ')
  const note = empty.length === 0 ? [] : [`Made without rows, because others need them: ${names}.`]
  return { definitions: fromTableDdl(ddl), notes: [...ddl.notes, ...note], changed: false }
}

/** Blocks of a heap, `[first, end)`; no end where it reaches to the end of the heap. Null: the whole table. */
interface Blocks {
  readonly first: number
  readonly end: number | null
}

interface Parts {
  readonly database: string
  readonly tables: readonly CataloguedTable[]
  readonly sequences: readonly DumpSequence[]
  readonly definitions: Definitions
  readonly notes: readonly string[]
  readonly partial: boolean
}

class PostgresDump implements DumpSource {
  readonly database: string
  readonly moment: string
  readonly tables: readonly DumpTable[]
  readonly notes: readonly string[]
  readonly definitions: Definitions
  readonly partial: boolean
  readonly #snapshot: SharedSnapshot
  readonly #tables: ReadonlyMap<DumpTable, CataloguedTable>
  readonly #sequences: readonly DumpSequence[]

  constructor(snapshot: SharedSnapshot, { database, tables, sequences, definitions, notes, partial }: Parts) {
    this.#snapshot = snapshot
    this.#tables = new Map(tables.map((table) => [table, table]))
    this.#sequences = sequences
    this.database = database
    this.moment = snapshot.position.label
    this.tables = tables
    this.notes = notes
    this.definitions = definitions
    this.partial = partial
  }

  pieces(table: DumpTable, bytes: number): readonly DumpPiece[] {
    const { pages, isHeap, condition } = this.#known(table)
    // Ranges of blocks are read without reading the rest from version 14 on. Beside a condition there is no place for them.
    if (!isHeap || pages === 0 || condition !== '' || this.#snapshot.major < 14)
      return [{ table, bytes: table.bytes, handle: null }]
    const bytesPerPage = table.bytes / pages
    const step = Math.max(1, Math.round(bytes / bytesPerPage))
    if (step >= pages) return [{ table, bytes: table.bytes, handle: null }]
    const pieces: DumpPiece[] = []
    for (let first = 0; first < pages; first += step) {
      const last = first + step >= pages
      const handle: Blocks = { first, end: last ? null : first + step }
      pieces.push({ table, bytes: Math.min(step, pages - first) * bytesPerPage, handle })
    }
    return pieces
  }

  async rows({ table, handle }: DumpPiece, { aheadBytes, where }: RowsWish): Promise<DumpRows> {
    const sql = copySql(this.#known(table), handle, where)
    const connection = await this.#snapshot.acquire()
    const { stream, rows, seen } = connection.copyOut(sql, aheadBytes)
    return {
      chunks: chunksOf(connection, stream),
      rows,
      seen,
      [Symbol.asyncDispose]: async () => {
        // A COPY that was left in the middle cannot be ended politely: the snapshot is given up with it.
        if (!stream.readableEnded && !connection.broken) {
          stream.destroy()
          connection.destroy(new AppError('connection_lost', 'A COPY was given up.'))
        }
        this.#snapshot.release(connection)
      },
    }
  }

  sequences(): Promise<readonly string[]> {
    return this.#snapshot.use((connection) => readSetvals(connection, this.#sequences))
  }

  #known(table: DumpTable): CataloguedTable {
    const known = this.#tables.get(table)
    assert(known !== undefined, 'the table is one of this dump')
    return known
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#snapshot[Symbol.asyncDispose]()
  }
}

/** What takes its time between two chunks is no silence of the server's: only the waiting is watched (hazard A15). */
async function* chunksOf(connection: Connection, stream: Readable): AsyncGenerator<Buffer> {
  const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done = false, value } = await watch([connection], chunks.next())
      if (done) return
      yield value
    }
  } catch (error) {
    throw toAppError(error, 'reading rows')
  }
}

/** COPY of a table by its name leaves the rows of children to these, and gives a table without columns a line for each row. */
function copySql(table: CataloguedTable, handle: unknown, where: RowCondition | null): string {
  const columns = columnList(table)
  const name = quoteTable(table.ref)
  if (handle === null && table.condition === '' && where === null) {
    return `COPY ${name} ${columns === '' ? '' : `(${columns})`} TO STDOUT (FORMAT text)`
  }
  const rows = `SELECT ${where === null ? columns : '*'} FROM ONLY ${name} ${table.condition} ${blocksSql(handle)}`
  if (where === null) return `COPY (${rows}) TO STDOUT (FORMAT text)`
  return `COPY (SELECT ${columns} FROM (${rows}) f WHERE ${whereSql(where)}) TO STDOUT (FORMAT text)`
}

function whereSql({ condition, columns }: RowCondition): string {
  const isEnum = (name: string): boolean =>
    columns.some(({ name: each, type }) => each === name && type.kind === 'enum')
  return conditionText(condition, (name) => ({ sql: `f.${quote(name)}`, isEnum: isEnum(name) }))
}

function blocksSql(handle: unknown): string {
  if (handle === null) return ''
  assert(isBlocks(handle), 'the piece is one of this dump')
  const bounds = [
    ...(handle.first > 0 ? [`ctid >= '(${handle.first},0)'::pg_catalog.tid`] : []),
    ...(handle.end === null ? [] : [`ctid < '(${handle.end},0)'::pg_catalog.tid`]),
  ]
  return `WHERE ${bounds.join(' AND ')}`
}

function isBlocks(handle: unknown): handle is Blocks {
  return typeof handle === 'object' && handle !== null && 'first' in handle && 'end' in handle
}
