/**
 * Dumps: a PostgreSQL database as plain SQL that psql restores. What somebody can ask of one, what its file says of itself,
 * and the marks by which a whole file is told from a cut one. `docs/dump-format.md` is the same for people.
 */
import type { TableRef } from './table.ts'

/** What a dump carries: definitions and rows, or one of them. */
export const DUMP_CONTENTS = ['all', 'schema', 'data'] as const
export type DumpContent = (typeof DUMP_CONTENTS)[number]

/** How rows are written: as COPY blocks, or as INSERTs of several rows each. */
export const DUMP_STYLES = ['copy', 'insert'] as const
export type DumpStyle = (typeof DUMP_STYLES)[number]

export const DUMP_COMPRESSIONS = ['none', 'gzip', 'zstd'] as const
export type DumpCompression = (typeof DUMP_COMPRESSIONS)[number]

/** Readers that one dump or copy may have at once. */
export const MOST_PARALLEL = 8

/** What of a database a dump or a copy carries, and how it is read. */
export interface ReadingOptions {
  readonly content: DumpContent
  /** Only these schemas; null: all. Names as the catalogue has them. */
  readonly schemas: readonly string[] | null
  readonly excludeSchemas: readonly string[]
  /** Patterns of tables, as in a sync config (`public.order_*`); null: all. */
  readonly tables: readonly string[] | null
  readonly excludeTables: readonly string[]
  /** Who owns what, and who has been granted what: the roles must be there where the file is restored. */
  readonly owners: boolean
  readonly grants: boolean
  /**
   * It goes into a project of the same provider, which has the schemas, extensions and roles that are not carried: what leads to
   * them stays.
   */
  readonly sameProvider: boolean
  /** Tables and pieces of tables that are read at once. What comes of it is the same. */
  readonly parallel: number
}

export const DEFAULT_READING: ReadingOptions = {
  content: 'all',
  schemas: null,
  excludeSchemas: [],
  tables: null,
  excludeTables: [],
  owners: false,
  grants: false,
  sameProvider: false,
  parallel: 1,
}

/** Whether somebody wants schemas or tables left out. */
export function isPartial(
  options: Pick<ReadingOptions, 'schemas' | 'excludeSchemas' | 'tables' | 'excludeTables'>,
): boolean {
  const { schemas, excludeSchemas, tables, excludeTables } = options
  return schemas !== null || tables !== null || excludeSchemas.length + excludeTables.length > 0
}

/** What somebody wants of an export. */
export interface ExportOptions extends ReadingOptions {
  readonly style: DumpStyle
  readonly compression: DumpCompression
  /** Where the passphrase is found (`env:NAME`, `file:PATH`) that the file is sealed with; null: it is not. */
  readonly passphrase: string | null
}

export const DEFAULT_EXPORT: ExportOptions = {
  ...DEFAULT_READING,
  style: 'copy',
  compression: 'zstd',
  passphrase: null,
}

/** The format of files that this program writes. */
export const DUMP_FORMAT = 1

/** The first line of a dump, with the number of its format. */
const FIRST_LINE = /^-- Syncline dump (\d+)$/

/** What a dump says of itself in its second line. */
export interface DumpHead {
  /** The version of the program that wrote it. */
  readonly program: string
  /** ISO 8601. */
  readonly madeAt: string
  readonly database: string
  /** As the server calls itself: `PostgreSQL 15.20`. */
  readonly server: string
  readonly serverMajor: number
  readonly content: DumpContent
  readonly style: DumpStyle
  /** Some schemas or tables were left out because somebody wanted that. */
  readonly partial: boolean
  /** Tables whose rows are in it. */
  readonly tables: number
}

/** Rows that COPY or INSERT bring into a table. */
export interface DumpedRows extends TableRef {
  readonly rows: number
}

/** Something that a dump makes, by the name that the catalogue would have. */
export interface RestoreObject {
  readonly object: (typeof RESTORE_OBJECTS)[number]
  /** Empty for a schema. */
  readonly schema: string
  readonly name: string
  /** Of a routine, what it is called with; where nobody can tell, all routines of the name are meant. */
  readonly args?: readonly ArgumentType[] | undefined
}

/** By its name in a schema; without a schema, by the words that the server has for a type of its own. */
export interface ArgumentType {
  readonly schema: string | null
  readonly name: string
  readonly array: boolean
}

