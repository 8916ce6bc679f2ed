import {
  carriedForeignKeys,
  chooseType,
  commonNotes,
  fitName,
  likeSchema,
  noteDefault,
  noteType,
  sameNames,
  schemasOf,
  type Candidate,
} from '#adapters/draft-words.ts'
import type { DdlStatement } from '#adapters/table-ddl.ts'
import type { TableDraft, TablesDraft } from '#adapters/table-draft.ts'
import { must } from '#lib/assert.ts'
import type { IndexOutline, TableLikeness } from '#model/table-outline.ts'
import { tableName, type Column, type TableRef } from '#model/table.ts'
import type { ServerVersion } from './server-version.ts'
import { binaryCollation, collationHere } from './collations.ts'
import { defaultSql, literalDefault } from './draft-defaults.ts'
import { candidatesFor, isNoKey, keyBytes, KEY_BYTES, roomOf, ROW_BYTES } from './draft-types.ts'
import { literal, quote, quoteTable } from './sql.ts'

/** Characters of a name. */
const MOST_NAME = 64
/** Characters of a long text that an index begins with. */
const INDEXED = 191
/** Bytes of these: four for each, and their length. */
const INDEXED_BYTES = INDEXED * 4 + 2
/** Columns of an index. */
const MOST_PARTS = 16
/** Characters of what is said of a column, and of a table. */
const MOST_SAID = { column: 1_024, table: 2_048 }

/** What decides how tables can be made on a server. */
export interface DraftPlace {
  readonly version: ServerVersion
  /** The database that is connected to. */
  readonly home: string
  /** Names of tables are kept in lower case. */
  readonly lowerCase: boolean
  /** See `readCollations`. */
  readonly collations: ReadonlySet<string>
}

interface DraftedTable {
  readonly draft: TableDraft
  readonly before: readonly DdlStatement[]
  readonly after: readonly DdlStatement[]
  readonly foreignKeys: readonly DdlStatement[]
  readonly notes: readonly string[]
}

interface DraftedColumn {
  readonly column: Column
  readonly chosen: Candidate
  readonly numbered: boolean
  readonly default: string | null
}

/**
 * Tables of another engine as MySQL or MariaDB would have them: types that take every value as it is where there is one,
 * text that is compared byte by byte so that no two values merge (hazard C12), the primary key with the table, other keys
 * and indexes after the data, foreign keys last.
 */
export function draftTables(tables: readonly TableLikeness[], place: DraftPlace): TablesDraft {
  const taken = new Set<string>()
  const drafted = tables.map((table) => draftTable(table, { all: tables, taken, place }))
  return {
    tables: drafted.map(({ draft }) => draft),
    ddl: {
      tables: tables.map(({ target }) => target),
      beforeData: [
        ...schemasOf(tables).flatMap((schema) => (schema === place.home ? [] : [createDatabase(schema)])),
        ...drafted.flatMap(({ before }) => before),
      ],
      afterData: drafted.flatMap(({ after }) => after),
      foreignKeys: drafted.flatMap(({ foreignKeys }) => foreignKeys),
      notes: drafted.flatMap(({ notes }) => notes),
    },
  }
}

function createDatabase(name: string): DdlStatement {
  return {
    kind: 'SCHEMA',
    tables: [],
    sql: `CREATE DATABASE IF NOT EXISTS ${quote(name)} CHARACTER SET utf8mb4`,
    object: { kind: 'SCHEMA', schema: '', name },
  }
}

function draftTable(
  like: TableLikeness,
  { all, taken, place }: { all: readonly TableLikeness[]; taken: Set<string>; place: DraftPlace },
): DraftedTable {
  const { outline, target } = like
  const { schema } = outline
  const notes = commonNotes(like)
  const problems = refusedNames(like, place)
  const columns = draftColumns(like, { all, place, notes })
  const { keys, notes: keyNotes } = carriedForeignKeys(like, all)
  notes.push(...keyNotes)
  const { primaryKey } = schema
  const isTooWide = (of: readonly string[]): boolean => of.length > MOST_PARTS || keyBytes(columns, of) > KEY_BYTES
  if (primaryKey !== null && isTooWide(primaryKey.columns)) {
    problems.push(refusedKey(target, columns, primaryKey.columns))
  }
  const unique = schema.uniqueKeys.filter(({ name, columns: of }) => {
    const fits = !isTooWide(of)
    if (!fits) notes.push(`${tableName(target)} is made without its unique key ${name}: it is too wide for an index.`)
    return fits
  })
  const indexes = outline.indexes.filter(({ name, columns: of }) => {
    const bytes = of.reduce((sum, each) => sum + Math.min(keyBytes(columns, [each]), INDEXED_BYTES), 0)
    const fits = of.length <= MOST_PARTS && bytes <= KEY_BYTES
    if (!fits) notes.push(`${tableName(target)} is made without the index ${name}: it is too wide for an index.`)
    return fits
  })
  for (const [of, text, most] of saidOf(like)) {
    if (cut(text, most) !== text) notes.push(`${of}: the comment is cut after ${most} characters.`)
  }
  return {
    draft: {
      schema: {
        ...likeSchema(schema),
        ref: target,
        kind: 'table',
        columns: columns.map(({ column, chosen, numbered, default: text }, i) => ({
          ...column,
          id: i + 1,
          type: chosen.type,
          nativeType: chosen.sql,
          hasDefault: numbered || text !== null,
          generated: null,
          expression: null,
          collation: null,
          identity: null,
          sequence: numbered ? column.name : null,
        })),
        uniqueKeys: unique,
        foreignKeys: schema.foreignKeys.flatMap((key) => {
          const carried = keys.find(({ name }) => name === key.name)
          return carried === undefined ? [] : [{ ...key, parent: carried.parent, deferrable: false }]
        }),
        triggers: [],
        partitions: [],
        rowEstimate: 0,
        bytes: 0,
      },
      problems,
    },
    before: [createTable(like, { columns, place })],
    after: indexesOf(like, { columns, indexes, unique: unique.map(({ columns: of }) => of) }),
    foreignKeys: foreignKeysOf(like, keys, { taken, notes }),
    notes,
  }
}

