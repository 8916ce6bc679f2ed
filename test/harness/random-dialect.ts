/** What random schemas are made of on each engine: types, names, and how a statement is written. */
import fc from 'fast-check'

import { quote as quoteMysql } from '#adapters/mysql/sql.ts'

import { quote as quotePostgres } from './database.ts'
import { mariadbKeyTypes, mariadbTypes } from './random-mariadb-types.ts'
import { carriedTypes } from './random-carried-types.ts'
import { keyTypesOf, typesOf, type KeyType, type RandomType } from './random-types.ts'
import type { Engine } from './side.ts'

export interface Dialect {
  readonly types: readonly RandomType[]
  readonly keyTypes: readonly KeyType[]
  readonly name: fc.Arbitrary<string>
  /** Names that give the same here are one name to the server. */
  readonly folded: (name: string) => string
  readonly quote: (name: string) => string
  readonly literal: (value: string) => string
  /** What stands between the columns and the VALUES of an INSERT that numbers its rows itself. */
  readonly overriding: string
  /** Foreign keys may be looked at when a transaction ends. */
  readonly deferrable: boolean
  /** Before a foreign key of this number, where the server's own name for it can be too long. */
  readonly constraint: (number: string) => string
  /** What in CREATE TABLE, or behind it, makes columns a unique key that is no primary one. */
  readonly uniqueKey: 'in the table' | 'an index'
  /** Whether a stored column may be generated from one of this type. */
  readonly generatesFrom: (type: RandomType) => boolean
  /** Whether an error says that rows are in the way: a key that is taken, or a reference to nothing. */
  readonly forbids: (error: object) => boolean
}

const REGULAR_NAMES = ['id', 'name', 'orders', 'created_at', 'value', 'parent', 'n', 'note', 'kind', 'total', 'status']

const HOSTILE_NAMES = [
  ['select', 'table', 'user', 'order', 'null', 'default', 'A', 'a', 'Id', 'ID', 'CamelCase'],
  ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length'],
  ['a"b', '"', '""', "it's", 'a.b', 'a b', ' lead', 'trail ', '%s', '$1', '?', ':name', ';', '--', '/*', '{}', '1st'],
  ['back\\slash', '\\.', '\\N', 'new\nline', 'tab\t', 'cr\r', '😀', 'naïve', 'nai\u0308ve', '\u200b', '表', '`', '``'],
  ['x'.repeat(63), `${'é'.repeat(31)}z`, '表'.repeat(21), 'key', 'row', 'op', 'syncline', 'epoch', 'xmax_'],
].flat()

const MAX_NAME_BYTES = 63

const anyName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 15 })
  .filter((text) => !text.includes('\0') && Buffer.byteLength(text) <= MAX_NAME_BYTES)

const names = (hostile: readonly string[], any: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...REGULAR_NAMES) },
    { weight: 4, arbitrary: fc.constantFrom(...hostile) },
    { weight: 1, arbitrary: any },
  )

/** Names that MariaDB takes: nothing beyond the first plane, no blank at the end. */
const isPlain = (name: string): boolean => !/[\u{10000}-\u{10ffff}]/u.test(name) && !/\s$/.test(name)

const PLAIN_NAMES = {
  name: names(
    HOSTILE_NAMES.filter(isPlain),
    fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 15 }).filter(isPlain),
  ),
  // Columns are told apart neither by case nor by marks.
  folded: (name: string): string =>
    name
      .normalize('NFD')
      .replaceAll(/\p{Mn}/gu, '')
      .toLowerCase(),
}

const POSTGRES = {
  quote: quotePostgres,
  literal: (value: string): string => `'${value.replaceAll("'", "''")}'`,
  overriding: ' OVERRIDING SYSTEM VALUE',
  deferrable: true,
  constraint: () => '',
  uniqueKey: 'an index',
  generatesFrom: () => true,
  // An identity that is always generated is one of them.
  forbids: (error: object) => 'code' in error && ['23505', '23503', '428C9'].includes(String(error.code)),
} as const

/** Everything that a server of this major version has. */
export function postgresDialect(major: number): Dialect {
  return {
    ...POSTGRES,
    types: typesOf(major),
    keyTypes: keyTypesOf(major),
    name: names(HOSTILE_NAMES, anyName),
    folded: (name) => name,
  }
}

/** What of it MariaDB has a place for. */
export function postgresIntoMariadbDialect(major: number): Dialect {
  // JSON has no index there.
  const keyTypes = carriedTypes(keyTypesOf(major)).filter(({ sql }) => sql !== 'jsonb')
  return { ...POSTGRES, ...PLAIN_NAMES, types: carriedTypes(typesOf(major)), keyTypes }
}

const MARIADB = {
  quote: quoteMysql,
  literal: (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`,
  overriding: '',
  deferrable: false,
  constraint: (number: string) => `CONSTRAINT fk_${number} `,
  uniqueKey: 'in the table',
  // Not from what a session's settings have a part in, nor from what the server numbers.
  generatesFrom: ({ generates }: RandomType) => generates !== undefined,
  forbids: (error: object) => 'errno' in error && [1062, 1451, 1452].includes(Number(error.errno)),
} as const

/** MariaDB; `within`: with values that have no place elsewhere. */
export function mariadbDialect(of: { readonly within: boolean }): Dialect {
  return { ...MARIADB, ...PLAIN_NAMES, types: mariadbTypes(of), keyTypes: mariadbKeyTypes() }
}

/** Of a schema that the other engine has: how rows are found here, and no value of them but NULL. */
export function foreignDialect(engine: Engine): Dialect {
  const bytes = mariadbKeyTypes().filter(({ sql }) => sql.startsWith('varbinary'))
  return engine === 'PostgreSQL'
    ? { ...POSTGRES, ...PLAIN_NAMES, types: [], keyTypes: [] }
    : {
        ...MARIADB,
        ...PLAIN_NAMES,
        types: [],
        keyTypes: bytes.flatMap((type) => [
          { ...type, sql: 'bytea' },
          // As a text, bits are the characters of these codes.
          { ...type, sql: 'bit(8)', read: (column: string) => `${column} + 0`, constant: (value: string) => value },
        ]),
      }
}
