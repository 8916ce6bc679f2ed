import type { Candidate } from '#adapters/draft-words.ts'
import type { TableLikeness, TableOutline } from '#model/table-outline.ts'
import { sameTable, type Column } from '#model/table.ts'
import type { ServerVersion } from './server-version.ts'
import { literal } from './sql.ts'
import { columnType } from './types.ts'

/** Bytes of an index of InnoDB. */
export const KEY_BYTES = 3_072
/** Bytes of a row without what stands beside it; the server's own bound, with room for the rest. */
export const ROW_BYTES = 60_000
/** Characters of a text in a key of which nobody said how long it can be. */
const KEY_CHARACTERS = 255
const CHARACTER_BYTES = 4
const LONG = 0xffff

/** A type with the bytes that it takes in the row; 0 where the value stands beside it. */
export interface SizedCandidate extends Candidate {
  readonly bytes: number
}

/** How many bytes an index over columns takes. */
export function keyBytes(
  columns: readonly { readonly column: Column; readonly chosen: Candidate }[],
  names: readonly string[],
): number {
  return names.reduce((sum, name) => {
    const found = columns.find(({ column }) => column.name === name)
    return sum + (found === undefined ? 0 : bytesOf(found.chosen.sql) || LONG)
  }, 0)
}

/** Its values stand beside the row, where no index over them whole can be. */
export function isNoKey({ sql }: Candidate): boolean {
  return bytesOf(sql) === 0
}

/**
 * How many bytes each column has in the keys that it is part of; null of one that is in none. What has no length of its own
 * takes an equal share of what the others leave.
 */
export function roomOf(like: TableLikeness, all: readonly TableLikeness[]): (name: string) => number | null {
  const { schema } = like.outline
  const { primaryKey, uniqueKeys, foreignKeys } = schema
  const own = [...(primaryKey === null ? [] : [primaryKey.columns]), ...uniqueKeys.map(({ columns }) => columns)]
  const parents = foreignKeys.map(({ columns }) => columns)
  const referred = all.flatMap(({ outline, parents: of }) =>
    outline.schema.foreignKeys.flatMap(({ parentColumns }, i) => {
      const parent = of[i] ?? null
      return parent !== null && sameTable(parent, like.target) ? [parentColumns] : []
    }),
  )
  const keys = [...own, ...parents, ...referred]
  return (name) => {
    const widths = keys
      .filter((columns) => columns.includes(name))
      .map((columns) => Math.floor(KEY_BYTES / columns.length))
    return widths.length === 0 ? null : Math.min(...widths)
  }
}

/** What a column could be here, what is closest first; a long text holds whatever can be written down. */
export function candidatesFor(
  column: Column,
  { outline, room, version }: { outline: Pick<TableOutline, 'engine'>; room: number | null; version: ServerVersion },
): [SizedCandidate, ...SizedCandidate[]] {
  const last = room === null ? spelled('longtext', version) : keyText(room, version)
  if (outline.engine === 'mysql') return [asItWas(column), last]
  const found = spellings(column, { room, version }).map((sql) => spelled(sql, version))
  const [first, ...rest] = [...found, last]
  return first === undefined ? [last] : [first, ...rest]
}

function keyText(room: number, version: ServerVersion): SizedCandidate {
  return spelled(`varchar(${Math.min(KEY_CHARACTERS, Math.floor((room - 2) / CHARACTER_BYTES))})`, version)
}

/** A column of the same engine keeps its type, and how its texts are compared. */
function asItWas({ nativeType, type, collation }: Column): SizedCandidate {
  if (type.kind === 'json') return { sql: 'json', type, bytes: 0 }
  const charset = collation?.split('_')[0] ?? ''
  const compared = collation === null || charset === 'binary' ? '' : ` CHARACTER SET ${charset} COLLATE ${collation}`
  return { sql: `${nativeType}${compared}`, type, bytes: bytesOf(nativeType) }
}

function spellings({ type }: Column, { room, version }: { room: number | null; version: ServerVersion }): string[] {
  switch (type.kind) {
    case 'integer':
      return [type.bits <= 16 ? 'smallint' : type.bits <= 32 ? 'int' : 'bigint']
    case 'decimal':
      return [decimal(type)]
    case 'float':
      return type.bits === 32 ? ['float', 'double'] : ['double']
    case 'boolean':
      return ['tinyint(1)']
    case 'text':
      return type.maxLength === null ? [] : varchar(type.maxLength, room)
    case 'padded text':
      return type.length <= 255 ? [`char(${type.length})`] : varchar(type.length, room)
    case 'timestamp':
      return [`${type.zoned ? 'timestamp' : 'datetime'}(${type.digits})`]
    case 'date':
      return ['date']
    case 'time':
      return type.zoned ? [] : [`time(${type.digits})`]
    case 'uuid':
      return isAtLeast(version, [10, 7]) ? ['uuid', 'varchar(36)'] : ['varchar(36)']
    case 'bytes':
      return room === null ? ['longblob'] : [`varbinary(${Math.min(KEY_CHARACTERS, room - 2)})`]
    case 'json':
      return ['json']
    case 'enum':
      return [`enum(${type.labels.map(literal).join(',')})`]
    case 'other': {
      const [, bits] = /^bit\((\d+)\)$/.exec(type.native) ?? []
      return bits !== undefined && Number(bits) <= 64 ? [`bit(${bits})`] : []
    }
    case 'interval':
    case 'array':
      return []
    default:
      throw new Error(`unknown type ${String(type satisfies never)}`)
  }
}

/** A number whose digits nobody bounded gets as many as there are on both sides of the point. */
function decimal({ precision, scale }: { precision: number | null; scale: number | null }): string {
  if (precision === null) return 'decimal(65,30)'
  const places = Math.min(30, Math.max(0, scale ?? 0))
  return `decimal(${Math.min(65, precision - Math.min(0, scale ?? 0))},${places})`
}

function varchar(length: number, room: number | null): string[] {
  const most = room === null ? Math.floor(ROW_BYTES / CHARACTER_BYTES) : Math.floor((room - 2) / CHARACTER_BYTES)
  return length <= most ? [`varchar(${length})`] : []
}

function spelled(sql: string, { mariadb }: ServerVersion): SizedCandidate {
  // MariaDB's JSON is a text with a constraint.
  const isJson = sql === 'json' && mariadb
  const isText = isJson || /^(?:var)?char|text$|^enum/.test(sql)
  const type = columnType({ spelled: isJson ? 'longtext' : sql, charset: isText ? 'utf8mb4' : null, isJson })
  return { sql, type, bytes: bytesOf(sql) }
}

/** Bytes that a value takes in the row and in an index, at most; 0 where it stands beside the row. */
function bytesOf(sql: string): number {
  const [, word = '', first = ''] = /^(\w+)(?:\((\d+))?/.exec(sql) ?? []
  switch (word) {
    case 'varchar':
    case 'char':
      return Number(first || 1) * CHARACTER_BYTES + 2
    case 'varbinary':
    case 'binary':
      return Number(first || 1) + 2
    case 'decimal':
      return 32
    case 'uuid':
      return 16
    default:
      return /(?:text|blob)$|^json$/.test(word) ? 0 : 8
  }
}

function isAtLeast({ mariadb, major, minor }: ServerVersion, [first, second]: readonly [number, number]): boolean {
  return mariadb && (major > first || (major === first && minor >= second))
}
