import { createHash } from 'node:crypto'
import { judgePair, type ColumnType } from '#model/column-type.ts'
import type { DefaultOutline, TableLikeness } from '#model/table-outline.ts'
import { sameTable, tableName, type Column, type TableRef, type TableSchema } from '#model/table.ts'

/** A type that a column could have, and how it is spelled. */
export interface Candidate {
  readonly sql: string
  readonly type: ColumnType
}

/** Kinds of which a text is no use: their values are reckoned with, and one that does not fit is set aside. */
const NO_TEXT: ReadonlySet<ColumnType['kind']> = new Set(['decimal', 'time'])

/** The first type that takes every value of the source as it is, else the first at all. */
export function chooseType(source: ColumnType, [first, ...rest]: readonly [Candidate, ...Candidate[]]): Candidate {
  const serves = ({ type }: Candidate): boolean => type.kind !== 'text' || !NO_TEXT.has(source.kind)
  return [first, ...rest].find((each) => serves(each) && judgePair(source, each.type).ok) ?? first
}

/** A name that no other has, of at most `most` bytes; what is cut off is told apart by a hash. */
export function fitName(wanted: string, { most, taken }: { most: number; taken: Set<string> }): string {
  const bytes = Buffer.from(wanted)
  const mark = createHash('md5').update(wanted).digest('hex')
  for (let digits = 0; ; digits += 4) {
    const suffix = digits === 0 ? '' : `_${mark.slice(0, digits)}`
    const room = most - suffix.length
    const name = `${bytes.length <= room ? wanted : cutText(bytes, room)}${suffix}`
    const isWhole = digits > 0 || bytes.length <= room
    if (isWhole && !taken.has(name.toLowerCase())) {
      taken.add(name.toLowerCase())
      return name
    }
  }
}

/** Whole characters alone. */
function cutText(bytes: Buffer, room: number): string {
  return bytes.subarray(0, room).toString('utf8').replace(/�+$/, '')
}

/** What is told of a default that cannot be written here. */
export function noteDefault(table: TableRef, { name }: Column, found: DefaultOutline): string {
  const what = found.kind === 'expression' ? ` ${found.sql}` : found.kind === 'value' ? ` ${found.text}` : ''
  return `${tableName(table)}.${name} gets no default: ${found.kind}${what} is the source's own.`
}

/** A table as it is drafted like another: its own engine says whether it is read at one moment. */
export function likeSchema(schema: TableSchema): TableSchema {
  const like: { -readonly [K in keyof TableSchema]: TableSchema[K] } = { ...schema }
  delete like.unsteady
  return like
}

/** What both dialects tell of a table that is made like another. */
export function commonNotes({ outline, target }: TableLikeness): string[] {
  const { schema, left } = outline
  const name = tableName(target)
  const generated = schema.columns.filter((column) => column.generated !== null)
  return [
    ...generated.map((column) => `${name}.${column.name} is computed in the source, and carried as a plain value.`),
    ...(left.length === 0 ? [] : [`${name} is made without ${left.join(', ')} of the source.`]),
    ...(schema.triggers.length === 0 ? [] : [`${name} is made without triggers: ${schema.triggers.join(', ')}.`]),
    ...(schema.kind === 'partitioned' ? [`${name} is made without partitions.`] : []),
  ]
}

/** Foreign keys whose parents will have the columns that they refer to as a key, and what is told of the others. */
export function carriedForeignKeys(
  { outline, target, parents }: TableLikeness,
  all: readonly TableLikeness[],
): {
  readonly keys: readonly { readonly name: string; readonly parent: TableRef }[]
  readonly notes: readonly string[]
} {
  const notes: string[] = []
  const keys = outline.schema.foreignKeys.flatMap(({ name, parent, parentColumns }, i) => {
    const here = parents[i] ?? null
    const drafted = here === null ? undefined : all.find((each) => sameTable(each.target, here))
    if (here === null) {
      notes.push(`${tableName(target)} is made without its foreign key ${name}: the target has no ${parent.name}.`)
      return []
    }
    const { primaryKey = null, uniqueKeys = [] } = drafted?.outline.schema ?? {}
    const isKey = [primaryKey, ...uniqueKeys].some(
      (key) =>
        key?.columns.length === parentColumns.length && key.columns.every((each) => parentColumns.includes(each)),
    )
    if (drafted !== undefined && !isKey) {
      notes.push(
        `${tableName(target)} is made without its foreign key ${name}: (${parentColumns.join(', ')}) is no key of ${tableName(here)}.`,
      )
      return []
    }
    return [{ name, parent: here }]
  })
  return { keys, notes }
}

/** What a type becomes that holds less, or means something else. */
export function noteType(table: TableRef, column: Column, to: Candidate): string[] {
  const judged = judgePair(column.type, to.type)
  if (judged.ok) return []
  return [`${tableName(table)}.${column.name} (${column.nativeType}) becomes ${to.sql}: ${judged.reason}.`]
}

/** Names that the target takes for one though the source tells them apart. */
export function sameNames(names: readonly string[]): string | null {
  const twice = names.find((name, i) => names.some((other, j) => j < i && other.toLowerCase() === name.toLowerCase()))
  return twice ?? null
}

/** The schemas that the tables go into, each once. */
export function schemasOf(tables: readonly TableLikeness[]): readonly string[] {
  return [...new Set(tables.map(({ target }) => target.schema))]
}