const RESTORE_OBJECTS = ['relation', 'type', 'routine', 'schema'] as const

/** A partition of a table that a dump does not make, or a child of one. */
export interface Join {
  readonly table: TableRef
  readonly parent: TableRef
}

/**
 * Of a dump that a restore kept before it: it brings back what that has replaced, and what that has made besides, whoever
 * restores the dump takes back.
 */
export interface TakeBack {
  /** In which database, and in no other: a digest of what that is. */
  readonly database: string
  readonly made: readonly RestoreObject[]
}

/** The first lines of a dump. */
export function headLines(head: DumpHead): string {
  return `-- Syncline dump ${DUMP_FORMAT}\n-- ${JSON.stringify(head)}\n`
}

/** The format by the first line of a file (without its end), or null where it is no dump of ours. */
export function formatOf(firstLine: string): number | null {
  const format = FIRST_LINE.exec(firstLine)?.[1]
  return format === undefined ? null : Number(format)
}

/** The head by the second line, or null where it is none. */
export function parseHead(line: string): DumpHead | null {
  const fields = readObject(line, '-- ')
  if (fields === null) return null
  const { program, madeAt, database, server, serverMajor, content, style, partial, tables } = fields
  const knownContent = DUMP_CONTENTS.find((one) => one === content)
  const knownStyle = DUMP_STYLES.find((one) => one === style)
  if (knownContent === undefined || knownStyle === undefined || !isCount(serverMajor) || !isCount(tables)) return null
  if (!isShort(program) || !isShort(database) || !isShort(server) || typeof partial !== 'boolean') return null
  if (!isShort(madeAt) || !MOMENT.test(madeAt)) return null
  return { program, madeAt, database, server, serverMajor, content: knownContent, style: knownStyle, partial, tables }
}

/** The line that a trailer begins with. */
export const TRAILER_LINE = '-- Syncline dump trailer'
const ROWS_PREFIX = '-- rows '
const BRINGS_BACK_PREFIX = '-- brings back '
const TAKES_BACK_PREFIX = '-- takes back '
const DIGEST_LINE = /^-- sha256 ([0-9a-f]{64})$/
/** The last line: what does not end with it is cut. */
export const LAST_LINE = '-- Syncline dump complete'

/** Bytes of the last two lines. The digest is of everything before them. */
export const SEAL_BYTES = '-- sha256 '.length + 64 + 1 + LAST_LINE.length + 1

/**
 * The trailer up to its digest: how many rows there are for each table, in the order of the file; and of a dump that was kept
 * before a restore what that made besides.
 */
export function trailerLines(tables: readonly DumpedRows[], takeBack: TakeBack | null = null): string {
  const lines = tables.map(({ schema, name, rows }) => `${ROWS_PREFIX}${JSON.stringify({ schema, name, rows })}\n`)
  const brings = takeBack === null ? '' : `${BRINGS_BACK_PREFIX}${JSON.stringify({ database: takeBack.database })}\n`
  const back = (takeBack?.made ?? []).map(({ object, schema, name, args }) => {
    return `${TAKES_BACK_PREFIX}${JSON.stringify({ database: takeBack?.database, object, schema, name, args })}\n`
  })
  return `${TRAILER_LINE}\n${lines.join('')}${brings}${back.join('')}`
}

/** The last two lines, by the SHA-256 in hex of all bytes before them. */
export function sealLines(sha256: string): string {
  return `-- sha256 ${sha256}\n${LAST_LINE}\n`
}

/** The digest that the last `SEAL_BYTES` bytes of a file tell; null where they are not the end of a whole dump. */
export function parseSeal(text: string): string | null {
  const [digest = '', ...rest] = text.split('\n')
  if (rest.join('\n') !== `${LAST_LINE}\n`) return null
  return DIGEST_LINE.exec(digest)?.[1] ?? null
}

/** What a line of a trailer says of a table, or null where it is another line. */
export function parseRows(line: string): DumpedRows | null {
  const fields = readObject(line, ROWS_PREFIX)
  if (fields === null) return null
  const { schema, name, rows } = fields
  if (typeof schema !== 'string' || typeof name !== 'string' || !isCount(rows)) return null
  return { schema, name, rows }
}

/** In which database a dump brings back what was there, by a line of its trailer; null where it is another line. */
export function parseBringsBack(line: string): string | null {
  const database = readObject(line, BRINGS_BACK_PREFIX)?.['database']
  return isShort(database) ? database : null
}

