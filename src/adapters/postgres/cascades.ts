import { RowsRefused } from '#adapters/rows-refused.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { quote } from './sql.ts'
import { STAGE, type TableSql } from './table-sql.ts'

/** What a foreign key that points here does to its own rows when a row of this table goes. */
const REFERENCES = `
  SELECT n.nspname, c.relname, f.confdeltype, f.conrelid = f.confrelid,
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(p.attname, o.oprname, s.nspname, r.attname) ORDER BY k.n)
     FROM ROWS FROM (unnest(f.confkey), unnest(f.conkey), unnest(f.conpfeqop)) WITH ORDINALITY AS k(parent, child, op, n)
     JOIN pg_catalog.pg_attribute p ON p.attrelid = f.confrelid AND p.attnum = k.parent
     JOIN pg_catalog.pg_attribute r ON r.attrelid = f.conrelid AND r.attnum = k.child
     JOIN pg_catalog.pg_operator o ON o.oid = k.op JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace)::text
  FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE f.contype = 'f' AND f.confrelid = $1::oid AND f.confdeltype IN ('c', 'n', 'd') AND f.conparentid = 0
    AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')`

const ACTIONS: Readonly<Record<string, string>> = {
  c: 'would be deleted with it (ON DELETE CASCADE)',
  n: 'would lose what points to it (ON DELETE SET NULL)',
  d: 'would point elsewhere (ON DELETE SET DEFAULT)',
}

/**
 * Refuses deletes that would take or change rows which nobody decided on (invariant 9): a foreign key that acts by itself is
 * treated as one that forbids. Rows that go in the same batch are in nobody's way; those that go in another one are awaited.
 * A table that this login may not look into is left to the server.
 * @throws RowsRefused
 */
export async function refuseCascades(connection: Connection, sql: TableSql, table: PgTable): Promise<void> {
  if (!table.schema.referenced) return
  const found = await connection.query(REFERENCES, [table.oid])
  for (const [schema, name, action, own, columns] of found) {
    const pairs = JSON.parse(columns ?? '[]') as [string, string, string, string][]
    const same = pairs.map(([parent, operator, from, child]) => {
      return `t.${quote(parent)} OPERATOR(${quote(from)}.${operator}) r.${quote(child)}`
    })
    const child = `${quote(schema ?? '')}.${quote(name ?? '')}`
    // A row that points to itself, or to another one that goes too, goes with it.
    const key = sql.scan.columns.slice(0, sql.scan.keyLength).map((column) => quote(column.name))
    const goes = key.map((column, i) => `r.${column}::text = o.c${i}::text`).join(' AND ')
    const except = own === 't' ? `AND NOT EXISTS (SELECT FROM ${STAGE} o WHERE o.op = 'd' AND ${goes})` : ''
    const [hit] = await connection.query(
      `SELECT 1 FROM ${STAGE} s JOIN ${sql.from} t ON ${sql.keyEquals('s.c')}
       WHERE s.op = 'd' AND EXISTS (SELECT FROM ${child} r WHERE ${same.join(' AND ')} ${except}) LIMIT 1`,
    )
    if (hit === undefined) continue
    const reason = `rows of ${schema}.${name} point to it, and ${ACTIONS[action ?? ''] ?? 'would change with it'}`
    throw new RowsRefused('23503', reason, { orderMatters: true, column: null, cause: undefined })
  }
}
