/** What the names lead to by which somebody has chosen schemas and tables: one that is spelt wrong would do another thing in silence. */
import type { DumpWish } from '#adapters/dump-source.ts'
import { AppError } from '#model/errors.ts'
import { formatPattern, matches, type TablePattern } from '#model/table-pattern.ts'
import { objectName, sameTable, type TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { ABOVE, choiceOf, CHOSEN, CONFIG, OF_USER, PARENTS, toRefs, type SchemaChoice } from './dump-relations.ts'

/** A table by its name and by those of the tables that it is a part of: what is said of these is said of it. */
export interface NamedTable {
  readonly ref: TableRef
  readonly parents: readonly TableRef[]
}

export function wantsTable({ tables, excludeTables }: DumpWish, table: NamedTable): boolean {
  if (excludeTables.some((pattern) => isNamed(pattern, table))) return false
  return tables === null || tables.some((pattern) => isNamed(pattern, table))
}

function isNamed(pattern: TablePattern, { ref, parents }: NamedTable): boolean {
  return [ref, ...parents].some((each) => matches(pattern, each))
}

/** What tables that were named come to. */
export interface NamedTables {
  /** Partitioned tables, which have no rows of their own: those that are wanted by name, and all. */
  readonly roots: readonly TableRef[]
  readonly partitioned: readonly TableRef[]
  /** Tables that are left out by name, without the parts of these. */
  readonly leftOut: readonly TableRef[]
}

const RELATIONS = `
  WITH RECURSIVE ${ABOVE}, ${CONFIG}
  SELECT n.nspname, c.relname, c.relkind, ${PARENTS}
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN config ON config.oid = c.oid
   WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relpersistence <> 't' AND ${CHOSEN} AND ${OF_USER}
   ORDER BY n.nspname, c.relname`

const NO_TABLES: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
}

/** @throws AppError `table_not_found` for a name that no table has */
export async function readNamedTables(
  connection: Connection,
  { schemas, wish }: { readonly schemas: SchemaChoice; readonly wish: DumpWish },
): Promise<NamedTables> {
  const patterns = [...(wish.tables ?? []), ...wish.excludeTables]
  if (patterns.length === 0) return { roots: [], partitioned: [], leftOut: [] }
  const rows = await connection.query(RELATIONS, choiceOf(schemas))
  const relations = rows.map(([schema, name, kind, parents]) => ({
    ref: { schema: schema ?? '', name: name ?? '' },
    parents: toRefs(parents ?? '[]'),
    kind: kind ?? '',
  }))
  const tables = relations.filter(({ kind }) => kind === 'r' || kind === 'p')
  const empty = patterns.filter((pattern) => !tables.some((table) => isNamed(pattern, table)))
  if (empty.length > 0) throw namesNothing(empty, relations)
  const leftOut = tables.filter((table) => wish.excludeTables.some((pattern) => isNamed(pattern, table)))
  const partitioned = tables.filter(({ kind }) => kind === 'p')
  const roots = wish.tables === null ? [] : partitioned.filter((table) => wantsTable(wish, table))
  return {
    roots: roots.map(({ ref }) => ref),
    partitioned: partitioned.map(({ ref }) => ref),
    leftOut: leftOut
      .filter(({ parents }) => !leftOut.some(({ ref }) => parents.some((parent) => sameTable(parent, ref))))
      .map(({ ref }) => ref),
  }
}

function namesNothing(
  patterns: readonly TablePattern[],
  relations: readonly (NamedTable & { readonly kind: string })[],
): AppError {
  const others = patterns.flatMap((pattern) => {
    const other = relations.find(({ ref }) => matches(pattern, ref))
    return other === undefined ? [] : [{ pattern, name: objectName(other.ref), what: NO_TABLES[other.kind] }]
  })
  const unknown = patterns.filter((pattern) => !others.some((other) => other.pattern === pattern)).map(formatPattern)
  const told = [
    ...(unknown.length === 0 ? [] : [`No table of the source is called ${unknown.join(', ')}.`]),
    ...others.map(({ name, what }) => `${name} is ${what}, and tables alone are chosen by name.`),
  ]
  return new AppError('table_not_found', told.join(' '), {
    hint: 'Name tables as schema.table, as they are called in the source, from the schemas that are read; * stands for any characters.',
  })
}

const SCHEMAS = `
  SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE ${CHOSEN}`

/** @throws AppError `table_not_found` for a schema that is not there, or where none is left */
export async function checkSchemas(
  connection: Connection,
  { schemas, wish }: { readonly schemas: SchemaChoice; readonly wish: DumpWish },
): Promise<void> {
  const named = [...(wish.schemas ?? []), ...wish.excludeSchemas]
  const of = async ({ only, exclude }: Pick<SchemaChoice, 'only' | 'exclude'>): Promise<readonly (string | null)[]> =>
    (await connection.query(SCHEMAS, [only, exclude])).map(([name = null]) => name)
  const there = named.length === 0 ? [] : await of({ only: named, exclude: [] })
  const missing = named.filter((name) => !there.includes(name))
  if (missing.length > 0) {
    throw new AppError('table_not_found', `The source has no schema ${missing.join(', ')}.`, {
      hint: 'Name schemas as they are called in the source, from among those that this login may see.',
    })
  }
  if (schemas.only === null || (await of(schemas)).length > 0) return
  throw new AppError('table_not_found', `No schema is left of ${schemas.only.join(', ')}.`, {
    hint: 'Name a schema that is there and is not left out.',
  })
}