/** What a line of a trailer says is to be taken back, and in which database; null where it is another line. */
export function parseTakeBack(line: string): (RestoreObject & Pick<TakeBack, 'database'>) | null {
  const fields = readObject(line, TAKES_BACK_PREFIX)
  if (fields === null) return null
  const { database, object, schema, name, args } = fields
  const known = RESTORE_OBJECTS.find((one) => one === object)
  if (known === undefined || !isShort(database) || !isShort(schema) || !isShort(name)) return null
  if (args === undefined) return { database, object: known, schema, name }
  return isArguments(args) ? { database, object: known, schema, name, args } : null
}

function isArguments(value: unknown): value is readonly ArgumentType[] {
  if (!Array.isArray(value) || value.length > MOST_ARGUMENTS) return false
  return value.every((each: unknown) => {
    if (typeof each !== 'object' || each === null) return false
    const { schema, name, array } = Object.fromEntries<unknown>(Object.entries(each))
    return (schema === null || isShort(schema)) && isShort(name) && typeof array === 'boolean'
  })
}

/** As many as a server may be built for, at most. */
const MOST_ARGUMENTS = 600

function readObject(line: string, prefix: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith(`${prefix}{`)) return null
  try {
    const value: unknown = JSON.parse(line.slice(prefix.length))
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : null
  } catch {
    return null
  }
}

const MOMENT = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?Z$/

/** A text that every store of ours takes: a file may say anything of itself. */
function isShort(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 200 && !value.includes('\0') && value.isWellFormed()
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** How a dump came to be in the directory. */
export const DUMP_ORIGINS = ['export', 'backup', 'upload'] as const
export type DumpOrigin = (typeof DUMP_ORIGINS)[number]

/** The end of a dump's file name. */
export function dumpSuffix(compression: DumpCompression, sealed: boolean): string {
  const packed = { none: '', gzip: '.gz', zstd: '.zst' }[compression]
  return `.sql${packed}${sealed ? '.sealed' : ''}`
}

/** What is known of a dump beside its file: told by the export that made it, or read from the head of what was uploaded. */
export interface DumpFacts {
  /** Null of a file that is sealed, or no dump of ours. */
  readonly head: DumpHead | null
  /** Of all tables; null where nobody has counted. */
  readonly rows: number | null
  /** Of SQL, before it was packed; null where nobody has counted. */
  readonly sqlBytes: number | null
  readonly notes: readonly string[]
}

/** What came of it when a dump was last restored on trial. */
export interface DrillOutcome {
  readonly jobId: string
  /** ISO 8601. */
  readonly at: string
  /** On which server, as that calls itself: `PostgreSQL 15.20`. */
  readonly server: string
  /** It was restored, and what was restored is what the dump says. */
  readonly works: boolean
  /** What is wrong with it, in sentences; empty where it works. */
  readonly faults: readonly string[]
}

/** A dump in the directory. */
export interface Dump {
  readonly id: string
  /** The name of its file, made by us. */
  readonly file: string
  readonly origin: DumpOrigin
  /** The database that it is of; null where nobody knows. */
  readonly database: string | null
  /** Where it was exported from; null of what was uploaded. */
  readonly datasourceId: string | null
  readonly jobId: string | null
  readonly compression: DumpCompression
  readonly sealed: boolean
  /** Of the file. */
  readonly bytes: number
  /** Of the file, in hex. */
  readonly sha256: string
  readonly facts: DumpFacts
  /** Null where nobody has tried it. */
  readonly drill: DrillOutcome | null
  /** The name of whoever wanted it. */
  readonly createdBy: string
  readonly createdAt: string
}

const NAME_CHARACTERS = 60

/** The name of a dump's file: database, time, what it carries, and the end of its id. */
export function dumpFileName(
  {
    id,
    database,
    createdAt,
    content,
  }: {
    readonly id: string
    readonly database: string
    readonly createdAt: string
    readonly content: DumpContent | 'upload'
  },
  suffix: string,
): string {
  const name = database.replaceAll(/[^A-Za-z0-9]+/g, '_').slice(0, NAME_CHARACTERS)
  const time = createdAt.slice(0, 19).replaceAll(':', '-')
  return `${/^[A-Za-z0-9]/.test(name) ? '' : 'db'}${name}_${time}_${content}_${id.slice(-8)}${suffix}`
}
