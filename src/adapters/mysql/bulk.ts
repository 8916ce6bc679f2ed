import { Readable } from 'node:stream'
import type { Watched } from '#adapters/adapter.ts'
import { decodeCell, LineReader, splitCells } from '#model/row-text.ts'
import type { Connection } from './connection.ts'

/** Where lines of `model/row-text.ts` go. */
export interface BulkTarget {
  readonly table: string
  /** The columns, quoted where they are not ours. */
  readonly names: readonly string[]
  /** What is written into a column, its text being an expression; left out where that is the text itself. */
  readonly toValue?: (place: number, text: string) => string
  /** Rows of the same key make way: in a table of ours alone. */
  readonly replaces?: true
}

/** What sends lines: the connection that they come from is working while the server waits for them. */
export interface BulkSource {
  readonly lines: Readable | AsyncIterable<string | Uint8Array>
  readonly others?: readonly Watched[]
}

/** Sessions in which the server takes a stream of ours as a file. */
const takesFiles = new WeakMap<Connection, boolean>()

/** Characters of rows that go in one statement. */
const STATEMENT_CHARACTERS = 1024 * 1024

/**
 * Writes many rows: by LOAD DATA LOCAL, or where the server does not allow that (MySQL 8 by default), by INSERT out of a
 * JSON parameter. Both are statements of the open transaction. Returns how many rows were sent; a warning is an error.
 */
export async function writeLines(connection: Connection, target: BulkTarget, source: BulkSource): Promise<number> {
  const { lines, others = [] } = source
  const stream = lines instanceof Readable ? lines : Readable.from(lines, { objectMode: false })
  if (await mayLoad(connection)) {
    const taken = await connection.load(loadSql(target), Readable.from(forLoad(stream), { objectMode: false }), others)
    return taken
  }
  return await insertLines(connection, target, stream)
}

const BACKSLASH = Buffer.from('\\')

/**
 * PostgreSQL writes a vertical tab and a form feed as letters behind a backslash, of which LOAD DATA takes the letter for the
 * character itself: they go as they are.
 */
async function* forLoad(lines: AsyncIterable<string | Uint8Array>): AsyncGenerator<Buffer> {
  let held = false
  for await (const chunk of lines) {
    const own = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
    const bytes = held ? Buffer.concat([BACKSLASH, own]) : own
    // What a backslash at the end begins is judged with what follows.
    held = endsInEscape(bytes)
    const whole = held ? bytes.subarray(0, -1) : bytes
    const isMeant = whole.includes('\\v') || whole.includes('\\f')
    yield isMeant ? Buffer.from(whole.toString('latin1').replace(ESCAPED, asItIs), 'latin1') : whole
  }
  if (held) yield BACKSLASH
}

const ESCAPED = /\\(.)/gs
const asItIs = (escape: string, letter: string): string => (letter === 'v' ? '\v' : letter === 'f' ? '\f' : escape)

function endsInEscape(bytes: Buffer): boolean {
  let start = bytes.length
  while (start > 0 && bytes[start - 1] === BACKSLASH[0]) start -= 1
  return (bytes.length - start) % 2 === 1
}

async function mayLoad(connection: Connection): Promise<boolean> {
  const known = takesFiles.get(connection)
  if (known !== undefined) return known
  const [row] = await connection.query('SELECT @@local_infile + 0')
  const may = row?.[0] === '1'
  takesFiles.set(connection, may)
  return may
}

export function loadSql({ table, names, toValue, replaces }: BulkTarget): string {
  const sets: string[] = []
  const columns = names.map((name, place) => {
    const text = `@c${place}`
    const value = toValue?.(place, text) ?? text
    if (value === text) return name
    sets.push(`${name} = ${value}`)
    return text
  })
  const set = sets.length === 0 ? '' : ` SET ${sets.join(', ')}`
  return `LOAD DATA LOCAL INFILE 'rows' ${replaces ? 'REPLACE ' : ''}INTO TABLE ${table} CHARACTER SET utf8mb4
    FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' (${columns.join(', ')})${set}`
}

export function insertSql({ table, names, toValue, replaces }: BulkTarget): string {
  const texts = names.map((_, place) => `c${place} LONGTEXT CHARACTER SET utf8mb4 PATH '$[${place}]'`)
  const values = names.map((_, place) => toValue?.(place, `j.c${place}`) ?? `j.c${place}`)
  return `${replaces ? 'REPLACE' : 'INSERT'} INTO ${table} (${names.join(', ')})
    SELECT ${values.join(', ')} FROM JSON_TABLE(?, '$[*]' COLUMNS (${texts.join(', ')})) j`
}

async function insertLines(connection: Connection, target: BulkTarget, stream: Readable): Promise<number> {
  const reader = new LineReader()
  const statement = insertSql(target)
  let rows: (string | null)[][] = []
  let size = 0
  let sent = 0
  const send = async (): Promise<void> => {
    if (rows.length > 0) await connection.execute(statement, [JSON.stringify(rows)])
    sent += rows.length
    rows = []
    size = 0
  }
  for await (const chunk of stream) {
    for (const line of reader.push(Buffer.from(chunk))) {
      rows.push(splitCells(line).map(decodeCell))
      size += line.length
      if (size >= STATEMENT_CHARACTERS) await send()
    }
  }
  await send()
  return sent
}