function draftColumns(
  like: TableLikeness,
  { all, place, notes }: { all: readonly TableLikeness[]; place: DraftPlace; notes: string[] },
): DraftedColumn[] {
  const { outline, target } = like
  const { schema } = outline
  const room = roomOf(like, all)
  const numberedFirst = schema.primaryKey?.columns[0]
  let rowBytes = 0
  return schema.columns.map((given) => {
    const column = outline.engine === 'mysql' ? comparedHere(given, place) : given
    if (column.collation !== given.collation) {
      notes.push(
        `${tableName(target)}.${column.name} is compared by ${column.collation} here: this server has no ${given.collation}.`,
      )
    }
    const candidates = candidatesFor(column, { outline, room: room(column.name), version: place.version })
    const [first, ...others] = candidates
    // A row has a bound of its own: what does not fit in it stands beside it.
    const beside = others.find(({ bytes }) => bytes === 0)
    const fits = rowBytes + first.bytes <= ROW_BYTES || room(column.name) !== null
    const chosen = !fits && beside !== undefined ? beside : chooseType(column.type, candidates)
    rowBytes += candidates.find(({ sql }) => sql === chosen.sql)?.bytes ?? 0
    notes.push(...noteType(target, column, chosen))
    if (column.type.kind === 'timestamp' && column.type.zoned) {
      notes.push(`${tableName(target)}.${column.name} holds times from 1970 to 2038 alone, as TIMESTAMP does.`)
    }
    const found = outline.columns.get(column.name)?.default ?? null
    // Only a column that an index begins with may be numbered.
    const numbered = found?.kind === 'number' && chosen.type.kind === 'integer' && numberedFirst === column.name
    const text = found === null || numbered ? null : literalDefault(found, { chosen, version: place.version })
    if (found !== null && !numbered && text === null) notes.push(noteDefault(target, column, found))
    return { column, chosen, numbered, default: text }
  })
}

/** A column of the same engine, with a collation that is known here. */
export function comparedHere(column: Column, place: Pick<DraftPlace, 'version' | 'collations'>): Column {
  return column.collation === null ? column : { ...column, collation: collationHere(column.collation, place) }
}

function createTable(
  { outline, target }: TableLikeness,
  { columns, place }: { columns: readonly DraftedColumn[]; place: DraftPlace },
): DdlStatement {
  const lines = columns.map(({ column, chosen, numbered, default: text }) => {
    const comment = outline.columns.get(column.name)?.comment ?? null
    return [
      `${quote(column.name)} ${chosen.sql}`,
      column.nullable ? 'NULL' : 'NOT NULL',
      ...(numbered ? ['AUTO_INCREMENT'] : defaultSql(column, { text, chosen, version: place.version })),
      ...(comment === null ? [] : [`COMMENT ${literal(cut(comment, MOST_SAID.column))}`]),
    ].join(' ')
  })
  const { primaryKey } = outline.schema
  const key = primaryKey === null ? [] : [`PRIMARY KEY (${primaryKey.columns.map(quote).join(', ')})`]
  const comment = outline.comment === null ? '' : ` COMMENT = ${literal(cut(outline.comment, MOST_SAID.table))}`
  return {
    kind: 'TABLE',
    tables: [target],
    sql:
      `CREATE TABLE ${quoteTable(target)} (${[...lines, ...key].join(', ')}) ENGINE = InnoDB ` +
      `CHARACTER SET utf8mb4 COLLATE ${binaryCollation(place.version)}${comment}`,
    object: { kind: 'TABLE', ...target },
  }
}

