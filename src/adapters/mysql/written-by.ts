import type { Claim, OwnRows, Sent, WritePlan } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { sameTable, tableName, type TableRef } from '#model/table.ts'
import { isLarge, type SentRow } from '#model/value.ts'
import { hasAnswers, readAnswered } from './answers.ts'
import type { Connection } from './connection.ts'
import type { MyTable } from './introspect.ts'
import { ownTable } from './own-tables.ts'
import { readFingerprints } from './read.ts'
import { accountOf, readRights } from './rights.ts'
import { quote } from './sql.ts'
import { readStored, storedScan } from './stored.ts'
import { TableSql } from './table-sql.ts'

/** Lends a session to `body`. */
export type UseSession = <T>(body: (connection: Connection) => Promise<T>) => Promise<T>

/** What a job writes into one table. */
interface Written {
  readonly claim: Claim
  readonly plan: WritePlan
  readonly table: MyTable
}

/**
 * Which rows a job was the last to write. The server does not tell, but a row that the job has left is one of two: what the
 * server makes of the values that were sent (`stored.ts`), or what a trigger made of them, which the batch has kept before
 * its COMMIT (`answers.ts`). Any other row somebody else has written since. That holds where nothing but the job's
 * statements on this table changes rows of it in the job's name; where that cannot be excluded, whatever the job has touched
 * counts as its own.
 */
export async function readWrittenBy(
  { moment, writing }: { moment: UseSession; writing: UseSession },
  written: Written,
  sent: Sent,
): Promise<OwnRows> {
  const { claim, plan, table } = written
  const sql = new TableSql({ ...plan.scan, filter: null }, table)
  const known = await sent.rows()
  const rows = new Map(sent.keys.flatMap((key) => entryOf(known, key)))
  const answered = await moment((connection) => readAnswered(connection, sql, { claim, keys: sent.keys }))
  const asSent = await findStored({ moment, writing }, written, [...rows.values()])
  const certain = new Map([...answered, ...asSent].map((key) => [JSON.stringify(key), key]))
  const reason = await moment((connection) => whyHidden(connection, written))
  const mayAnswer = await moment((connection) => hasAnswers(connection, table))
  const doubtful = sent.touched().filter((key) => {
    const id = JSON.stringify(key)
    const row = rows.get(id)
    if (row === undefined || certain.has(id)) return false
    // What a trigger makes of a row whose values are not here is not kept.
    return reason !== null || (mayAnswer && row.some(isLargeCell))
  })
  return {
    keys: [...certain.values(), ...doubtful],
    doubt:
      doubtful.length === 0 ? null : `${reason ?? LARGE} Rows that others changed meanwhile count as the run's own.`,
  }
}

const LARGE = 'What triggers make of rows with very large values is not known.'

function entryOf(rows: ReadonlyMap<string, SentRow>, key: Key): (readonly [string, SentRow])[] {
  const id = JSON.stringify(key)
  const row = rows.get(id)
  return row === undefined ? [] : [[id, row]]
}

function isLargeCell(cell: SentRow[number]): boolean {
  return cell !== null && isLarge(cell)
}

/** The keys of rows that are what the server makes of these. */
async function findStored(
  { moment, writing }: { moment: UseSession; writing: UseSession },
  { plan, table }: Written,
  rows: readonly SentRow[],
): Promise<Key[]> {
  const stored = await writing((connection) => readStored(connection, { plan, table }, rows))
  const keys = stored.map(({ key }) => key)
  const sql = new TableSql(storedScan(plan), table)
  const there = await moment((connection) => readFingerprints(connection, sql, keys))
  const now = new Map(there.map(({ key, fingerprint }) => [JSON.stringify(key), fingerprint]))
  return stored.filter(({ key, fingerprint }) => now.get(JSON.stringify(key)) === fingerprint).map(({ key }) => key)
}

/** Why the job may have changed rows of the table where nobody looked, as a sentence; null where it cannot have. */
async function whyHidden(connection: Connection, { claim, table }: Written): Promise<string | null> {
  const { ref } = table.schema
  const tables = await readTables(connection, claim)
  const rights = await readRights(connection)
  const unseen = [ref, ...tables].find((each) => !rights.hasOnTable(each, 'TRIGGER'))
  if (unseen !== undefined) {
    const grant = `GRANT TRIGGER ON ${quote(unseen.schema)}.* TO ${await accountOf(connection)};`
    return `This login does not see the triggers of ${tableName(unseen)} (${grant})`
  }
  for (const other of tables) {
    if (!sameTable(other, ref) && (await hasTriggers(connection, other))) {
      return `Triggers of ${tableName(other)}, which the run writes too, may change them.`
    }
    if (await movesRows(connection, { parent: other, child: ref })) {
      return `The foreign key to ${tableName(other)}, which the run writes too, may change them.`
    }
  }
  return null
}

/** The tables that the job of a claim writes. */
async function readTables(connection: Connection, { jobId }: Claim): Promise<TableRef[]> {
  const rows = await connection.query(
    `SELECT target_schema, target_table FROM ${ownTable(connection.endpoint.database, 'state')} WHERE job_id = ?`,
    [jobId],
  )
  return rows.map(([schema, name]) => ({ schema: schema ?? '', name: name ?? '' }))
}

async function hasTriggers(connection: Connection, { schema, name }: TableRef): Promise<boolean> {
  const found = await connection.query(
    'SELECT 1 FROM information_schema.triggers g WHERE g.event_object_schema = ? AND g.event_object_table = ? LIMIT 1',
    [schema, name],
  )
  return found.length > 0
}

/** Whether a foreign key changes rows of the one where rows of the other change. Those that go take no others (`cascades.ts`). */
async function movesRows(
  connection: Connection,
  { parent, child }: { parent: TableRef; child: TableRef },
): Promise<boolean> {
  const found = await connection.query(
    `SELECT 1 FROM information_schema.referential_constraints r
     WHERE r.constraint_schema = ? AND r.table_name = ? AND r.unique_constraint_schema = ? AND r.referenced_table_name = ?
       AND r.update_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT') LIMIT 1`,
    [child.schema, child.name, parent.schema, parent.name],
  )
  return found.length > 0
}
