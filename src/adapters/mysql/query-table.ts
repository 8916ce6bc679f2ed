import { QUERY_COLUMN, QUERY_SCHEMA } from '#adapters/query-schema.ts'
import type { Column, TableRef } from '#model/table.ts'
import type { Connection, ResultField } from './connection.ts'
import { columnId, unsteadyTables, type MyColumn, type MyTable } from './introspect.ts'
import { queryInFrom } from './sql.ts'
import { columnType } from './types.ts'

/**
 * What a SELECT gives, as if it were a table. It must be one statement that only reads; the session is read-only.
 * @throws a database error where the server cannot make sense of it
 */
export async function describeQuery(connection: Connection, ref: TableRef, query: string): Promise<MyTable> {
  const fields = await connection.fields(`SELECT * FROM ${queryInFrom(query)} t LIMIT 0`)
  const unsteady = await unsteadyTables(connection, connection.endpoint.database)
  const natives = fields.map(nativeType)
  const columns = fields.map(({ name }, i): Column => {
    const native = natives[i] ?? { name: 'null', spelled: 'null' }
    return {
      ...QUERY_COLUMN,
      name,
      id: columnId(name),
      type: columnType({ spelled: native.spelled, charset: isText(native.name) ? 'utf8mb4' : null, isJson: false }),
      nativeType: native.spelled,
    }
  })
  const definition = JSON.stringify([query, columns.map(({ name, type, nativeType: native }) => [name, type, native])])
  return {
    query,
    engine: null,
    transactional: false,
    ownDefinition: definition,
    columns: new Map(fields.map((field, i) => [field.name, toMyColumn(field, natives[i]?.name ?? 'null')])),
    walk: null,
    schema: {
      ...QUERY_SCHEMA,
      ref,
      id: query,
      definition,
      columns,
      ...(unsteady === null ? {} : { unsteady }),
    },
  }
}

function toMyColumn({ type, length }: ResultField, dataType: string): MyColumn {
  const isText = type === 15 || type >= 245
  return {
    dataType,
    charset: null,
    collation: null,
    maxBytes: isText ? length : null,
    autoIncrement: false,
    default: null,
    extra: '',
  }
}

function isText(name: string): boolean {
  return name === 'char' || name === 'varchar' || name === 'longtext'
}

/** Flags and numbers of the protocol, from its documentation ("Column Definition", "Field types"). */
const UNSIGNED = 32
const ENUM = 256
const SET = 2048
const BINARY_CHARSET = 63
/** Bytes of a character, at the most, in the charset of our sessions. */
const CHARACTER = 4

const WHOLE: Readonly<Record<number, string>> = { 1: 'tinyint', 2: 'smallint', 3: 'int', 8: 'bigint', 9: 'mediumint' }
const TIMES: Readonly<Record<number, string>> = { 7: 'timestamp', 11: 'time', 12: 'datetime' }

/** The type that a column of a result has, spelled as the catalogue would. */
function nativeType(field: ResultField): { name: string; spelled: string } {
  const { type, flags, length, decimals } = field
  const unsigned = (flags & UNSIGNED) === 0 ? '' : ' unsigned'
  const named = (name: string, modifier = ''): { name: string; spelled: string } => ({
    name,
    spelled: `${name}${modifier}`,
  })
  const whole = WHOLE[type]
  if (whole !== undefined) return named(whole, `(${length})${unsigned}`)
  const time = TIMES[type]
  if (time !== undefined) return named(time, decimals > 0 && decimals <= 6 ? `(${decimals})` : '')
  switch (type) {
    case 0:
    case 246:
      return named('decimal', `(${length - (decimals > 0 ? 1 : 0) - (unsigned === '' ? 1 : 0)},${decimals})`)
    case 4:
      return named('float')
    case 5:
      return named('double')
    case 10:
      return named('date')
    case 13:
      return named('year', '(4)')
    case 16:
      return named('bit', `(${length})`)
    case 245:
      return named('json')
    case 255:
      return named('geometry')
    default:
      return textType(field)
  }
}

function textType({ type, flags, characterSet, length }: ResultField): { name: string; spelled: string } {
  const isBlob = type >= 249 && type <= 252
  if (characterSet === BINARY_CHARSET && type !== 6) {
    return isBlob ? { name: 'longblob', spelled: 'longblob' } : { name: 'varbinary', spelled: `varbinary(${length})` }
  }
  const characters = Math.floor(length / CHARACTER)
  // The labels are not told, and a text that is one of them is a text.
  const isLabel = (flags & (ENUM | SET)) !== 0
  if (isBlob || isLabel || type === 6) return { name: 'longtext', spelled: 'longtext' }
  return type === 254
    ? { name: 'char', spelled: `char(${characters})` }
    : { name: 'varchar', spelled: `varchar(${characters})` }
}
