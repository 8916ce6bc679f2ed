import type { Holder, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { sameTable, type TableRef } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { only, quote } from './sql.ts'
import type { TableSql } from './table-sql.ts'

/** Rows that are asked about in one statement. */
const ROWS_PER_QUERY = 500

/** A unique index: its expressions as the server writes them, over the bare names of the columns. */
interface UniqueIndex {
  readonly name: TableRef
  readonly table: TableRef
  /** Each with the operator by which the index tells its values apart. */
  readonly expressions: readonly { readonly sql: string; readonly equals: string }[]
  /** Rows that do not meet it are not in the index. */
  readonly predicate: string | null
  readonly nullsAreEqual: boolean
  /** All columns that it looks at. */
  readonly columns: readonly string[]
  /** Those that its values are made of, in their order. */
  readonly valued: readonly string[]
}

/** See `Snapshot.holders`. An index is asked as it is, with its expressions and its condition. */
export async function readHolders(
  connection: Connection,
  sql: TableSql,
  { index: wanted, rows }: { index: Parameters<Snapshot['holders']>[1]; rows: readonly Row[] },
): Promise<Holder[]> {
  const names = wanted === null ? await uniqueIndexes(connection, sql.table) : [wanted]
  const holders: Holder[] = []
  for (const name of names) {
    const index = await findIndex(connection, name)
    if (index !== null) holders.push(...(await holdersBy(connection, sql, { index, rows })))
  }
  return holders
}

async function holdersBy(
  connection: Connection,
  sql: TableSql,
  { index, rows }: { index: UniqueIndex; rows: readonly Row[] },
): Promise<Holder[]> {
  const { ref, partitions, kind } = sql.table.schema
  if (![ref, ...partitions].some((own) => sameTable(own, index.table))) return []
  const { scan } = sql
  const keys = scan.columns.slice(0, scan.keyLength).map((column) => column.name)
  const given = [...new Set([...keys, ...index.columns])]
  const places = given.map((column) => scan.columns.findIndex((each) => each.name === column))
  if (places.includes(-1)) return []
  const partitioned = kind === 'partitioned' && sameTable(ref, index.table)
  const statement = statementOf(sql, { index, given, from: only(index.table, partitioned) })
  const holders: Holder[] = []
  for (let start = 0; start < rows.length; start += ROWS_PER_QUERY) {
    const some = rows.slice(start, start + ROWS_PER_QUERY)
    const found = await connection.query(
      statement,
      places.map((place) => some.map((row) => row[place])),
    )
    for (const [place, fingerprint, bytes, ...key] of found) {
      const row = { bucket: 0, key, fingerprint: must(fingerprint, 'fingerprint'), bytes: Number(bytes) }
      holders.push({ place: start + Number(place) - 1, index: index.name, columns: index.valued, row })
    }
  }
  return holders
}

/** All unique indexes of a table that are in force. The one of the key keeps no row out: rows are told apart by it. */
async function uniqueIndexes(connection: Connection, { oid }: PgTable): Promise<readonly TableRef[]> {
  const found = await connection.query(
    `SELECT n.nspname, x.relname FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid ORDER BY x.relname COLLATE "C"`,
    [oid],
  )
  return found.map(([schema, name]) => ({ schema: schema ?? '', name: name ?? '' }))
}

/** The rows that are to be are `w`, the table is the only other thing that has bare names of columns. */
function statementOf(
  sql: TableSql,
  { index, given, from }: { index: UniqueIndex; given: readonly string[]; from: string },
): string {
  const { sized, scan, table, keyExpressions } = sql
  const typeOf = (name: string): string => must(table.comparison.get(name), `no type of column ${name}`).castType
  const texts = [...given.map((_, i) => `syncline_c${i}`), 'syncline_n'].join(', ')
  const typed = given.map((name, i) => `syncline_c${i}::${typeOf(name)} AS ${quote(name)}`).join(', ')
  const wanted = index.expressions.map(({ sql: expression }, i) => `(${expression}) AS syncline_e${i}`).join(', ')
  const keys = scan.columns.slice(0, scan.keyLength).map(({ name }, i) => `${quote(name)} AS syncline_k${i}`)
  const where = index.predicate === null ? '' : `WHERE ${index.predicate}`
  const same = index.expressions.map(({ sql: expression, equals }, i) => {
    const equal = `(${expression}) ${equals} w.syncline_e${i}`
    return index.nullsAreEqual ? `(${equal} OR ((${expression}) IS NULL AND w.syncline_e${i} IS NULL))` : equal
  })
  const also = index.predicate === null ? [] : [`(${index.predicate})`]
  return `
    SELECT x.n, ${sized.fingerprint}, ${sized.bytes}, ${keyExpressions.map((_, i) => `x.k${i}`).join(', ')}
    FROM (SELECT w.syncline_n AS n, ${sized.columns}, ${keyExpressions.map((each, i) => `${each} AS k${i}`).join(', ')}
          FROM (SELECT syncline_n, ${keys.join(', ')}, ${wanted}
                FROM (SELECT syncline_n, ${typed} FROM ROWS FROM (${given.map((_, i) => `unnest($${i + 1}::text[])`).join(', ')})
                      WITH ORDINALITY AS r(${texts}) OFFSET 0) v ${where}) w
          JOIN ${from} t ON ${[...same, ...also].join(' AND ')} AND NOT (${sql.keyEquals('w.syncline_k')}) OFFSET 0) x
    ORDER BY x.n`
}

async function findIndex(connection: Connection, { schema, name }: TableRef): Promise<UniqueIndex | null> {
  const parts = await connection.query(
    `SELECT tn.nspname, t.relname, pg_catalog.pg_get_indexdef(i.indexrelid, k, false),
       (SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname)
        FROM pg_catalog.pg_opclass c
        JOIN pg_catalog.pg_amop a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 3
          AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
        JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
        WHERE c.oid = i.indclass[k - 1]),
       pg_catalog.pg_get_expr(i.indpred, i.indrelid), pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct'
     FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_namespace xn ON xn.oid = x.relnamespace
     JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
     CROSS JOIN LATERAL pg_catalog.generate_series(1, i.indnkeyatts) k
     WHERE i.indisunique AND xn.nspname = $1 AND x.relname = $2 ORDER BY k`,
    [schema, name],
  )
  const [first] = parts
  if (first === undefined || parts.some(([, , , equals]) => equals === null)) return null
  // Columns inside of expressions and of the condition are known as what the index depends on.
  const columns = await connection.query(
    `SELECT a.attname FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_namespace xn ON xn.oid = x.relnamespace
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0
     WHERE xn.nspname = $1 AND x.relname = $2
       AND (a.attnum IN (SELECT i.indkey[k - 1] FROM pg_catalog.generate_series(1, i.indnkeyatts) k)
         OR (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND EXISTS (
           SELECT FROM pg_catalog.pg_depend d
           WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
     ORDER BY a.attnum`,
    [schema, name],
  )
  const names = columns.map(([column]) => column ?? '')
  const valued = parts.flatMap(([, , expression]) => names.filter((column) => mentions(expression ?? '', column)))
  return {
    name: { schema, name },
    table: { schema: first[0] ?? '', name: first[1] ?? '' },
    expressions: parts.map(([, , expression, equals]) => ({ sql: expression ?? '', equals: equals ?? '' })),
    predicate: first[4] ?? null,
    nullsAreEqual: first[5] === 'true',
    columns: names,
    valued: [...new Set(valued)],
  }
}

/** Whether an expression that the server wrote speaks of a column. */
function mentions(expression: string, column: string): boolean {
  const names = expression.replaceAll(/'(?:[^']|'')*'/g, ' ')
  return names.includes(quote(column)) || names.split(/[^\p{L}\p{N}_$]+/u).includes(column)
}
