import type { Claim, WritePlan } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import { copyLine } from '#model/row-text.ts'
import type { Row } from '#model/value.ts'
import { baselineKeyEquals } from './baseline-sql.ts'
import { writeLines } from './bulk.ts'
import type { Connection } from './connection.ts'
import type { MyTable } from './introspect.ts'
import { baselineTable } from './own-tables.ts'
import { chunks } from './read.ts'
import { keyParameter, TableSql } from './table-sql.ts'

/** The mapping that a baseline is of. */
export interface KeptMapping {
  readonly claim: Claim
  readonly plan: WritePlan
  readonly table: MyTable
}

/** A row of a baseline. */
export interface KeptRow {
  readonly key: Key
  readonly source: Fingerprint | null
  readonly target: Fingerprint | null
  readonly fields: string | null
  readonly image: string | null
}

/** Keys in one statement. */
const KEYS = 1_000
/** Lines are sent together. */
const SEND_CHARACTERS = 64 * 1024

export function namesOf({ plan: { scan } }: KeptMapping): string[] {
  const keys = Array.from({ length: scan.keyLength }, (_, i) => `k${i}`)
  return [...keys, 'source_fingerprint', 'target_fingerprint', 'fields', 'image']
}

function lineOf({ key, source, target, fields, image }: KeptRow): Row {
  return [...key, source, target, fields, image]
}

/** Sets these rows of the baseline, whatever it has under their keys. */
export async function writeKept(connection: Connection, mapping: KeptMapping, rows: readonly KeptRow[]): Promise<void> {
  if (rows.length === 0) return
  const baseline = baselineTable(connection.endpoint.database, mapping.claim.mappingId)
  await loadKept(connection, { table: baseline, names: namesOf(mapping) }, rows)
}

/** Loads rows into a table of ours; what it has under the same keys is replaced. */
export async function loadKept(
  connection: Connection,
  { table, names }: { table: string; names: readonly string[] },
  rows: Iterable<KeptRow> | AsyncIterable<KeptRow>,
): Promise<void> {
  await writeLines(connection, { table, names, replaces: true }, { lines: linesOf(rows) })
}

async function* linesOf(rows: Iterable<KeptRow> | AsyncIterable<KeptRow>): AsyncGenerator<string> {
  let text = ''
  for await (const row of rows) {
    text += copyLine(lineOf(row))
    if (text.length < SEND_CHARACTERS) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

/** Forgets what the baseline has under these keys. */
export async function deleteKeys(
  connection: Connection,
  { claim, plan, table }: KeptMapping,
  keys: readonly Key[],
): Promise<void> {
  if (keys.length === 0) return
  const baseline = baselineTable(connection.endpoint.database, claim.mappingId)
  const { keysFrom } = new TableSql(plan.scan, table)
  for (const some of chunks(keys, KEYS)) {
    await connection.execute(
      `DELETE b FROM ${keysFrom} STRAIGHT_JOIN ${baseline} b ON ${baselineKeyEquals(table, plan.scan, 'k.k')}`,
      [keyParameter(some)],
    )
  }
}
