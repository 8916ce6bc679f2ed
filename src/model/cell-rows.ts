import { must } from '#lib/assert.ts'
import type { ColumnType } from './column-type.ts'

/**
 * Rows as cells with their lengths, as they travel between two sides that write every value in the very same bytes: the
 * binary format of COPY, as PostgreSQL documents it under "File Formats". A head; then for each row how many cells it has
 * in 16 bits, and for each cell its length in 32 bits (-1 for NULL) and its bytes; then -1 in place of a count.
 */
export const CELLS_HEAD: Buffer = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
export const CELLS_TAIL: Buffer = Buffer.from([0xff, 0xff])

/** What two sides must agree on: whose bytes they are, and of which type each cell is. */
export interface CellFormat {
  readonly version: string
  readonly types: readonly string[]
}

/** The name of a format of cells. */
export function cellFormatName({ version, types }: CellFormat): string {
  return `${version} ${JSON.stringify(types)}`
}

/** The format of cells that a name names; null for a format of another kind. */
export function readCellFormat(name: string): CellFormat | null {
  const border = name.indexOf(' [')
  if (border < 0) return null
  return { version: name.slice(0, border), types: JSON.parse(name.slice(border + 1)) as string[] }
}

/** A type whose cells are read and written here. All others are handed on, and nobody looks at them. */
export interface CellType {
  /** The type's own text of the bytes of a cell. */
  read(bytes: Buffer, start: number, end: number): string
  /** How many bytes come before a text, where the cell holds the text as it is; null where it holds something else. */
  readonly prefix: number | null
  /** Writes the bytes of a text of the type, and says where they end. There is room for three for each of its characters, and 8 more. */
  write(bytes: Buffer, at: number, text: string): number
}

const TEXT: CellType = {
  read: (bytes, start, end) => bytes.toString('utf8', start, end),
  prefix: 0,
  write: (bytes, at, text) => at + bytes.write(text, at),
}

/** Version 1 of the binary form of jsonb, the only one that there is. */
const JSONB_VERSION = 1

const TYPES: ReadonlyMap<string, CellType> = new Map<string, CellType>([
  ['text', TEXT],
  ['json', TEXT],
  [
    'jsonb',
    {
      read: (bytes, start, end) => bytes.toString('utf8', start + 1, end),
      prefix: 1,
      write: (bytes, at, text) => {
        const start = bytes.writeInt8(JSONB_VERSION, at)
        return start + bytes.write(text, start)
      },
    },
  ],
  [
    'smallint',
    integer(
      (bytes, at) => bytes.readInt16BE(at),
      (bytes, at, text) => bytes.writeInt16BE(Number(text), at),
    ),
  ],
  [
    'integer',
    integer(
      (bytes, at) => bytes.readInt32BE(at),
      (bytes, at, text) => bytes.writeInt32BE(Number(text), at),
    ),
  ],
  ['bigint', integer(readBigint, (bytes, at, text) => bytes.writeBigInt64BE(BigInt(text), at))],
  [
    'boolean',
    {
      read: (bytes, start) => (bytes[start] === 0 ? 'f' : 't'),
      prefix: null,
      write: (bytes, at, text) => bytes.writeInt8(must({ f: 0, t: 1 }[text], 'f or t'), at),
    },
  ],
  [
    'uuid',
    {
      read: (bytes, start) => {
        const hex = bytes.toString('hex', start, start + 16)
        return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
      },
      prefix: null,
      write: (bytes, at, text) => at + bytes.write(text.replaceAll('-', ''), at, 'hex'),
    },
  ],
])

function integer(
  read: (bytes: Buffer, at: number) => number | bigint,
  write: (bytes: Buffer, at: number, text: string) => number,
): CellType {
  return { read: (bytes, start) => String(read(bytes, start)), prefix: null, write }
}

function readBigint(bytes: Buffer, at: number): number | bigint {
  // Most are small, and big integers are slow.
  return bytes.readInt32BE(at) === 0 ? bytes.readUInt32BE(at + 4) : bytes.readBigInt64BE(at)
}

/** How cells of a type are read and written; null for a type that is handed on alone. */
export function cellType(name: string): CellType | null {
  return TYPES.get(name) ?? null
}

const INTEGERS: Readonly<Record<number, string>> = { 16: 'smallint', 32: 'integer', 64: 'bigint' }

/** The type of the cells in which values that were computed for a column travel; null where there is none. */
export function computedCellType(type: ColumnType): string | null {
  switch (type.kind) {
    case 'text':
      return 'text'
    case 'integer':
      return type.unsigned ? null : (INTEGERS[type.bits] ?? null)
    case 'json':
      return type.binary ? 'jsonb' : 'json'
    default:
      return null
  }
}
