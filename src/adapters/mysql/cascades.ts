import { RowsRefused } from '#adapters/rows-refused.ts'
import type { Connection } from './connection.ts'
import type { MysqlEndpoint } from './endpoint.ts'
import type { MyTable } from './introspect.ts'
import type { Staged } from './staged.ts'
import { quote, quoteTable } from './sql.ts'

/** What a foreign key that points here does to its own rows when a row of this table goes. */
const REFERENCES = `
  SELECT k.table_schema, k.table_name, k.constraint_name, r.delete_rule, k.referenced_column_name, k.column_name
  FROM information_schema.referential_constraints r JOIN information_schema.key_column_usage k
    ON k.constraint_schema = r.constraint_schema AND k.constraint_name = r.constraint_name AND k.table_name = r.table_name
  WHERE r.unique_constraint_schema = ? AND r.referenced_table_name = ? AND k.referenced_table_schema = ?
    AND r.delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
  ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position`

const ACTIONS: Readonly<Record<string, string>> = {
  CASCADE: 'would be deleted with it (ON DELETE CASCADE)',
  'SET NULL': 'would lose what points to it (ON DELETE SET NULL)',
  'SET DEFAULT': 'would point elsewhere (ON DELETE SET DEFAULT)',
}

const FROM_ELSEWHERE = `
  SELECT DISTINCT k.referenced_table_name FROM information_schema.key_column_usage k
  WHERE k.referenced_table_schema = ? AND k.table_schema <> ?`

/** A key that has come since the table was described. */
const FROM_HERE = `
  SELECT 1 FROM information_schema.key_column_usage k
  WHERE k.table_schema = ? AND k.referenced_table_schema = ? AND k.referenced_table_name = ? LIMIT 1`

/** By database: its tables that foreign keys of other databases point to. Looked for once in the life of a writer. */
const fromElsewhere = new WeakMap<MysqlEndpoint, Map<string, ReadonlySet<string>>>()

/** Whether a foreign key that this login may see points to a table, of whichever database of the server. */
export async function isReferenced(connection: Connection, { schema: table }: MyTable): Promise<boolean> {
  const { schema, name } = table.ref
  if (table.referenced) return true
  const known = fromElsewhere.get(connection.endpoint) ?? new Map<string, ReadonlySet<string>>()
  fromElsewhere.set(connection.endpoint, known)
  const names =
    known.get(schema) ?? new Set((await connection.query(FROM_ELSEWHERE, [schema, schema])).map(([each]) => each ?? ''))
  known.set(schema, names)
  return names.has(name) || (await connection.query(FROM_HERE, [schema, schema, name])).length > 0
}

/**
 * Refuses deletes that would take or change rows which nobody decided on (invariant 9): a foreign key that acts by itself is
 * treated as one that forbids. Rows that go in the same batch are in nobody's way; those that go in another one are awaited.
 * @throws RowsRefused
 */
export async function refuseCascades({ connection, sql, table, rows, stage }: Staged): Promise<void> {
  const { ref } = table.schema
  if (!(await isReferenced(connection, table))) return
  const found = await connection.query(REFERENCES, [ref.schema, ref.name, ref.schema])
  const goes = new Set(rows.filter(({ op }) => op === 'delete').map(({ key }) => JSON.stringify(key)))
  for (const parts of Map.groupBy(found, ([schema, name, key]) => JSON.stringify([schema, name, key])).values()) {
    const [schema = '', name = '', , action] = parts[0] ?? []
    const child = { schema: schema ?? '', name: name ?? '' }
    const isOwn = child.schema === ref.schema && child.name === ref.name
    const same = parts.map(([, , , , parent, column]) => `t.${quote(parent ?? '')} = r.${quote(column ?? '')}`)
    // A row that points to itself, or to another one that goes too, goes with it. Of more rows than go, one does not.
    const keys = isOwn ? sql.keyExpressions.map((key) => key.replaceAll('t.`', 'r.`')) : ['1']
    const hits = await connection.query(
      `SELECT ${keys.join(', ')} FROM ${stage} s STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('s.c')}
       JOIN ${quoteTable(child)} r ON ${same.join(' AND ')} ${sql.where("s.op = 'd'")} LIMIT ${isOwn ? goes.size + 1 : 1}`,
    )
    if (!hits.some((key) => !isOwn || !goes.has(JSON.stringify(key)))) continue
    const reason = `rows of ${schema}.${name} point to it, and ${ACTIONS[action ?? ''] ?? 'would change with it'}`
    throw new RowsRefused('1451', reason, { orderMatters: true, column: null, cause: undefined })
  }
}
