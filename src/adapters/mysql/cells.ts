import { createHash } from 'node:crypto'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { quote } from './sql.ts'
import { keyParameter, type TableSql } from './table-sql.ts'

/** Characters or bytes of a piece: each is up to eight bytes of an answer. */
const PIECE = 256 * 1024
/** Pieces of one answer. */
const AT_ONCE = 16

/**
 * Cells that are too large for one answer of the server, read in pieces. A function of the server gives nothing that is
 * larger than max_allowed_packet, and a row of an answer stands in memory whole.
 */
export async function* readCellPieces(
  connection: Connection,
  sql: TableSql,
  { key, place }: { key: Key; place: number },
): AsyncGenerator<Buffer> {
  const { name } = must(sql.scan.columns[place], 'a column')
  const isBytes = sql.typeOf(name).kind === 'bytes'
  const column = `t.${quote(name)}`
  const from = `${sql.keysFrom} STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('k.k')} ${sql.where()}`
  const size = await pieceSize(connection)
  if (isBytes) yield Buffer.from('\\x')
  for (let start = 1; ; start += size * AT_ONCE) {
    // For each statement the server reads the whole value.
    const pieces = Array.from({ length: AT_ONCE }, (_, i) => `SUBSTRING(${column}, ${start + i * size}, ${size})`)
    const hex = pieces.map((piece) => `HEX(${isBytes ? piece : `CONVERT(${piece} USING utf8mb4)`})`)
    const [row, another] = await connection.query(`SELECT ${hex.join(', ')} FROM ${from}`, [keyParameter([key])])
    if (row === undefined || another !== undefined || row.includes(null)) {
      throw new AppError('internal', `A key of ${tableName(sql.scan.table)} does not name one row.`)
    }
    for (const piece of row) {
      if (piece === null || piece === '') return
      yield isBytes ? Buffer.from(piece.toLowerCase()) : Buffer.from(piece, 'hex')
    }
  }
}

async function pieceSize(connection: Connection): Promise<number> {
  const [row] = await connection.query('SELECT CAST(@@max_allowed_packet AS CHAR)')
  return Math.max(64, Math.min(PIECE, Math.floor(Number(row?.[0]) / 16)))
}

/** The MD5 of a row's canonical form where the server cannot make it. The row is named by its key. */
export async function hashLargeRow(connection: Connection, sql: TableSql, key: Key): Promise<Buffer> {
  const hash = createHash('md5')
  const [sizes] = await connection.query(
    `SELECT ${sql.scan.columns.map((_, place) => `CAST(${cellSize(sql, place)} AS CHAR)`).join(', ')}
     FROM ${sql.keysFrom} STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('k.k')} ${sql.where()}`,
    [keyParameter([key])],
  )
  for (const [place, size] of must(sizes, 'a row').entries()) {
    if (size === null) {
      hash.update('-')
      continue
    }
    if (Number(size) <= IN_ONE) {
      const text = await readCell(connection, sql, { key, place })
      hash.update(`${Buffer.byteLength(text)}:`).update(text)
      continue
    }
    hash.update(`${await textBytes(connection, sql, { key, place, size: Number(size) })}:`)
    for await (const piece of readCellPieces(connection, sql, { key, place })) hash.update(piece)
  }
  return hash.digest()
}

/** How long the text of a cell is, which goes in front of it: where that cannot be told, it is read twice. */
async function textBytes(
  connection: Connection,
  sql: TableSql,
  { key, place, size }: { key: Key; place: number; size: number },
): Promise<number> {
  const type = sql.typeOf(must(sql.scan.columns[place], 'a column').name)
  if (type.kind === 'bytes' || (type.kind === 'text' && type.charset === undefined)) return size
  let bytes = 0
  for await (const piece of readCellPieces(connection, sql, { key, place })) bytes += piece.length
  return bytes
}

/** Bytes as they are stored; a cell of so many has a text that the smallest packet holds. */
const IN_ONE = 64 * 1024

/** NULL where the cell is NULL. */
function cellSize(sql: TableSql, place: number): string {
  const { name, absent } = must(sql.scan.columns[place], 'a column')
  return absent ? 'NULL' : `IF(t.${quote(name)} IS NULL, NULL, ${sql.bytesOf(place)})`
}

async function readCell(
  connection: Connection,
  sql: TableSql,
  { key, place }: { key: Key; place: number },
): Promise<string> {
  const [row] = await connection.query(
    `SELECT ${must(sql.expressions[place], 'a column')}
     FROM ${sql.keysFrom} STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('k.k')} ${sql.where()}`,
    [keyParameter([key])],
  )
  return must(row?.[0], 'a value')
}
