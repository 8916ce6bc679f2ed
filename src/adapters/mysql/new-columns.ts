import type { Addition, KnownColumns, SourceOfTarget } from '#adapters/adapter.ts'
import { chooseType } from '#adapters/draft-words.ts'
import { isRecord } from '#lib/record.ts'
import { TO_BE_ADDED, type Column, type TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { comparedHere, type DraftPlace } from './draft.ts'
import { candidatesFor } from './draft-types.ts'
import { ownTable } from './own-tables.ts'
import { quote, quoteTable } from './sql.ts'
import { hasOwnTable } from './state-tables.ts'
import { columnType } from './types.ts'

/**
 * How columns of a source would be added to a table here. They may be NULL, which TIMESTAMP has to be told (hazard D7). Texts
 * of another engine are compared byte by byte, whatever the table's own comparison is.
 */
export function planAdditions(
  table: TableRef,
  columns: readonly Column[],
  place: Pick<DraftPlace, 'version' | 'collations'>,
): Addition[] {
  const { version } = place
  return columns.map((given): Addition => {
    const engine = isOfThisEngine(given) ? 'mysql' : 'postgres'
    const column = engine === 'mysql' ? comparedHere(given, place) : given
    const chosen = chooseType(column.type, candidatesFor(column, { outline: { engine }, room: null, version }))
    const compared = engine === 'postgres' && isText(chosen.type) ? ' CHARACTER SET utf8mb4 COLLATE utf8mb4_bin' : ''
    return {
      column: {
        name: column.name,
        id: TO_BE_ADDED,
        type: chosen.type,
        nativeType: chosen.sql,
        collation: null,
        nullable: true,
        hasDefault: false,
        generated: null,
        expression: null,
        identity: null,
        sequence: null,
      },
      sql: `ALTER TABLE ${quoteTable(table)} ADD COLUMN ${quote(column.name)} ${chosen.sql}${compared} NULL DEFAULT NULL;`,
      refused: null,
    }
  })
}

function isText({ kind }: Column['type']): boolean {
  return kind === 'text' || kind === 'padded text' || kind === 'enum'
}

/** What a column is called here says what it is; of another engine it says something else, or nothing. */
function isOfThisEngine({ type, nativeType, collation }: Column): boolean {
  const charset = collation?.split('_')[0] ?? null
  const here = columnType({ spelled: nativeType, charset, isJson: type.kind === 'json' })
  return JSON.stringify(here) === JSON.stringify(type)
}

/** What the last run of each mapping knew of its source; null where none did, or where this login may not look. */
export async function readLastColumns(
  connection: Connection,
  mappings: readonly SourceOfTarget[],
): Promise<(KnownColumns | null)[]> {
  if (!(await hasOwnTable(connection, 'state'))) return mappings.map(() => null)
  const known: (KnownColumns | null)[] = []
  for (const { source, target } of mappings) {
    const [row] = await connection.query(
      `SELECT source_columns FROM ${ownTable(connection.endpoint.database, 'state')}
       WHERE source = ? AND target_schema = ? AND target_table = ? AND source_columns IS NOT NULL
       ORDER BY updated_at DESC LIMIT 1`,
      [source, target.schema, target.name],
    )
    known.push(readKnown(row?.[0] ?? null))
  }
  return known
}

/** As it stands in the state. */
export function writeKnown({ table, names }: KnownColumns): string {
  return JSON.stringify({ table, names: [...names] })
}

function readKnown(text: string | null): KnownColumns | null {
  if (text === null) return null
  const kept: unknown = JSON.parse(text)
  if (!isRecord(kept)) return null
  const { table, names } = kept
  const pairs = Array.isArray(names)
    ? names.filter((pair: unknown): pair is [unknown, unknown] => Array.isArray(pair))
    : []
  return { table: String(table), names: new Map(pairs.map(([number, name]) => [Number(number), String(name)])) }
}
