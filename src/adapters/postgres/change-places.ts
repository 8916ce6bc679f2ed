import type { WritePlan } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'
import { tableName, type Column, type UniqueKey } from '#model/table.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { quote, quoteTable } from './sql.ts'
import { STAGE, type TableSql } from './table-sql.ts'

interface Places {
  readonly plan: WritePlan
  readonly table: PgTable
  readonly sql: TableSql
}

/**
 * Updates of staged rows that take one another's unique values (hazard D4). PostgreSQL looks at uniqueness row by row, so
 * that no plain UPDATE can swap two values. Returns the places in the stage of the rows that were updated.
 */
export async function changePlaces(connection: Connection, places: Places): Promise<number[]> {
  return (await mayReplace(connection, places)) ? replace(connection, places) : park(connection, places)
}

/**
 * Takes out of the stage what a row outside of it stands in the way of, by the unique keys over plain columns; again,
 * until nothing is, because what stays where it is may be in the way of others. Returns the places in the stage.
 */
export async function dropBlocked(connection: Connection, { plan, table, sql }: Places): Promise<Set<number>> {
  const tests = otherKeys(plan, table).flatMap((key) => {
    const places = key.columns.map((name) => plan.scan.columns.findIndex((column) => column.name === name))
    if (places.includes(-1)) return []
    const same = places.map((i) => sql.sameColumn(plan.scan.columns[i]?.name ?? '', `s.c${i}`)).join(' AND ')
    return [
      `EXISTS (SELECT FROM ${sql.from} t WHERE ${same}
         AND NOT EXISTS (SELECT FROM ${STAGE} o WHERE ${sql.keyEquals('o.c')}))`,
    ]
  })
  const blocked = new Set<number>()
  if (tests.length === 0) return blocked
  for (;;) {
    const found = await connection.query(
      `DELETE FROM ${STAGE} d USING ${sql.stage} s
       WHERE d.seq = s.seq AND s.op <> 'd' AND (${tests.join(' OR ')}) RETURNING d.seq`,
    )
    if (found.length === 0) return blocked
    for (const [seq] of found) blocked.add(Number(seq))
  }
}

/** Unique keys beside the one that rows are found by. */
function otherKeys({ scan }: WritePlan, { schema }: PgTable): UniqueKey[] {
  const mapped = new Set(scan.columns.slice(0, scan.keyLength).map((column) => column.name))
  const isMapped = (key: UniqueKey): boolean =>
    key.columns.length === mapped.size && key.columns.every((name) => mapped.has(name))
  return [schema.primaryKey, ...schema.uniqueKeys].filter((key) => key !== null).filter((key) => !isMapped(key))
}

/** Whether a row may go and come back in one statement: no trigger sees it, and no foreign key acts on it. */
async function mayReplace(connection: Connection, { plan, table }: Places): Promise<boolean> {
  if (table.schema.triggers.length > 0 && !plan.silenceTriggers) return false
  const [row] = await connection.query(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1 AND confdeltype <> 'a')`,
    [table.oid],
  )
  return row?.[0] === 'f'
}

/**
 * Deletes the rows and inserts them anew in one statement: a row that its own transaction has deleted stands in nobody's
 * way, and foreign keys without an action are looked at when the statement has ended. Columns that are not carried keep
 * what the target had in them. The count in WHERE makes all deletes come before the first insert.
 */
async function replace(connection: Connection, { plan, table, sql }: Places): Promise<number[]> {
  const { scan, written } = plan
  const columns = table.schema.columns.filter((column) => column.generated === null)
  const values = columns.map(({ name }) => {
    const place = scan.columns.findIndex((column) => column.name === name)
    return place >= 0 && written.includes(name) ? `s.c${place}` : `d.${quote(name)}`
  })
  const found = await connection.query(
    `WITH d AS (
       DELETE FROM ${sql.from} t USING ${STAGE} s
       WHERE s.op = 'u' AND ${sql.keyEquals('s.c')} AND ${sql.fingerprint} = s.expect
       RETURNING s.seq AS "syncline seq", t.*),
     i AS (
       INSERT INTO ${quoteTable(scan.table)} (${columns.map((column) => quote(column.name)).join(', ')})
       OVERRIDING SYSTEM VALUE
       SELECT ${values.join(', ')} FROM ${sql.stage} s JOIN d ON d."syncline seq" = s.seq
       WHERE (SELECT count(*) FROM d) > 0
       RETURNING 1)
     SELECT d."syncline seq", (SELECT count(*) FROM i) FROM d`,
  )
  const inserted = Number(found[0]?.[1] ?? 0)
  if (inserted !== found.length) {
    throw new AppError('internal', `${tableName(scan.table)}: ${found.length} rows left and ${inserted} came back.`)
  }
  return found.map(([seq]) => Number(seq))
}

/** Gives the rows unique values that nobody has, and then their own: two updates, for rows that others hold on to. */
async function park(connection: Connection, { plan, table, sql }: Places): Promise<number[]> {
  const parked = otherKeys(plan, table).flatMap((key) => parkingPlace(key, { plan, table, sql }))
  if (parked.length === 0) return []
  const found = await connection.query(
    `UPDATE ${sql.from} t SET ${[...new Set(parked)].join(', ')} FROM ${STAGE} s
     WHERE s.op = 'u' AND ${sql.keyEquals('s.c')} AND ${sql.fingerprint} = s.expect RETURNING s.seq`,
  )
  const seqs = found.map(([seq]) => Number(seq))
  await connection.query(
    `UPDATE ${sql.from} t SET ${sql.assignments(plan.written).join(', ')} FROM ${sql.stage} s
     WHERE s.op = 'u' AND ${sql.keyEquals('s.c')} AND s.seq = ANY($1::int4[])`,
    [seqs],
  )
  return seqs
}

/** A SET clause for one column of a unique key, after which the key is in nobody's way; none where no type allows it. */
function parkingPlace(key: UniqueKey, { plan: { scan, written }, table, sql }: Places): string[] {
  const mapped = scan.columns.slice(0, scan.keyLength).map((column) => column.name)
  for (const name of key.columns) {
    const column = table.schema.columns.find((each) => each.name === name)
    if (column === undefined || mapped.includes(name) || !written.includes(name)) continue
    const value = freeValue(column, sql)
    if (value !== null) return [`${quote(name)} = ${value}`]
  }
  return []
}

function freeValue({ name, type, nullable }: Column, sql: TableSql): string | null {
  if (nullable) return 'NULL'
  switch (type.kind) {
    case 'integer':
    case 'decimal':
      return `(SELECT min(m.${quote(name)}) FROM ${sql.from} m) - 1 - s.seq`
    case 'uuid':
      return 'pg_catalog.gen_random_uuid()'
    case 'text':
      return type.maxLength === null || type.maxLength >= 36 ? 'pg_catalog.gen_random_uuid()::text' : null
    default:
      return null
  }
}