function indexesOf(
  { target }: TableLikeness,
  {
    columns,
    indexes,
    unique,
  }: {
    columns: readonly DraftedColumn[]
    indexes: readonly IndexOutline[]
    unique: readonly (readonly string[])[]
  },
): DdlStatement[] {
  const taken = new Set<string>(['primary'])
  const named = (name: string): string => quote(fitName(name, { most: MOST_NAME, taken }))
  const on = { kind: 'INDEX', tables: [target] }
  const part = (name: string): string => {
    const isLong = keyBytes(columns, [name]) > INDEXED_BYTES
    return isLong ? `${quote(name)}(${INDEXED})` : quote(name)
  }
  return [
    ...unique.map((of) => ({
      ...on,
      sql: `ALTER TABLE ${quoteTable(target)} ADD UNIQUE INDEX ${named(`${of.join('_')}_key`)} (${of.map(quote).join(', ')})`,
    })),
    ...indexes.map(({ name, columns: of }) => ({
      ...on,
      sql: `ALTER TABLE ${quoteTable(target)} ADD INDEX ${named(name)} (${of.map(part).join(', ')})`,
    })),
  ]
}

/** What is said of a table and of its columns, and how long that may be. */
function saidOf({ outline, target }: TableLikeness): [of: string, text: string, most: number][] {
  const table: [string, string, number][] =
    outline.comment === null ? [] : [[tableName(target), outline.comment, MOST_SAID.table]]
  const columns = [...outline.columns].flatMap(([name, { comment }]): [string, string, number][] =>
    comment === null ? [] : [[`${tableName(target)}.${name}`, comment, MOST_SAID.column]],
  )
  return [...table, ...columns]
}

/** Whole characters alone. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : Array.from(text).slice(0, most).join('')
}

/** Names of foreign keys are shared by all tables of a database. */
function foreignKeysOf(
  { outline, target }: TableLikeness,
  keys: readonly { readonly name: string; readonly parent: TableRef }[],
  { taken, notes }: { taken: Set<string>; notes: string[] },
): DdlStatement[] {
  return keys.map(({ name, parent }) => {
    const key = must(
      outline.schema.foreignKeys.find((each) => each.name === name),
      'a foreign key',
    )
    const { columns, parentColumns, deferrable } = key
    const { onDelete = 'no action', onUpdate = 'no action' } = outline.actions.get(name) ?? {}
    if (deferrable) notes.push(`${tableName(target)}: the foreign key ${name} cannot be deferred here.`)
    const rules = [['ON DELETE', onDelete] as const, ['ON UPDATE', onUpdate] as const]
    const actions = rules.flatMap(([word, action]) => {
      if (action === 'set default') notes.push(`${tableName(target)}: the foreign key ${name} sets no default here.`)
      return action === 'no action' || action === 'set default' ? [] : [` ${word} ${action.toUpperCase()}`]
    })
    const own = fitName(`${target.name}_${columns.join('_')}_fk`, { most: MOST_NAME, taken })
    return {
      kind: 'FK CONSTRAINT',
      tables: [target, parent],
      sql:
        `ALTER TABLE ${quoteTable(target)} ADD CONSTRAINT ${quote(own)} FOREIGN KEY (${columns.map(quote).join(', ')}) ` +
        `REFERENCES ${quoteTable(parent)} (${parentColumns.map(quote).join(', ')})${actions.join('')}`,
    }
  })
}

/** Names that the server would cut, fold or take for one (hazard D9). */
/** Why a primary key cannot be one here, with the next step. */
function refusedKey(target: TableRef, columns: readonly DraftedColumn[], key: readonly string[]): string {
  const step = 'Leave the table out, or make it by hand, and name a key that both sides have with --key.'
  const unfit = columns.find(({ column, chosen }) => key.includes(column.name) && isNoKey(chosen))
  return unfit === undefined
    ? `${tableName(target)}: its primary key is wider than the ${KEY_BYTES} bytes or ${MOST_PARTS} columns of an index here. ${step}`
    : `${tableName(target)}: "${unfit.column.name}" of its primary key would be ${unfit.chosen.sql} here, which no key can hold. ${step}`
}

function refusedNames({ outline, target }: TableLikeness, { lowerCase }: DraftPlace): string[] {
  const names = outline.schema.columns.map(({ name }) => name)
  const twice = sameNames(names)
  return [
    ...[target.schema, target.name, ...names]
      .filter((name) => Array.from(name).length > MOST_NAME)
      .map((name) => `${tableName(target)}: "${name}" is longer than the ${MOST_NAME} characters of a name here.`),
    ...[target.name, ...names]
      .filter((name) => /\s$/.test(name))
      .map((name) => `${tableName(target)}: "${name}" ends in a space, which no name does here.`),
    ...(twice === null
      ? []
      : [`${tableName(target)}: "${twice}" and another column differ by case alone, and are one column here.`]),
    ...(lowerCase && target.name !== target.name.toLowerCase()
      ? [`${tableName(target)}: this server keeps names of tables in lower case; name the target so.`]
      : []),
  ]
}
