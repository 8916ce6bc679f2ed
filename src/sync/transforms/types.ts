/** Which types transforms take and give, and how a document spells a type. */
import { z } from 'zod'

import { judgePair, type ColumnType, type IntegerType } from '#model/column-type.ts'

import { charactersOf } from '#sync/transforms/text/characters.ts'
import type { Accepts } from './transform.ts'

export const TEXT: ColumnType = { kind: 'text', maxLength: null }
export const INTEGER: IntegerType = { kind: 'integer', bits: 32 }
export const BIGINT: IntegerType = { kind: 'integer', bits: 64 }
export const DECIMAL: ColumnType = { kind: 'decimal', precision: null, scale: null }
export const BOOLEAN: ColumnType = { kind: 'boolean' }
export const BYTES: ColumnType = { kind: 'bytes' }
export const UUID: ColumnType = { kind: 'uuid' }
export const DATE: ColumnType = { kind: 'date' }
export const TIME: ColumnType = { kind: 'time', zoned: false, digits: 6 }
export const LOCAL: ColumnType = { kind: 'timestamp', zoned: false, digits: 6 }
export const ZONED: ColumnType = { kind: 'timestamp', zoned: true, digits: 6 }
export const INTERVAL: ColumnType = { kind: 'interval', native: 'interval' }
export const JSON_TEXT: ColumnType = { kind: 'json', binary: false }
export const JSONB: ColumnType = { kind: 'json', binary: true }

const kinds = (says: string, ...names: readonly ColumnType['kind'][]): Accepts => ({
  says,
  takes: (type) => names.includes(type.kind),
})

export const anyType: Accepts = { says: 'any type', takes: () => true }
export const text = kinds('text', 'text', 'padded text', 'enum')
export const number = kinds('an integer or a decimal', 'integer', 'decimal')
export const integer = kinds('an integer', 'integer')
export const boolean = kinds('a boolean', 'boolean')
export const bytes = kinds('bytes', 'bytes')
export const textOrBytes = kinds('text or bytes', 'text', 'padded text', 'enum', 'bytes')
export const uuid = kinds('a UUID', 'uuid')
export const json = kinds('json or jsonb', 'json')
export const array = kinds('an array', 'array')
export const moment = kinds('a timestamp', 'timestamp')
export const day = kinds('a date or a timestamp', 'date', 'timestamp')
export const anyTime = kinds('a date, a time or a timestamp', 'date', 'time', 'timestamp')
export const interval = kinds('an interval', 'interval')

export const zoned: Accepts = {
  says: 'a timestamp with time zone',
  takes: (type) => type.kind === 'timestamp' && type.zoned,
}

export const local: Accepts = {
  says: 'a timestamp without time zone',
  takes: (type) => type.kind === 'timestamp' && !type.zoned,
}

/** A text of at most as many characters as the input's type allows; a value that outgrows it is rejected. */
export function sameLength(types: readonly ColumnType[]): ColumnType {
  return { kind: 'text', maxLength: maxLength(types[0]) }
}

/** Characters that a value of the type may have; null where nothing bounds it. */
export function maxLength(type: ColumnType | undefined): number | null {
  if (type?.kind === 'text') return type.maxLength
  if (type?.kind === 'padded text') return type.length
  if (type?.kind === 'enum') return Math.max(0, ...type.labels.map(charactersOf))
  return null
}

export function same(types: readonly ColumnType[]): ColumnType {
  return types[0] ?? TEXT
}

const SIMPLE: Readonly<Record<string, ColumnType>> = {
  text: TEXT,
  smallint: { kind: 'integer', bits: 16 },
  integer: INTEGER,
  bigint: BIGINT,
  decimal: DECIMAL,
  real: { kind: 'float', bits: 32 },
  double: { kind: 'float', bits: 64 },
  boolean: BOOLEAN,
  date: DATE,
  time: TIME,
  timestamp: LOCAL,
  timestamptz: ZONED,
  interval: INTERVAL,
  uuid: UUID,
  bytes: BYTES,
  json: JSON_TEXT,
  jsonb: JSONB,
}

const INTEGERS: readonly (readonly [name: string, type: IntegerType])[] = [
  ['smallint', { kind: 'integer', bits: 16 }],
  ['integer', INTEGER],
  ['bigint', BIGINT],
]

/** The first of the spelled types that holds all numbers of an integer type. */
export function integerName(type: IntegerType): string {
  return INTEGERS.find(([, spelled]) => judgePair(type, spelled).ok)?.[0] ?? 'decimal(20)'
}

const SPELLING = /^([a-z]+)(?:\((\d{1,8})(?:, ?(\d{1,4}))?\))?((?:\[\])?)$/

/** Reads `varchar`-like spellings: `text(40)`, `decimal(10,2)`, `timestamptz(3)`, `integer[]`. Null where it is none. */
export function readTypeName(spelling: string): ColumnType | null {
  const [, name = '', first, second, brackets] = SPELLING.exec(spelling) ?? []
  const plain = Object.hasOwn(SIMPLE, name) ? SIMPLE[name] : undefined
  if (plain === undefined) return null
  const type = first === undefined ? plain : withModifier(plain, Number(first), second)
  if (type === null) return null
  return brackets === '[]' ? { kind: 'array', of: type } : type
}

function withModifier(type: ColumnType, first: number, second: string | undefined): ColumnType | null {
  switch (type.kind) {
    case 'text':
      return second === undefined && first > 0 ? { kind: 'text', maxLength: first } : null
    case 'decimal': {
      const scale = Number(second ?? 0)
      return first >= 1 && first <= 1000 && scale <= first ? { kind: 'decimal', precision: first, scale } : null
    }
    case 'time':
    case 'timestamp':
      return second === undefined && first <= 6 ? { ...type, digits: first } : null
    default:
      return null
  }
}

/** A type as a document spells it; parsed to the type. */
export const typeName = z
  .string()
  .max(60)
  .refine((spelling) => readTypeName(spelling) !== null, {
    error: `This is no type. Types are ${Object.keys(SIMPLE).join(', ')}, with (length), (precision,scale) or (digits) where they have one, and [] for arrays of them.`,
  })
  .meta({
    description: 'A type: text(40), decimal(10,2), bigint, timestamptz(3), jsonb, integer[] …',
    examples: ['text(40)', 'decimal(10,2)', 'bigint', 'timestamptz', 'integer[]'],
  })

/** The type of a spelling that `typeName` has let through. */
export function typeOf(spelling: string): ColumnType {
  return readTypeName(spelling) ?? TEXT
}
