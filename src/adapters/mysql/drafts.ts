import type { TableDrafts } from '#adapters/table-draft.ts'
import { readCollations } from './collations.ts'
import { draftTables, type DraftPlace } from './draft.ts'
import type { Connection } from './connection.ts'
import type { KnownTables } from './known-tables.ts'
import { outlineTables } from './outline.ts'

/** What this adapter tells of its tables, and how it would make those of others. */
export function draftsOf(known: KnownTables): TableDrafts {
  return {
    outline: (tables) =>
      known.ask((connection) =>
        outlineTables(
          connection,
          tables.map((ref) => known.get(ref).schema),
        ),
      ),
    draft: async (tables) => draftTables(tables, await known.ask(readPlace)),
  }
}

async function readPlace(connection: Connection): Promise<DraftPlace> {
  const [row] = await connection.query('SELECT CAST(@@lower_case_table_names AS CHAR)')
  const collations = await readCollations(connection)
  return { version: connection.version, home: connection.endpoint.database, lowerCase: row?.[0] === '1', collations }
}
