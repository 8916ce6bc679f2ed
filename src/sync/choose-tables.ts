import type { Adapter } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'
import { NO_OWN_CONFLICT, NO_OWN_DETECTION, plainMapping, type TableMapping } from '#model/sync-config.ts'
import { atHome, counterpart, sameTable, tableId, tableName, UNNAMED_SCHEMA, type TableRef } from '#model/table.ts'
import { asRef, EVERY_TABLE, matches, type TableChoice, type TablePattern } from '#model/table-pattern.ts'

interface Ends {
  readonly source: Adapter
  readonly target: Adapter
}

interface Pair {
  readonly source: TableRef
  readonly target: TableRef
  readonly query: string | null
  /** Named outright, so that its absence is an error. */
  readonly named: boolean
}

/**
 * The mappings that a choice stands for, by the catalogues of both sides; null where nothing was chosen. A table that
 * only a pattern found and that the target lacks is left out with a note, unless it is to be created.
 */
export async function chooseTables(
  given: TableChoice,
  ends: Ends,
  { create, note }: { create: boolean; note: (text: string) => void },
): Promise<readonly TableMapping[] | null> {
  if (given.include.length + given.exclude.length + given.options.length === 0) return null
  const choice = choiceAtHome(given, ends)
  const pairs = (await findPairs(choice, ends, { create, note })).filter(
    ({ source }) => !choice.exclude.some((pattern) => matches(pattern, source)),
  )
  if (pairs.length === 0) throw new AppError('no_tables', 'No table is left by the tables that were named.')
  refuseTwice(pairs)
  for (const { table } of choice.options) {
    if (pairs.some(({ source }) => sameTable(source, table))) continue
    throw new AppError('table_not_found', `An option speaks of ${tableName(table)}, which is none of the tables.`)
  }
  return pairs.map(({ source, target, query }) => {
    const options = choice.options.filter(({ table }) => sameTable(table, source))
    return {
      ...plainMapping(source, target),
      query,
      filter: options.findLast((option) => option.filter !== null)?.filter ?? null,
      filterExit: options.at(-1)?.filterExit ?? 'ignore',
      fields: options.findLast((option) => option.fields !== null)?.fields ?? null,
      key: options.findLast((option) => option.key !== null)?.key ?? null,
      columns: options.findLast((option) => option.columns !== null)?.columns ?? null,
      exclude: options.flatMap((option) => option.exclude),
      rename: new Map(options.flatMap((option) => [...option.rename])),
      conflict: options.findLast(({ conflict }) => conflict !== NO_OWN_CONFLICT)?.conflict ?? NO_OWN_CONFLICT,
      detection: options.findLast(({ detection }) => detection !== NO_OWN_DETECTION)?.detection ?? NO_OWN_DETECTION,
      zeroDates: options.findLast((option) => option.zeroDates !== null)?.zeroDates ?? null,
    }
  })
}

async function findPairs(
  { include, exclude, options }: TableChoice,
  { source, target }: Ends,
  { create, note }: { create: boolean; note: (text: string) => void },
): Promise<readonly Pair[]> {
  const across = (ref: TableRef): TableRef => counterpart(ref, { from: source.server, to: target.server })
  const patterns = include.length > 0 ? include : [{ source: EVERY_TABLE, target: null, query: null }]
  const named = patterns.flatMap(({ source: pattern, target: to, query }) => {
    const ref = asRef(pattern)
    return ref === null ? [] : [{ source: ref, target: to ?? across(ref), query, named: true }]
  })
  const wild = patterns.filter(({ source: pattern }) => asRef(pattern) === null)
  if (wild.length === 0) return named
  const [here, there] = await Promise.all([source.describe('all'), target.describe('all')])
  const found = here
    .filter((table) => table.kind === 'table' || table.kind === 'partitioned')
    .map((table) => table.ref)
    .filter((ref) => wild.some(({ source: pattern }) => matches(pattern, ref)))
    .filter((ref) => !named.some((pair) => sameTable(pair.source, ref)))
  const wanted = (ref: TableRef): boolean =>
    create ||
    there.some((table) => sameTable(table.ref, across(ref))) ||
    options.some(({ table }) => sameTable(table, ref))
  const left = found.filter((ref) => !wanted(ref) && !exclude.some((pattern) => matches(pattern, ref)))
  if (left.length > 0) {
    note(`Only in the source, and left out: ${left.map(tableName).join(', ')}. --create makes them in the target.`)
  }
  const chosen = found.filter(wanted)
  return [...named, ...chosen.map((ref) => ({ source: ref, target: across(ref), query: null, named: false }))]
}

/** A choice is written down before anybody asked the servers where tables without a schema are. */
function choiceAtHome({ include, exclude, options }: TableChoice, { source, target }: Ends): TableChoice {
  const home = ({ schema, name }: TablePattern): TablePattern =>
    schema.text === UNNAMED_SCHEMA
      ? { schema: { text: source.server.homeSchema, literal: true }, name }
      : { schema, name }
  return {
    include: include.map((wish) => ({
      ...wish,
      source: home(wish.source),
      target: wish.target === null ? null : atHome(wish.target, target.server),
    })),
    exclude: exclude.map(home),
    options: options.map((option) => ({ ...option, table: atHome(option.table, source.server) })),
  }
}

function refuseTwice(pairs: readonly Pair[]): void {
  for (const side of ['source', 'target'] as const) {
    const seen = new Set<string>()
    for (const pair of pairs) {
      const id = tableId(pair[side])
      if (seen.has(id)) throw new AppError('usage', `The table ${tableName(pair[side])} is named twice as a ${side}.`)
      seen.add(id)
    }
  }
}
