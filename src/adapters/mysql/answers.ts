import type { Claim } from '#adapters/adapter.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import { fingerprint, hashRow, type Fingerprint } from '#model/fingerprint.ts'
import { tableName } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { Connection } from './connection.ts'
import type { MyTable } from './introspect.ts'
import { ownTable } from './own-tables.ts'
import { keyChunks, readFingerprints } from './read.ts'
import { literal } from './sql.ts'
import type { Staged } from './staged.ts'
import { orNothing } from './state-read.ts'
import { hasOwnTable } from './state-tables.ts'
import { TableSql } from './table-sql.ts'

/**
 * Rows that became others as they were written, because triggers answered (hazard D7), or because the server took a text for
 * another label of an enum (hazard C15). The server does not tell who has
 * written a row: what a batch finds changed under its own hands is kept, so that it is not taken for somebody else's work.
 */

/** Whether rows of the table can become others as they are written. */
export async function hasAnswers(connection: Connection, table: MyTable): Promise<boolean> {
  const { schema } = table
  if (takesLabelsForOthers(table)) return true
  if (schema.triggers.length === 0) return false
  const found = await connection.query(
    `SELECT 1 FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ?
       AND action_timing = 'BEFORE' AND event_manipulation <> 'DELETE' LIMIT 1`,
    [schema.ref.schema, schema.ref.name],
  )
  return found.length > 0
}

/** The server finds labels by the collation of their column, without a word; those that are known are looked at before. */
function takesLabelsForOthers({ schema }: MyTable): boolean {
  return schema.columns.some(({ type }) => type.kind === 'enum' && type.untold)
}

/**
 * Keeps which rows of a batch are others than they were sent. Part of its transaction.
 * @throws RowsRefused where no trigger can have made them so
 */
export async function keepAnswers(staged: Staged, claim: Claim, hits: ReadonlySet<number>): Promise<void> {
  const { connection, plan, rows, table } = staged
  if (!(await hasAnswers(connection, table))) return
  const sent = new Map<string, Fingerprint>()
  for (const seq of hits) {
    const { op, key, row } = must(rows[seq], 'a row of the batch')
    const whole = op === 'delete' || row === null ? null : textsOf(row)
    if (whole !== null) sent.set(JSON.stringify(key), fingerprint(whole))
  }
  const keys = [...sent.keys()].map(toKey)
  const answers = ownTable(connection.endpoint.database, 'answer')
  // Also where a trigger took a row out of the filter.
  const sql = new TableSql({ ...plan.scan, filter: null }, table)
  const there = await readFingerprints(connection, sql, keys)
  if (there.length < keys.length && table.transactional) {
    throw table.schema.triggers.length === 0 ? otherLabel(table) : otherKey(table)
  }
  for (const found of there) {
    if (found.fingerprint === sent.get(JSON.stringify(found.key))) continue
    if (table.schema.triggers.length === 0) throw otherLabel(table)
    await connection.execute(
      `REPLACE INTO ${answers} (mapping_id, job_id, row_key, fingerprint) VALUES (?, ?, ?, CAST(? AS SIGNED))`,
      [claim.mappingId, claim.jobId, keyHash(found.key), found.fingerprint],
    )
  }
}

/** Under another key nobody would find the row again. */
function otherKey({ schema }: MyTable): RowsRefused {
  const reason = `a trigger of ${tableName(schema.ref)} gives it another key (${schema.triggers.join(', ')})`
  return new RowsRefused('1644', reason, { orderMatters: false, column: null, cause: undefined })
}

function otherLabel({ schema }: MyTable): RowsRefused {
  const reason = `${tableName(schema.ref)} has no such label: by its collation the server would take another one for it`
  return new RowsRefused('1265', reason, { orderMatters: false, column: null, cause: undefined })
}

/** Which of these keys' rows are what triggers made of them when the job of a claim wrote them last. */
export async function readAnswered(
  connection: Connection,
  sql: TableSql,
  { claim, keys }: { claim: Claim; keys: readonly Key[] },
): Promise<Key[]> {
  if (keys.length === 0 || !(await hasOwnTable(connection, 'answer'))) return []
  const answers = new Map<string, string | null>()
  for (const some of keyChunks(keys)) {
    const rows = await orNothing([], () =>
      connection.query(
        `SELECT row_key, CAST(fingerprint AS CHAR) FROM ${ownTable(connection.endpoint.database, 'answer')}
         WHERE mapping_id = ${literal(claim.mappingId)} AND job_id = ${literal(claim.jobId)}
           AND row_key IN (${some.map((key) => literal(keyHash(key))).join(', ')})`,
      ),
    )
    for (const [key, made] of rows) answers.set(key ?? '', made ?? null)
  }
  if (answers.size === 0) return []
  const there = await readFingerprints(connection, sql, keys)
  return there.filter(({ key, fingerprint: now }) => answers.get(keyHash(key)) === now).map(({ key }) => key)
}

function keyHash(key: Key): string {
  return hashRow(key).toString('hex')
}

function toKey(text: string): Key {
  const cells: unknown = JSON.parse(text)
  return Array.isArray(cells) ? cells.map((cell: unknown) => (typeof cell === 'string' ? cell : null)) : []
}

/** Null of a row whose values are not all here. */
function textsOf(row: Staged['rows'][number]['row']): Row | null {
  const texts = (row ?? []).filter((cell) => cell === null || typeof cell === 'string')
  return texts.length === row?.length ? texts : null
}
