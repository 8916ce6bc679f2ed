import type { ColumnType } from '#model/column-type.ts'
import { literalText } from './sql.ts'

/** A column's type as the catalogue tells it. */
export interface NativeType {
  /** `COLUMN_TYPE` of information_schema: `int(10) unsigned`, `enum('a','b')`. */
  readonly spelled: string
  /** Null where the type has none. */
  readonly charset: string | null
  /** A constraint of the column lets in nothing but JSON: all that JSON is in MariaDB. */
  readonly isJson: boolean
}

/** What fits the lengths of texts and bytes; those of four bytes are no bound for a value that can be sent. */
const MAX_BYTES: Readonly<Record<string, number | undefined>> = {
  tiny: 255,
  '': 65_535,
  medium: 16_777_215,
  long: undefined,
}

const INTEGER_BITS = { tinyint: 8, smallint: 16, mediumint: 24, int: 32, bigint: 64 } as const

/** The engine-neutral type of a column; what only MySQL and MariaDB have is `other` under their own word for it. */
export function columnType({ spelled, charset, isJson }: NativeType): ColumnType {
  const [, word = '', inner = '', rest = ''] = /^(\w+)(?:\((.*)\))?(.*)$/s.exec(spelled) ?? []
  const [first, second] = inner.split(',').map(Number)
  const native = { inner, length: inner === '' ? null : (first ?? null), places: second ?? null, rest }
  if (isJson && charset !== null) return { kind: 'json', binary: false, dialect: 'mariadb' }
  return (
    numberType(word, native) ??
    textType(word, { ...native, charset }) ??
    timeType(word, native.length ?? 0) ??
    otherType(word, { ...native, spelled })
  )
}

interface Spelled {
  readonly inner: string
  readonly length: number | null
  readonly places: number | null
  /** What stands behind the brackets: `unsigned zerofill`. */
  readonly rest: string
}

function isIntegerWord(word: string): word is keyof typeof INTEGER_BITS {
  return Object.hasOwn(INTEGER_BITS, word)
}

function numberType(word: string, { length, places, rest }: Spelled): ColumnType | null {
  const unsigned = rest.includes('unsigned') ? { unsigned: true as const } : {}
  if (word === 'tinyint' && length === 1 && !rest.includes('unsigned')) return { kind: 'boolean', tiny: true }
  if (isIntegerWord(word)) return { kind: 'integer', bits: INTEGER_BITS[word], ...unsigned }
  switch (word) {
    case 'year':
      return { kind: 'integer', bits: 16, year: true }
    case 'decimal':
      return { kind: 'decimal', precision: length ?? 10, scale: places ?? 0, finite: true, ...unsigned }
    case 'float':
    case 'double':
      return {
        kind: 'float',
        bits: word === 'float' ? 32 : 64,
        finite: true,
        ...unsigned,
        ...(places === null ? {} : { places }),
      }
    default:
      return null
  }
}

function textType(word: string, of: Spelled & { readonly charset: string | null }): ColumnType | null {
  const set = of.charset === null || of.charset === 'utf8mb4' ? {} : { charset: of.charset }
  if (word === 'varchar') return { kind: 'text', maxLength: of.length ?? 0, nul: true, ...set }
  if (word === 'char') return { kind: 'padded text', length: of.length ?? 1, trimmed: true, nul: true, ...set }
  const [, size] = /^(tiny|medium|long|)text$/.exec(word) ?? []
  if (size === undefined) return null
  const maxBytes = MAX_BYTES[size]
  return { kind: 'text', maxLength: null, ...(maxBytes === undefined ? {} : { maxBytes }), nul: true, ...set }
}

function timeType(word: string, digits: number): ColumnType | null {
  switch (word) {
    case 'date':
      return { kind: 'date', within: 'calendar' }
    case 'datetime':
      return { kind: 'timestamp', zoned: false, digits, within: 'calendar' }
    case 'timestamp':
      return { kind: 'timestamp', zoned: true, digits, within: 'epoch' }
    case 'time':
      return { kind: 'time', zoned: false, digits, signed: true }
    default:
      return null
  }
}

function otherType(word: string, { length, inner, spelled }: Spelled & { readonly spelled: string }): ColumnType {
  const [, size] = /^(tiny|medium|long|)blob$/.exec(word) ?? []
  if (size !== undefined) {
    const maxBytes = MAX_BYTES[size]
    return { kind: 'bytes', ...(maxBytes === undefined ? {} : { maxBytes }) }
  }
  switch (word) {
    case 'varbinary':
      return { kind: 'bytes', maxBytes: length ?? 0 }
    case 'binary':
      return { kind: 'bytes', maxBytes: length ?? 1, padded: length ?? 1 }
    case 'enum':
      return enumType(labelsOf(inner))
    case 'json':
      return { kind: 'json', binary: false, dialect: 'mysql' }
    case 'uuid':
      return { kind: 'uuid', strict: true }
    case 'geomcollection':
      return { kind: 'other', native: 'geometry(geometrycollection)' }
    case 'bit':
      return { kind: 'other', native: `bit(${length ?? 1})` }
    default:
      return { kind: 'other', native: SHAPES.test(word) ? `geometry(${word})` : spelled }
  }
}

/** The catalogue is written in a character set without characters of four bytes. */
function enumType(labels: readonly string[]): ColumnType {
  return { kind: 'enum', labels, ...(labels.some((label) => label.includes('?')) ? { untold: true } : {}) }
}

const SHAPES = /^(?:geometry|point|linestring|polygon|multipoint|multilinestring|multipolygon|geometrycollection)$/

/** The labels of an enum from how the catalogue writes them. */
function labelsOf(list: string): string[] {
  return Array.from(list.matchAll(/'((?:[^'\\]|''|\\.)*)'/gs), ([, label = '']) => literalText(label))
}
